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

use std::time::{Duration, SystemTime};

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
}

#[derive(Debug, Clone)]
struct Unwell {
    kind: Trouble,
    since: SystemTime,
    until: SystemTime,
    attempts: u32,
    attempt: Attempt,
    /// Whether a connection that opens ends it: not if it is the messages that were deferred.
    opens: bool,
    /// When it was last met.
    met: SystemTime,
    /// Messages go out again, one at a time, to see whether it is over.
    chance: bool,
    /// Whether it is ours to repair: then nothing that waits for it is ever given up.
    ours: bool,
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
    /// The next message shows whether it is over.
    Chance,
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
        }
    }

    /// As an earlier service left it. What was down is asked at once.
    pub(super) fn restored(trouble: LaneTrouble, now: SystemTime) -> Self {
        let paused = trouble.trouble == Trouble::Paused;
        Self {
            faults: if paused { MOST_FAULTS } else { 0 },
            trouble: Some(Unwell {
                kind: trouble.trouble,
                since: trouble.since,
                until: if paused { trouble.next_attempt } else { now },
                attempts: trouble.attempts,
                attempt: trouble.attempt,
                opens: true,
                met: now,
                chance: false,
                ours: paused,
            }),
            rebuffs: 0,
            deferrals: 0,
            window: Some(1),
            crowd: None,
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
        })
    }

    /// Why nothing goes out, how often that was found, and whether it is ours to repair.
    pub(super) fn reason(&self) -> Option<(&Attempt, u32, bool)> {
        let unwell = self.unwell()?;
        Some((&unwell.attempt, unwell.attempts, unwell.ours))
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
    pub(super) fn opened(&mut self) -> Change {
        self.faults = 0;
        match self.trouble.take_if(|unwell| unwell.opens) {
            None => Change::None,
            Some(_) => {
                self.deferrals = 0;
                self.window = Some(1);
                Change::Well
            }
        }
    }

    /// The time is up for a place that is not probed: its next message asks.
    pub(super) fn give_chance(&mut self) -> Change {
        match &mut self.trouble {
            Some(unwell) if !unwell.chance => {
                unwell.chance = true;
                self.window = Some(1);
                Change::Chance
            }
            _ => Change::None,
        }
    }

    /// A message was taken, or refused for reasons of its own; `most` connections are the limit.
    pub(super) fn served(&mut self, most: usize) -> Change {
        self.deferrals = 0;
        self.rebuffs = 0;
        if let Some(window) = &mut self.window {
            *window = window.saturating_add(1);
            if *window >= most {
                self.window = None;
            }
        }
        match self.trouble.take_if(|unwell| unwell.chance) {
            Some(_) => Change::Well,
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
            self.fall(Trouble::Down, attempt, now, wait, false, true);
            return Change::Worse;
        }
        let anew = self.rebuffs == MOST_FAULTS;
        self.fall(
            Trouble::Paused,
            attempt,
            now,
            longest.min(PAUSE),
            false,
            true,
        );
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
        self.fall(Trouble::Down, attempt, now, LONGEST_PROBE, false, false);
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
                self.fall(kind, attempt, now, wait, true, kind == Trouble::Paused);
                Change::Worse
            }
            Obstacle::Fault => {
                self.faults = self.faults.saturating_add(1);
                if self.faults < MOST_FAULTS {
                    self.fall(Trouble::Down, attempt, now, probe, true, true);
                    return Change::Worse;
                }
                let anew = self.faults == MOST_FAULTS;
                self.fall(
                    Trouble::Paused,
                    attempt,
                    now,
                    longest.min(PAUSE),
                    true,
                    true,
                );
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
        opens: bool,
        ours: bool,
    ) {
        let (since, attempts) = match &self.trouble {
            Some(unwell) => (unwell.since, unwell.attempts),
            None => (now, 0),
        };
        self.window = Some(1);
        self.trouble = Some(Unwell {
            kind,
            since,
            until: now + wait.mul_f64(rand::random_range(0.9..=1.1)),
            attempts: attempts.saturating_add(1),
            attempt: attempt.clone(),
            opens,
            met: now,
            chance: false,
            ours,
        });
    }

    /// Whether a connection without a message can tell that the trouble is over.
    pub(super) fn is_probed(&self) -> bool {
        self.unwell().is_some_and(|unwell| unwell.opens)
    }

    /// An operator says that it is repaired, or wants to know: ask now.
    pub(super) fn resume(&mut self, now: SystemTime) {
        self.faults = 0;
        self.rebuffs = 0;
        if let Some(unwell) = &mut self.trouble {
            unwell.until = now;
        }
    }
}

/// Time to the next probe after so many.
fn probe(attempts: u32) -> Duration {
    FIRST_PROBE
        .saturating_mul(1 << attempts.min(16))
        .min(LONGEST_PROBE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(4 * 3600);

    fn attempt() -> Attempt {
        Attempt {
            text: "refused".into(),
            ..Attempt::default()
        }
    }

    fn wait(health: &Health, now: SystemTime) -> Duration {
        let trouble = health.trouble("x").unwrap();
        trouble.next_attempt.duration_since(now).unwrap()
    }

    #[test]
    fn a_server_that_is_away_is_probed_ever_more_seldom_up_to_a_minute() {
        let now = SystemTime::now();
        let mut health = Health::new();
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            let change = health.obstructed(Obstacle::Away, &attempt(), now, now, LONGEST);
            assert_eq!(change, Change::Worse);
            let expected = Duration::from_secs(seconds);
            let range = expected.mul_f64(0.89)..=expected.mul_f64(1.11);
            assert!(range.contains(&wait(&health, now)), "{seconds}");
            assert_eq!(health.trouble("x").unwrap().trouble, Trouble::Down);
        }
        assert!(!health.is_due(now));
        assert!(health.is_due(now + Duration::from_secs(70)));
    }

    #[test]
    fn cl_route_the_third_fault_pauses_and_alarms_once() {
        let now = SystemTime::now();
        let mut health = Health::new();
        let mut fault = || {
            let change = health.obstructed(Obstacle::Fault, &attempt(), now, now, LONGEST);
            (change, health.trouble("x").unwrap().trouble)
        };
        assert_eq!(fault(), (Change::Worse, Trouble::Down));
        assert_eq!(fault(), (Change::Worse, Trouble::Down));
        assert_eq!(fault(), (Change::Paused, Trouble::Paused));
        assert_eq!(fault(), (Change::Worse, Trouble::Paused));
        assert!(wait(&health, now) > LONGEST / 2);
    }

    #[test]
    fn cl_route_resume_asks_at_once_and_may_alarm_again() {
        let now = SystemTime::now();
        let mut health = Health::new();
        for _ in 0..3 {
            health.obstructed(Obstacle::Fault, &attempt(), now, now, LONGEST);
        }
        assert!(!health.is_due(now));
        health.resume(now);
        assert!(health.is_due(now) && !health.is_well());
        health.obstructed(Obstacle::Fault, &attempt(), now, now, LONGEST);
        health.obstructed(Obstacle::Fault, &attempt(), now, now, LONGEST);
        let change = health.obstructed(Obstacle::Fault, &attempt(), now, now, LONGEST);
        assert_eq!(change, Change::Paused);
    }

    #[test]
    fn faults_count_only_in_a_row() {
        let now = SystemTime::now();
        let mut health = Health::new();
        for _ in 0..10 {
            health.obstructed(Obstacle::Fault, &attempt(), now, now, LONGEST);
            health.obstructed(Obstacle::Fault, &attempt(), now, now, LONGEST);
            assert_eq!(health.opened(), Change::Well);
        }
    }

    #[test]
    fn what_comes_back_is_not_met_by_all_that_waited() {
        let now = SystemTime::now();
        let mut health = Health::new();
        assert_eq!(
            health.window(20, now),
            1,
            "nor is one of which nothing is known"
        );
        health.obstructed(Obstacle::Away, &attempt(), now, now, LONGEST);
        assert_eq!(health.opened(), Change::Well);
        assert_eq!(health.window(20, now), 1);
        health.served(20);
        health.served(20);
        assert_eq!(health.window(20, now), 3);
        for _ in 0..20 {
            health.served(20);
        }
        assert_eq!(health.window(20, now), 20);
        health.crowded(4, now);
        health.served(20);
        assert_eq!(health.window(20, now), 4);
        assert_eq!(health.window(20, now + CROWDED), 20);
    }

    #[test]
    fn cl_route_what_failed_side_by_side_is_one_fault() {
        let now = SystemTime::now();
        let later = now + Duration::from_secs(1);
        let mut health = Health::new();
        let mut fault =
            |begun, at| health.obstructed(Obstacle::Fault, &attempt(), begun, at, LONGEST);
        assert_eq!(fault(now, later), Change::Worse);
        for _ in 0..20 {
            assert_eq!(fault(now, later), Change::None);
        }
    }

    #[test]
    fn a_server_that_defers_everything_is_left_alone_for_a_while() {
        let now = SystemTime::now();
        let mut health = Health::new();
        for _ in 0..9 {
            assert_eq!(health.deferred(&attempt(), now), Change::None);
        }
        health.served(20);
        for _ in 0..9 {
            assert_eq!(health.deferred(&attempt(), now), Change::None);
        }
        assert_eq!(health.deferred(&attempt(), now), Change::Worse);
        assert!(!health.is_probed() && !health.is_well());
        assert_eq!(health.opened(), Change::None, "it was never about that");
        assert_eq!(health.give_chance(), Change::Chance);
        assert!(health.is_well() && health.trouble("x").is_none());
        // One more is enough then; a message that is taken ends it.
        assert_eq!(health.deferred(&attempt(), now), Change::Worse);
        assert_eq!(health.give_chance(), Change::Chance);
        assert_eq!(health.served(20), Change::Well);
        assert_eq!(health.deferred(&attempt(), now), Change::None);
    }

    #[test]
    fn a_chance_that_is_missed_does_not_begin_anew() {
        let now = SystemTime::now();
        let mut health = Health::new();
        for (attempts, seconds) in [(1, 1), (2, 2), (3, 4), (4, 8)] {
            health.obstructed(Obstacle::Away, &attempt(), now, now, LONGEST);
            assert_eq!(health.trouble("x").unwrap().attempts, attempts);
            assert!(wait(&health, now) < Duration::from_secs(seconds) * 2);
            assert_eq!(health.give_chance(), Change::Chance);
            assert_eq!(health.give_chance(), Change::None);
            assert_eq!(health.window(20, now), 1);
        }
        assert_eq!(health.opened(), Change::Well);
        assert_eq!(health.opened(), Change::None);
    }

    #[test]
    fn cl_route_a_connection_that_opens_does_not_end_a_530_to_mail() {
        let now = SystemTime::now();
        let mut health = Health::new();
        let mut changes = Vec::new();
        for _ in 0..5 {
            assert_eq!(health.opened(), Change::None);
            changes.push(health.rebuffed(&attempt(), now, now, LONGEST));
            assert!(!health.is_probed());
            assert_eq!(health.opened(), Change::None);
            health.give_chance();
        }
        use Change::{Paused, Worse};
        assert_eq!(changes, [Worse, Worse, Paused, Worse, Worse]);
        assert_eq!(health.served(20), Change::Well);
        assert_eq!(health.served(20), Change::None);
    }

    #[test]
    fn a_pause_survives_the_service() {
        let now = SystemTime::now();
        let mut health = Health::new();
        for _ in 0..3 {
            health.obstructed(Obstacle::Fault, &attempt(), now, now, LONGEST);
        }
        let kept = health.trouble("x").unwrap();
        let mut restored = Health::restored(kept.clone(), now);
        assert_eq!(restored.trouble("x"), Some(kept));
        // The alarm was raised by the service before.
        let change = restored.obstructed(Obstacle::Fault, &attempt(), now, now, LONGEST);
        assert_eq!(change, Change::Worse);
    }
}
