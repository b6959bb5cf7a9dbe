//! A worker: one connection, and the jobs that it carries one after the other (CL-reuse).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::OwnedSemaphorePermit;

use super::begun::Removed;
use super::connection::{Connection, NotOpened, open};
use super::envelope::{envelope, facts};
use super::health::{Change, Obstacle};
use super::job::Job;
use super::judgement::{Judgement, deserves_another, ground};
use super::lane::Lane;
use super::local::{Trouble, abandon, content_trouble};
use super::removable::Removable;
use super::settle::{Case, Patience, Teller, settle};
use super::{Event, Shared, local, overdue};
use crate::route::{Delivery, NextHop, Route, domain};
use crate::sandbox::v0_1::client::{Outcome, Stage as Reached, Verdict};
use crate::spool::attempt::Stage;
use crate::spool::{Attempt, Claimed, ContentReader, Settlement};

/// One worker's own.
pub(super) struct Worker {
    shared: Arc<Shared>,
    lane: Arc<Lane>,
    number: u64,
    connection: Option<Connection>,
    /// The recipients in hand, should this task die of a bug.
    current: Option<(String, Vec<u32>)>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Worker {
    /// A worker without a connection, which is on the lane's list already.
    pub(super) fn new(
        shared: Arc<Shared>,
        lane: Arc<Lane>,
        number: u64,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Self {
        Self {
            shared,
            lane,
            number,
            connection: None,
            current: None,
            _permit: permit,
        }
    }

    /// Carries jobs until there are none for a while, or the lane is in trouble.
    pub(super) async fn run(mut self) {
        loop {
            let idle = self.idle();
            let Some(job) = self.lane.next(self.number, idle).await else {
                break;
            };
            if self.shared.ends() {
                self.shared.begun.end(
                    &job.message.id,
                    job.recipients.iter().map(|one| one.ordinal),
                );
                break;
            }
            let Some(job) = overdue::without(&self.shared, job).await else {
                self.shared.tell(Event::Moved);
                continue;
            };
            let ordinals = job.recipients.iter().map(|one| one.ordinal).collect();
            self.current = Some((job.message.id.clone(), ordinals));
            match &job.route.delivery {
                Delivery::Relay(next_hop) => {
                    let next_hop = Arc::clone(next_hop);
                    self.carry(job, &next_hop).await;
                }
                _ => local::carry(&self.shared, job).await,
            }
            self.current = None;
            self.shared.tell(Event::Moved);
            if !self.lane.lock().health.is_well() {
                break;
            }
        }
        self.lane.lock().leave(self.number);
        self.close();
        self.shared.tell(Event::Moved);
    }

    /// Connects without a message, to see whether the lane's trouble is over; if so, goes on as
    /// any other worker.
    pub(super) async fn probe(mut self, route: Arc<Route>, next_hop: Arc<NextHop>) {
        let opened = open(&self.shared, &self.lane, &route, &next_hop, "").await;
        self.lane.lock().probing = false;
        match opened {
            Ok(connection) => {
                self.connected(connection).await;
                self.run().await;
            }
            Err(not_opened) => {
                self.obstructed(&route, &not_opened).await;
                self.lane.lock().leave(self.number);
                self.shared.tell(Event::Moved);
            }
        }
    }

    fn idle(&self) -> Duration {
        self.connection
            .as_ref()
            .map_or(Duration::ZERO, |connection| {
                connection.next_hop.connections.idle
            })
    }

    fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.lane.lock().open -= 1;
            // CL-quit: nobody waits for the answer.
            tokio::spawn(connection.dialogue.quit());
        }
    }

    async fn connected(&mut self, connection: Connection) {
        let change = {
            let mut inner = self.lane.lock();
            inner.open += 1;
            inner.health.opened()
        };
        self.connection = Some(connection);
        self.shared.changed(&self.lane, change).await;
    }

    /// The connection for this job: the one that is there, or a new one.
    async fn ready(&mut self, job: &Job, next_hop: &Arc<NextHop>) -> Result<(), NotOpened> {
        if let Some(connection) = &mut self.connection {
            let most = self
                .lane
                .lock()
                .messages
                .map_or(next_hop.connections.messages, |learnt| {
                    learnt.min(next_hop.connections.messages)
                });
            let good = Arc::ptr_eq(&connection.next_hop, next_hop)
                && connection.messages < most
                && connection.dialogue.is_ready()
                && connection.dialogue.is_alive().await;
            if good {
                return Ok(());
            }
            self.close();
        }
        let to = job
            .recipients
            .first()
            .map_or("", |one| domain(&one.recipient.mailbox));
        let connection = open(&self.shared, &self.lane, &job.route, next_hop, to).await?;
        self.connected(connection).await;
        Ok(())
    }

    /// Carries one job to its end: every recipient is settled, or in the hands of the lane again.
    async fn carry(&mut self, mut job: Job, next_hop: &Arc<NextHop>) {
        let mut again = false;
        while !job.recipients.is_empty() {
            if let Err(not_opened) = self.ready(&job, next_hop).await {
                return self.not_opened(job, not_opened).await;
            }
            let content = match self.content(&job).await {
                Ok(content) => content,
                Err(Trouble::Temporary(text)) => {
                    let attempt = Attempt {
                        route: job.route.name.clone(),
                        status: Some((4, 3, 0)),
                        text,
                        at: SystemTime::now(),
                        ..Attempt::default()
                    };
                    return self.put_off(&job, &attempt, Patience::Limited, true).await;
                }
                Err(trouble) => return abandon(&self.shared, &job.recipients, trouble).await,
            };
            let Some(connection) = &mut self.connection else {
                return;
            };
            let reused = connection.messages > 0;
            let begun = SystemTime::now();
            let outcomes = transact(connection, &job, content).await;
            connection.messages = connection.messages.saturating_add(1);
            let failure = connection.dialogue.failure();
            if reused && !again && deserves_another(&outcomes, failure) {
                let served = connection.messages - 1;
                tracing::debug!(id = %job.message.id, served, "the server takes no more on this connection; once more on a new one");
                again = true;
                self.lane.lock().learn(served);
                self.close();
                continue;
            }
            again = false;
            self.settle(&mut job, outcomes, begun).await;
        }
    }

    /// The content, found whole before the first octet of it goes out.
    async fn content(&mut self, job: &Job) -> Result<(ContentReader, Removed), Trouble> {
        let id = &job.message.id;
        let mut content = self
            .shared
            .relay
            .spool
            .read_content(id)
            .await
            .map_err(content_trouble)?;
        content.verify().await.map_err(content_trouble)?;
        let ordinal = job.recipients.first().map_or(0, |one| one.ordinal);
        Ok((content, self.shared.begun.removed(id, ordinal)))
    }

    /// Records a transaction's outcomes; what remains in the job is for another transaction.
    async fn settle(&mut self, job: &mut Job, outcomes: Vec<Outcome>, begun: SystemTime) {
        let (done, settlements, change) = self.judge(job, outcomes, begun);
        settle(&self.shared, &done, settlements).await;
        self.shared.changed(&self.lane, change).await;
        self.put_off_others().await;
    }

    /// What else waits in a lane in trouble need not find out by itself.
    async fn put_off_others(&mut self) {
        let reason = self
            .lane
            .lock()
            .health
            .reason()
            .map(|(attempt, _, ours)| (attempt.clone(), Patience::of(ours)));
        let Some((attempt, patience)) = reason else {
            return;
        };
        for other in self.lane.drain() {
            self.put_off(&other, &attempt, patience, false).await;
        }
    }

    /// What a transaction's outcomes mean for its recipients, and for the lane.
    fn judge(
        &mut self,
        job: &mut Job,
        outcomes: Vec<Outcome>,
        begun: SystemTime,
    ) -> (Vec<Claimed>, Vec<Settlement>, Change) {
        let (mut settlements, mut done, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        let Some(connection) = &self.connection else {
            return (done, settlements, Change::None);
        };
        let failure = connection.dialogue.failure();
        let now = SystemTime::now();
        let base = connection.attempt(&job.route);
        let lmtp = connection.next_hop.is_lmtp();
        let keeps_time = connection.offers("DELIVERBY");
        let progress = outcomes
            .iter()
            .any(|outcome| outcome.verdict != Verdict::Again);
        for (claimed, outcome) in job.recipients.drain(..).zip(outcomes) {
            // A server that takes not even one recipient a transaction defers.
            if outcome.verdict == Verdict::Again && progress {
                rest.push(claimed);
                continue;
            }
            let ground = ground(&outcome, failure);
            let attempt = Attempt {
                stage: ground.stage,
                reply: ground.reply,
                status: ground.status,
                text: ground.text,
                at: now,
                ..base.clone()
            };
            let case = Case {
                message: &job.message,
                claimed: &claimed,
                lane: &job.lane,
                retry: &job.route.retry,
                now,
            };
            settlements.push(one(&case, &outcome, attempt, lmtp, keeps_time));
            done.push(claimed);
        }
        job.recipients = rest;
        let about_us = failure.is_some_and(|failure| failure.stage == Reached::Authentication);
        let mut inner = self.lane.lock();
        let change = match all_deferred(&settlements) {
            Some(attempt) if about_us => {
                let longest = job.route.retry.longest;
                inner.health.rebuffed(attempt, begun, now, longest)
            }
            Some(attempt) => inner.health.deferred(attempt, now),
            None => inner.health.served(connection.next_hop.per_lane()),
        };
        drop(inner);
        (done, settlements, change)
    }

    /// There is no connection for this job.
    async fn not_opened(&mut self, job: Job, not_opened: NotOpened) {
        // Others still work: the server has connections enough, or hides from new ones.
        if not_opened.crowded || not_opened.judgement == Judgement::Obstacle(Obstacle::Away) {
            let mut inner = self.lane.lock();
            if inner.open > 0 {
                let open = inner.open;
                inner.health.crowded(open, SystemTime::now());
                drop(inner);
                return self.lane.put_back(job);
            }
        }
        if not_opened.judgement == Judgement::Refused {
            return self.refuse(&job, &not_opened.attempt).await;
        }
        self.obstructed(&job.route, &not_opened).await;
        self.put_off(&job, &not_opened.attempt, patience(&not_opened), true)
            .await;
        self.put_off_others().await;
    }

    async fn obstructed(&mut self, route: &Route, not_opened: &NotOpened) {
        let Judgement::Obstacle(obstacle) = not_opened.judgement else {
            return;
        };
        let change = self.lane.lock().health.obstructed(
            obstacle,
            &not_opened.attempt,
            not_opened.begun,
            SystemTime::now(),
            route.retry.longest,
        );
        self.shared.changed(&self.lane, change).await;
    }

    /// The domain takes no mail.
    async fn refuse(&mut self, job: &Job, attempt: &Attempt) {
        let now = SystemTime::now();
        let settlements = job
            .recipients
            .iter()
            .map(|claimed| case(job, claimed, now).failed(attempt.clone()))
            .collect();
        settle(&self.shared, &job.recipients, settlements).await;
    }

    async fn put_off(&mut self, job: &Job, attempt: &Attempt, patience: Patience, counted: bool) {
        let lane_attempts = self
            .lane
            .lock()
            .health
            .reason()
            .map_or(0, |(_, attempts, _)| attempts);
        put_off(&self.shared, job, attempt, patience, counted, lane_attempts).await;
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let mut inner = self.lane.lock();
        inner.leave(self.number);
        if self.connection.take().is_some() {
            inner.open -= 1;
        }
        // A bug cut it short: its recipients are tried again when their leases run out.
        if let Some((id, ordinals)) = self.current.take()
            && std::thread::panicking()
        {
            self.shared.begun.end(&id, ordinals);
        }
    }
}

/// Puts off all recipients of a job for a reason of its lane's.
pub(super) async fn put_off(
    shared: &Shared,
    job: &Job,
    attempt: &Attempt,
    patience: Patience,
    counted: bool,
    lane_attempts: u32,
) {
    let now = SystemTime::now();
    let settlements = job
        .recipients
        .iter()
        .map(|claimed| {
            let attempts = if counted {
                claimed.attempts
            } else {
                claimed.attempts.max(lane_attempts)
            };
            Settlement {
                counted,
                ..case(job, claimed, now).deferred(attempt.clone(), patience, attempts)
            }
        })
        .collect();
    settle(shared, &job.recipients, settlements).await;
}

fn case<'a>(job: &'a Job, claimed: &'a Claimed, now: SystemTime) -> Case<'a> {
    Case {
        message: &job.message,
        claimed,
        lane: &job.lane,
        retry: &job.route.retry,
        now,
    }
}

/// CL-route: what is our own fault never makes mail come back.
fn patience(not_opened: &NotOpened) -> Patience {
    match not_opened.judgement {
        Judgement::Obstacle(Obstacle::Fault) => Patience::Endless,
        _ => Patience::Limited,
    }
}

/// One recipient's settlement after a transaction.
fn one(
    case: &Case<'_>,
    outcome: &Outcome,
    attempt: Attempt,
    lmtp: bool,
    keeps_time: bool,
) -> Settlement {
    match outcome.verdict {
        Verdict::Accepted => case.delivered(
            attempt,
            match (outcome.notifies, lmtp) {
                (true, _) => Teller::Server,
                // RFC 2033: final delivery, though another program does it.
                (false, true) => Teller::Here,
                (false, false) => Teller::Nobody,
            },
            keeps_time,
        ),
        Verdict::Failed => case.failed(attempt),
        Verdict::Deferred | Verdict::Again => {
            // CL-route: 530 to MAIL says that we should have authenticated.
            let ours = attempt.stage == Stage::Authentication;
            let patience = if ours {
                Patience::Endless
            } else {
                Patience::Limited
            };
            case.deferred(attempt, patience, case.claimed.attempts)
        }
        // CL-ambiguous: with the same Message-ID and content.
        Verdict::Unknown => {
            let mut attempt = attempt;
            let text = std::mem::take(&mut attempt.text);
            attempt.text = format!("{text}; it may have arrived, and is sent again");
            case.deferred(attempt, Patience::Limited, case.claimed.attempts)
        }
    }
}

/// The attempt that speaks for all, if every recipient was deferred.
fn all_deferred(settlements: &[Settlement]) -> Option<&Attempt> {
    let deferred = |one: &Settlement| matches!(one.outcome, crate::spool::Outcome::Deferred { .. });
    settlements
        .iter()
        .all(deferred)
        .then(|| settlements.first().map(|one| &one.attempt))
        .flatten()
}

/// One transaction.
async fn transact(
    connection: &mut Connection,
    job: &Job,
    (content, removed): (ContentReader, Removed),
) -> Vec<Outcome> {
    let mut reader = Removable::new(content.into_reader(), removed);
    connection
        .dialogue
        .submit(
            &envelope(&job.message, &job.recipients, SystemTime::now()),
            &facts(&job.message),
            &mut reader,
        )
        .await
}
