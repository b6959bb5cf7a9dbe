//! A connection to a lane's server: which of them, and how it came to take messages, or why none
//! does (RFC 5321 section 5.1).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::Shared;
use super::exchange::{self, NoExchanger, exchangers};
use super::health::Obstacle;
use super::judgement::{self, Judgement};
use super::lane::Lane;
use super::protection::{self, Protection};
use crate::outbound::{Dialogue, Security, Target, Unopened};
use crate::route::{Endpoint, Hops, NextHop, Route, Upstream};
use crate::sandbox::v0_1::types::TlsFacts;
use crate::spool::Attempt;
use crate::spool::attempt::{Stage, Status};

/// How long the server that worked is preferred to those before it in the list.
const PREFERRED: Duration = Duration::from_secs(300);

/// A server, and a session that takes messages.
pub(super) struct Connection {
    pub(super) dialogue: Dialogue,
    /// The next hop as it was when the connection was made: a changed route wants another.
    pub(super) next_hop: Arc<NextHop>,
    /// The server's name.
    pub(super) remote: String,
    /// Messages so far.
    pub(super) messages: u32,
    /// What it was made for.
    protection: Protection,
    /// Its server's name was configured, or is proven.
    proven: bool,
}

impl Connection {
    /// Whether a message that demands this may go by it.
    pub(super) fn meets(&self, protection: Protection) -> bool {
        protection.is_met_by(self.protection, &self.dialogue, self.proven)
    }

    /// Whether the server offers this extension.
    pub(super) fn offers(&self, keyword: &str) -> bool {
        let offer = self.dialogue.offer();
        offer.is_some_and(|offer| offer.extensions.iter().any(|one| one == keyword))
    }

    /// What is known of an attempt that gets this far.
    pub(super) fn attempt(&self, route: &Route) -> Attempt {
        Attempt {
            route: route.name.clone(),
            remote: Some(self.remote.clone()),
            address: Some(self.dialogue.address().to_owned()),
            tls: self.dialogue.tls().map(described),
            stage: Stage::Content,
            at: SystemTime::now(),
            ..Attempt::default()
        }
    }
}

/// A TLS layer in a few words.
fn described(facts: &TlsFacts) -> String {
    let verified = if facts.verified {
        "verified"
    } else {
        "not verified"
    };
    format!("{}, {verified}", facts.version)
}

/// Why there is no connection.
pub(super) struct NotOpened {
    pub(super) attempt: Attempt,
    pub(super) judgement: Judgement,
    /// When it was tried.
    pub(super) begun: SystemTime,
}

/// Opens a connection for messages to this domain.
pub(super) async fn open(
    shared: &Shared,
    lane: &Lane,
    route: &Route,
    next_hop: &Arc<NextHop>,
    domain: &str,
    protection: Protection,
) -> Result<Connection, NotOpened> {
    let begun = SystemTime::now();
    let demanded = protection == Protection::Demanded;
    let proven = demanded || next_hop.is_configured();
    let upstreams = match &next_hop.hops {
        Hops::Configured(upstreams) => upstreams.clone(),
        Hops::Mx { port } => servers(shared, domain, demanded)
            .await
            .map_err(|none| NotOpened {
                // What may pass is no trouble of the lane's: other messages ask for less.
                judgement: if demanded {
                    Judgement::Unprotected(none.is_final())
                } else if none.is_final() {
                    Judgement::Refused
                } else {
                    Judgement::Obstacle(Obstacle::Away)
                },
                attempt: Attempt {
                    route: route.name.clone(),
                    stage: Stage::Lookup,
                    status: Some(none.status),
                    text: none.text,
                    at: SystemTime::now(),
                    ..Attempt::default()
                },
                begun,
            })?
            .into_iter()
            .map(|host| Upstream {
                endpoint: Endpoint::Host { host, port: *port },
                implicit: false,
                lmtp: false,
            })
            .collect(),
    };
    let first = preferred(lane, upstreams.len());
    let mut failures = Vec::new();
    let mut lacking: Option<Lacking> = None;
    for offset in 0..upstreams.len() {
        let index = (first + offset) % upstreams.len();
        let Some(upstream) = upstreams.get(index) else {
            continue;
        };
        let way = Way { protection, proven };
        match one(shared, next_hop, upstream, way).await {
            Ok(dialogue) => {
                // RFC 8689 section 4.2.1 (R8689-4.2.1): QUIT, and the next server.
                if demanded && let Some(lacks) = protection::missing(&dialogue) {
                    let (address, tls) = (dialogue.address().to_owned(), dialogue.tls().cloned());
                    tokio::spawn(dialogue.quit());
                    lacking.get_or_insert((upstream.clone(), lacks, address, tls));
                    continue;
                }
                lane.lock().preferred = (index > 0).then(|| (index, Instant::now() + PREFERRED));
                return Ok(Connection {
                    protection,
                    proven,
                    dialogue,
                    next_hop: Arc::clone(next_hop),
                    remote: name(&upstream.endpoint),
                    messages: 0,
                });
            }
            Err(unopened) => failures.push((upstream.clone(), unopened)),
        }
    }
    if demanded {
        return Err(unprotected(route, next_hop, failures, lacking, begun));
    }
    Err(worst(route, next_hop, failures, begun))
}

/// The servers of a domain; only such as are proven, if that is demanded.
async fn servers(shared: &Shared, domain: &str, proven: bool) -> Result<Vec<String>, NoExchanger> {
    let (resolver, hostname) = (&*shared.relay.resolver, &shared.relay.hostname);
    if proven {
        exchange::proven(resolver, domain, hostname).await
    } else {
        exchangers(resolver, domain, hostname).await
    }
}

/// A server without what a message demands, what that is, and how it was reached.
type Lacking = (Upstream, (Status, String), String, Option<TlsFacts>);

/// What several servers' failures come to for a message with REQUIRETLS. One that may come back is
/// waited for, as by any other message; else the message has no way, and others may.
fn unprotected(
    route: &Route,
    next_hop: &NextHop,
    failures: Vec<(Upstream, Unopened)>,
    lacking: Option<Lacking>,
    begun: SystemTime,
) -> NotOpened {
    let (without_tls, others): (Vec<_>, Vec<_>) = failures
        .into_iter()
        .partition(|(_, unopened)| protection::lacks_tls(unopened).is_some());
    if without_tls.is_empty() && lacking.is_none() {
        return worst(route, next_hop, others, begun);
    }
    if !others.is_empty() {
        // Some server was reached, which other messages can use: the lane is well.
        return NotOpened {
            judgement: Judgement::Unprotected(false),
            ..worst(route, next_hop, others, begun)
        };
    }
    let base = Attempt {
        route: route.name.clone(),
        stage: Stage::Tls,
        at: SystemTime::now(),
        ..Attempt::default()
    };
    let passing = without_tls
        .iter()
        .find(|(_, unopened)| protection::lacks_tls(unopened) == Some(false));
    let for_good = passing.is_none();
    let failure = passing.or(without_tls.first());
    let attempt = match (lacking, failure) {
        (Some((upstream, (status, text), address, tls)), _) if for_good => Attempt {
            remote: Some(name(&upstream.endpoint)),
            address: Some(address),
            tls: tls.as_ref().map(described),
            stage: Stage::Envelope,
            status: Some(status),
            text,
            ..base
        },
        (_, Some((upstream, unopened))) => {
            let (reply, text) = judgement::words(&unopened.error);
            Attempt {
                remote: Some(name(&upstream.endpoint)),
                address: unopened.address.clone(),
                tls: unopened.tls.as_ref().map(described),
                // What the server said of STARTTLS is no verdict on the message.
                reply: reply.filter(|_| !for_good),
                status: Some(if for_good { (5, 7, 10) } else { (4, 7, 10) }),
                text: format!("REQUIRETLS, and there is no TLS: {text}"),
                ..base
            }
        }
        (_, None) => base,
    };
    NotOpened {
        judgement: Judgement::Unprotected(for_good),
        attempt,
        begun,
    }
}

fn preferred(lane: &Lane, upstreams: usize) -> usize {
    match lane.lock().preferred {
        Some((index, until)) if until > Instant::now() && index < upstreams => index,
        _ => 0,
    }
}

async fn one(
    shared: &Shared,
    next_hop: &NextHop,
    upstream: &Upstream,
    way: Way,
) -> Result<Dialogue, Unopened> {
    let target = target(shared, next_hop, upstream, way);
    let build = (shared.relay.build)();
    Dialogue::open(&build, &target, &next_hop.session_login(), None).await
}

/// What a connection is to be.
#[derive(Clone, Copy)]
struct Way {
    protection: Protection,
    proven: bool,
}

fn target(shared: &Shared, next_hop: &NextHop, upstream: &Upstream, way: Way) -> Target {
    let (host, port, socket) = match &upstream.endpoint {
        Endpoint::Host { host, port } => (host.clone(), *port, None),
        Endpoint::Unix(path) => ("localhost".to_owned(), 0, Some(path.clone())),
    };
    Target {
        host,
        port,
        socket,
        security: if upstream.implicit {
            Security::Implicit
        } else {
            way.protection.security(next_hop.security)
        },
        tls_name: next_hop.tls_name.clone(),
        trust: way.protection.trust(&next_hop.trust),
        hostname: Some(shared.relay.hostname.clone()),
        lmtp: upstream.lmtp,
        transfer: next_hop.transfer,
        // A name from the MX records of DNS without DNSSEC may be anybody's.
        proven: way.proven,
        resolver: Arc::clone(&shared.relay.resolver),
        timeouts: next_hop.timeouts,
    }
}

fn name(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Host { host, .. } => host.clone(),
        Endpoint::Unix(path) => path.display().to_string(),
    }
}

/// What several servers' failures come to: if one of them may come back, everything waits for it;
/// else, if something is to be repaired here, for that; only if all refuse for good is it final.
fn worst(
    route: &Route,
    next_hop: &NextHop,
    failures: Vec<(Upstream, Unopened)>,
    begun: SystemTime,
) -> NotOpened {
    let configured = next_hop.is_configured();
    let rank = |judgement: Judgement| match judgement {
        Judgement::Obstacle(Obstacle::Away) => 0,
        Judgement::Obstacle(Obstacle::Fault) => 1,
        Judgement::Refused | Judgement::Unprotected(_) => 2,
    };
    let others = failures.len().saturating_sub(1);
    let decisive = failures
        .into_iter()
        .min_by_key(|(_, unopened)| rank(judgement::judge(&unopened.error, configured)));
    let Some((upstream, unopened)) = decisive else {
        // A route without a server cannot be configured.
        return NotOpened {
            attempt: Attempt {
                route: route.name.clone(),
                text: "the route has no server".to_owned(),
                at: SystemTime::now(),
                ..Attempt::default()
            },
            judgement: Judgement::Obstacle(Obstacle::Fault),
            begun,
        };
    };
    let (reply, mut text) = judgement::words(&unopened.error);
    if others > 0 {
        text.push_str(&format!(" ({others} other servers failed as well)"));
    }
    NotOpened {
        judgement: judgement::judge(&unopened.error, configured),
        attempt: Attempt {
            route: route.name.clone(),
            remote: Some(name(&upstream.endpoint)),
            address: unopened.address.clone(),
            tls: unopened.tls.as_ref().map(described),
            stage: judgement::stage(&unopened.error),
            status: judgement::status(&unopened.error),
            reply,
            text,
            at: SystemTime::now(),
        },
        begun,
    }
}
