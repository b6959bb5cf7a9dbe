//! The task, on a real spool.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use super::*;
use crate::alarm::Alarm;
use crate::alias::Aliases;
use crate::relay::Retry;
use crate::route::{Delivery, DomainPattern, Route, Routes};
use crate::spool::{Access, Filter, Outcome, Settlement, Spool, SpoolError, Sqlite, State, Wanted};

mod faulty;

use faulty::Faulty;

/// Alarms as they were raised (`+`) and cleared (`-`).
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Alarm for Heard {
    fn raise(&self, subject: &str, _: &str) {
        self.0.lock().unwrap().push(format!("+{subject}"));
    }

    fn clear(&self, subject: &str) {
        self.0.lock().unwrap().push(format!("-{subject}"));
    }
}

/// A spool, the task on it, and what it said.
struct Desk {
    state: tempfile::TempDir,
    spool: Arc<Sqlite>,
    faulty: Arc<Faulty>,
    reports: Reports,
    heard: Arc<Heard>,
    wake: Arc<Notify>,
    routes: Arc<Mutex<Arc<Routes>>>,
}

fn routes(deliveries: &[(&str, Delivery)]) -> Arc<Routes> {
    let route = |(domain, delivery): &(&str, Delivery)| Route {
        name: format!("to {domain}"),
        domains: vec![domain.parse::<DomainPattern>().unwrap()],
        senders: Vec::new(),
        identities: Vec::new(),
        delivery: delivery.clone(),
        retry: Retry::default(),
    };
    Arc::new(Routes::new(deliveries.iter().map(route).collect()))
}

impl Desk {
    fn new(deliveries: &[(&str, Delivery)]) -> Self {
        let state = tempfile::tempdir().unwrap();
        let spool = Arc::new(Sqlite::open(state.path(), Access::Service).unwrap());
        let faulty = Arc::new(Faulty::new(Arc::clone(&spool)));
        let heard = Arc::new(Heard::default());
        let routes = Arc::new(Mutex::new(routes(deliveries)));
        let current = Arc::clone(&routes);
        let reports = Reports {
            spool: Arc::clone(&faulty) as Arc<dyn Spool>,
            routes: Arc::new(move || Arc::clone(&current.lock().unwrap())),
            aliases: Arc::new(Arc::default),
            reporter: Arc::new(|| Arc::new(Reporter::new("mail.example.org"))),
            signers: Arc::new(|| Arc::new(crate::dkim::Signers::default())),
            alarm: Arc::clone(&heard) as Arc<dyn Alarm>,
        };
        Self {
            state,
            spool,
            faulty,
            reports,
            heard,
            wake: Arc::new(Notify::new()),
            routes,
        }
    }

    /// A message to these, of which each has failed.
    async fn fail(&self, id: &str, reverse_path: &str, mailboxes: &[&str], octets: &[u8]) {
        let mut new = crate::spool::tests::message(&*self.spool, id, mailboxes, octets).await;
        new.envelope.reverse_path = reverse_path.into();
        self.spool.append(new).await.unwrap();
        let wanted = Wanted {
            otherwise: 100,
            total: 100,
            ..Wanted::default()
        };
        let lease = Duration::from_secs(60);
        let claimed = self.spool.claim(&wanted, lease, SystemTime::now()).await;
        let settlement = |ordinal| Settlement {
            ordinal,
            outcome: Outcome::Failed,
            attempt: Attempt {
                at: SystemTime::now(),
                ..said(550, Some((5, 1, 1)), &["no such mailbox"])
            },
            counted: true,
            lane: "lane".into(),
            notices: vec![NoticeKind::Failed],
            overdue: false,
        };
        let ordinals = claimed.unwrap().into_iter().map(|one| one.ordinal);
        let settlements = ordinals.map(settlement).collect();
        self.spool.settle(id, settlements).await.unwrap();
    }

    async fn pay(&self) -> usize {
        self.reports.pay(&self.wake).await.unwrap()
    }

    /// The reports in the spool: identifier, state, mailbox, lane, reply.
    async fn reports(&self) -> Vec<(String, State, String, String, Option<String>)> {
        let filter = Filter {
            sender: Some(String::new()),
            ..Filter::default()
        };
        let entries = self.spool.list(&filter, None, 100).await.unwrap();
        entries
            .into_iter()
            .map(|mut entry| {
                assert_eq!(entry.recipients.len(), 1);
                let one = entry.recipients.remove(0);
                (entry.id, one.state, one.mailbox, one.lane, one.last_reply)
            })
            .collect()
    }

    async fn content(&self, id: &str) -> String {
        let mut reader = self.spool.read_content(id).await.unwrap();
        let mut octets = Vec::new();
        while let Some(piece) = reader.next().await.unwrap() {
            octets.extend(piece);
        }
        String::from_utf8(octets).unwrap()
    }

    async fn woken(&self) -> bool {
        tokio::time::timeout(Duration::from_millis(1), self.wake.notified())
            .await
            .is_ok()
    }

    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut *self.heard.0.lock().unwrap())
    }
}

const MAIL: &[u8] = b"Message-ID: <a-1@example.org>\r\n\r\nHello\r\n";

#[tokio::test]
async fn r3461_5_2_8_one_report_tells_of_all_that_failed() {
    let desk = Desk::new(&[("*", Delivery::Discard)]);
    let mailboxes = ["bob@example.net", "carol@example.net"];
    desk.fail("a-1", "alice@example.org", &mailboxes, MAIL)
        .await;
    assert_eq!(desk.pay().await, 1);
    let reports = desk.reports().await;
    let (id, state, mailbox, lane, _) = &reports[0];
    assert_eq!(reports.len(), 1);
    assert_eq!(
        (*state, mailbox.as_str(), lane.as_str()),
        (State::Waiting, "alice@example.org", "to *")
    );
    assert!(desk.woken().await);
    let content = desk.content(id).await;
    for mailbox in mailboxes {
        assert!(content.contains(&format!("Final-Recipient: rfc822; {mailbox}\r\n")));
    }
    assert!(
        content.contains("Content-Type: message/rfc822\r\n\r\nMessage-ID: <a-1@example.org>\r\n")
    );
    // Paid, and the message is gone.
    assert_eq!(desk.pay().await, 0);
    assert!(matches!(
        desk.spool.show("a-1").await,
        Err(SpoolError::NotFound { .. })
    ));
}

#[tokio::test]
async fn r6409_8_5_a_report_is_signed_where_its_domain_has_a_key() {
    let mut desk = Desk::new(&[("*", Delivery::Discard)]);
    let key = desk.state.path().join("key.pem");
    crate::dkim::generate(&key, crate::dkim::Algorithm::Ed25519, 0).unwrap();
    let signers = crate::dkim::Signers::new(&[crate::config::Dkim {
        domains: vec!["mail.example.org".into()],
        subdomains: false,
        selector: "s1".into(),
        key,
        identity: None,
        expire: None,
    }]);
    let signers = Arc::new(signers.unwrap());
    desk.reports.signers = Arc::new(move || Arc::clone(&signers));
    desk.fail("a-1", "alice@example.org", &["bob@example.net"], MAIL)
        .await;
    assert_eq!(desk.pay().await, 1);
    let id = desk.reports().await.remove(0).0;
    let content = desk.content(&id).await;
    let (signature, rest) = content.split_once("\r\nFrom: ").unwrap();
    assert!(signature.starts_with("DKIM-Signature: v=1; a=ed25519-sha256;"));
    let tags = signature.replace("\r\n", "");
    assert!(tags.contains("d=mail.example.org; s=s1;"), "{tags}");
    assert!(rest.starts_with("Mail Delivery System"));
    let detail = desk.spool.show(&id).await.unwrap();
    assert!(detail.facts.unwrap().signed);
}

#[tokio::test]
async fn r3461_5_2_7_an_alias_of_several_is_answered_by_an_expanded_report() {
    let desk = Desk::new(&[("*", Delivery::Discard)]);
    let mailboxes = ["info@example.org", "bob@example.net", "eve@example.net"];
    let mut new = crate::spool::tests::message(&*desk.spool, "a-1", &mailboxes, MAIL).await;
    new.recipients[0].state = crate::spool::NewState::Expanded(2);
    desk.spool.append(new).await.unwrap();
    assert_eq!(desk.pay().await, 1);
    let (id, _, mailbox, ..) = &desk.reports().await[0];
    assert_eq!(mailbox, "alice@example.org");
    let content = desk.content(id).await;
    for part in [
        "Subject: Passed on to several mailboxes: info@example.org\r\n",
        "Final-Recipient: rfc822; info@example.org\r\nAction: expanded\r\nStatus: 2.1.5\r\n",
        "text/rfc822-headers",
    ] {
        assert!(content.contains(part), "{part}: {content}");
    }
    // Not about the others.
    assert_eq!(content.matches("Final-Recipient").count(), 1);
    assert!(desk.spool.show("a-1").await.is_ok());
}

#[tokio::test]
async fn r6409_8_7_a_report_to_an_alias_goes_to_whom_it_stands_for() {
    let mut desk = Desk::new(&[("*", Delivery::Discard)]);
    let entries = crate::alias::file::read("sales@example.org: carol, dave@example.net").entries;
    let aliases = Arc::new(Aliases::new(entries));
    desk.reports.aliases = Arc::new(move || Arc::clone(&aliases));
    desk.fail("a-1", "sales@example.org", &["bob@example.net"], MAIL)
        .await;
    desk.pay().await;
    let all = desk.spool.list(&Filter::default(), None, 10).await.unwrap();
    let to: Vec<_> = all[0]
        .recipients
        .iter()
        .map(|one| one.mailbox.as_str())
        .collect();
    assert_eq!(to, ["carol@example.org", "dave@example.net"]);
    let content = desk.content(&all[0].id).await;
    assert!(content.contains("To: <sales@example.org>\r\n"), "{content}");
}

#[tokio::test]
async fn postmaster_gets_copies_of_failures_without_the_text() {
    let mut desk = Desk::new(&[("*", Delivery::Discard)]);
    let reporter = Arc::new(Reporter {
        copies: true,
        ..Reporter::new("mail.example.org")
    });
    let from = reporter.from.clone();
    desk.reports.reporter = Arc::new(move || Arc::clone(&reporter));
    desk.fail("a-1", "alice@example.org", &["bob@example.net"], MAIL)
        .await;
    desk.pay().await;
    let reports = desk.reports().await;
    let to: Vec<_> = reports.iter().map(|one| one.2.as_str()).collect();
    assert_eq!(to, ["alice@example.org", &from]);
    let report = desk.content(&reports[0].0).await;
    assert!(report.contains("\r\nHello\r\n"), "{report}");
    let copy = desk.content(&reports[1].0).await;
    assert!(
        copy.contains("text/rfc822-headers") && copy.contains("Action: failed"),
        "{copy}"
    );
    assert!(!copy.contains("Hello"), "{copy}");
    // Not of what is his own, and not of what did not fail.
    desk.fail("a-2", &from, &["bob@example.net"], MAIL).await;
    desk.pay().await;
    assert_eq!(desk.reports().await.len(), 3);
}

#[tokio::test]
async fn a_report_is_held_where_its_route_holds() {
    let desk = Desk::new(&[("example.org", Delivery::Hold)]);
    desk.fail("a-1", "alice@example.org", &["bob@example.net"], MAIL)
        .await;
    desk.pay().await;
    let (_, state, _, lane, _) = &desk.reports().await[0];
    assert_eq!((*state, lane.as_str()), (State::Held, "to example.org"));
    assert!(!desk.woken().await);
}

#[tokio::test]
async fn a_report_without_a_route_is_held_and_somebody_is_told() {
    let desk = Desk::new(&[("example.net", Delivery::Discard)]);
    desk.fail("a-1", "alice@example.org", &["bob@example.net"], MAIL)
        .await;
    desk.pay().await;
    let (id, state, _, lane, reply) = desk.reports().await.remove(0);
    assert_eq!((state, lane.as_str()), (State::Held, ""));
    let reply = reply.unwrap();
    assert!(
        reply.contains("no [[route]] is for alice@example.org"),
        "{reply}"
    );
    assert!(reply.contains(&format!("queue release {id}")), "{reply}");
    // It is not damaged, and not told of as if it were.
    let shown = desk.spool.show(&id).await.unwrap();
    let attempt = shown.entry.recipients[0].attempt.as_ref().unwrap();
    assert_eq!(attempt.status, Some((5, 4, 4)));
    assert_eq!(desk.heard(), ["+no route for reports to example.org"]);

    *desk.routes.lock().unwrap() = routes(&[("*", Delivery::Discard)]);
    desk.fail("a-2", "alice@example.org", &["bob@example.net"], MAIL)
        .await;
    desk.pay().await;
    assert_eq!(desk.heard(), ["-no route for reports to example.org"]);
}

#[tokio::test]
async fn r5321_4_5_5_a_the_null_reverse_path_gets_no_report() {
    let desk = Desk::new(&[("*", Delivery::Discard)]);
    desk.fail("a-1", "", &["bob@example.net"], MAIL).await;
    assert_eq!(desk.pay().await, 1);
    assert_eq!(desk.pay().await, 0);
    assert!(desk.reports().await.is_empty());
}

#[tokio::test]
async fn a_damaged_message_is_reported_without_it() {
    let desk = Desk::new(&[("*", Delivery::Discard)]);
    desk.fail("a-1", "alice@example.org", &["bob@example.net"], MAIL)
        .await;
    let path = desk.state.path().join("spool/spool.sqlite");
    rusqlite::Connection::open(path)
        .unwrap()
        .execute("UPDATE message SET content = x'00'", [])
        .unwrap();
    desk.pay().await;
    let content = desk.content(&desk.reports().await[0].0).await;
    assert!(
        content.contains("Your message cannot be attached: what is stored of it here is damaged.")
    );
    assert!(content.contains("Status: 5.1.1"));
    assert!(!content.contains("message/rfc822"));
}

#[tokio::test]
async fn a_full_disk_puts_a_report_off() {
    let desk = Desk::new(&[("*", Delivery::Discard)]);
    desk.fail("a-1", "alice@example.org", &["bob@example.net"], MAIL)
        .await;
    desk.faulty.full.store(true, Ordering::Relaxed);
    assert_eq!(desk.pay().await, 1);
    assert!(desk.reports().await.is_empty());
    // Not before a minute has passed.
    desk.faulty.full.store(false, Ordering::Relaxed);
    assert_eq!(desk.pay().await, 0);
    let later = SystemTime::now() + Duration::from_secs(61);
    assert_eq!(desk.spool.owed(10, later).await.unwrap().len(), 1);
}

#[tokio::test]
async fn content_that_cannot_be_read_is_waited_for() {
    let desk = Desk::new(&[("*", Delivery::Discard)]);
    desk.fail("a-1", "alice@example.org", &["bob@example.net"], MAIL)
        .await;
    desk.faulty.unreadable.store(true, Ordering::Relaxed);
    assert_eq!(desk.pay().await, 1);
    assert!(desk.reports().await.is_empty());
    // But not for ever.
    desk.faulty.age(Duration::from_secs(3601));
    assert_eq!(desk.pay().await, 1);
    let content = desk.content(&desk.reports().await[0].0).await;
    assert!(content.contains("what is stored of it here cannot be read."));
}

#[tokio::test]
async fn the_task_pays_when_it_is_told_and_ends_when_it_should() {
    let desk = Desk::new(&[("*", Delivery::Discard)]);
    let due = Arc::new(Notify::new());
    let end = Arc::new(Notify::new());
    let ending = Arc::clone(&end);
    let Desk {
        state: _state,
        spool,
        reports,
        wake,
        ..
    } = &desk;
    let reports = Reports {
        spool: Arc::clone(spool) as Arc<dyn Spool>,
        routes: Arc::clone(&reports.routes),
        aliases: Arc::new(Arc::default),
        reporter: Arc::clone(&reports.reporter),
        signers: Arc::clone(&reports.signers),
        alarm: Arc::clone(&reports.alarm),
    };
    let task = tokio::spawn(run(
        reports,
        Arc::clone(&due),
        Arc::clone(wake),
        async move {
            ending.notified().await;
        },
    ));
    for number in 0..40 {
        let id = format!("a-{number}");
        desk.fail(&id, "alice@example.org", &["bob@example.net"], MAIL)
            .await;
    }
    due.notify_one();
    for _ in 0..500 {
        if desk.reports().await.len() == 40 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(desk.reports().await.len(), 40);
    end.notify_one();
    let ended = tokio::time::timeout(Duration::from_secs(5), task).await;
    ended.unwrap().unwrap();
}
