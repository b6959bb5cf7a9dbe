//! What an older version left is brought up to date.

use super::*;

/// A spool of this schema, as SQL alone makes it.
fn old(state: &Path, version: u8) -> Connection {
    let schema = match version {
        1 => include_str!("schema_1.sql"),
        _ => include_str!("schema_2.sql"),
    };
    let spool = state.join("spool");
    std::fs::create_dir_all(&spool).unwrap();
    super::super::content::Folder::new(&spool).create().unwrap();
    let connection = Connection::open(spool.join("spool.sqlite")).unwrap();
    connection
        .execute_batch(&format!(
            "PRAGMA journal_mode = WAL;
             BEGIN; {schema} PRAGMA user_version = {version}; COMMIT;"
        ))
        .unwrap();
    connection
}

/// With a recipient in each state that there was, and content in the row and in a file.
fn fill(state: &Path, connection: &Connection) {
    use sha2::{Digest, Sha256};
    let large = vec![b'x'; MOST_INLINE + 1];
    let folder = super::super::content::Folder::new(&state.join("spool"));
    std::fs::write(folder.file("a-2").unwrap(), &large).unwrap();
    let mut insert = connection
        .prepare(
            "INSERT INTO message VALUES (?1, ?2, 1700000000000, 'alice@example.org', 'alice',
               '192.0.2.7', '<m@example.org>', '{\"reverse_path\":\"alice@example.org\",\"protocol\":\"ESMTPSA\"}',
               '{}', ?3, ?4, ?5)",
        )
        .unwrap();
    let mut add = |serial: i64, id: &str, octets: &[u8], inline: bool| {
        let digest = Sha256::digest(octets);
        let content = inline.then_some(octets);
        insert
            .execute(rusqlite::params![
                serial,
                id,
                octets.len() as i64,
                digest.as_slice(),
                content
            ])
            .unwrap();
    };
    add(1, "a-1", b"small", true);
    add(2, "a-2", &large, false);
    connection
        .execute_batch(
            "INSERT INTO recipient (message, ordinal, mailbox, notify, orcpt_type, orcpt, state,
                                    attempts, due, owner, last_reply) VALUES
               (1, 0, 'waiting@example.net', 4, 'rfc822', 'w', 0, 0, 1700000000000, NULL, NULL),
               (1, 1, 'deferred@example.net', NULL, NULL, NULL, 2, 3, 9700000000000, NULL, 'disk full'),
               (1, 2, 'held@example.net', NULL, NULL, NULL, 3, 1, NULL, NULL, 'no such mailbox'),
               (1, 3, 'delivered@example.net', NULL, NULL, NULL, 4, 1, NULL, NULL, NULL),
               (2, 0, 'delivering@example.net', NULL, NULL, NULL, 1, 2, 9700000000000, 77, 'later');",
        )
        .unwrap();
}

#[tokio::test]
async fn a_spool_of_schema_1_is_brought_up_to_date_with_all_that_is_in_it() {
    let state = tempfile::tempdir().unwrap();
    let connection = old(state.path(), 1);
    fill(state.path(), &connection);
    drop(connection);

    // A tool leaves it alone: the old service may be at work.
    let refused = Sqlite::open(state.path(), Access::Tool).unwrap_err();
    let text = refused.to_string();
    assert!(matches!(refused, SpoolError::Older { found: 1, .. }));
    assert!(text.contains("start the service"), "{text}");

    let spool = open(state.path());
    let entries = entries(&spool).await;
    let states = |entry: &Entry| -> Vec<State> {
        let states = entry.recipients.iter().map(|one| one.state);
        states.collect()
    };
    assert_eq!(
        states(&entries[0]),
        [
            State::Waiting,
            State::Deferred,
            State::Held,
            State::Delivered
        ]
    );
    assert_eq!(states(&entries[1]), [State::Deferred], "its lease ended");
    // Which is told of: their senders heard nothing.
    let connection = Connection::open(state.path().join("spool/spool.sqlite")).unwrap();
    let held = super::super::schema::held_after_an_attempt(&connection);
    assert_eq!(held.unwrap(), 1);
    let deferred = &entries[0].recipients[1];
    assert_eq!(deferred.attempts, 3);
    assert_eq!(deferred.last_reply.as_deref(), Some("disk full"));
    assert_eq!((deferred.lane.as_str(), &deferred.attempt), ("", &None));

    let claimed = claim(&spool).await;
    let mut mailboxes: Vec<_> = claimed
        .iter()
        .map(|one| one.recipient.mailbox.as_str())
        .collect();
    mailboxes.sort_unstable();
    assert_eq!(mailboxes, ["delivering@example.net", "waiting@example.net"]);
    assert!(
        claimed
            .iter()
            .all(|one| one.lane.is_empty() && !one.delay_told)
    );
    assert_eq!(read(&spool, "a-1").await.unwrap(), b"small");
    assert_eq!(read(&spool, "a-2").await.unwrap().len(), MOST_INLINE + 1);
    settle(&spool, "a-2", 0, Outcome::Delivered).await;
    settle(&spool, "a-1", 0, Outcome::Delivered).await;
    spool.release(&["a-1".to_owned()]).await.unwrap();
    spool.retry(&["a-1".to_owned()]).await.unwrap();
    assert_eq!(claim(&spool).await.len(), 2);
    for ordinal in [1, 2] {
        settle(&spool, "a-1", ordinal, Outcome::Delivered).await;
    }
    assert!(super::entries(&spool).await.is_empty());
    assert_eq!(content_files(&spool), 0);
    drop(spool);
    // Once more, as any later start.
    let spool = open(state.path());
    let past = spool.history(&Filter::default(), None, 10).await.unwrap();
    assert_eq!(past.len(), 4);
    assert!(Sqlite::open(state.path(), Access::Tool).is_ok());
}

#[test]
fn an_updated_spool_has_the_schema_of_a_new_one() {
    let new_state = tempfile::tempdir().unwrap();
    let schema = |state: &Path| {
        drop(open(state));
        let connection = Connection::open(state.join("spool/spool.sqlite")).unwrap();
        let rows = |statement: &str| -> Vec<String> {
            let mut statement = connection.prepare(statement).unwrap();
            let rows = statement.query_map([], |row| row.get(0)).unwrap();
            rows.collect::<Result<_, _>>().unwrap()
        };
        let columns = rows(
            "SELECT format('%s %s %s %d %s %d', t.name, c.name, c.type, c.\"notnull\", c.dflt_value, c.pk)
             FROM pragma_table_list t JOIN pragma_table_xinfo(t.name) c
             WHERE t.schema = 'main' AND t.name NOT LIKE 'sqlite%' ORDER BY t.name, c.cid",
        );
        let kinds = rows(
            "SELECT format('%s %d %d', name, wr, strict) FROM pragma_table_list
             WHERE schema = 'main' ORDER BY name",
        );
        let indexes: Vec<String> = rows(
            "SELECT sql FROM sqlite_schema WHERE type <> 'table' AND sql IS NOT NULL ORDER BY name",
        )
        .iter()
        .map(|sql| sql.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
        (columns, kinds, indexes)
    };
    let new = schema(new_state.path());
    assert!(new.0.len() > 30 && new.2.len() > 7, "{new:?}");
    for version in [1, 2] {
        let old_state = tempfile::tempdir().unwrap();
        drop(old(old_state.path(), version));
        assert_eq!(schema(old_state.path()), new, "from {version}");
    }
}

#[tokio::test]
async fn a_spool_of_schema_2_keeps_what_queues_and_what_is_owed() {
    let state = tempfile::tempdir().unwrap();
    let connection = old(state.path(), 2);
    fill(state.path(), &connection);
    connection
        .execute_batch(
            "UPDATE recipient SET lane = 'smarthost', delay_told = 1 WHERE ordinal = 1;
             INSERT INTO notice VALUES (1, 3, 2, 1700000000000, 1700000000000, '{}');",
        )
        .unwrap();
    drop(connection);
    let refused = Sqlite::open(state.path(), Access::Tool).unwrap_err();
    assert!(matches!(
        refused,
        SpoolError::Older {
            found: 2,
            known: 3,
            ..
        }
    ));

    let spool = open(state.path());
    let all = entries(&spool).await;
    let deferred = &all[0].recipients[1];
    assert_eq!(deferred.lane, "smarthost");
    for recipient in all.iter().flat_map(|entry| &entry.recipients) {
        assert_eq!(
            (recipient.hold_until, recipient.priority, recipient.deadline),
            (None, 0, None)
        );
    }
    let owed = spool.owed(10, SystemTime::now()).await.unwrap();
    assert_eq!(owed[0].notices[0].kind, NoticeKind::Delivered);
    let later = SystemTime::now() + Duration::from_secs(3600);
    assert!(spool.overdue(10, later).await.unwrap().is_empty());
    let mut new = message(&spool, "b-1", &["bob@example.net"], b"x").await;
    new.recipients[0].lane = String::new();
    new.envelope.parameters.priority = Some(9);
    spool.append(new).await.unwrap();
    let claimed = claim(&spool).await;
    assert_eq!(claimed.len(), 3);
    assert!(claimed.iter().any(|one| one.message.id == "b-1"));
}

#[test]
fn an_update_that_fails_leaves_the_old_spool_as_it_was() {
    let state = tempfile::tempdir().unwrap();
    let connection = old(state.path(), 1);
    fill(state.path(), &connection);
    connection
        .execute_batch("CREATE TABLE history (something TEXT)")
        .unwrap();
    let error = Sqlite::open(state.path(), Access::Service).unwrap_err();
    assert!(error.to_string().contains("up to date"), "{error}");
    let version: i64 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, 1);
    assert!(connection.prepare("SELECT lane FROM recipient").is_err());
    connection.execute_batch("DROP TABLE history").unwrap();
    // The second step, after the first has been taken: none of them stays.
    connection
        .execute_batch("CREATE TABLE recipient_deadline (something TEXT)")
        .unwrap();
    Sqlite::open(state.path(), Access::Service).unwrap_err();
    let version: i64 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, 1);
    assert!(connection.prepare("SELECT lane FROM recipient").is_err());
    connection
        .execute_batch("DROP TABLE recipient_deadline")
        .unwrap();
    drop(connection);
    assert!(Sqlite::open(state.path(), Access::Service).is_ok());
}
