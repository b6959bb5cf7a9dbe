//! What this process has begun and not ended, and how much more may begin.
//!
//! An attempt that hangs (a network file system whose server is gone) holds a thread, for good as far
//! as anybody knows. So an attempt that is old no longer counts against those that run at a time; a
//! domain with many such gets no more, its recipients are put off; and there is a limit to all.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::task::{Id, JoinSet};
use tokio::time::Instant;

use super::attempt::{self, Ended};
use super::{LEASE, Relay};
use crate::spool::{Claimed, Wanted};

/// Most attempts at a time. Deliveries here wait for the disk, and it syncs many files at once.
const MOST_ATTEMPTS: usize = 100;
/// Attempts at which the next batch is claimed: a claim is a transaction, not to be made for one.
const FEW_ATTEMPTS: usize = MOST_ATTEMPTS / 2;
/// Stalled attempts for one domain by one route at which no more are begun there.
pub(super) const MOST_STALLED: usize = 20;
/// Most attempts with those that are stalled. Each may hold a thread, of which the runtime has 512
/// for such work, and sessions need some too.
const MOST_TASKS: usize = 300;
/// Deliveries without a record at which no more are begun. Each is a key in memory.
const MOST_UNRECORDED: usize = 1000;

/// A recipient: its message's identifier and its ordinal.
type Key = (String, u32);
/// Where attempts fail or hang together: the position of the route, and the domain in lower case.
type Place = String;

/// One task.
struct Begun {
    key: Key,
    place: Place,
    at: Instant,
}

/// Attempts that have not ended.
pub(super) struct Running {
    relay: Arc<Relay>,
    stalled_after: Duration,
    tasks: JoinSet<Ended>,
    begun: HashMap<Id, Begun>,
    /// Delivered by this process, which the spool could not be told. Never delivered again.
    unrecorded: HashSet<Key>,
}

impl Running {
    /// Nothing so far. Attempts of this age are stalled.
    pub(super) fn new(relay: Relay, stalled_after: Duration) -> Self {
        Self {
            relay: Arc::new(relay),
            stalled_after,
            tasks: JoinSet::new(),
            begun: HashMap::new(),
            unrecorded: HashSet::new(),
        }
    }

    /// Whether enough has ended for another batch.
    pub(super) fn may_claim(&self) -> bool {
        self.moving() <= FEW_ATTEMPTS && self.room() > 0
    }

    /// How many may begin now.
    fn room(&self) -> usize {
        if self.unrecorded.len() >= MOST_UNRECORDED {
            return 0;
        }
        MOST_ATTEMPTS
            .saturating_sub(self.moving())
            .min(MOST_TASKS.saturating_sub(self.tasks.len()))
    }

    /// Attempts that are not stalled.
    fn moving(&self) -> usize {
        let moving = |one: &&Begun| one.at.elapsed() < self.stalled_after;
        self.begun.values().filter(moving).count()
    }

    fn stalled_at(&self, place: &Place) -> usize {
        let stalled = |one: &&Begun| one.place == *place && one.at.elapsed() >= self.stalled_after;
        self.begun.values().filter(stalled).count()
    }

    /// Claims a batch and begins its attempts. Whether there may be more; `None`: not now.
    pub(super) async fn claim(&mut self) -> Option<bool> {
        let room = self.room();
        let wanted = Wanted {
            otherwise: room,
            total: room,
            ..Wanted::default()
        };
        match self
            .relay
            .spool
            .claim(&wanted, LEASE, SystemTime::now())
            .await
        {
            Ok(claimed) => {
                let more = claimed.len() == room;
                claimed.into_iter().for_each(|one| self.begin(one));
                Some(more)
            }
            Err(error) => {
                let error = attempt::with_causes(&error);
                tracing::error!(error, "nothing is delivered for the moment");
                None
            }
        }
    }

    fn begin(&mut self, claimed: Claimed) {
        let key = (claimed.message.id.clone(), claimed.ordinal);
        // Its lease ran out, but its attempt has not ended, or was good. The claim was a new lease.
        if self.unrecorded.contains(&key) || self.is_running(&key) {
            return;
        }
        let place = claimed.lane.clone();
        let stalled = self.stalled_at(&place);
        let relay = Arc::clone(&self.relay);
        self.spawn(key, place, async move {
            if stalled >= MOST_STALLED {
                attempt::put_off(&relay, claimed, stalled).await
            } else {
                attempt::attempt(&relay, claimed).await
            }
        });
    }

    fn is_running(&self, key: &Key) -> bool {
        self.begun.values().any(|one| one.key == *key)
    }

    fn spawn(
        &mut self,
        key: Key,
        place: Place,
        task: impl Future<Output = Ended> + Send + 'static,
    ) {
        let id = self.tasks.spawn(task).id();
        let at = Instant::now();
        self.begun.insert(id, Begun { key, place, at });
    }

    /// Tries again to record what was delivered.
    pub(super) fn record(&mut self) {
        let idle: Vec<Key> = self
            .unrecorded
            .iter()
            .filter(|key| !self.is_running(key))
            .take(MOST_TASKS.saturating_sub(self.tasks.len()))
            .cloned()
            .collect();
        for key in idle {
            let relay = Arc::clone(&self.relay);
            let (id, ordinal) = key.clone();
            self.spawn(key, Place::default(), async move {
                attempt::record(&relay, &id, ordinal).await
            });
        }
    }

    /// Waits for the end of one attempt, or for ever if there is none.
    pub(super) async fn next(&mut self) {
        match self.tasks.join_next_with_id().await {
            Some(ended) => self.ended(ended),
            None => std::future::pending().await,
        }
    }

    /// Lets all end, and tries a last time to record what was delivered.
    pub(super) async fn finish(mut self) {
        self.drain().await;
        self.record();
        self.drain().await;
        for (id, ordinal) in &self.unrecorded {
            tracing::error!(
                id,
                ordinal,
                "delivered, but not recorded: the next service finds it in the Maildir, or delivers it again"
            );
        }
    }

    async fn drain(&mut self) {
        while let Some(ended) = self.tasks.join_next_with_id().await {
            self.ended(ended);
        }
    }

    fn ended(&mut self, ended: Result<(Id, Ended), tokio::task::JoinError>) {
        let (id, ended) = match ended {
            Ok((id, ended)) => (id, Ok(ended)),
            Err(error) => (error.id(), Err(error)),
        };
        let Some(Begun { key, .. }) = self.begun.remove(&id) else {
            return;
        };
        match ended {
            Ok(Ended::Done) => {
                self.unrecorded.remove(&key);
            }
            Ok(Ended::Unrecorded) => {
                self.unrecorded.insert(key);
            }
            // A bug; the lease sees to it that the recipient is tried again.
            Err(error) => {
                tracing::error!(id = %key.0, ordinal = key.1, %error, "an attempt was cut short");
            }
        }
    }
}
