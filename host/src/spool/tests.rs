//! The embedded spool as a whole.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rusqlite::Connection;

use super::attempt::Reply;
use super::*;

mod damage;
mod extensions;
mod history;
mod lanes;
mod list;
mod migration;
mod model;
mod notices;
mod size;

const LEASE: Duration = Duration::from_secs(600);

/// A message of one recipient for each of these mailboxes.
pub(crate) async fn message(
    spool: &dyn Spool,
    id: &str,
    mailboxes: &[&str],
    octets: &[u8],
) -> NewMessage {
    let mut writer = spool.content(id);
    for piece in octets.chunks(65_536) {
        writer.write(piece).await.unwrap();
    }
    NewMessage {
        id: id.to_owned(),
        envelope: Envelope {
            reverse_path: "alice@example.org".to_owned(),
            protocol: "ESMTPSA".to_owned(),
            greeted: "client.example.org".to_owned(),
            ..Envelope::default()
        },
        identity: Some("alice".to_owned()),
        peer: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
        received: SystemTime::now(),
        message_id: format!("<{id}@example.org>"),
        facts: ContentFacts::default(),
        recipients: mailboxes
            .iter()
            .map(|mailbox| NewRecipient {
                recipient: Recipient {
                    mailbox: (*mailbox).to_owned(),
                    ..Recipient::default()
                },
                state: NewState::Waiting,
                lane: "lane".to_owned(),
            })
            .collect(),
        content: writer.finish().await.unwrap(),
    }
}

fn open(state: &Path) -> Sqlite {
    Sqlite::open(state, Access::Service).unwrap()
}

async fn append(spool: &Sqlite, id: &str, mailboxes: &[&str], octets: &[u8]) {
    let message = message(spool, id, mailboxes, octets).await;
    spool.append(message).await.unwrap();
}

/// This many recipients of any lanes.
pub(crate) fn any(total: usize) -> Wanted {
    Wanted {
        otherwise: total,
        total,
        ..Wanted::default()
    }
}

async fn claim(spool: &Sqlite) -> Vec<Claimed> {
    claim_at(spool, 100, SystemTime::now()).await
}

async fn claim_at(spool: &Sqlite, total: usize, now: SystemTime) -> Vec<Claimed> {
    spool.claim(&any(total), LEASE, now).await.unwrap()
}

/// A settlement with this finding, which counts, for the lane where all of them queue.
fn settlement(ordinal: u32, outcome: Outcome, text: &str) -> Settlement {
    Settlement {
        ordinal,
        outcome,
        attempt: Attempt {
            route: "route".to_owned(),
            text: text.to_owned(),
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(7),
            ..Attempt::default()
        },
        counted: true,
        lane: "lane".to_owned(),
        notices: Vec::new(),
        overdue: false,
    }
}

async fn settle(spool: &Sqlite, id: &str, ordinal: u32, outcome: Outcome) {
    let settlement = settlement(ordinal, outcome, "disk full");
    spool.settle(id, vec![settlement]).await.unwrap();
}

async fn entries(spool: &dyn Spool) -> Vec<Entry> {
    spool.list(&Filter::default(), None, 1000).await.unwrap()
}

async fn read(spool: &Sqlite, id: &str) -> Result<Vec<u8>, SpoolError> {
    let mut reader = spool.read_content(id).await?;
    let mut octets = Vec::new();
    while let Some(piece) = reader.next().await? {
        octets.extend(piece);
    }
    Ok(octets)
}

fn content_files(spool: &Sqlite) -> usize {
    std::fs::read_dir(spool.path().join("content"))
        .unwrap()
        .map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap().count())
        .sum()
}

/// Changes the database behind the spool's back.
fn damage(state: &Path, statement: &str) {
    let connection = Connection::open(state.join("spool/spool.sqlite")).unwrap();
    connection.execute_batch(statement).unwrap();
}

fn deferred(after: Duration) -> Outcome {
    Outcome::Deferred {
        next_attempt: SystemTime::now() + after,
    }
}

#[tokio::test]
async fn what_was_appended_is_claimed_read_and_gone_once_delivered() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    let mut new = message(
        &spool,
        "a-1",
        &["bob@example.net", "eve@example.net"],
        b"hello",
    )
    .await;
    new.envelope.parameters = Parameters {
        body: Body::EightBitMime,
        size: Some(5),
        smtputf8: true,
        ret: Some(Ret::Headers),
        envid: Some("x+2B".to_owned()),
        auth: Some(String::new()),
        require_tls: true,
        hold_for: None,
        deliver_by: Some(DeliverBy {
            seconds: -5,
            notify: true,
            trace: false,
        }),
        priority: Some(-9),
    };
    new.facts = ContentFacts {
        binary: true,
        ..ContentFacts::default()
    };
    new.recipients[1].recipient.notify = Some(Notify {
        delay: true,
        ..Notify::default()
    });
    new.recipients[1].recipient.orcpt = Some(("rfc822".to_owned(), "eve+2B".to_owned()));
    let (envelope, facts, second) = (new.envelope.clone(), new.facts, new.recipients[1].clone());
    let received = new.received;
    spool.append(new).await.unwrap();

    let claimed = claim(&spool).await;
    assert_eq!(claimed.len(), 2);
    assert_eq!(claimed[1].recipient, second.recipient);
    assert_eq!((claimed[1].ordinal, claimed[1].attempts), (1, 1));
    let stored = &claimed[0].message;
    assert_eq!(
        (&stored.envelope, stored.facts, stored.size),
        (&envelope, facts, 5)
    );
    assert_eq!(stored.identity.as_deref(), Some("alice"));
    assert!(received.duration_since(stored.received).unwrap() < Duration::from_millis(1));
    assert_eq!(read(&spool, "a-1").await.unwrap(), b"hello");
    assert!(claim(&spool).await.is_empty(), "leased");

    settle(&spool, "a-1", 0, Outcome::Delivered).await;
    let entry = entries(&spool).await.remove(0);
    assert_eq!(entry.recipients[0].state, State::Delivered);
    assert_eq!(entry.state, State::Delivering);
    settle(&spool, "a-1", 1, Outcome::Delivered).await;
    assert!(entries(&spool).await.is_empty());
    assert!(matches!(
        read(&spool, "a-1").await,
        Err(SpoolError::NotFound { .. })
    ));
}

#[tokio::test]
async fn large_content_is_a_file_that_goes_with_its_message() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    let octets: Vec<u8> = (0..MOST_INLINE * 3 + 7).map(|n| (n % 251) as u8).collect();
    append(&spool, "a-1", &["bob@example.net"], &octets).await;
    append(&spool, "a-2", &["bob@example.net"], &octets).await;
    assert_eq!(content_files(&spool), 2);
    assert_eq!(read(&spool, "a-1").await.unwrap(), octets);
    claim(&spool).await;
    settle(&spool, "a-1", 0, Outcome::Delivered).await;
    assert_eq!(content_files(&spool), 1);
    assert!(spool.remove(&["a-2".to_owned()]).await.unwrap().is_empty());
    assert_eq!(content_files(&spool), 0);
}

#[tokio::test]
async fn deferred_is_due_at_its_time_and_held_keeps_its_reply() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    append(&spool, "a-1", &["bob@example.net", "eve@example.net"], b"x").await;
    claim(&spool).await;
    settle(&spool, "a-1", 0, deferred(Duration::from_secs(60))).await;
    let mut refused = settlement(1, Outcome::Held, "");
    refused.attempt.reply = Some(Reply {
        code: 550,
        status: Some((5, 1, 1)),
        lines: vec!["no such".to_owned(), "mailbox".to_owned()],
    });
    spool.settle("a-1", vec![refused.clone()]).await.unwrap();
    let entry = entries(&spool).await.remove(0);
    assert_eq!(entry.state, State::Deferred);
    assert_eq!(entry.recipients[0].last_reply.as_deref(), Some("disk full"));
    assert!(entry.recipients[0].next_attempt.is_some());
    assert_eq!(entry.recipients[1].state, State::Held);
    let reply = entry.recipients[1].last_reply.as_deref();
    assert_eq!(reply, Some("550 5.1.1 no such mailbox"));
    assert_eq!(entry.recipients[1].attempt.as_ref(), Some(&refused.attempt));
    assert_eq!(entry.recipients[1].next_attempt, None);
    assert!(claim(&spool).await.is_empty());
    let later = SystemTime::now() + Duration::from_secs(61);
    let claimed = claim_at(&spool, 100, later).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].attempts, 2);
}

#[tokio::test]
async fn the_verbs_of_the_queue_do_what_they_say() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    append(&spool, "a-1", &["bob@example.net"], b"x").await;
    let ids = ["a-1".to_owned(), "b-1".to_owned()];
    assert_eq!(spool.hold(&ids).await.unwrap(), ["b-1"]);
    assert_eq!(entries(&spool).await[0].state, State::Held);
    assert!(claim(&spool).await.is_empty());
    spool.retry(&ids).await.unwrap();
    assert!(claim(&spool).await.is_empty(), "retry does not release");
    spool.release(&ids).await.unwrap();
    assert_eq!(entries(&spool).await[0].state, State::Waiting);
    assert_eq!(claim(&spool).await.len(), 1);
    spool.retry(&ids).await.unwrap();
    assert!(
        claim(&spool).await.is_empty(),
        "one that runs is not begun again"
    );
    settle(&spool, "a-1", 0, deferred(Duration::from_secs(60))).await;
    spool.retry(&ids).await.unwrap();
    assert_eq!(claim(&spool).await.len(), 1);

    // Held while an attempt runs: the attempt's failure does not release it.
    spool.hold(&ids).await.unwrap();
    settle(&spool, "a-1", 0, deferred(Duration::ZERO)).await;
    assert_eq!(entries(&spool).await[0].state, State::Held);
    assert!(claim(&spool).await.is_empty());

    // Removed while an attempt runs.
    spool.release(&ids).await.unwrap();
    claim(&spool).await;
    assert_eq!(spool.remove(&ids).await.unwrap(), ["b-1"]);
    settle(&spool, "a-1", 0, deferred(Duration::ZERO)).await;
    assert!(entries(&spool).await.is_empty());
}

#[tokio::test]
async fn held_from_the_start_waits_for_its_release() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    let mut new = message(&spool, "a-1", &["bob@example.net"], b"x").await;
    new.recipients[0].state = NewState::Held;
    spool.append(new).await.unwrap();
    assert!(claim(&spool).await.is_empty());
    spool.release(&["a-1".to_owned()]).await.unwrap();
    assert_eq!(claim(&spool).await.len(), 1);
}

#[tokio::test]
async fn lists_come_in_pages() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    for number in 0..25 {
        append(&spool, &format!("a-{number}"), &["bob@example.net"], b"x").await;
    }
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = spool.list(&Filter::default(), after, 10).await.unwrap();
        after = page.last().map(|entry| entry.cursor);
        seen.extend(page.iter().map(|entry| entry.id.clone()));
        if page.len() < 10 {
            break;
        }
    }
    assert_eq!(
        seen,
        (0..25)
            .map(|number| format!("a-{number}"))
            .collect::<Vec<_>>()
    );
    let detail = spool.show("a-3").await.unwrap();
    assert_eq!(detail.message_id, "<a-3@example.org>");
    assert!(matches!(
        spool.show("b-1").await,
        Err(SpoolError::NotFound { .. })
    ));
}

#[tokio::test]
async fn an_identifier_is_taken_once() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    append(&spool, "a-1", &["bob@example.net"], b"first").await;
    let again = message(&spool, "a-1", &["bob@example.net"], b"second").await;
    assert!(matches!(
        spool.append(again).await,
        Err(SpoolError::Duplicate { .. })
    ));
    assert_eq!(read(&spool, "a-1").await.unwrap(), b"first");
    let nobody = message(&spool, "a-2", &[], b"x").await;
    assert!(spool.append(nobody).await.is_err());
}

#[tokio::test]
async fn an_expired_lease_is_due_again() {
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    append(&spool, "a-1", &["bob@example.net"], b"x").await;
    let now = SystemTime::now();
    assert_eq!(claim_at(&spool, 1, now).await.len(), 1);
    assert!(claim_at(&spool, 1, now + LEASE / 2).await.is_empty());
    let again = claim_at(&spool, 1, now + LEASE).await;
    assert_eq!(again[0].attempts, 2);
}

#[tokio::test]
async fn a_tool_works_beside_the_service_and_a_second_service_does_not() {
    let state = tempfile::tempdir().unwrap();
    let refused = Sqlite::open(state.path(), Access::Tool).unwrap_err();
    assert!(matches!(refused, SpoolError::Absent { .. }));
    let spool = open(state.path());
    append(&spool, "a-1", &["bob@example.net"], b"x").await;
    let refused = Sqlite::open(state.path(), Access::Service).unwrap_err();
    assert!(matches!(refused, SpoolError::Locked { .. }));
    assert!(refused.to_string().contains("spool/lock"), "{refused}");

    let tool = Sqlite::open(state.path(), Access::Tool).unwrap();
    assert_eq!(claim(&spool).await.len(), 1);
    assert_eq!(entries(&tool).await[0].state, State::Delivering);
    tool.hold(&["a-1".to_owned()]).await.unwrap();
    assert_eq!(entries(&spool).await[0].state, State::Held);
    tool.remove(&["a-1".to_owned()]).await.unwrap();
    settle(&spool, "a-1", 0, Outcome::Delivered).await;
    assert!(entries(&spool).await.is_empty());
    drop(spool);
    // Without the service as well.
    assert!(entries(&tool).await.is_empty());
    open(state.path());
}

#[tokio::test]
async fn a_newer_spool_is_left_alone_and_only_the_owner_can_read_ours() {
    use std::os::unix::fs::PermissionsExt;
    let state = tempfile::tempdir().unwrap();
    let spool = open(state.path());
    append(
        &spool,
        "a-1",
        &["bob@example.net"],
        &vec![b'x'; MOST_INLINE + 1],
    )
    .await;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(spool.path()), 0o700);
    let content = super::content::Folder::new(spool.path());
    assert_eq!(mode(content.path()), 0o700);
    assert_eq!(mode(&content.file("a-1").unwrap()), 0o600);
    for name in [
        "lock",
        "spool.sqlite",
        "spool.sqlite-wal",
        "spool.sqlite-shm",
    ] {
        assert_eq!(mode(&spool.path().join(name)), 0o600, "{name}");
    }
    drop(spool);
    damage(state.path(), "PRAGMA user_version = 4");
    let refused = Sqlite::open(state.path(), Access::Service).unwrap_err();
    assert!(matches!(
        refused,
        SpoolError::Newer {
            found: 4,
            known: 3,
            ..
        }
    ));
}

/// Prints what an append costs: `cargo test -- --nocapture appends_in_groups`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_in_groups_are_all_there() {
    let count: usize = std::env::var("APPENDS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(400);
    for concurrency in [1_usize, 10, 50] {
        let state = tempfile::tempdir().unwrap();
        let spool = std::sync::Arc::new(open(state.path()));
        let began = std::time::Instant::now();
        let tasks: Vec<_> = (0..concurrency)
            .map(|task| {
                let spool = spool.clone();
                tokio::spawn(async move {
                    for number in 0..count / concurrency {
                        let id = format!("k{task:08x}{concurrency}-{number}");
                        append(&spool, &id, &["bob@example.net"], &[b'x'; 4096]).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let seconds = began.elapsed().as_secs_f64();
        let all = count / concurrency * concurrency;
        println!(
            "{concurrency} at a time: {:.0} messages/s",
            all as f64 / seconds
        );
        let mut listed = spool
            .list(&Filter::default(), None, usize::MAX)
            .await
            .unwrap();
        listed.sort_by(|one, other| one.id.cmp(&other.id));
        listed.dedup_by(|one, other| one.id == other.id);
        assert_eq!(listed.len(), all);
    }
}
