//! What is found by which filter.

use super::*;

/// Five messages that differ in all that can be asked for.
async fn scene(state: &Path) -> Sqlite {
    let spool = open(state);
    let mut lane = 0;
    for (id, sender, identity, mailboxes) in [
        (
            "a-1",
            "alice@example.org",
            "alice",
            ["bob@example.net", "eve@Example.com"],
        ),
        (
            "a-2",
            "carl@example.ORG",
            "Alice",
            ["bob@example.com", "eve@example.net"],
        ),
        (
            "a-3",
            "",
            "carl",
            ["\"x@y\"@example.net", "under_score@example.net"],
        ),
        (
            "a-4",
            "dave@sub.example.org",
            "dave",
            ["per%cent@example.net", "underxscore@example.net"],
        ),
        (
            "a-5",
            "alice@example.org",
            "alice",
            ["bob@sub.example.net", "eve@example.de"],
        ),
    ] {
        let mut new = message(&spool, id, &mailboxes, b"x").await;
        sender.clone_into(&mut new.envelope.reverse_path);
        new.identity = Some(identity.to_owned());
        for one in &mut new.recipients {
            lane += 1;
            one.lane = match lane {
                1..=4 => "smart".to_owned(),
                5..=8 => format!("mx d{lane}.example.net"),
                _ => "mxtra".to_owned(),
            };
        }
        new.received = SystemTime::UNIX_EPOCH + Duration::from_secs(lane * 100);
        spool.append(new).await.unwrap();
    }
    spool
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

async fn ids(spool: &Sqlite, filter: &Filter) -> Vec<String> {
    let all = spool.list(filter, None, 100).await.unwrap();
    // The same in pages of one.
    let mut paged = Vec::new();
    let mut after = None;
    while let Some(one) = spool.list(filter, after, 1).await.unwrap().pop() {
        after = Some(one.cursor);
        paged.push(one);
    }
    assert_eq!(all, paged, "{filter:?}");
    all.into_iter().map(|one| one.id).collect()
}

#[tokio::test]
async fn each_part_of_a_filter_finds_what_it_says() {
    let state = tempfile::tempdir().unwrap();
    let spool = scene(state.path()).await;
    let base = Filter::default;
    let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    for (filter, expected) in [
        (base(), vec!["a-1", "a-2", "a-3", "a-4", "a-5"]),
        (
            Filter {
                id: text("a-3"),
                ..base()
            },
            vec!["a-3"],
        ),
        (
            Filter {
                identity: text("ALICE"),
                ..base()
            },
            vec!["a-1", "a-2", "a-5"],
        ),
        (
            Filter {
                sender: text("Alice@example.org"),
                ..base()
            },
            vec!["a-1", "a-5"],
        ),
        (
            Filter {
                sender: text("@example.org"),
                ..base()
            },
            vec!["a-1", "a-2", "a-5"],
        ),
        (
            Filter {
                sender: text("@e_ample.org"),
                ..base()
            },
            vec![],
        ),
        (
            Filter {
                sender: text(""),
                ..base()
            },
            vec!["a-3"],
        ),
        (
            Filter {
                recipient: text("BOB@example.net"),
                ..base()
            },
            vec!["a-1"],
        ),
        (
            Filter {
                recipient: text("under_score@example.net"),
                ..base()
            },
            vec!["a-3"],
        ),
        (
            Filter {
                domain: text("example.net"),
                ..base()
            },
            vec!["a-1", "a-2", "a-3", "a-4"],
        ),
        (
            Filter {
                domain: text("EXAMPLE.com"),
                ..base()
            },
            vec!["a-1", "a-2"],
        ),
        (
            Filter {
                domain: text("%"),
                ..base()
            },
            vec![],
        ),
        (
            Filter {
                domain: text("net"),
                ..base()
            },
            vec![],
        ),
        (
            Filter {
                message_id: text("a-4@"),
                ..base()
            },
            vec!["a-4"],
        ),
        (
            Filter {
                message_id: text("a_4"),
                ..base()
            },
            vec![],
        ),
        (
            Filter {
                route: text("smart"),
                ..base()
            },
            vec!["a-1", "a-2"],
        ),
        (
            Filter {
                route: text("mx"),
                ..base()
            },
            vec!["a-3", "a-4"],
        ),
        (
            Filter {
                route: text("mx d7.example.net"),
                ..base()
            },
            vec!["a-4"],
        ),
        (
            Filter {
                before: at(600),
                ..base()
            },
            vec!["a-1", "a-2"],
        ),
        (
            Filter {
                since: at(600),
                ..base()
            },
            vec!["a-3", "a-4", "a-5"],
        ),
        (
            Filter {
                since: at(400),
                before: at(800),
                ..base()
            },
            vec!["a-2", "a-3"],
        ),
        (
            Filter {
                domain: text("example.net"),
                identity: text("alice"),
                ..base()
            },
            vec!["a-1", "a-2"],
        ),
        (
            Filter {
                recipient: text("nobody@example.net"),
                ..base()
            },
            vec![],
        ),
    ] {
        assert_eq!(ids(&spool, &filter).await, expected, "{filter:?}");
    }
}

#[tokio::test]
async fn what_concerns_recipients_holds_for_one_of_them() {
    let state = tempfile::tempdir().unwrap();
    let spool = scene(state.path()).await;
    claim(&spool).await;
    for (id, ordinal, outcome, reply) in [
        ("a-1", 0, deferred(LEASE), "450 100% busy"),
        ("a-1", 1, Outcome::Held, "its route is hold"),
        ("a-2", 0, Outcome::Held, "450 100 busy"),
        ("a-2", 1, deferred(Duration::ZERO), "450 100%_busy"),
        ("a-3", 0, Outcome::Failed, "no such mailbox"),
    ] {
        spool
            .settle(id, vec![settlement(ordinal, outcome, reply)])
            .await
            .unwrap();
    }
    let base = Filter::default;
    let state_of = |state| Filter {
        state: Some(state),
        ..base()
    };
    for (filter, expected) in [
        (state_of(State::Waiting), vec![]),
        (state_of(State::Delivering), vec!["a-3", "a-4", "a-5"]),
        (state_of(State::Deferred), vec!["a-1", "a-2"]),
        (state_of(State::Held), vec!["a-1", "a-2"]),
        (state_of(State::Failed), vec!["a-3"]),
        (state_of(State::Delivered), vec![]),
        (
            Filter {
                reply: text("100%"),
                ..base()
            },
            vec!["a-1", "a-2"],
        ),
        (
            Filter {
                reply: text("BUSY"),
                ..base()
            },
            vec!["a-1", "a-2"],
        ),
        (
            Filter {
                reply: text("%_"),
                ..base()
            },
            vec!["a-2"],
        ),
        // bob of a-1 is deferred, eve held.
        (
            Filter {
                recipient: text("bob@example.net"),
                ..state_of(State::Held)
            },
            vec![],
        ),
        (
            Filter {
                domain: text("example.com"),
                ..state_of(State::Held)
            },
            vec!["a-1", "a-2"],
        ),
        (
            Filter {
                reply: text("busy"),
                ..state_of(State::Held)
            },
            vec!["a-2"],
        ),
        (
            Filter {
                route: text("lane"),
                ..state_of(State::Deferred)
            },
            vec!["a-1", "a-2"],
        ),
        (
            Filter {
                route: text("mx"),
                ..state_of(State::Delivering)
            },
            vec!["a-3", "a-4"],
        ),
        (
            Filter {
                identity: text("dave"),
                ..state_of(State::Delivering)
            },
            vec!["a-4"],
        ),
    ] {
        assert_eq!(ids(&spool, &filter).await, expected, "{filter:?}");
    }
    // An attempt whose lease ran out is over, as the list shows it.
    damage(state.path(), "UPDATE recipient SET due = 5 WHERE state = 1");
    assert_eq!(ids(&spool, &state_of(State::Delivering)).await, [""; 0]);
    let waiting = ids(&spool, &state_of(State::Waiting)).await;
    assert_eq!(waiting, ["a-3", "a-4", "a-5"]);
    damage(
        state.path(),
        "UPDATE recipient SET attempts = 2 WHERE state = 1",
    );
    let deferred = ids(&spool, &state_of(State::Deferred)).await;
    assert_eq!(deferred, ["a-1", "a-2", "a-3", "a-4", "a-5"]);
    let entry = entries(&spool).await.remove(4);
    assert_eq!(entry.recipients[0].state, State::Deferred);
    assert_eq!(entry.recipients[0].lane, "mxtra");
}
