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
//! lately succeeded is trusted with that user: many failures are free there, and the waits after
//! them are short, so neither a guesser in the same office nor one elsewhere can keep out its
//! devices.
//!
//! The wait comes before the check and does not depend on whether the user exists or the password
//! is right. An attempt counts as failed when it begins, so that those at the same time know of
//! each other and who hangs up early gains nothing; it is taken back if it ends otherwise.
//!
//! Not here: that the attempts of one user at one peer come one after the other (`turns`).
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
    /// Failures of a user at a peer where he succeeded, counted from the last success, that cost
    /// nothing. 20: a device with an old password must not slow down the others of its owner.
    pub free_trusted: u32,
    /// The longest of the waits after those; they begin and double as the others do. 2 s: enough to
    /// make guessing hopeless, and the right password still passes where a line of guessers
    /// waits.
    pub most_trusted: Duration,
    /// How long an attempt waits for the ones before it of the same user and peer; beyond, it is told
    /// to come again. 60 s: together with `most` it stays below the 100 seconds in which an
    /// answer must come (profile, section 4).
    pub most_queued: Duration,
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
            free_trusted: 20,
            most_trusted: Duration::from_secs(2),
            most_queued: Duration::from_mins(1),
            entries: 16_384,
        }
    }
}

#[derive(Debug)]
struct Failures {
    count: u32,
    last: Instant,
    /// By how much the first of them raised the counts of the peer and of the user.
    charged: [Duration; 2],
}

#[derive(Debug)]
struct Trust {
    since: Instant,
    /// Failures since then.
    failures: u32,
}

/// Keys are keyed hashes: names have any length, and memory must not.
type Key = u64;

/// Who failed how often, and who succeeded.
#[derive(Debug)]
pub struct Backoff {
    policy: Policy,
    hasher: RandomState,
    pairs: Bounded<Key, Failures>,
    trusted: Bounded<Key, Trust>,
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

    /// An attempt begins: it counts as failed until it is known to be otherwise. How long to wait
    /// before the user is checked.
    pub fn begin(&mut self, now: Instant, peer: IpAddr, user: &str) -> Duration {
        let delay = self.delay(now, peer, user);
        self.failed(now, peer, user);
        delay
    }

    fn delay(&mut self, now: Instant, peer: IpAddr, user: &str) -> Duration {
        let (pair, peer, user) = self.keys(peer, user);
        if let Some(trust) = valid(&self.policy, self.trusted.get(pair), now) {
            let (free, most) = (self.policy.free_trusted, self.policy.most_trusted);
            return doubling(&self.policy, trust.failures, free, most);
        }
        let failures = match self.pairs.get(pair) {
            Some(failures) if !forgotten(&self.policy, failures, now) => failures.count,
            _ => 0,
        };
        let own = doubling(&self.policy, failures, self.policy.free, self.policy.most);
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

    fn failed(&mut self, now: Instant, peer: IpAddr, user: &str) {
        let (pair, peer, user) = self.keys(peer, user);
        if let Some(trust) = valid(&self.policy, self.trusted.get(pair), now) {
            trust.failures = trust.failures.saturating_add(1);
        }
        if let Some(failures) = self.pairs.get(pair)
            && !forgotten(&self.policy, failures, now)
        {
            failures.count = failures.count.saturating_add(1);
            failures.last = now;
            return;
        }
        // The first failure of the two together counts for each.
        let charged = [(&mut self.peers, peer), (&mut self.users, user)].map(|(table, key)| {
            let before = table.get(key).map_or(now, |until| (*until).max(now));
            // Who went far over the budget must not pay for days.
            let most = now
                + self
                    .policy
                    .drain
                    .saturating_mul(self.policy.budget.saturating_mul(3));
            let after = (before + self.policy.drain).min(most);
            table.insert(key, after);
            after.saturating_duration_since(before)
        });
        self.pairs.insert(
            pair,
            Failures {
                count: 1,
                last: now,
                charged,
            },
        );
    }

    /// The user was right.
    pub fn succeeded(&mut self, now: Instant, peer: IpAddr, user: &str) {
        let (pair, peer, user) = self.keys(peer, user);
        self.trusted.insert(
            pair,
            Trust {
                since: now,
                failures: 0,
            },
        );
        // So those before were slips, not guesses: they do not count for the others.
        self.acquit(now, pair, peer, user);
    }

    /// The attempt ended without a judgement about the peer, and does not count.
    pub fn taken_back(&mut self, now: Instant, peer: IpAddr, user: &str) {
        let (pair, peer, user) = self.keys(peer, user);
        if let Some(trust) = valid(&self.policy, self.trusted.get(pair), now) {
            trust.failures = trust.failures.saturating_sub(1);
        }
        let Some(failures) = self.pairs.get(pair) else {
            return;
        };
        failures.count = failures.count.saturating_sub(1);
        if failures.count == 0 {
            self.acquit(now, pair, peer, user);
        }
    }

    /// Forgets the failures of a pair, also in the counts of its peer and user.
    fn acquit(&mut self, now: Instant, pair: Key, peer: Key, user: Key) {
        let Some(failures) = self.pairs.remove(pair) else {
            return;
        };
        if forgotten(&self.policy, &failures, now) {
            return;
        }
        let [of_peer, of_user] = failures.charged;
        for (table, key, charged) in [
            (&mut self.peers, peer, of_peer),
            (&mut self.users, user, of_user),
        ] {
            if let Some(until) = table.get(key) {
                *until = until.checked_sub(charged).unwrap_or(now);
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

/// The trust in a pair, if there is any left.
fn valid<'a>(policy: &Policy, trust: Option<&'a mut Trust>, now: Instant) -> Option<&'a mut Trust> {
    trust.filter(|trust| now.saturating_duration_since(trust.since) < policy.trust)
}

/// Nothing for the `free` failures, then `first`, twice that and so on up to `most`.
fn doubling(policy: &Policy, failures: u32, free: u32, most: Duration) -> Duration {
    failures.checked_sub(free).map_or(Duration::ZERO, |over| {
        let doubled = 1_u32.checked_shl(over).unwrap_or(u32::MAX);
        policy.first.saturating_mul(doubled).min(most)
    })
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
