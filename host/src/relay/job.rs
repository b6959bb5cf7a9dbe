//! What a worker carries at a time: one message's recipients in one lane.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::time::Instant;

use crate::route::{Query, Route, Routes};
use crate::spool::{Claimed, Message};

/// Recipients of one message that go the same way, in one transaction if the server takes it.
pub(super) struct Job {
    /// Their message.
    pub(super) message: Arc<Message>,
    /// Their route.
    pub(super) route: Arc<Route>,
    /// Where they queue from now on.
    pub(super) lane: String,
    /// At least one.
    pub(super) recipients: Vec<Claimed>,
    /// Since when it is in hand.
    pub(super) since: Instant,
}

impl Job {
    /// Number of recipients.
    pub(super) fn len(&self) -> usize {
        self.recipients.len()
    }

    /// MT-PRIORITY (RFC 6710).
    pub(super) fn priority(&self) -> i8 {
        self.message.envelope.parameters.priority.unwrap_or(0)
    }
}

/// Recipients by what is to happen with them.
#[derive(Default)]
pub(super) struct Sorted {
    /// Those with a route, in the order of their first recipients.
    pub(super) jobs: Vec<Job>,
    /// Those without: there was one when they were accepted.
    pub(super) stray: Vec<Claimed>,
}

/// Looks up routes, and puts together what belongs together.
pub(super) fn sort(claimed: Vec<Claimed>, routes: &Routes) -> Sorted {
    let mut sorted = Sorted::default();
    let mut places: HashMap<(String, String), usize> = HashMap::new();
    for one in claimed {
        let found = routes.find(&Query {
            reverse_path: &one.message.envelope.reverse_path,
            identity: one.message.identity.as_deref(),
            mailbox: &one.recipient.mailbox,
        });
        let Some(route) = found else {
            sorted.stray.push(one);
            continue;
        };
        let lane = route.lane(&one.recipient.mailbox);
        let key = (one.message.id.clone(), lane.clone());
        match places
            .get(&key)
            .and_then(|place| sorted.jobs.get_mut(*place))
        {
            Some(job) => job.recipients.push(one),
            None => {
                places.insert(key, sorted.jobs.len());
                sorted.jobs.push(Job {
                    message: Arc::clone(&one.message),
                    route: Arc::clone(route),
                    lane,
                    recipients: vec![one],
                    since: Instant::now(),
                });
            }
        }
    }
    sorted
}
