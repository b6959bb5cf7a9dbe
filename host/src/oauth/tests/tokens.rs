//! When a token is fetched, and when it is not.

use super::server::{Answer, Server, error, granted};
use super::{Clock, Site, Tokens, failure, secret};
use crate::oauth::{Options, Registry};
use std::sync::Arc;
use std::time::Duration;

/// Tokens called T1, T2 ...
fn counting() -> Server {
    Server::new(|number, _| granted(&format!("T{number}")))
}

#[tokio::test]
async fn a_token_is_kept_until_shortly_before_it_runs_out() {
    let (server, site, clock) = (counting(), Site::new(), Clock::new());
    let tokens = Tokens::with(site.refresh(&server), clock.options());
    assert_eq!(secret(&tokens).await, "T1");
    clock.pass(3600 - 61);
    assert_eq!(secret(&tokens).await, "T1");
    assert_eq!(server.count(), 1);
    clock.pass(1);
    assert_eq!(secret(&tokens).await, "T2");
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_short_life_is_used_to_nine_tenths() {
    let server = Server::new(|number, _| {
        let json = format!(r#"{{"access_token":"T{number}","expires_in":100}}"#);
        Answer::Json(200, json)
    });
    let (site, clock) = (Site::new(), Clock::new());
    let tokens = Tokens::with(site.refresh(&server), clock.options());
    assert_eq!(secret(&tokens).await, "T1");
    clock.pass(89);
    assert_eq!(secret(&tokens).await, "T1");
    clock.pass(1);
    assert_eq!(secret(&tokens).await, "T2");
}

#[tokio::test]
async fn a_life_that_is_not_told_is_assumed() {
    let server =
        Server::new(|number, _| Answer::Json(200, format!(r#"{{"access_token":"T{number}"}}"#)));
    let (site, clock) = (Site::new(), Clock::new());
    let options = Options {
        assumed_life: Duration::from_secs(50),
        ..clock.options()
    };
    let tokens = Tokens::with(site.refresh(&server), options);
    assert!(tokens.token().await.unwrap().assumed);
    clock.pass(44);
    assert_eq!(secret(&tokens).await, "T1");
    clock.pass(1);
    assert_eq!(secret(&tokens).await, "T2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_who_wait_share_one_fetch() {
    let server = Server::new(|number, _| {
        std::thread::sleep(Duration::from_millis(100));
        granted(&format!("T{number}"))
    });
    let site = Site::new();
    let tokens = Tokens::new(site.refresh(&server));
    let waiters: Vec<_> = (0..100)
        .map(|_| {
            let tokens = Arc::clone(&tokens);
            tokio::spawn(async move { secret(&tokens).await })
        })
        .collect();
    for waiter in waiters {
        assert_eq!(waiter.await.unwrap(), "T1");
    }
    assert_eq!(server.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_who_wait_share_one_failure() {
    let server = Server::new(|_, _| {
        std::thread::sleep(Duration::from_millis(100));
        error(400, "invalid_grant")
    });
    let site = Site::new();
    let tokens = Tokens::new(site.refresh(&server));
    let waiters: Vec<_> = (0..100)
        .map(|_| {
            let tokens = Arc::clone(&tokens);
            tokio::spawn(async move { failure(&tokens).await })
        })
        .collect();
    for waiter in waiters {
        assert!(waiter.await.unwrap().contains("invalid_grant"));
    }
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn a_fetch_goes_on_without_who_asked() {
    let server = Server::new(|number, _| {
        std::thread::sleep(Duration::from_millis(100));
        granted(&format!("T{number}"))
    });
    let site = Site::new();
    let tokens = Tokens::new(site.refresh(&server));
    let impatient = tokio::time::timeout(Duration::from_millis(10), tokens.token());
    assert!(impatient.await.is_err());
    assert_eq!(secret(&tokens).await, "T1");
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn after_a_failure_nobody_fetches_for_a_while() {
    let server = Server::new(|_, _| error(500, "server_error"));
    let (site, clock) = (Site::new(), Clock::new());
    let tokens = Tokens::with(site.refresh(&server), clock.options());
    let mut fetches = 0;
    for wait in [5, 10, 20, 40, 80, 160, 300, 300] {
        let first = failure(&tokens).await;
        fetches += 1;
        clock.pass(wait - 1);
        assert_eq!(failure(&tokens).await, first);
        assert_eq!(server.count(), fetches, "{wait}");
        clock.pass(1);
    }
    tokens.retry();
    failure(&tokens).await;
    clock.pass(4);
    failure(&tokens).await;
    assert_eq!(server.count(), fetches + 1);
}

#[tokio::test]
async fn a_success_ends_the_waiting() {
    let server = Server::new(|number, _| match number {
        2 => granted("T2"),
        _ => error(503, "temporarily_unavailable"),
    });
    let (site, clock) = (Site::new(), Clock::new());
    let tokens = Tokens::with(site.refresh(&server), clock.options());
    failure(&tokens).await;
    clock.pass(5);
    assert_eq!(secret(&tokens).await, "T2");
    clock.pass(3600);
    failure(&tokens).await;
    clock.pass(5);
    failure(&tokens).await;
    assert_eq!(server.count(), 4);
}

#[tokio::test]
async fn a_token_is_good_to_its_end_though_no_new_one_can_be_had() {
    let server = Server::new(|number, _| match number {
        1 => granted("T1"),
        _ => error(503, "temporarily_unavailable"),
    });
    let (site, clock) = (Site::new(), Clock::new());
    let tokens = Tokens::with(site.refresh(&server), clock.options());
    assert_eq!(secret(&tokens).await, "T1");
    clock.pass(3550);
    assert_eq!(secret(&tokens).await, "T1");
    assert_eq!(secret(&tokens).await, "T1");
    assert_eq!(server.count(), 2);
    clock.pass(50);
    assert!(failure(&tokens).await.contains("temporarily_unavailable"));
}

#[tokio::test]
async fn others_use_the_old_token_while_a_new_one_is_fetched() {
    let server = Server::new(|number, _| {
        if number > 1 {
            std::thread::sleep(Duration::from_millis(200));
        }
        granted(&format!("T{number}"))
    });
    let (site, clock) = (Site::new(), Clock::new());
    let tokens = Tokens::with(site.refresh(&server), clock.options());
    assert_eq!(secret(&tokens).await, "T1");
    clock.pass(3550);
    let first = tokio::spawn({
        let tokens = Arc::clone(&tokens);
        async move { secret(&tokens).await }
    });
    while server.count() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(secret(&tokens).await, "T1");
    assert_eq!(first.await.unwrap(), "T2");
}

#[tokio::test]
async fn xoa_3_refused_once_one_new_token_refused_again_none() {
    let (server, site, clock) = (counting(), Site::new(), Clock::new());
    let tokens = Tokens::with(site.refresh(&server), clock.options());
    let first = tokens.token().await.unwrap();
    assert!(tokens.forget(first.number));
    let second = tokens.token().await.unwrap();
    assert_eq!((second.number, server.count()), (2, 2));
    assert!(!tokens.forget(second.number));
    // The next attempt has a new one, and no second chance.
    let third = tokens.token().await.unwrap();
    assert_eq!((third.number, server.count()), (3, 3));
    assert!(!tokens.forget(third.number));
}

#[tokio::test]
async fn a_token_that_was_good_for_a_while_has_its_second_chance_again() {
    let (server, site, clock) = (counting(), Site::new(), Clock::new());
    let tokens = Tokens::with(site.refresh(&server), clock.options());
    let first = tokens.token().await.unwrap();
    assert!(tokens.forget(first.number));
    let second = tokens.token().await.unwrap();
    clock.pass(60);
    assert!(tokens.forget(second.number));
    let third = tokens.token().await.unwrap();
    clock.pass(3600);
    let fourth = tokens.token().await.unwrap();
    assert_eq!((third.number, fourth.number), (3, 4));
    assert!(tokens.forget(fourth.number));
}

#[tokio::test]
async fn equal_settings_share_their_tokens() {
    let (server, site) = (counting(), Site::new());
    let registry = Registry::new();
    let one = registry.tokens(&site.refresh(&server));
    let same = registry.tokens(&site.refresh(&server));
    let other = registry.tokens(&site.client_credentials(&server));
    assert!(Arc::ptr_eq(&one, &same));
    assert!(!Arc::ptr_eq(&one, &other));
    assert_eq!(secret(&one).await, "T1");
    drop(one);
    let again = registry.tokens(&site.refresh(&server));
    assert_eq!(secret(&again).await, "T1");
    drop((same, again));
    let new = registry.tokens(&site.refresh(&server));
    assert_eq!(secret(&new).await, "T2");
}
