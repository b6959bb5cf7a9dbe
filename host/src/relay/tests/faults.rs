//! Whose fault it is, and what that means for the mail.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use super::server::{Answer, Server, configured, mx};
use super::*;
use crate::spool::Trouble;
use crate::spool::history::End;

#[tokio::test]
async fn cl_route_530_of_a_server_that_dns_names_is_a_refusal() {
    let scene = Scene::new();
    let server = Server::start(|_, line| match line.get(..4) {
        Some("MAIL") => Answer::Say("530 5.7.0 authentication required"),
        _ => Answer::Usual,
    })
    .await;
    scene.routes(vec![mx("mx", "*", server.port, 5)]);
    let service = scene.start_with_servers(scene.spool.clone());
    for number in 0..4 {
        let id = format!("a-{number}");
        scene.append(&id, &["bob@example.net"]).await;
    }
    let failed = |all: &[Entry]| all.iter().all(|one| one.state == State::Failed);
    scene.until("failed, reports are owed", failed).await;
    let owed = scene.spool.owed(10, SystemTime::now()).await.unwrap();
    assert_eq!(owed.len(), 4);
    assert_eq!(scene.troubles().await, []);
    assert!(scene.alarm.0.lock().unwrap().is_empty());
    service.stop().await;
}

#[tokio::test]
async fn cl_route_a_refusal_of_one_connection_more_is_no_fault() {
    let scene = Scene::new();
    let leave = Arc::new(Semaphore::new(1));
    let gate = Arc::clone(&leave);
    let server = Server::start(move |number, line| match (number, line) {
        (0, ".") => Answer::With(gate.clone()),
        (0, _) => Answer::Usual,
        _ => Answer::Say("554 5.7.0 too many connections"),
    })
    .await;
    scene.routes(vec![configured("smarthost", "*", server.port, 5)]);
    let service = scene.start_with_servers(scene.spool.clone());
    scene.append("a-1", &["bob@example.net"]).await;
    scene.until("delivered", <[Entry]>::is_empty).await;
    // From now on two connections may be opened, and the first is at work.
    scene.append("a-2", &["bob@example.net"]).await;
    server.hears(".", 2).await;
    scene.append("a-3", &["bob@example.net"]).await;
    server.hears("connection", 2).await;
    leave.add_permits(10);
    scene.until("delivered", <[Entry]>::is_empty).await;
    assert!(scene.past().await.iter().all(|one| one.attempts == 1));
    assert_eq!(scene.troubles().await, []);
    service.stop().await;
}

#[tokio::test]
async fn cl_route_old_mail_survives_the_first_hiccups_after_a_fault_of_ours() {
    let scene = Scene::new();
    let server = Server::start(|number, line| match (number, line.get(..4)) {
        // Ours, then the network's, then the message's.
        (0, None) => Answer::Say("554 5.7.1 not you"),
        (1, None) => Answer::Say("421 4.3.2 not now"),
        (2, Some("RCPT")) => Answer::Say("450 4.2.1 busy"),
        _ => Answer::Usual,
    })
    .await;
    scene.routes(vec![configured("smarthost", "*", server.port, 1)]);
    let service = scene.start_with_servers(scene.spool.clone());
    let age = Retry::default().give_up * 2;
    scene.append_of("a-1", &["bob@example.net"], age).await;
    let busy = |all: &[Entry]| {
        let reply = all[0].recipients[0].last_reply.as_deref();
        all[0].state == State::Failed || reply.is_some_and(|reply| reply.contains("busy"))
    };
    let entries = scene.until("tried once more", busy).await;
    assert_eq!(entries[0].state, State::Deferred);
    service.stop().await;
}

#[tokio::test]
async fn cl_route_that_a_fault_is_ours_survives_the_service() {
    let scene = Scene::new();
    let refuses = Arc::new(AtomicBool::new(true));
    let connections = Arc::new(AtomicUsize::new(0));
    let (fault, count) = (refuses.clone(), connections.clone());
    let server = Server::start(move |_, line| match line {
        "" => {
            count.fetch_add(1, Ordering::SeqCst);
            Answer::Say(if fault.load(Ordering::SeqCst) {
                "554 5.7.1 not you"
            } else {
                "421 4.3.2 not now"
            })
        }
        _ => Answer::Usual,
    })
    .await;
    scene.routes(vec![configured("smarthost", "*", server.port, 1)]);
    let service = scene.start_with_servers(scene.spool.clone());
    let age = Retry::default().give_up * 2;
    scene.append_of("a-1", &["bob@example.net"], age).await;
    scene
        .until("deferred", |all| all[0].state == State::Deferred)
        .await;
    service.stop().await;
    let troubles = scene.troubles().await;
    assert_eq!(troubles[0].trouble, Trouble::Down);
    assert!(troubles[0].ours);

    refuses.store(false, Ordering::SeqCst);
    let before = connections.load(Ordering::SeqCst);
    let service = scene.start_with_servers(scene.spool.clone());
    server.hears("connection", before + 2).await;
    scene.append("a-2", &["bob@example.net"]).await;
    scene.spool.retry(&["a-1".to_owned()]).await.unwrap();
    scene.signals.wake.notify_one();
    let put_off = |all: &[Entry]| all.iter().all(|one| one.state == State::Deferred);
    scene.until("both put off", put_off).await;
    assert_eq!(scene.past().await, []);
    service.stop().await;
}

/// A server whose domain's mail was put off is good again, as an operator or a new service finds.
async fn asked(scene: &Scene, ask: impl AsyncFnOnce(Service) -> Service) {
    let good = Arc::new(AtomicBool::new(false));
    let now_good = good.clone();
    let server = Server::start(move |_, _| {
        if now_good.load(Ordering::SeqCst) {
            Answer::Usual
        } else {
            Answer::Say("421 4.3.2 not now")
        }
    })
    .await;
    let mut route = mx("mx", "*", server.port, 5);
    route.retry.first = Duration::from_secs(3600);
    scene.routes(vec![route]);
    let service = scene.start_with_servers(scene.spool.clone());
    scene.append("a-1", &["bob@example.net"]).await;
    let down = |all: &[Entry]| all.iter().all(|one| one.state == State::Deferred);
    scene.until("down", down).await;
    scene.append("a-2", &["bob@example.net"]).await;
    scene.until("put off", down).await;
    good.store(true, Ordering::SeqCst);
    let service = ask(service).await;
    scene.until("delivered", <[Entry]>::is_empty).await;
    service.stop().await;
    let past = scene.past().await;
    assert!(past.iter().all(|one| one.end == End::Delivered));
}

#[tokio::test]
async fn resume_makes_due_what_waits_where_only_a_message_can_ask() {
    let scene = Scene::new();
    asked(&scene, async |service| {
        scene.signals.resume.lane("mx example.net");
        service
    })
    .await;
}

#[tokio::test]
async fn a_new_service_makes_due_what_waits_where_only_a_message_can_ask() {
    let scene = Scene::new();
    asked(&scene, async |service: Service| {
        service.stop().await;
        let waits = |lanes: Vec<LaneTrouble>| !lanes.is_empty();
        assert!(waits(scene.troubles().await), "or there is nothing to show");
        scene.start_with_servers(scene.spool.clone())
    })
    .await;
}

#[tokio::test]
async fn a_reload_makes_due_what_waits_where_only_a_message_can_ask() {
    let scene = Scene::new();
    asked(&scene, async |service| {
        let routes = scene.routes.lock().unwrap().all().to_vec();
        scene.routes(routes.iter().map(|route| (**route).clone()).collect());
        service
    })
    .await;
}
