//! A connection to a lane's server: which of them, and how it came to take messages, or why none
//! does (RFC 5321 section 5.1).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::Shared;
use super::exchange::exchangers;
use super::health::Obstacle;
use super::judgement::{self, Judgement};
use super::lane::Lane;
use crate::outbound::{Dialogue, Security, Target, Unopened};
use crate::route::{Endpoint, Hops, NextHop, Route, Upstream};
use crate::sandbox::v0_1::types::TlsFacts;
use crate::spool::Attempt;
use crate::spool::attempt::Stage;

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
}

impl Connection {
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
) -> Result<Connection, NotOpened> {
    let begun = SystemTime::now();
    let upstreams = match &next_hop.hops {
        Hops::Configured(upstreams) => upstreams.clone(),
        Hops::Mx { port } => exchangers(&*shared.relay.resolver, domain, &shared.relay.hostname)
            .await
            .map_err(|none| NotOpened {
                judgement: if none.is_final() {
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
    for offset in 0..upstreams.len() {
        let index = (first + offset) % upstreams.len();
        let Some(upstream) = upstreams.get(index) else {
            continue;
        };
        match one(shared, next_hop, upstream).await {
            Ok(dialogue) => {
                lane.lock().preferred = (index > 0).then(|| (index, Instant::now() + PREFERRED));
                return Ok(Connection {
                    dialogue,
                    next_hop: Arc::clone(next_hop),
                    remote: name(&upstream.endpoint),
                    messages: 0,
                });
            }
            Err(unopened) => failures.push((upstream.clone(), unopened)),
        }
    }
    Err(worst(route, next_hop, failures, begun))
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
) -> Result<Dialogue, Unopened> {
    let target = target(shared, next_hop, upstream);
    let build = (shared.relay.build)();
    Dialogue::open(&build, &target, &next_hop.session_login(), None).await
}

fn target(shared: &Shared, next_hop: &NextHop, upstream: &Upstream) -> Target {
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
            next_hop.security
        },
        tls_name: next_hop.tls_name.clone(),
        trust: Arc::clone(&next_hop.trust),
        hostname: Some(shared.relay.hostname.clone()),
        lmtp: upstream.lmtp,
        transfer: next_hop.transfer,
        // A name from the MX records of DNS without DNSSEC may be anybody's.
        proven: next_hop.is_configured(),
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
        Judgement::Refused => 2,
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
