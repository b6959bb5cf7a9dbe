//! The refresh token: read, spent and replaced (RFC 6749 section 6). Blocks.
//!
//! A token server may give a new refresh token with each access token, and forget the old one.
//! Losing the new one would lock the mailbox out, so: it is written before the access token is
//! used; it is kept in memory while it cannot be; and one process at a time spends the token of a
//! file, be it the service or `pillarbox oauth token`.

use super::OauthError;
use super::endpoint::{Client, Endpoint};
use super::form::Form;
use super::response::Granted;
use super::secret_file::Locked;
use secrecy::{ExposeSecret, SecretString};
use std::path::Path;

/// What the file holds, for errors.
pub(super) const WHAT: &str = "refresh token";

/// A refresh token that could not be written.
pub(super) struct Unsaved {
    /// What the file still has; when it has something else, somebody logged in anew.
    old: SecretString,
    new: SecretString,
}

/// Asks for an access token with the refresh token in `path`.
pub(super) fn spend(
    endpoint: &Endpoint,
    client: &Client<'_>,
    path: &Path,
    scope: Option<&str>,
    unsaved: &mut Option<Unsaved>,
) -> Result<Granted, OauthError> {
    let file = Locked::open(WHAT, path)?;
    let old = file.read()?;
    let current = match unsaved.take() {
        Some(unsaved) if same(&unsaved.old, &old) => unsaved.new,
        _ => old.clone(),
    };
    let keep = |new: &SecretString| {
        (!same(new, &old)).then(|| Unsaved {
            old: old.clone(),
            new: new.clone(),
        })
    };
    *unsaved = keep(&current);
    let granted = endpoint.ask(client, || {
        Form::grant("refresh_token")
            .with_secret("refresh_token", current.clone())
            .with_some("scope", scope)
    })?;
    let new = granted.refresh_token.as_ref().unwrap_or(&current);
    *unsaved = keep(new);
    if unsaved.is_some() {
        match file.replace(new) {
            Ok(()) => *unsaved = None,
            Err(error) => tracing::error!(
                "{}; the new one is used while this process runs, and then a new login is needed \
                 (`pillarbox oauth login`)",
                error.line()
            ),
        }
    }
    Ok(granted)
}

fn same(one: &SecretString, other: &SecretString) -> bool {
    one.expose_secret() == other.expose_secret()
}
