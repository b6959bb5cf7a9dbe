//! What became of recipients that are done.

use super::*;

async fn history(spool: &Sqlite, filter: Filter) -> Vec<Past> {
    spool.history(&filter, None, 1000).await.unwrap()
}

#[tokio::test]
async fn each_end_is_written_once_with_all_that_is_known() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    let mailboxes = ["bob@example.net", "eve@example.net", "joe@example.net"];
    append(&spool, "a-1", &mailboxes, b"hello").await;
    claim(&spool).await;
    let mut delivered = settlement(0, Outcome::Delivered, "");
    delivered.attempt.reply = Some(Reply {
        code: 250,
        status: Some((2, 0, 0)),
        lines: vec!["queued as 4711".to_owned()],
    });
    let failed = settlement(1, Outcome::Failed, "no such mailbox");
    let both = vec![delivered.clone(), failed.clone()];
    spool.settle("a-1", both).await.unwrap();
    // Done is done.
    settle(&spool, "a-1", 1, Outcome::Delivered).await;
    settle(&spool, "a-1", 0, deferred(Duration::ZERO)).await;
    let entry = entries(&spool).await.remove(0);
    let states: Vec<State> = entry.recipients.iter().map(|one| one.state).collect();
    assert_eq!(states, [State::Delivered, State::Failed, State::Delivering]);
    spool.remove(&["a-1".to_owned()]).await.unwrap();
    settle(&spool, "a-1", 2, Outcome::Delivered).await;

    let past = history(&spool, Filter::default()).await;
    let ends: Vec<_> = past
        .iter()
        .map(|one| (one.mailbox.as_str(), one.end))
        .collect();
    assert_eq!(
        ends,
        [
            ("joe@example.net", End::Removed),
            ("eve@example.net", End::Failed),
            ("bob@example.net", End::Delivered),
        ]
    );
    assert_eq!(past[2].attempt, Some(delivered.attempt));
    assert_eq!(past[1].attempt, Some(failed.attempt));
    assert_eq!(past[0].attempt, None);
    let bob = &past[2];
    assert_eq!((bob.id.as_str(), bob.size, bob.attempts), ("a-1", 5, 1));
    assert_eq!(bob.message_id, "<a-1@example.org>");
    assert_eq!(bob.reverse_path, "alice@example.org");
    assert_eq!(bob.identity.as_deref(), Some("alice"));
    assert!(bob.delay < Duration::from_secs(60));
    assert!(bob.at.elapsed().unwrap() < Duration::from_secs(60));
}

#[tokio::test]
async fn history_is_searched_and_comes_in_pages() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    for number in 0..20 {
        let mailbox = format!("u_{number}@Example.net");
        let id = format!("a-{number}");
        append(&spool, &id, &[&mailbox, "eve@example.com"], b"x").await;
        claim(&spool).await;
        let both = vec![
            settlement(0, Outcome::Delivered, &format!("queued as {number}%")),
            settlement(1, Outcome::Failed, "no such mailbox"),
        ];
        spool.settle(&id, both).await.unwrap();
    }
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = spool.history(&Filter::default(), after, 7).await.unwrap();
        after = page.last().map(|last| last.cursor);
        seen.extend(page.iter().map(|one| one.id.clone()));
        if page.len() < 7 {
            break;
        }
    }
    let expected: Vec<String> = (0..20)
        .rev()
        .flat_map(|number| [format!("a-{number}"), format!("a-{number}")])
        .collect();
    assert_eq!(seen, expected);

    let found = |filter| async { history(&spool, filter).await.len() };
    let text = |text: &str| Some(text.to_owned());
    let base = Filter::default;
    let of = |filter: Filter, count: usize| (filter, count);
    for (filter, count) in [
        of(
            Filter {
                id: text("a-3"),
                ..base()
            },
            2,
        ),
        of(
            Filter {
                recipient: text("U_3@example.net"),
                ..base()
            },
            1,
        ),
        of(
            Filter {
                domain: text("EXAMPLE.net"),
                ..base()
            },
            20,
        ),
        of(
            Filter {
                domain: text("ample.net"),
                ..base()
            },
            0,
        ),
        of(
            Filter {
                sender: text("@example.ORG"),
                ..base()
            },
            40,
        ),
        of(
            Filter {
                sender: text("alice@example.org"),
                ..base()
            },
            40,
        ),
        of(
            Filter {
                sender: text(""),
                ..base()
            },
            0,
        ),
        of(
            Filter {
                identity: text("ALICE"),
                ..base()
            },
            40,
        ),
        of(
            Filter {
                identity: text("bob"),
                ..base()
            },
            0,
        ),
        of(
            Filter {
                message_id: text("<a-1@"),
                ..base()
            },
            2,
        ),
        of(
            Filter {
                reply: text("AS 1%"),
                ..base()
            },
            1,
        ),
        of(
            Filter {
                reply: text("such"),
                domain: text("example.net"),
                ..base()
            },
            0,
        ),
        // What is not said of history does not count.
        of(
            Filter {
                state: Some(State::Held),
                route: text("x"),
                ..base()
            },
            40,
        ),
        of(
            Filter {
                before: Some(SystemTime::UNIX_EPOCH),
                ..base()
            },
            0,
        ),
        of(
            Filter {
                since: Some(SystemTime::UNIX_EPOCH),
                ..base()
            },
            40,
        ),
        of(
            Filter {
                since: Some(SystemTime::now() + LEASE),
                ..base()
            },
            0,
        ),
    ] {
        assert_eq!(found(filter.clone()).await, count, "{filter:?}");
    }
}

#[tokio::test]
async fn history_is_in_order_of_time_even_if_the_clock_was_set_back() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    for number in 0..6 {
        let id = format!("a-{number}");
        append(&spool, &id, &["bob@example.net"], b"x").await;
        claim(&spool).await;
        settle(&spool, &id, 0, Outcome::Delivered).await;
    }
    damage(
        state.path(),
        "UPDATE history SET at = CASE number % 3 WHEN 0 THEN 5000 WHEN 1 THEN 7000 ELSE 6000 END",
    );
    let mut seen = Vec::new();
    let mut after = None;
    while let Some(one) = spool
        .history(&Filter::default(), after, 1)
        .await
        .unwrap()
        .pop()
    {
        after = Some(one.cursor);
        seen.push(one.id);
    }
    // Numbers 1 to 6: those of 7000 first, of the same time the later written first.
    assert_eq!(seen, ["a-3", "a-0", "a-4", "a-1", "a-5", "a-2"]);
}

#[tokio::test]
async fn history_is_forgotten_the_oldest_first_and_not_more_than_asked() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    damage(
        state.path(),
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 3000)
         INSERT INTO history (at, id, message_id, reverse_path, mailbox, ended, attempts, delay, size)
         SELECT n * 1000, 'a-' || n, '', '', 'bob@example.net', 0, 1, 5, 7 FROM n",
    );
    let before = SystemTime::UNIX_EPOCH + Duration::from_secs(2501);
    assert_eq!(spool.forget(before, 10).await.unwrap(), 10);
    assert_eq!(spool.forget(before, 1500).await.unwrap(), 1500);
    let oldest = Filter {
        id: Some("a-1510".to_owned()),
        ..Filter::default()
    };
    assert!(history(&spool, oldest).await.is_empty());
    let next = Filter {
        id: Some("a-1511".to_owned()),
        ..Filter::default()
    };
    assert_eq!(history(&spool, next).await.len(), 1);
    assert_eq!(spool.forget(before, 100_000).await.unwrap(), 990);
    assert_eq!(spool.forget(before, 100_000).await.unwrap(), 0);
    assert_eq!(history(&spool, Filter::default()).await.len(), 500);
}
