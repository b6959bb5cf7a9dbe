//! What a crash, a full disk and damage leave, and what the spool makes of it.

use super::*;

#[tokio::test]
async fn after_a_crash_leases_are_due_and_unfinished_content_is_gone() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    let octets = vec![b'x'; MOST_INLINE + 1];
    append(&spool, "a-1", &["bob@example.net"], &octets).await;
    append(&spool, "a-2", &["bob@example.net"], b"small").await;
    assert_eq!(claim(&spool).await.len(), 2);
    // As a crash leaves it: a file whose row was not written.
    let orphan = message(&spool, "a-3", &["bob@example.net"], &octets).await;
    std::mem::forget(orphan.content);
    assert_eq!(content_files(&spool), 2);
    drop(spool);

    let spool = open(state.path());
    assert_eq!(content_files(&spool), 1);
    assert_eq!(entries(&spool).await[0].state, State::Waiting);
    let claimed = claim(&spool).await;
    assert_eq!(claimed.len(), 2);
    assert_eq!(claimed[0].attempts, 2, "the interrupted attempt counts");
    assert_eq!(read(&spool, "a-1").await.unwrap(), octets);
}

#[tokio::test]
async fn a_missing_content_file_sets_its_message_aside_and_the_rest_goes_on() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    let octets = vec![b'x'; MOST_INLINE + 1];
    for id in ["a-1", "a-2", "a-3"] {
        append(&spool, id, &["bob@example.net"], &octets).await;
    }
    let file = |id: &str| {
        let folder = super::content::Folder::new(spool.path());
        folder.file(id).unwrap()
    };
    std::fs::remove_file(file("a-1")).unwrap();
    assert!(matches!(
        read(&spool, "a-1").await,
        Err(SpoolError::Corrupt { .. })
    ));
    // Same length, other octets: found when it is read.
    std::fs::write(file("a-2"), vec![b'y'; MOST_INLINE + 1]).unwrap();
    assert!(matches!(
        read(&spool, "a-2").await,
        Err(SpoolError::Corrupt { .. })
    ));
    drop(spool);

    let spool = open(state.path());
    let claimed = claim(&spool).await;
    let ids: Vec<_> = claimed.iter().map(|one| one.message.id.as_str()).collect();
    assert_eq!(ids, ["a-2", "a-3"]);
    let entry = entries(&spool).await.remove(0);
    assert_eq!(entry.state, State::Held);
    assert_eq!(
        entry.recipients[0].last_reply.as_deref(),
        Some("its content file is missing")
    );

    spool
        .quarantine("a-2", "its content does not match")
        .await
        .unwrap();
    assert_eq!(entries(&spool).await[1].state, State::Held);
    assert_eq!(read(&spool, "a-3").await.unwrap(), octets);
}

#[tokio::test]
async fn damaged_rows_are_set_aside_and_the_rest_goes_on() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    for number in 0..8 {
        append(
            &spool,
            &format!("a-{number}"),
            &["bob@example.net"],
            b"content",
        )
        .await;
    }
    damage(
        state.path(),
        "UPDATE message SET envelope = '{' WHERE id = 'a-0';
         UPDATE message SET peer = 'nowhere' WHERE id = 'a-1';
         UPDATE recipient SET notify = 99 WHERE message = (SELECT serial FROM message WHERE id = 'a-2');
         UPDATE recipient SET mailbox = CAST(x'ff' AS TEXT)
           WHERE message = (SELECT serial FROM message WHERE id = 'a-3');
         UPDATE message SET content = x'00' WHERE id = 'a-4';
         UPDATE recipient SET lane = CAST(x'6cff' AS TEXT)
           WHERE message = (SELECT serial FROM message WHERE id = 'a-6');",
    );
    let claimed = claim(&spool).await;
    let ids: Vec<_> = claimed.iter().map(|one| one.message.id.as_str()).collect();
    assert_eq!(ids, ["a-4", "a-5", "a-7"]);
    let mut entries = entries(&spool).await;
    assert_eq!(entries.len(), 8);
    let bad_lane = entries.remove(6);
    for entry in entries[..4].iter().chain([&bad_lane]) {
        assert_eq!(entry.state, State::Held, "{entry:?}");
        assert!(
            entry.recipients[0]
                .last_reply
                .as_deref()
                .is_some_and(|why| why.contains("column"))
        );
    }
    assert_eq!(spool.show("a-0").await.unwrap().envelope, None);
    assert!(matches!(
        read(&spool, "a-4").await,
        Err(SpoolError::Corrupt { .. })
    ));
    assert_eq!(read(&spool, "a-5").await.unwrap(), b"content");
    // A person can take them out, and sees that in the history.
    let all: Vec<_> = (0..8).map(|number| format!("a-{number}")).collect();
    assert!(spool.remove(&all).await.unwrap().is_empty());
    let past = spool.history(&Filter::default(), None, 100).await.unwrap();
    assert_eq!(past.len(), 8);
}

#[tokio::test]
async fn a_full_disk_is_told_and_loses_nothing() {
    let state = tempfile::tempdir().unwrap();
    let mut spool = open(state.path());
    append(&spool, "a-1", &["bob@example.net"], b"before").await;
    // SQLite itself answers SQLITE_FULL from here on.
    spool.limit_pages(40).await;
    let large = vec![b'x'; 200_000];
    let new = message(&spool, "a-2", &["bob@example.net"], &large).await;
    assert!(matches!(
        spool.append(new).await,
        Err(SpoolError::Full { .. })
    ));
    // One that does not fit does not keep out one that does, in the same transaction.
    let (large, small) = (
        message(&spool, "a-3", &["bob@example.net"], &large).await,
        message(&spool, "a-4", &["bob@example.net"], b"small").await,
    );
    let (large, small) = tokio::join!(spool.append(large), spool.append(small));
    assert!(matches!(large, Err(SpoolError::Full { .. })));
    small.unwrap();
    let ids: Vec<_> = entries(&spool)
        .await
        .into_iter()
        .map(|entry| entry.id)
        .collect();
    assert_eq!(ids, ["a-1", "a-4"]);
    claim(&spool).await;
    settle(&spool, "a-1", 0, Outcome::Delivered).await;
    assert_eq!(read(&spool, "a-4").await.unwrap(), b"small");

    // The reserve: queued mail is settled even when no new mail is taken.
    let octets = vec![b'x'; MOST_INLINE + 1];
    let new = message(&spool, "a-5", &["bob@example.net"], &octets).await;
    spool.reserve(u64::MAX);
    assert!(matches!(spool.room(1), Err(SpoolError::Full { .. })));
    assert!(matches!(
        spool.content("a-6").write(&octets).await,
        Err(SpoolError::Full { .. })
    ));
    assert!(matches!(
        spool.append(new).await,
        Err(SpoolError::Full { .. })
    ));
    assert_eq!(content_files(&spool), 0);
    settle(&spool, "a-4", 0, Outcome::Delivered).await;
    assert!(entries(&spool).await.is_empty());
}

#[tokio::test]
async fn a_service_starts_on_a_full_disk_and_files_without_a_row_go_first() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    append(&spool, "a-1", &["bob@example.net"], b"small").await;
    assert_eq!(claim(&spool).await.len(), 1);
    let octets = vec![b'x'; MOST_INLINE + 1];
    let orphan = message(&spool, "a-2", &["bob@example.net"], &octets).await;
    std::mem::forget(orphan.content);
    let (database, folder) = (
        spool.path().join("spool.sqlite"),
        super::content::Folder::new(spool.path()),
    );
    // Each change needs more than the database may have: SQLite itself answers SQLITE_FULL.
    damage(
        state.path(),
        "CREATE TABLE filler (octets BLOB);
         CREATE TRIGGER fill AFTER UPDATE ON recipient
           BEGIN INSERT INTO filler VALUES (zeroblob(1000000)); END;",
    );
    let connection = Connection::open(database).unwrap();
    connection
        .pragma_update_and_check(None, "max_page_count", 40, |_| Ok(()))
        .unwrap();
    let full = connection.execute("UPDATE recipient SET due = 0", []);
    let code = full.unwrap_err().sqlite_error_code();
    assert_eq!(code, Some(rusqlite::ErrorCode::DiskFull));

    super::recover::recover(&connection, &folder, 0).unwrap();
    assert_eq!(content_files(&spool), 0);
    // The lease was not ended, and runs out by itself.
    assert_eq!(entries(&spool).await[0].state, State::Delivering);
    damage(state.path(), "DROP TRIGGER fill");
    let later = SystemTime::now() + LEASE;
    assert_eq!(claim_at(&spool, 10, later).await.len(), 1);
}

#[tokio::test]
async fn a_message_whose_client_is_gone_before_its_transaction_is_not_taken_over() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    let octets = vec![b'x'; MOST_INLINE + 1];
    // Another process's transaction keeps the writer waiting.
    let other = Connection::open(state.path().join("spool/spool.sqlite")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (gone, stays) = (
        message(&spool, "a-1", &["bob@example.net"], &octets).await,
        message(&spool, "a-2", &["bob@example.net"], &octets).await,
    );
    let mut gone = Box::pin(spool.append(gone));
    let mut stays = Box::pin(spool.append(stays));
    let begun = std::future::poll_fn(|context| {
        let both = [gone.as_mut().poll(context), stays.as_mut().poll(context)];
        std::task::Poll::Ready(both.iter().all(std::task::Poll::is_pending))
    });
    assert!(begun.await);
    drop(gone);
    other.execute_batch("ROLLBACK").unwrap();
    stays.await.unwrap();
    // The one that waited may be alone in its transaction, the other in the one before.
    let ids: Vec<_> = entries(&spool)
        .await
        .into_iter()
        .map(|one| one.id)
        .collect();
    assert_eq!(ids, ["a-2"]);
    assert_eq!(content_files(&spool), 1);
}
