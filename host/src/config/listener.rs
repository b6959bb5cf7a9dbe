//! `[[listener]]`: an address to accept connections on, and what holds for them.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use ipnet::IpNet;

use super::reader::{Section, Value, nearest, one_of};
use super::{AuthSettings, Backend, Extensions, keys, rules};

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
    /// RFC 4422 appendix A: the client's certificate.
    External,
    /// RFC 7677 with channel binding.
    ScramSha256Plus,
    /// RFC 5802 with channel binding.
    ScramSha1Plus,
    /// RFC 7677.
    ScramSha256,
    /// RFC 5802.
    ScramSha1,
    /// [MS-SMTPNTLM].
    Ntlm,
    /// RFC 2195.
    CramMd5,
    /// [MS-XLOGIN].
    Login,
    /// RFC 4616.
    Plain,
    /// RFC 7628.
    Oauthbearer,
    /// XOAUTH2 of Google and Microsoft.
    Xoauth2,
}

impl Mechanism {
    /// All of them, the strongest first; then those for tokens, which whoever has one looks for by
    /// name.
    pub const ALL: [Self; 11] = [
        Self::External,
        Self::ScramSha256Plus,
        Self::ScramSha1Plus,
        Self::ScramSha256,
        Self::ScramSha1,
        Self::Ntlm,
        Self::CramMd5,
        Self::Login,
        Self::Plain,
        Self::Oauthbearer,
        Self::Xoauth2,
    ];

    /// Those of a listener that names none. Not SCRAM-SHA-1 and CRAM-MD5, which need more verifiers
    /// of each password and are for clients that know nothing better; EXTERNAL only where
    /// certificates are asked for.
    pub const DEFAULT: [Self; 5] = [
        Self::ScramSha256Plus,
        Self::ScramSha256,
        Self::Ntlm,
        Self::Login,
        Self::Plain,
    ];

    /// [`Mechanism::DEFAULT`] as far as somebody can verify it, and those for tokens where issuers of
    /// tokens are known.
    fn verifiable(auth: &AuthSettings) -> impl Iterator<Item = Self> {
        let passwords = (auth.backend != Backend::Oauth).then_some(Self::DEFAULT);
        let tokens = (!auth.issuers.is_empty()).then_some([Self::Oauthbearer, Self::Xoauth2]);
        passwords
            .into_iter()
            .flatten()
            .chain(tokens.into_iter().flatten())
    }

    /// Whether it takes an access token.
    pub fn takes_token(self) -> bool {
        matches!(self, Self::Oauthbearer | Self::Xoauth2)
    }

    /// As the configuration file writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::External => "external",
            Self::ScramSha256Plus => "scram-sha-256-plus",
            Self::ScramSha1Plus => "scram-sha-1-plus",
            Self::ScramSha256 => "scram-sha-256",
            Self::ScramSha1 => "scram-sha-1",
            Self::Ntlm => "ntlm",
            Self::CramMd5 => "cram-md5",
            Self::Login => "login",
            Self::Plain => "plain",
            Self::Oauthbearer => "oauthbearer",
            Self::Xoauth2 => "xoauth2",
        }
    }

    /// Whether it shows the password itself (R4954-4-l).
    pub fn shows_password(self) -> bool {
        matches!(self, Self::Login | Self::Plain)
    }

    /// Whether it is one of the four of SCRAM.
    pub fn is_scram(self) -> bool {
        self == Self::ScramSha256 || self == Self::ScramSha1 || self.binds()
    }

    /// Whether it is bound to the TLS channel.
    pub fn binds(self) -> bool {
        matches!(self, Self::ScramSha256Plus | Self::ScramSha1Plus)
    }
}

/// Whether clients are asked for a certificate in the TLS handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificates {
    /// No.
    Off,
    /// Yes; who has none goes on without.
    Asked,
    /// Yes; who has none gets 554 (RFC 3207 section 4.1).
    Required,
}

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
    /// What AUTH offers, in this order. Default [`Mechanism::DEFAULT`], after EXTERNAL where
    /// certificates are asked for: the strongest first, since many clients take the first that
    /// they know; then those for tokens, with `[[auth.issuer]]`.
    pub mechanisms: Vec<Mechanism>,
    /// The file names no mechanisms.
    pub mechanisms_by_default: bool,
    /// Whether clients are asked for a certificate. Default off: many mail programs ask their user
    /// which one to show.
    pub client_certificate: ClientCertificates,
    /// Whose client certificates are good; PEM. Given if they are asked for. No default: public
    /// authorities vouch for anybody.
    pub client_authorities: Option<PathBuf>,
    /// A good client certificate may relay without AUTH (profile R6409-3.3). Default false: it says
    /// who somebody is, and AUTH EXTERNAL makes use of that with sender rights.
    pub relay_certificates: bool,
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
    fn at(
        address: SocketAddr,
        tls: ListenerTls,
        mechanisms: Vec<Mechanism>,
        extensions: Extensions,
    ) -> Self {
        Self {
            address,
            tls,
            auth: ListenerAuth::Required,
            networks: None,
            relay_networks: Vec::new(),
            clear_text: false,
            mechanisms,
            mechanisms_by_default: true,
            client_certificate: ClientCertificates::Off,
            client_authorities: None,
            relay_certificates: false,
            bare_lf_convert: false,
            legacy_auth_line: false,
            keep_bcc: false,
            check_header_domains: true,
            extensions,
        }
    }

    /// What a file without listeners gives.
    pub fn defaults(auth: &AuthSettings, extensions: Extensions) -> Vec<Self> {
        let at = |port, tls| {
            let mechanisms = Mechanism::verifiable(auth).collect();
            Self::at(everywhere(port), tls, mechanisms, extensions)
        };
        vec![
            at(587, ListenerTls::Starttls),
            at(465, ListenerTls::Implicit),
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

    /// Whether AUTH can ever offer `mechanism` here: LOGIN and PLAIN need TLS or `clear-text`,
    /// -PLUS and tokens need TLS, EXTERNAL a certificate.
    pub fn offers(&self, mechanism: Mechanism) -> bool {
        let tls = self.tls != ListenerTls::None;
        let possible = match mechanism {
            Mechanism::Login | Mechanism::Plain => tls || self.clear_text,
            Mechanism::ScramSha256Plus
            | Mechanism::ScramSha1Plus
            | Mechanism::Oauthbearer
            | Mechanism::Xoauth2 => tls,
            Mechanism::External => tls && self.client_certificate != ClientCertificates::Off,
            _ => true,
        };
        self.auth != ListenerAuth::Off && possible && self.mechanisms.contains(&mechanism)
    }

    pub(super) fn read_all(
        top: &Section<'_>,
        base: &Path,
        auth: &AuthSettings,
        extensions: Extensions,
    ) -> Vec<Self> {
        let Some(sections) = top.sections("listener", &keys::LISTENER) else {
            return Self::defaults(auth, extensions);
        };
        if sections.is_empty() {
            top.error(
                "listener",
                "is empty; leave it out for the ports 587 and 465",
            );
            return Self::defaults(auth, extensions);
        }
        let mut listeners = Vec::new();
        let mut addresses = Vec::new();
        for section in &sections {
            let (listener, address) = Self::read(section, base, auth, extensions);
            rules::listener(section, &listener, auth);
            listeners.push(listener);
            addresses.push(address);
        }
        rules::addresses(&sections, &addresses);
        listeners
    }

    /// The listener, and its address unless that was wrong.
    fn read(
        section: &Section<'_>,
        base: &Path,
        known: &AuthSettings,
        extensions: Extensions,
    ) -> (Self, Option<SocketAddr>) {
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
        let client_certificate = section
            .value("client-certificate")
            .and_then(|value| {
                value.choice(&[
                    ("off", ClientCertificates::Off),
                    ("asked", ClientCertificates::Asked),
                    ("required", ClientCertificates::Required),
                ])
            })
            .unwrap_or(ClientCertificates::Off);
        let mechanisms = section
            .value("mechanisms")
            .map(|value| read_mechanisms(&value));
        let by_default = || {
            let asked = client_certificate != ClientCertificates::Off;
            let external = asked.then_some(Mechanism::External);
            let usual = Mechanism::verifiable(known)
                // Nothing is said about what was not asked for.
                .filter(|mechanism| tls != ListenerTls::None || !mechanism.takes_token());
            external.into_iter().chain(usual).collect()
        };
        let listener = Self {
            client_certificate,
            client_authorities: section
                .value("client-authorities")
                .and_then(|value| value.file(base)),
            relay_certificates: flag("relay-certificates"),
            auth: auth.unwrap_or(ListenerAuth::Required),
            networks: section.value("networks").map(|value| read_networks(&value)),
            relay_networks: section
                .value("relay-networks")
                .map(|value| read_networks(&value))
                .unwrap_or_default(),
            clear_text: flag("clear-text"),
            mechanisms_by_default: mechanisms.is_none(),
            mechanisms: mechanisms.unwrap_or_else(by_default),
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
            ..Self::at(
                address,
                tls,
                Vec::new(),
                read_extensions(section, extensions),
            )
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
            None => {
                let near = nearest(text, &names).map(|near| format!("; nearest: \"{near}\""));
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
