//! Why there is no dialogue.

use super::login::CredentialsError;
use super::resolve::ResolveError;
use super::trace::printable;
use crate::sandbox::SandboxError;
use crate::sandbox::v0_1::client::{Failure, Stage};
use crate::sandbox::v0_1::types::{Reply, TlsFacts};
use std::fmt;

/// A connection that came to nothing, and how far it came.
#[derive(Debug)]
pub struct Unopened {
    /// Why.
    pub error: OutboundError,
    /// The address that took the connection, as [`Dialogue::address`](super::Dialogue::address)
    /// writes it; none: nobody did.
    pub address: Option<String>,
    /// The TLS layer, if it came to that.
    pub tls: Option<TlsFacts>,
    /// Octets in clear came where TLS had to begin (R3207-4.2-c). Only somebody on the way gains
    /// from that, so no connection in clear follows, whatever the target allows.
    pub injected: bool,
    /// The TLS handshake broke off, and not because of the certificate: it may go well another time.
    pub interrupted: bool,
}

impl fmt::Display for Unopened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Unopened {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
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
        source: ResolveError,
    },
    /// No address of the name took the connection.
    #[error("cannot connect to {}: {reasons}", place(host, *port))]
    Connect {
        /// The name, or the path of the socket.
        host: String,
        /// The port; 0: a socket.
        port: u16,
        /// Each address, and why not.
        reasons: String,
    },
    /// There are no credentials to be had. Nothing was said to the server.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
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
            Self::Unknown { .. } | Self::Connect { .. } | Self::Credentials(_) => true,
            Self::Failed(failure) => failure.temporary,
            Self::Sandbox(_) => false,
        }
    }

    /// How far it came.
    pub fn stage(&self) -> Stage {
        match self {
            Self::Unknown { .. } | Self::Connect { .. } => Stage::Connect,
            Self::Credentials(_) => Stage::Authentication,
            Self::Failed(failure) => failure.stage,
            Self::Sandbox(_) => Stage::Ended,
        }
    }
}

fn place(host: &str, port: u16) -> String {
    match port {
        0 => host.to_owned(),
        _ => format!("{host} port {port}"),
    }
}

/// Characters of a failure's text that are passed on at most.
const MOST_TOLD: usize = 1_000;

/// A failure for a person: what went wrong, and the server's words.
pub fn told(failure: &Failure) -> String {
    // The text may repeat what the server offers.
    let text: String = printable(&failure.text).chars().take(MOST_TOLD).collect();
    match &failure.reply {
        Some(reply) => format!("{text} (the server said: {})", spoken(reply)),
        None => text,
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
        text.push_str(&printable(line));
    }
    text
}
