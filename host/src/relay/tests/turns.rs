//! What happens at the same time is recorded in an order that holds.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use super::faulty::Faulty;
use super::health::{Change, Health, Obstacle};
use super::server::configured;
use super::*;
use crate::spool::Trouble;

#[tokio::test]
async fn what_is_claimed_before_its_attempt_has_ended_is_tried_then() {
    let scene = Scene::new();
    std::fs::write(scene.mail(), b"in the way").unwrap();
    let mut spool = Faulty::new(scene.spool.clone());
    spool.slow = Some(Semaphore::new(0));
    let spool = Arc::new(spool);
    let service = scene.start_with(spool.clone(), STALLED);
    scene.append("a-1", &["bob@example.net"]).await;
    // Recorded, but the attempt does not know it yet.
    let deferred = |all: &[Entry]| all[0].state == State::Deferred;
    scene.until("deferred", deferred).await;
    std::fs::remove_file(scene.mail()).unwrap();
    scene.spool.retry(&["a-1".to_owned()]).await.unwrap();
    scene.signals.wake.notify_one();
    let again = |all: &[Entry]| all[0].recipients[0].attempts == 2;
    scene.until("claimed again", again).await;
    spool.slow.as_ref().unwrap().add_permits(10);
    scene.until("delivered", <[Entry]>::is_empty).await;
    assert_eq!(scene.delivered("bob@example.net"), 1);
    service.stop().await;
}

/// A lane of a configured server with a recipient in hand.
async fn in_hand(scene: &Scene, shared: &Shared) -> (Arc<Lane>, job::Job) {
    let claimed = scene
        .spool
        .claim(&wanted(1), LEASE, SystemTime::now())
        .await
        .unwrap();
    assert!(claimed.iter().all(|one| shared.begun.begin(one)));
    let routes = scene.routes.lock().unwrap().clone();
    let job = job::sort(claimed, &routes).jobs.remove(0);
    let (name, route) = (job.lane.clone(), job.route.clone());
    let lane = Lane::new(name, route, Health::new(), STALLED);
    (Arc::new(lane), job)
}

fn away(lane: &Lane) -> health::Reason {
    let now = SystemTime::now();
    let mut inner = lane.lock();
    let longest = Retry::default().longest;
    let attempt = Attempt::default();
    inner
        .health
        .obstructed(Obstacle::Away, &attempt, now, now, longest);
    inner.health.reason().unwrap()
}

#[tokio::test]
async fn what_is_put_off_too_late_is_due_at_once() {
    let scene = Scene::new();
    scene.routes(vec![configured("smarthost", "*", 25, 5)]);
    let (shared, _happened) = Shared::new(scene.relay(scene.spool.clone()), STALLED);
    scene.append("a-1", &["bob@example.net"]).await;
    let (lane, job) = in_hand(&scene, &shared).await;
    let reason = away(&lane);
    let change = lane.lock().health.opened(SystemTime::now());
    assert_eq!(change, Change::Well);
    shared.changed(&lane, change).await;
    worker::put_off(&shared, &lane, &job, &reason).await;
    let now = SystemTime::now();
    let due = scene.spool.claim(&wanted(1), LEASE, now).await.unwrap();
    assert_eq!(due.len(), 1);

    // In time it stays put off.
    let reason = away(&lane);
    worker::put_off(&shared, &lane, &job, &reason).await;
    let now = SystemTime::now();
    let due = scene.spool.claim(&wanted(1), LEASE, now).await.unwrap();
    assert_eq!(due.len(), 0);
    assert_eq!(shared.begun.count(), 0);
}

#[tokio::test]
async fn a_record_that_comes_late_says_how_the_lane_does_now() {
    let scene = Scene::new();
    scene.routes(vec![configured("smarthost", "*", 25, 5)]);
    let (shared, _happened) = Shared::new(scene.relay(scene.spool.clone()), STALLED);
    scene.append("a-1", &["bob@example.net"]).await;
    let (lane, _) = in_hand(&scene, &shared).await;
    away(&lane);
    let well = lane.lock().health.opened(SystemTime::now());
    shared.changed(&lane, well).await;
    shared.changed(&lane, Change::Worse).await;
    shared.changed(&lane, Change::Paused).await;
    assert_eq!(scene.troubles().await, []);
    assert!(scene.alarm.0.lock().unwrap().is_empty());
    away(&lane);
    shared.changed(&lane, Change::Well).await;
    assert_eq!(scene.troubles().await[0].trouble, Trouble::Down);
}

#[tokio::test]
async fn what_was_deferred_message_by_message_is_tried_in_its_own_time() {
    let scene = Scene::new();
    scene.routes(vec![configured("smarthost", "*", 25, 5)]);
    let (shared, _happened) = Shared::new(scene.relay(scene.spool.clone()), STALLED);
    scene.append("a-1", &["bob@example.net"]).await;
    let (lane, job) = in_hand(&scene, &shared).await;
    let reason = {
        let mut inner = lane.lock();
        for _ in 0..10 {
            let now = SystemTime::now();
            inner.health.deferred(&Attempt::default(), now);
        }
        inner.health.reason().unwrap()
    };
    worker::put_off(&shared, &lane, &job, &reason).await;
    let change = {
        let mut inner = lane.lock();
        inner.health.give_chance();
        inner.health.served(20, SystemTime::now())
    };
    shared.changed(&lane, change).await;
    let now = SystemTime::now();
    let due = scene.spool.claim(&wanted(1), LEASE, now).await.unwrap();
    assert_eq!(due.len(), 0);
    assert_eq!(scene.troubles().await, []);
}

#[tokio::test]
async fn a_bug_in_a_chore_leaves_nothing_in_hand() {
    let scene = Scene::new();
    scene.routes(vec![configured("smarthost", "*", 25, 5)]);
    let spool = Arc::new(Faulty::new(scene.spool.clone()));
    spool.deadly.store(true, Ordering::SeqCst);
    let (shared, _happened) = Shared::new(scene.relay(spool), STALLED);
    scene.append("a-1", &["bob@example.net"]).await;
    let (lane, job) = in_hand(&scene, &shared).await;
    let reason = away(&lane);
    let own = Arc::clone(&shared);
    let chore = tokio::spawn(async move { worker::put_off(&own, &lane, &job, &reason).await });
    assert!(chore.await.unwrap_err().is_panic());
    assert_eq!(shared.begun.count(), 0);
}

#[tokio::test]
async fn a_bug_in_a_probe_does_not_end_probing() {
    let scene = Scene::new();
    scene.routes(vec![configured("smarthost", "*", 25, 5)]);
    let trouble = LaneTrouble {
        lane: "smarthost".to_owned(),
        trouble: Trouble::Down,
        since: SystemTime::now(),
        next_attempt: SystemTime::now(),
        attempts: 1,
        attempt: Attempt::default(),
        ours: false,
    };
    scene
        .spool
        .trouble("smarthost", Some(trouble))
        .await
        .unwrap();
    let mut new = message(&*scene.spool, "a-1", &["bob@example.net"], b"x").await;
    new.recipients[0].lane = "smarthost".to_owned();
    scene.spool.append(new).await.unwrap();
    let probes = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&probes);
    let relay = Relay {
        build: Arc::new(move || {
            count.fetch_add(1, Ordering::SeqCst);
            panic!("as a bug would")
        }),
        ..scene.relay(scene.spool.clone())
    };
    let service = scene.start_relay(relay, STALLED);
    for _ in 0..1000 {
        if probes.load(Ordering::SeqCst) >= 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(probes.load(Ordering::SeqCst) >= 2);
    service.stop().await;
}
