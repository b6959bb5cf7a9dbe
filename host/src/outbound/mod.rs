//! Outbound connections: the component's client session, driven over a socket.
//!
//! ```text
//!   open -> connect (RFC 5321 section 5.1: every address)
//!        -> [implicit TLS: handshake] -> the loop of `wit/submission.wit` until `ready`
//!   submit -> the loop until `ready` or the end; any number of messages on one connection
//!   quit -> the loop until the end
//! ```
//!
//! ```text
//!   open       from nothing to a server that takes messages
//!   dialogue   THE loop: what the session wants next, until it is ready or over
//!   action     carrying out one call's actions, in order
//!   hear       the server's octets, its silence and its end (RFC 5321 section 4.5.3.2)
//!   feed       the message, run by run
//!   authenticate   who to be, and what the host insists on first
//!   derive     PBKDF2 for SCRAM (RFC 5802)
//!   secure     STARTTLS and implicit TLS (RFC 3207, RFC 8314)
//!   trust      whose certificates are good
//!   connect    the addresses of a name, side by side (RFC 8305), or a socket of this machine
//!   resolve    who knows names: DNS, the hosts file, the system
//!   login      who to be, and where credentials come from
//!   timeouts   how long to wait for what
//!   error      why there is no dialogue
//!   wire       the socket, in clear or under TLS
//!   trace      the dialogue as a person may see it, without secrets
//! ```
//!
//! The host believes no build: a session gets credentials only where the host's own TLS state
//! allows the mechanism, and no message where TLS is required and missing.
//!
//! Not here: routes, MX, retries (`relay`), and what SMTP says (the component).

mod action;
mod authenticate;
mod connect;
mod derive;
mod dialogue;
mod error;
mod feed;
mod hear;
mod login;
mod open;
pub mod resolve;
mod secure;
#[cfg(test)]
mod tests;
mod timeouts;
pub mod trace;
pub mod trust;
mod wire;

pub use dialogue::Dialogue;
pub use error::{OutboundError, Unopened, spoken, told};
pub use feed::Source;
pub use login::{CredentialsError, Login, Provider};
pub use resolve::{Resolve, ResolveError};
pub use timeouts::Timeouts;
pub use trace::{Side, Trace};
pub use trust::{Trust, TrustError, Witness};

use std::fmt;
use std::path::PathBuf;
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

/// How content goes to a server that may not take it as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Transfer {
    /// 8-bit content becomes quoted-printable or base64 where the server lacks 8BITMIME, and binary
    /// content where it lacks BINARYMIME. Default no: it fails with 5.6.3 or 5.6.1 (CL-8bit).
    pub convert: bool,
    /// BDAT wherever the server offers CHUNKING. Default no: only for binary content (CL-bdat).
    pub chunking: bool,
}

/// Where to go, and how.
#[derive(Clone)]
pub struct Target {
    /// Name or IP address (without brackets). Also the name that NTLM binds to.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// A socket of this machine to connect to instead of `host` and `port`. It has no TLS:
    /// `Opportunistic` is `Off` there, and more is refused.
    pub socket: Option<PathBuf>,
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
    /// How content goes.
    pub transfer: Transfer,
    /// The name was configured, or DNSSEC or MTA-STS proves it: REQUIRETLS asks for that (RFC 8689
    /// section 4.2.1).
    pub proven: bool,
    /// Who knows the addresses of `host`.
    pub resolver: Arc<dyn Resolve>,
    /// How long to wait for what.
    pub timeouts: Timeouts,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("socket", &self.socket)
            .field("security", &self.security)
            .field("tls_name", &self.tls_name)
            .field("hostname", &self.hostname)
            .field("lmtp", &self.lmtp)
            .field("transfer", &self.transfer)
            .field("proven", &self.proven)
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}
