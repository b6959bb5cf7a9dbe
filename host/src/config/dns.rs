//! `[dns]`: who knows the addresses and mail exchangers of domains.

use std::net::{IpAddr, SocketAddr};

use super::reader::{Section, Value};
use crate::outbound::resolve::Word;

/// RFC 1035 section 4.2
const PORT: u16 = 53;

/// Who knows the addresses and mail exchangers of domains.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dns {
    /// Name servers, asked instead of the system's. Default: none, so that the service knows what
    /// its host knows (`/etc/resolv.conf`).
    pub servers: Vec<SocketAddr>,
    /// These servers check DNSSEC, and the way to them is safe: an answer that they mark as
    /// authentic is one (RFC 4035 section 3.2.3). REQUIRETLS needs it where servers are found by MX
    /// records. Default false: the mark of a server that anybody could speak for proves nothing.
    pub trusted: bool,
}

impl Dns {
    /// What the servers' word on DNSSEC is worth.
    pub fn word(&self) -> Word {
        if self.trusted {
            Word::Trusted
        } else {
            Word::Untrusted
        }
    }

    pub(super) fn read(section: &Section<'_>) -> Self {
        Self {
            servers: section
                .value("servers")
                .map(|value| read_servers(&value))
                .unwrap_or_default(),
            trusted: section
                .value("trusted")
                .and_then(|value| value.boolean())
                .unwrap_or(false),
        }
    }
}

fn read_servers(value: &Value<'_>) -> Vec<SocketAddr> {
    let Some(elements) = value.list() else {
        return Vec::new();
    };
    {
        if elements.is_empty() {
            value.error("is empty: nobody would be asked; leave the key out for the system's");
        }
        let mut servers = Vec::new();
        for element in &elements {
            match read_server(element) {
                Some(server) if servers.contains(&server) => element.warning("is listed twice"),
                Some(server) => servers.push(server),
                None => {}
            }
        }
        servers
    }
}

fn read_server(value: &Value<'_>) -> Option<SocketAddr> {
    let text = value.text()?;
    let address = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let server = text
        .parse::<SocketAddr>()
        .or_else(|_| {
            address
                .unwrap_or(text)
                .parse::<IpAddr>()
                .map(|ip| SocketAddr::new(ip, PORT))
        })
        .ok()
        .filter(|server: &SocketAddr| server.port() != 0 && !server.ip().is_unspecified());
    if server.is_none() {
        value.error(format!(
            "\"{text}\" is no address; use \"192.0.2.53:53\" or \"[2001:db8::53]:53\" (a name \
             could not be looked up without a server)"
        ));
    }
    server
}
