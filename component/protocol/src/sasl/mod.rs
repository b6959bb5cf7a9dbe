//! SASL mechanisms in AUTH (RFC 4954 section 4, RFC 4422): a file each, both sides.
//!
//! ```text
//!   server: AUTH -> start -> Challenge | Text -> respond -> ... -> Ask -> conclude -> ... -> Grant
//!                        \-> Refuse                  \-> Refuse              \-> Refuse
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
mod oauth_server;
mod oauthbearer;
mod plain;
mod scram_client;
mod scram_server;
mod server;
#[cfg(test)]
mod tests;
mod xoauth2;

pub use client::{ClientContext, ClientExchange, ClientStep};
pub use server::{SaslRefusal, ServerContext, ServerExchange, ServerStep};

use crate::contract::{Mechanism, TlsFacts};

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

/// Whether a server can offer this mechanism under this TLS, if there is any. Not here: which
/// mechanism may see a password in clear, which is the session's.
pub fn server_offers(mechanism: Mechanism, facts: Option<&TlsFacts>) -> bool {
    match mechanism {
        // R5802-6-b: clients bind to what TLS 1.3 exports; under TLS 1.2 they would use
        // tls-unique.
        Mechanism::ScramSha1Plus | Mechanism::ScramSha256Plus => {
            facts.is_some_and(|facts| facts.version == TLS_1_3 && facts.exporter.is_some())
        }
        // R4422-A
        Mechanism::External => facts.is_some_and(|facts| facts.verified),
        _ => true,
    }
}

/// TLS 1.3 among the facts.
const TLS_1_3: &str = "TLSv1.3";
