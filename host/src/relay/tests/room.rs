//! No route takes what others need: places in hand, and workers that its own lanes share.

use std::sync::atomic::Ordering;

use tokio::sync::Semaphore;

use super::faulty::Faulty;
use super::server::{Answer, Server, mx};
use super::*;

#[tokio::test]
async fn a_route_of_two_thousand_domains_on_a_dead_disk_leaves_room_for_others() {
    dead_disk(true).await;
}

#[tokio::test]
async fn a_route_leaves_room_for_others_though_its_mail_queues_under_another_name() {
    dead_disk(false).await;
}

async fn dead_disk(known: bool) {
    let scene = Scene::new();
    let dead = scene.made("*", &scene.maildir());
    let name = dead.name.clone();
    scene.routes(vec![scene.made("example.net", "discard"), dead]);
    let mut spool = Faulty::new(scene.spool.clone());
    spool.hanging = Some("h-");
    let spool = Arc::new(spool);
    let mut appended = tokio::task::JoinSet::new();
    for number in 0..2100 {
        let spool = scene.spool.clone();
        let domain = format!("d{number}.example.org");
        let lane = known.then(|| format!("{name} {domain}"));
        appended.spawn(async move {
            let (id, mailbox) = (format!("h-{number}"), format!("bob@{domain}"));
            let mut new = message(&*spool, &id, &[&mailbox], b"x").await;
            if let Some(lane) = lane {
                new.recipients[0].lane = lane;
            }
            spool.append(new).await.unwrap();
        });
    }
    appended.join_all().await;
    let service = scene.start_with(spool.clone(), STALLED);
    // All the workers of the route hang, and as much is in hand as may be.
    for _ in 0..1000 {
        if spool.reads.load(Ordering::SeqCst) >= 100 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    scene.append("a-1", &["bob@example.net"]).await;
    for _ in 0..1000 {
        if !scene.past().await.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(scene.past().await.len(), 1);
    let leased = scene.entries().await;
    let leased = leased
        .iter()
        .filter(|one| one.state == State::Delivering)
        .count();
    // Some of those that are to be handed back may not be by now.
    assert!((100..=1000).contains(&leased), "{leased}");
    service.task.abort();
}

#[tokio::test]
async fn an_idle_connection_makes_room_for_another_domain_of_its_route() {
    let scene = Scene::new();
    let server = Server::start(|_, _| Answer::Usual).await;
    scene.routes(vec![mx("mx", "*", server.port, 1)]);
    let service = scene.start_with_servers(scene.spool.clone());
    scene.append("a-1", &["bob@example.net"]).await;
    scene.until("delivered", <[Entry]>::is_empty).await;
    // Its connection is idle for an hour now.
    scene.append("a-2", &["bob@example.org"]).await;
    scene.until("delivered too", <[Entry]>::is_empty).await;
    assert_eq!(server.heard("connection").len(), 2);
    service.stop().await;
}

#[tokio::test]
async fn a_domain_with_much_mail_gives_another_of_its_route_a_turn() {
    let scene = Scene::new();
    let leave = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&leave);
    let server = Server::start(move |_, line| match line {
        "." => Answer::With(gate.clone()),
        _ => Answer::Usual,
    })
    .await;
    scene.routes(vec![mx("mx", "*", server.port, 1)]);
    let service = scene.start_with_servers(scene.spool.clone());
    for number in 0..100 {
        let id = format!("a-{number}");
        scene.append(&id, &["bob@example.net"]).await;
    }
    server.hears(".", 1).await;
    scene.append("b-1", &["bob@example.org"]).await;
    let other = |all: &[Entry]| all.iter().any(|one| one.id == "b-1" && in_hand(one));
    scene.until("claimed", other).await;
    leave.add_permits(1000);
    scene.until("delivered", <[Entry]>::is_empty).await;
    let order = server.heard("RCPT");
    let turn = order.iter().position(|line| line.contains("example.org"));
    assert!(turn.is_some_and(|turn| turn <= 25), "{turn:?}");
    service.stop().await;
}

fn in_hand(entry: &Entry) -> bool {
    entry.state == State::Delivering
}

#[tokio::test]
async fn the_recipients_of_one_message_go_in_one_transaction() {
    let scene = Scene::new();
    let server = Server::start(|_, _| Answer::Usual).await;
    scene.routes(vec![mx("mx", "*", server.port, 5)]);
    let mailboxes: Vec<String> = (0..90).map(|n| format!("u{n}@example.net")).collect();
    let mailboxes: Vec<&str> = mailboxes.iter().map(String::as_str).collect();
    scene.append("a-1", &mailboxes).await;
    let service = scene.start_with_servers(scene.spool.clone());
    scene.until("delivered", <[Entry]>::is_empty).await;
    assert_eq!(server.heard("RCPT").len(), 90);
    assert_eq!(server.heard(".").len(), 1);
    service.stop().await;
}
