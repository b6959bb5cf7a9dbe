//! What is verified of a signed token (RFC 7519 section 7.2, RFC 8725).

use serde_json::{Value, json};

use super::signer::{Signer, unsigned};
use super::{Issuers, claims, granted, in_seconds, issuers, judged, with_keys};
use crate::users::Verdict;

/// A file with this in it, as long as the folder is kept.
fn file(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

/// An issuer with one key, whose identifier is `k`.
fn issuer_of(signer: &Signer, more: &str) -> (tempfile::TempDir, Issuers) {
    let (folder, path) = file(&signer.set("k"));
    let issuers = with_keys(&path, more);
    (folder, issuers)
}

/// The reason for a token that is refused.
async fn refused(issuers: &Issuers, token: &str) -> String {
    let (verdict, reason) = judged(issuers, token).await;
    assert_eq!(verdict, Verdict::Refused, "{reason}");
    reason
}

#[tokio::test]
async fn every_algorithm_of_every_kind_of_key_is_verified() {
    let kinds: [(Signer, &[&str]); 4] = [
        (
            Signer::rsa(),
            &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
        ),
        (Signer::p256(), &["ES256"]),
        (Signer::p384(), &["ES384"]),
        (Signer::ed(), &["EdDSA"]),
    ];
    for (signer, algorithms) in &kinds {
        for text in [signer.set("k"), signer.jwk("k").to_string(), signer.pem()] {
            let (_folder, path) = file(&text);
            let issuers = with_keys(&path, "");
            for algorithm in *algorithms {
                let header = json!({"alg": algorithm, "kid": "k", "typ": "at+jwt"});
                let token = signer.token(header, &claims(json!({})));
                let (verdict, reason) = judged(&issuers, &token).await;
                assert_eq!(
                    verdict,
                    granted("alice@example.org"),
                    "{algorithm}: {reason}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_shared_secret_signs_by_hs_and_nothing_else_does() {
    use std::os::unix::fs::PermissionsExt as _;
    let secret = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let (_folder, path) = file(secret);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let signer = Signer::Secret(secret.into());
    let table = |more: &str| {
        issuers(&format!(
            "[[auth.issuer]]\nissuer = \"{}\"\naudience = \"{}\"\nshared-secret-file = {path:?}\n{more}",
            super::ISSUER,
            super::AUDIENCE
        ))
    };
    let all = table("");
    for algorithm in ["HS256", "HS384", "HS512"] {
        let token = signer.token(json!({"alg": algorithm}), &claims(json!({})));
        assert_eq!(judged(&all, &token).await.0, granted("alice@example.org"));
    }
    let rsa = Signer::rsa().token(json!({"alg": "RS256"}), &claims(json!({})));
    refused(&all, &rsa).await;
    let few = table("algorithms = [\"HS512\"]");
    let token = signer.token(json!({"alg": "HS256"}), &claims(json!({})));
    assert!(refused(&few, &token).await.contains("algorithm"));
    // RFC 7518 section 3.2.
    std::fs::write(&path, "short").unwrap();
    let token = signer.token(json!({"alg": "HS256"}), &claims(json!({})));
    assert_eq!(judged(&table(""), &token).await.0, Verdict::Unavailable);
}

#[tokio::test]
async fn no_token_chooses_what_a_key_means() {
    let rsa = Signer::rsa();
    let (_folder, issuers) = issuer_of(&rsa, "");
    let good = claims(json!({}));
    // RFC 8725 section 2.1: the public key as the secret of an HMAC.
    for secret in [rsa.pem().into_bytes(), rsa.set("k").into_bytes()] {
        let token = Signer::Secret(secret).token(json!({"alg": "HS256", "kid": "k"}), &good);
        assert!(refused(&issuers, &token).await.contains("algorithm"));
    }
    for name in ["none", "None", "NONE", "nOnE", ""] {
        let message = unsigned(&json!({"alg": name}), &good);
        refused(&issuers, &format!("{message}.")).await;
        refused(&issuers, &format!("{message}.AAAA")).await;
    }
    // A key of another kind under the same identifier.
    for (signer, algorithm) in [
        (Signer::p256(), "ES256"),
        (Signer::ed(), "EdDSA"),
        (Signer::rsa(), "RS256"),
        (Signer::rsa(), "PS256"),
    ] {
        let token = signer.token(json!({"alg": algorithm, "kid": "k"}), &good);
        refused(&issuers, &token).await;
    }
    // RFC 8725 section 3.10: keys that a token brings along, or says where to get.
    let thief = Signer::rsa();
    let header = json!({
        "alg": "RS256",
        "jwk": thief.jwk("k"),
        "jku": "http://127.0.0.1:1/jwks",
        "x5u": "http://127.0.0.1:1/x5u",
    });
    assert!(
        refused(&issuers, &thief.token(header, &good))
            .await
            .contains("signature")
    );
}

#[tokio::test]
async fn what_a_key_is_not_meant_for_it_is_not_good_for() {
    let signer = Signer::rsa();
    let with = |changes: Value| {
        let mut key = signer.jwk("k");
        for (name, value) in changes.as_object().unwrap() {
            key[name] = value.clone();
        }
        file(&json!({"keys": [key, Signer::p256().jwk("other"), {"kty": "new"}, 1]}).to_string())
    };
    let token = signer.token(json!({"alg": "RS256", "kid": "k"}), &claims(json!({})));
    for changes in [
        json!({"use": "enc"}),
        json!({"alg": "PS256"}),
        json!({"alg": "RSA-OAEP"}),
        json!({"key_ops": ["encrypt"]}),
    ] {
        let (_folder, path) = with(changes);
        refused(&with_keys(&path, ""), &token).await;
    }
    for changes in [json!({"alg": "RS256"}), json!({"key_ops": ["verify"]})] {
        let (_folder, path) = with(changes);
        let (verdict, reason) = judged(&with_keys(&path, ""), &token).await;
        assert_eq!(verdict, granted("alice@example.org"), "{reason}");
    }
    // A symmetric key that was published, by mistake or not.
    let secret = Signer::Secret(vec![7; 64]);
    let (_folder, path) = file(&json!({"keys": [secret.jwk("k"), signer.jwk("r")]}).to_string());
    let token = secret.token(json!({"alg": "HS256", "kid": "k"}), &claims(json!({})));
    refused(&with_keys(&path, ""), &token).await;
}

#[tokio::test]
async fn r4954_6_a_claims_that_do_not_hold_are_refused() {
    let signer = Signer::p256();
    let (_folder, issuers) = issuer_of(&signer, "leeway = \"30s\"");
    let header = || json!({"alg": "ES256", "kid": "k"});
    for (changes, why) in [
        (json!({"exp": in_seconds(-40)}), "expired"),
        (json!({"exp": null}), "exp"),
        (json!({"exp": "tomorrow"}), "exp"),
        (json!({"nbf": in_seconds(60)}), "not good yet"),
        (json!({"nbf": "now"}), "nbf"),
        (json!({"iat": in_seconds(60)}), "not good yet"),
        (json!({"iat": "now"}), "iat"),
        (json!({"aud": "api://other"}), "audience"),
        (json!({"aud": ["api://other", "api://mail2"]}), "audience"),
        (json!({"aud": null}), "aud"),
        (json!({"aud": ""}), "audience"),
        (json!({"iss": null}), "issuer"),
        (json!({"iss": "https://login.example.org/"}), "issuer"),
        (json!({"iss": "https://login.example.com"}), "issuer"),
        (
            json!({"iss": [super::ISSUER, "https://login.example.com"]}),
            "issuer",
        ),
        (json!({"cnf": {"jkt": "x"}}), "bound"),
    ] {
        let token = signer.token(header(), &claims(changes.clone()));
        let reason = refused(&issuers, &token).await;
        assert!(reason.contains(why), "{changes}: {reason}");
    }
    for changes in [
        json!({"exp": in_seconds(-20)}),
        json!({"exp": 0.5 + in_seconds(60) as f64}),
        json!({"nbf": in_seconds(20), "iat": in_seconds(20)}),
        json!({"nbf": null, "iat": null}),
        json!({"aud": ["api://other", super::AUDIENCE]}),
    ] {
        let token = signer.token(header(), &claims(changes.clone()));
        let (verdict, reason) = judged(&issuers, &token).await;
        assert_eq!(verdict, granted("alice@example.org"), "{changes}: {reason}");
    }
}

#[tokio::test]
async fn headers_that_ask_for_more_are_refused() {
    let signer = Signer::p256();
    let (_folder, issuers) = issuer_of(&signer, "");
    for (header, why) in [
        // RFC 7515 section 4.1.11
        (
            json!({"alg": "ES256", "crit": ["exp"], "exp": 1}),
            "understood",
        ),
        // RFC 8725 section 3.11
        (json!({"alg": "ES256", "typ": "logout+jwt"}), "type"),
        (json!({"alg": "ES256", "typ": "dpop+jwt"}), "type"),
        (json!({"alg": "ES256", "kid": "other"}), "key"),
        (json!({"alg": "RS256", "kid": "k"}), "key"),
        (json!({"alg": "XX256", "kid": "k"}), "read"),
        (json!({"kid": "k"}), "read"),
    ] {
        let token = signer.token(header.clone(), &claims(json!({})));
        let reason = refused(&issuers, &token).await;
        assert!(reason.contains(why), "{header}: {reason}");
    }
    for typ in ["JWT", "at+jwt", "application/at+JWT"] {
        let token = signer.token(json!({"alg": "ES256", "typ": typ}), &claims(json!({})));
        assert_eq!(
            judged(&issuers, &token).await.0,
            granted("alice@example.org")
        );
    }
}

#[tokio::test]
async fn an_octet_that_changed_is_noticed() {
    let signer = Signer::ed();
    let (_folder, issuers) = issuer_of(&signer, "");
    let token = signer.token(json!({"alg": "EdDSA", "kid": "k"}), &claims(json!({})));
    let [header, claims_part, signature]: [&str; 3] =
        token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let other = signer.token(
        json!({"alg": "EdDSA", "kid": "k"}),
        &claims(json!({"email": "bob@example.org"})),
    );
    let other: Vec<&str> = other.split('.').collect();
    for bad in [
        format!("{header}.{}.{signature}", other[1]),
        format!("{header}.{claims_part}.{}", other[2]),
        format!("{header}.{claims_part}."),
        format!("{header}.{claims_part}"),
        format!("{header}.{claims_part}.{signature}.{signature}"),
        format!("{header}.{claims_part}.{signature}="),
        format!("{header}..{signature}"),
    ] {
        refused(&issuers, &bad).await;
    }
}

#[test]
fn files_that_hold_no_keys_say_so() {
    use super::super::keys::KeySet;
    for (text, why) in [
        ("", "neither"),
        ("hello", "neither"),
        ("{", "no JSON"),
        ("{}", "\"keys\""),
        ("{\"keys\": 1}", "no list"),
        ("{\"keys\": []}", "no key"),
        (
            "{\"keys\": [{\"kty\": \"oct\", \"k\": \"AAAA\"}]}",
            "no key",
        ),
        (
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
            "cannot be read",
        ),
        (
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            "private keys",
        ),
    ] {
        let error = KeySet::parse(text.as_bytes()).unwrap_err();
        assert!(error.contains(why), "{text}: {error}");
    }
    let certificate = rcgen::generate_simple_self_signed(["login.example.org".to_owned()]).unwrap();
    let set = KeySet::parse(certificate.cert.pem().as_bytes()).unwrap();
    assert_eq!(set.len(), 1);
}
