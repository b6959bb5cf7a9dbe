//! Recipients that were not delivered in the time that their sender gave (RFC 2852 section 4;
//! R2852-4). Mode R: they fail with 5.4.7, wherever they queue and however their server does. Mode N:
//! the sender is told of a delay, once, and they are tried on.
//!
//! What is tried just now is judged when the attempt ends (`settle`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use super::job::Job;
use super::settle::{Case, settle};
use super::{Shared, with_causes};
use crate::route::Query;
use crate::spool::{Claimed, Settlement};

/// Recipients that are dealt with at a time.
const BATCH: usize = 200;

/// Looks for them, in the spool and among what waits for a connection.
pub(super) async fn look(shared: &Shared) {
    let now = SystemTime::now();
    let lanes: Vec<_> = shared.lanes().values().map(Arc::clone).collect();
    let mut late: Vec<(Claimed, Option<String>)> = Vec::new();
    for lane in lanes {
        // Mode N changes nothing for them: they are tried next.
        let taken = lane.take(|one| comes_back(one, now));
        late.extend(taken.into_iter().map(|one| (one, None)));
    }
    match shared.relay.spool.overdue(BATCH, now).await {
        // One that was released while an attempt runs is judged at its end. One that is claimed
        // meanwhile is in hand already, and nobody tries it.
        Ok(found) => late.extend(
            found
                .into_iter()
                .filter(|one| shared.begun.begin_idle(&one.recipient))
                .map(|one| (one.recipient, one.last_reply)),
        ),
        Err(error) => {
            let error = with_causes(&error);
            tracing::error!(error, "cannot look for what is overdue");
        }
    }
    record(shared, late, now).await;
}

/// The job without what comes back instead of being tried; `None`: nothing is left.
pub(super) async fn without(shared: &Shared, mut job: Job) -> Option<Job> {
    let now = SystemTime::now();
    let late: Vec<_> = job
        .recipients
        .extract_if(.., |one| comes_back(one, now))
        .map(|one| (one, None))
        .collect();
    record(shared, late, now).await;
    (!job.recipients.is_empty()).then_some(job)
}

fn comes_back(claimed: &Claimed, now: SystemTime) -> bool {
    let by = claimed.message.envelope.parameters.deliver_by;
    by.is_some_and(|by| !by.notify) && claimed.deadline.is_some_and(|deadline| deadline <= now)
}

/// Records it, message by message: one report tells of all its recipients.
async fn record(shared: &Shared, late: Vec<(Claimed, Option<String>)>, now: SystemTime) {
    let routes = (shared.relay.routes)();
    let mut messages: BTreeMap<String, (Vec<Claimed>, Vec<Settlement>)> = BTreeMap::new();
    for (claimed, last_reply) in late {
        let case = Case {
            message: &claimed.message,
            claimed: &claimed,
            lane: &claimed.lane,
            retry: &shared.relay.retry,
            since: None,
            now,
        };
        let route = routes.find(&Query {
            reverse_path: &claimed.message.envelope.reverse_path,
            identity: claimed.message.identity.as_deref(),
            mailbox: &claimed.recipient.mailbox,
        });
        let mut settlement = case.overdue(last_reply.as_deref());
        settlement.attempt.route = route.map_or_else(String::new, |route| route.name.clone());
        let (those, settlements) = messages.entry(claimed.message.id.clone()).or_default();
        settlements.push(settlement);
        those.push(claimed);
    }
    for (those, settlements) in messages.into_values() {
        settle(shared, &those, settlements).await;
    }
}
