//! The loop: what is claimed when, and who carries it. `troubles` is about lanes in trouble, `routes`
//! about routes that change.
//!
//! Nothing that takes long is awaited here: it is a chore, which tells the loop what came of it.

mod routes;
mod troubles;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::health::{Change, Health, Reason};
use super::job::{Job, sort};
use super::lane::Lane;
use super::permits::{Leave, Permit, Permits};
use super::settle::record;
use super::worker::{Worker, hand_back, put_off};
use super::{Event, LEASE, LOOK, PAUSE, Shared, Signals, local, overdue, with_causes};
use crate::route::{Route, Routes};
use crate::spool::{Claimed, SpoolError, State, Wanted, is_of};

/// Most recipients in hand. Each is some hundred octets in memory.
const MOST_IN_HAND: usize = 2000;
/// Most of these that go by one route. Less if others leave less: see [`share`].
const MOST_OF_ROUTE: usize = MOST_IN_HAND / 4;
/// Recipients of a lane that is not in memory yet.
const FIRST_OF_LANE: usize = 25;
/// Recipients of a lane that must wait for its first worker.
const FIRST_OF_REFUSED: usize = 5;
/// Most workers of all lanes. A delivery here may hold a thread, of which the runtime has 512 for
/// such work, and sessions need some too.
const MOST_WORKERS: usize = 400;
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
    // Before the first claim: what would be put off need not be.
    scheduler.look_at_troubles();
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
            Some(event) = happened.recv() => scheduler.heard(event),
            Some(ended) = scheduler.tasks.join_next() => told(ended),
            Some(ended) = scheduler.chores.join_next() => told(ended),
            () = signals.wake.notified() => scheduler.ask(),
            () = signals.resume.asked() => scheduler.resume(&signals.resume.take()),
            () = signals.changed.notified() => scheduler.look_for_removed(),
            _ = look.tick() => scheduler.look(),
        }
        // Many events become one look.
        while let Ok(event) = happened.try_recv() {
            scheduler.heard(event);
        }
        scheduler.reap();
        scheduler.look_for_missed();
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
    permits: Permits,
    /// The routes that lanes in memory belong to.
    routes: Arc<Routes>,
    /// The lanes in the spool are to be compared with the routes.
    unswept: bool,
    /// That is being done.
    sweeping: bool,
    /// There may be something to claim.
    due: bool,
    /// Somebody said so since the last claim.
    asked: bool,
    not_before: Instant,
    /// The lane after which the next claim begins.
    after: String,
    /// The route that it is of, if that had no more room.
    cut: String,
    /// Routes that had no more room at the last claim.
    full: Vec<String>,
}

impl Scheduler {
    fn new(shared: Arc<Shared>) -> Self {
        Self {
            routes: (shared.relay.routes)(),
            shared,
            tasks: JoinSet::new(),
            chores: JoinSet::new(),
            workers: 0,
            permits: Permits::default(),
            unswept: false,
            sweeping: false,
            due: true,
            asked: true,
            not_before: Instant::now(),
            after: String::new(),
            cut: String::new(),
            full: Vec::new(),
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

    fn heard(&mut self, event: Event) {
        match event {
            Event::Moved => self.look_at_full(),
            Event::Expedited => self.ask(),
            Event::Looked(lane, waits) => self.looked(&lane, waits),
            Event::Again(claimed) => self.give(claimed),
            Event::Swept(done) => {
                self.sweeping = false;
                self.unswept |= !done;
            }
        }
    }

    /// A route that was full may have room again: so much that a claim is worth while.
    fn look_at_full(&mut self) {
        let begun = &self.shared.begun;
        let free = MOST_IN_HAND.saturating_sub(begun.count());
        let has_room = |name: &String| begun.of_route(name) + MOST_OF_ROUTE / 4 <= share(free);
        if self.full.iter().any(has_room) {
            self.full.clear();
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
        let wanted = self.wanted();
        self.asked = false;
        let spool = &self.shared.relay.spool;
        match spool.claim(&wanted, LEASE, SystemTime::now()).await {
            Ok(claimed) => {
                self.due = !claimed.is_empty();
                self.continue_after(&wanted, &claimed);
                self.give(claimed);
            }
            Err(error) => {
                let error = with_causes(&error);
                tracing::error!(error, "nothing is delivered for the moment");
                self.not_before = Instant::now() + PAUSE;
            }
        }
    }

    fn wanted(&mut self) -> Wanted {
        let mut lanes = HashMap::new();
        for (name, lane) in self.shared.lanes().iter() {
            let inner = lane.lock();
            let (route, waits) = (Arc::clone(&inner.route), !inner.jobs.is_empty());
            let refused = inner.workers.is_empty() && inner.health.is_well();
            drop(inner);
            // Nobody would carry it soon; a little, so that its turn comes too.
            let room = match (refused && self.permits.is_exhausted(&route), waits) {
                (true, true) => 0,
                (true, false) => FIRST_OF_REFUSED,
                (false, _) => lane.room(),
            };
            lanes.insert(name.clone(), room);
        }
        let begun = &self.shared.begun;
        let free = MOST_IN_HAND.saturating_sub(begun.count());
        let routes = (self.shared.relay.routes)();
        let room = |route: &Arc<Route>| {
            let room = share(free).saturating_sub(begun.of_route(&route.name));
            (route.name.clone(), room)
        };
        Wanted {
            lanes,
            otherwise: FIRST_OF_LANE,
            routes: routes.all().iter().map(room).collect(),
            total: free,
            after: std::mem::take(&mut self.after),
        }
    }

    /// The next claim begins where a route had no more room, so that its later lanes have their turn;
    /// of several such routes with each in turn. And these are looked at when something of them ends.
    fn continue_after(&mut self, wanted: &Wanted, claimed: &[Claimed]) {
        let mut ends: Vec<(usize, &str)> = vec![(0, ""); wanted.routes.len()];
        for one in claimed {
            let of = |(name, _): &(String, usize)| is_of(&one.lane, name);
            let place = wanted.routes.iter().position(of);
            if let Some(end) = place.and_then(|place| ends.get_mut(place)) {
                *end = (end.0 + 1, &one.lane);
            }
        }
        let full = wanted.routes.iter().zip(ends);
        let full: Vec<(&str, &str)> = full
            .filter(|((_, room), (taken, _))| taken >= room)
            .map(|((name, _), (_, lane))| (name.as_str(), lane))
            .collect();
        self.full = full.iter().map(|(name, _)| (*name).to_owned()).collect();
        let mut cut = full;
        cut.retain(|(_, lane)| !lane.is_empty());
        cut.sort_unstable();
        let next = cut
            .iter()
            .find(|(name, _)| *name > self.cut.as_str())
            .or(cut.first());
        (self.cut, self.after) = match (next, claimed.last()) {
            (Some((name, lane)), _) => ((*name).to_owned(), (*lane).to_owned()),
            (None, Some(last)) => (String::new(), last.lane.clone()),
            (None, None) => (String::new(), String::new()),
        };
    }

    /// Gives what was claimed to its lanes.
    fn give(&mut self, claimed: Vec<Claimed>) {
        let claimed = claimed
            .into_iter()
            // Its attempt has not ended, or was good and is not recorded.
            .filter(|one| self.shared.begun.begin(one))
            .collect();
        self.assign(claimed);
    }

    /// Gives what is in hand to its lanes.
    fn assign(&mut self, claimed: Vec<Claimed>) {
        let sorted = sort(claimed, &(self.shared.relay.routes)());
        if !sorted.stray.is_empty() {
            let shared = Arc::clone(&self.shared);
            self.chores
                .spawn(async move { local::stray(&shared, sorted.stray).await });
        }
        for job in sorted.jobs {
            self.shared.begun.place(&job);
            // It queued under a name of which nobody could know where it leads.
            let renamed = job.recipients.iter().any(|one| one.lane != job.lane);
            if renamed && self.shared.begun.of_route(&job.route.name) > MOST_OF_ROUTE {
                self.hand_back(job);
                continue;
            }
            let lane = self.lane(&job);
            let waited = self.waited_elsewhere(&job);
            let reason = {
                let mut inner = lane.lock();
                inner.route = Arc::clone(&job.route);
                if let Some(until) = waited {
                    inner.health.inherit(until);
                }
                inner.health.reason()
            };
            match reason {
                None => lane.push(job),
                Some(reason) => self.put_off(&lane, job, reason),
            }
        }
    }

    /// Until when recipients of this job waited for a route that is gone, and for something of ours.
    fn waited_elsewhere(&self, job: &Job) -> Option<SystemTime> {
        let forgotten = self.shared.forgotten();
        let lanes = job.recipients.iter().map(|one| &one.lane);
        lanes.filter_map(|lane| forgotten.get(lane)).max().copied()
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

    /// Begins workers where jobs wait for one: first those lanes that have none, the longest waiting
    /// before the others, then one for each lane in turn.
    fn begin_workers(&mut self) {
        let now = Instant::now();
        let mut wanting = Vec::new();
        for lane in self.shared.lanes().values() {
            let inner = lane.lock();
            let missing = inner.missing();
            if missing > 0 {
                let since = inner.refused.unwrap_or(now);
                let order = (!inner.workers.is_empty(), since);
                wanting.push((order, missing, Arc::clone(&inner.route), Arc::clone(lane)));
            }
        }
        wanting.sort_by_key(|(order, ..)| *order);
        let mut refused = Vec::new();
        while !wanting.is_empty() && self.tasks.len() < MOST_WORKERS {
            wanting.retain_mut(|(_, missing, route, lane)| {
                match self.permits.ask(route) {
                    _ if self.tasks.len() >= MOST_WORKERS => return false,
                    Leave::Granted(permit) => {
                        let worker = self.worker(lane, permit);
                        self.tasks.spawn(worker.run());
                        *missing -= 1;
                    }
                    Leave::Refused => {
                        let mut inner = lane.lock();
                        if inner.workers.is_empty() {
                            inner.refused.get_or_insert(now);
                            refused.push(route.name.clone());
                        }
                        return false;
                    }
                }
                *missing > 0
            });
        }
        self.make_room(&refused);
    }

    /// Lanes of these routes wait for a worker that others have.
    fn make_room(&self, refused: &[String]) {
        self.permits
            .set_wanted(|name| refused.iter().any(|refused| refused == name));
        if refused.is_empty() {
            return;
        }
        for lane in self.shared.lanes().values() {
            let inner = lane.lock();
            let idle = inner.workers.iter().any(|(_, job)| job.is_none());
            if idle && refused.contains(&inner.route.name) {
                lane.nudge();
            }
        }
    }

    fn worker(&mut self, lane: &Arc<Lane>, permit: Option<Permit>) -> Worker {
        self.workers += 1;
        let mut inner = lane.lock();
        inner.set(self.workers, Some(Instant::now()));
        inner.refused = None;
        drop(inner);
        let shared = Arc::clone(&self.shared);
        Worker::new(shared, Arc::clone(lane), self.workers, permit)
    }

    /// Once a second.
    fn look(&mut self) {
        self.ask();
        if self.shared.begun.has_unrecorded() {
            let shared = Arc::clone(&self.shared);
            self.chores.spawn(async move { record(&shared).await });
        }
        let shared = Arc::clone(&self.shared);
        self.chores
            .spawn(async move { overdue::look(&shared).await });
        self.look_at_routes();
        self.look_at_stuck();
        self.look_at_troubles();
        let now = SystemTime::now();
        let mut lanes = self.shared.lanes();
        if lanes.len() > MOST_IDLE_LANES {
            lanes.retain(|_, lane| !lane.lock().is_idle(now));
        }
    }

    fn put_off(&mut self, lane: &Arc<Lane>, job: Job, reason: Reason) {
        let (shared, lane) = (Arc::clone(&self.shared), Arc::clone(lane));
        self.chores
            .spawn(async move { put_off(&shared, &lane, &job, &reason).await });
    }

    /// Puts a job into its lane in the spool, due now, since its route has enough in hand.
    fn hand_back(&mut self, job: Job) {
        let shared = Arc::clone(&self.shared);
        self.chores
            .spawn(async move { hand_back(&shared, &job).await });
    }

    /// Records a change of a lane.
    fn changed(&mut self, lane: &Arc<Lane>, change: Change) {
        if change == Change::None {
            return;
        }
        let (shared, lane) = (Arc::clone(&self.shared), Arc::clone(lane));
        self.chores
            .spawn(async move { shared.changed(&lane, change).await });
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

    /// What was claimed while its attempt had not ended: if that was settled before, the lease is
    /// nobody's, and would keep the recipient waiting until it runs out.
    fn look_for_missed(&mut self) {
        let missed = self.shared.begun.take_missed();
        if missed.is_empty() {
            return;
        }
        let shared = Arc::clone(&self.shared);
        self.chores.spawn(async move {
            let mut again = Vec::new();
            for claimed in missed {
                // What was settled after the claim, is removed or held is not leased any more.
                let shown = shared.relay.spool.show(&claimed.message.id).await;
                let place = usize::try_from(claimed.ordinal).unwrap_or(usize::MAX);
                let leased = shown.is_ok_and(|detail| {
                    let recipient = detail.entry.recipients.get(place);
                    recipient.is_some_and(|one| one.state == State::Delivering)
                });
                if leased {
                    again.push(claimed);
                }
            }
            shared.tell(Event::Again(again));
        });
    }

    /// Lets attempts end, and tries a last time to record what came of them.
    async fn finish(mut self) {
        self.shared.ending.send_replace(true);
        for lane in self.shared.lanes().values() {
            // The next service claims what is left there.
            lane.close();
        }
        while self.tasks.join_next().await.is_some() {}
        while self.chores.join_next().await.is_some() {}
        record(&self.shared).await;
        for (id, _) in self.shared.begun.take_unrecorded() {
            tracing::error!(
                id,
                "what came of an attempt is not recorded: the next service repeats it; what was delivered to a Maildir is found there"
            );
        }
    }
}

/// Recipients that one route may have in hand where so much is free: no more than are left for all
/// others, so that something is left however many routes have more than they can carry.
fn share(free: usize) -> usize {
    MOST_OF_ROUTE.min(free)
}

/// An attempt that panicked is a bug; its lease sees to it that it is repeated.
fn told(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "an attempt was cut short");
    }
}

/// The route that a lane is of.
fn belongs<'a>(routes: &'a Routes, lane: &str) -> Option<&'a Arc<Route>> {
    routes.all().iter().find(|route| is_of(lane, &route.name))
}
