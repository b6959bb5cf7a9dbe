//! The relay: claims recipients that are due, has each delivered, and records the outcome
//! (RFC 5321 section 4.5.4.1).
//!
//! ```text
//!                        +-- lane "smarthost" --- worker (connection) --- the server
//!   wake, or a second -> claim -> sort -+-- lane "mx example.org" - worker ...
//!                        +-- lane "maildir ..." - worker --------- the disk
//! ```
//!
//! Recipients queue in lanes, in the spool and, a few at a time, here; a place that is away or slow
//! holds up its own lane alone. There are no timers in memory: what is due is asked of the spool, so
//! that retry times outlive the process and the queue's verbs work from another one.
//!
//! ```text
//!   scheduler   the loop: claims, gives jobs to lanes, begins workers and probes
//!   permits     workers that a route's lanes share   resume   what an operator wants tried now
//!   lane        what this process has of a lane        health     how its place does (pure)
//!   job         what belongs together (pure)           begun      what is in hand
//!   worker      a connection and its jobs              local      deliveries on this machine
//!   connection  which server, and how it was reached   exchange   MX records in order (pure)
//!   judgement   what a failure means (pure)            settle     what is recorded of it
//!   envelope, removable   to the client session        retry      when to try again (pure)
//!   protection  what a message demands of TLS (RFC 8689)
//!   overdue     what was not delivered in the time that its sender gave (RFC 2852)
//! ```
//!
//! Not here: what a route is (`route`), what SMTP says (the component, by `outbound`), how a Maildir is
//! written (`deliver`), what senders are told (`report`).

mod begun;
mod connection;
mod envelope;
mod exchange;
mod health;
mod job;
mod judgement;
mod lane;
mod local;
mod overdue;
mod permits;
mod protection;
mod removable;
mod resume;
mod retry;
mod scheduler;
mod settle;
mod worker;

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, mpsc, watch};

pub use resume::{Lanes, Resume};
pub use retry::Retry;

use crate::alarm::Alarm;
use crate::deliver::Maildirs;
use crate::outbound::resolve::Resolve;
use crate::route::Routes;
use crate::sandbox::Build;
use crate::spool::{Claimed, Spool, Trouble};
use begun::Begun;
use health::Change;
use lane::Lane;

/// How long an attempt has before another may begin. Attempts of this process are known, so it
/// matters only where a process died and no service was started since.
const LEASE: Duration = Duration::from_secs(3600);
/// How often the spool is asked without a reason: for retries, and for another process's `release`.
const LOOK: Duration = Duration::from_secs(1);
/// Age of an attempt at which it no longer counts as moving: its disk may be dead.
const STALLED: Duration = Duration::from_secs(30);
/// How long to leave a spool alone that cannot be used.
const PAUSE: Duration = Duration::from_secs(5);

/// The routes of this moment. Called at each claim, so it should cost no more than a lock-free load.
pub type CurrentRoutes = Arc<dyn Fn() -> Arc<Routes> + Send + Sync>;
/// The build of this moment.
pub type CurrentBuild = Arc<dyn Fn() -> Arc<Build> + Send + Sync>;

/// What the relay works with.
pub struct Relay {
    /// Where messages come from.
    pub spool: Arc<dyn Spool>,
    /// Where they go.
    pub routes: CurrentRoutes,
    /// How they get into Maildirs.
    pub maildirs: Maildirs,
    /// Whose client session speaks to servers.
    pub build: CurrentBuild,
    /// Who knows names.
    pub resolver: Arc<dyn Resolve>,
    /// Our own name, for EHLO and against loops.
    pub hostname: String,
    /// When to try again what has no route.
    pub retry: Retry,
    /// Who is told what an operator must repair.
    pub alarm: Arc<dyn Alarm>,
    /// Tells the reporter that senders are owed reports.
    pub reports: Arc<Notify>,
}

/// What tells the relay that something has changed. Many notifications may become one.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    /// Something was appended that is not held, or may be due.
    pub wake: Arc<Notify>,
    /// An operator wants lanes that are down or paused to be tried now.
    pub resume: Arc<Resume>,
    /// Messages were removed or held.
    pub changed: Arc<Notify>,
}

/// Delivers what is due until `shutdown` is ready, then lets running attempts end.
pub async fn run(relay: Relay, signals: Signals, shutdown: impl Future<Output = ()>) {
    let (shared, happened) = Shared::new(relay, STALLED);
    scheduler::run(shared, happened, signals, shutdown).await;
}

/// What happened elsewhere.
enum Event {
    /// A job or a worker ended.
    Moved,
    /// Recipients that waited are due now.
    Expedited,
    /// Whether something queues in this lane, whose trouble may be over.
    Looked(Arc<Lane>, bool),
    /// Leases that nobody uses: their recipients can be tried.
    Again(Vec<Claimed>),
    /// The lanes in the spool were compared with the routes, or could not be.
    Swept(bool),
}

/// What scheduler and workers share.
struct Shared {
    relay: Relay,
    begun: Begun,
    lanes: Mutex<HashMap<String, Arc<Lane>>>,
    /// Lanes whose route is gone, and when trouble of our own there ended with it.
    forgotten: Mutex<HashMap<String, SystemTime>>,
    events: mpsc::UnboundedSender<Event>,
    ending: watch::Sender<bool>,
    stalled_after: Duration,
}

impl Shared {
    fn new(relay: Relay, stalled_after: Duration) -> (Arc<Self>, mpsc::UnboundedReceiver<Event>) {
        let (events, happened) = mpsc::unbounded_channel();
        let shared = Self {
            relay,
            begun: Begun::default(),
            lanes: Mutex::default(),
            forgotten: Mutex::default(),
            events,
            ending: watch::channel(false).0,
            stalled_after,
        };
        (Arc::new(shared), happened)
    }

    fn lanes(&self) -> MutexGuard<'_, HashMap<String, Arc<Lane>>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forgotten(&self) -> MutexGuard<'_, HashMap<String, SystemTime>> {
        self.forgotten
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, event: Event) {
        // The scheduler is gone only at the end.
        let _ = self.events.send(event);
    }

    fn ends(&self) -> bool {
        *self.ending.borrow()
    }

    /// Ready once the service ends.
    async fn ended(&self) {
        // It cannot fail: the sender is ours.
        let _ = self.ending.subscribe().wait_for(|ending| *ending).await;
    }

    /// Records how a lane does now, and what follows from it. What changed meanwhile, in whichever
    /// order, is recorded as it is by then.
    async fn changed(&self, lane: &Lane, change: Change) {
        if change == Change::None {
            return;
        }
        let _record = lane.record.lock().await;
        let (route, trouble) = {
            let inner = lane.lock();
            // A lane that is forgotten has no trouble that anybody could repair.
            let forgotten = inner.closed && !self.ends();
            let trouble = inner.health.trouble(&lane.name).filter(|_| !forgotten);
            (inner.route.name.clone(), trouble)
        };
        match (change, &trouble) {
            (Change::Worse | Change::Paused, Some(trouble)) => {
                let why = trouble.attempt.why();
                let next = crate::spool::timestamp(trouble.next_attempt);
                if change == Change::Paused && trouble.trouble == Trouble::Paused {
                    let text = format!(
                        "route {route} is paused, its messages wait: {why}; repair it, then `pillarbox queue retry --all` (it is tried again at {next})"
                    );
                    self.relay.alarm.raise(&format!("route {route}"), &text);
                }
                tracing::warn!(
                    lane = lane.name,
                    attempts = trouble.attempts,
                    next,
                    "waiting: {why}"
                );
            }
            (Change::Well | Change::Eased, None) => {
                tracing::info!(lane = lane.name, "messages go out again");
                self.relay.alarm.clear(&format!("route {route}"));
            }
            _ => {}
        }
        if let Err(error) = self.relay.spool.trouble(&lane.name, trouble).await {
            let error = with_causes(&error);
            tracing::error!(lane = lane.name, error, "cannot record how a lane does");
        }
        if change.expedites() {
            self.expedite(&lane.name).await;
        }
    }

    /// Makes due what waits in a lane.
    async fn expedite(&self, lane: &str) {
        if let Err(error) = self.relay.spool.expedite(lane).await {
            let error = with_causes(&error);
            tracing::error!(lane, error, "cannot make due what waits in a lane");
        }
        self.tell(Event::Expedited);
    }
}

/// An error with what lies below it, for a line that a person reads.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(below) = cause {
        text.push_str(": ");
        text.push_str(&below.to_string());
        cause = below.source();
    }
    text
}

#[cfg(test)]
mod tests;
