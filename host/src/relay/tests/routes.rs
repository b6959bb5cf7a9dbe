//! Routes that change while messages queue for them.

use std::sync::atomic::Ordering;

use tokio::sync::Semaphore;

use super::faulty::Faulty;
use super::server::{Answer, Server, configured};
use super::*;

#[tokio::test]
async fn what_waits_for_a_route_that_is_removed_goes_by_another_at_once() {
    let scene = Scene::new();
    let leave = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&leave);
    let server = Server::start(move |_, line| match line {
        "." => Answer::With(gate.clone()),
        _ => Answer::Usual,
    })
    .await;
    scene.routes(vec![configured("smarthost", "*", server.port, 1)]);
    for number in 0..5 {
        let id = format!("a-{number}");
        scene.append(&id, &["bob@example.net"]).await;
    }
    let service = scene.start_with_servers(scene.spool.clone());
    server.hears(".", 1).await;
    let all = |all: &[Entry]| all.iter().all(|one| one.state == State::Delivering);
    scene.until("all in hand", all).await;
    scene.route(&scene.maildir());
    scene.until("the rest is here", |all| all.len() == 1).await;
    assert_eq!(scene.delivered("bob@example.net"), 4);
    leave.add_permits(1);
    scene
        .until("and the first there", <[Entry]>::is_empty)
        .await;
    assert_eq!(server.heard(".").len(), 1);
    assert!(scene.past().await.iter().all(|one| one.attempts == 1));
    service.stop().await;
}

#[tokio::test]
async fn lanes_without_a_route_are_looked_for_until_that_succeeds() {
    let scene = Scene::new();
    std::fs::write(scene.mail(), b"in the way").unwrap();
    let spool = Arc::new(Faulty::new(scene.spool.clone()));
    let service = scene.start_with(spool.clone(), STALLED);
    scene.append("a-1", &["bob@example.net"]).await;
    scene
        .until("deferred", |all| all[0].state == State::Deferred)
        .await;
    spool.unreadable.store(1, Ordering::SeqCst);
    scene.route("discard");
    scene.until("discarded", <[Entry]>::is_empty).await;
    assert_eq!(spool.unreadable.load(Ordering::SeqCst), 0);
    service.stop().await;
}

#[tokio::test]
async fn nothing_waits_while_lanes_are_compared_with_routes() {
    let scene = Scene::new();
    let spool = Arc::new(Faulty::new(scene.spool.clone()));
    let service = scene.start_with(spool.clone(), STALLED);
    scene.append("a-1", &["bob@example.net"]).await;
    scene.until("delivered", <[Entry]>::is_empty).await;
    spool.endless.store(true, Ordering::SeqCst);
    scene.routes(vec![scene.made("example.net", "discard")]);
    for number in 2..5 {
        scene
            .append(&format!("a-{number}"), &["bob@example.net"])
            .await;
        // With a look between them.
        tokio::time::sleep(LOOK).await;
        scene.until("delivered", <[Entry]>::is_empty).await;
    }
    service.task.abort();
}

#[tokio::test]
async fn cl_route_old_mail_without_a_route_waits_and_is_told_of() {
    let scene = Scene::new();
    let service = scene.start();
    let age = Retry::default().give_up * 2;
    scene.append_of("a-1", &["bob@example.com"], age).await;
    let entries = scene
        .until("put off", |all| all[0].state == State::Deferred)
        .await;
    assert!(entries[0].recipients[0].next_attempt.is_some());
    assert_eq!(*scene.alarm.0.lock().unwrap(), ["mail without a route"]);
    scene.route_of("*", "discard");
    scene.spool.retry(&["a-1".to_owned()]).await.unwrap();
    // A report of the delay is owed.
    let discarded = |all: &[Entry]| all[0].state == State::Delivered;
    scene.until("discarded", discarded).await;
    service.stop().await;
}
