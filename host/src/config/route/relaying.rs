//! How a route hands messages on: TLS, connections, timeouts; and what fits together.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::auth::{ClientMechanism, RouteAuth, mechanism_key};
use super::deliver::{Deliver, check_server};
use crate::config::keys;
use crate::config::reader::Section;
use crate::outbound::{Timeouts, Transfer};
use crate::route::{Connections, Endpoint};

const HOUR: Duration = Duration::from_hours(1);

/// What TLS means to a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteTls {
    /// Nothing is sent without STARTTLS and a good certificate.
    Required,
    /// STARTTLS where it is offered, with whatever certificate.
    Opportunistic,
    /// No TLS.
    Off,
}

/// The keys that only mean something where another server gets the messages.
const RELAYING: [&str; 11] = [
    "tls",
    "tls-name",
    "tls-authorities",
    "auth",
    "eight-bit",
    "chunking",
    "connections",
    "connections-per-destination",
    "messages-per-connection",
    "idle",
    "timeouts",
];

/// How a route hands messages on.
pub(super) struct Ways<'a> {
    pub(super) tls: RouteTls,
    pub(super) tls_name: Option<String>,
    pub(super) tls_authorities: Option<PathBuf>,
    pub(super) auth: Option<RouteAuth>,
    /// Where `auth` stands.
    auth_section: Section<'a>,
    pub(super) transfer: Transfer,
    pub(super) connections: Connections,
    pub(super) timeouts: Timeouts,
}

impl<'a> Ways<'a> {
    pub(super) fn read(section: &Section<'a>, base: &Path, deliver: Option<&Deliver>) -> Self {
        let auth_section = section.section("auth", &keys::ROUTE_AUTH);
        let tls = section.value("tls").and_then(|value| {
            value.choice(&[
                ("required", RouteTls::Required),
                ("opportunistic", RouteTls::Opportunistic),
                ("off", RouteTls::Off),
            ])
        });
        let default = match deliver {
            Some(deliver) if deliver.is_lmtp() || !deliver.is_relayed() => RouteTls::Off,
            Some(Deliver::Servers(_)) if section.value("auth").is_some() => RouteTls::Required,
            _ => RouteTls::Opportunistic,
        };
        Self {
            tls: tls.unwrap_or(default),
            tls_name: read_tls_name(section),
            tls_authorities: section
                .value("tls-authorities")
                .and_then(|value| value.file(base)),
            auth: RouteAuth::read(&auth_section, base),
            auth_section,
            transfer: read_transfer(section),
            connections: read_connections(section),
            timeouts: read_timeouts(section),
        }
    }
}

fn read_tls_name(section: &Section<'_>) -> Option<String> {
    let value = section.value("tls-name")?;
    let text = value.text()?;
    let address = text.parse::<IpAddr>().is_ok();
    match check_server(text) {
        Err(why) if !address => {
            value.error(format!(
                "\"{}\" {why}; use the name in the server's certificate",
                text.escape_debug()
            ));
            None
        }
        _ => Some(text.to_ascii_lowercase()),
    }
}

fn read_transfer(section: &Section<'_>) -> Transfer {
    let convert = section
        .value("eight-bit")
        .and_then(|value| value.choice(&[("refuse", false), ("convert", true)]));
    let chunking = section.value("chunking").and_then(|value| value.boolean());
    let default = Transfer::default();
    Transfer {
        convert: convert.unwrap_or(default.convert),
        chunking: chunking.unwrap_or(default.chunking),
    }
}

fn read_connections(section: &Section<'_>) -> Connections {
    let default = Connections::default();
    let count = |key, most| {
        let number = section.value(key)?.number(1..=most)?;
        usize::try_from(number).ok()
    };
    let connections = Connections {
        most: count("connections", 10_000).unwrap_or(default.most),
        per_destination: count("connections-per-destination", 10_000)
            .unwrap_or(default.per_destination),
        messages: count("messages-per-connection", 1_000_000)
            .and_then(|number| u32::try_from(number).ok())
            .unwrap_or(default.messages),
        idle: section
            .value("idle")
            .and_then(|value| value.duration(Duration::ZERO..=HOUR))
            .unwrap_or(default.idle),
    };
    if connections.per_destination > connections.most
        && section.value("connections-per-destination").is_some()
    {
        section.warning(
            "connections-per-destination",
            format!(
                "{} is more than the {} connections of the whole route",
                connections.per_destination, connections.most
            ),
        );
    }
    connections
}

fn read_timeouts(route: &Section<'_>) -> Timeouts {
    let section = route.section("timeouts", &keys::ROUTE_TIMEOUTS);
    let default = Timeouts::default();
    let span = |key, default| {
        section
            .value(key)
            .and_then(|value| value.duration(Duration::from_millis(10)..=2 * HOUR))
            .unwrap_or(default)
    };
    let timeouts = Timeouts {
        connect: span("connect", default.connect),
        handshake: span("handshake", default.handshake),
        command: span("command", default.command),
        data: span("data", default.data),
        content: span("content", default.content),
        end_of_data: span("end-of-data", default.end_of_data),
        quit: span("quit", default.quit),
        stall: span("stall", default.stall),
        transaction: span("transaction", default.transaction),
    };
    for (key, time) in [
        ("connect", timeouts.connect),
        ("handshake", timeouts.handshake),
        ("command", timeouts.command),
        ("data", timeouts.data),
        ("content", timeouts.content),
        ("end-of-data", timeouts.end_of_data),
    ] {
        if time > timeouts.stall && (section.value(key).or(section.value("stall"))).is_some() {
            section.warning(
                if section.value(key).is_some() {
                    key
                } else {
                    "stall"
                },
                format!(
                    "a server that is slow is left after {} (stall), before {key} is over ({})",
                    humantime::format_duration(timeouts.stall),
                    humantime::format_duration(time)
                ),
            );
        }
    }
    if timeouts.end_of_data < default.end_of_data {
        // RFC 5321 section 4.5.3.2.6
        section.warning(
            "end-of-data",
            format!(
                "{}: a server that takes longer to accept a message gets it twice; RFC 5321 section \
                 4.5.3.2.6 asks for 10 minutes at least",
                humantime::format_duration(timeouts.end_of_data)
            ),
        );
    }
    timeouts
}

/// What holds between the keys of a route.
pub(super) fn check(section: &Section<'_>, deliver: &Deliver, ways: &Ways<'_>) {
    let name = match deliver {
        Deliver::Maildir(_) => "maildir",
        Deliver::Hold => "hold",
        Deliver::Discard => "discard",
        Deliver::Servers(_) | Deliver::Mx { .. } => return relayed(section, deliver, ways),
    };
    for key in RELAYING {
        if section.value(key).is_some() {
            section.warning(
                key,
                format!("has no effect with \"{name}\": nothing leaves this host"),
            );
        }
    }
    if section.value("retry").is_some() && name != "maildir" {
        section.warning(
            "retry",
            format!("has no effect with \"{name}\": nothing is tried"),
        );
    }
}

fn relayed(section: &Section<'_>, deliver: &Deliver, ways: &Ways<'_>) {
    let one_queue = matches!(deliver, Deliver::Servers(_));
    if one_queue && section.value("connections-per-destination").is_some() {
        section.warning(
            "connections-per-destination",
            "has no effect here: the route has one destination, and connections holds for it",
        );
    }
    tls(section, deliver, ways);
    if let Some(auth) = &ways.auth {
        authentication(section, deliver, ways, auth);
    }
}

fn tls(section: &Section<'_>, deliver: &Deliver, ways: &Ways<'_>) {
    let written = section.value("tls").is_some();
    if written && deliver.is_implicit() {
        match ways.tls {
            RouteTls::Required => section.warning("tls", "has no effect with smtps, which is TLS"),
            RouteTls::Opportunistic | RouteTls::Off => section.error(
                "tls",
                "smtps is TLS from the first octet and its certificate is verified; remove the key, \
                 or use smtp://",
            ),
        }
    }
    if written && deliver.is_socket() && ways.tls != RouteTls::Off {
        section.error(
            "tls",
            "nobody listens between this host and a socket of its own, and no certificate is for \
             it; use \"off\" or remove the key",
        );
    }
    let mx = matches!(deliver, Deliver::Mx { .. });
    if mx && ways.tls == RouteTls::Required {
        section.warning(
            "tls",
            "many domains have servers without a good certificate: mail to them will not arrive; \
             \"opportunistic\" is usual with mx",
        );
    }
    let none = ways.tls == RouteTls::Off && !deliver.is_ever_implicit();
    for key in ["tls-name", "tls-authorities"] {
        if section.value(key).is_none() {
            continue;
        }
        if none {
            section.warning(key, "has no effect without TLS; use tls = \"required\"");
        } else if mx && key == "tls-name" {
            section.error(
                key,
                "is the name of one server, and mx leads to many; remove it",
            );
        }
    }
}

fn authentication(section: &Section<'_>, deliver: &Deliver, ways: &Ways<'_>, auth: &RouteAuth) {
    if matches!(deliver, Deliver::Mx { .. }) {
        section.error(
            "auth",
            "mx leads to the servers of strangers, who do not know this account; name the server \
             with smtp://, or remove auth",
        );
        return;
    }
    let table = &ways.auth_section;
    let verified = deliver.is_implicit() || ways.tls == RouteTls::Required;
    let shows: Vec<ClientMechanism> = auth
        .mechanisms
        .iter()
        .copied()
        .filter(|mechanism| mechanism.shows_secret())
        .collect();
    if auth.clear_text {
        if verified {
            table.warning(
                "clear-text",
                "has no effect: TLS with a good certificate is there always",
            );
        } else if shows.is_empty() {
            table.warning(
                "clear-text",
                "has no effect: no mechanism of this list shows the secret",
            );
        } else if !is_here(deliver) {
            table.warning(
                "clear-text",
                "the secret may cross the network for everybody on the way to read; use tls = \
                 \"required\" where the server can do it",
            );
        }
        return;
    }
    if verified || shows.is_empty() {
        return;
    }
    let names: Vec<&str> = shows.iter().map(|mechanism| mechanism.name()).collect();
    let names = names.join(" and ");
    let key = mechanism_key(table);
    match ways.tls {
        // CL-mech-clear
        RouteTls::Off => {
            let text = format!(
                "{names} will never be used: without TLS the secret could be read by everybody on \
                 the way; use tls = \"required\", or clear-text = true where nobody is on it"
            );
            if shows.len() == auth.mechanisms.len() {
                table.error(key, format!("{text}; nothing could ever be sent"));
            } else {
                table.warning(key, text);
            }
        }
        // CL-mech-verified
        _ => table.warning(
            key,
            format!(
                "{names} is used only if the server has TLS and a good certificate; use tls = \
                 \"required\", which says so when it has not"
            ),
        ),
    }
}

/// Whether what is sent stays on this machine.
fn is_here(deliver: &Deliver) -> bool {
    deliver
        .servers()
        .iter()
        .all(|server| match &server.endpoint {
            Endpoint::Unix(_) => true,
            Endpoint::Host { host, .. } => {
                host == "localhost"
                    || host
                        .parse::<IpAddr>()
                        .is_ok_and(|address| address.is_loopback())
            }
        })
}
