//! An issuer that is asked (RFC 7662).

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::signer::Signer;
use super::{Issuers, claims, granted, in_seconds, issuers, judged};
use crate::oauth::tests::server::{Answer, Server};
use crate::users::Verdict;

struct Asked {
    server: Server,
    says: Arc<Mutex<(u16, Value)>>,
    folder: tempfile::TempDir,
}

impl Asked {
    fn new(says: Value) -> Self {
        let says = Arc::new(Mutex::new((200, says)));
        let own = Arc::clone(&says);
        let server = Server::new(move |_, _| {
            let (status, body) = own.lock().unwrap().clone();
            Answer::Json(status, body.to_string())
        });
        let folder = tempfile::tempdir().unwrap();
        Self {
            server,
            says,
            folder,
        }
    }

    fn say(&self, status: u16, says: Value) {
        *self.says.lock().unwrap() = (status, says);
    }

    fn secret_file(&self) -> PathBuf {
        let path = self.folder.path().join("secret");
        std::fs::write(&path, "s3cret").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn issuers(&self, more: &str) -> Issuers {
        let (url, file) = (self.server.url(), self.secret_file());
        issuers(&format!(
            "[[auth.issuer]]\nintrospection-url = \"{url}\"\nclient-id = \"mail server\"\n\
             client-secret-file = {file:?}\n{more}\n"
        ))
    }
}

#[tokio::test]
async fn the_issuer_is_asked_once_in_a_while() {
    let asked = Asked::new(json!({"active": true, "username": "alice@example.org"}));
    let issuers = asked.issuers("");
    for _ in 0..3 {
        assert_eq!(
            judged(&issuers, "opaque-1").await.0,
            granted("alice@example.org")
        );
    }
    let heard = asked.server.heard();
    assert_eq!(heard.len(), 1, "the answer is kept");
    assert_eq!(heard[0].field("token"), Some("opaque-1"));
    assert_eq!(heard[0].field("token_type_hint"), Some("access_token"));
    // RFC 6749 section 2.3.1: "mail server" and "s3cret", encoded as in a form.
    let basic = "bWFpbCtzZXJ2ZXI6czNjcmV0";
    assert!(
        heard[0]
            .head
            .to_lowercase()
            .contains("authorization: basic")
    );
    assert!(heard[0].head.contains(basic), "{}", heard[0].head);
    assert_eq!(
        judged(&issuers, "opaque-2").await.0,
        granted("alice@example.org")
    );
    assert_eq!(asked.server.count(), 2, "each token for itself");
}

#[tokio::test]
async fn nothing_is_kept_where_that_is_not_wanted_or_the_token_ends() {
    let asked = Asked::new(json!({"active": true, "username": "alice@example.org"}));
    let issuers = asked.issuers("cache = \"0s\"");
    for count in 1..=3 {
        assert_eq!(
            judged(&issuers, "opaque").await.0,
            granted("alice@example.org")
        );
        assert_eq!(asked.server.count(), count);
    }
    let issuers = asked.issuers("");
    let end = in_seconds(-5);
    asked.say(
        200,
        json!({"active": true, "username": "alice@example.org", "exp": end}),
    );
    for count in 4..=5 {
        // Within the leeway.
        assert_eq!(
            judged(&issuers, "opaque").await.0,
            granted("alice@example.org")
        );
        assert_eq!(asked.server.count(), count);
    }
}

#[tokio::test]
async fn what_is_not_active_or_does_not_hold_is_refused() {
    let good = json!({
        "active": true,
        "username": "alice@example.org",
        "scope": "openid smtp",
        "client_id": "thunderbird",
        "aud": super::AUDIENCE,
        "iss": super::ISSUER,
    });
    let asked = Asked::new(good.clone());
    let issuers = asked.issuers(&format!(
        "issuer = \"{}\"\naudience = [\"{}\"]\nscope = \"smtp\"\nclients = [\"thunderbird\"]",
        super::ISSUER,
        super::AUDIENCE
    ));
    assert_eq!(
        judged(&issuers, "good").await.0,
        granted("alice@example.org")
    );
    for (changes, why) in [
        (json!({"active": false}), "not active"),
        (json!({"scope": "openid smtps"}), "scope"),
        (json!({"scope": ["openid", "imap"]}), "scope"),
        (json!({"client_id": "stranger"}), "client"),
        (json!({"aud": "api://other"}), "audience"),
        (json!({"aud": 1}), "audience"),
        (
            json!({"iss": "https://login.example.com"}),
            "another issuer",
        ),
        (json!({"exp": in_seconds(-120)}), "expired"),
        (json!({"exp": "soon"}), "exp"),
        (json!({"nbf": in_seconds(120)}), "not good yet"),
        (json!({"username": 1}), "claims"),
    ] {
        let mut says = good.clone();
        for (name, value) in changes.as_object().unwrap() {
            says[name] = value.clone();
        }
        asked.say(200, says);
        // (A machine that fails is slowed down; here each is a new one.)
        let issuers = asked.issuers(&format!(
            "issuer = \"{}\"\naudience = [\"{}\"]\nscope = \"smtp\"\nclients = [\"thunderbird\"]",
            super::ISSUER,
            super::AUDIENCE
        ));
        let (verdict, reason) = judged(&issuers, "token").await;
        assert_eq!(verdict, Verdict::Refused, "{changes}");
        assert!(reason.contains(why), "{changes}: {reason}");
    }
}

#[tokio::test]
async fn r4954_6_b_an_issuer_that_cannot_be_asked_is_no_refusal() {
    let asked = Asked::new(json!({}));
    for (status, says) in [
        (200, json!({})),
        (200, json!({"active": "true"})),
        (200, json!([])),
        (500, json!({})),
        (
            404,
            json!({"active": true, "username": "alice@example.org"}),
        ),
        (401, json!({"error": "invalid_client"})),
    ] {
        asked.say(status, says.clone());
        let issuers = asked.issuers("");
        assert_eq!(
            judged(&issuers, "token").await.0,
            Verdict::Unavailable,
            "{status} {says}"
        );
    }
    // The other way to show the secret was tried.
    let heard = asked.server.heard();
    let last = heard.last().unwrap();
    assert_eq!(last.field("client_secret"), Some("s3cret"));
    assert!(!last.head.to_lowercase().contains("authorization:"));
    let issuers = asked.issuers("");
    std::fs::remove_file(asked.folder.path().join("secret")).unwrap();
    assert_eq!(judged(&issuers, "token").await.0, Verdict::Unavailable);
}

#[tokio::test]
async fn a_token_is_shown_to_its_own_judge_alone() {
    let signer = Signer::p256();
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    std::fs::write(&keys, signer.set("k")).unwrap();
    let asked = Asked::new(json!({"active": true, "username": "alice@example.org"}));
    let (url, secret) = (asked.server.url(), asked.secret_file());
    let signed = format!(
        "[[auth.issuer]]\nissuer = \"{}\"\naudience = \"{}\"\nkey-file = {keys:?}\n",
        super::ISSUER,
        super::AUDIENCE
    );
    let asks = |issuer: &str| {
        format!(
            "{signed}[[auth.issuer]]\n{issuer}introspection-url = \"{url}\"\nclient-id = \"m\"\n\
             client-secret-file = {secret:?}\n"
        )
    };
    let header = || json!({"alg": "ES256", "kid": "k"});
    let own = signer.token(header(), &claims(json!({})));
    let foreign = signer.token(
        header(),
        &claims(json!({"iss": "https://elsewhere.example"})),
    );

    let named = issuers(&asks("issuer = \"https://other.example\"\n"));
    assert_eq!(judged(&named, &own).await.0, granted("alice@example.org"));
    let (verdict, reason) = judged(&named, &foreign).await;
    assert_eq!(verdict, Verdict::Refused);
    assert!(reason.contains("https://elsewhere.example"), "{reason}");
    assert_eq!(asked.server.count(), 0);
    assert_eq!(
        judged(&named, "opaque").await.0,
        granted("alice@example.org")
    );

    let any = issuers(&asks(""));
    assert_eq!(judged(&any, &own).await.0, granted("alice@example.org"));
    assert_eq!(asked.server.count(), 1, "its signature was enough");
    assert_eq!(judged(&any, &foreign).await.0, granted("alice@example.org"));
    assert_eq!(asked.server.count(), 2);
    // Where the signature is wrong, nobody else is asked.
    let forged = Signer::p256().token(header(), &claims(json!({})));
    assert_eq!(judged(&any, &forged).await.0, Verdict::Refused);
    assert_eq!(asked.server.count(), 2);
}
