//! The scheduler: claims recipients that are due, has each delivered, and records the outcome
//! (RFC 5321 section 4.5.4.1).
//!
//! ```text
//! wake, or a second has passed -> claim (batch) -> attempt, attempt, … -> settle (in groups)
//! ```
//!
//! There are no timers in memory: what is due is asked of the spool, so that retry times outlive the
//! process and the queue's verbs work from another one. `attempt` is one delivery, `retry` says when
//! the next one is, `running` what this process has begun. Not here: what a route is, and how local
//! delivery is done (`deliver`).

mod attempt;
mod retry;
mod running;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval};

pub use retry::Retry;

use crate::deliver::Maildirs;
use crate::route::Routes;
use crate::spool::Spool;
use running::Running;

/// How long an attempt has before another may begin. Attempts of this process are known, so it
/// matters only where a process died and no service was started since.
const LEASE: Duration = Duration::from_secs(600);
/// How often the spool is asked without a reason: for retries, and for another process's `release`.
const LOOK: Duration = Duration::from_secs(1);
/// Age of an attempt at which it no longer keeps others from beginning: its disk may be dead.
const STALLED: Duration = Duration::from_secs(30);
/// How long to leave a spool alone that cannot be used.
const PAUSE: Duration = Duration::from_secs(5);

/// The routes of this moment. Called at each attempt, so it should cost no more than a lock-free load.
pub type CurrentRoutes = Arc<dyn Fn() -> Arc<Routes> + Send + Sync>;

/// What the scheduler works with.
pub struct Relay {
    /// Where messages come from.
    pub spool: Arc<dyn Spool>,
    /// Where they go.
    pub routes: CurrentRoutes,
    /// How they get there.
    pub maildirs: Maildirs,
    /// When to try again.
    pub retry: Retry,
}

/// Delivers what is due until `shutdown` is ready, then lets running attempts end.
///
/// `wake` says that something was appended that is not held; many notifications may become one.
pub async fn run(relay: Relay, wake: Arc<Notify>, shutdown: impl Future<Output = ()>) {
    let running = Running::new(relay, STALLED);
    schedule(running, wake, shutdown).await;
}

async fn schedule(mut running: Running, wake: Arc<Notify>, shutdown: impl Future<Output = ()>) {
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut not_before = Instant::now();
    // Whether there may be something to claim.
    let mut due = true;
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        if due && running.may_claim() && Instant::now() >= not_before {
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
            () = running.next() => {}
            () = wake.notified() => due = true,
            _ = look.tick() => {
                due = true;
                running.record();
            }
        }
    }
    running.finish().await;
}

#[cfg(any())]
mod tests;
