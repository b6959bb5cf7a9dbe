//! Reports that senders are owed, and settlements of many at once.

use std::sync::Arc;

use super::*;

/// Fails with this kind of notice.
fn failing(ordinal: u32) -> Settlement {
    Settlement {
        notices: vec![NoticeKind::Failed],
        ..settlement(ordinal, Outcome::Failed, "no such mailbox")
    }
}

async fn owed(spool: &Sqlite) -> Vec<(String, Vec<(u32, NoticeKind)>)> {
    owed_at(spool, SystemTime::now()).await
}

async fn owed_at(spool: &Sqlite, now: SystemTime) -> Vec<(String, Vec<(u32, NoticeKind)>)> {
    let owed = spool.owed(100, now).await.unwrap();
    owed.into_iter()
        .map(|one| {
            let kinds = one.notices.iter().map(|one| (one.ordinal, one.kind));
            (one.message.id.clone(), kinds.collect())
        })
        .collect()
}

/// A report, with content in a file if it is large.
async fn report(spool: &Sqlite, id: &str, octets: &[u8]) -> NewMessage {
    let mut report = message(spool, id, &["alice@example.org"], octets).await;
    report.envelope.reverse_path = String::new();
    report.identity = None;
    report
}

const BOTH: [&str; 2] = ["bob@example.net", "eve@example.net"];

#[tokio::test]
async fn a_failure_is_owed_until_its_report_is_taken_over() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    let mut new = message(&spool, "a-1", &BOTH, b"hello").await;
    new.recipients[0].recipient.notify = Some(Notify {
        failure: true,
        ..Notify::default()
    });
    new.recipients[0].recipient.orcpt = Some(("rfc822".to_owned(), "robert".to_owned()));
    let recipient = new.recipients[0].recipient.clone();
    spool.append(new).await.unwrap();
    claim(&spool).await;
    spool.settle("a-1", vec![failing(0)]).await.unwrap();
    // The other attempt may end in the same way: one report tells of both.
    assert_eq!(owed(&spool).await, []);
    let minute = SystemTime::now() + Duration::from_secs(61);
    assert_eq!(owed_at(&spool, minute).await.len(), 1);
    settle(&spool, "a-1", 1, Outcome::Delivered).await;
    let found = spool.owed(100, SystemTime::now()).await.unwrap().remove(0);
    assert_eq!(found.message.id, "a-1");
    let notice = Notice {
        ordinal: 0,
        recipient,
        kind: NoticeKind::Failed,
        attempt: failing(0).attempt,
    };
    assert_eq!(found.notices, [notice]);

    // All recipients are done: the message shows that its report is owed, and is not tried again.
    let detail = spool.show("a-1").await.unwrap();
    assert_eq!(detail.entry.state, State::Failed);
    assert_eq!(detail.reports.len(), 1);
    assert_eq!(detail.reports[0].mailbox, "bob@example.net");
    assert_eq!(detail.reports[0].kind, NoticeKind::Failed);
    assert!(detail.reports[0].due.is_some());
    let json = serde_json::to_value(&detail).unwrap();
    assert_eq!(json["reports"][0]["kind"], "failed");
    let verbs = ["a-1".to_owned()];
    for change in [Change::Hold, Change::Release, Change::Retry] {
        spool.change(change, &verbs).await.unwrap();
        assert_eq!(entries(&spool).await[0].state, State::Failed);
        assert_eq!(owed(&spool).await.len(), 1, "{change:?}");
    }
    assert!(claim(&spool).await.is_empty());
    assert_eq!(
        read(&spool, "a-1").await.unwrap(),
        b"hello",
        "for the report"
    );

    let octets = vec![b'r'; MOST_INLINE + 1];
    let new = report(&spool, "r-1", &octets).await;
    let pays = [(0, NoticeKind::Failed)];
    spool.reported("a-1", &pays, Some(new)).await.unwrap();
    assert_eq!(owed(&spool).await, []);
    let entry = entries(&spool).await.remove(0);
    assert_eq!((entry.id.as_str(), entry.state), ("r-1", State::Waiting));
    assert_eq!(read(&spool, "r-1").await.unwrap(), octets);
    assert_eq!(content_files(&spool), 1);

    // A second report of the same is not made, and leaves nothing.
    let again = report(&spool, "r-2", &octets).await;
    assert_eq!(content_files(&spool), 2);
    spool.reported("a-1", &pays, Some(again)).await.unwrap();
    assert_eq!(entries(&spool).await.len(), 1);
    assert_eq!(content_files(&spool), 1);
}

#[tokio::test]
async fn a_report_that_is_not_taken_over_is_owed_still() {
    let state = tempfile::tempdir().unwrap();
    let mut spool = open(state.path());
    append(&spool, "a-1", &BOTH, &vec![b'x'; MOST_INLINE + 1]).await;
    append(&spool, "r-1", &["bob@example.net"], b"x").await;
    claim(&spool).await;
    let both = vec![failing(0), failing(1)];
    spool.settle("a-1", both).await.unwrap();
    let pays = [(0, NoticeKind::Failed), (1, NoticeKind::Failed)];
    let all = [("a-1".to_owned(), pays.to_vec())];
    let octets = vec![b'r'; MOST_INLINE + 1];

    let taken = report(&spool, "r-1", &octets).await;
    let refused = spool.reported("a-1", &pays, Some(taken)).await;
    assert!(matches!(refused, Err(SpoolError::Duplicate { .. })));
    let nobody = message(&spool, "r-2", &[], b"").await;
    assert!(spool.reported("a-1", &pays, Some(nobody)).await.is_err());
    let new = report(&spool, "r-2", &octets).await;
    spool.reserve(u64::MAX);
    let refused = spool.reported("a-1", &pays, Some(new)).await;
    assert!(matches!(refused, Err(SpoolError::Full { .. })));
    assert_eq!(owed(&spool).await, all);
    assert_eq!(content_files(&spool), 1, "that of the message");

    // Without a report: somebody wants none. One by one, and the message goes with the last.
    spool.reported("a-1", &pays[..1], None).await.unwrap();
    assert_eq!(owed(&spool).await[0].1, pays[1..]);
    spool.reported("a-1", &pays, None).await.unwrap();
    assert_eq!(content_files(&spool), 0);
    assert_eq!(entries(&spool).await.len(), 1);
    // There is no such message any more.
    spool.reported("a-1", &pays, None).await.unwrap();
    spool.put_off("a-1", SystemTime::now()).await.unwrap();
}

#[tokio::test]
async fn a_delay_is_told_once_and_reports_of_success_keep_the_message() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    append(&spool, "a-1", &["bob@example.net"], b"x").await;
    let delayed = || Settlement {
        notices: vec![NoticeKind::Delayed],
        ..settlement(0, deferred(Duration::ZERO), "away")
    };
    assert!(!claim(&spool).await[0].delay_told);
    spool.settle("a-1", vec![delayed()]).await.unwrap();
    assert_eq!(owed(&spool).await[0].1, [(0, NoticeKind::Delayed)]);
    assert!(claim(&spool).await[0].delay_told);
    settle(&spool, "a-1", 0, deferred(Duration::ZERO)).await;
    assert!(claim(&spool).await[0].delay_told, "it stays so");
    let mut delivered = settlement(0, Outcome::Delivered, "");
    delivered.notices = vec![NoticeKind::Relayed];
    spool.settle("a-1", vec![delivered]).await.unwrap();
    let both = [(0, NoticeKind::Delayed), (0, NoticeKind::Relayed)];
    assert_eq!(owed(&spool).await[0].1, both);
    let entry = entries(&spool).await.remove(0);
    assert_eq!(entry.state, State::Delivered);
    spool.reported("a-1", &both, None).await.unwrap();
    assert!(entries(&spool).await.is_empty());
}

#[tokio::test]
async fn what_was_held_meanwhile_stays_held_and_tells_nobody_unless_it_was_delivered() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    append(&spool, "a-1", &BOTH, b"x").await;
    claim(&spool).await;
    let ids = ["a-1".to_owned()];
    spool.hold(&ids).await.unwrap();
    let mut delivered = settlement(1, Outcome::Delivered, "");
    delivered.notices = vec![NoticeKind::Delivered];
    let both = vec![failing(0), delivered];
    spool.settle("a-1", both).await.unwrap();
    let entry = entries(&spool).await.remove(0);
    assert_eq!(entry.recipients[0].state, State::Held);
    let reply = entry.recipients[0].last_reply.as_deref();
    assert_eq!(reply, Some("no such mailbox"));
    assert_eq!(entry.recipients[1].state, State::Delivered);
    assert_eq!(owed(&spool).await[0].1, [(1, NoticeKind::Delivered)]);
    let past = spool.history(&Filter::default(), None, 9).await.unwrap();
    assert_eq!(past.len(), 1);
}

#[tokio::test]
async fn notices_are_put_off_and_come_back_the_oldest_first() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    for id in ["a-1", "a-2", "a-3"] {
        append(&spool, id, &["bob@example.net"], b"x").await;
        claim(&spool).await;
        spool.settle(id, vec![failing(0)]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let ids = |owed: Vec<(String, Vec<(u32, NoticeKind)>)>| -> Vec<String> {
        owed.into_iter().map(|(id, _)| id).collect()
    };
    assert_eq!(ids(owed(&spool).await), ["a-1", "a-2", "a-3"]);
    let first = spool.owed(2, SystemTime::now()).await.unwrap();
    assert_eq!(first.len(), 2);
    let later = SystemTime::now() + LEASE;
    spool.put_off("a-1", later).await.unwrap();
    assert_eq!(ids(owed(&spool).await), ["a-2", "a-3"]);
    let after = owed_at(&spool, later).await;
    assert_eq!(ids(after), ["a-2", "a-3", "a-1"]);
    spool.retry(&["a-1".to_owned()]).await.unwrap();
    assert_eq!(ids(owed(&spool).await), ["a-2", "a-3", "a-1"]);
}

#[tokio::test]
async fn a_removed_message_owes_nothing() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    append(&spool, "a-1", &BOTH, b"x").await;
    claim(&spool).await;
    spool.settle("a-1", vec![failing(0)]).await.unwrap();
    spool.remove(&["a-1".to_owned()]).await.unwrap();
    spool.settle("a-1", vec![failing(1)]).await.unwrap();
    let hour = SystemTime::now() + Duration::from_secs(3600);
    assert_eq!(owed_at(&spool, hour).await, []);
    let new = report(&spool, "r-1", b"x").await;
    let pays = [(0, NoticeKind::Failed)];
    spool.reported("a-1", &pays, Some(new)).await.unwrap();
    assert!(entries(&spool).await.is_empty());
    // The next message may get its row's number.
    append(&spool, "a-2", &BOTH, b"x").await;
    assert_eq!(spool.show("a-2").await.unwrap().reports, []);
    let ends: Vec<_> = spool
        .history(&Filter::default(), None, 9)
        .await
        .unwrap()
        .into_iter()
        .map(|one| one.end)
        .collect();
    assert_eq!(ends, [End::Removed, End::Failed]);
}

#[tokio::test]
async fn a_damaged_message_does_not_keep_reports_of_others_back() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    for id in ["a-1", "a-2", "a-3"] {
        append(&spool, id, &["bob@example.net"], b"x").await;
        claim(&spool).await;
        spool.settle(id, vec![failing(0)]).await.unwrap();
    }
    let envelope = "UPDATE message SET envelope = ";
    damage(state.path(), &format!("{envelope} '{{' WHERE id = 'a-1'"));
    // Less is known, and still told.
    damage(
        state.path(),
        "UPDATE notice SET attempt = '{' WHERE message = 2",
    );
    let found = spool.owed(2, SystemTime::now()).await.unwrap();
    let ids: Vec<_> = found.iter().map(|one| one.message.id.as_str()).collect();
    assert_eq!(ids, ["a-2", "a-3"]);
    assert_eq!(found[0].notices[0].attempt, Attempt::default());
    // It waits for a person, who sees it.
    assert_eq!(spool.show("a-1").await.unwrap().reports[0].due, None);
    let good = r#"{"reverse_path":"a@example.org","protocol":"ESMTP"}"#;
    damage(
        state.path(),
        &format!("{envelope} '{good}' WHERE id = 'a-1'"),
    );
    assert_eq!(owed(&spool).await.len(), 2);
    spool.retry(&["a-1".to_owned()]).await.unwrap();
    assert_eq!(owed(&spool).await.len(), 3);
}

/// Copies what is on the disk now, as a kill would leave it.
pub(super) fn copied(state: &Path) -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy(&entry.path(), &to);
            } else {
                std::fs::copy(entry.path(), to).unwrap();
            }
        }
    }
    let copied = tempfile::tempdir().unwrap();
    copy(&state.join("spool"), &copied.path().join("spool"));
    copied
}

#[tokio::test]
async fn after_a_kill_notices_are_owed_and_attempts_begin_again() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    let octets = vec![b'x'; MOST_INLINE + 1];
    append(&spool, "a-1", &BOTH, &octets).await;
    claim(&spool).await;
    spool.settle("a-1", vec![failing(0)]).await.unwrap();
    let killed = copied(state.path());
    let after = open(killed.path());
    let entry = entries(&after).await.remove(0);
    let states: Vec<State> = entry.recipients.iter().map(|one| one.state).collect();
    assert_eq!(states, [State::Failed, State::Waiting]);
    assert_eq!(owed(&after).await[0].1, [(0, NoticeKind::Failed)]);
    assert_eq!(claim(&after).await[0].ordinal, 1);
    settle(&after, "a-1", 1, Outcome::Delivered).await;
    let past = after.history(&Filter::default(), None, 9).await.unwrap();
    assert_eq!(past.len(), 2);

    // Between the report and what would follow: it was made, once; its message is gone.
    let new = report(&after, "r-1", &octets).await;
    let pays = [(0, NoticeKind::Failed)];
    after.reported("a-1", &pays, Some(new)).await.unwrap();
    let killed = copied(killed.path());
    let after = open(killed.path());
    assert_eq!(owed(&after).await, []);
    let entry = entries(&after).await.remove(0);
    assert_eq!(entry.id, "r-1");
    assert_eq!(read(&after, "r-1").await.unwrap(), octets);
    assert_eq!(content_files(&after), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn settlements_at_the_same_time_are_all_recorded() {
    const COUNT: u32 = 64;
    let state = tempfile::tempdir().unwrap();
    let spool = Arc::new(open(state.path()));
    let mailboxes: Vec<String> = (0..COUNT).map(|n| format!("u{n}@example.net")).collect();
    let mailboxes: Vec<&str> = mailboxes.iter().map(String::as_str).collect();
    append(&spool, "a-1", &mailboxes, &vec![b'x'; MOST_INLINE + 1]).await;
    assert_eq!(claim(&spool).await.len(), COUNT as usize);
    let tasks: Vec<_> = (0..COUNT)
        .map(|ordinal| {
            let spool = Arc::clone(&spool);
            tokio::spawn(async move {
                let one = match ordinal % 2 {
                    0 => settlement(ordinal, Outcome::Delivered, ""),
                    _ => failing(ordinal),
                };
                spool.settle("a-1", vec![one]).await.unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let pays = owed(&spool).await.remove(0).1;
    assert_eq!(pays.len(), COUNT as usize / 2);
    let past = spool.history(&Filter::default(), None, 1000).await.unwrap();
    let mut mailboxes: Vec<_> = past.iter().map(|one| one.mailbox.as_str()).collect();
    mailboxes.sort_unstable();
    mailboxes.dedup();
    assert_eq!((past.len(), mailboxes.len()), (64, 64));
    assert_eq!(content_files(&spool), 1);
    spool.reported("a-1", &pays, None).await.unwrap();
    assert!(entries(&*spool).await.is_empty());
    assert_eq!(content_files(&spool), 0);
}
