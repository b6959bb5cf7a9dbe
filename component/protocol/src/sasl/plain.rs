//! PLAIN (RFC 4616): `[authzid] NUL authcid NUL passwd` in one message.

use super::server::{SaslRefusal, ServerStep, Turn};
use crate::contract::{
    client::Credentials,
    server::{PasswordCheck, Question},
};
use crate::parked::{Reader, Writer};
use alloc::vec::Vec;

/// The server awaits the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server;

impl Server {
    /// R4954-4-e: without an initial response an empty challenge asks for it.
    pub fn start(initial: Option<&[u8]>) -> Turn<Self> {
        match initial {
            None => (Some(Self), ServerStep::Challenge(Vec::new())),
            Some(message) => Self.respond(message),
        }
    }

    pub fn respond(self, message: &[u8]) -> Turn<Self> {
        (None, judge(message))
    }

    pub fn write(&self, _: &mut Writer) {}

    // The state has nothing to read.
    #[allow(
        clippy::unnecessary_wraps,
        reason = "every mechanism reads its state the same way"
    )]
    pub fn read(_: &mut Reader<'_>) -> Option<Self> {
        Some(Self)
    }
}

/// R4616-2-a, R4616-2-b.
fn judge(message: &[u8]) -> ServerStep {
    let Some((authorization, user, password)) = parse(message) else {
        return ServerStep::Refuse(SaslRefusal::Malformed);
    };
    if user.is_empty() || password.is_empty() {
        return ServerStep::Refuse(SaslRefusal::Wrong);
    }
    // The user itself is no other identity; whether another is permitted the host knows.
    let authorization = if authorization == user {
        ""
    } else {
        authorization
    };
    ServerStep::Ask(Question::Password(PasswordCheck {
        authorization: authorization.into(),
        user: user.into(),
        password: password.as_bytes().to_vec(),
    }))
}

fn parse(message: &[u8]) -> Option<(&str, &str, &str)> {
    let mut parts = core::str::from_utf8(message).ok()?.split('\0');
    let parts = [parts.next(), parts.next(), parts.next(), parts.next()];
    let [Some(authorization), Some(user), Some(password), None] = parts else {
        return None;
    };
    Some((authorization, user, password))
}

/// The client's only message; no authorization identity of its own.
pub(super) fn message(credentials: &Credentials) -> Result<Vec<u8>, &'static str> {
    let (user, password) = (credentials.user.as_bytes(), credentials.secret.as_bytes());
    // RFC 4616 section 2: it is what stands between them.
    if user.contains(&0) || password.contains(&0) {
        return Err("user name or password has a NUL");
    }
    Ok([b"", user, password].join(&0))
}
