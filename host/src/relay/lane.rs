//! What this process has of a lane: jobs that wait for a connection, workers, and its health.
//!
//! A worker is a connection to a server, or a place at a Maildir. Locks are held for a moment only,
//! never across a wait.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::health::Health;
use super::job::Job;
use crate::route::{Delivery, Route};
use crate::spool::Claimed;

/// Places at the Maildirs of one domain.
const MOST_LOCAL: usize = 20;
/// How long a job may wait here while more urgent ones go before it.
const MOST_PASSED_OVER: Duration = Duration::from_secs(60);

/// One lane.
pub(super) struct Lane {
    /// Its name, in the spool too.
    pub(super) name: String,
    /// Age at which a delivery here no longer counts as moving.
    stalled_after: Duration,
    inner: Mutex<Inner>,
    more: Notify,
    /// Held while it is recorded how it does: the last record says how it does now.
    pub(super) record: tokio::sync::Mutex<()>,
}

/// What is in it.
pub(super) struct Inner {
    /// The route of its jobs, as of the last of them.
    pub(super) route: Arc<Route>,
    /// Jobs that no worker has.
    pub(super) jobs: VecDeque<Job>,
    /// Workers, by number, and since when each has its job; `None`: it has none.
    pub(super) workers: Vec<(u64, Option<Instant>)>,
    /// Connections that take messages.
    pub(super) open: usize,
    /// How the place does.
    pub(super) health: Health,
    /// Which of several servers to begin with, and until when.
    pub(super) preferred: Option<(usize, Instant)>,
    /// Messages on one connection that the server showed to be its limit, twice.
    pub(super) messages: Option<u32>,
    /// What it showed once.
    suspected: Option<u32>,
    /// A connection without a message is on its way, or it is looked whether one is worth while.
    pub(super) probing: bool,
    /// Since when it waits for a first worker that its route cannot spare.
    pub(super) refused: Option<Instant>,
    /// No worker begins another job, and nothing comes any more.
    pub(super) closed: bool,
}

impl Lane {
    /// An empty lane.
    pub(super) fn new(
        name: String,
        route: Arc<Route>,
        health: Health,
        stalled_after: Duration,
    ) -> Self {
        Self {
            name,
            stalled_after,
            inner: Mutex::new(Inner {
                route,
                jobs: VecDeque::new(),
                workers: Vec::new(),
                open: 0,
                health,
                preferred: None,
                messages: None,
                suspected: None,
                probing: false,
                refused: None,
                closed: false,
            }),
            more: Notify::new(),
            record: tokio::sync::Mutex::default(),
        }
    }

    /// What is in it, for a moment.
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a job behind those that are as urgent, and wakes workers that have none. None goes before a
    /// job that has waited here for a while, however urgent it is.
    pub(super) fn push(&self, job: Job) {
        let mut inner = self.lock();
        let ahead = |other: &Job| {
            other.priority() >= job.priority() || other.since.elapsed() >= MOST_PASSED_OVER
        };
        let place = inner.jobs.iter().rposition(ahead).map_or(0, |at| at + 1);
        inner.jobs.insert(place, job);
        drop(inner);
        self.more.notify_one();
    }

    /// Takes those out of the jobs that nobody has of whom this is true.
    pub(super) fn take(&self, wanted: impl Fn(&Claimed) -> bool) -> Vec<Claimed> {
        let mut taken = Vec::new();
        let mut inner = self.lock();
        for job in &mut inner.jobs {
            taken.extend(job.recipients.extract_if(.., |one| wanted(one)));
        }
        inner.jobs.retain(|job| !job.recipients.is_empty());
        taken
    }

    /// Puts a job back that was not tried; returns it if nobody would take it from here.
    pub(super) fn put_back(&self, job: Job) -> Result<(), Job> {
        let mut inner = self.lock();
        if inner.closed {
            return Err(job);
        }
        inner.jobs.push_front(job);
        drop(inner);
        self.more.notify_one();
        Ok(())
    }

    /// The next job for this worker; waits for one so long, and not while `wanted` elsewhere. `None`:
    /// the worker ends, and is no longer counted.
    pub(super) async fn next(
        &self,
        worker: u64,
        idle: Duration,
        wanted: impl Fn() -> bool,
    ) -> Option<Job> {
        let end = Instant::now() + idle;
        loop {
            // Before the look, so that no nudge is missed.
            let more = self.more.notified();
            {
                let mut inner = self.lock();
                if inner.closed || inner.workers.len() > inner.limit() {
                    inner.leave(worker);
                    return None;
                }
                if let Some(job) = inner.jobs.pop_front() {
                    inner.set(worker, Some(Instant::now()));
                    return Some(job);
                }
                inner.set(worker, None);
                if Instant::now() >= end || wanted() {
                    inner.leave(worker);
                    return None;
                }
            }
            // A time that is up is seen above.
            let _ = tokio::time::timeout_at(end, more).await;
        }
    }

    /// Lets workers that have no job see whether they are wanted elsewhere.
    pub(super) fn nudge(&self) {
        self.more.notify_waiters();
    }

    /// Recipients to claim for it: enough that no worker waits for the next claim.
    pub(super) fn room(&self) -> usize {
        let inner = self.lock();
        let wanted = match (inner.health.is_well(), inner.limit()) {
            // They are put off at once, so it is not their number that matters.
            (false, _) => 100,
            (true, limit) => limit * 3 + 5,
        };
        let queued: usize = inner.jobs.iter().map(Job::len).sum();
        drop(inner);
        // Where nothing moves, nothing more is begun.
        if self.is_stuck() {
            return 0;
        }
        wanted.saturating_sub(queued)
    }

    /// Whether its workers soon have nothing to do.
    pub(super) fn is_low(&self) -> bool {
        let inner = self.lock();
        let queued: usize = inner.jobs.iter().map(Job::len).sum();
        !inner.workers.is_empty() && queued <= inner.limit()
    }

    /// Whether every place at a Maildir has a delivery that does not end: its disk may be dead. A
    /// server that is slow has its own limits of time.
    pub(super) fn is_stuck(&self) -> bool {
        let inner = self.lock();
        inner.health.is_well()
            && inner.is_local()
            && inner.stalled(self.stalled_after) >= inner.limit()
    }

    /// Takes the jobs that nobody has.
    pub(super) fn drain(&self) -> VecDeque<Job> {
        std::mem::take(&mut self.lock().jobs)
    }

    /// Lets workers end after their jobs. Returns the jobs that nobody has.
    pub(super) fn close(&self) -> VecDeque<Job> {
        let mut inner = self.lock();
        inner.closed = true;
        let jobs = std::mem::take(&mut inner.jobs);
        drop(inner);
        self.more.notify_waiters();
        jobs
    }
}

impl Inner {
    /// Workers at a time.
    pub(super) fn limit(&self) -> usize {
        match &self.route.delivery {
            Delivery::Relay(next_hop) => {
                let now = SystemTime::now();
                self.health.window(next_hop.per_lane(), now).max(1)
            }
            _ => MOST_LOCAL,
        }
    }

    /// Workers to begin now, for the jobs that nobody has.
    pub(super) fn missing(&self) -> usize {
        if !self.health.is_well() {
            return 0;
        }
        let idle = self.workers.iter().filter(|(_, job)| job.is_none()).count();
        self.jobs
            .len()
            .saturating_sub(idle)
            .min(self.limit().saturating_sub(self.workers.len()))
    }

    /// The server ended a session after so many messages. Once may be chance.
    pub(super) fn learn(&mut self, messages: u32) {
        if self.suspected.replace(messages) == Some(messages) {
            self.messages = Some(messages);
        }
    }

    /// Whether nothing of it is in memory that is worth keeping.
    pub(super) fn is_idle(&self, now: SystemTime) -> bool {
        self.jobs.is_empty()
            && self.workers.is_empty()
            && self.health.is_well()
            && self.health.counted_from(now).is_none()
            && !self.probing
    }

    /// Whether its deliveries end on this machine.
    pub(super) fn is_local(&self) -> bool {
        !matches!(self.route.delivery, Delivery::Relay(_))
    }

    /// Workers whose jobs have not ended for so long.
    pub(super) fn stalled(&self, after: Duration) -> usize {
        let stalled =
            |(_, job): &&(u64, Option<Instant>)| job.is_some_and(|since| since.elapsed() >= after);
        self.workers.iter().filter(stalled).count()
    }

    /// Notes what a worker does.
    pub(super) fn set(&mut self, worker: u64, job: Option<Instant>) {
        match self
            .workers
            .iter_mut()
            .find(|(number, _)| *number == worker)
        {
            Some((_, since)) => *since = job,
            None => self.workers.push((worker, job)),
        }
    }

    /// A worker is gone.
    pub(super) fn leave(&mut self, worker: u64) {
        self.workers.retain(|(number, _)| *number != worker);
    }
}
