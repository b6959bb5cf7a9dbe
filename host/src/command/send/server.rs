//! Where to go, and what TLS means there.

use super::Refusal;
use crate::command::chain;
use crate::outbound::{Security, Target, Timeouts, Transfer, Trust, resolve};
use clap::ValueEnum;
use serde::Deserialize;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::sync::Arc;

/// RFC 6409 section 3.1.
const SUBMISSION: u16 = 587;
/// RFC 8314 section 7.3.
const SUBMISSIONS: u16 = 465;

/// What `--tls-unverified` gives up.
pub(super) const UNVERIFIED: &str = "the server's certificate is not verified: whoever is on the \
     way can pretend to be the server, read the message and keep it (give a private authority \
     with --tls-ca instead)";

/// What TLS means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Tls {
    /// None: everything goes in clear.
    Off,
    /// STARTTLS; without it nothing is sent.
    Starttls,
    /// From the first octet (RFC 8314).
    Implicit,
}

/// Options that say where to go.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Options {
    /// Name or address of the server; port 587 without one, or 465 with `--tls implicit`.
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) server: String,
    /// What TLS means. Default: implicit on port 465, else starttls.
    #[arg(long)]
    pub(super) tls: Option<Tls>,
    /// Certificate authorities to trust instead of the system's, or the server's own certificate.
    #[arg(long, value_name = "FILE")]
    pub(super) tls_ca: Option<PathBuf>,
    /// Name that the certificate must have. Default: the server's.
    #[arg(long, value_name = "NAME")]
    pub(super) tls_name: Option<String>,
    /// Take any certificate. Gives up knowing who the server is: whoever is on the way can
    /// pretend to be it and read everything.
    #[arg(long, conflicts_with = "tls_ca")]
    pub(super) tls_unverified: bool,
    /// What becomes of 8-bit content where the server lacks 8BITMIME, and of binary content where
    /// it lacks BINARYMIME: nothing is sent, or it becomes quoted-printable or base64 (RFC 6152).
    #[arg(long, value_enum, default_value_t = EightBit::Refuse)]
    pub(super) eight_bit: EightBit,
    /// BDAT instead of DATA where the server offers CHUNKING (RFC 3030).
    #[arg(long)]
    pub(super) chunking: bool,
}

/// What becomes of content that the server cannot take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum EightBit {
    /// Nothing is sent.
    #[default]
    Refuse,
    /// Its transfer encoding changes.
    Convert,
}

impl Options {
    /// The checked target.
    pub(super) fn target(&self, hostname: Option<String>) -> Result<Target, Refusal> {
        let (host, port) = place(&self.server)
            .map_err(|what| Refusal::Usage(format!("--server {}: {what}", self.server)))?;
        let tls = self.tls.unwrap_or(match port {
            Some(SUBMISSIONS) => Tls::Implicit,
            _ => Tls::Starttls,
        });
        if tls == Tls::Off
            && (self.tls_ca.is_some() || self.tls_name.is_some() || self.tls_unverified)
        {
            return Err(Refusal::Usage(
                "--tls off has no certificate: leave --tls-ca, --tls-name and --tls-unverified out"
                    .into(),
            ));
        }
        let trust = match &self.tls_ca {
            _ if self.tls_unverified || tls == Tls::Off => Ok(Trust::anybody()),
            Some(file) => Trust::file(file),
            None => Trust::platform(),
        };
        let trust = trust.map_err(|error| {
            Refusal::Failed(format!(
                "{}; give a readable PEM file with --tls-ca",
                chain(&error)
            ))
        })?;
        let resolver = resolve::system(resolve::Word::Untrusted)
            .map_err(|error| Refusal::Failed(chain(&error)))?;
        Ok(Target {
            host,
            port: port.unwrap_or(match tls {
                Tls::Implicit => SUBMISSIONS,
                Tls::Off | Tls::Starttls => SUBMISSION,
            }),
            socket: None,
            security: match tls {
                Tls::Off => Security::Off,
                Tls::Starttls => Security::Required,
                Tls::Implicit => Security::Implicit,
            },
            tls_name: self.tls_name.clone(),
            trust: Arc::new(trust),
            hostname,
            lmtp: false,
            transfer: Transfer {
                convert: self.eight_bit == EightBit::Convert,
                chunking: self.chunking,
            },
            proven: true,
            resolver,
            timeouts: Timeouts::default(),
        })
    }
}

/// `host`, `host:port`, `[address]`, `[address]:port`, or an IPv6 address alone.
pub(super) fn place(text: &str) -> Result<(String, Option<u16>), String> {
    let number = |port: &str| match port.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(format!("{port} is no port (1 to 65535)")),
    };
    if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']').ok_or("the bracket is not closed")?;
        // RFC 5321 section 4.1.3 writes the tag; people copy it.
        let address = match address.get(..5) {
            Some(tag) if tag.eq_ignore_ascii_case("ipv6:") => &address[5..],
            _ => address,
        };
        if address.parse::<std::net::IpAddr>().is_err() {
            return Err(format!("{address} is no IP address"));
        }
        return match rest.strip_prefix(':') {
            Some(port) => Ok((address.to_owned(), Some(number(port)?))),
            None if rest.is_empty() => Ok((address.to_owned(), None)),
            None => Err(format!("{rest} after the address is no port")),
        };
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Ok((text.to_owned(), None));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(number(port)?)),
        None => (text, None),
    };
    if host.is_empty()
        || !host
            .chars()
            .all(|c| c.is_alphanumeric() || "-._".contains(c))
    {
        return Err("is no host name (an IPv6 address with a port needs brackets)".into());
    }
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_place_is_a_name_or_an_address_with_or_without_a_port() {
        for (text, host, port) in [
            ("mail.example.org", "mail.example.org", None),
            ("mail.example.org:25", "mail.example.org", Some(25)),
            ("192.0.2.1:2525", "192.0.2.1", Some(2525)),
            ("[2001:db8::1]:465", "2001:db8::1", Some(465)),
            ("[IPv6:2001:db8::1]", "2001:db8::1", None),
            ("2001:db8::1", "2001:db8::1", None),
        ] {
            assert_eq!(place(text), Ok((host.to_owned(), port)), "{text}");
        }
        for text in [
            "", ":25", "h:", "h:0", "h:65536", "h:smtp", "[::1", "[::1]x", "[h]:25", "a b", "u@h",
        ] {
            assert!(place(text).is_err(), "{text}");
        }
    }

    fn target(server: &str, tls: Option<Tls>) -> Target {
        let options = Options {
            server: server.into(),
            tls,
            tls_ca: None,
            tls_name: None,
            tls_unverified: tls != Some(Tls::Off),
            eight_bit: EightBit::default(),
            chunking: false,
        };
        match options.target(None) {
            Ok(target) => target,
            Err(Refusal::Usage(text) | Refusal::Failed(text)) => panic!("{text}"),
        }
    }

    // OX-C-3.1
    #[test]
    fn r8314_3_3_port_465_means_implicit_tls() {
        for (server, tls, port, security) in [
            ("h", None, 587, Security::Required),
            ("h:25", None, 25, Security::Required),
            ("h:465", None, 465, Security::Implicit),
            ("h", Some(Tls::Implicit), 465, Security::Implicit),
            ("h", Some(Tls::Off), 587, Security::Off),
            ("h:465", Some(Tls::Starttls), 465, Security::Required),
        ] {
            let target = target(server, tls);
            assert_eq!((target.port, target.security), (port, security), "{server}");
        }
    }

    proptest! {
        #[test]
        fn place_never_panics(text in ".{0,40}") {
            let _ = place(&text);
        }
    }
}
