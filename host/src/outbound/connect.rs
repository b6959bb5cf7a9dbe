//! Names and addresses: every address of the target in turn (RFC 5321 section 5.1).

use super::{OutboundError, Target};
use crate::timeout;
use std::io;
use std::net::{IpAddr, SocketAddr};
use tokio::net::{TcpStream, lookup_host};

/// A connection to the first address that takes it.
pub(super) async fn connect(target: &Target) -> Result<TcpStream, OutboundError> {
    let host = target.host.as_str();
    let lookup = tokio::time::timeout(timeout::CONNECT, lookup_host((host, target.port)));
    let addresses = lookup
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(|source| OutboundError::Unknown {
            host: host.to_owned(),
            source,
        })?;
    let mut reasons = Vec::new();
    for address in addresses {
        let attempt = tokio::time::timeout(timeout::CONNECT, TcpStream::connect(address)).await;
        match attempt.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(socket) => {
                // Commands are written whole; waiting for more to send only costs time.
                let _ = socket.set_nodelay(true);
                return Ok(socket);
            }
            Err(error) => reasons.push(format!("{address}: {error}")),
        }
    }
    if reasons.is_empty() {
        reasons.push("the name has no address".into());
    }
    Err(OutboundError::Connect {
        host: host.to_owned(),
        port: target.port,
        reasons: reasons.join("; "),
    })
}

/// The address literal of our end (RFC 5321 section 4.1.3).
pub(super) fn literal(local: SocketAddr) -> String {
    match local.ip().to_canonical() {
        IpAddr::V4(address) => format!("[{address}]"),
        IpAddr::V6(address) => format!("[IPv6:{address}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cl_ehlo_name_is_a_literal_of_our_address() {
        for (address, expected) in [
            ("192.0.2.1:25", "[192.0.2.1]"),
            ("[2001:db8::1]:25", "[IPv6:2001:db8::1]"),
            ("[::ffff:192.0.2.1]:25", "[192.0.2.1]"),
        ] {
            assert_eq!(literal(address.parse().unwrap()), expected);
        }
    }
}
