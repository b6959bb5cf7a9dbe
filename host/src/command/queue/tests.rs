//! The verbs against a spool in a folder of its own.

use super::change::{Done, Task, Teller, Which, carry_out, tell};
use super::why::Troubles;
use super::{FIRST_PAGE, history, list, routes, show};
use crate::spool::attempt::Reply;
use crate::spool::tests::message;
use crate::spool::{
    Access, Attempt, Change, Filter, LaneTrouble, Outcome, Settlement, Spool, Sqlite, Stage, State,
    Trouble, Wanted,
};
use std::io::{self, BufRead as _, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::time::{Duration, SystemTime};

const HOUR: Duration = Duration::from_secs(3600);

fn open(folder: &tempfile::TempDir) -> Sqlite {
    Sqlite::open(folder.path(), Access::Service).unwrap()
}

async fn append(spool: &Sqlite, id: &str, mailboxes: &[&str]) {
    append_in(spool, id, mailboxes, "smarthost").await;
}

async fn append_in(spool: &Sqlite, id: &str, mailboxes: &[&str], lane: &str) {
    let mut new = message(spool, id, mailboxes, b"Subject: x\r\n\r\nx\r\n").await;
    for recipient in &mut new.recipients {
        recipient.lane = lane.into();
    }
    spool.append(new).await.unwrap();
}

fn attempt(code: u16) -> Attempt {
    Attempt {
        route: "smarthost".into(),
        remote: Some("relay.example.org".into()),
        address: Some("192.0.2.1:587".into()),
        tls: Some("TLSv1.3, verified".into()),
        stage: Stage::Content,
        reply: Some(Reply {
            code,
            status: None,
            lines: vec!["as it is".into()],
        }),
        at: SystemTime::now(),
        ..Attempt::default()
    }
}

/// Claims all, and settles the recipients of this message so.
async fn settle(spool: &Sqlite, id: &str, outcome: Outcome, code: u16) {
    let wanted = Wanted {
        otherwise: 1000,
        total: 1000,
        ..Wanted::default()
    };
    let claimed = spool.claim(&wanted, HOUR, SystemTime::now()).await.unwrap();
    for message in claimed {
        let outcome = if message.message.id == id {
            outcome
        } else {
            Outcome::Deferred {
                next_attempt: SystemTime::now(),
            }
        };
        let settlement = Settlement {
            ordinal: message.ordinal,
            outcome,
            attempt: attempt(code),
            counted: true,
            lane: "smarthost".into(),
            notices: Vec::new(),
            overdue: false,
        };
        spool
            .settle(&message.message.id, vec![settlement])
            .await
            .unwrap();
    }
}

async fn listed(spool: &Sqlite, filter: &Filter, form: list::Form) -> Vec<String> {
    let mut out = Vec::new();
    list::print(spool, filter, form, &mut out).await.unwrap();
    lines(out)
}

fn lines(out: Vec<u8>) -> Vec<String> {
    let text = String::from_utf8(out).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn objects(out: Vec<u8>) -> Vec<serde_json::Value> {
    lines(out)
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

async fn changed(spool: &Sqlite, task: Task, which: &Which) -> (Vec<u8>, Done) {
    let mut out = Vec::new();
    let mut done = Done::default();
    let mut teller = Teller::new(&mut out);
    carry_out(spool, &task, which, &mut teller, &mut done)
        .await
        .unwrap();
    teller.total(&task, done.changed).unwrap();
    drop(teller);
    (out, done)
}

fn to(mailbox: &str) -> Filter {
    Filter {
        recipient: Some(mailbox.into()),
        ..Filter::default()
    }
}

#[tokio::test]
async fn a_list_of_several_pages_has_every_message_once_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(&folder);
    let many = FIRST_PAGE + 3;
    for number in 0..many {
        append(&spool, &format!("m-{number:03}"), &["bob@example.net"]).await;
    }
    let lines = listed(&spool, &Filter::default(), list::Form::Columns).await;
    assert_eq!(lines.len(), many);
    for (number, line) in lines.iter().enumerate() {
        assert!(
            line.starts_with(&format!("m-{number:03}  waiting ")),
            "{line}"
        );
        assert!(
            line.ends_with("<alice@example.org> -> <bob@example.net>"),
            "{line}"
        );
    }
}

#[tokio::test]
async fn list_and_show_say_why_a_message_is_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(&folder);
    append(&spool, "a-1", &["bob@example.net", "eve@example.net"]).await;
    let next_attempt = SystemTime::now() + HOUR;
    settle(&spool, "a-1", Outcome::Deferred { next_attempt }, 450).await;
    let reason = "192.0.2.1:587 at content: 450 as it is";
    let lines = listed(&spool, &Filter::default(), list::Form::Why).await;
    assert!(lines[0].contains(reason), "{lines:?}");
    assert!(lines[0].contains("; next attempt "), "{lines:?}");
    let trouble = LaneTrouble {
        lane: "smarthost".into(),
        trouble: Trouble::Down,
        since: SystemTime::now(),
        next_attempt: SystemTime::now() + HOUR,
        attempts: 3,
        attempt: attempt(421),
        ours: false,
    };
    spool.trouble("smarthost", Some(trouble)).await.unwrap();
    let mut out = Vec::new();
    let troubles = Troubles::of(spool.lanes().await.unwrap());
    let ids = ["a-1".to_owned()];
    let all = show::print(&spool, &ids, show::Form::Text, &troubles, &mut out).await;
    assert!(all.unwrap());
    let told = lines_of_recipients(out);
    assert_eq!(told.len(), 2);
    for line in told {
        assert!(
            line.contains("waiting for route smarthost: down since "),
            "{line}"
        );
        assert!(line.contains("421 as it is; next attempt "), "{line}");
    }
    let mut out = Vec::new();
    list::print(&spool, &Filter::default(), list::Form::Json, &mut out)
        .await
        .unwrap();
    let recipient = &objects(out)[0]["recipients"][0];
    assert_eq!(recipient["route"], "smarthost");
    assert_eq!(recipient["last_reply"], "450 as it is");
    assert!(recipient["why"].as_str().unwrap().contains("down since"));
}

fn lines_of_recipients(out: Vec<u8>) -> Vec<String> {
    let mut lines = lines(out);
    lines.retain(|line| line.starts_with("recipient"));
    lines
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(&folder);
    append(&spool, "a-1", &["bob@example.net"]).await;
    append(&spool, "a-2", &["eve@example.net"]).await;
    let task = Task {
        change: Change::Remove,
        dry_run: true,
        json: false,
    };
    let which = Which::Matching(Box::new(to("bob@example.net")));
    let (out, done) = changed(&spool, task, &which).await;
    assert_eq!(
        lines(out),
        ["would remove: a-1", "1 message would be removed"]
    );
    assert_eq!(
        done,
        Done {
            changed: 1,
            absent: 0
        }
    );
    let task = Task { json: true, ..task };
    let ids = Which::Ids(vec!["a-2".into(), "a-9".into()]);
    let (out, done) = changed(&spool, task, &ids).await;
    assert_eq!(
        done,
        Done {
            changed: 1,
            absent: 1
        }
    );
    let objects = objects(out);
    let expected = serde_json::json!({
        "id": "a-2", "found": true, "changed": false, "dry_run": true, "would_change": true,
    });
    assert_eq!(objects[0], expected);
    assert_eq!(
        (&objects[1]["id"], &objects[1]["found"]),
        (&"a-9".into(), &false.into())
    );
    assert_eq!(
        listed(&spool, &Filter::default(), list::Form::Columns)
            .await
            .len(),
        2
    );
}

#[tokio::test]
async fn only_what_can_be_changed_counts() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(&folder);
    append(&spool, "a-1", &["bob@example.net"]).await;
    append(&spool, "a-2", &["bob@example.net"]).await;
    let task = |change| Task {
        change,
        dry_run: false,
        json: false,
    };
    let one = Which::Ids(vec!["a-1".into()]);
    let (out, _) = changed(&spool, task(Change::Hold), &one).await;
    assert_eq!(lines(out), ["hold: a-1", "1 message held"]);
    let held = Filter {
        state: Some(State::Held),
        ..Filter::default()
    };
    assert_eq!(listed(&spool, &held, list::Form::Columns).await.len(), 1);
    let all = Which::Matching(Box::default());
    let (out, _) = changed(&spool, task(Change::Release), &all).await;
    assert_eq!(lines(out), ["release: a-1", "1 message released"]);
    let (out, done) = changed(&spool, task(Change::Release), &one).await;
    assert_eq!(
        lines(out),
        ["nothing to release: a-1 is waiting", "0 messages released"]
    );
    assert_eq!(done, Done::default());
    let (out, _) = changed(&spool, task(Change::Remove), &all).await;
    assert_eq!(
        lines(out),
        ["remove: a-1", "remove: a-2", "2 messages removed"]
    );
    assert!(
        listed(&spool, &Filter::default(), list::Form::Columns)
            .await
            .is_empty()
    );
}

/// A reader that has gone away.
struct Gone;

impl Write for Gone {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
}

#[tokio::test]
async fn a_change_goes_on_though_its_reader_goes_away() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(&folder);
    for number in 0..FIRST_PAGE + 3 {
        append(&spool, &format!("m-{number}"), &["bob@example.net"]).await;
    }
    let task = Task {
        change: Change::Remove,
        dry_run: false,
        json: false,
    };
    let mut done = Done::default();
    let mut teller = Teller::new(Gone);
    let all = Which::Matching(Box::default());
    carry_out(&spool, &task, &all, &mut teller, &mut done)
        .await
        .unwrap();
    assert_eq!(done.changed, FIRST_PAGE as u64 + 3);
    assert!(
        listed(&spool, &Filter::default(), list::Form::Columns)
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn history_has_one_line_a_recipient_the_latest_first() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(&folder);
    append(&spool, "a-1", &["bob@example.net"]).await;
    settle(&spool, "a-1", Outcome::Delivered, 250).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    append(&spool, "a-2", &["eve@example.net"]).await;
    settle(&spool, "a-2", Outcome::Failed, 550).await;
    let print = async |wanted: history::Wanted<'_>, json| {
        let mut out = Vec::new();
        history::print(&spool, &wanted, json, &mut out)
            .await
            .unwrap();
        out
    };
    let all = lines(print(history::Wanted::default(), false).await);
    assert_eq!(all.len(), 2);
    assert!(
        all[0].contains("  a-2  <a-2@example.org>  <alice@example.org> -> <eve@"),
        "{all:?}"
    );
    assert!(
        all[0].contains("  failed     192.0.2.1:587  TLSv1.3, verified  "),
        "{all:?}"
    );
    assert!(all[0].ends_with("  550 as it is"), "{all:?}");
    assert!(all[1].contains("  a-1  "), "{all:?}");
    let wanted = history::Wanted {
        limit: Some(1),
        ..history::Wanted::default()
    };
    assert_eq!(lines(print(wanted, false).await), all[..1]);
    let wanted = history::Wanted {
        filter: to("bob@example.net"),
        route: Some("smarthost"),
        ..history::Wanted::default()
    };
    let found = objects(print(wanted, true).await);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["end"], "delivered");
    assert_eq!(found[0]["reply"], "250 as it is");
    let wanted = history::Wanted {
        route: Some("other"),
        ..history::Wanted::default()
    };
    assert!(print(wanted, true).await.is_empty());
}

#[tokio::test]
async fn routes_have_counts_and_trouble() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(&folder);
    append(&spool, "a-1", &["bob@example.net", "eve@example.net"]).await;
    let trouble = LaneTrouble {
        lane: "smarthost".into(),
        trouble: Trouble::Paused,
        since: SystemTime::now(),
        next_attempt: SystemTime::now() + HOUR,
        attempts: 3,
        attempt: attempt(535),
        ours: true,
    };
    spool.trouble("smarthost", Some(trouble)).await.unwrap();
    let mut out = Vec::new();
    routes::print(&spool, None, false, &mut out).await.unwrap();
    let text = lines(out);
    assert_eq!(text.len(), 1);
    let begin = "smarthost  waiting 2  delivering 0  deferred 0  held 0  paused since ";
    assert!(text[0].starts_with(begin), "{text:?}");
    let mut out = Vec::new();
    routes::print(&spool, Some("smarthost"), true, &mut out)
        .await
        .unwrap();
    let found = objects(out);
    assert_eq!(found[0]["trouble"], "paused");
    assert_eq!(found[0]["waiting"], 2);
    assert_eq!(found[0]["attempts"], 3);
    let mut out = Vec::new();
    routes::print(&spool, Some("other"), true, &mut out)
        .await
        .unwrap();
    assert!(out.is_empty());
}

#[test]
fn a_running_service_is_told_what_was_changed() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(&folder);
    let socket = UnixListener::bind(folder.path().join("control.sock")).unwrap();
    let service = std::thread::spawn(move || {
        let mut heard = Vec::new();
        for _ in 0..6 {
            let (stream, _) = socket.accept().unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            (&stream).write_all(b"done\n").unwrap();
            heard.push(line);
        }
        heard
    });
    let all = Which::Matching(Box::default());
    for change in [Change::Retry, Change::Release, Change::Hold, Change::Remove] {
        tell(folder.path(), change, &all, &spool).unwrap();
    }
    // Who names a message has the lanes tried where it waits.
    let runtime = crate::command::small_runtime().unwrap();
    runtime.block_on(append(&spool, "a-1", &["bob@example.net"]));
    let one = Which::Ids(vec!["a-1".to_owned(), "a-2".to_owned()]);
    tell(folder.path(), Change::Retry, &one, &spool).unwrap();
    let heard = service.join().unwrap();
    let expected = [
        "resume\n",
        "wake\n",
        "changed\n",
        "changed\n",
        "resume smarthost\n",
        "wake\n",
    ];
    assert_eq!(heard, expected);
}

#[test]
fn without_a_service_retry_forgets_the_trouble_of_lanes() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(&folder);
    let runtime = crate::command::small_runtime().unwrap();
    let lanes = || runtime.block_on(spool.lanes()).unwrap();
    let trouble = LaneTrouble {
        lane: "smarthost".into(),
        trouble: Trouble::Paused,
        since: SystemTime::now(),
        next_attempt: SystemTime::now() + HOUR,
        attempts: 3,
        attempt: attempt(535),
        ours: true,
    };
    let set = spool.trouble("smarthost", Some(trouble));
    runtime.block_on(set).unwrap();
    let tell = |change, which| tell(folder.path(), change, &which, &spool).unwrap();
    let all = || Which::Matching(Box::default());
    tell(Change::Release, all());
    // One that waits elsewhere.
    runtime.block_on(append_in(
        &spool,
        "a-1",
        &["bob@example.net"],
        "mx example.net",
    ));
    tell(Change::Retry, Which::Ids(vec!["a-1".to_owned()]));
    let in_trouble = || lanes().iter().any(|lane| lane.trouble.is_some());
    assert!(in_trouble());
    tell(Change::Retry, all());
    assert!(!in_trouble());
}

#[tokio::test]
async fn what_a_sender_asked_for_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(&folder);
    let mut new = message(&spool, "m-1", &["bob@example.net"], b"x").await;
    let received = new.received;
    new.envelope.parameters = crate::spool::Parameters {
        hold_for: Some(3600),
        priority: Some(4),
        deliver_by: Some(crate::spool::DeliverBy {
            seconds: 7200,
            notify: false,
            trace: false,
        }),
        ..crate::spool::Parameters::default()
    };
    spool.append(new).await.unwrap();
    let time = |after: Duration| {
        let shown = crate::spool::timestamp(received + after);
        // To the second: the rest is the clock's.
        shown.split(['.', 'Z']).next().unwrap().to_owned()
    };
    let line = &listed(&spool, &Filter::default(), list::Form::Why).await[0];
    let hold = format!("held until {}", time(HOUR));
    assert!(line.contains(&hold), "{line}");
    let mut out = Vec::new();
    let ids = ["m-1".to_owned()];
    show::print(
        &spool,
        &ids,
        show::Form::Text,
        &Troubles::default(),
        &mut out,
    )
    .await
    .unwrap();
    let text = lines(out).join("\n");
    let by = format!("priority 4, to be delivered by {}", time(2 * HOUR));
    assert!(text.contains(&by) && text.contains(&hold), "{text}");
    let json = listed(&spool, &Filter::default(), list::Form::Json).await;
    let json: serde_json::Value = serde_json::from_str(&json[0]).unwrap();
    let recipient = &json["recipients"][0];
    assert_eq!(recipient["priority"], 4);
    for (key, after) in [("hold_until", HOUR), ("deadline", 2 * HOUR)] {
        let shown = recipient[key].as_str().unwrap();
        assert!(shown.starts_with(&time(after)), "{shown}");
    }
}
