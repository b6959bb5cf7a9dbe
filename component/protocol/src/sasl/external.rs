//! EXTERNAL (RFC 4422 appendix A): who the client is, the TLS layer has shown; the message says who
//! to be, or nothing.

use super::server::{SaslRefusal, ServerStep, Turn};
use crate::contract::{client::Credentials, server::Question};
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

    /// R4422-A: empty for the certificate's own identity; another one the host judges.
    pub fn respond(self, message: &[u8]) -> Turn<Self> {
        let step = match core::str::from_utf8(message) {
            // RFC 4422 section A.2: UTF-8 without NUL.
            Ok(identity) if !identity.contains('\0') => {
                ServerStep::Ask(Question::External(identity.into()))
            }
            _ => ServerStep::Refuse(SaslRefusal::Malformed),
        };
        (None, step)
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

/// The client's only message: the authorization identity, empty for that of the certificate.
pub(super) fn message(credentials: &Credentials) -> Result<Vec<u8>, &'static str> {
    // RFC 4422 section A.2: UTF-8 without NUL.
    if credentials.user.contains('\0') {
        return Err("the user name has a NUL");
    }
    Ok(credentials.user.clone().into_bytes())
}
