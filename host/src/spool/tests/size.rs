//! Large queues: how the database finds things, and what it costs.

use std::time::Instant;

use super::super::operation::{
    DUE, DUE_OF_PRIORITY, FIRST_DUE, LANES_AFTER, LANES_TO, LOWER, REST,
};
use super::super::query::{HELD, OVERDUE, OWED, QUEUED, QUEUES, list_statement, past_statement};
use super::*;

/// How the database does it, a step a line.
fn plan(connection: &Connection, statement: &str) -> String {
    let mut explained = connection
        .prepare(&format!("EXPLAIN QUERY PLAN {statement}"))
        .unwrap();
    let nothing = vec![rusqlite::types::Value::Null; explained.parameter_count()];
    let steps = explained
        .query_map(rusqlite::params_from_iter(nothing), |row| {
            row.get::<_, String>(3)
        })
        .unwrap();
    steps.collect::<Result<Vec<_>, _>>().unwrap().join("\n")
}

#[test]
fn nothing_is_looked_for_row_by_row_or_sorted() {
    let state = tempfile::tempdir().unwrap();
    drop(open(state.path()));
    let connection = Connection::open(state.path().join("spool/spool.sqlite")).unwrap();
    let list = |filter: Filter| list_statement(&filter, Cursor::default(), SystemTime::now()).0;
    let base = Filter::default;
    let by_state = |state| {
        list(Filter {
            state: Some(state),
            ..base()
        })
    };
    let some = || Some("x".to_owned());
    let messages = "SEARCH message USING COVERING INDEX message_list (serial>?)";
    let message = "SEARCH message USING COVERING INDEX message_list (serial=?)";
    let recipients = format!("SEARCH recipient USING PRIMARY KEY (message>?)\n{message}");
    let held =
        format!("SEARCH recipient USING COVERING INDEX recipient_held (message>?)\n{message}");
    let past = |filter| past_statement(&filter, Some(Cursor::default()), 10).0;
    for (statement, expected) in [
        (
            LANES_AFTER.to_owned(),
            "SEARCH lane USING PRIMARY KEY (name>?)",
        ),
        (
            LANES_TO.to_owned(),
            "SEARCH lane USING PRIMARY KEY (name<?)",
        ),
        (
            FIRST_DUE.to_owned(),
            "SEARCH recipient USING COVERING INDEX recipient_due (lane=? AND due>?)",
        ),
        (
            DUE.to_owned(),
            "SEARCH recipient USING INDEX recipient_due (lane=? AND due<?)",
        ),
        (
            DUE_OF_PRIORITY.to_owned(),
            "SEARCH recipient USING INDEX recipient_priority (lane=? AND priority=? AND due<?)",
        ),
        (
            LOWER.to_owned(),
            "SEARCH recipient USING COVERING INDEX recipient_priority (lane=? AND priority<?)",
        ),
        (
            OVERDUE.to_owned(),
            "SEARCH recipient USING INDEX recipient_deadline (deadline<?)",
        ),
        (
            REST.to_owned(),
            "SEARCH recipient USING PRIMARY KEY (message=?)",
        ),
        (
            QUEUED.to_owned(),
            "SCAN recipient USING COVERING INDEX recipient_due",
        ),
        (
            QUEUES.to_owned(),
            "SEARCH recipient USING COVERING INDEX recipient_due (lane=? AND due>?)",
        ),
        (
            OWED.to_owned(),
            "SEARCH notice USING COVERING INDEX notice_due (due<?)",
        ),
        (list(base()), messages),
        (
            list(Filter {
                identity: some(),
                since: Some(SystemTime::now()),
                ..base()
            }),
            messages,
        ),
        (
            list(Filter {
                reply: some(),
                sender: some(),
                ..base()
            }),
            &recipients,
        ),
        (by_state(State::Deferred), &recipients),
        (by_state(State::Held), &held),
        (past(base()), "SEARCH history USING INDEX history_at (at<?)"),
        (
            past(Filter {
                since: Some(SystemTime::now()),
                ..base()
            }),
            "SEARCH history USING INDEX history_at (at>? AND at<?)",
        ),
    ] {
        let plan = plan(&connection, &statement);
        let steps: Vec<_> = plan
            .lines()
            .filter(|step| !step.starts_with("SCALAR") && !step.starts_with("SCAN CONSTANT"))
            .collect();
        assert_eq!(steps.join("\n"), expected, "{statement}");
    }
    // Few, whatever the size of the queue.
    let delivering = plan(&connection, &by_state(State::Delivering));
    assert!(
        delivering.contains("recipient USING PRIMARY KEY (message=?)"),
        "{delivering}"
    );
    assert!(
        delivering.contains("COVERING INDEX recipient_due"),
        "{delivering}"
    );
    let held = plan(&connection, HELD);
    assert!(
        held.starts_with("SCAN recipient USING COVERING INDEX recipient_held"),
        "{held}"
    );
}

/// Time that this process has used of the processor.
fn cpu() -> Duration {
    use nix::sys::resource::{UsageWho, getrusage};
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let of = |time: nix::sys::time::TimeVal| {
        Duration::from_micros((time.tv_sec() * 1_000_000 + time.tv_usec()).unsigned_abs())
    };
    of(usage.user_time()) + of(usage.system_time())
}

/// So many messages of one recipient each in so many lanes; those of the first lane are a tenth and
/// due, the others are due if their number is one of each ten thousand.
fn fill(state: &Path, count: i64, lanes: i64) {
    let attempt = serde_json::to_string(&settlement(0, Outcome::Held, &"x".repeat(100)).attempt);
    let mut connection = Connection::open(state.join("spool/spool.sqlite")).unwrap();
    let transaction = connection.transaction().unwrap();
    let numbers = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?1)";
    transaction
        .execute(
            &format!(
                "{numbers} INSERT INTO message (serial, id, received, reverse_path, identity, peer,
                   message_id, envelope, facts, size, digest, content)
                 SELECT n, format('k%08x-1', n), 1700000000000 + n, 'alice@example.org',
                   'user' || (n % 1000), '192.0.2.7', format('<%d@example.org>', n),
                   '{{\"reverse_path\":\"alice@example.org\",\"protocol\":\"ESMTPSA\"}}', '{{}}',
                   1024, zeroblob(32), zeroblob(1024) FROM n"
            ),
            [count],
        )
        .unwrap();
    transaction
        .execute(
            &format!(
                "{numbers} INSERT INTO recipient (message, ordinal, mailbox, state, attempts, due,
                   last_reply, lane, attempt)
                 SELECT n, 0, format('user%d@d%d.example.net', n, n % ?2), 2, 1,
                   iif(n % 10 = 0 OR n % 10000 = 1, 1700000000000, 9700000000000) + n,
                   '450 4.2.0 busy', iif(n % 10 = 0, 'big', format('mx d%d.example.net', n % ?2)), ?3
                 FROM n"
            ),
            rusqlite::params![count, lanes, attempt.unwrap()],
        )
        .unwrap();
    transaction.commit().unwrap();
}

/// Prints what a large queue costs: `RECIPIENTS=1000000 cargo test -- --nocapture a_large_queue`.
#[tokio::test]
async fn a_large_queue_is_worked_through_at_the_same_pace() {
    let count: i64 = std::env::var("RECIPIENTS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(20_000);
    let lanes = count / 100;
    let state = tempfile::tempdir().unwrap();
    drop(open(state.path()));
    fill(state.path(), count, lanes);
    let spool = open(state.path());
    println!("{count} recipients in {lanes} lanes");
    let mut began = (Instant::now(), cpu());
    let mut lap = |what: &str, times: u32| {
        let (wall, used) = (began.0.elapsed() / times, (cpu() - began.1) / times);
        println!("{what}: {wall:.1?}, of the processor {used:.1?}");
        began = (Instant::now(), cpu());
    };
    let now = SystemTime::now();
    let closed = |otherwise, total| Wanted {
        lanes: [("big".to_owned(), 0)].into(),
        otherwise,
        total,
        after: "mx d5".to_owned(),
        ..Wanted::default()
    };
    // What is due beside the big lane, through all lanes.
    let few = spool
        .claim(&closed(1000, 100_000), LEASE, now)
        .await
        .unwrap();
    assert_eq!(few.len() as i64, count / 10_000);
    lap(
        "claim, a scan of all lanes, reading each for the first time",
        1,
    );
    for _ in 0..10 {
        let none = spool.claim(&closed(10, 100), LEASE, now).await.unwrap();
        assert!(none.is_empty());
    }
    lap(
        "claim, a scan of all lanes, nothing due but what has no room",
        10,
    );
    let only = Wanted {
        lanes: [("big".to_owned(), 10)].into(),
        total: 10,
        ..Wanted::default()
    };
    let mut claimed = Vec::new();
    for _ in 0..100 {
        claimed.extend(spool.claim(&only, LEASE, now).await.unwrap());
    }
    assert_eq!(claimed.len(), 1000);
    lap("claim of 10 from one lane that is named", 100);
    let hundred = Wanted {
        lanes: [("big".to_owned(), 100)].into(),
        total: 100,
        ..Wanted::default()
    };
    for _ in 0..5 {
        claimed.extend(spool.claim(&hundred, LEASE, now).await.unwrap());
    }
    lap("claim of 100 from one lane that is named", 5);
    for one in &claimed[..100] {
        settle(&spool, &one.message.id, 0, deferred(LEASE)).await;
    }
    lap("settle, deferred, one after the other", 100);
    for one in &claimed[100..200] {
        settle(&spool, &one.message.id, 0, Outcome::Delivered).await;
    }
    lap("settle, delivered, one after the other", 100);
    let mut together: Vec<_> = claimed[200..1000]
        .iter()
        .map(|one| {
            let delivered = settlement(0, Outcome::Delivered, "");
            spool.settle(&one.message.id, vec![delivered])
        })
        .collect();
    std::future::poll_fn(|context| {
        together.retain_mut(|one| one.as_mut().poll(context).is_pending());
        match together.is_empty() {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    drop(together);
    lap("settle, delivered, 800 at a time, each", 800);

    let base = Filter::default;
    let text = |text: &str| Some(text.to_owned());
    let half = Cursor {
        row: count / 2,
        ..Cursor::default()
    };
    for (what, filter, least) in [
        ("all", base(), 500),
        (
            "deferred",
            Filter {
                state: Some(State::Deferred),
                ..base()
            },
            500,
        ),
        (
            "one domain",
            Filter {
                domain: text("d7.example.net"),
                ..base()
            },
            10,
        ),
        (
            "one identity",
            Filter {
                identity: text("user7"),
                ..base()
            },
            10,
        ),
        (
            "one mailbox, the whole queue",
            Filter {
                recipient: text("nobody@example.net"),
                ..base()
            },
            0,
        ),
        (
            "one sender, the whole queue",
            Filter {
                sender: text("nobody@example.net"),
                ..base()
            },
            0,
        ),
        (
            "held",
            Filter {
                state: Some(State::Held),
                ..base()
            },
            0,
        ),
        (
            "delivering",
            Filter {
                state: Some(State::Delivering),
                ..base()
            },
            0,
        ),
    ] {
        let page = spool.list(&filter, Some(half), 500).await.unwrap();
        assert!(
            page.len() >= least || count < 100_000,
            "{what}: {}",
            page.len()
        );
        lap(
            &format!("list, a page of {} from the middle: {what}", page.len()),
            1,
        );
    }
    assert!(spool.lanes().await.unwrap().len() as i64 > lanes / 2);
    lap("lanes", 1);
    assert!(spool.queues("big").await.unwrap());
    lap("queues", 1);
    let expedited = spool.expedite("mx d7.example.net").await.unwrap();
    lap(&format!("expedite of {expedited}"), 1);
    let past = spool.history(&base(), None, 500).await.unwrap();
    assert_eq!(past.len(), 500);
    lap("history, a page of 500", 1);
    drop(spool);
    lap("close", 1);
    let spool = open(state.path());
    lap("open, with leases to end", 1);
    assert!(spool.queues("big").await.unwrap());
}
