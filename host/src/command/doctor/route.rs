//! One route: its configuration, its credentials, its queue, and each of its servers.

use super::advice;
use super::finding::{Findings, Level};
use super::server::{Context, Probed, Server};
use super::watch;
use crate::outbound::Security;
use crate::outbound::resolve::ResolveError;
use crate::route::{Delivery, Endpoint, Hops, NextHop, Route, domain};
use crate::spool::{LaneCount, Trouble};
use std::net::IpAddr;
use std::time::Duration;

/// Time for a name, or for credentials.
const WAIT: Duration = Duration::from_secs(30);
/// Addresses of one name that are tried.
const MOST_ADDRESSES: usize = 8;
/// Mail exchangers of one domain that are tried.
const MOST_EXCHANGERS: usize = 5;

/// Checks one route; `to`: mailboxes whose domains are looked up where the route goes by MX.
pub(super) async fn examine(
    context: &Context,
    route: &Route,
    to: &[String],
    lanes: &[LaneCount],
) -> Findings {
    let mut findings = Findings::of(Some(&route.name));
    queue(route, lanes, &mut findings);
    match &route.delivery {
        Delivery::Maildir(_) => findings.ok(
            "delivery",
            "into Maildirs; pillarbox check looks at their folder",
        ),
        Delivery::Hold => findings.ok("delivery", "none: mail is held until somebody releases it"),
        Delivery::Discard => findings.ok("delivery", "none: mail is accepted and thrown away"),
        Delivery::Relay(hop) => relay(context, route, hop, to, &mut findings).await,
    }
    findings
}

/// `smtp.example.net:587`, for the heading.
pub(super) fn destination(route: &Route) -> String {
    match &route.delivery {
        Delivery::Maildir(_) => "Maildirs".to_owned(),
        Delivery::Hold => "hold".to_owned(),
        Delivery::Discard => "discard".to_owned(),
        Delivery::Relay(hop) => match &hop.hops {
            Hops::Mx { port } => format!("MX, port {port}"),
            Hops::Configured(upstreams) => {
                let all: Vec<String> = upstreams
                    .iter()
                    .map(|one| one.endpoint.to_string())
                    .collect();
                all.join(", ")
            }
        },
    }
}

/// What the service found out already.
fn queue(route: &Route, lanes: &[LaneCount], findings: &mut Findings) {
    for lane in lanes {
        let own = lane.lane.rsplit_once(' ').map_or("", |(name, _)| name);
        let (true, Some(trouble)) = (lane.lane == route.name || own == route.name, &lane.trouble)
        else {
            continue;
        };
        let waiting = lane.waiting + lane.deferred;
        let (state, advice) = match trouble.trouble {
            Trouble::Down => ("down", "it is tried again by itself".to_owned()),
            Trouble::Paused => (
                "paused",
                format!(
                    "repair what is wrong, then pillarbox queue retry --route {}",
                    route.name
                ),
            ),
        };
        let text = format!(
            "{waiting} recipients wait; {state} since {}: {}",
            crate::spool::timestamp(trouble.since),
            trouble.attempt.why()
        );
        findings.warn("queue", text, advice);
    }
}

async fn relay(
    context: &Context,
    route: &Route,
    hop: &NextHop,
    to: &[String],
    findings: &mut Findings,
) {
    configuration(hop, findings);
    if !credentials(hop, findings).await {
        return;
    }
    match &hop.hops {
        Hops::Configured(upstreams) => {
            let mut servers = Vec::new();
            for upstream in upstreams {
                let (host, port, socket) = match &upstream.endpoint {
                    Endpoint::Host { host, port } => (host.clone(), *port, None),
                    // As the relay says it to the server's certificate and to NTLM: nobody asks.
                    Endpoint::Unix(path) => ("localhost".to_owned(), 0, Some(path.clone())),
                };
                servers.push(Server {
                    host,
                    port,
                    socket,
                    lmtp: upstream.lmtp,
                    implicit: upstream.implicit,
                    mx: false,
                });
            }
            each(context, hop, &servers, findings).await;
        }
        Hops::Mx { port } => exchangers(context, route, hop, *port, to, findings).await,
    }
}

fn configuration(hop: &NextHop, findings: &mut Findings) {
    let tls = match hop.security {
        Security::Off => "off",
        Security::Opportunistic => "opportunistic",
        Security::Required => "required",
        Security::Implicit => "implicit",
    };
    let login = hop.session_login();
    let login = match (&login.provider, login.mechanisms.as_slice()) {
        (None, _) | (_, []) => "no login".to_owned(),
        (Some(_), mechanisms) => {
            let names: Vec<&str> = mechanisms.iter().copied().map(watch::name).collect();
            format!("login with {}", names.join(", "))
        }
    };
    let text = format!("tls {tls}, {login}");
    if hop.login.clear_text {
        findings.warn(
            "configuration",
            format!("{text}, also without verified TLS"),
            "clear-text = true gives the password to whoever is on the way; leave it out if the \
             server has TLS",
        );
    } else {
        findings.ok("configuration", text);
    }
}

/// Whether there are credentials, if any are needed: from their file, command or token server.
async fn credentials(hop: &NextHop, findings: &mut Findings) -> bool {
    let login = hop.session_login();
    let (Some(provider), Some(mechanism)) = (&login.provider, login.mechanisms.first()) else {
        return true;
    };
    match tokio::time::timeout(WAIT, provider.credentials(*mechanism)).await {
        Ok(Ok(credentials)) => {
            findings.ok("credentials", format!("there, for {}", credentials.user));
            true
        }
        Ok(Err(error)) => {
            findings.fail("credentials", error.text, "");
            false
        }
        Err(_) => {
            let text = format!("none after {} s", WAIT.as_secs());
            let advice = "run the command of auth by hand, or see whether the token server answers";
            findings.fail("credentials", text, advice);
            false
        }
    }
}

/// Where each domain is a place of its own.
async fn exchangers(
    context: &Context,
    route: &Route,
    hop: &NextHop,
    port: u16,
    to: &[String],
    findings: &mut Findings,
) {
    let mut domains: Vec<String> = to
        .iter()
        .map(|mailbox| domain(mailbox).to_lowercase())
        .filter(|domain| {
            let mut patterns = route.domains.iter();
            patterns.any(|pattern| pattern.matches(domain))
        })
        .collect();
    domains.sort();
    domains.dedup();
    if domains.is_empty() {
        findings.skip(
            "mx",
            "nothing tried: name a recipient of this route, --to somebody@example.net",
        );
    }
    for domain in &domains {
        let hosts = hosts(context, domain, findings).await;
        let servers: Vec<Server> = hosts
            .into_iter()
            .map(|host| Server {
                host,
                port,
                socket: None,
                lmtp: false,
                implicit: false,
                mx: true,
            })
            .collect();
        each(context, hop, &servers, findings).await;
    }
}

/// The servers of a domain, the best first (RFC 5321 section 5.1).
async fn hosts(context: &Context, domain: &str, findings: &mut Findings) -> Vec<String> {
    // RFC 5321 section 4.1.3: an address literal has no MX records.
    let literal = domain
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if let Some(literal) = literal {
        let literal = literal.strip_prefix("ipv6:").unwrap_or(literal);
        return vec![literal.to_owned()];
    }
    let found = tokio::time::timeout(WAIT, context.resolver.exchangers(domain)).await;
    let mut found = match found.unwrap_or_else(|_| Err(silent(domain))) {
        Ok(found) => found,
        Err(ResolveError::Nothing { .. }) => {
            findings.ok(
                "mx",
                format!("{domain} has no MX record: its own address counts"),
            );
            return vec![domain.to_owned()];
        }
        Err(error) => {
            let advice = advice::lookup(&error, true);
            findings.fail("mx", error.to_string(), advice);
            return Vec::new();
        }
    };
    found.sort_by_key(|one| one.preference);
    // RFC 7505
    if found.iter().any(|one| one.host.is_empty()) {
        findings.fail(
            "mx",
            format!("{domain} takes no mail: its MX record is null"),
            "nothing can be done: correct the recipient's address",
        );
        return Vec::new();
    }
    let list: Vec<String> = found
        .iter()
        .map(|one| format!("{} ({})", one.host, one.preference))
        .collect();
    findings.ok("mx", format!("{domain}: {}", list.join(", ")));
    if found.iter().any(|one| one.host == context.hostname) {
        findings.warn(
            "mx",
            format!("{domain} has this host as a mail exchanger"),
            "deliver the domain by a route of its own (maildir or lmtp), else mail for it loops",
        );
    }
    let hosts = found.into_iter().map(|one| one.host);
    hosts.take(MOST_EXCHANGERS).collect()
}

fn silent(name: &str) -> ResolveError {
    ResolveError::Unanswered {
        name: name.to_owned(),
        reason: "no answer in time".to_owned(),
    }
}

/// Each of these servers, of which one that works suffices.
async fn each(context: &Context, hop: &NextHop, servers: &[Server], findings: &mut Findings) {
    let from = findings.all.len();
    let mut usable = false;
    for server in servers {
        usable |= server_at_each(context, hop, server, findings).await;
    }
    if usable {
        soften(findings, from);
    }
}

async fn server_at_each(
    context: &Context,
    hop: &NextHop,
    server: &Server,
    findings: &mut Findings,
) -> bool {
    if server.socket.is_some() {
        return server.probe(context, hop, None, true, findings).await == Probed::Usable;
    }
    let Some(addresses) = addresses(context, server, findings).await else {
        return false;
    };
    let from = findings.all.len();
    let (mut usable, mut login) = (false, true);
    for address in addresses {
        match server
            .probe(context, hop, Some(address), login, findings)
            .await
        {
            Probed::Usable => usable |= login,
            Probed::Unusable => {}
            Probed::Refused => login = false,
        }
    }
    if usable && login {
        soften(findings, from);
    }
    usable
}

async fn addresses(
    context: &Context,
    server: &Server,
    findings: &mut Findings,
) -> Option<Vec<IpAddr>> {
    let host = &server.host;
    if let Ok(address) = host.parse() {
        return Some(vec![address]);
    }
    let found = tokio::time::timeout(WAIT, context.resolver.addresses(host)).await;
    match found.unwrap_or_else(|_| Err(silent(host))) {
        Ok(mut addresses) => {
            let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            let text = format!("{host} is {}", list.join(", "));
            if addresses.len() > MOST_ADDRESSES {
                addresses.truncate(MOST_ADDRESSES);
                findings.ok(
                    "address",
                    format!("{text}; {MOST_ADDRESSES} of them are tried"),
                );
            } else {
                findings.ok("address", text);
            }
            Some(addresses)
        }
        Err(error) => {
            let advice = advice::lookup(&error, false);
            findings.fail("address", error.to_string(), advice);
            None
        }
    }
}

/// What failed is only worth a word, since another server or address works.
fn soften(findings: &mut Findings, from: usize) {
    for finding in findings.all.iter_mut().skip(from) {
        if finding.level == Level::Fail {
            finding.level = Level::Warn;
        }
    }
}
