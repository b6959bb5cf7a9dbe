//! The scheduler with a real spool and real Maildirs.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::deliver::Delivery;
use crate::spool::tests::message;
use crate::spool::{Access, Entry, Filter, Outcome, Sqlite, State};

mod faulty;
mod trouble;

struct Scene {
    scratch: tempfile::TempDir,
    spool: Arc<Sqlite>,
    routes: Arc<Mutex<Arc<[Route]>>>,
    wake: Arc<Notify>,
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
            routes: Arc::new(Mutex::new(Arc::from([]))),
            wake: Arc::default(),
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
        let delivery: Delivery = delivery.parse().unwrap();
        let domains = vec!["example.net".parse().unwrap()];
        *self.routes.lock().unwrap() = Arc::from([Route { domains, delivery }]);
    }

    fn relay(&self, spool: Arc<dyn Spool>) -> Relay {
        let routes = Arc::clone(&self.routes);
        Relay {
            spool,
            routes: Arc::new(move || routes.lock().unwrap().clone()),
            maildirs: Maildirs::new("mail.example.org"),
            retry: Retry::default(),
        }
    }

    fn start(&self) -> Service {
        self.start_with(self.spool.clone(), STALLED)
    }

    fn start_with(&self, spool: Arc<dyn Spool>, stalled_after: Duration) -> Service {
        let running = Running::new(self.relay(spool), stalled_after);
        let (stop, stopped) = oneshot::channel();
        let wake = Arc::clone(&self.wake);
        let task = tokio::spawn(schedule(running, wake, async move {
            let _ = stopped.await;
        }));
        Service { task, stop }
    }

    async fn append(&self, id: &str, mailboxes: &[&str]) {
        let message = message(&*self.spool, id, mailboxes, b"To: x\r\n\r\nbody\r\n").await;
        self.spool.append(message).await.unwrap();
        self.wake.notify_one();
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
    assert_eq!(reply, Some("no route for this mailbox"));
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
        .claim(1, LEASE, SystemTime::now())
        .await
        .unwrap()
        .remove(0);
    let content = scene.spool.read_content("a-1").await.unwrap();
    let Delivery::Maildir(template) = scene.maildir().parse().unwrap() else {
        panic!()
    };
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
    let any = Route {
        domains: vec!["*".parse().unwrap()],
        delivery: scene.maildir().parse().unwrap(),
    };
    *scene.routes.lock().unwrap() = Arc::from([any]);
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
    scene
        .spool
        .settle("a-1", 0, Outcome::Delivered)
        .await
        .unwrap();
    assert!(scene.entries().await.is_empty());
}
