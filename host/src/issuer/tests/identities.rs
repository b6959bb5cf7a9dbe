//! Who somebody is, and what a token must be good for.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use serde_json::json;

use super::super::Presented;
use super::signer::Signer;
use super::{Issuers, beside, claims, granted, in_seconds, judged, with_keys};
use crate::users::Verdict;
use crate::users::refusal::heard;

struct World {
    signer: Signer,
    _folder: tempfile::TempDir,
    issuers: Issuers,
}

impl World {
    fn new(more: &str) -> Self {
        let signer = Signer::p256();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        std::fs::write(&path, signer.set("k")).unwrap();
        Self {
            issuers: with_keys(&path, more),
            signer,
            _folder: folder,
        }
    }

    fn token(&self, changes: serde_json::Value) -> String {
        self.signer
            .token(json!({"alg": "ES256", "kid": "k"}), &claims(changes))
    }
}

#[tokio::test]
async fn the_first_claim_that_is_there_names_the_user() {
    let world = World::new("");
    for (changes, identity) in [
        (json!({"email": "Alice@Example.ORG"}), "alice@example.org"),
        (
            json!({"email": null, "preferred_username": "alice@example.org", "sub": "scan"}),
            "alice@example.org",
        ),
        (
            json!({"email": null, "upn": "alice@example.org"}),
            "alice@example.org",
        ),
        (json!({"email": "", "sub": "scan"}), "scan"),
        (json!({"email": "scan@mail.example.org"}), "scan"),
        (json!({"email_verified": true}), "alice@example.org"),
        // OpenID Connect Core 1.0 section 5.1: anybody can write another's address there.
        (json!({"email_verified": false, "sub": "scan"}), "scan"),
        (json!({"email_verified": "false", "sub": "scan"}), "scan"),
    ] {
        let token = world.token(changes.clone());
        let (verdict, reason) = judged(&world.issuers, &token).await;
        assert_eq!(verdict, granted(identity), "{changes}: {reason}");
    }
    let world = World::new("user-claims = [\"upn\"]");
    let token = world.token(json!({"upn": "scan"}));
    assert_eq!(judged(&world.issuers, &token).await.0, granted("scan"));
    let (verdict, reason) = judged(&world.issuers, &world.token(json!({}))).await;
    assert_eq!(verdict, Verdict::Refused);
    assert!(reason.contains("user-claims"), "{reason}");
}

#[tokio::test]
async fn who_has_no_record_is_nobody_unless_the_domain_is_enough() {
    let strangers = [
        "carol@example.org",
        "carol@example.net",
        "carol",
        "a b@example.org",
        "carol@example.org\r\nx",
    ];
    let world = World::new("");
    for name in strangers {
        let world = World::new("");
        let token = world.token(json!({"email": name}));
        assert_eq!(
            judged(&world.issuers, &token).await.0,
            Verdict::Refused,
            "{name}"
        );
    }
    let token = world.token(json!({"email": "bob@example.org"}));
    assert_eq!(judged(&world.issuers, &token).await.0, Verdict::Disabled);

    let world = World::new("domains = [\"Example.org\"]");
    let token = world.token(json!({"email": "Carol@EXAMPLE.org"}));
    assert_eq!(
        judged(&world.issuers, &token).await.0,
        granted("carol@example.org")
    );
    let token = world.token(json!({"email": "bob@example.org"}));
    assert_eq!(judged(&world.issuers, &token).await.0, Verdict::Disabled);
    for name in &strangers[1..] {
        let world = World::new("domains = [\"example.org\"]");
        let token = world.token(json!({"email": name}));
        assert_eq!(
            judged(&world.issuers, &token).await.0,
            Verdict::Refused,
            "{name}"
        );
    }
}

#[tokio::test]
async fn xoa_2_r7628_3_1_the_name_beside_a_token_must_be_its_own() {
    for domains in ["", "domains = [\"example.org\"]"] {
        let good = World::new(domains);
        let token = good.token(json!({}));
        for (user, authorization) in [
            ("alice@example.org", ""),
            ("ALICE@example.org", ""),
            ("", "alice@example.org"),
            ("EXAMPLE.ORG\\alice", "alice@example.org"),
        ] {
            let (verdict, reason) = beside(&good.issuers, &token, user, authorization).await;
            assert_eq!(verdict, granted("alice@example.org"), "{user}: {reason}");
        }
        for (user, authorization) in [
            ("scan", ""),
            ("bob@example.org", ""),
            ("carol@example.org", ""),
            ("alice", ""),
            ("alice@example.org", "scan"),
            ("", "postmaster"),
        ] {
            let world = World::new(domains);
            let token = world.token(json!({}));
            let (verdict, reason) = beside(&world.issuers, &token, user, authorization).await;
            assert_eq!(verdict, Verdict::Refused, "{user} {authorization}");
            assert!(reason.contains("alice@example.org"), "{reason}");
        }
    }
}

#[tokio::test]
async fn scopes_roles_and_clients_that_are_asked_for_must_be_there() {
    let more = "scope = \"openid SMTP.Send\"\nclients = [\"app-1\", \"app-2\"]";
    for changes in [
        json!({"scope": "SMTP.Send openid more", "azp": "app-1"}),
        json!({"scp": "openid", "roles": ["SMTP.Send"], "appid": "app-2"}),
        json!({"scp": ["openid", "SMTP.Send"], "client_id": "app-1"}),
    ] {
        let world = World::new(more);
        let (verdict, reason) = judged(&world.issuers, &world.token(changes.clone())).await;
        assert_eq!(verdict, granted("alice@example.org"), "{changes}: {reason}");
    }
    for (changes, why) in [
        (json!({"azp": "app-1"}), "openid"),
        (json!({"scope": "openid", "azp": "app-1"}), "SMTP.Send"),
        (
            json!({"scope": "openid smtp.send", "azp": "app-1"}),
            "SMTP.Send",
        ),
        (
            json!({"scope": {"openid": 1, "SMTP.Send": 1}, "azp": "app-1"}),
            "openid",
        ),
        (json!({"scope": "openid SMTP.Send"}), "client"),
        (
            json!({"scope": "openid SMTP.Send", "azp": "app-3", "appid": "app-1"}),
            "app-3",
        ),
    ] {
        let world = World::new(more);
        let (verdict, reason) = judged(&world.issuers, &world.token(changes.clone())).await;
        assert_eq!(verdict, Verdict::Refused, "{changes}");
        assert!(reason.contains(why), "{changes}: {reason}");
    }
}

/// How long a verdict on a token takes a peer.
async fn taken(issuers: &Issuers, peer: &str, token: &str) -> Duration {
    let presented = Presented {
        authorization: "",
        user: "alice@example.org",
        token,
    };
    let peer: IpAddr = peer.parse().unwrap();
    let began = Instant::now();
    let _ = heard(issuers.judge(peer, &presented)).await;
    began.elapsed()
}

#[tokio::test]
async fn guessing_slows_a_machine_and_nobody_who_is_named() {
    let world = World::new("");
    let forged = Signer::p256().token(json!({"alg": "ES256", "kid": "k"}), &claims(json!({})));
    let good = world.token(json!({}));
    let soon = Duration::from_millis(500);
    for _ in 0..3 {
        assert!(taken(&world.issuers, "192.0.2.1", &forged).await < soon);
    }
    assert!(taken(&world.issuers, "192.0.2.1", &forged).await >= Duration::from_secs(1));
    assert!(taken(&world.issuers, "192.0.2.2", &good).await < soon);
    // However many machines name her.
    for last in 10..60 {
        taken(&world.issuers, &format!("198.51.100.{last}"), &forged).await;
    }
    assert!(taken(&world.issuers, "192.0.2.3", &good).await < soon);
}

#[tokio::test]
async fn a_token_that_has_run_out_is_no_guess() {
    let world = World::new("");
    let old = world.token(json!({"exp": in_seconds(-3600)}));
    for _ in 0..10 {
        assert!(taken(&world.issuers, "192.0.2.1", &old).await < Duration::from_millis(500));
    }
}
