//! Claims lane by lane, and lanes in trouble.

use std::collections::HashMap;

use super::*;

/// A message with one recipient in this lane.
async fn append_in(spool: &Sqlite, id: &str, lane: &str) {
    let mut new = message(spool, id, &["bob@example.net"], b"x").await;
    new.recipients[0].lane = lane.to_owned();
    spool.append(new).await.unwrap();
}

async fn claim_wanted(spool: &Sqlite, wanted: &Wanted) -> Vec<(String, String)> {
    let claimed = spool.claim(wanted, LEASE, SystemTime::now()).await.unwrap();
    claimed
        .into_iter()
        .map(|one| (one.lane, one.message.id.clone()))
        .collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |pair: &(&str, &str)| (pair.0.to_owned(), pair.1.to_owned());
    expected.iter().map(own).collect()
}

#[tokio::test]
async fn each_lane_gives_up_to_its_room_the_longest_due_first() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    for (id, lane) in [
        ("b-1", "b"),
        ("a-1", "a"),
        ("b-2", "b"),
        ("a-2", "a"),
        ("c-1", "c"),
        ("d-1", "d example.net"),
        ("d-2", "d example.net"),
        ("d-3", "d example.net"),
    ] {
        append_in(&spool, id, lane).await;
        // Another millisecond.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let mut wanted = Wanted {
        lanes: HashMap::from([("a".to_owned(), 0), ("d example.net".to_owned(), 2)]),
        otherwise: 1,
        total: 10,
        ..Wanted::default()
    };
    let expected = [
        ("b", "b-1"),
        ("c", "c-1"),
        ("d example.net", "d-1"),
        ("d example.net", "d-2"),
    ];
    assert_eq!(claim_wanted(&spool, &wanted).await, pairs(&expected));
    let expected = [("b", "b-2"), ("d example.net", "d-3")];
    assert_eq!(claim_wanted(&spool, &wanted).await, pairs(&expected));
    assert_eq!(claim_wanted(&spool, &wanted).await, []);
    wanted.lanes.clear();
    assert_eq!(claim_wanted(&spool, &wanted).await, pairs(&[("a", "a-1")]));
    // Only the lanes that are named.
    wanted.lanes.insert("a".to_owned(), 5);
    wanted.otherwise = 0;
    assert_eq!(claim_wanted(&spool, &wanted).await, pairs(&[("a", "a-2")]));
}

#[tokio::test]
async fn a_claim_begins_after_the_lane_that_is_named_and_comes_round() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    for lane in ["", "a", "b", "c"] {
        for number in 0..4 {
            append_in(&spool, &format!("x{lane}-{number}"), lane).await;
        }
    }
    let mut wanted = Wanted {
        otherwise: 1,
        total: 3,
        after: "b".to_owned(),
        ..Wanted::default()
    };
    let lanes = |claimed: Vec<(String, String)>| -> Vec<String> {
        claimed.into_iter().map(|(lane, _)| lane).collect()
    };
    assert_eq!(lanes(claim_wanted(&spool, &wanted).await), ["c", "", "a"]);
    wanted.after = "a".to_owned();
    wanted.total = 10;
    let all = lanes(claim_wanted(&spool, &wanted).await);
    assert_eq!(all, ["b", "c", "", "a"]);
    // From a lane that is not there, or is the last.
    wanted.after = "bb".to_owned();
    wanted.total = 1;
    assert_eq!(lanes(claim_wanted(&spool, &wanted).await), ["c"]);
    wanted.after = "z".to_owned();
    assert_eq!(lanes(claim_wanted(&spool, &wanted).await), [""]);
    // The same where only named lanes have room.
    let names = ["", "a", "b", "c"].map(|lane| (lane.to_owned(), 1));
    let named = Wanted {
        lanes: HashMap::from(names),
        otherwise: 0,
        total: 10,
        after: "a".to_owned(),
        ..Wanted::default()
    };
    assert_eq!(
        lanes(claim_wanted(&spool, &named).await),
        ["b", "c", "", "a"]
    );
    wanted.total = 0;
    assert!(claim_wanted(&spool, &wanted).await.is_empty());
}

#[tokio::test]
async fn damage_in_a_lane_does_not_use_up_its_room() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    for number in 0..5 {
        append_in(&spool, &format!("a-{number}"), "a").await;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    damage(
        state.path(),
        "UPDATE message SET envelope = '{' WHERE id IN ('a-0', 'a-1', 'a-2')",
    );
    let claimed = claim_at(&spool, 1, SystemTime::now()).await;
    assert_eq!(claimed[0].message.id, "a-3");
}

#[tokio::test]
async fn an_attempt_that_does_not_count_leaves_the_number_and_the_state_as_they_were() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    append(&spool, "a-1", &["bob@example.net"], b"x").await;
    for _ in 0..3 {
        assert_eq!(claim(&spool).await[0].attempts, 1);
        let mut put_off = settlement(0, deferred(Duration::ZERO), "the lane is down");
        put_off.counted = false;
        put_off.lane = "elsewhere".to_owned();
        spool.settle("a-1", vec![put_off]).await.unwrap();
        let entry = entries(&spool).await.remove(0);
        assert_eq!(entry.recipients[0].attempts, 0);
        assert_eq!(entry.state, State::Deferred);
        assert_eq!(entry.recipients[0].lane, "elsewhere");
    }
    // A lease that runs out, or ends with the service: it was deferred before.
    claim(&spool).await;
    damage(state.path(), "UPDATE recipient SET due = 1");
    assert_eq!(entries(&spool).await[0].state, State::Deferred);
    drop(spool);
    let spool = open(state.path());
    assert_eq!(entries(&spool).await[0].state, State::Deferred);
    // Uncounted and never claimed.
    damage(state.path(), "UPDATE recipient SET attempts = 0");
    let mut put_off = settlement(0, deferred(Duration::ZERO), "");
    put_off.counted = false;
    spool.settle("a-1", vec![put_off]).await.unwrap();
    assert_eq!(entries(&spool).await[0].recipients[0].attempts, 0);
}

#[tokio::test]
async fn lanes_are_counted_and_expedited_each_for_itself() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    for number in 0..4 {
        append_in(&spool, &format!("a-{number}"), "a").await;
        append_in(&spool, &format!("b-{number}"), "b").await;
    }
    assert!(spool.queues("a").await.unwrap());
    assert!(!spool.queues("c").await.unwrap());
    let named = Wanted {
        lanes: HashMap::from([("a".to_owned(), 3)]),
        otherwise: 0,
        total: 100,
        ..Wanted::default()
    };
    assert_eq!(claim_wanted(&spool, &named).await.len(), 3);
    for id in ["a-0", "a-1"] {
        let mut later = settlement(0, deferred(LEASE), "away");
        later.lane = "a".to_owned();
        spool.settle(id, vec![later]).await.unwrap();
    }
    spool.hold(&["b-0".to_owned()]).await.unwrap();
    let trouble = LaneTrouble {
        lane: "a".to_owned(),
        trouble: Trouble::Down,
        since: SystemTime::UNIX_EPOCH + Duration::from_millis(1),
        next_attempt: SystemTime::UNIX_EPOCH + Duration::from_millis(2),
        attempts: 3,
        attempt: settlement(0, Outcome::Held, "connection refused").attempt,
        ours: false,
    };
    spool.trouble("a", Some(trouble.clone())).await.unwrap();
    let empty = LaneTrouble {
        lane: "z".to_owned(),
        trouble: Trouble::Paused,
        ours: true,
        ..trouble.clone()
    };
    spool.trouble("z", Some(trouble.clone())).await.unwrap();
    spool.trouble("z", Some(empty.clone())).await.unwrap();
    let count = |lane: &str, numbers: [u64; 4], trouble: Option<&LaneTrouble>| LaneCount {
        lane: lane.to_owned(),
        waiting: numbers[0],
        delivering: numbers[1],
        deferred: numbers[2],
        held: numbers[3],
        trouble: trouble.cloned(),
    };
    let expected = [
        count("a", [1, 1, 2, 0], Some(&trouble)),
        count("b", [3, 0, 0, 1], None),
        count("z", [0; 4], Some(&empty)),
    ];
    assert_eq!(spool.lanes().await.unwrap(), expected);
    // It survives the service, and other processes see it.
    let tool = Sqlite::open(state.path(), Access::Tool).unwrap();
    assert_eq!(tool.lanes().await.unwrap(), expected);

    assert_eq!(spool.expedite("b").await.unwrap(), 0);
    assert_eq!(spool.expedite("a").await.unwrap(), 2);
    assert_eq!(spool.expedite("a").await.unwrap(), 0);
    let claimed = claim_wanted(&spool, &named).await;
    assert_eq!(claimed.len(), 3, "one waited, two were deferred");
    spool.trouble("a", None).await.unwrap();
    assert_eq!(spool.lanes().await.unwrap()[0].trouble, None);
    // Only attempts that run.
    assert!(!spool.queues("a").await.unwrap());
    // Held alone is nothing that a lane need be tried for.
    let all = ["b-1", "b-2", "b-3"].map(str::to_owned);
    spool.hold(&all).await.unwrap();
    assert!(!spool.queues("b").await.unwrap());
}

#[tokio::test]
async fn a_lane_of_thousands_is_expedited_in_its_order() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    let mailboxes: Vec<String> = (0..2500).map(|n| format!("u{n}@example.net")).collect();
    let mailboxes: Vec<&str> = mailboxes.iter().map(String::as_str).collect();
    append(&spool, "a-1", &mailboxes, b"x").await;
    claim_at(&spool, 2500, SystemTime::now()).await;
    let settlements = (0..2500)
        .map(|ordinal| settlement(ordinal, deferred(LEASE), "away"))
        .collect();
    spool.settle("a-1", settlements).await.unwrap();
    assert_eq!(spool.expedite("lane").await.unwrap(), 2500);
    let claimed = claim_at(&spool, 2500, SystemTime::now()).await;
    let ordinals: Vec<u32> = claimed.iter().map(|one| one.ordinal).collect();
    assert_eq!(ordinals, (0..2500).collect::<Vec<_>>());
}

#[tokio::test]
async fn all_lanes_of_a_route_have_a_limit_together() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    for domain in 0..5 {
        for number in 0..2 {
            let lane = format!("mx d{domain}");
            append_in(&spool, &format!("x{domain}-{number}"), &lane).await;
        }
        append_in(&spool, &format!("y-{domain}"), &format!("other d{domain}")).await;
    }
    let mut wanted = Wanted {
        lanes: HashMap::from([("mx d1".to_owned(), 1)]),
        otherwise: 10,
        routes: vec![("mx".to_owned(), 4), ("another".to_owned(), 0)],
        total: 100,
        ..Wanted::default()
    };
    let of = |claimed: Vec<(String, String)>, route: &str| -> Vec<String> {
        let lanes = claimed.into_iter().map(|(lane, _)| lane);
        lanes.filter(|lane| lane.starts_with(route)).collect()
    };
    let claimed = claim_wanted(&spool, &wanted).await;
    assert_eq!(claimed.len(), 9);
    assert_eq!(of(claimed, "mx"), ["mx d0", "mx d0", "mx d1", "mx d2"]);
    wanted.routes[0].1 = 0;
    assert_eq!(claim_wanted(&spool, &wanted).await, []);
    wanted.routes[0].1 = 100;
    wanted.lanes.clear();
    let claimed = claim_wanted(&spool, &wanted).await;
    assert_eq!(of(claimed, "mx").len(), 6);
}

#[tokio::test]
async fn the_recipients_of_a_message_are_claimed_together_as_far_as_there_is_room() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    let mailboxes: Vec<String> = (0..40).map(|n| format!("u{n}@example.net")).collect();
    let mailboxes: Vec<&str> = mailboxes.iter().map(String::as_str).collect();
    let mut new = message(&spool, "a-1", &mailboxes, b"x").await;
    for recipient in &mut new.recipients {
        recipient.lane = "a".to_owned();
    }
    // One of them queues elsewhere.
    new.recipients[7].lane = "b".to_owned();
    spool.append(new).await.unwrap();
    append_in(&spool, "a-2", "a").await;
    let named = |room, routes, total| Wanted {
        lanes: HashMap::from([("a".to_owned(), room)]),
        routes,
        total,
        ..Wanted::default()
    };
    let ids = |claimed: Vec<(String, String)>| -> Vec<String> {
        claimed.into_iter().map(|(_, id)| id).collect()
    };
    // Neither more than all, nor more than the route has room for.
    let few = claim_wanted(&spool, &named(2, Vec::new(), 5)).await;
    assert_eq!(few.len(), 5);
    let routes = vec![("a".to_owned(), 4)];
    let few = claim_wanted(&spool, &named(2, routes, 100)).await;
    assert_eq!(few.len(), 4);
    let rest = ids(claim_wanted(&spool, &named(2, Vec::new(), 100)).await);
    assert_eq!(rest, vec!["a-1"; 30]);
    let next = ids(claim_wanted(&spool, &named(2, Vec::new(), 100)).await);
    assert_eq!(next, ["a-2"]);
}
