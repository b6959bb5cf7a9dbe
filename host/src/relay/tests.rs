//! The scheduler with a real spool and real Maildirs.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::outbound::resolve::{Exchanger, ResolveError};
use crate::route::{Delivery, Route};
use crate::spool::tests::message;
use crate::spool::{
    Access, Attempt, Claimed, Entry, Filter, LaneTrouble, Outcome, Past, Settlement, Sqlite, State,
    Wanted,
};
use async_trait::async_trait;

mod ends;
mod faults;
mod faulty;
mod protection;
mod room;
mod routes;
mod server;
mod trouble;
mod turns;
mod wishes;

struct Scene {
    scratch: tempfile::TempDir,
    spool: Arc<Sqlite>,
    routes: Arc<Mutex<Arc<Routes>>>,
    signals: Signals,
    alarm: Arc<Alarms>,
}

struct Service {
    task: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

impl Service {
    async fn stop(self) {
        let _ = self.stop.send(());
        self.task.await.unwrap();
    }
}

impl Scene {
    fn new() -> Self {
        Self::at(tempfile::tempdir().unwrap())
    }

    fn at(scratch: tempfile::TempDir) -> Self {
        let spool = Arc::new(Sqlite::open(scratch.path(), Access::Service).unwrap());
        let scene = Self {
            scratch,
            spool,
            routes: Arc::default(),
            signals: Signals::default(),
            alarm: Arc::default(),
        };
        scene.route(&scene.maildir());
        scene
    }

    fn maildir(&self) -> String {
        format!("maildir:{}/{{domain}}/{{local}}", self.mail().display())
    }

    fn mail(&self) -> PathBuf {
        self.scratch.path().join("mail")
    }

    /// All of example.net goes there from now on.
    fn route(&self, delivery: &str) {
        self.route_of("example.net", delivery);
    }

    /// All of this pattern goes there from now on.
    fn route_of(&self, pattern: &str, delivery: &str) {
        self.routes(vec![self.made(pattern, delivery)]);
    }

    /// These routes are in force from now on.
    fn routes(&self, routes: Vec<Route>) {
        *self.routes.lock().unwrap() = Arc::new(Routes::new(routes));
    }

    fn made(&self, pattern: &str, delivery: &str) -> Route {
        Route {
            name: delivery.to_owned(),
            domains: vec![pattern.parse().unwrap()],
            senders: Vec::new(),
            identities: Vec::new(),
            delivery: match delivery.strip_prefix("maildir:") {
                Some(folder) => Delivery::Maildir(folder.parse().unwrap()),
                None if delivery == "hold" => Delivery::Hold,
                None => Delivery::Discard,
            },
            retry: Retry::default(),
        }
    }

    fn relay(&self, spool: Arc<dyn Spool>) -> Relay {
        let routes = Arc::clone(&self.routes);
        Relay {
            spool,
            routes: Arc::new(move || routes.lock().unwrap().clone()),
            maildirs: Maildirs::new("mail.example.org"),
            build: Arc::new(|| panic!("no server is spoken to here")),
            resolver: Arc::new(Nobody),
            hostname: "mail.example.org".to_owned(),
            retry: Retry::default(),
            alarm: Arc::clone(&self.alarm) as Arc<dyn Alarm>,
            reports: Arc::default(),
        }
    }

    fn start(&self) -> Service {
        self.start_with(self.spool.clone(), STALLED)
    }

    fn start_with(&self, spool: Arc<dyn Spool>, stalled_after: Duration) -> Service {
        self.start_relay(self.relay(spool), stalled_after)
    }

    /// A service whose servers are all on this machine.
    fn start_with_servers(&self, spool: Arc<dyn Spool>) -> Service {
        self.start_relay(self.relay_to_servers(spool), STALLED)
    }

    fn relay_to_servers(&self, spool: Arc<dyn Spool>) -> Relay {
        Relay {
            build: Arc::new(server::build),
            resolver: Arc::new(server::Everybody),
            ..self.relay(spool)
        }
    }

    fn start_relay(&self, relay: Relay, stalled_after: Duration) -> Service {
        let (shared, happened) = Shared::new(relay, stalled_after);
        let (stop, stopped) = oneshot::channel();
        let signals = self.signals.clone();
        let task = tokio::spawn(scheduler::run(shared, happened, signals, async move {
            let _ = stopped.await;
        }));
        Service { task, stop }
    }

    async fn append(&self, id: &str, mailboxes: &[&str]) {
        self.append_of(id, mailboxes, Duration::ZERO).await;
    }

    /// A message that was accepted so long ago.
    async fn append_of(&self, id: &str, mailboxes: &[&str], age: Duration) {
        let mut message = message(&*self.spool, id, mailboxes, b"To: x\r\n\r\nbody\r\n").await;
        message.received -= age;
        self.spool.append(message).await.unwrap();
        self.signals.wake.notify_one();
    }

    /// How it ended for recipients that are no longer in the queue, the latest first.
    async fn past(&self) -> Vec<Past> {
        self.spool
            .history(&Filter::default(), None, 10_000)
            .await
            .unwrap()
    }

    /// What is wrong with lanes.
    async fn troubles(&self) -> Vec<LaneTrouble> {
        let lanes = self.spool.lanes().await.unwrap();
        lanes.into_iter().filter_map(|lane| lane.trouble).collect()
    }

    async fn entries(&self) -> Vec<Entry> {
        self.spool
            .list(&Filter::default(), None, 10_000)
            .await
            .unwrap()
    }

    /// Waits for the queue to look like this.
    async fn until(&self, what: &str, reached: impl Fn(&[Entry]) -> bool) -> Vec<Entry> {
        for _ in 0..1000 {
            let entries = self.entries().await;
            if reached(&entries) {
                return entries;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{what}: {:?}", self.entries().await);
    }

    fn delivered(&self, mailbox: &str) -> usize {
        let (local, domain) = mailbox.split_once('@').unwrap();
        count(&self.mail().join(domain).join(local).join("new"))
    }
}

/// Knows no name.
struct Nobody;

#[async_trait]
impl Resolve for Nobody {
    async fn addresses(&self, host: &str) -> Result<Vec<std::net::IpAddr>, ResolveError> {
        Err(ResolveError::Unknown { name: host.into() })
    }

    async fn exchangers(&self, domain: &str) -> Result<Vec<Exchanger>, ResolveError> {
        let name = domain.into();
        Err(ResolveError::Unknown { name })
    }
}

/// Remembers what was raised.
#[derive(Default)]
struct Alarms(Mutex<Vec<String>>);

impl Alarm for Alarms {
    fn raise(&self, subject: &str, _: &str) {
        self.0.lock().unwrap().push(subject.to_owned());
    }

    fn clear(&self, _: &str) {}
}

fn wanted(recipients: usize) -> Wanted {
    Wanted {
        otherwise: recipients,
        total: recipients,
        ..Wanted::default()
    }
}

fn delivered() -> Settlement {
    Settlement {
        ordinal: 0,
        outcome: Outcome::Delivered,
        attempt: Attempt::default(),
        counted: true,
        lane: String::new(),
        notices: Vec::new(),
        overdue: false,
    }
}

fn count(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

#[tokio::test]
async fn all_recipients_are_delivered_once_and_the_queue_is_empty() {
    let scene = Scene::new();
    let service = scene.start();
    for number in 0..150 {
        let id = format!("a-{number}");
        scene
            .append(&id, &["bob@example.net", "eve@example.net"])
            .await;
    }
    scene.until("delivered", <[Entry]>::is_empty).await;
    assert_eq!(scene.delivered("bob@example.net"), 150);
    assert_eq!(scene.delivered("eve@example.net"), 150);
    service.stop().await;
}

#[tokio::test]
async fn a_failure_that_may_pass_is_deferred_and_tried_again() {
    let scene = Scene::new();
    std::fs::write(scene.mail(), b"in the way").unwrap();
    let service = scene.start();
    let before = SystemTime::now();
    scene.append("a-1", &["bob@example.net"]).await;
    let entries = scene
        .until("deferred", |all| all[0].state == State::Deferred)
        .await;
    let recipient = &entries[0].recipients[0];
    assert_eq!(recipient.attempts, 1);
    let delay = recipient
        .next_attempt
        .unwrap()
        .duration_since(before)
        .unwrap();
    assert!((53..=80).contains(&delay.as_secs()), "{delay:?}");
    let reply = recipient.last_reply.clone().unwrap();
    assert!(
        reply.contains("mail/example.net/bob") && reply.contains("os error"),
        "{reply}"
    );

    std::fs::remove_file(scene.mail()).unwrap();
    scene.spool.retry(&["a-1".to_owned()]).await.unwrap();
    scene.until("delivered", <[Entry]>::is_empty).await;
    assert_eq!(scene.delivered("bob@example.net"), 1);
    service.stop().await;
}

#[tokio::test]
async fn a_changed_route_applies_to_what_is_queued() {
    let scene = Scene::new();
    scene.route("hold");
    let service = scene.start();
    scene.append("a-1", &["bob@example.net"]).await;
    scene.append("a-2", &["bob@example.com"]).await;
    let both = |all: &[Entry]| all[0].state == State::Held && all[1].state == State::Deferred;
    let entries = scene.until("held, and no route", both).await;
    let reply = entries[1].recipients[0].last_reply.as_deref();
    assert_eq!(
        reply,
        Some("no route for this mailbox; add one to the configuration")
    );
    scene.route(&scene.maildir());
    scene.spool.release(&["a-1".to_owned()]).await.unwrap();
    scene.until("delivered", |all| all.len() == 1).await;
    assert_eq!(scene.delivered("bob@example.net"), 1);

    scene.route("discard");
    scene.append("a-3", &["bob@example.net"]).await;
    scene.until("discarded", |all| all.len() == 1).await;
    assert_eq!(scene.delivered("bob@example.net"), 1);
    service.stop().await;
}

#[tokio::test]
async fn a_crash_between_delivery_and_its_record_delivers_once() {
    let scene = Scene::new();
    scene.append("a-1", &["bob@example.net"]).await;
    let claimed = scene
        .spool
        .claim(&wanted(1), LEASE, SystemTime::now())
        .await
        .unwrap()
        .remove(0);
    let content = scene.spool.read_content("a-1").await.unwrap();
    let template = scene.maildir().replace("maildir:", "").parse().unwrap();
    Maildirs::new("mail.example.org")
        .deliver(&template, &claimed, content)
        .await
        .unwrap();
    // The process dies here.
    let Scene { scratch, spool, .. } = scene;
    drop(spool);

    let scene = Scene::at(scratch);
    let service = scene.start();
    scene.until("delivered", <[Entry]>::is_empty).await;
    assert_eq!(scene.delivered("bob@example.net"), 1);
    service.stop().await;
}

#[tokio::test]
async fn a_damaged_message_is_set_aside_and_the_rest_goes_on() {
    let scene = Scene::new();
    scene
        .append("a-1", &["bob@example.net", "eve@example.net"])
        .await;
    scene.append("a-2", &["bob@example.net"]).await;
    let path = scene.scratch.path().join("spool/spool.sqlite");
    let connection = rusqlite::Connection::open(path).unwrap();
    connection
        .execute("UPDATE message SET content = x'00' WHERE id = 'a-1'", [])
        .unwrap();
    let service = scene.start();
    let entries = scene
        .until("held", |all| all.len() == 1 && all[0].state == State::Held)
        .await;
    for recipient in &entries[0].recipients {
        assert_eq!(
            recipient.last_reply.as_deref(),
            Some("its content is too short")
        );
    }
    assert_eq!(scene.delivered("bob@example.net"), 1);
    assert_eq!(scene.delivered("eve@example.net"), 0);
    service.stop().await;
}

#[tokio::test]
async fn what_another_process_released_is_noticed() {
    let scene = Scene::new();
    let service = scene.start();
    scene.append("a-1", &["bob@example.com"]).await;
    scene
        .until("no route", |all| all[0].state == State::Deferred)
        .await;
    scene.spool.hold(&["a-1".to_owned()]).await.unwrap();
    scene.route_of("*", &scene.maildir());
    let tool = Sqlite::open(scene.scratch.path(), Access::Tool).unwrap();
    tool.release(&["a-1".to_owned()]).await.unwrap();
    scene.until("delivered", <[Entry]>::is_empty).await;
    service.stop().await;
}

#[tokio::test]
async fn shutdown_ends_what_runs_and_begins_nothing() {
    let scene = Scene::new();
    let service = scene.start();
    service.stop().await;
    scene.append("a-1", &["bob@example.net"]).await;
    assert_eq!(scene.entries().await[0].state, State::Waiting);
    // And an outcome from elsewhere is as good.
    scene.spool.settle("a-1", vec![delivered()]).await.unwrap();
    assert!(scene.entries().await.is_empty());
}
