//! Keys that are fetched, rotate, and stay while their issuer is away.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::sync::Semaphore;

use super::super::Presented;
use super::super::source::{Pace, Source};
use super::signer::Signer;
use super::{claims, granted, issuers, judged, soon};
use crate::config::issuer::KeySource;
use crate::oauth::tests::server::{Answer, Server};
use crate::users::Verdict;

/// A server of keys that can be changed, and can be away.
struct Published {
    server: Server,
    keys: Arc<Mutex<String>>,
    away: Arc<AtomicBool>,
}

impl Published {
    fn new(keys: String) -> Self {
        let keys = Arc::new(Mutex::new(keys));
        let away = Arc::new(AtomicBool::new(false));
        let (own, gone) = (Arc::clone(&keys), Arc::clone(&away));
        let server = Server::new(move |_, _| match gone.load(Ordering::SeqCst) {
            true => Answer::Json(503, "{}".into()),
            false => Answer::Json(200, own.lock().unwrap().clone()),
        });
        Self { server, keys, away }
    }

    fn publish(&self, keys: String) {
        *self.keys.lock().unwrap() = keys;
    }

    /// An issuer with these keys, in less time than usual.
    fn source(&self, pace: Pace) -> Arc<Source> {
        let keys = KeySource::Url(self.server.url());
        Arc::new(Source::new("test", keys, pace, Arc::new(Semaphore::new(2))))
    }
}

/// Nothing is old, and everything may be tried again after this.
fn after(again: u64) -> Pace {
    Pace {
        refresh: Duration::from_secs(3600),
        again: Duration::from_millis(again),
        retry: Duration::from_millis(again),
        wait: Duration::from_secs(5),
    }
}

fn table(server: &Server) -> super::Issuers {
    issuers(&format!(
        "[[auth.issuer]]\nissuer = \"{}\"\naudience = \"{}\"\njwks-url = \"{}\"\n",
        super::ISSUER,
        super::AUDIENCE,
        server.url()
    ))
}

#[tokio::test]
async fn keys_are_fetched_once_for_many_tokens() {
    let signer = Signer::rsa();
    let published = Published::new(signer.set("one"));
    let issuers = table(&published.server);
    issuers.warm();
    let token = signer.token(json!({"alg": "RS256", "kid": "one"}), &claims(json!({})));
    let (first, second) = tokio::join!(judged(&issuers, &token), judged(&issuers, &token));
    assert_eq!(first.0, granted("alice@example.org"));
    assert_eq!(second.0, granted("alice@example.org"));
    assert_eq!(
        judged(&issuers, &token).await.0,
        granted("alice@example.org")
    );
    let heard = published.server.heard();
    assert_eq!(heard.len(), 1);
    assert!(
        heard[0].head.starts_with("GET /token HTTP/1.1"),
        "{}",
        heard[0].head
    );
}

#[tokio::test]
async fn a_new_key_is_fetched_when_a_token_has_it() {
    let old = Signer::p256();
    let published = Published::new(old.set("old"));
    let source = published.source(after(0));
    let keys = source.keys().await.unwrap();
    assert!(source.newer(&keys).await.is_some(), "fetched again at once");

    let new = Signer::p256();
    let issuers = table(&published.server);
    let header = |id: &str| json!({"alg": "ES256", "kid": id});
    let token = old.token(header("old"), &claims(json!({})));
    assert_eq!(
        judged(&issuers, &token).await.0,
        granted("alice@example.org")
    );
    published.publish(json!({"keys": [old.jwk("old"), new.jwk("new")]}).to_string());
    // A stranger's key identifier costs the issuer at most one request in half a minute, and the
    // new key is there after the next.
    let before = published.server.count();
    let token = new.token(header("new"), &claims(json!({})));
    for _ in 0..3 {
        let (verdict, reason) = judged(&issuers, &token).await;
        assert_eq!(verdict, Verdict::Refused);
        assert!(reason.contains("key"), "{reason}");
    }
    assert_eq!(published.server.count(), before);
}

#[tokio::test]
async fn unknown_keys_do_not_make_a_flood() {
    let published = Published::new(Signer::p256().set("one"));
    let source = published.source(after(200));
    let keys = source.keys().await.unwrap();
    for _ in 0..20 {
        assert!(source.newer(&keys).await.is_none());
    }
    assert_eq!(published.server.count(), 1);
    tokio::time::sleep(Duration::from_millis(250)).await;
    let newer = source.newer(&keys).await.unwrap();
    for _ in 0..20 {
        assert!(source.newer(&newer).await.is_none());
    }
    assert_eq!(published.server.count(), 2);
}

#[tokio::test]
async fn old_keys_stay_while_the_issuer_is_away() {
    let published = Published::new(Signer::p256().set("one"));
    let source = published.source(Pace {
        refresh: Duration::ZERO,
        ..after(0)
    });
    let keys = source.keys().await.unwrap();
    published.away.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        // Stale, so each use fetches in the background; nobody waits, nothing is lost.
        assert!(Arc::ptr_eq(&source.keys().await.unwrap(), &keys));
        soon().await;
    }
    assert!(published.server.count() >= 3);
    published.away.store(false, Ordering::SeqCst);
    published.publish(Signer::p256().set("two"));
    let _ = source.keys().await.unwrap();
    soon().await;
    assert!(!Arc::ptr_eq(&source.keys().await.unwrap(), &keys));
}

#[tokio::test]
async fn r4954_6_b_without_keys_nobody_can_tell() {
    let published = Published::new("{}".into());
    published.away.store(true, Ordering::SeqCst);
    let issuers = table(&published.server);
    let signer = Signer::p256();
    let token = signer.token(json!({"alg": "ES256", "kid": "one"}), &claims(json!({})));
    let presented = Presented {
        authorization: "",
        user: "",
        token: &token,
    };
    for _ in 0..10 {
        // Our trouble is not counted against the peer: nobody waits.
        let began = std::time::Instant::now();
        let verdict = issuers.judge([192, 0, 2, 1].into(), &presented).await;
        assert_eq!(verdict, Verdict::Unavailable);
        assert!(began.elapsed() < Duration::from_millis(900));
    }
    assert_eq!(published.server.count(), 1, "asked once in five seconds");
}

#[tokio::test]
async fn documents_that_make_no_sense_are_no_keys() {
    for answer in [
        || Answer::Json(200, "[]".into()),
        || Answer::Json(200, "{\"keys\":[]}".into()),
        || Answer::Json(404, "{\"keys\":[]}".into()),
        || {
            Answer::Raw(
                b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
                    .to_vec(),
            )
        },
        || Answer::Raw(b"nonsense".to_vec()),
        || Answer::Endless,
    ] {
        let server = Server::new(move |_, _| answer());
        let keys = KeySource::Url(server.url());
        let source = Arc::new(Source::new(
            "test",
            keys,
            after(0),
            Arc::new(Semaphore::new(2)),
        ));
        assert!(source.keys().await.is_err());
    }
}

#[tokio::test]
async fn keys_are_found_by_the_issuers_own_document() {
    let signer = Signer::rsa();
    let set = signer.set("one");
    let address = Arc::new(Mutex::new(String::new()));
    let own = Arc::clone(&address);
    let server = Server::new(move |_, request| {
        let issuer = own.lock().unwrap().clone();
        let path = request.head.split(' ').nth(1).unwrap_or_default();
        match path {
            "/token/.well-known/openid-configuration" => Answer::Json(
                200,
                json!({"issuer": issuer, "jwks_uri": format!("{issuer}/keys")}).to_string(),
            ),
            "/token/keys" => Answer::Json(200, set.clone()),
            _ => Answer::Json(404, "{}".into()),
        }
    });
    *address.lock().unwrap() = server.url();
    let table = |issuer: &str| {
        issuers(&format!(
            "[[auth.issuer]]\nissuer = \"{issuer}\"\naudience = \"{}\"\n",
            super::AUDIENCE
        ))
    };
    let token = |issuer: &str| {
        signer.token(
            json!({"alg": "RS256", "kid": "one"}),
            &claims(json!({"iss": issuer})),
        )
    };
    let url = server.url();
    let (verdict, reason) = judged(&table(&url), &token(&url)).await;
    assert_eq!(verdict, granted("alice@example.org"), "{reason}");
    // OpenID Connect Discovery 1.0 section 4.3: another's document is none.
    let slash = format!("{url}/");
    assert_eq!(
        judged(&table(&slash), &token(&slash)).await.0,
        Verdict::Unavailable
    );
}

#[tokio::test]
async fn a_file_of_keys_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let (old, new) = (Signer::p256(), Signer::p256());
    std::fs::write(&path, old.set("old")).unwrap();
    let keys = KeySource::File(path.clone());
    let source = Arc::new(Source::new(
        "test",
        keys,
        after(0),
        Arc::new(Semaphore::new(1)),
    ));
    let first = source.keys().await.unwrap();
    std::fs::write(&path, new.set("new")).unwrap();
    let second = source.newer(&first).await.unwrap();
    let fits = |set: &super::super::keys::KeySet, id: &str| {
        set.fitting(Some(id), jsonwebtoken::Algorithm::ES256)
            .count()
    };
    assert_eq!((fits(&first, "old"), fits(&first, "new")), (1, 0));
    assert_eq!((fits(&second, "old"), fits(&second, "new")), (0, 1));
    std::fs::remove_file(&path).unwrap();
    assert!(source.newer(&second).await.is_none());
    assert!(Arc::ptr_eq(&source.keys().await.unwrap(), &second));
}
