//! What the relay waits for when the service ends, and what it does not wait for.

use tokio::sync::Semaphore;

use super::server::{Answer, Server, configured};
use super::*;

#[tokio::test]
async fn cl_ambiguous_a_reply_to_the_end_of_data_is_waited_for() {
    let scene = Scene::new();
    let leave = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&leave);
    let server = Server::start(move |_, line| match line {
        "." => Answer::With(gate.clone()),
        _ => Answer::Usual,
    })
    .await;
    scene.routes(vec![configured("smarthost", "*", server.port, 1)]);
    let service = scene.start_with_servers(scene.spool.clone());
    scene.append("a-1", &["bob@example.net"]).await;
    server.hears(".", 1).await;
    let end = tokio::spawn(service.stop());
    tokio::task::yield_now().await;
    assert!(!end.is_finished());
    leave.add_permits(1);
    end.await.unwrap();
    assert!(scene.entries().await.is_empty());
}

#[tokio::test]
async fn a_server_that_does_not_greet_is_not_waited_for() {
    let scene = Scene::new();
    let server = Server::start(|_, _| Answer::With(Arc::new(Semaphore::new(0)))).await;
    scene.routes(vec![configured("smarthost", "*", server.port, 1)]);
    let service = scene.start_with_servers(scene.spool.clone());
    scene.append("a-1", &["bob@example.net"]).await;
    server.hears("connection", 1).await;
    // Five minutes would be its time (RFC 5321 section 4.5.3.2.1).
    let end = tokio::time::timeout(Duration::from_secs(60), service.stop());
    end.await.unwrap();
    // The next service begins with it.
    let (one, now) = (wanted(1), SystemTime::now());
    let claimed = scene.spool.claim(&one, LEASE, now).await.unwrap();
    assert_eq!(claimed.len(), 0);
    let Scene { scratch, spool, .. } = scene;
    drop(spool);
    let scene = Scene::at(scratch);
    let claimed = scene.spool.claim(&one, LEASE, SystemTime::now()).await;
    assert_eq!(claimed.unwrap().len(), 1);
}
