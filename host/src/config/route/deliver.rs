//! `deliver` of a route: where to.
//!
//! ```text
//!   smtp://host[:587]   smtps://host[:465]      servers; a list of them is tried in its order
//!   lmtp://host[:24]    lmtp:/path/of/socket    RFC 2033
//!   mx   mx:port                                the servers of the recipient's domain
//!   maildir:/path/{domain}/{local}   hold   discard
//! ```

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use crate::config::names::check_domain;
use crate::config::reader::{Section, Value, nearest};
use crate::deliver::{Template, TemplateError};
use crate::route::{Endpoint, Upstream};

/// RFC 6409 section 3.1: what smarthosts listen on.
const SUBMISSION: u16 = 587;
/// RFC 8314 section 7.3
const SUBMISSIONS: u16 = 465;
/// The port that was registered for LMTP; RFC 2033 section 5 forbids 25.
const LMTP: u16 = 24;
/// RFC 5321 section 4.5.4.2
const SMTP: u16 = 25;

/// Octets of the path of a socket that the system takes (`sun_path`, with its final NUL).
const MOST_SOCKET_PATH: usize = 107;

const RIGHT: &str = "use \"smtp://HOST:PORT\", \"smtps://HOST:PORT\", \"lmtp://HOST:PORT\", \
                     \"lmtp:/SOCKET\", \"mx\", \"maildir:/var/mail/{domain}/{local}\", \"hold\" or \
                     \"discard\"";

/// Where a route leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deliver {
    /// `smtp://`, `smtps://`, `lmtp:`: these servers, the next one where the one before cannot be
    /// used. Never empty.
    Servers(Vec<Upstream>),
    /// `mx`: the servers of the recipient's domain.
    Mx {
        /// TCP port. Default 25 (RFC 5321 section 4.5.4.2); others are for tests.
        port: u16,
    },
    /// `maildir:`
    Maildir(Template),
    /// `hold`
    Hold,
    /// `discard`
    Discard,
}

impl Deliver {
    /// Whether another server gets the messages.
    pub fn is_relayed(&self) -> bool {
        matches!(self, Self::Servers(_) | Self::Mx { .. })
    }

    /// The configured servers; none for the rest.
    pub fn servers(&self) -> &[Upstream] {
        match self {
            Self::Servers(servers) => servers,
            _ => &[],
        }
    }

    /// Whether a server begins with the handshake.
    pub fn is_ever_implicit(&self) -> bool {
        self.servers().iter().any(|server| server.implicit)
    }

    /// Whether all servers begin with the handshake.
    pub fn is_implicit(&self) -> bool {
        !self.servers().is_empty() && self.servers().iter().all(|server| server.implicit)
    }

    /// Whether it is LMTP.
    pub fn is_lmtp(&self) -> bool {
        self.servers().iter().any(|server| server.lmtp)
    }

    /// Whether all servers are sockets of this machine.
    pub fn is_socket(&self) -> bool {
        let socket = |server: &Upstream| matches!(server.endpoint, Endpoint::Unix(_));
        !self.servers().is_empty() && self.servers().iter().all(socket)
    }
}

/// The value, and how it is written (the first of several).
pub(super) fn read(section: &Section<'_>) -> Option<(Deliver, String)> {
    let Some(value) = section.value("deliver") else {
        section.error("deliver", format!("is missing; {RIGHT}"));
        return None;
    };
    if value.is_list() {
        return read_list(&value);
    }
    let text = value.text()?;
    match parse(text) {
        Ok(deliver) => Some((deliver, text.to_owned())),
        Err(why) => {
            value.error(why);
            None
        }
    }
}

fn read_list(value: &Value<'_>) -> Option<(Deliver, String)> {
    let elements = value.list()?;
    if elements.is_empty() {
        value.error(format!("is empty; {RIGHT}"));
    }
    let mut servers: Vec<Upstream> = Vec::new();
    let mut written = None;
    let mut wrong = false;
    for element in &elements {
        let Some(text) = element.text() else {
            wrong = true;
            continue;
        };
        written.get_or_insert(text);
        match parse(text).map(|deliver| deliver.servers().first().cloned()) {
            Ok(Some(server)) if servers.contains(&server) => element.warning("is listed twice"),
            Ok(Some(server)) => match servers.first() {
                // Whether a recipient is on this site must not depend on which server is up.
                Some(first) if first.lmtp != server.lmtp => {
                    element
                        .error("a list has servers of SMTP or of LMTP, not both; make two routes");
                    wrong = true;
                }
                _ => servers.push(server),
            },
            Ok(None) => {
                element.error(format!(
                    "\"{text}\" cannot be one of several: a list names servers, each of which may \
                     stand in for another; use smtp://, smtps:// or lmtp:, or make two routes"
                ));
                wrong = true;
            }
            Err(why) => {
                element.error(why);
                wrong = true;
            }
        }
    }
    let written = written.filter(|_| !wrong && !servers.is_empty())?;
    Some((Deliver::Servers(servers), written.to_owned()))
}

/// One destination, or what to say about it. Never repeats what may be a password.
fn parse(text: &str) -> Result<Deliver, String> {
    let (scheme, rest) = match text.split_once(':') {
        Some((scheme, rest)) => (scheme, Some(rest)),
        None => (text, None),
    };
    let server = |rest, implicit, lmtp, port| {
        let endpoint = parse_host(scheme, rest, port)?;
        Ok(Deliver::Servers(vec![Upstream {
            endpoint,
            implicit,
            lmtp,
        }]))
    };
    match (scheme, rest) {
        ("hold", None) => Ok(Deliver::Hold),
        ("discard", None) => Ok(Deliver::Discard),
        ("maildir", Some(path)) => parse_maildir(path).map(Deliver::Maildir),
        ("mx", None) => Ok(Deliver::Mx { port: SMTP }),
        ("mx", Some(port)) if port.starts_with('/') => Err(
            "\"mx\" finds the servers in DNS; use \"mx\" alone, or \"smtp://HOST:PORT\" for one \
             server"
                .to_owned(),
        ),
        ("mx", Some(port)) => parse_port(port).map(|port| Deliver::Mx { port }),
        ("smtp", Some(rest)) => server(rest, false, false, SUBMISSION),
        ("smtps", Some(rest)) => server(rest, true, false, SUBMISSIONS),
        ("lmtp", Some(rest)) if rest.starts_with("//") => server(rest, false, true, LMTP),
        ("lmtp", Some(path)) => parse_socket(path).map(|path| {
            Deliver::Servers(vec![Upstream {
                endpoint: Endpoint::Unix(path),
                implicit: false,
                lmtp: true,
            }])
        }),
        ("smtp" | "smtps", None) => Err(format!(
            "\"{scheme}\" names no server; use \"{scheme}://HOST:PORT\""
        )),
        ("lmtp", None) => {
            Err("\"lmtp\" names no server; use \"lmtp:/SOCKET\" or \"lmtp://HOST:PORT\"".to_owned())
        }
        _ => {
            let all = ["maildir", "hold", "discard", "smtp", "smtps", "lmtp", "mx"];
            let near = nearest(scheme, &all).map(|near| format!("; nearest: \"{near}\""));
            let shown = if text.contains('@') { scheme } else { text };
            Err(format!(
                "\"{shown}\" is not known; {RIGHT}{}",
                near.unwrap_or_default()
            ))
        }
    }
}

/// `//host[:port]` (RFC 3986 section 3.2, without user information).
fn parse_host(scheme: &str, rest: &str, default: u16) -> Result<Endpoint, String> {
    let Some(authority) = rest.strip_prefix("//") else {
        return Err(format!(
            "two slashes are missing: use \"{scheme}://HOST:PORT\""
        ));
    };
    if authority.contains('@') {
        return Err(format!(
            "a user or password does not belong here, where many can read it; use \
             \"{scheme}://HOST:PORT\" and auth = {{ user = \"...\", password-file = \"...\" }}"
        ));
    }
    if let Some(at) = authority.find(['/', '?', '#']) {
        let (before, after) = authority.split_at(at);
        return Err(match (scheme, before) {
            ("lmtp", "") => format!("use \"lmtp:{after}\" for a socket"),
            ("lmtp", _) => format!(
                "\"{after}\" after the server; use \"lmtp://{before}\", or \"lmtp:{after}\" for a \
                 socket"
            ),
            _ => format!(
                "\"{after}\" after the server: mail has no path and no query; use \
                 \"{scheme}://{before}\""
            ),
        });
    }
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let Some((host, after)) = rest.split_once(']') else {
            return Err(format!("\"{authority}\": the bracket is not closed"));
        };
        let Ok(address) = host.parse::<Ipv6Addr>() else {
            return Err(format!(
                "\"{host}\" is no IPv6 address; use \"{scheme}://[2001:db8::1]:{default}\""
            ));
        };
        let port = match after.strip_prefix(':') {
            Some(port) => Some(port),
            None if after.is_empty() => None,
            None => return Err(format!("\"{after}\" after the address; use \":{default}\"")),
        };
        (address.to_string(), port)
    } else {
        if authority.parse::<Ipv6Addr>().is_ok() {
            return Err(format!(
                "an IPv6 address must be in square brackets: \
                 \"{scheme}://[{authority}]:{default}\""
            ));
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        if host.contains(':') {
            return Err(format!(
                "\"{authority}\" has too many colons; an IPv6 address must be in square brackets: \
                 \"{scheme}://[2001:db8::1]:{default}\""
            ));
        }
        (parse_name(scheme, host)?, port)
    };
    let port = port.map_or(Ok(default), parse_port)?;
    Ok(Endpoint::Host { host, port })
}

/// A name or an IPv4 address.
fn parse_name(scheme: &str, host: &str) -> Result<String, String> {
    if host.is_empty() {
        return Err(format!("names no server; use \"{scheme}://HOST:PORT\""));
    }
    check_server(host)
        .map(|()| host.to_ascii_lowercase())
        .map_err(|why| format!("\"{}\" {why}", host.escape_debug()))
}

/// Whether it is an IPv4 address or the name of a host; else what it is.
pub(super) fn check_server(host: &str) -> Result<(), &'static str> {
    let last = host.rsplit('.').next().unwrap_or(host);
    if !last.is_empty() && last.bytes().all(|octet| octet.is_ascii_digit()) {
        // RFC 3696 section 2: what ends in a number is an address.
        return host
            .parse::<Ipv4Addr>()
            .map(drop)
            .map_err(|_| "is neither an address nor a name");
    }
    if host.ends_with('.') {
        return Err("must not end with a dot");
    }
    if !host.is_ascii() {
        return Err("is not ASCII (write its xn-- form)");
    }
    // Not in domains, but in names that containers have.
    check_domain(&host.replace('_', "x"))
}

fn parse_port(text: &str) -> Result<u16, String> {
    let digits = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(port) if port != 0 && digits => Ok(port),
        _ => Err(format!(
            "\"{}\" is no port: a number from 1 to 65535",
            text.escape_debug()
        )),
    }
}

fn parse_socket(path: &str) -> Result<PathBuf, String> {
    if !path.starts_with('/') {
        return Err(format!(
            "\"{path}\" is not an absolute path; use \"lmtp:/SOCKET\", or \"lmtp://HOST:PORT\" for a \
             server"
        ));
    }
    if path.len() > MOST_SOCKET_PATH || path.contains('\0') {
        return Err(format!(
            "no socket can have that path: at most {MOST_SOCKET_PATH} octets"
        ));
    }
    Ok(PathBuf::from(path))
}

fn parse_maildir(path: &str) -> Result<Template, String> {
    if path.contains('\0') {
        return Err("no folder can have that path".to_owned());
    }
    path.parse().map_err(|error| match error {
        TemplateError::Relative => {
            format!("\"{path}\" is not an absolute path; begin it with \"/\"")
        }
        TemplateError::Placeholder { found } => {
            format!("\"{found}\" in the path; only {{domain}} and {{local}} are known")
        }
        TemplateError::Parent => {
            format!("\"{path}\" must not contain \"..\"; write the path it leads to")
        }
    })
}

#[cfg(test)]
#[path = "deliver_tests.rs"]
mod tests;
