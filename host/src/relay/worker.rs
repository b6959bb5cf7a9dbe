//! A worker: one connection, and the jobs that it carries one after the other (CL-reuse).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::begun::{Guard, Removed};
use super::connection::{Connection, NotOpened, open};
use super::envelope::{envelope, facts};
use super::health::{Change, Obstacle, Reason};
use super::job::Job;
use super::judgement::{Judgement, deserves_another, ground};
use super::lane::Lane;
use super::local::{Trouble, abandon, content_trouble};
use super::permits::Permit;
use super::protection::Protection;
use super::removable::Removable;
use super::settle::{Case, Patience, Teller, settle};
use super::{Event, Shared, local, overdue};
use crate::route::{Delivery, NextHop, Route, domain};
use crate::sandbox::v0_1::client::{Outcome, Stage as Reached, Verdict};
use crate::spool::attempt::Stage;
use crate::spool::{Attempt, Claimed, ContentReader, Settlement};

/// Jobs after which a worker makes room for another lane of its route that has none.
const MOST_IN_TURN: u32 = 20;

/// One worker's own.
pub(super) struct Worker {
    shared: Arc<Shared>,
    lane: Arc<Lane>,
    number: u64,
    connection: Option<Connection>,
    /// The recipients in hand, should this task die of a bug.
    current: Option<(String, Vec<u32>)>,
    /// It is a probe, of which there is one at a time.
    probes: bool,
    permit: Option<Permit>,
}

impl Worker {
    /// A worker without a connection, which is on the lane's list already.
    pub(super) fn new(
        shared: Arc<Shared>,
        lane: Arc<Lane>,
        number: u64,
        permit: Option<Permit>,
    ) -> Self {
        Self {
            shared,
            lane,
            number,
            connection: None,
            current: None,
            probes: false,
            permit,
        }
    }

    /// Carries jobs until there are none for a while, or the lane is in trouble.
    pub(super) async fn run(mut self) {
        let mut carried = 0;
        loop {
            let wanted = || self.permit.as_ref().is_some_and(Permit::is_wanted);
            if carried >= MOST_IN_TURN && wanted() {
                break;
            }
            let next = self.lane.next(self.number, self.idle(), wanted);
            let Some(job) = next.await else {
                break;
            };
            if self.shared.ends() {
                self.leave_to_the_next_service(&job);
                break;
            }
            let Some(job) = overdue::without(&self.shared, job).await else {
                self.shared.tell(Event::Moved);
                continue;
            };
            carried += 1;
            let ordinals = job.recipients.iter().map(|one| one.ordinal).collect();
            self.current = Some((job.message.id.clone(), ordinals));
            match &job.route.delivery {
                Delivery::Relay(next_hop) => {
                    let next_hop = Arc::clone(next_hop);
                    self.carry(job, &next_hop).await;
                }
                _ => local::carry(&self.shared, &self.lane, job).await,
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
        self.probes = true;
        let opened = tokio::select! {
            opened = open(&self.shared, &self.lane, &route, &next_hop, "", Protection::Usual) => opened,
            () = self.shared.ended() => return,
        };
        self.lane.lock().probing = false;
        self.probes = false;
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
            inner.health.opened(SystemTime::now())
        };
        self.connection = Some(connection);
        self.shared.changed(&self.lane, change).await;
    }

    /// The connection for this job: the one that is there, or a new one. `None`: the service ends
    /// before there is one.
    async fn ready(&mut self, job: &Job, next_hop: &Arc<NextHop>) -> Result<(), Option<NotOpened>> {
        let protection = Protection::of(&job.message, next_hop);
        if let Some(connection) = &mut self.connection {
            let most = self
                .lane
                .lock()
                .messages
                .map_or(next_hop.connections.messages, |learnt| {
                    learnt.min(next_hop.connections.messages)
                });
            let good = Arc::ptr_eq(&connection.next_hop, next_hop)
                && connection.meets(protection)
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
        let connection = tokio::select! {
            opened = open(&self.shared, &self.lane, &job.route, next_hop, to, protection) => opened?,
            () = self.shared.ended() => return Err(None),
        };
        self.connected(connection).await;
        Ok(())
    }

    /// Carries one job to its end: every recipient is settled, or in the hands of the lane again.
    async fn carry(&mut self, mut job: Job, next_hop: &Arc<NextHop>) {
        let mut again = false;
        while !job.recipients.is_empty() {
            match self.ready(&job, next_hop).await {
                Ok(()) => {}
                Err(Some(not_opened)) => return self.not_opened(job, not_opened).await,
                Err(None) => return self.leave_to_the_next_service(&job),
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
                    return self.defer(&job, &attempt, Patience::Limited).await;
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
        Ok((content, self.shared.begun.removed(id)))
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
        let Some(reason) = self.lane.lock().health.reason() else {
            return;
        };
        for other in self.lane.drain() {
            put_off(&self.shared, &self.lane, &other, &reason).await;
        }
    }

    /// Its lease ends with this service.
    fn leave_to_the_next_service(&self, job: &Job) {
        let ordinals = job.recipients.iter().map(|one| one.ordinal);
        self.shared.begun.end(&job.message.id, ordinals);
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
        let keeps_time = connection.offers("DELIVERBY");
        let since = self.lane.lock().health.counted_from(now);
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
                since,
                now,
            };
            let next_hop = &connection.next_hop;
            settlements.push(one(&case, &outcome, attempt, next_hop, keeps_time));
            done.push(claimed);
        }
        job.recipients = rest;
        // CL-route: a server that nobody configured owes us no login.
        let about_us = connection.next_hop.is_configured()
            && failure.is_some_and(|failure| failure.stage == Reached::Authentication);
        let mut inner = self.lane.lock();
        let change = match all_deferred(&settlements) {
            Some(attempt) if about_us => {
                let longest = job.route.retry.longest;
                inner.health.rebuffed(attempt, begun, now, longest)
            }
            Some(attempt) => inner.health.deferred(attempt, now),
            None => inner.health.served(connection.next_hop.per_lane(), now),
        };
        drop(inner);
        (done, settlements, change)
    }

    /// There is no connection for this job.
    async fn not_opened(&mut self, job: Job, not_opened: NotOpened) {
        // RFC 8689: it is this message that has no way.
        match not_opened.judgement {
            Judgement::Unprotected(true) => return self.refuse(&job, &not_opened.attempt).await,
            Judgement::Unprotected(false) => {
                return self
                    .defer(&job, &not_opened.attempt, Patience::Limited)
                    .await;
            }
            Judgement::Obstacle(_) | Judgement::Refused => {}
        }
        // Others still work: the server has connections enough, whatever it says of this one (421,
        // 554 too many, 535 to one login more), or hides from new ones.
        let crowded = {
            let mut inner = self.lane.lock();
            let open = inner.open;
            if open > 0 {
                inner.health.crowded(open, SystemTime::now());
            }
            open > 0
        };
        if crowded {
            match self.lane.put_back(job) {
                Ok(()) => {}
                Err(job) if self.shared.ends() => self.leave_to_the_next_service(&job),
                // Its route is gone.
                Err(job) => hand_back(&self.shared, &job).await,
            }
            return;
        }
        if not_opened.judgement == Judgement::Refused {
            return self.refuse(&job, &not_opened.attempt).await;
        }
        self.obstructed(&job.route, &not_opened).await;
        let ours = not_opened.judgement == Judgement::Obstacle(Obstacle::Fault)
            || self.lane.lock().health.is_ours();
        // CL-route: what is our own fault never makes mail come back.
        self.defer(&job, &not_opened.attempt, Patience::of(ours))
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
            .map(|claimed| case(&self.lane, job, claimed, now).failed(attempt.clone()))
            .collect();
        settle(&self.shared, &job.recipients, settlements).await;
    }

    /// Defers a job that was tried.
    async fn defer(&mut self, job: &Job, attempt: &Attempt, patience: Patience) {
        let eased = self.lane.lock().health.eased();
        let deferred = |case: &Case<'_>, claimed: &Claimed| {
            case.deferred(attempt.clone(), patience, claimed.attempts)
        };
        defer(&self.shared, &self.lane, job, eased, deferred).await;
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let mut inner = self.lane.lock();
        inner.leave(self.number);
        if self.connection.take().is_some() {
            inner.open -= 1;
        }
        if self.probes {
            inner.probing = false;
        }
        // A bug cut it short: its recipients are tried again when their leases run out.
        if let Some((id, ordinals)) = self.current.take()
            && std::thread::panicking()
        {
            self.shared.begun.end(&id, ordinals);
        }
    }
}

/// Puts off all recipients of a job, which was not tried, for a reason of its lane's.
pub(super) async fn put_off(shared: &Shared, lane: &Lane, job: &Job, reason: &Reason) {
    let put_off = |case: &Case<'_>, claimed: &Claimed| Settlement {
        counted: false,
        ..case.deferred(
            reason.attempt.clone(),
            Patience::of(reason.ours),
            claimed.attempts.max(reason.attempts),
        )
    };
    defer(shared, lane, job, reason.eased, put_off).await;
}

/// Leaves all recipients of a job, which was not tried, in the spool: due now, in the job's lane.
pub(super) async fn hand_back(shared: &Shared, job: &Job) {
    let _guard = Guard::new(shared, &job.recipients);
    let now = SystemTime::now();
    let attempt = Attempt {
        route: job.route.name.clone(),
        text: "not tried yet: it waits for its turn".to_owned(),
        at: now,
        ..Attempt::default()
    };
    let due = |claimed: &Claimed| Settlement {
        ordinal: claimed.ordinal,
        outcome: crate::spool::Outcome::Deferred { next_attempt: now },
        attempt: attempt.clone(),
        counted: false,
        lane: job.lane.clone(),
        notices: Vec::new(),
        overdue: false,
    };
    let settlements = job.recipients.iter().map(due).collect();
    settle(shared, &job.recipients, settlements).await;
    shared.tell(Event::Expedited);
}

/// Defers all recipients of a job. `eased`: how often what waits in the lane had been made due when
/// the reason was known.
async fn defer(
    shared: &Shared,
    lane: &Lane,
    job: &Job,
    eased: u64,
    deferred: impl Fn(&Case<'_>, &Claimed) -> Settlement,
) {
    let _guard = Guard::new(shared, &job.recipients);
    let now = SystemTime::now();
    let settlements = job
        .recipients
        .iter()
        .map(|claimed| deferred(&case(lane, job, claimed, now), claimed))
        .collect();
    settle(shared, &job.recipients, settlements).await;
    // The reason may be gone meanwhile, or the lane: this came too late for the others' turn.
    let late = {
        let inner = lane.lock();
        inner.health.eased() != eased || inner.closed
    };
    if late && !shared.ends() {
        shared.expedite(&lane.name).await;
    }
}

fn case<'a>(lane: &Lane, job: &'a Job, claimed: &'a Claimed, now: SystemTime) -> Case<'a> {
    Case {
        message: &job.message,
        claimed,
        lane: &job.lane,
        retry: &job.route.retry,
        since: lane.lock().health.counted_from(now),
        now,
    }
}

/// One recipient's settlement after a transaction.
fn one(
    case: &Case<'_>,
    outcome: &Outcome,
    attempt: Attempt,
    next_hop: &NextHop,
    keeps_time: bool,
) -> Settlement {
    match outcome.verdict {
        Verdict::Accepted => case.delivered(
            attempt,
            match (outcome.notifies, next_hop.is_lmtp()) {
                (true, _) => Teller::Server,
                // RFC 2033: final delivery, though another program does it.
                (false, true) => Teller::Here,
                (false, false) => Teller::Nobody,
            },
            keeps_time,
        ),
        Verdict::Failed => case.failed(attempt),
        Verdict::Deferred | Verdict::Again => {
            let attempts = case.claimed.attempts;
            if attempt.stage != Stage::Authentication {
                return case.deferred(attempt, Patience::Limited, attempts);
            }
            let refused = attempt
                .reply
                .as_ref()
                .is_some_and(|said| said.code / 100 == 5);
            match (next_hop.is_configured(), refused) {
                // CL-route: 530 to MAIL says that we should have authenticated.
                (true, _) => case.deferred(attempt, Patience::Endless, attempts),
                // Of a server that DNS names it is a refusal as any other (RFC 5321 section 4.2.1).
                (false, true) => case.failed(attempt),
                (false, false) => case.deferred(attempt, Patience::Limited, attempts),
            }
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
    let mut envelope = envelope(&job.message, &job.recipients, SystemTime::now());
    // RFC 2033: it is delivered there; how that goes on is no way any more (R8689-4.2.1).
    envelope.parameters.require_tls &= !connection.next_hop.is_lmtp();
    connection
        .dialogue
        .submit(&envelope, &facts(&job.message), &mut reader)
        .await
}
