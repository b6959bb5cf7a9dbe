//! Slows down whoever guesses, without locking anybody out.
//!
//! Three things are counted, each with a bound on memory (what was not used for longest is
//! forgotten):
//! - failures of one user at one peer: some are free, then the wait doubles;
//! - users that failed at one peer: someone who tries a common password on all names;
//! - peers at which one user failed: someone who has many machines.
//!
//! The second and the third drain with time and only begin to cost beyond a budget, because an
//! office behind one address has its share of mistyped passwords. A peer at which a user has
//! lately succeeded never waits for that user, so neither a guesser in the same office nor one
//! elsewhere can hold up its devices.
//!
//! The wait comes before the check and does not depend on whether the user exists or the password
//! is right: who hangs up early has learned nothing, and the attempt counts as failed.
//!
//! Pure: the time is an argument.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use super::bounded::Bounded;

/// How patient to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Failures of a user at a peer that cost nothing. 3: people mistype.
    pub free: u32,
    /// The wait after those; it doubles with each further failure.
    pub first: Duration,
    /// The longest of these waits. 30 s: beyond that clients hang up, and the person with the
    /// right password must still get in.
    pub most: Duration,
    /// After so long without a failure they are forgotten.
    pub memory: Duration,
    /// Users that may fail at one peer, and peers at which one user may fail, free of charge.
    pub budget: u32,
    /// The wait for each one beyond.
    pub step: Duration,
    /// The longest of these waits: innocent users of the same peer meet it too.
    pub most_shared: Duration,
    /// In this time one of them is forgotten.
    pub drain: Duration,
    /// How long a success at a peer keeps the user from waiting there. A week: machines that
    /// report at week-ends.
    pub trust: Duration,
    /// Entries in each table, about 100 octets each.
    pub entries: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            free: 3,
            first: Duration::from_secs(1),
            most: Duration::from_secs(30),
            memory: Duration::from_mins(30),
            budget: 20,
            step: Duration::from_millis(500),
            most_shared: Duration::from_secs(10),
            drain: Duration::from_mins(1),
            trust: Duration::from_hours(7 * 24),
            entries: 16_384,
        }
    }
}

#[derive(Debug)]
struct Failures {
    count: u32,
    last: Instant,
}

/// Keys are keyed hashes: names have any length, and memory must not.
type Key = u64;

/// Who failed how often, and who succeeded.
#[derive(Debug)]
pub struct Backoff {
    policy: Policy,
    hasher: RandomState,
    pairs: Bounded<Key, Failures>,
    trusted: Bounded<Key, Instant>,
    /// When the count of a peer or user is back to nothing: `drain` later for each failure.
    peers: Bounded<Key, Instant>,
    users: Bounded<Key, Instant>,
}

impl Backoff {
    /// Nobody has failed yet.
    pub fn new(policy: Policy) -> Self {
        let entries = policy.entries;
        Self {
            policy,
            hasher: RandomState::new(),
            pairs: Bounded::new(entries),
            trusted: Bounded::new(entries),
            peers: Bounded::new(entries),
            users: Bounded::new(entries),
        }
    }

    /// How long to wait before this user is checked for this peer.
    pub fn delay(&mut self, now: Instant, peer: IpAddr, user: &str) -> Duration {
        let (pair, peer, user) = self.keys(peer, user);
        let trust = self.policy.trust;
        if self
            .trusted
            .get(pair)
            .is_some_and(|since| now.saturating_duration_since(*since) < trust)
        {
            return Duration::ZERO;
        }
        let failures = match self.pairs.get(pair) {
            Some(failures) if !forgotten(&self.policy, failures, now) => failures.count,
            _ => 0,
        };
        let own = failures
            .checked_sub(self.policy.free)
            .map_or(Duration::ZERO, |over| {
                let doubled = 1_u32.checked_shl(over).unwrap_or(u32::MAX);
                self.policy
                    .first
                    .saturating_mul(doubled)
                    .min(self.policy.most)
            });
        let level = |until: Option<&mut Instant>| level(&self.policy, until.copied(), now);
        let shared = level(self.peers.get(peer)).max(level(self.users.get(user)));
        let beyond = shared.saturating_sub(self.policy.budget);
        own.max(
            self.policy
                .step
                .saturating_mul(beyond)
                .min(self.policy.most_shared),
        )
    }

    /// The user was refused, or the attempt was given up.
    pub fn failed(&mut self, now: Instant, peer: IpAddr, user: &str) {
        let (pair, peer, user) = self.keys(peer, user);
        if let Some(failures) = self.pairs.get(pair)
            && !forgotten(&self.policy, failures, now)
        {
            failures.count = failures.count.saturating_add(1);
            failures.last = now;
            return;
        }
        // The first failure of the two together counts for each.
        self.pairs.insert(
            pair,
            Failures {
                count: 1,
                last: now,
            },
        );
        for (table, key) in [(&mut self.peers, peer), (&mut self.users, user)] {
            let until = table.get(key).map_or(now, |until| (*until).max(now));
            // Who went far over the budget must not pay for days.
            let most = now
                + self
                    .policy
                    .drain
                    .saturating_mul(self.policy.budget.saturating_mul(3));
            table.insert(key, (until + self.policy.drain).min(most));
        }
    }

    /// The user was right.
    pub fn succeeded(&mut self, now: Instant, peer: IpAddr, user: &str) {
        let (pair, peer, user) = self.keys(peer, user);
        self.trusted.insert(pair, now);
        let Some(failures) = self.pairs.remove(pair) else {
            return;
        };
        if forgotten(&self.policy, &failures, now) {
            return;
        }
        // So it was a slip, not a guess: it does not count for the others.
        for (table, key) in [(&mut self.peers, peer), (&mut self.users, user)] {
            if let Some(until) = table.get(key) {
                *until = until.checked_sub(self.policy.drain).unwrap_or(now);
            }
        }
    }

    fn keys(&self, peer: IpAddr, user: &str) -> (Key, Key, Key) {
        let peer = machine(peer);
        let hash = |value: (u8, Option<IpAddr>, Option<&str>)| self.hasher.hash_one(value);
        (
            hash((0, Some(peer), Some(user))),
            hash((1, Some(peer), None)),
            hash((2, None, Some(user))),
        )
    }
}

/// What is counted as one machine: an IPv4 address, also where it is mapped into IPv6, or the /64 of
/// an IPv6 one, since whoever has one of those has 2^64 of them.
pub fn machine(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(network))
        }
        v4 => v4,
    }
}

fn forgotten(policy: &Policy, failures: &Failures, now: Instant) -> bool {
    now.saturating_duration_since(failures.last) >= policy.memory
}

/// How many failures have not drained yet.
fn level(policy: &Policy, until: Option<Instant>, now: Instant) -> u32 {
    let left = until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
    let drain = policy.drain.as_millis().max(1);
    u32::try_from(left.as_millis().div_ceil(drain)).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[path = "backoff_tests.rs"]
mod tests;
