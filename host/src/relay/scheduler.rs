//! The loop: what is claimed when, and who carries it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::health::{Health, Obstacle};
use super::job::{Job, sort};
use super::lane::Lane;
use super::settle::{Patience, record};
use super::worker::{Worker, put_off};
use super::{Event, LEASE, LOOK, PAUSE, Shared, Signals, local, overdue, with_causes};
use crate::route::{Delivery, Hops, Route, Routes};
use crate::spool::attempt::Stage;
use crate::spool::{Attempt, Claimed, SpoolError, Wanted};

/// Most recipients in hand. Each is some hundred octets in memory.
const MOST_IN_HAND: usize = 2000;
/// Recipients of a lane that is not in memory yet.
const FIRST_OF_LANE: usize = 25;
/// Most workers of all lanes. A delivery here may hold a thread, of which the runtime has 512 for
/// such work, and sessions need some too.
const MOST_WORKERS: usize = 400;
/// Most workers of one route to Maildirs, so that a dead disk leaves room for others.
const MOST_OF_LOCAL_ROUTE: usize = 100;
/// Lanes that are kept in memory though nothing happens in them.
const MOST_IDLE_LANES: usize = 1000;

/// Runs until `shutdown`, then lets attempts end.
pub(super) async fn run(
    shared: Arc<Shared>,
    mut happened: mpsc::UnboundedReceiver<Event>,
    signals: Signals,
    shutdown: impl Future<Output = ()>,
) {
    let mut scheduler = Scheduler::new(shared);
    scheduler.restore().await;
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        while scheduler.should_claim() {
            scheduler.claim().await;
            scheduler.begin_workers();
        }
        tokio::select! {
            () = &mut shutdown => break,
            event = happened.recv() => scheduler.heard(event),
            Some(ended) = scheduler.tasks.join_next() => told(ended),
            Some(ended) = scheduler.chores.join_next() => told(ended),
            () = signals.wake.notified() => scheduler.ask(),
            () = signals.resume.notified() => scheduler.resume().await,
            () = signals.changed.notified() => scheduler.look_for_removed(),
            _ = look.tick() => scheduler.look().await,
        }
        // Many events become one look.
        while let Ok(event) = happened.try_recv() {
            scheduler.heard(Some(event));
        }
        scheduler.reap();
        scheduler.begin_workers();
    }
    scheduler.finish().await;
}

struct Scheduler {
    shared: Arc<Shared>,
    /// Workers and probes.
    tasks: JoinSet<()>,
    /// What else is on its way: settlements, looks at what was removed.
    chores: JoinSet<()>,
    workers: u64,
    /// Connections of each route, where lanes share a limit.
    permits: HashMap<String, (usize, Arc<Semaphore>)>,
    routes: Arc<Routes>,
    /// There may be something to claim.
    due: bool,
    /// Somebody said so since the last claim.
    asked: bool,
    not_before: Instant,
    /// The last lane of the last claim.
    after: String,
}

impl Scheduler {
    fn new(shared: Arc<Shared>) -> Self {
        Self {
            routes: (shared.relay.routes)(),
            shared,
            tasks: JoinSet::new(),
            chores: JoinSet::new(),
            workers: 0,
            permits: HashMap::new(),
            due: true,
            asked: true,
            not_before: Instant::now(),
            after: String::new(),
        }
    }

    /// What the service before this one knew of its lanes.
    async fn restore(&mut self) {
        let now = SystemTime::now();
        let lanes = match self.shared.relay.spool.lanes().await {
            Ok(lanes) => lanes,
            Err(error) => {
                let error = with_causes(&error);
                tracing::error!(error, "cannot read how lanes do");
                return;
            }
        };
        for count in lanes {
            let Some(trouble) = count.trouble else {
                continue;
            };
            match belongs(&self.routes, &count.lane) {
                Some(route) => {
                    tracing::warn!(lane = count.lane, "waiting: {}", trouble.attempt.why());
                    let health = Health::restored(trouble, now);
                    let stalled = self.shared.stalled_after;
                    let lane = Lane::new(count.lane.clone(), Arc::clone(route), health, stalled);
                    self.shared.lanes().insert(count.lane, Arc::new(lane));
                }
                None => self.forget_lane(&count.lane).await,
            }
        }
    }

    /// The route is gone or leads elsewhere: what waited for it is looked at now.
    async fn forget_lane(&self, lane: &str) {
        let spool = &self.shared.relay.spool;
        let done = match spool.trouble(lane, None).await {
            Ok(()) => spool.expedite(lane).await.map(|_| ()),
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            let error = with_causes(&error);
            tracing::error!(lane, error, "cannot forget a lane without a route");
        }
    }

    /// Forgets what has ended: those that are counted must be on their way.
    fn reap(&mut self) {
        while let Some(ended) = self.tasks.try_join_next() {
            told(ended);
        }
        while let Some(ended) = self.chores.try_join_next() {
            told(ended);
        }
    }

    fn heard(&mut self, event: Option<Event>) {
        if event == Some(Event::Expedited) {
            self.ask();
        }
    }

    fn ask(&mut self) {
        self.due = true;
        self.asked = true;
    }

    /// A claim is a transaction, not to be made for one recipient while others are in hand.
    fn should_claim(&self) -> bool {
        if !self.due || Instant::now() < self.not_before || self.shared.begun.is_stuck() {
            return false;
        }
        let in_hand = self.shared.begun.count();
        if in_hand >= MOST_IN_HAND {
            return false;
        }
        self.asked || in_hand == 0 || self.shared.lanes().values().any(|lane| lane.is_low())
    }

    async fn claim(&mut self) {
        let lanes: HashMap<String, usize> = self
            .shared
            .lanes()
            .iter()
            .map(|(name, lane)| (name.clone(), lane.room()))
            .collect();
        let wanted = Wanted {
            lanes,
            otherwise: FIRST_OF_LANE,
            total: MOST_IN_HAND.saturating_sub(self.shared.begun.count()),
            after: std::mem::take(&mut self.after),
        };
        self.asked = false;
        let spool = &self.shared.relay.spool;
        match spool.claim(&wanted, LEASE, SystemTime::now()).await {
            Ok(claimed) => {
                self.due = !claimed.is_empty();
                self.after = claimed
                    .last()
                    .map_or_else(String::new, |one| one.lane.clone());
                self.give(claimed);
            }
            Err(error) => {
                let error = with_causes(&error);
                tracing::error!(error, "nothing is delivered for the moment");
                self.not_before = Instant::now() + PAUSE;
            }
        }
    }

    /// Gives what was claimed to its lanes.
    fn give(&mut self, claimed: Vec<Claimed>) {
        let claimed = claimed
            .into_iter()
            // Its lease ran out, but its attempt has not ended, or was good. The claim was a new
            // lease.
            .filter(|one| self.shared.begun.begin(one))
            .collect();
        let sorted = sort(claimed, &(self.shared.relay.routes)());
        if !sorted.stray.is_empty() {
            let shared = Arc::clone(&self.shared);
            self.chores
                .spawn(async move { local::stray(&shared, sorted.stray).await });
        }
        for job in sorted.jobs {
            let lane = self.lane(&job);
            let reason = {
                let mut inner = lane.lock();
                inner.route = Arc::clone(&job.route);
                inner
                    .health
                    .reason()
                    .map(|(attempt, attempts, ours)| (attempt.clone(), attempts, ours))
            };
            match reason {
                None => lane.push(job),
                Some((attempt, attempts, ours)) => {
                    self.put_off(job, attempt, Patience::of(ours), attempts);
                }
            }
        }
    }

    fn lane(&self, job: &Job) -> Arc<Lane> {
        let mut lanes = self.shared.lanes();
        let lane = lanes.entry(job.lane.clone()).or_insert_with(|| {
            let route = Arc::clone(&job.route);
            let stalled = self.shared.stalled_after;
            Arc::new(Lane::new(job.lane.clone(), route, Health::new(), stalled))
        });
        Arc::clone(lane)
    }

    fn begin_workers(&mut self) {
        let lanes: Vec<Arc<Lane>> = self.shared.lanes().values().map(Arc::clone).collect();
        for lane in lanes {
            let (missing, route) = {
                let inner = lane.lock();
                (inner.missing(), Arc::clone(&inner.route))
            };
            for _ in 0..missing {
                let Some(permit) = self.permit(&route) else {
                    break;
                };
                let worker = self.worker(&lane, permit);
                self.tasks.spawn(worker.run());
            }
        }
    }

    fn worker(&mut self, lane: &Arc<Lane>, permit: Option<OwnedSemaphorePermit>) -> Worker {
        self.workers += 1;
        lane.lock()
            .set(self.workers, Some(tokio::time::Instant::now()));
        let shared = Arc::clone(&self.shared);
        Worker::new(shared, Arc::clone(lane), self.workers, permit)
    }

    /// Leave for one more worker of this route: `None` if it has enough. Inside, what the worker
    /// keeps as long as it lives.
    fn permit(&mut self, route: &Route) -> Option<Option<OwnedSemaphorePermit>> {
        if self.tasks.len() >= MOST_WORKERS {
            return None;
        }
        let most = match &route.delivery {
            Delivery::Relay(next_hop) => match next_hop.hops {
                // The lane is the route.
                Hops::Configured(_) => return Some(None),
                Hops::Mx { .. } => next_hop.connections.most,
            },
            _ => MOST_OF_LOCAL_ROUTE,
        };
        let (known, permits) = self
            .permits
            .entry(route.name.clone())
            .or_insert_with(|| (most, Arc::new(Semaphore::new(most))));
        if *known != most {
            *known = most;
            *permits = Arc::new(Semaphore::new(most));
        }
        Arc::clone(permits).try_acquire_owned().ok().map(Some)
    }

    /// Once a second.
    async fn look(&mut self) {
        self.ask();
        if self.shared.begun.has_unrecorded() {
            let shared = Arc::clone(&self.shared);
            self.chores.spawn(async move { record(&shared).await });
        }
        let routes = (self.shared.relay.routes)();
        if !Arc::ptr_eq(&routes, &self.routes) {
            self.routes = routes;
            self.routes_changed().await;
        }
        overdue::look(&self.shared).await;
        self.look_at_stuck().await;
        self.look_at_troubles().await;
        let mut lanes = self.shared.lanes();
        if lanes.len() > MOST_IDLE_LANES {
            lanes.retain(|_, lane| !lane.lock().is_idle());
        }
    }

    /// A changed route applies to mail that is queued already, and may be the repair.
    async fn routes_changed(&mut self) {
        let counts = match self.shared.relay.spool.lanes().await {
            Ok(counts) => counts,
            Err(error) => {
                let error = with_causes(&error);
                tracing::error!(error, "cannot read the lanes");
                return;
            }
        };
        for count in counts {
            if belongs(&self.routes, &count.lane).is_none() {
                self.shared.lanes().remove(&count.lane);
                self.forget_lane(&count.lane).await;
            }
        }
        let routes = Arc::clone(&self.routes);
        for lane in self.shared.lanes().values() {
            let mut inner = lane.lock();
            if let Some(route) = belongs(&routes, &lane.name) {
                inner.route = Arc::clone(route);
            }
            inner.health.resume(SystemTime::now());
        }
    }

    /// Deliveries that do not end: what waits behind them should say so.
    async fn look_at_stuck(&mut self) {
        let stuck: Vec<Arc<Lane>> = self
            .shared
            .lanes()
            .values()
            .filter(|lane| lane.is_stuck())
            .map(Arc::clone)
            .collect();
        for lane in stuck {
            let now = SystemTime::now();
            let (change, attempt) = {
                let mut inner = lane.lock();
                let attempt = Attempt {
                    route: inner.route.name.clone(),
                    stage: Stage::Local,
                    status: Some((4, 3, 0)),
                    text: format!(
                        "{} earlier deliveries have not ended; is the disk there?",
                        inner.workers.len()
                    ),
                    at: now,
                    ..Attempt::default()
                };
                let longest = inner.route.retry.longest;
                let health = &mut inner.health;
                let change = health.obstructed(Obstacle::Away, &attempt, now, now, longest);
                (change, attempt)
            };
            self.shared.changed(&lane, change).await;
            for job in lane.drain() {
                self.put_off(job, attempt.clone(), Patience::Limited, 1);
            }
        }
    }

    fn put_off(&mut self, job: Job, attempt: Attempt, patience: Patience, attempts: u32) {
        let shared = Arc::clone(&self.shared);
        self.chores.spawn(async move {
            put_off(&shared, &job, &attempt, patience, false, attempts).await;
        });
    }

    /// Asks servers again whose time has come.
    async fn look_at_troubles(&mut self) {
        let now = SystemTime::now();
        let due: Vec<Arc<Lane>> = self
            .shared
            .lanes()
            .values()
            .filter(|lane| {
                let inner = lane.lock();
                inner.health.is_due(now) && !inner.probing
            })
            .map(Arc::clone)
            .collect();
        for lane in due {
            let waits = match self.shared.relay.spool.queues(&lane.name).await {
                Ok(waits) => waits,
                Err(error) => {
                    let error = with_causes(&error);
                    tracing::error!(lane = lane.name, error, "cannot look into a lane");
                    continue;
                }
            };
            let next_hop = {
                let inner = lane.lock();
                match &inner.route.delivery {
                    Delivery::Relay(next_hop)
                        if waits && next_hop.is_configured() && inner.health.is_probed() =>
                    {
                        Some((Arc::clone(&inner.route), Arc::clone(next_hop)))
                    }
                    _ => None,
                }
            };
            match next_hop {
                Some((route, next_hop)) => {
                    lane.lock().probing = true;
                    let worker = self.worker(&lane, None);
                    self.tasks.spawn(worker.probe(route, next_hop));
                }
                // Its next message asks.
                None => {
                    let change = lane.lock().health.give_chance();
                    self.shared.changed(&lane, change).await;
                }
            }
        }
    }

    /// An operator says: now.
    async fn resume(&mut self) {
        let now = SystemTime::now();
        for lane in self.shared.lanes().values() {
            lane.lock().health.resume(now);
        }
        self.look_at_troubles().await;
        self.ask();
    }

    /// Messages may have been removed: attempts with them stop where they can.
    fn look_for_removed(&mut self) {
        let shared = Arc::clone(&self.shared);
        self.chores.spawn(async move {
            for id in shared.begun.messages() {
                if let Err(SpoolError::NotFound { .. }) = shared.relay.spool.show(&id).await {
                    shared.begun.mark_removed(&id);
                }
            }
        });
    }

    /// Lets attempts end, and tries a last time to record what was delivered.
    async fn finish(mut self) {
        self.shared.ending.store(true, Ordering::Relaxed);
        for lane in self.shared.lanes().values() {
            lane.close();
        }
        while self.tasks.join_next().await.is_some() {}
        while self.chores.join_next().await.is_some() {}
        record(&self.shared).await;
        for (id, _) in self.shared.begun.take_unrecorded() {
            tracing::error!(
                id,
                "delivered, but not recorded: the next service delivers it again, or finds it in the Maildir"
            );
        }
    }
}

/// An attempt that panicked is a bug; its lease sees to it that it is repeated.
fn told(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "an attempt was cut short");
    }
}

/// The route that a lane is of.
fn belongs<'a>(routes: &'a Routes, lane: &str) -> Option<&'a Arc<Route>> {
    routes.all().iter().find(|route| {
        lane.strip_prefix(route.name.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    })
}
