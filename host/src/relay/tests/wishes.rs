//! What senders ask for (RFC 4865, RFC 2852, RFC 6710), on the way.

use super::*;
use crate::spool::{DeliverBy, NoticeKind, Parameters};

async fn append_with(scene: &Scene, id: &str, parameters: Parameters, older: Duration) {
    let mut new = message(&*scene.spool, id, &["bob@example.net"], b"x").await;
    new.envelope.parameters = parameters;
    new.received -= older;
    scene.spool.append(new).await.unwrap();
    scene.signals.wake.notify_one();
}

fn by(seconds: i64, notify: bool) -> Parameters {
    Parameters {
        deliver_by: Some(DeliverBy {
            seconds,
            notify,
            trace: false,
        }),
        ..Parameters::default()
    }
}

async fn notices(scene: &Scene) -> Vec<(String, NoticeKind, Option<(u8, u16, u16)>)> {
    let owed = scene.spool.owed(10, SystemTime::now()).await.unwrap();
    let of = |owed: crate::spool::Owed| {
        let id = owed.message.id.clone();
        let told = move |one: crate::spool::Notice| (id.clone(), one.kind, one.attempt.status);
        owed.notices.into_iter().map(told).collect::<Vec<_>>()
    };
    let mut notices: Vec<_> = owed.into_iter().flat_map(of).collect();
    notices.sort();
    notices
}

/// A Maildir that cannot be: a file is where its folder would be.
fn break_maildir(scene: &Scene) {
    std::fs::write(scene.mail(), b"").unwrap();
}

#[tokio::test]
async fn r2852_4_mode_r_comes_back_at_its_deadline_and_mode_n_is_told_of_once() {
    let scene = Scene::new();
    break_maildir(&scene);
    let service = scene.start();
    append_with(&scene, "r", by(2, false), Duration::ZERO).await;
    append_with(&scene, "n", by(2, true), Duration::ZERO).await;
    append_with(&scene, "plain", Parameters::default(), Duration::ZERO).await;
    // Both have failed once, and are tried again in a minute: the deadline is before.
    let tried = |all: &[Entry]| {
        let attempted = |one: &Entry| one.recipients[0].state == State::Deferred;
        all.len() == 3 && all.iter().all(attempted)
    };
    scene.until("deferred", tried).await;
    assert!(notices(&scene).await.is_empty());
    let failed = |all: &[Entry]| all[0].recipients[0].state == State::Failed;
    let all = scene.until("failed", failed).await;
    let reply = all[0].recipients[0].last_reply.clone().unwrap();
    assert!(reply.contains("the time that its sender gave"), "{reply}");
    let dealt = |all: &[Entry]| all[1].recipients[0].deadline.is_none();
    let all = scene.until("told", dealt).await;
    assert_eq!(all[1].recipients[0].state, State::Deferred, "tried on");
    assert_eq!(
        notices(&scene).await,
        [
            ("n".to_owned(), NoticeKind::Delayed, Some((4, 4, 7))),
            ("r".to_owned(), NoticeKind::Failed, Some((5, 4, 7))),
        ]
    );
    service.stop().await;
}

#[tokio::test]
async fn r2852_4_what_is_late_already_is_not_tried() {
    let scene = Scene::new();
    append_with(&scene, "r", by(60, false), Duration::from_secs(120)).await;
    append_with(&scene, "n", by(60, true), Duration::from_secs(120)).await;
    let service = scene.start();
    let failed = |all: &[Entry]| {
        let state = |id: &str| {
            let entry = all.iter().find(|one| one.id == id);
            entry.map(|one| one.recipients[0].state)
        };
        state("r") == Some(State::Failed) && state("n") != Some(State::Waiting)
    };
    scene.until("failed", failed).await;
    service.stop().await;
    // Mode N goes on, late or not.
    assert_eq!(scene.delivered("bob@example.net"), 1);
}

#[tokio::test]
async fn r4865_4_the_age_of_a_held_message_counts_from_its_release() {
    let scene = Scene::new();
    break_maildir(&scene);
    let held = Parameters {
        hold_for: Some(6 * 24 * 3600),
        ..Parameters::default()
    };
    let six_days = Duration::from_secs(6 * 24 * 3600);
    append_with(&scene, "held", held, six_days).await;
    append_with(&scene, "old", Parameters::default(), six_days).await;
    let service = scene.start();
    let settled = |all: &[Entry]| {
        all[0].recipients[0].state == State::Deferred && all[1].recipients[0].state == State::Failed
    };
    scene.until("settled", settled).await;
    service.stop().await;
    // Neither given up nor late.
    assert_eq!(
        notices(&scene).await,
        [("old".to_owned(), NoticeKind::Failed, Some((4, 2, 0)))]
    );
}

#[test]
fn r2852_4_a_relayed_message_is_told_of_where_by_asks_for_it() {
    let relayed = |notify: bool, trace: bool, keeps_time: bool, never: bool| {
        let by = DeliverBy {
            seconds: 60,
            notify,
            trace,
        };
        let case_message = crate::spool::Message {
            id: "a-1".into(),
            envelope: crate::spool::Envelope {
                reverse_path: "alice@example.org".into(),
                parameters: Parameters {
                    deliver_by: Some(by),
                    ..Parameters::default()
                },
                ..crate::spool::Envelope::default()
            },
            identity: None,
            peer: [192, 0, 2, 7].into(),
            received: SystemTime::now(),
            message_id: String::new(),
            facts: crate::spool::ContentFacts::default(),
            size: 1,
        };
        let claimed = Claimed {
            message: Arc::new(case_message),
            ordinal: 0,
            recipient: crate::spool::Recipient {
                mailbox: "bob@example.net".into(),
                notify: never.then(|| crate::spool::Notify {
                    never: true,
                    ..crate::spool::Notify::default()
                }),
                orcpt: None,
            },
            attempts: 1,
            lane: String::new(),
            delay_told: false,
            deadline: None,
        };
        let case = settle::Case {
            message: &claimed.message,
            claimed: &claimed,
            lane: "",
            retry: &Retry::default(),
            since: None,
            now: SystemTime::now(),
        };
        let teller = settle::Teller::Server;
        let settlement = case.delivered(Attempt::default(), teller, keeps_time);
        settlement.notices == [NoticeKind::Relayed]
    };
    // Mode N, to a server that does not keep the time.
    assert!(relayed(true, false, false, false));
    assert!(!relayed(true, false, true, false));
    // The trace modifier, whoever takes it.
    assert!(relayed(true, true, true, false));
    assert!(relayed(false, true, true, false));
    assert!(!relayed(false, false, true, false));
    // NOTIFY=NEVER is none at all.
    assert!(!relayed(true, true, false, true));
}

#[test]
fn r2852_4_the_next_server_gets_what_is_left_of_the_time() {
    let left = |seconds: i64, notify: bool, age: u64| {
        let now = SystemTime::now();
        let message = crate::spool::Message {
            id: "a-1".into(),
            envelope: crate::spool::Envelope {
                parameters: Parameters {
                    hold_for: Some(60),
                    ..by(seconds, notify)
                },
                ..crate::spool::Envelope::default()
            },
            identity: None,
            peer: [192, 0, 2, 7].into(),
            received: now - Duration::from_secs(age),
            message_id: String::new(),
            facts: crate::spool::ContentFacts::default(),
            size: 1,
        };
        let envelope = envelope::envelope(&message, &[], now);
        // R4865-4: held here, and no longer there.
        assert_eq!(envelope.parameters.hold_for, None);
        let by = envelope.parameters.deliver_by.unwrap();
        assert_eq!(by.notify, notify);
        by.seconds
    };
    assert_eq!(left(3600, false, 600), 3000);
    assert_eq!(left(3600, true, 600), 3000);
    // N may be late, R never goes without time.
    assert_eq!(left(60, true, 100), -40);
    assert_eq!(left(-60, true, 100), -160);
    assert_eq!(left(60, false, 60), 1);
    assert_eq!(left(i64::MAX / 2000, true, 0), 999_999_999);
}

#[tokio::test]
async fn r6710_4_1_b_a_more_urgent_job_goes_before_others_but_not_before_those_that_wait_long() {
    let scene = Scene::new();
    let route = Arc::new(scene.made("example.net", &scene.maildir()));
    let lane = lane::Lane::new(
        "lane".into(),
        Arc::clone(&route),
        health::Health::new(),
        STALLED,
    );
    let job = |id: &str, priority: i8, older: Duration| job::Job {
        message: Arc::new(crate::spool::Message {
            id: id.to_owned(),
            envelope: crate::spool::Envelope {
                parameters: Parameters {
                    priority: Some(priority),
                    ..Parameters::default()
                },
                ..crate::spool::Envelope::default()
            },
            identity: None,
            peer: [192, 0, 2, 7].into(),
            received: SystemTime::now(),
            message_id: String::new(),
            facts: crate::spool::ContentFacts::default(),
            size: 1,
        }),
        route: Arc::clone(&route),
        lane: "lane".into(),
        recipients: Vec::new(),
        since: tokio::time::Instant::now() - older,
    };
    let minute = Duration::from_secs(60);
    for (id, priority, older) in [
        ("old", 0, minute),
        ("n1", 0, Duration::ZERO),
        ("low", -3, Duration::ZERO),
        ("n2", 0, Duration::ZERO),
        ("urgent", 9, Duration::ZERO),
        ("high", 4, Duration::ZERO),
    ] {
        lane.push(job(id, priority, older));
    }
    let order: Vec<String> = lane
        .drain()
        .iter()
        .map(|one| one.message.id.clone())
        .collect();
    assert_eq!(order, ["old", "urgent", "high", "n1", "n2", "low"]);
}
