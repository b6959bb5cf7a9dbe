//! What holds between keys.

use std::net::SocketAddr;

use super::listener::{ClientCertificates, Listener, ListenerAuth, ListenerTls, Mechanism};
use super::reader::Section;
use super::{AuthSettings, Backend, Config, keys};

/// Rules between tables.
pub(super) fn check(config: &Config, top: &Section<'_>) {
    let tokens = [Mechanism::Oauthbearer, Mechanism::Xoauth2];
    if !config.auth.issuers.is_empty() && !tokens.iter().any(|m| config.offers(*m)) {
        top.warning(
            "auth.issuer",
            "has no effect: no listener offers \"oauthbearer\" or \"xoauth2\", which need TLS",
        );
    }
    let encrypted = config
        .listeners
        .iter()
        .any(|listener| listener.tls != ListenerTls::None);
    if encrypted && top.value(keys::TLS_TABLE).is_none() {
        top.warning(
            keys::TLS_TABLE,
            "is absent: listeners show a self-signed certificate, which most clients refuse; name \
             certificate and key in [tls]",
        );
    }
}

/// Rules within one listener.
pub(super) fn listener(section: &Section<'_>, listener: &Listener, auth: &AuthSettings) {
    certificates(section, listener);
    authentication(section, listener);
    verifiable(section, listener, auth);
    networks(section, listener);
    match (listener.address.port(), listener.tls) {
        (465, ListenerTls::None | ListenerTls::Starttls) => section.warning(
            "tls",
            "clients expect implicit TLS on port 465 (RFC 8314 section 3.3); use \"implicit\", or \
             port 587",
        ),
        (587, ListenerTls::Implicit) => section.warning(
            "tls",
            "clients expect STARTTLS on port 587 (RFC 6409); use \"starttls\", or port 465",
        ),
        _ => {}
    }
}

fn authentication(section: &Section<'_>, listener: &Listener) {
    if listener.auth == ListenerAuth::Off {
        if listener.networks.is_none() {
            section.error(
                "networks",
                "is missing: without AUTH it says who may connect and send to anywhere; add \
                 networks = [\"192.0.2.0/24\"]",
            );
        }
        for key in ["mechanisms", "clear-text", "legacy-auth-line"] {
            if section.value(key).is_some() {
                section.warning(key, "has no effect with auth = \"off\"");
            }
        }
        return;
    }
    if listener.mechanisms.is_empty() {
        // Nothing more to say if the list is empty because its elements were wrong.
        if section
            .value("mechanisms")
            .and_then(|value| value.list())
            .is_some_and(|l| l.is_empty())
        {
            section.error(
                "mechanisms",
                "is empty; name one at least, or use auth = \"off\" with networks",
            );
        }
        return;
    }
    for (mechanism, why) in [
        (
            Mechanism::External,
            "needs client certificates: add client-certificate = \"asked\" and client-authorities, \
             with TLS",
        ),
        (
            Mechanism::ScramSha256Plus,
            "is bound to TLS; use \"scram-sha-256\"",
        ),
        (
            Mechanism::ScramSha1Plus,
            "is bound to TLS; use \"scram-sha-1\"",
        ),
        // RFC 7628 section 3
        (
            Mechanism::Oauthbearer,
            "would show tokens to everybody on the way; use tls = \"starttls\"",
        ),
        (
            Mechanism::Xoauth2,
            "would show tokens to everybody on the way; use tls = \"starttls\"",
        ),
    ] {
        if !listener.mechanisms_by_default
            && listener.mechanisms.contains(&mechanism)
            && !listener.offers(mechanism)
        {
            let text = format!("{} will never be offered: it {why}", mechanism.name());
            section.warning("mechanisms", text);
        }
    }
    let lost: Vec<&str> = listener
        .mechanisms
        .iter()
        .filter(|m| m.shows_password() && !listener.offers(**m))
        .map(|m| m.name())
        .collect();
    let possible = listener.mechanisms.iter().any(|m| listener.offers(*m));
    if !lost.is_empty() {
        // RFC 4954 section 4 (profile R4954-4-l)
        let text = format!(
            "{} will never be offered: with tls = \"none\" it would show passwords to everybody on \
             the way; use tls = \"starttls\", or clear-text = true",
            lost.join(" and ")
        );
        let key = if section.value("mechanisms").is_some() {
            "mechanisms"
        } else {
            "tls"
        };
        if !possible && listener.auth == ListenerAuth::Required {
            section.error(key, format!("{text}; nobody could ever send"));
        } else {
            section.warning(key, text);
        }
    }
    if !possible && lost.is_empty() && listener.auth == ListenerAuth::Required {
        section.error(
            "mechanisms",
            "none of them can be used here, so nobody could ever send",
        );
    }
    if listener.clear_text {
        clear_text(section, listener);
    }
}

/// What is offered must have somebody who can verify it.
fn verifiable(section: &Section<'_>, listener: &Listener, auth: &AuthSettings) {
    if listener.auth == ListenerAuth::Off || listener.mechanisms_by_default {
        return;
    }
    let names = |fits: fn(Mechanism) -> bool| {
        let fitting = listener.mechanisms.iter().filter(|m| fits(**m));
        let names: Vec<&str> = fitting.map(|m| m.name()).collect();
        (!names.is_empty()).then(|| names.join(" and "))
    };
    if auth.issuers.is_empty()
        && let Some(names) = names(Mechanism::takes_token)
    {
        section.error(
            "mechanisms",
            format!("{names}: needs [[auth.issuer]], which says whose tokens are good"),
        );
    }
    if auth.backend == Backend::Oauth
        && let Some(names) = names(|mechanism| !mechanism.takes_token())
    {
        section.error(
            "mechanisms",
            format!(
                "{names}: needs users of our own, and backend = \"oauth\" has none; use \
                 \"oauthbearer\" and \"xoauth2\""
            ),
        );
    }
}

/// Client certificates.
fn certificates(section: &Section<'_>, listener: &Listener) {
    let asked = listener.client_certificate != ClientCertificates::Off;
    if !asked {
        for key in ["client-authorities", "relay-certificates"] {
            if section.value(key).is_some() {
                section.warning(
                    key,
                    "has no effect without client-certificate = \"asked\" or \"required\"",
                );
            }
        }
        return;
    }
    if listener.tls == ListenerTls::None {
        section.error(
            "client-certificate",
            "needs TLS: certificates are shown in its handshake; use tls = \"starttls\" or \"implicit\"",
        );
    }
    if listener.client_authorities.is_none() && section.value("client-authorities").is_none() {
        section.error(
            "client-certificate",
            "needs client-authorities: a PEM file of those whose client certificates are good",
        );
    }
}

fn clear_text(section: &Section<'_>, listener: &Listener) {
    let passwords = [Mechanism::Login, Mechanism::Plain];
    if listener.tls == ListenerTls::Implicit {
        section.warning("clear-text", "has no effect with tls = \"implicit\"");
    } else if !passwords
        .iter()
        .any(|mechanism| listener.mechanisms.contains(mechanism))
    {
        section.warning("clear-text", "has no effect without \"login\" or \"plain\"");
    } else if !listener.address.ip().to_canonical().is_loopback() && !only_loopback(listener) {
        section.warning(
            "clear-text",
            "passwords may cross the network unencrypted, for everybody on the way to read; keep \
             it to devices that can do no better, with networks",
        );
    }
}

fn only_loopback(listener: &Listener) -> bool {
    let local =
        |network: &ipnet::IpNet| network.network().is_loopback() && network.prefix_len() >= 8;
    listener
        .networks
        .as_ref()
        .is_some_and(|networks| networks.iter().all(local))
}

fn networks(section: &Section<'_>, listener: &Listener) {
    if let Some(networks) = &listener.networks
        && networks.is_empty()
        && section
            .value("networks")
            .and_then(|value| value.list())
            .is_some_and(|l| l.is_empty())
    {
        section.error("networks", "is empty: nobody could connect; name a network");
    }
    if listener.auth == ListenerAuth::Off && !listener.relay_networks.is_empty() {
        section.warning(
            "relay-networks",
            "has no effect with auth = \"off\": all of networks may relay",
        );
    } else if let Some(networks) = &listener.networks {
        for relay in &listener.relay_networks {
            if !networks.iter().any(|network| network.contains(relay)) {
                section.warning(
                    "relay-networks",
                    format!("{relay} is not within networks, so it cannot connect here"),
                );
            }
        }
    }
    let (key, relaying) = match (&listener.networks, listener.auth) {
        (Some(networks), ListenerAuth::Off) => ("networks", networks),
        _ => ("relay-networks", &listener.relay_networks),
    };
    if let Some(all) = relaying.iter().find(|network| network.prefix_len() == 0)
        && !listener.address.ip().to_canonical().is_loopback()
    {
        section.warning(
            key,
            format!("{all} is the whole internet: whoever reaches this port may send to anywhere"),
        );
    }
}

/// No two listeners may want the same port of the same address. An address that could not be read
/// is `None`.
pub(super) fn addresses(sections: &[Section<'_>], addresses: &[Option<SocketAddr>]) {
    let mut seen: Vec<(usize, SocketAddr)> = Vec::new();
    for (index, (section, address)) in sections.iter().zip(addresses).enumerate() {
        // Port 0: the system chooses a free one.
        let Some(address) = address.filter(|address| address.port() != 0) else {
            continue;
        };
        let conflict = seen.iter().find(|(_, other)| {
            let wild = address.ip().is_unspecified() || other.ip().is_unspecified();
            let overlap = wild && address.is_ipv4() == other.is_ipv4();
            address.port() == other.port() && (overlap || address.ip() == other.ip())
        });
        match conflict {
            Some((other, same)) if *same == address => section.error(
                "address",
                format!("{address} is taken by listener[{other}] already; give each its own"),
            ),
            Some((other, wider)) => section.error(
                "address",
                format!(
                    "{address} overlaps {wider} of listener[{other}]; the system allows only one"
                ),
            ),
            None => {}
        }
        seen.push((index, address));
    }
}
