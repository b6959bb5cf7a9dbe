//! One fetch of a token, by each way there is.

use super::endpoint::{Client, Endpoint, Patience};
use super::form::Form;
use super::refresh::{self, Unsaved};
use super::response::Granted;
use super::{Grant, OauthError, command, secret_file};
use std::path::Path;
use std::time::Duration;

/// How long a fetch may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) server: Patience,
    pub(super) command: Duration,
    /// Whether what a command says on standard error is to be seen on ours.
    pub(super) shown: bool,
}

/// Fetches a token. `unsaved` is a refresh token that could not be written; what is to be kept
/// comes back.
pub(super) async fn fetch(
    grant: &Grant,
    limits: Limits,
    unsaved: Option<Unsaved>,
) -> (Result<Granted, OauthError>, Option<Unsaved>) {
    if let Grant::Command(command) = grant {
        return (
            command::run(command, limits.command, limits.shown).await,
            None,
        );
    }
    let grant = grant.clone();
    // Nothing can come between the response and the writing of a new refresh token: this goes on
    // to its end whoever waits.
    let asked = tokio::task::spawn_blocking(move || {
        let mut unsaved = unsaved;
        let result = ask(&grant, limits.server, &mut unsaved);
        (result, unsaved)
    });
    asked.await.unwrap_or((Err(OauthError::Lost), None))
}

fn ask(
    grant: &Grant,
    patience: Patience,
    unsaved: &mut Option<Unsaved>,
) -> Result<Granted, OauthError> {
    match grant {
        // Not here: it needs no thread of its own.
        Grant::Command(_) => Err(OauthError::Lost),
        Grant::RefreshToken {
            token_url,
            client_id,
            client_secret_file,
            refresh_token_file,
            scope,
        } => {
            let endpoint = Endpoint::new(token_url, patience)?;
            let secret = client_secret_file
                .as_deref()
                .map(client_secret)
                .transpose()?;
            let client = Client {
                id: client_id,
                secret: secret.as_ref(),
            };
            refresh::spend(
                &endpoint,
                &client,
                refresh_token_file,
                scope.as_deref(),
                unsaved,
            )
        }
        Grant::ClientCredentials {
            token_url,
            client_id,
            client_secret_file,
            scope,
        } => {
            let endpoint = Endpoint::new(token_url, patience)?;
            let secret = client_secret(client_secret_file)?;
            let client = Client {
                id: client_id,
                secret: Some(&secret),
            };
            // RFC 6749 section 4.4.2
            endpoint.ask(&client, || {
                Form::grant("client_credentials").with_some("scope", scope.as_deref())
            })
        }
    }
}

/// The client secret in this file, read anew for each request: it is replaced once a year or so.
pub(super) fn client_secret(path: &Path) -> Result<secrecy::SecretString, OauthError> {
    secret_file::read("client secret", path)
}
