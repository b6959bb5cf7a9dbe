//! What XOAUTH2 and OAUTHBEARER (RFC 7628) have in common on the server's side.
//!
//! ```text
//!   user=...^Aauth=Bearer TOKEN^A^A  ->   [the host judges]   ->  235
//!                                         refused: <- {"status":...}
//!   ^A, an empty line, anything      ->                       ->  535
//! ```

use super::oauth::SEPARATOR;
use super::server::{SaslRefusal, ServerStep, Turn};
use super::{oauthbearer, xoauth2};
use crate::contract::{
    Mechanism,
    server::{Question, TokenCheck},
};
use crate::parked::{Reader, Writer};
use alloc::{string::String, vec::Vec};

/// Where an exchange stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Server {
    /// The client's message is awaited.
    Message,
    /// The host's answer is awaited.
    Asked,
    /// The token was refused and the client told why: whatever it answers, it is the end.
    Refused,
}

/// The client's message.
#[derive(PartialEq, Eq)]
pub(super) struct Message<'a> {
    /// Authorization identity, or empty.
    pub authorization: String,
    /// User named beside the token, or empty.
    pub user: &'a str,
    /// The token, if there is one that could be right.
    pub token: Option<&'a str>,
}

impl Server {
    /// R4954-4-e: without an initial response an empty challenge asks for it.
    pub fn start(mechanism: Mechanism, initial: Option<&[u8]>) -> Turn<Self> {
        match initial {
            None => (Some(Self::Message), ServerStep::Challenge(Vec::new())),
            Some(message) => Self::Message.respond(mechanism, message),
        }
    }

    pub fn respond(self, mechanism: Mechanism, response: &[u8]) -> Turn<Self> {
        match self {
            Self::Message => judge(mechanism, response),
            // The session asks for no response here.
            Self::Asked => (None, ServerStep::Refuse(SaslRefusal::Malformed)),
            // XOA-2, R7628-3.2.
            Self::Refused => (None, ServerStep::Refuse(SaslRefusal::Wrong)),
        }
    }

    /// The host, or the token itself, says no.
    pub fn refuse(mechanism: Mechanism) -> Turn<Self> {
        let error = match mechanism {
            Mechanism::Oauthbearer => oauthbearer::ERROR,
            _ => xoauth2::ERROR,
        };
        let step = ServerStep::Challenge(error.as_bytes().to_vec());
        (Some(Self::Refused), step)
    }

    pub fn write(self, writer: &mut Writer) {
        writer.u8(match self {
            Self::Message => 0,
            Self::Asked => 1,
            Self::Refused => 2,
        });
    }

    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(match reader.u8()? {
            0 => Self::Message,
            1 => Self::Asked,
            2 => Self::Refused,
            _ => return None,
        })
    }
}

/// XOA-2, R7628-3.1.
fn judge(mechanism: Mechanism, message: &[u8]) -> Turn<Server> {
    let parsed = core::str::from_utf8(message)
        .ok()
        .and_then(|message| match mechanism {
            Mechanism::Oauthbearer => oauthbearer::parse(message),
            _ => xoauth2::parse(message),
        });
    let Some(message) = parsed else {
        return (None, ServerStep::Refuse(SaslRefusal::Malformed));
    };
    // R4954-4-o: nobody has an empty name. OAUTHBEARER names no user.
    if mechanism == Mechanism::Xoauth2 && message.user.is_empty() {
        return (None, ServerStep::Refuse(SaslRefusal::Wrong));
    }
    let Some(token) = message.token else {
        return Server::refuse(mechanism);
    };
    let check = TokenCheck {
        mechanism,
        authorization: message.authorization,
        user: message.user.into(),
        token: token.into(),
    };
    (Some(Server::Asked), ServerStep::Ask(Question::Token(check)))
}

/// `key=value` pairs, each with its separator, and a last separator; `None` if that is no list of
/// them.
pub(super) fn pairs(list: &str) -> Option<Vec<(&str, &str)>> {
    // RFC 7628 section 3.1: VCHAR, SP, HTAB, CR and LF.
    let fits = |character: char| !character.is_control() || matches!(character, '\t' | '\r' | '\n');
    let list = list.strip_suffix(SEPARATOR)?;
    let list = match list.strip_suffix(SEPARATOR) {
        Some(list) => list,
        // No pair, and so none that ends.
        None if list.is_empty() => return Some(Vec::new()),
        None => return None,
    };
    list.split(SEPARATOR)
        .map(|pair| {
            let (key, value) = pair.split_once('=')?;
            let is_key = !key.is_empty() && key.bytes().all(|octet| octet.is_ascii_alphabetic());
            (is_key && value.chars().all(fits)).then_some((key, value))
        })
        .collect()
}

/// The token of a `Bearer` value (RFC 6750 section 2.1, the scheme in any case); `None` where there
/// is none, or octets that no token has.
pub(super) fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim_matches(' ');
    let is_token = !token.is_empty() && token.bytes().all(|octet| octet.is_ascii_graphic());
    (scheme.eq_ignore_ascii_case("Bearer") && is_token).then_some(token)
}
