//! A spool that cannot be told, a file system that hangs, a mailbox that looks like a log's fields.

use std::sync::atomic::Ordering;

use super::faulty::Faulty;
use super::*;

#[tokio::test]
async fn what_was_delivered_and_not_recorded_is_not_delivered_again() {
    let scene = Scene::new();
    let spool = Arc::new(Faulty::new(scene.spool.clone()));
    spool.unsettled.store(true, Ordering::SeqCst);
    let service = scene.start_with(spool.clone(), STALLED);
    scene.append("a-1", &["bob@example.net"]).await;
    let new = scene.mail().join("example.net/bob/new");
    let settles = |least: usize| {
        let spool = spool.clone();
        async move {
            for _ in 0..1000 {
                if spool.settles.load(Ordering::SeqCst) >= least {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            panic!("settled too seldom");
        }
    };
    settles(1).await;
    assert_eq!(count(&new), 1);
    // Its reader moves it elsewhere, and the lease runs out.
    std::fs::remove_dir_all(&new).unwrap();
    expire(&scene);
    scene.signals.wake.notify_one();
    settles(3).await;
    let claimed_again = |all: &[Entry]| all[0].recipients[0].attempts >= 2;
    scene.until("claimed again", claimed_again).await;
    assert_eq!(spool.reads.load(Ordering::SeqCst), 1);
    assert_eq!(count(&new), 0);
    // The disk has room again.
    spool.unsettled.store(false, Ordering::SeqCst);
    scene.until("recorded", <[Entry]>::is_empty).await;
    assert_eq!(count(&new), 0);
    service.stop().await;
}

#[tokio::test]
async fn what_was_not_recorded_is_recorded_at_the_end() {
    let scene = Scene::new();
    let spool = Arc::new(Faulty::new(scene.spool.clone()));
    spool.unsettled.store(true, Ordering::SeqCst);
    let service = scene.start_with(spool.clone(), STALLED);
    scene.append("a-1", &["bob@example.net"]).await;
    while spool.settles.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    spool.unsettled.store(false, Ordering::SeqCst);
    service.stop().await;
    assert!(scene.entries().await.is_empty());
}

#[tokio::test]
async fn deliveries_that_hang_do_not_stop_the_others() {
    let scene = Scene::new();
    scene.route_of("*", &scene.maildir());
    let mut spool = Faulty::new(scene.spool.clone());
    spool.hanging = Some("h-");
    let spool = Arc::new(spool);
    for number in 0..400 {
        let id = format!("h-{number}");
        let mailbox = format!("bob{number}@Dead.example.org");
        let message = message(&*scene.spool, &id, &[&mailbox], b"x").await;
        scene.spool.append(message).await.unwrap();
    }
    scene.append("a-1", &["bob@example.net"]).await;
    let service = scene.start_with(spool.clone(), Duration::from_millis(200));
    scene.until("delivered", |all| all.len() == 400).await;
    assert_eq!(scene.delivered("bob@example.net"), 1);
    // As many as a domain has places hang; the rest waits, with the reason.
    let waits = |all: &[Entry]| {
        all.iter()
            .filter(|one| one.state == State::Deferred)
            .count()
            > 0
    };
    let entries = scene.until("put off", waits).await;
    assert_eq!(spool.reads.load(Ordering::SeqCst), 21);
    let deferred = entries.iter().find(|one| one.state == State::Deferred);
    let recipient = &deferred.unwrap().recipients[0];
    let reply = recipient.last_reply.clone().unwrap();
    assert!(
        reply.contains("20 earlier deliveries have not ended"),
        "{reply}"
    );
    assert_eq!(recipient.attempts, 0, "it was not tried");
    service.task.abort();
}

/// Lets every lease run out, as 10 minutes would.
fn expire(scene: &Scene) {
    let path = scene.scratch.path().join("spool/spool.sqlite");
    let connection = rusqlite::Connection::open(path).unwrap();
    connection
        .execute("UPDATE recipient SET due = 0", [])
        .unwrap();
}

/// Keeps each event's fields in the form that the log for people has.
struct Lines(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl tracing::field::Visit for Line {
    // As `tracing_subscriber` writes it: strings come here as `&str`, and are quoted.
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!(" {}={value:?}", field.name()));
    }
}

impl tracing::Subscriber for Lines {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn a_mailbox_cannot_look_like_fields_of_the_log() {
    let scene = Scene::new();
    let mailbox = "\"x route=discard id=y\u{202e}\u{2066}\"@example.net";
    let spool = Arc::new(Faulty::new(scene.spool.clone()));
    spool.unsettled.store(true, Ordering::SeqCst);
    scene.append("a-1", &[mailbox]).await;
    let claimed = scene
        .spool
        .claim(&wanted(1), LEASE, SystemTime::now())
        .await
        .unwrap();
    let (shared, _happened) = Shared::new(scene.relay(spool), STALLED);
    let lines = Arc::default();
    let guard = tracing::subscriber::set_default(Lines(Arc::clone(&lines)));
    for delivery in ["hold", "discard"] {
        scene.route(delivery);
        let routes = scene.routes.lock().unwrap().clone();
        for job in job::sort(claimed.clone(), &routes).jobs {
            let health = health::Health::new();
            let lane = Lane::new(job.lane.clone(), job.route.clone(), health, STALLED);
            local::carry(&shared, &lane, job).await;
        }
    }
    drop(guard);
    let lines = lines.lock().unwrap();
    let about: Vec<_> = lines
        .iter()
        .filter(|line| line.contains("x route"))
        .collect();
    // Held, delivered.
    assert_eq!(about.len(), 2, "{lines:?}");
    let expected = r#" mailbox="\"x route=discard id=y\u{202e}\u{2066}\"@example.net""#;
    for line in about {
        assert!(line.contains(expected), "{line}");
    }
}

#[tokio::test]
async fn what_failed_and_could_not_be_recorded_is_recorded_later() {
    let scene = Scene::new();
    std::fs::write(scene.mail(), b"in the way").unwrap();
    let spool = Arc::new(Faulty::new(scene.spool.clone()));
    spool.unsettled.store(true, Ordering::SeqCst);
    let service = scene.start_with(spool.clone(), STALLED);
    scene.append("a-1", &["bob@example.net"]).await;
    for _ in 0..1000 {
        if spool.settles.load(Ordering::SeqCst) > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    spool.unsettled.store(false, Ordering::SeqCst);
    let deferred = |all: &[Entry]| all[0].state == State::Deferred;
    let entries = scene.until("recorded", deferred).await;
    assert_eq!(entries[0].recipients[0].attempts, 1);
    service.stop().await;
}

#[tokio::test]
async fn a_disk_that_is_back_ends_the_trouble_and_the_waiting() {
    let scene = Scene::new();
    scene.route_of("*", &scene.maildir());
    let mut spool = Faulty::new(scene.spool.clone());
    spool.hanging = Some("h-");
    let spool = Arc::new(spool);
    for number in 0..30 {
        let id = format!("h-{number}");
        let message = message(&*scene.spool, &id, &["bob@dead.example.org"], b"x").await;
        scene.spool.append(message).await.unwrap();
    }
    let service = scene.start_with(spool.clone(), Duration::from_millis(200));
    let waits = |all: &[Entry]| all.iter().any(|one| one.state == State::Deferred);
    scene.until("put off", waits).await;
    assert!(!scene.troubles().await.is_empty());
    // Again and again, since each waits for a word of its own.
    for _ in 0..1000 {
        spool.back.notify_waiters();
        tokio::time::sleep(Duration::from_millis(10)).await;
        if scene.entries().await.is_empty() {
            break;
        }
    }
    assert_eq!(scene.delivered("bob@dead.example.org"), 30);
    assert_eq!(scene.troubles().await, []);
    service.stop().await;
}
