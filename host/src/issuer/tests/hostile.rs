//! Octets that are no tokens: refused, whatever they are, and never more than that.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use proptest::prelude::*;
use serde_json::json;

use super::super::jwt::{self, Rules};
use super::super::keys::KeySet;
use super::signer::{Signer, unsigned};
use super::{claims, judged, with_keys};
use crate::users::Verdict;
use jsonwebtoken::Algorithm;

const ALL: [Algorithm; 4] = [
    Algorithm::RS256,
    Algorithm::ES256,
    Algorithm::EdDSA,
    Algorithm::PS256,
];

fn try_all(token: &str, keys: &KeySet) {
    let audiences = [super::AUDIENCE.to_owned()];
    let rules = Rules {
        issuer: super::ISSUER,
        audiences: &audiences,
        algorithms: &ALL,
        leeway: std::time::Duration::from_secs(60),
    };
    let _ = jwt::issuer(token);
    assert!(jwt::verify(token, &rules, keys).is_err());
}

fn keys() -> KeySet {
    let set = json!({"keys": [Signer::p256().jwk("k"), Signer::ed().jwk("k")]});
    KeySet::parse(set.to_string().as_bytes()).unwrap()
}

fn part(text: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(text)
}

#[tokio::test]
async fn huge_deep_and_odd_tokens_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    std::fs::write(&path, Signer::p256().set("k")).unwrap();
    let header = part("{\"alg\":\"ES256\",\"kid\":\"k\"}");
    let deep = format!("{{\"iss\":{}1{}}}", "[".repeat(4000), "]".repeat(4000));
    let objects = format!("{}1{}", "{\"iss\":".repeat(1000), "}".repeat(1000));
    let many = format!("{{{}\"iss\":1}}", "\"a\":1,".repeat(1500));
    for token in [
        String::new(),
        ".".into(),
        "..".into(),
        "...".into(),
        "a.b.c".into(),
        " ".into(),
        "a b".into(),
        "\u{e9}".into(),
        "a\u{1}b".into(),
        "x".repeat(20 * 1024),
        format!("{header}.{}.AAAA", part(&deep)),
        format!("{header}.{}.AAAA", part(&objects)),
        format!("{header}.{}.AAAA", part(&many)),
        format!("{}.{}.AAAA", part(&deep), part("{}")),
        format!("{header}.{}.AAAA", part("null")),
        format!(
            "{header}.{}.AAAA",
            part("{\"iss\":\"https://login.example.org\",\"exp\":1e400}")
        ),
        format!("{header}.{}.AAAA", part("{\"exp\":-1,\"exp\":2}")),
        format!(
            "{header}.{}.AAAA",
            BASE64_URL_SAFE_NO_PAD.encode([0xff, 0xfe])
        ),
    ] {
        // A new one each: failures slow a machine down.
        let issuers = with_keys(&path, "");
        let (verdict, _) = judged(&issuers, &token).await;
        assert_eq!(verdict, Verdict::Refused, "{token:.60}");
    }
}

proptest! {
    #[test]
    fn no_octets_break_the_reader(token in "[ -~]{0,400}") {
        try_all(&token, &keys());
    }

    #[test]
    fn no_parts_break_the_reader(
        header in proptest::collection::vec(any::<u8>(), 0..60),
        body in proptest::collection::vec(any::<u8>(), 0..200),
        signature in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let part = |octets: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(octets);
        try_all(&format!("{}.{}.{}", part(&header), part(&body), part(&signature)), &keys());
    }

    #[test]
    fn no_header_or_claim_breaks_the_reader(
        alg in "(RS256|ES256|EdDSA|HS256|none|[a-zA-Z0-9]{0,6})",
        name in "(typ|cty|crit|jku|jwk|kid|x5u|x5c|enc|zip|b64|[a-z]{1,4})",
        value in "(null|true|1|-1|1e9|\"k\"|\\[\\]|\\[1\\]|\\{\\}|\"[a-z]{0,9}\")",
        claim in "(iss|aud|exp|nbf|iat|sub|cnf|email)",
        signature in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let value: serde_json::Value = serde_json::from_str(&value).unwrap();
        let message = unsigned(
            &json!({"alg": alg, (name): value.clone()}),
            &claims(json!({ (claim): value })),
        );
        let token = format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature));
        try_all(&token, &keys());
    }

    #[test]
    fn no_octets_break_the_reader_of_keys(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = KeySet::parse(&octets);
        let _ = KeySet::parse(&[b"-----BEGIN PUBLIC KEY-----\n", &octets[..]].concat());
    }

    #[test]
    fn no_member_breaks_the_reader_of_keys(
        kty in "(RSA|EC|OKP|oct|[a-z]{1,3})",
        name in "(n|e|x|y|k|crv|use|alg|key_ops|kid|x5c)",
        value in "(null|1|\"\"|\"AAAA\"|\"P-256\"|\"Ed25519\"|\\[\\]|\\[1\\])",
    ) {
        let value: serde_json::Value = serde_json::from_str(&value).unwrap();
        let set = json!({"keys": [{
            "kty": kty, "n": "AAAA", "e": "AQAB", "x": "AAAA", "y": "AAAA", "k": "AAAA",
            "crv": "P-256", (name): value,
        }]});
        if let Ok(keys) = KeySet::parse(set.to_string().as_bytes()) {
            try_all(&format!("{}.AAAA", unsigned(&json!({"alg": "ES256"}), &claims(json!({})))), &keys);
            try_all(&format!("{}.AAAA", unsigned(&json!({"alg": "RS256"}), &claims(json!({})))), &keys);
        }
    }
}
