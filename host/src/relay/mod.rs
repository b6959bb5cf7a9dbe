//! The scheduler: claims recipients that are due, has each delivered, and records the outcome
//! (RFC 5321 section 4.5.4.1).
//!
//! ```text
//! wake, or a second has passed -> claim (batch) -> attempt, attempt, … -> settle (in groups)
//! ```
//!
//! There are no timers in memory: what is due is asked of the spool, so that retry times outlive the
//! process and the queue's verbs work from another one. `attempt` is one delivery, `retry` says when
//! the next one is. Not here: what a route is, and how local delivery is done (`deliver`).

mod attempt;
mod retry;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval};

pub use retry::Retry;

use crate::deliver::{Maildirs, Route};
use crate::spool::{Claimed, Spool};

/// Most attempts at a time. Deliveries here wait for the disk, and it syncs many files at once.
const MOST_ATTEMPTS: usize = 100;
/// Attempts at which the next batch is claimed: a claim is a transaction, not to be made for one.
const FEW_ATTEMPTS: usize = MOST_ATTEMPTS / 2;
/// How long an attempt has before another may begin. Attempts of this process are known, so it
/// matters only where a process died and no service was started since.
const LEASE: Duration = Duration::from_secs(600);
/// How often the spool is asked without a reason: for retries, and for another process's `release`.
const LOOK: Duration = Duration::from_secs(1);
/// How long to leave a spool alone that cannot be used.
const PAUSE: Duration = Duration::from_secs(5);

/// The routes of this moment. Called at each attempt, so it should cost no more than a lock-free load.
pub type Routes = Arc<dyn Fn() -> Arc<[Route]> + Send + Sync>;

/// What the scheduler works with.
pub struct Relay {
    /// Where messages come from.
    pub spool: Arc<dyn Spool>,
    /// Where they go.
    pub routes: Routes,
    /// How they get there.
    pub maildirs: Maildirs,
    /// When to try again.
    pub retry: Retry,
}

/// Delivers what is due until `shutdown` is ready, then lets running attempts end.
///
/// `wake` says that something was appended that is not held; many notifications may become one.
pub async fn run(relay: Relay, wake: Arc<Notify>, shutdown: impl Future<Output = ()>) {
    let mut running = Running {
        relay: Arc::new(relay),
        tasks: JoinSet::new(),
        recipients: HashMap::new(),
    };
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut not_before = Instant::now();
    // Whether there may be something to claim.
    let mut due = true;
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        if due && running.tasks.len() <= FEW_ATTEMPTS && Instant::now() >= not_before {
            due = match running.claim().await {
                Some(more) => more,
                None => {
                    not_before = Instant::now() + PAUSE;
                    false
                }
            };
        }
        tokio::select! {
            () = &mut shutdown => break,
            Some(ended) = running.tasks.join_next_with_id() => running.ended(ended),
            () = wake.notified() => due = true,
            _ = look.tick() => due = true,
        }
    }
    while let Some(ended) = running.tasks.join_next_with_id().await {
        running.ended(ended);
    }
}

/// A recipient: its message's identifier and its ordinal.
type Key = (String, u32);

/// Attempts that have not ended.
struct Running {
    relay: Arc<Relay>,
    tasks: JoinSet<()>,
    recipients: HashMap<Id, Key>,
}

impl Running {
    /// Claims a batch and begins its attempts. Whether there may be more; `None`: not now.
    async fn claim(&mut self) -> Option<bool> {
        let room = MOST_ATTEMPTS - self.tasks.len();
        match self.relay.spool.claim(room, LEASE, SystemTime::now()).await {
            Ok(claimed) => {
                let more = claimed.len() == room;
                claimed.into_iter().for_each(|one| self.begin(one));
                Some(more)
            }
            Err(error) => {
                let error = attempt::with_causes(&error);
                tracing::error!(%error, "nothing is delivered for the moment");
                None
            }
        }
    }

    fn begin(&mut self, claimed: Claimed) {
        let key = (claimed.message.id.clone(), claimed.ordinal);
        // Its lease ran out, but its attempt has not ended. The claim was a new lease.
        if self.recipients.values().any(|one| *one == key) {
            return;
        }
        let relay = Arc::clone(&self.relay);
        let task = self
            .tasks
            .spawn(async move { attempt::attempt(&relay, claimed).await });
        self.recipients.insert(task.id(), key);
    }

    fn ended(&mut self, ended: Result<(Id, ()), tokio::task::JoinError>) {
        let (id, error) = match ended {
            Ok((id, ())) => (id, None),
            Err(error) => (error.id(), Some(error)),
        };
        let key = self.recipients.remove(&id);
        if let (Some((message, ordinal)), Some(error)) = (key, error) {
            // A bug; the lease sees to it that the recipient is tried again.
            tracing::error!(id = %message, ordinal, %error, "an attempt was cut short");
        }
    }
}

#[cfg(test)]
mod tests;
