//! OAUTHBEARER (RFC 7628): a GS2 header, then `host`, `port` and `auth=Bearer ` token, one message.

use super::ClientStep;
use super::oauth::{self, SEPARATOR};
use super::oauth_server::{Message, bearer, pairs};
use super::{ClientContext, gs2};
use crate::contract::client::Credentials;
use alloc::{format, string::String, vec::Vec};

/// What answers a refused token (RFC 7628 section 3.2.2, R7628-3.2).
pub(super) const ERROR: &str = r#"{"status":"invalid_token"}"#;

/// The client's message; `None` if it is none (R7628-3.1). `host`, `port` and unknown keys are
/// ignored; `auth` without a token is no mistake but a question (section 4.3).
pub(super) fn parse(message: &str) -> Option<Message<'_>> {
    let (header, rest) = gs2::Header::parse(message)?;
    // The channel cannot be bound: no version of this mechanism does (section 3.1).
    if let gs2::Binding::Bound(_) = header.binding {
        return None;
    }
    let mut token = None;
    for (key, value) in pairs(rest.strip_prefix(SEPARATOR)?)? {
        if key == "auth" {
            token = bearer(value);
        }
    }
    Some(Message {
        authorization: header.authorization,
        user: "",
        token,
    })
}

/// The client has sent its message.
pub(super) struct Client(oauth::Client);

impl Client {
    /// RFC 7628 section 3.1. The answer to an error is the separator alone (R7628-3.2).
    pub fn start(
        credentials: &Credentials,
        context: &ClientContext<'_>,
    ) -> Result<(Self, Vec<u8>), &'static str> {
        let message = |credentials: &Credentials| {
            let authorization = match credentials.user.as_str() {
                "" => String::new(),
                user => format!("a={}", gs2::escaped(user)),
            };
            let (server, port, token) = (context.server, context.port, &credentials.secret);
            let pairs = [
                format!("host={server}"),
                format!("port={port}"),
                format!("auth=Bearer {token}"),
            ];
            // The channel is not bound: no version of this mechanism does (section 3.1).
            let mut message = format!("n,{authorization},{SEPARATOR}");
            for pair in pairs {
                message.push_str(&pair);
                message.push(SEPARATOR);
            }
            message.push(SEPARATOR);
            message
        };
        let (client, message) = oauth::Client::start(credentials, message, &[SEPARATOR as u8])?;
        Ok((Self(client), message))
    }

    pub fn challenge(self, error: &[u8]) -> ClientStep {
        self.0.challenge(error)
    }
}
