//! Back-off by behaviour; nobody sleeps.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn peer(number: u32) -> IpAddr {
    IpAddr::V4((0xC000_0200 + number).into())
}

fn backoff() -> (Backoff, Instant) {
    (Backoff::new(Policy::default()), Instant::now())
}

#[test]
fn three_slips_are_free_and_then_the_wait_doubles() {
    let (mut backoff, now) = backoff();
    let mut waits = Vec::new();
    for _ in 0..10 {
        waits.push(backoff.delay(now, peer(1), "alice").as_secs());
        backoff.failed(now, peer(1), "alice");
    }
    assert_eq!(waits, [0, 0, 0, 1, 2, 4, 8, 16, 30, 30]);
    assert_eq!(
        backoff.delay(now + 1_799 * SECOND, peer(1), "alice"),
        30 * SECOND
    );
    assert_eq!(
        backoff.delay(now + 1_800 * SECOND, peer(1), "alice"),
        Duration::ZERO
    );
}

#[test]
fn one_guesser_does_not_hold_up_the_office() {
    let (mut backoff, now) = backoff();
    for _ in 0..1_000 {
        backoff.failed(now, peer(1), "alice");
    }
    assert_eq!(
        backoff.delay(now, peer(1), "bob"),
        Duration::ZERO,
        "another user, same address"
    );
    assert_eq!(
        backoff.delay(now, peer(2), "alice"),
        Duration::ZERO,
        "same user, another address"
    );
}

#[test]
fn a_success_ends_the_wait_and_is_trusted_for_a_week() {
    let (mut backoff, now) = backoff();
    for _ in 0..8 {
        backoff.failed(now, peer(1), "alice");
    }
    backoff.succeeded(now, peer(1), "alice");
    for _ in 0..20 {
        assert_eq!(backoff.begin(now, peer(1), "alice"), Duration::ZERO);
    }
    let week = 7 * 86_400 * SECOND;
    backoff.failed(now + week, peer(1), "alice");
    assert_eq!(
        backoff.delay(now + week, peer(1), "alice"),
        Duration::ZERO,
        "one slip"
    );
    for _ in 0..3 {
        backoff.failed(now + week, peer(1), "alice");
    }
    assert_eq!(backoff.delay(now + week, peer(1), "alice"), 2 * SECOND);
}

#[test]
fn a_guesser_beside_a_trusted_device_waits_but_little() {
    let (mut backoff, now) = backoff();
    backoff.succeeded(now, peer(1), "alice");
    let guesses = |backoff: &mut Backoff| -> Vec<u64> {
        (0..24)
            .map(|_| backoff.begin(now, peer(1), "alice").as_secs())
            .collect()
    };
    let mut expected = vec![0; 20];
    expected.extend([1, 2, 2, 2]);
    assert_eq!(guesses(&mut backoff), expected);
    // The next success starts anew.
    backoff.succeeded(now, peer(1), "alice");
    assert_eq!(guesses(&mut backoff), expected);
}

#[test]
fn an_attempt_counts_from_its_beginning() {
    let (mut backoff, now) = backoff();
    let waits: Vec<u64> = (0..6)
        .map(|_| backoff.begin(now, peer(1), "alice").as_secs())
        .collect();
    assert_eq!(waits, [0, 0, 0, 1, 2, 4]);
    let spray = |backoff: &mut Backoff, n: u32| backoff.begin(now, peer(2), &format!("user{n}"));
    let waits: Vec<Duration> = (0..23).map(|n| spray(&mut backoff, n)).collect();
    assert_eq!(waits[20], Duration::ZERO);
    assert_eq!(waits[21..], [SECOND / 2, SECOND]);
}

#[test]
fn what_is_taken_back_leaves_no_trace() {
    let (mut backoff, now) = backoff();
    for number in 0..100 {
        let user = format!("user{number}");
        for _ in 0..5 {
            assert_eq!(backoff.begin(now, peer(1), &user), Duration::ZERO);
            backoff.taken_back(now, peer(1), &user);
        }
    }
    backoff.succeeded(now, peer(2), "alice");
    for _ in 0..100 {
        assert_eq!(backoff.begin(now, peer(2), "alice"), Duration::ZERO);
        backoff.taken_back(now, peer(2), "alice");
    }
    // Earlier failures stay.
    for _ in 0..4 {
        backoff.failed(now, peer(3), "bob");
    }
    backoff.begin(now, peer(3), "bob");
    backoff.taken_back(now, peer(3), "bob");
    assert_eq!(backoff.delay(now, peer(3), "bob"), 2 * SECOND);
}

#[test]
fn attempts_that_end_well_take_back_only_what_they_cost() {
    let (mut backoff, now) = backoff();
    for number in 0..200 {
        backoff.begin(now, peer(1), &format!("user{number}"));
    }
    // The count is full, so these add nothing to it, and must not empty it.
    for number in 0..100 {
        backoff.begin(now, peer(1), &format!("own{number}"));
    }
    for number in 0..50 {
        backoff.succeeded(now, peer(1), &format!("own{number}"));
    }
    for number in 50..100 {
        backoff.taken_back(now, peer(1), &format!("own{number}"));
    }
    assert_eq!(backoff.delay(now, peer(1), "someone"), 10 * SECOND);
}

#[test]
fn one_password_for_all_names_is_slowed_down() {
    let (mut backoff, now) = backoff();
    for number in 0..20 {
        assert_eq!(
            backoff.delay(now, peer(1), &format!("user{number}")),
            Duration::ZERO
        );
        backoff.failed(now, peer(1), &format!("user{number}"));
    }
    backoff.failed(now, peer(1), "user20");
    assert_eq!(backoff.delay(now, peer(1), "user21"), SECOND / 2);
    for number in 21..1_000 {
        backoff.failed(now, peer(1), &format!("user{number}"));
    }
    assert_eq!(backoff.delay(now, peer(1), "someone"), 10 * SECOND);
    assert_eq!(backoff.delay(now, peer(2), "someone"), Duration::ZERO);
    // It drains: sixty are kept at most, and one goes each minute.
    assert_eq!(
        backoff.delay(now + 40 * 60 * SECOND, peer(1), "someone"),
        Duration::ZERO
    );
}

#[test]
fn many_machines_for_one_name_are_slowed_down_but_not_its_devices() {
    let (mut backoff, now) = backoff();
    backoff.succeeded(now, peer(0), "alice");
    for number in 1..100 {
        backoff.failed(now, peer(number), "alice");
    }
    assert_eq!(backoff.delay(now, peer(200), "alice"), 10 * SECOND);
    assert_eq!(backoff.delay(now, peer(0), "alice"), Duration::ZERO);
    assert_eq!(backoff.delay(now, peer(200), "bob"), Duration::ZERO);
}

#[test]
fn slips_that_end_well_do_not_use_up_the_budget() {
    let (mut backoff, now) = backoff();
    for number in 0..500 {
        let user = format!("user{number}");
        backoff.failed(now, peer(1), &user);
        backoff.succeeded(now, peer(1), &user);
    }
    assert_eq!(backoff.delay(now, peer(1), "new"), Duration::ZERO);
}

#[test]
fn a_network_of_ipv6_is_one_machine() {
    let (mut backoff, now) = backoff();
    for number in 0..8 {
        backoff.failed(
            now,
            format!("2001:db8:1:2::{number}").parse().unwrap(),
            "alice",
        );
    }
    assert!(backoff.delay(now, "2001:db8:1:2:ffff::9".parse().unwrap(), "alice") > Duration::ZERO);
    assert_eq!(
        backoff.delay(now, "2001:db8:1:3::9".parse().unwrap(), "alice"),
        Duration::ZERO
    );
    for _ in 0..8 {
        backoff.failed(now, "::ffff:192.0.2.1".parse().unwrap(), "bob");
    }
    assert!(backoff.delay(now, "192.0.2.1".parse().unwrap(), "bob") > Duration::ZERO);
}

#[derive(Debug, Clone)]
enum Step {
    Fail(u32, u8),
    Succeed(u32, u8),
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0_u32..40, 0_u8..40).prop_map(|(peer, user)| Step::Fail(peer, user)),
        2 => (0_u32..40, 0_u8..40).prop_map(|(peer, user)| Step::Succeed(peer, user)),
        1 => (0_u64..4_000).prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 0..400)
}

proptest! {
    #[test]
    fn waits_and_memory_are_bounded_and_who_succeeded_hardly_waits(steps in steps()) {
        let policy = Policy { entries: 32, ..Policy::default() };
        let mut backoff = Backoff::new(policy.clone());
        let mut now = Instant::now();
        let mut last = None;
        for step in steps {
            match step {
                Step::Fail(from, user) => {
                    let user = user.to_string();
                    let before = backoff.delay(now, peer(from), &user);
                    backoff.failed(now, peer(from), &user);
                    prop_assert!(backoff.delay(now, peer(from), &user) >= before);
                }
                Step::Succeed(from, user) => {
                    backoff.succeeded(now, peer(from), &user.to_string());
                    last = Some((from, user));
                }
                Step::Pass(seconds) => now += Duration::from_secs(seconds),
            }
            for (from, user) in [(0, 0), (7, 7), (39, 39)] {
                prop_assert!(backoff.delay(now, peer(from), &user.to_string()) <= policy.most);
            }
            if let Some((from, user)) = last && now < Instant::now() + policy.trust {
                prop_assert!(backoff.delay(now, peer(from), &user.to_string()) <= policy.most_trusted);
            }
            for entries in [backoff.pairs.len(), backoff.trusted.len(), backoff.peers.len(), backoff.users.len()] {
                prop_assert!(entries <= 32);
            }
        }
    }
}
