//! A first refresh token by the device authorization grant (RFC 8628): this machine shows a code,
//! a person types it into a browser on another one. Blocks.

use super::endpoint::{Client, Endpoint, Patience};
use super::error::printable;
use super::form::Form;
use super::response::{Granted, Hidden, Seconds};
use super::{OauthError, vendor::Vendor};
use secrecy::SecretString;
use serde::Deserialize;
use std::time::Duration;

/// RFC 8628 section 3.2, where the server names no interval.
const INTERVAL: Duration = Duration::from_secs(5);
/// RFC 8628 section 3.5, for `slow_down`.
const SLOWER: Duration = Duration::from_secs(5);
/// Longest interval: a server that asks for more is asked this often all the same, or nobody would
/// wait for it.
const LONGEST: Duration = Duration::from_secs(60);
/// Longest wait for a person.
const MOST_WAIT: Duration = Duration::from_secs(3600);

/// Who wants a token, and of whom.
pub struct Login {
    /// Endpoints and scope.
    pub vendor: Vendor,
    /// Client identifier.
    pub client_id: String,
    /// Client secret; public clients have none.
    pub client_secret: Option<SecretString>,
    /// How long the server may take for each answer.
    pub patience: Patience,
}

impl Login {
    pub(super) fn client(&self) -> Client<'_> {
        Client {
            id: &self.client_id,
            secret: self.client_secret.as_ref(),
        }
    }
}

/// What a person has to do, and what we have to ask meanwhile (RFC 8628 section 3.2).
pub struct Authorization {
    device_code: SecretString,
    interval: Duration,
    /// What to type.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// An address that has the code in it already, if the server has one.
    pub verification_uri_complete: Option<String>,
    /// Until when, from now on.
    pub expires_in: Duration,
}

#[derive(Deserialize)]
struct Response {
    device_code: Hidden,
    user_code: String,
    // Google has its own name for it.
    #[serde(alias = "verification_url")]
    verification_uri: String,
    #[serde(alias = "verification_url_complete")]
    verification_uri_complete: Option<String>,
    expires_in: Option<Seconds>,
    interval: Option<Seconds>,
}

/// Asks for a code (RFC 8628 section 3.1).
///
/// # Errors
/// What the server says against it.
pub fn begin(login: &Login) -> Result<Authorization, OauthError> {
    let Some(url) = &login.vendor.device_url else {
        return Err(OauthError::Login(
            "there is no device authorization endpoint; name it with --device-url".into(),
        ));
    };
    let endpoint = Endpoint::new(url, login.patience)?;
    let scope = Some(login.vendor.scope.as_str());
    let mut form = Form::default()
        .with("client_id", &login.client_id)
        .with_some("scope", scope);
    if let Some(secret) = &login.client_secret {
        form = form.with_secret("client_secret", secret.clone());
    }
    let mut answer = endpoint.post(&form, None)?;
    if !answer.status.is_success()
        && let Some(secret) = &login.client_secret
        && endpoint.refused(&form, &answer).is("invalid_client")
    {
        // As at the token endpoint: RFC 6749 section 2.3.1.
        let bare = Form::default()
            .with("client_id", &login.client_id)
            .with_some("scope", scope);
        let basic = super::endpoint::basic(&login.client_id, secret);
        answer = endpoint.post(&bare, Some(&basic))?;
    }
    if !answer.status.is_success() {
        return Err(endpoint.refused(&form, &answer));
    }
    let response: Response = serde_json::from_slice(&answer.octets).map_err(|_| {
        let why = "what it says is no device authorization response; check its address";
        endpoint.senseless(&answer, why.into())
    })?;
    let life = response.expires_in.and_then(|told| told.duration());
    let interval = response.interval.and_then(|told| told.duration());
    Ok(Authorization {
        device_code: response.device_code.0,
        interval: interval
            .unwrap_or(INTERVAL)
            .clamp(Duration::from_secs(1), LONGEST),
        user_code: printable(&response.user_code, 100),
        verification_uri: printable(&response.verification_uri, 500),
        verification_uri_complete: response
            .verification_uri_complete
            .map(|uri| printable(&uri, 1_000)),
        expires_in: life.unwrap_or(MOST_WAIT).min(MOST_WAIT),
    })
}

/// Asks again and again until the person has decided (RFC 8628 sections 3.4 and 3.5); `wait` waits
/// between. Returns the refresh token.
///
/// # Errors
/// The person said no or was too slow, or the server gives no refresh token.
pub fn finish(
    login: &Login,
    authorization: &Authorization,
    mut wait: impl FnMut(Duration),
) -> Result<SecretString, OauthError> {
    let endpoint = Endpoint::new(&login.vendor.token_url, login.patience)?;
    let mut interval = authorization.interval;
    let mut waited = Duration::ZERO;
    loop {
        wait(interval);
        waited += interval;
        let error = match endpoint.ask(&login.client(), || {
            Form::grant("urn:ietf:params:oauth:grant-type:device_code")
                .with_secret("device_code", authorization.device_code.clone())
        }) {
            Ok(granted) => return refresh_token(granted),
            Err(error) => error,
        };
        match &error {
            OauthError::Refused { error: word, .. } => match word.as_str() {
                "authorization_pending" => {}
                "slow_down" => interval = (interval + SLOWER).min(LONGEST),
                // The second is Microsoft's word.
                "access_denied" | "authorization_declined" => {
                    return Err(OauthError::Login(
                        "it was refused in the browser; log in there as the mailbox that is to \
                         send, and allow it"
                            .into(),
                    ));
                }
                "expired_token" => return Err(too_late()),
                _ => return Err(error),
            },
            // RFC 8628 section 3.5: less often, as long as there is no connection.
            OauthError::Unreachable { .. } => interval = (interval * 2).min(LONGEST),
            OauthError::Answer { status, .. } if *status >= 500 => {
                interval = (interval * 2).min(LONGEST);
            }
            _ => return Err(error),
        }
        if waited >= authorization.expires_in {
            return Err(too_late());
        }
    }
}

fn too_late() -> OauthError {
    OauthError::Login("the code was not used in time; run it again".into())
}

/// What all this was for.
pub(super) fn refresh_token(granted: Granted) -> Result<SecretString, OauthError> {
    granted.refresh_token.ok_or_else(|| {
        OauthError::Login(
            "the token server gives an access token but no refresh token; ask for one by scope \
             (often offline_access), and allow it where the client is registered"
                .into(),
        )
    })
}
