//! What senders may ask for: later (RFC 4865), in time (RFC 2852), first (RFC 6710); and aliases.

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

async fn append_with(spool: &Sqlite, id: &str, parameters: Parameters) -> SystemTime {
    let mut new = message(spool, id, &["bob@example.net"], b"x").await;
    new.envelope.parameters = parameters;
    let received = new.received;
    spool.append(new).await.unwrap();
    // Another millisecond for the next.
    tokio::time::sleep(Duration::from_millis(2)).await;
    received
}

fn held_for(seconds: u32) -> Parameters {
    Parameters {
        hold_for: Some(seconds),
        ..Parameters::default()
    }
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

fn of_priority(priority: i8) -> Parameters {
    Parameters {
        priority: Some(priority),
        ..Parameters::default()
    }
}

async fn claimed_ids(spool: &Sqlite, total: usize, now: SystemTime) -> Vec<String> {
    let claimed = claim_at(spool, total, now).await;
    claimed.iter().map(|one| one.message.id.clone()).collect()
}

async fn one(spool: &Sqlite) -> EntryRecipient {
    entries(spool).await.remove(0).recipients.remove(0)
}

/// Milliseconds are what the database has.
fn same_time(one: SystemTime, other: SystemTime) -> bool {
    let between = one
        .duration_since(other)
        .or_else(|error| Ok::<_, std::convert::Infallible>(error.duration()));
    between.unwrap() < Duration::from_millis(1)
}

#[tokio::test]
async fn r4865_4_a_message_is_held_from_its_acceptance_for_the_time_that_was_asked() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    let received = append_with(&spool, "a-1", held_for(7200)).await;
    let until = received + 2 * HOUR;
    let shown = one(&spool).await;
    assert_eq!(shown.state, State::Waiting);
    assert!(same_time(shown.hold_until.unwrap(), until));
    assert!(same_time(shown.next_attempt.unwrap(), until));
    // A change of mind of the administrator's about retries is none of the sender's.
    spool.retry(&["a-1".to_owned()]).await.unwrap();
    assert!(claimed_ids(&spool, 10, until - HOUR).await.is_empty());
    drop(spool);
    // Another service knows it as well.
    let spool = open(state.path());
    assert!(
        claim_at(&spool, 10, until - Duration::from_secs(1))
            .await
            .is_empty()
    );
    let claimed = claim_at(&spool, 10, until + Duration::from_secs(1)).await;
    assert!(same_time(claimed[0].message.released(), until));
}

#[tokio::test]
async fn r4865_4_what_was_held_here_too_goes_no_earlier_than_its_sender_wants() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    let received = append_with(&spool, "a-1", held_for(7200)).await;
    let id = ["a-1".to_owned()];
    spool.hold(&id).await.unwrap();
    assert_eq!(one(&spool).await.next_attempt, None);
    spool.release(&id).await.unwrap();
    let shown = one(&spool).await;
    assert!(same_time(shown.next_attempt.unwrap(), received + 2 * HOUR));
    // Released once more, it goes now: nothing but its sender's wish keeps it.
    spool.release(&id).await.unwrap();
    assert_eq!(one(&spool).await.hold_until, None);
    assert_eq!(claimed_ids(&spool, 10, SystemTime::now()).await, ["a-1"]);
}

#[tokio::test]
async fn r6710_4_1_b_higher_priorities_go_first_and_a_quarter_by_time() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    for (id, priority) in [
        ("l1", -5),
        ("l2", -9),
        ("n1", 0),
        ("n2", 0),
        ("h1", 4),
        ("n3", 0),
        ("u1", 9),
        ("h2", 4),
    ] {
        append_with(&spool, id, of_priority(priority)).await;
    }
    let now = SystemTime::now();
    // One of four by time: the lowest, since it is the oldest.
    assert_eq!(claimed_ids(&spool, 4, now).await, ["l1", "u1", "h1", "h2"]);
    assert_eq!(claimed_ids(&spool, 4, now).await, ["l2", "n1", "n2", "n3"]);
    assert_eq!(one(&spool).await.priority, -5);
}

#[tokio::test]
async fn r6710_4_1_b_nothing_waits_for_ever_behind_what_is_more_urgent() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    append_with(&spool, "low", of_priority(-9)).await;
    for number in 0..300 {
        append_with(&spool, &format!("h{number}"), of_priority(9)).await;
    }
    let now = SystemTime::now();
    // One at a time, and always something more urgent: chance gives it a quarter of the claims.
    let mut claims = 0;
    while claimed_ids(&spool, 1, now).await != ["low"] {
        claims += 1;
        assert!(claims < 150, "a quarter of 150 claims missed it");
    }
}

#[tokio::test]
async fn lanes_without_a_priority_go_by_time_alone() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    for id in ["a", "b", "c"] {
        append_with(&spool, id, Parameters::default()).await;
    }
    let mut other = message(&spool, "urgent", &["bob@example.net"], b"x").await;
    other.envelope.parameters = of_priority(9);
    other.recipients[0].lane = "other".to_owned();
    spool.append(other).await.unwrap();
    let wanted = Wanted {
        otherwise: 2,
        total: 10,
        ..Wanted::default()
    };
    let claimed = spool
        .claim(&wanted, LEASE, SystemTime::now())
        .await
        .unwrap();
    let ids: Vec<_> = claimed.iter().map(|one| one.message.id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "urgent"]);
}

#[tokio::test]
async fn r2852_4_what_is_overdue_is_found_until_it_is_dealt_with() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    let received = append_with(&spool, "n", by(60, true)).await;
    append_with(&spool, "r", by(120, false)).await;
    append_with(&spool, "never", by(-5, true)).await;
    append_with(&spool, "plain", Parameters::default()).await;
    let overdue = async |after: u64| {
        let now = received + Duration::from_secs(after);
        let found = spool.overdue(10, now).await.unwrap();
        found
            .into_iter()
            .map(|one| one.recipient.message.id.clone())
            .collect::<Vec<_>>()
    };
    assert!(overdue(59).await.is_empty());
    assert_eq!(overdue(61).await, ["n"]);
    assert_eq!(overdue(200).await, ["n", "r"]);
    let shown = &entries(&spool).await[0].recipients[0];
    assert!(same_time(
        shown.deadline.unwrap(),
        received + Duration::from_secs(60)
    ));
    // An attempt that runs is judged at its end, and what is held is held.
    let claimed = claim(&spool).await;
    assert_eq!(claimed.len(), 4);
    assert!(claimed[0].deadline.is_some() && claimed[3].deadline.is_none());
    assert!(overdue(200).await.is_empty());
    settle(&spool, "n", 0, deferred(HOUR)).await;
    settle(&spool, "r", 0, deferred(HOUR)).await;
    spool.hold(&["r".to_owned()]).await.unwrap();
    let found = spool
        .overdue(10, received + Duration::from_secs(200))
        .await
        .unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].recipient.attempts, 1);
    assert_eq!(found[0].last_reply.as_deref(), Some("disk full"));
    // Mode N: told, and nothing else changes.
    let before = one(&spool).await;
    let told = Settlement {
        notices: vec![NoticeKind::Delayed],
        overdue: true,
        ..settlement(0, Outcome::Unchanged, "late")
    };
    spool.settle("n", vec![told.clone()]).await.unwrap();
    spool.settle("n", vec![told]).await.unwrap();
    let after = one(&spool).await;
    assert_eq!(
        (after.state, after.attempts, after.next_attempt),
        (before.state, before.attempts, before.next_attempt)
    );
    assert_eq!(after.last_reply.as_deref(), Some("disk full"));
    assert_eq!(after.deadline, None);
    let owed = spool.owed(10, SystemTime::now()).await.unwrap();
    assert_eq!(owed.len(), 1);
    assert_eq!(owed[0].notices.len(), 1, "once");
    assert_eq!(owed[0].notices[0].attempt.text, "late");
    // Mode R, once it is released.
    assert!(overdue(200).await.is_empty());
    spool.release(&["r".to_owned()]).await.unwrap();
    assert_eq!(overdue(200).await, ["r"]);
    settle(&spool, "r", 0, Outcome::Failed).await;
    assert!(overdue(200).await.is_empty());
}

#[tokio::test]
async fn r2852_4_a_deadline_outlives_the_service() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    let received = append_with(&spool, "r", by(60, false)).await;
    assert_eq!(claim(&spool).await.len(), 1);
    // It is killed during the attempt.
    drop(spool);
    let spool = open(state.path());
    let found = spool.overdue(10, received + HOUR).await.unwrap();
    assert_eq!(found.len(), 1);
}

#[tokio::test]
async fn r3461_5_2_7_an_alias_is_done_when_its_report_is_made() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    let mut new = message(
        &spool,
        "a-1",
        &["info@example.org", "bob@example.net", "eve@example.net"],
        b"x",
    )
    .await;
    new.recipients[0].state = NewState::Expanded(2);
    new.envelope.parameters = Parameters {
        hold_for: Some(3600),
        ..by(60, false)
    };
    spool.append(new).await.unwrap();
    let shown = entries(&spool).await.remove(0);
    assert_eq!(shown.recipients[0].state, State::Delivered);
    assert_eq!(
        shown.recipients[0].last_reply.as_deref(),
        Some("an alias of 2 recipients")
    );
    assert_eq!(
        (shown.recipients[0].hold_until, shown.recipients[0].deadline),
        (None, None)
    );
    assert_eq!(shown.state, State::Waiting);
    let owed = spool.owed(10, SystemTime::now()).await.unwrap();
    let notice = &owed[0].notices[0];
    assert_eq!((notice.ordinal, notice.kind), (0, NoticeKind::Expanded));
    assert_eq!(notice.recipient.mailbox, "info@example.org");
    let report = message(&spool, "r-1", &["alice@example.org"], b"x").await;
    spool
        .reported("a-1", &[(0, NoticeKind::Expanded)], Some(report))
        .await
        .unwrap();
    assert!(spool.owed(10, SystemTime::now()).await.unwrap().is_empty());
    settle(&spool, "a-1", 1, Outcome::Delivered).await;
    settle(&spool, "a-1", 2, Outcome::Delivered).await;
    assert_eq!(entries(&spool).await.len(), 1, "the report alone is left");
}
