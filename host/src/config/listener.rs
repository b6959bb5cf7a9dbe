//! `[[listener]]`: an address to accept connections on, and what holds for them.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

use super::reader::{Section, Value, nearest, one_of};
use super::{Extensions, keys, rules};

/// How TLS comes to a listener's connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenerTls {
    /// Never.
    None,
    /// By the STARTTLS command (RFC 3207).
    Starttls,
    /// Before the greeting (RFC 8314 section 3.3).
    Implicit,
}

/// Whether peers must say who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenerAuth {
    /// MAIL without an identity gets 530.
    Required,
    /// AUTH is offered and may be left out.
    Optional,
    /// AUTH is not offered; `networks` says who may connect.
    Off,
}

/// SASL mechanisms of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// [MS-SMTPNTLM].
    Ntlm,
    /// [MS-XLOGIN].
    Login,
    /// RFC 4616.
    Plain,
}

impl Mechanism {
    /// All of them, the strongest first.
    pub const ALL: [Self; 3] = [Self::Ntlm, Self::Login, Self::Plain];

    /// As the configuration file writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ntlm => "ntlm",
            Self::Login => "login",
            Self::Plain => "plain",
        }
    }
}

/// Mechanisms of later versions.
const LATER: [&str; 8] = [
    "scram-sha-256-plus",
    "scram-sha-256",
    "scram-sha-1-plus",
    "scram-sha-1",
    "cram-md5",
    "xoauth2",
    "oauthbearer",
    "external",
];

/// An address to accept connections on, and what holds for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Where. Default port 587 of all addresses, or 465 if `tls` is implicit.
    pub address: SocketAddr,
    /// How TLS comes. Default implicit on port 465, which is registered for that, else STARTTLS.
    pub tls: ListenerTls,
    /// Whether peers must authenticate. Default required (RFC 6409 section 4.3).
    pub auth: ListenerAuth,
    /// Who may connect. Default `None`: everybody. Never `None` where `auth` is off.
    pub networks: Option<Vec<IpNet>>,
    /// Who may relay without an identity. Default: nobody.
    pub relay_networks: Vec<IpNet>,
    /// PLAIN and LOGIN without TLS too. Default false (RFC 4954 section 4).
    pub clear_text: bool,
    /// What AUTH offers, in this order. Default NTLM, LOGIN, PLAIN: the strongest first, since
    /// many clients take the first that they know.
    pub mechanisms: Vec<Mechanism>,
    /// A bare LF counts as CRLF. Default false: refused, because servers that take it can be made
    /// to see two messages in one (RFC 5321 section 2.3.8).
    pub bare_lf_convert: bool,
    /// Also `AUTH=LOGIN ...` in EHLO, for old Outlook and devices. Default false: not the standard.
    pub legacy_auth_line: bool,
    /// Bcc stays in messages. Default false: a submission server removes it (profile R6409-8-e).
    pub keep_bcc: bool,
    /// Whether address fields of the header must have fully qualified domains. Default true: RFC
    /// 6409 section 4.2 demands it; scanners that write `From: scanner@printer` need it off.
    pub check_header_domains: bool,
    /// What EHLO offers. Default: what `[extensions]` says, key by key.
    pub extensions: Extensions,
}

impl Listener {
    fn at(address: SocketAddr, tls: ListenerTls, extensions: Extensions) -> Self {
        Self {
            address,
            tls,
            auth: ListenerAuth::Required,
            networks: None,
            relay_networks: Vec::new(),
            clear_text: false,
            mechanisms: Mechanism::ALL.to_vec(),
            bare_lf_convert: false,
            legacy_auth_line: false,
            keep_bcc: false,
            check_header_domains: true,
            extensions,
        }
    }

    /// What a file without listeners gives.
    pub fn defaults(extensions: Extensions) -> Vec<Self> {
        vec![
            Self::at(everywhere(587), ListenerTls::Starttls, extensions),
            Self::at(everywhere(465), ListenerTls::Implicit, extensions),
        ]
    }

    /// Whether `peer` may connect. An IPv4 peer of a dual-stack socket counts as IPv4.
    pub fn admits(&self, peer: IpAddr) -> bool {
        self.networks
            .as_ref()
            .is_none_or(|networks| contains(networks, peer))
    }

    /// Whether `peer` may relay without an identity (profile R6409-3.3): it is in
    /// `relay_networks`, or in `networks` of a listener without AUTH.
    pub fn lets_relay(&self, peer: IpAddr) -> bool {
        let open = self.auth == ListenerAuth::Off
            && self
                .networks
                .as_ref()
                .is_some_and(|networks| contains(networks, peer));
        open || contains(&self.relay_networks, peer)
    }

    /// Whether AUTH can ever offer `mechanism` here: LOGIN and PLAIN need TLS or `clear-text`.
    pub fn offers(&self, mechanism: Mechanism) -> bool {
        let private =
            mechanism == Mechanism::Ntlm || self.tls != ListenerTls::None || self.clear_text;
        self.auth != ListenerAuth::Off && private && self.mechanisms.contains(&mechanism)
    }

    pub(super) fn read_all(top: &Section<'_>, extensions: Extensions) -> Vec<Self> {
        let Some(sections) = top.sections("listener", &keys::LISTENER) else {
            return Self::defaults(extensions);
        };
        if sections.is_empty() {
            top.error(
                "listener",
                "is empty; leave it out for the ports 587 and 465",
            );
            return Self::defaults(extensions);
        }
        let mut listeners = Vec::new();
        let mut addresses = Vec::new();
        for section in &sections {
            let (listener, address) = Self::read(section, extensions);
            rules::listener(section, &listener);
            listeners.push(listener);
            addresses.push(address);
        }
        rules::addresses(&sections, &addresses);
        listeners
    }

    /// The listener, and its address unless that was wrong.
    fn read(section: &Section<'_>, extensions: Extensions) -> (Self, Option<SocketAddr>) {
        let tls = section.value("tls").and_then(|value| {
            value.choice(&[
                ("none", ListenerTls::None),
                ("starttls", ListenerTls::Starttls),
                ("implicit", ListenerTls::Implicit),
            ])
        });
        let default = everywhere(if tls == Some(ListenerTls::Implicit) {
            465
        } else {
            587
        });
        let good = section
            .value("address")
            .map_or(Some(default), |value| read_address(&value));
        let address = good.unwrap_or(default);
        let tls = tls.unwrap_or(match address.port() {
            465 => ListenerTls::Implicit,
            _ => ListenerTls::Starttls,
        });
        let auth = section.value("auth").and_then(|value| {
            value.choice(&[
                ("required", ListenerAuth::Required),
                ("optional", ListenerAuth::Optional),
                ("off", ListenerAuth::Off),
            ])
        });
        let flag = |key| {
            section
                .value(key)
                .and_then(|value| value.boolean())
                .unwrap_or(false)
        };
        let listener = Self {
            auth: auth.unwrap_or(ListenerAuth::Required),
            networks: section.value("networks").map(|value| read_networks(&value)),
            relay_networks: section
                .value("relay-networks")
                .map(|value| read_networks(&value))
                .unwrap_or_default(),
            clear_text: flag("clear-text"),
            mechanisms: section
                .value("mechanisms")
                .map_or_else(|| Mechanism::ALL.to_vec(), |value| read_mechanisms(&value)),
            bare_lf_convert: section
                .value("bare-lf")
                .and_then(|value| value.choice(&[("reject", false), ("convert", true)]))
                .unwrap_or(false),
            legacy_auth_line: flag("legacy-auth-line"),
            keep_bcc: flag("keep-bcc"),
            check_header_domains: section
                .value("check-header-domains")
                .and_then(|value| value.boolean())
                .unwrap_or(true),
            ..Self::at(address, tls, read_extensions(section, extensions))
        };
        (listener, good)
    }
}

fn read_extensions(section: &Section<'_>, others: Extensions) -> Extensions {
    match section.value("extensions") {
        Some(value) => Extensions::read(&value.section(&keys::LISTENER_EXTENSIONS), &others),
        None => others,
    }
}

fn everywhere(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))
}

fn contains(networks: &[IpNet], peer: IpAddr) -> bool {
    let peer = peer.to_canonical();
    networks.iter().any(|network| network.contains(&peer))
}

fn read_address(value: &Value<'_>) -> Option<SocketAddr> {
    let text = value.text()?;
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let right = match text.rsplit_once(':') {
        _ if text.parse::<IpAddr>().is_ok() => match text.parse::<IpAddr>() {
            Ok(IpAddr::V6(address)) => format!("the port is missing: \"[{address}]:587\""),
            _ => format!("the port is missing: \"{text}:587\""),
        },
        Some(("" | "*", port)) => format!("use \"[::]:{port}\" for all addresses"),
        Some((_, port)) if port.parse::<u16>().is_ok() => format!(
            "use the number of an address, or \"[::]:{port}\" for all (IPv6 in square brackets)"
        ),
        None if text.parse::<u16>().is_ok() => format!("use \"[::]:{text}\" for all addresses"),
        _ => "use \"[::]:587\" for all addresses, or \"192.0.2.1:587\" for one".to_owned(),
    };
    value.error(format!("\"{text}\" is no address with a port; {right}"));
    None
}

/// Networks, or single addresses.
fn read_networks(value: &Value<'_>) -> Vec<IpNet> {
    let elements = value.list().unwrap_or_default();
    elements.iter().filter_map(read_network).collect()
}

fn read_network(value: &Value<'_>) -> Option<IpNet> {
    let text = value.text()?;
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => match text.parse::<IpNet>() {
            Ok(network) => network,
            Err(_) => {
                value.error(format!(
                    "\"{text}\" is no network; use \"192.0.2.0/24\" or \"2001:db8::/32\""
                ));
                return None;
            }
        },
    };
    if network != network.trunc() {
        value.error(format!(
            "\"{text}\" is an address inside a network; use \"{}\" for the network or \"{}\" for \
             the address",
            network.trunc(),
            network.addr()
        ));
        return None;
    }
    if let IpAddr::V6(address) = network.network()
        && let Some(mapped) = address.to_ipv4_mapped()
        && network.prefix_len() >= 96
    {
        // Peers are compared in their canonical form, so this one would never match.
        value.error(format!(
            "\"{text}\" is IPv4 in IPv6 clothes; use \"{mapped}/{}\"",
            network.prefix_len() - 96
        ));
        return None;
    }
    Some(network)
}

fn read_mechanisms(value: &Value<'_>) -> Vec<Mechanism> {
    let mut mechanisms = Vec::new();
    let names = Mechanism::ALL.map(Mechanism::name);
    for element in value.list().unwrap_or_default() {
        let Some(text) = element.text() else { continue };
        let known = Mechanism::ALL
            .into_iter()
            .find(|mechanism| mechanism.name() == text);
        match known {
            Some(mechanism) if mechanisms.contains(&mechanism) => {
                element.warning(format!("\"{text}\" is listed twice"));
            }
            Some(mechanism) => mechanisms.push(mechanism),
            None if LATER.contains(&text) => {
                element.error(format!(
                    "\"{text}\": not in this version; use {}",
                    one_of(&names)
                ));
            }
            None => {
                let all: Vec<&str> = names.iter().chain(&LATER).copied().collect();
                let near = nearest(text, &all).map(|near| format!("; nearest: \"{near}\""));
                element.error(format!(
                    "\"{text}\" is not known; use {}{}",
                    one_of(&names),
                    near.unwrap_or_default()
                ));
            }
        }
    }
    mechanisms
}
