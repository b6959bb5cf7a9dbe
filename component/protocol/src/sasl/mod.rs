//! SASL mechanisms in AUTH (RFC 4954 section 4, RFC 4422): a file each, both sides.
//!
//! ```text
//!   server: AUTH -> start -> Challenge | Text -> respond -> ... -> Ask -> conclude -> Granted
//!                                                             \-> Refuse         \-> Refuse
//!   client: start -> [initial response] -> challenge -> Respond -> ... | Concede -> refusal
//!                                               \-> Derive -> derived   | Cancel | Distrust
//! ```
//!
//! An exchange sees decoded octets on the server's side, the raw text of the 334 on the client's
//! (NTLM's may be no base64). Not here: base64 and cancelling of the server's side, replies, and
//! which mechanism may be used when: those are the sessions' (`server`, `client`). Nor who is who:
//! that is the host's, which is asked.

mod client;
mod cram_md5;
mod external;
mod gs2;
mod login;
mod ntlm;
mod ntlm_client;
mod oauth;
mod oauthbearer;
mod plain;
mod scram_client;
mod server;
#[cfg(test)]
mod tests;
mod xoauth2;

pub use client::{ClientContext, ClientExchange, ClientStep};
pub use server::{SaslRefusal, ServerConclusion, ServerContext, ServerExchange, ServerStep};

use crate::contract::{Mechanism, TlsFacts};

/// A mechanism of the server role: its sessions neither offer nor start another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Login,
    Ntlm,
    Plain,
}

impl Known {
    fn of(mechanism: Mechanism) -> Option<Self> {
        match mechanism {
            Mechanism::Login => Some(Self::Login),
            Mechanism::Ntlm => Some(Self::Ntlm),
            Mechanism::Plain => Some(Self::Plain),
            Mechanism::CramMd5
            | Mechanism::ScramSha1
            | Mechanism::ScramSha1Plus
            | Mechanism::ScramSha256
            | Mechanism::ScramSha256Plus
            | Mechanism::Xoauth2
            | Mechanism::Oauthbearer
            | Mechanism::External => None,
        }
    }

    fn mechanism(self) -> Mechanism {
        match self {
            Self::Login => Mechanism::Login,
            Self::Ntlm => Mechanism::Ntlm,
            Self::Plain => Mechanism::Plain,
        }
    }
}

/// Whether this mechanism can be used under this TLS, if there is any; else what it needs. Not
/// here: which mechanism may see the password, which is the client session's.
pub fn client_needs(mechanism: Mechanism, facts: Option<&TlsFacts>) -> Option<&'static str> {
    match (mechanism, facts) {
        (Mechanism::ScramSha1Plus | Mechanism::ScramSha256Plus, facts)
            if facts.and_then(scram_client::binding).is_none() =>
        {
            Some("a channel binding")
        }
        // R4422-A: the certificate is shown there.
        (Mechanism::External, None) => Some("TLS"),
        _ => None,
    }
}

/// Whether the server role has this mechanism.
pub fn supports(mechanism: Mechanism) -> bool {
    Known::of(mechanism).is_some()
}
