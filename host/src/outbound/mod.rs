//! Outbound connections: the component's client session, driven over a socket.
//!
//! ```text
//!   open -> connect (RFC 5321 section 5.1: every address in turn)
//!        -> [implicit TLS: handshake] -> the loop of `wit/submission.wit` until `ready`
//!   submit -> the loop until `ready` or the end; any number of messages on one connection
//!   quit -> the loop until the end
//! ```
//!
//! ```text
//!   dialogue   THE loop: what the session wants next, until it is ready or over
//!   action     carrying out one call's actions, in order
//!   hear       the server's octets, its silence and its end (RFC 5321 section 4.5.3.2)
//!   feed       the message, run by run
//!   secure     STARTTLS and implicit TLS (RFC 3207, RFC 8314), and what the host insists on
//!   trust      whose certificates are good
//!   connect    names and addresses
//!   wire       the socket, in clear or under TLS
//!   trace      the dialogue as a person may see it, without secrets
//! ```
//!
//! The host believes no build: a session gets credentials only where the host's own TLS state
//! allows the mechanism, and no message where TLS is required and missing.
//!
//! Not here: routes, MX, retries (`relay`), and what SMTP says (the component).

mod action;
mod connect;
mod dialogue;
mod feed;
mod hear;
pub mod resolve;
mod secure;
#[cfg(test)]
mod tests;
mod timeouts;
pub mod trace;
pub mod trust;
mod wire;

pub use dialogue::Dialogue;
pub use timeouts::Timeouts;
pub use trace::{Side, Trace};
pub use trust::{Trust, TrustError, Witness};

use crate::sandbox::SandboxError;
use crate::sandbox::v0_1::client::{Credentials, Failure};
use crate::sandbox::v0_1::types::{Mechanism, Reply};
use async_trait::async_trait;
use std::sync::Arc;

/// What TLS means on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// No TLS.
    Off,
    /// STARTTLS where it is offered, with whatever certificate (R3207-6-b).
    Opportunistic,
    /// No MAIL and no AUTH without STARTTLS; the certificate is good, unless the target trusts
    /// everybody (R3207-6-a).
    Required,
    /// The handshake comes first (RFC 8314 section 3.3); the certificate as with `Required`.
    Implicit,
}

/// Where to go, and how.
#[derive(Debug, Clone)]
pub struct Target {
    /// Name or IP address (without brackets). Also the name that NTLM binds to.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// What TLS means.
    pub security: Security,
    /// Name in the certificate, also sent as SNI; `host` without it.
    pub tls_name: Option<String>,
    /// Whose certificates are good.
    pub trust: Arc<Trust>,
    /// Name for EHLO; without it the address literal of our end of the connection (CL-ehlo-name).
    pub hostname: Option<String>,
    /// LHLO, and a reply per recipient (RFC 2033).
    pub lmtp: bool,
}

/// Who to be, and how to prove it.
#[derive(Clone, Default)]
pub struct Login {
    /// In order of preference; none: do not authenticate.
    pub mechanisms: Vec<Mechanism>,
    /// Whether PLAIN and LOGIN may be used without TLS or under unverified TLS (CL-mech-clear,
    /// CL-mech-verified). Default: no.
    pub clear_text: bool,
    /// Where credentials come from; none: the session goes on without, or fails.
    pub provider: Option<Arc<dyn Provider>>,
}

impl Login {
    /// What is left of it on a connection that lost its TLS (R3207-6-b); `None`: nothing is, though
    /// authentication is wanted.
    fn without_clear_text(&self) -> Option<Self> {
        let mechanisms: Vec<_> = self
            .mechanisms
            .iter()
            .copied()
            .filter(|mechanism| !shows_secret(*mechanism))
            .collect();
        if mechanisms.is_empty() && !self.mechanisms.is_empty() {
            return None;
        }
        Some(Self {
            mechanisms,
            clear_text: false,
            provider: self.provider.clone(),
        })
    }
}

/// Where credentials come from.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Who to be with this mechanism; asked anew for each attempt. None: there is nobody to be.
    async fn credentials(&self, mechanism: Mechanism) -> Option<Credentials>;
}

/// CL-mech-clear: mechanisms that give the secret itself to whoever is at the other end.
fn shows_secret(mechanism: Mechanism) -> bool {
    matches!(
        mechanism,
        Mechanism::Login | Mechanism::Plain | Mechanism::Xoauth2 | Mechanism::Oauthbearer
    )
}

/// Why there is no dialogue.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The name has no address, or nobody could say.
    #[error("cannot find an address of {host}")]
    Unknown {
        /// The name.
        host: String,
        /// Why.
        source: std::io::Error,
    },
    /// No address of the name took the connection.
    #[error("cannot connect to {host} port {port}: {reasons}")]
    Connect {
        /// The name.
        host: String,
        /// The port.
        port: u16,
        /// Each address, and why not.
        reasons: String,
    },
    /// The session failed.
    #[error("{}", told(.0))]
    Failed(Box<Failure>),
    /// The component, not the server.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

impl OutboundError {
    /// Whether trying again later can help.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unknown { .. } | Self::Connect { .. } => true,
            Self::Failed(failure) => failure.temporary,
            Self::Sandbox(_) => false,
        }
    }
}

/// A failure for a person: what went wrong, and the server's words.
pub fn told(failure: &Failure) -> String {
    match &failure.reply {
        Some(reply) => format!("{} (the server said: {})", failure.text, spoken(reply)),
        None => failure.text.clone(),
    }
}

/// A reply on one line: code, enhanced status code, text.
pub fn spoken(reply: &Reply) -> String {
    let mut text = reply.code.to_string();
    if let Some((class, subject, detail)) = reply.status {
        text.push_str(&format!(" {class}.{subject}.{detail}"));
    }
    for line in &reply.lines {
        text.push(' ');
        text.push_str(&trace::printable(line));
    }
    text
}
