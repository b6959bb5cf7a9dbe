//! What is known of the place where a lane's messages go: a state machine without time or I/O of its
//! own.
//!
//! ```text
//!            away                      fault, fault, fault
//!   well ----------> down                well ----------> paused (one alarm)
//!    ^                |  probe: away       ^                 |  seldom a probe, or `resume`
//!    +---- opened ----+                    +---- opened -----+
//! ```
//!
//! Down: the server is away, which passes; it is probed with growing intervals. Paused: what is
//! between us and a configured server must be repaired here (CL-route): a wrong password must not be
//! hammered, and never makes mail come back to its senders. After both, the number of connections
//! grows from one, so that a server that comes back is not met by all that waited.
//!
//! What was once ours stays ours until messages can go out again, whatever is met on the way there;
//! and the time that it took is not counted against the messages that waited for it.

use std::time::{Duration, SystemTime};

use crate::spool::attempt::Stage;
use crate::spool::{Attempt, LaneTrouble, Trouble};

/// Faults in a row that pause a lane.
const MOST_FAULTS: u32 = 3;
/// First interval of probes.
const FIRST_PROBE: Duration = Duration::from_secs(1);
/// Longest interval of probes: how late a server's return may be noticed.
const LONGEST_PROBE: Duration = Duration::from_secs(60);
/// Messages deferred one after the other at which the server is left alone for a while.
const MOST_DEFERRALS: u32 = 10;
/// How long a server is believed that it takes no more connections.
const CROWDED: Duration = Duration::from_secs(60);
/// Interval of probes of a paused lane, if the route's longest retry is not shorter.
const PAUSE: Duration = Duration::from_secs(4 * 3600);

/// Why a connection did not come to the point of taking messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// The server's, or the network's.
    Away,
    /// Ours.
    Fault,
}

/// How a lane does.
#[derive(Debug, Clone)]
pub(super) struct Health {
    trouble: Option<Unwell>,
    /// Faults in a row.
    faults: u32,
    /// Connections in a row that opened and were told at the first message that we may not send.
    rebuffs: u32,
    /// Messages deferred in a row.
    deferrals: u32,
    /// Connections at a time, as long as it recovers.
    window: Option<usize>,
    /// Connections that the server took when it took no more, and how long that is believed.
    crowd: Option<(usize, SystemTime)>,
    /// When the last trouble that was ours ended.
    repaired: Option<SystemTime>,
    /// How often what waits was made due.
    eased: u64,
}

/// What a trouble is about, which says what can end it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// No connection: one that opens ends it.
    Connection,
    /// A connection that opened was told that we may not send (530): only a message can tell.
    Rebuff,
    /// Messages were deferred one after the other.
    Deferrals,
}

#[derive(Debug, Clone)]
struct Unwell {
    kind: Trouble,
    since: SystemTime,
    until: SystemTime,
    attempts: u32,
    attempt: Attempt,
    cause: Cause,
    /// When it was last met.
    met: SystemTime,
    /// Messages go out again, one at a time, to see whether it is over.
    chance: bool,
    /// Somebody wants to know now: what waits is due with the chance.
    wanted: bool,
    /// Whether it is ours to repair: then nothing that waits for it is ever given up.
    ours: bool,
}

/// Why nothing goes out, for those that wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reason {
    /// What was met.
    pub(super) attempt: Attempt,
    /// How often.
    pub(super) attempts: u32,
    /// Whether it is ours to repair.
    pub(super) ours: bool,
    /// [`Health::eased`] at that time.
    pub(super) eased: u64,
}

/// What a change of health asks the relay to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing.
    None,
    /// Record the trouble.
    Worse,
    /// Record it and raise an alarm.
    Paused,
    /// It is over: what waits is due now, and so is the end of an alarm.
    Well,
    /// It is over, but it was the messages that were deferred: each is tried in its own time.
    Eased,
    /// The next message shows whether it is over.
    Chance,
    /// As [`Chance`](Self::Chance), and what waits is due now.
    Wanted,
}

impl Change {
    /// Whether what waits is due now.
    pub(super) fn expedites(self) -> bool {
        matches!(self, Self::Well | Self::Wanted)
    }
}

impl Health {
    /// Nothing is known, so all is well, and one connection at a time finds out: with a wrong
    /// password not twenty should.
    pub(super) fn new() -> Self {
        Self {
            trouble: None,
            faults: 0,
            rebuffs: 0,
            deferrals: 0,
            window: Some(1),
            crowd: None,
            repaired: None,
            eased: 0,
        }
    }

    /// As an earlier service left it. What was down is asked at once.
    pub(super) fn restored(trouble: LaneTrouble, now: SystemTime) -> Self {
        let paused = trouble.trouble == Trouble::Paused;
        let known = if paused { MOST_FAULTS } else { 0 };
        let cause = cause(&trouble.attempt);
        Self {
            faults: if cause == Cause::Rebuff { 0 } else { known },
            rebuffs: if cause == Cause::Rebuff { known } else { 0 },
            trouble: Some(Unwell {
                kind: trouble.trouble,
                since: trouble.since,
                until: if paused { trouble.next_attempt } else { now },
                attempts: trouble.attempts,
                attempt: trouble.attempt,
                cause,
                met: now,
                chance: false,
                wanted: !paused && cause != Cause::Deferrals,
                ours: paused || trouble.ours,
            }),
            ..Self::new()
        }
    }

    /// What keeps messages from going out.
    fn unwell(&self) -> Option<&Unwell> {
        self.trouble.as_ref().filter(|unwell| !unwell.chance)
    }

    /// The trouble, for the record.
    pub(super) fn trouble(&self, lane: &str) -> Option<LaneTrouble> {
        let unwell = self.unwell()?;
        Some(LaneTrouble {
            lane: lane.to_owned(),
            trouble: unwell.kind,
            since: unwell.since,
            next_attempt: unwell.until,
            attempts: unwell.attempts,
            attempt: unwell.attempt.clone(),
            ours: unwell.ours,
        })
    }

    /// Why nothing goes out.
    pub(super) fn reason(&self) -> Option<Reason> {
        self.unwell().map(|unwell| Reason {
            attempt: unwell.attempt.clone(),
            attempts: unwell.attempts,
            ours: unwell.ours,
            eased: self.eased,
        })
    }

    /// How often what waits was made due: who puts something off and finds another number afterwards
    /// came too late, and must make it due himself.
    pub(super) fn eased(&self) -> u64 {
        self.eased
    }

    /// Whether there is trouble that is ours to repair, or was until a message shows that it is over.
    pub(super) fn is_ours(&self) -> bool {
        self.trouble.as_ref().is_some_and(|unwell| unwell.ours)
    }

    /// From when on what waits may be given up: our own trouble is nobody else's time.
    pub(super) fn counted_from(&self, now: SystemTime) -> Option<SystemTime> {
        if self.is_ours() {
            Some(now)
        } else {
            self.repaired
        }
    }

    /// What comes here waited elsewhere for something of ours, until then.
    pub(super) fn inherit(&mut self, repaired: SystemTime) {
        self.repaired = self.repaired.max(Some(repaired));
    }

    /// Whether messages go out.
    pub(super) fn is_well(&self) -> bool {
        self.unwell().is_none()
    }

    /// Whether it is time to ask the server again.
    pub(super) fn is_due(&self, now: SystemTime) -> bool {
        self.unwell().is_some_and(|unwell| unwell.until <= now)
    }

    /// Connections that it may have of `most`.
    pub(super) fn window(&self, most: usize, now: SystemTime) -> usize {
        let most = match self.crowd {
            Some((crowd, until)) if now < until => most.min(crowd),
            _ => most,
        };
        self.window.map_or(most, |window| window.min(most))
    }

    /// A connection takes messages, as far as one can tell without any.
    pub(super) fn opened(&mut self, now: SystemTime) -> Change {
        self.faults = 0;
        match self
            .trouble
            .take_if(|unwell| unwell.cause == Cause::Connection)
        {
            None => Change::None,
            Some(unwell) => {
                self.deferrals = 0;
                self.window = Some(1);
                self.over(&unwell, now)
            }
        }
    }

    fn over(&mut self, unwell: &Unwell, now: SystemTime) -> Change {
        if unwell.ours {
            self.repaired = Some(now);
        }
        if unwell.cause == Cause::Deferrals {
            return Change::Eased;
        }
        self.eased += 1;
        Change::Well
    }

    /// The time is up for a place that is not probed: its next message asks.
    pub(super) fn give_chance(&mut self) -> Change {
        match &mut self.trouble {
            Some(unwell) if !unwell.chance => {
                unwell.chance = true;
                self.window = Some(1);
                if !std::mem::take(&mut unwell.wanted) {
                    return Change::Chance;
                }
                self.eased += 1;
                Change::Wanted
            }
            _ => Change::None,
        }
    }

    /// A message was taken, or refused for reasons of its own; `most` connections are the limit.
    pub(super) fn served(&mut self, most: usize, now: SystemTime) -> Change {
        self.deferrals = 0;
        self.rebuffs = 0;
        if let Some(window) = &mut self.window {
            *window = window.saturating_add(1);
            if *window >= most {
                self.window = None;
            }
        }
        match self.trouble.take_if(|unwell| unwell.chance) {
            Some(unwell) => self.over(&unwell, now),
            None => Change::None,
        }
    }

    /// A message was told that we may not send (530): a connection alone cannot show when that is
    /// over. `begun`, `longest`: as for [`obstructed`](Self::obstructed).
    pub(super) fn rebuffed(
        &mut self,
        attempt: &Attempt,
        begun: SystemTime,
        now: SystemTime,
        longest: Duration,
    ) -> Change {
        if self.is_known(begun) {
            return Change::None;
        }
        self.rebuffs = self.rebuffs.saturating_add(1);
        if self.rebuffs < MOST_FAULTS {
            let wait = probe(self.rebuffs - 1);
            self.fall(Trouble::Down, attempt, now, wait, Cause::Rebuff, true);
            return Change::Worse;
        }
        let anew = self.rebuffs == MOST_FAULTS;
        let wait = longest.min(PAUSE);
        self.fall(Trouble::Paused, attempt, now, wait, Cause::Rebuff, true);
        if anew { Change::Paused } else { Change::Worse }
    }

    /// Whether the trouble was met since then: what was tried side by side counts once.
    fn is_known(&self, begun: SystemTime) -> bool {
        self.trouble
            .as_ref()
            .is_some_and(|unwell| unwell.met > begun)
    }

    /// The server has as many connections as it wants: these.
    pub(super) fn crowded(&mut self, connections: usize, now: SystemTime) {
        self.crowd = Some((connections.max(1), now + CROWDED));
    }

    /// A message was deferred as a whole.
    pub(super) fn deferred(&mut self, attempt: &Attempt, now: SystemTime) -> Change {
        self.deferrals = self.deferrals.saturating_add(1);
        if self.deferrals < MOST_DEFERRALS || !self.is_well() {
            return Change::None;
        }
        let (wait, cause) = (LONGEST_PROBE, Cause::Deferrals);
        self.fall(Trouble::Down, attempt, now, wait, cause, false);
        Change::Worse
    }

    /// No connection came to the point of taking messages. `begun`: when it was tried; several that
    /// were tried side by side count as one. `longest`: the route's longest retry.
    pub(super) fn obstructed(
        &mut self,
        obstacle: Obstacle,
        attempt: &Attempt,
        begun: SystemTime,
        now: SystemTime,
        longest: Duration,
    ) -> Change {
        if self.is_known(begun) {
            return Change::None;
        }
        let attempts = self.trouble.as_ref().map_or(0, |unwell| unwell.attempts);
        let probe = probe(attempts);
        match obstacle {
            Obstacle::Away => {
                // A paused place that cannot be reached is still to be repaired.
                let kind = match &self.trouble {
                    Some(unwell) if unwell.kind == Trouble::Paused => Trouble::Paused,
                    _ => Trouble::Down,
                };
                let wait = match kind {
                    Trouble::Paused => longest.min(PAUSE),
                    Trouble::Down => probe,
                };
                self.fall(kind, attempt, now, wait, Cause::Connection, false);
                Change::Worse
            }
            Obstacle::Fault => {
                self.faults = self.faults.saturating_add(1);
                if self.faults < MOST_FAULTS {
                    self.fall(Trouble::Down, attempt, now, probe, Cause::Connection, true);
                    return Change::Worse;
                }
                let anew = self.faults == MOST_FAULTS;
                let wait = longest.min(PAUSE);
                self.fall(Trouble::Paused, attempt, now, wait, Cause::Connection, true);
                if anew { Change::Paused } else { Change::Worse }
            }
        }
    }

    fn fall(
        &mut self,
        kind: Trouble,
        attempt: &Attempt,
        now: SystemTime,
        wait: Duration,
        cause: Cause,
        ours: bool,
    ) {
        let (since, attempts, before) = match &self.trouble {
            Some(unwell) => (unwell.since, unwell.attempts, unwell.ours),
            None => (now, 0, false),
        };
        self.window = Some(1);
        self.trouble = Some(Unwell {
            kind,
            since,
            until: now + wait.mul_f64(rand::random_range(0.9..=1.1)),
            attempts: attempts.saturating_add(1),
            attempt: attempt.clone(),
            cause,
            met: now,
            chance: false,
            wanted: false,
            ours: ours || before,
        });
    }

    /// Whether a connection without a message can tell that the trouble is over.
    pub(super) fn is_probed(&self) -> bool {
        self.unwell()
            .is_some_and(|unwell| unwell.cause == Cause::Connection)
    }

    /// It may be repaired: ask now. What was deferred message by message keeps its times.
    pub(super) fn reloaded(&mut self, now: SystemTime) {
        self.resume(now);
        if let Some(unwell) = &mut self.trouble {
            unwell.wanted = unwell.cause != Cause::Deferrals;
        }
    }

    /// An operator says that it is repaired, or wants to know: ask now.
    pub(super) fn resume(&mut self, now: SystemTime) {
        self.faults = 0;
        self.rebuffs = 0;
        if let Some(unwell) = &mut self.trouble {
            unwell.until = now;
            unwell.wanted = true;
        }
    }
}

/// What a trouble was about, of which only the last attempt is known.
fn cause(attempt: &Attempt) -> Cause {
    match &attempt.reply {
        // RFC 4954 section 6: what is not said to AUTH itself.
        Some(reply) if reply.code == 530 => Cause::Rebuff,
        _ if matches!(attempt.stage, Stage::Envelope | Stage::Content) => Cause::Deferrals,
        _ => Cause::Connection,
    }
}

/// Time to the next probe after so many.
fn probe(attempts: u32) -> Duration {
    FIRST_PROBE
        .saturating_mul(1 << attempts.min(16))
        .min(LONGEST_PROBE)
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
