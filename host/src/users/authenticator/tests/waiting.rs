//! Attempts that wait: for the back-off and for each other.

use super::*;

#[tokio::test]
async fn guessing_waits_and_hanging_up_does_not_help() {
    let policy = Policy {
        free: 1,
        first: Duration::from_millis(300),
        ..Policy::default()
    };
    let bench = tuned(
        vec![record("alice", "secret")],
        Tuning {
            cost: CHEAP,
            policy,
            ..Tuning::default()
        },
    );
    let begun = Instant::now();
    // The first is given up at once, and counts.
    let given_up = tokio::time::timeout(Duration::ZERO, bench.password("", "alice", b"a")).await;
    assert!(given_up.is_err() || begun.elapsed() < Duration::from_millis(300));
    let begun = Instant::now();
    assert_eq!(
        bench.password("", "alice", b"secret").await,
        granted("alice")
    );
    assert!(
        begun.elapsed() >= Duration::from_millis(300),
        "{:?}",
        begun.elapsed()
    );
    // From now on alice is trusted here, whatever others guess.
    for _ in 0..3 {
        assert_eq!(
            bench.password("", "alice", b"wrong").await,
            Verdict::Refused
        );
    }
    let begun = Instant::now();
    assert_eq!(
        bench.password("", "alice", b"secret").await,
        granted("alice")
    );
    assert!(begun.elapsed() < Duration::from_millis(300));
}

/// One free failure, then 100, 200, 400 ms and so on.
fn impatient() -> Tuning {
    Tuning {
        cost: CHEAP,
        policy: Policy {
            free: 1,
            first: Duration::from_millis(100),
            ..Policy::default()
        },
        ..Tuning::default()
    }
}

#[tokio::test]
async fn guesses_at_the_same_time_wait_for_each_other() {
    let bench = tuned(vec![record("alice", "secret")], impatient());
    for user in ["alice", "mallory"] {
        let begun = Instant::now();
        let verdicts = tokio::join!(
            bench.password("", user, b"a"),
            bench.ntlm(user, ""),
            bench.password("", user, b"b"),
            bench.password("", user, b"c"),
        );
        let begun = begun.elapsed();
        // alice's NT hash is right, so that her third attempt is a trusted one.
        let granted = user == "alice";
        assert_eq!(matches!(verdicts.1, Verdict::Granted(_)), granted);
        let least = if granted { 100 } else { 100 + 200 + 400 };
        assert!(begun >= Duration::from_millis(least), "{user}: {begun:?}");
    }
}

#[tokio::test]
async fn an_office_that_begins_its_day_does_not_wait() {
    let mut tuning = impatient();
    tuning.policy.first = Duration::from_secs(5);
    let bench = tuned(vec![record("alice", "secret")], tuning);
    let begun = Instant::now();
    let login = || bench.password("", "alice", b"secret");
    let all = tokio::join!(login(), login(), login(), login(), login(), login());
    assert_eq!([&all.0, &all.5], [&granted("alice"); 2]);
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_line_that_is_too_long_says_come_again_and_blames_nobody() {
    let mut tuning = impatient();
    tuning.policy.first = Duration::from_millis(400);
    tuning.policy.most_queued = Duration::from_millis(150);
    let bench = tuned(vec![record("alice", "secret")], tuning);
    assert_eq!(bench.password("", "alice", b"a").await, Verdict::Refused);
    let (first, second, third, other) = tokio::join!(
        bench.password("", "alice", b"b"),
        bench.password("", "alice", b"c"),
        bench.ntlm("ALICE", ""),
        bench.password("", "bob", b"d"),
    );
    assert_eq!(first, Verdict::Refused);
    assert_eq!(
        (second, third),
        (Verdict::Unavailable, Verdict::Unavailable)
    );
    assert_eq!(other, Verdict::Refused, "another user has another line");
    // Two failures: had the others counted, this would take 3200 ms.
    let begun = Instant::now();
    assert_eq!(
        bench.password("", "alice", b"secret").await,
        granted("alice")
    );
    let begun = begun.elapsed();
    assert!((800..1_600).contains(&begun.as_millis()), "{begun:?}");
}

#[tokio::test]
async fn the_right_password_passes_a_guesser_at_a_trusted_peer() {
    let mut tuning = impatient();
    tuning.policy.free_trusted = 2;
    tuning.policy.most_trusted = Duration::from_millis(150);
    let bench = tuned(vec![record("alice", "secret")], tuning);
    let right = || bench.password("", "alice", b"secret");
    let wrong = || bench.password("", "alice", b"wrong");
    assert_eq!(right().await, granted("alice"));
    let begun = Instant::now();
    let all = tokio::join!(wrong(), wrong(), wrong(), wrong(), right());
    let begun = begun.elapsed();
    assert_eq!(all.4, granted("alice"));
    // Two are free, then 100, 150 and 150 ms.
    assert!(begun >= Duration::from_millis(400), "{begun:?}");
}

#[tokio::test]
async fn r4954_6_b_a_verifier_that_fails_blames_nobody() {
    let mut tuning = impatient();
    tuning.policy.first = Duration::from_hours(1);
    tuning.policy.most = Duration::from_hours(1);
    let without = Record {
        nt: None,
        ..record("bob", "x")
    };
    let bench = tuned(vec![record("alice", "secret"), without], tuning);
    for _ in 0..3 {
        // Nor does it tell who exists.
        for user in ["alice", "bob", "mallory"] {
            let fails = |_: &[u8; 16]| {
                let trap = std::io::Error::other("the component trapped");
                Err(Unverified::Unavailable(Box::new(trap)))
            };
            let verdict = bench.authenticator.ntlm(peer(), user, "", fails).await;
            assert_eq!(verdict, Verdict::Unavailable, "{user}");
        }
    }
    // Had one of them counted, this would sleep for an hour.
    assert_eq!(bench.ntlm("alice", "").await, granted("alice"));
}

#[tokio::test]
async fn unknown_users_wait_like_known_ones() {
    let policy = Policy {
        free: 1,
        first: Duration::from_millis(200),
        ..Policy::default()
    };
    let bench = tuned(
        vec![record("alice", "secret")],
        Tuning {
            cost: CHEAP,
            policy,
            ..Tuning::default()
        },
    );
    for user in ["alice", "mallory"] {
        let begun = Instant::now();
        assert_eq!(
            bench.ntlm(user, "X").await == granted("alice"),
            user == "alice"
        );
        assert!(begun.elapsed() < Duration::from_millis(200));
    }
    for user in ["bob", "mallory"] {
        bench.password("", user, b"a").await;
        let begun = Instant::now();
        bench.password("", user, b"a").await;
        assert!(begun.elapsed() >= Duration::from_millis(200), "{user}");
    }
}
