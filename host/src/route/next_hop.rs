//! Servers that messages go to.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::oauth::{Bearer, Tokens};
use crate::outbound::{Login, Security, Timeouts, Transfer, Trust};

/// Where a route hands messages to, and how.
#[derive(Clone)]
pub struct NextHop {
    /// The servers.
    pub hops: Hops,
    /// What TLS means; with an [`Upstream`] of implicit TLS that comes first.
    pub security: Security,
    /// Name in the certificate, also sent as SNI, where the server's own name is not it.
    pub tls_name: Option<String>,
    /// Whose certificates are good.
    pub trust: Arc<Trust>,
    /// Who to be; [`NextHop::session_login`] for a connection.
    pub login: Login,
    /// Where access tokens come from, if they are what proves it.
    pub tokens: Option<Arc<Tokens>>,
    /// How content goes.
    pub transfer: Transfer,
    /// How many connections, and for how long.
    pub connections: Connections,
    /// How long to wait for what.
    pub timeouts: Timeouts,
}

/// Which servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hops {
    /// These, the next one where the one before cannot be used. At least one.
    Configured(Vec<Upstream>),
    /// Those that the recipient's domain has in DNS (RFC 5321 section 5.1), on this port.
    Mx {
        /// TCP port; 25 by default.
        port: u16,
    },
}

/// One configured server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Where.
    pub endpoint: Endpoint,
    /// The handshake comes first (RFC 8314 section 3.3).
    pub implicit: bool,
    /// RFC 2033.
    pub lmtp: bool,
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A name or an IP address (without brackets), and a TCP port.
    Host {
        /// Name or address.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// A socket of this machine.
    Unix(PathBuf),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Host { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// How many connections a route may have, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// Of the whole route. Default 20.
    pub most: usize,
    /// To the servers of one domain, where the route goes to several. Default 5.
    pub per_destination: usize,
    /// Messages on one of them at most; a server may want fewer (RFC 9422). Default 100.
    pub messages: u32,
    /// How long one is kept without a message. Default 5 s: servers count open connections.
    pub idle: Duration,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            most: 20,
            per_destination: 5,
            messages: 100,
            idle: Duration::from_secs(5),
        }
    }
}

impl NextHop {
    /// Whether it is an LMTP server: delivery on this site.
    pub fn is_lmtp(&self) -> bool {
        match &self.hops {
            Hops::Configured(upstreams) => upstreams.iter().any(|upstream| upstream.lmtp),
            Hops::Mx { .. } => false,
        }
    }

    /// Whether an administrator named the servers: what goes wrong between us and them is then no
    /// fault of the message (CL-route).
    pub fn is_configured(&self) -> bool {
        matches!(self.hops, Hops::Configured(_))
    }

    /// Who to be on one connection. Each has a [`Bearer`] of its own: when several have the same
    /// token refused, each knows which one it was.
    pub fn session_login(&self) -> Login {
        let mut login = self.login.clone();
        if let Some(tokens) = &self.tokens {
            login.provider = Some(Arc::new(Bearer::new(Arc::clone(tokens))));
        }
        login
    }

    /// Connections that one lane may have.
    pub fn per_lane(&self) -> usize {
        match self.hops {
            Hops::Configured(_) => self.connections.most,
            Hops::Mx { .. } => self.connections.per_destination.min(self.connections.most),
        }
    }
}

impl fmt::Debug for NextHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NextHop")
            .field("hops", &self.hops)
            .field("security", &self.security)
            .field("tls_name", &self.tls_name)
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}
