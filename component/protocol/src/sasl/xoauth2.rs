//! XOAUTH2 of Google and Microsoft: `user=` name, `auth=Bearer ` token, one message.

use super::ClientStep;
use super::oauth::{self, SEPARATOR};
use super::oauth_server::{Message, bearer, pairs};
use crate::contract::client::Credentials;
use alloc::{format, string::String, vec::Vec};

/// What answers a refused token (XOA-2).
pub(super) const ERROR: &str = r#"{"status":"401","schemes":"bearer","scope":"smtp"}"#;

/// The client's message; `None` if it is none. `user=` is always there, other keys are ignored.
pub(super) fn parse(message: &str) -> Option<Message<'_>> {
    let (mut user, mut token) = (None, None);
    for (key, value) in pairs(message)? {
        match key {
            "user" => user = Some(value),
            "auth" => token = bearer(value),
            _ => (),
        }
    }
    Some(Message {
        authorization: String::new(),
        user: user?,
        token,
    })
}

/// The client has sent its message.
pub(super) struct Client(oauth::Client);

impl Client {
    /// XOA-1. The answer to an error is an empty line (XOA-3).
    pub fn start(credentials: &Credentials) -> Result<(Self, Vec<u8>), &'static str> {
        let message = |credentials: &Credentials| {
            let (user, token) = (&credentials.user, &credentials.secret);
            format!("user={user}{SEPARATOR}auth=Bearer {token}{SEPARATOR}{SEPARATOR}")
        };
        let (client, message) = oauth::Client::start(credentials, message, b"")?;
        Ok((Self(client), message))
    }

    pub fn challenge(self, error: &[u8]) -> ClientStep {
        self.0.challenge(error)
    }
}
