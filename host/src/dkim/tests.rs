//! Signatures are checked by a verifier that is written here for that alone, step by step as RFC 6376
//! section 6 says it, and tried on the message of RFC 8463 appendix A.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use aws_lc_rs::signature::{ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::config;

/// The fields of a message with their CRLF, and its body.
fn taken_apart(message: &str) -> (Vec<String>, String) {
    let (header, body) = match message.split_once("\r\n\r\n") {
        Some((header, body)) => (format!("{header}\r\n"), body.to_owned()),
        None => (message.to_owned(), String::new()),
    };
    let mut fields: Vec<String> = Vec::new();
    for line in header.split_inclusive("\r\n") {
        match fields.last_mut() {
            Some(field) if line.starts_with([' ', '\t']) => field.push_str(line),
            _ => fields.push(line.to_owned()),
        }
    }
    (fields, body)
}

fn words(text: &str) -> String {
    text.split([' ', '\t'])
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// RFC 6376 section 3.4.2.
fn relaxed_field(field: &str) -> String {
    let (name, value) = field.split_once(':').unwrap();
    let value = words(&value.replace("\r\n", ""));
    format!("{}:{}\r\n", name.trim_end().to_lowercase(), value)
}

/// RFC 6376 section 3.4.4.
fn relaxed_body(body: &str) -> String {
    let mut lines: Vec<String> = body
        .split("\r\n")
        .map(|line| {
            let led = line.starts_with([' ', '\t']) && !words(line).is_empty();
            format!("{}{}", if led { " " } else { "" }, words(line))
        })
        .collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines.iter().map(|line| format!("{line}\r\n")).collect()
}

fn tags(field: &str) -> HashMap<String, String> {
    let (_, value) = field.split_once(':').unwrap();
    value
        .split(';')
        .filter_map(|tag| tag.split_once('='))
        .map(|(name, value)| {
            let value: String = value.split_ascii_whitespace().collect();
            (name.trim().to_owned(), value)
        })
        .collect()
}

/// Whether the signature at this place among the fields holds, with the `p=` of this key.
fn holds(message: &str, at: usize, public: &str) -> bool {
    let (fields, body) = taken_apart(message);
    let own = &fields[at];
    let tags = tags(own);
    let body_hash = STANDARD.encode(Sha256::digest(relaxed_body(&body)));
    if tags["v"] != "1" || tags["c"] != "relaxed/relaxed" || tags["bh"] != body_hash {
        return false;
    }
    let mut left: Vec<&String> = fields.iter().collect();
    let mut signed = String::new();
    for name in tags["h"].split(':') {
        let of_that_name = |field: &&String| {
            let (own, _) = field.split_once(':').unwrap_or_default();
            own.trim_end().eq_ignore_ascii_case(name)
        };
        if let Some(at) = left.iter().rposition(of_that_name) {
            signed.push_str(&relaxed_field(left.remove(at)));
        }
    }
    let value = &tags["b"];
    // The value of `b=` goes, with the white space in and around it.
    let start = own.rfind("b=").unwrap() + 2;
    assert_eq!(
        own[start..].split_ascii_whitespace().collect::<String>(),
        *value
    );
    let without = relaxed_field(&own[..start]);
    signed.push_str(without.strip_suffix("\r\n").unwrap());
    let public = STANDARD.decode(public).unwrap();
    let signature = STANDARD.decode(value).unwrap();
    match tags["a"].as_str() {
        "rsa-sha256" => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public)
            .verify(signed.as_bytes(), &signature)
            .is_ok(),
        "ed25519-sha256" => UnparsedPublicKey::new(&ED25519, public)
            .verify(&Sha256::digest(&signed), &signature)
            .is_ok(),
        other => panic!("{other}"),
    }
}

/// RFC 8463 appendix A.3, with the signature that is of Ed25519.
const OF_THE_STANDARD: &str = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n \
    d=football.example.com; i=@football.example.com;\r\n \
    q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n \
    subject : date : message-id : from : subject : date;\r\n \
    bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n \
    b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n \
    Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n\
    From: Joe SixPack <joe@football.example.com>\r\n\
    To: Suzie Q <suzie@shopping.example.net>\r\n\
    Subject: Is dinner ready?\r\n\
    Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n\
    Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\
    \r\n\
    Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n";

#[test]
fn r6409_8_5_the_verifier_of_these_tests_takes_the_message_of_rfc_8463() {
    let public = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    assert!(holds(OF_THE_STANDARD, 0, public));
    let changed = OF_THE_STANDARD.replace("hungry", "angry");
    assert!(!holds(&changed, 0, public));
    let changed = OF_THE_STANDARD.replace("Is dinner", "Was dinner");
    assert!(!holds(&changed, 0, public));
}

struct Keys {
    folder: tempfile::TempDir,
}

impl Keys {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        generate(&folder.path().join("rsa.pem"), Algorithm::Rsa, 2048).unwrap();
        generate(&folder.path().join("ed.pem"), Algorithm::Ed25519, 0).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn settings(&self, domain: &str, name: &str) -> config::Dkim {
        config::Dkim {
            domains: vec![domain.to_owned()],
            subdomains: false,
            selector: name.to_owned(),
            key: self.path(&format!("{name}.pem")),
            identity: None,
            expire: None,
        }
    }

    fn public(&self, name: &str) -> String {
        Key::load(&self.path(&format!("{name}.pem")))
            .unwrap()
            .public()
    }
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn signed(signers: &Signers, author: &str, message: &str) -> String {
    let digest = Digest::of(message.as_bytes()).unwrap();
    format!("{}{message}", signers.fields(author, &digest, now()))
}

const MESSAGE: &str = "Received: from a by b; Fri, 02 Jan 2026 03:04:05 +0000\r\n\
    From: Alice <alice@example.org>\r\nTo: bob@example.net\r\nSubject: a\r\n\tfolded   one \r\n\
    Date: Fri, 02 Jan 2026 03:04:05 +0000\r\nMessage-ID: <1@example.org>\r\n\
    X-Other: x\r\nMIME-Version: 1.0\r\n\r\n hello  world \r\n\r\n\r\n";

#[test]
fn r6409_8_5_both_algorithms_sign_side_by_side() {
    let keys = Keys::new();
    let mut rsa = keys.settings("example.org", "rsa");
    rsa.identity = Some("@example.org".into());
    rsa.expire = Some(Duration::from_secs(3600));
    let signers = Signers::new(&[rsa, keys.settings("Example.ORG", "ed")]).unwrap();
    let message = signed(&signers, "alice@EXAMPLE.org", MESSAGE);
    let (fields, _) = taken_apart(&message);
    let first = tags(&fields[0]);
    let second = tags(&fields[1]);
    assert_eq!(first["a"], "rsa-sha256");
    assert_eq!(first["d"], "example.org");
    assert_eq!(first["s"], "rsa");
    assert_eq!(first["i"], "@example.org");
    assert_eq!(first["t"], "1800000000");
    assert_eq!(first["x"], "1800003600");
    assert_eq!(second["a"], "ed25519-sha256");
    assert!(!second.contains_key("i") && !second.contains_key("x"));
    // Sealed, or signed where it is there; trace fields and unknown ones are not.
    assert_eq!(
        first["h"],
        "from:from:subject:subject:reply-to:cc:date:date:to:to:message-id:message-id:mime-version"
    );
    assert!(holds(&message, 0, &keys.public("rsa")));
    assert!(holds(&message, 1, &keys.public("ed")));
    for (from, to) in [
        ("Alice", "Malice"),
        ("hello", "Hello"),
        ("\r\nX-Other", "\r\nFrom: ceo@example.org\r\nX-Other"),
        ("\r\nX-Other", "\r\nSubject: b\r\nX-Other"),
        ("\r\nX-Other", "\r\nCc: c@example.org\r\nX-Other"),
    ] {
        let changed = message.replacen(from, to, 1);
        assert!(!holds(&changed, 0, &keys.public("rsa")), "{to}");
        assert!(!holds(&changed, 1, &keys.public("ed")), "{to}");
    }
    // What may happen on the way.
    let changed = message.replace("X-Other: x", "X-Other: y\r\nList-Id: <l.example.org>");
    assert!(holds(&changed, 0, &keys.public("rsa")));
    let above = format!("Received: from b by c; x\r\n{message}");
    assert!(holds(&above, 1, &keys.public("rsa")));
}

#[test]
fn r6409_8_5_a_message_that_is_signed_gets_one_more_signature() {
    let keys = Keys::new();
    let signers = Signers::new(&[keys.settings("example.org", "ed")]).unwrap();
    let once = signed(&signers, "a@example.org", MESSAGE);
    let twice = signed(&signers, "a@example.org", &once);
    assert!(holds(&twice, 0, &keys.public("ed")));
    assert!(holds(&twice, 1, &keys.public("ed")));
}

#[test]
fn r6409_8_5_the_authors_domain_signs_or_one_above_that_is_told_to() {
    let keys = Keys::new();
    let below = config::Dkim {
        subdomains: true,
        selector: "below".into(),
        ..keys.settings("example.org", "ed")
    };
    let signers = Signers::new(&[
        below,
        keys.settings("example.org", "rsa"),
        keys.settings("news.example.org", "ed"),
        keys.settings("example.net", "ed"),
        keys.settings("b\u{fc}cher.example", "ed"),
    ])
    .unwrap();
    let of = |author: &str| {
        signers
            .of(author)
            .iter()
            .map(|signer| format!("{}/{}", signer.selector, signer.domain))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        of("a@example.org"),
        ["below/example.org", "rsa/example.org"]
    );
    assert_eq!(of("a@x.y.Example.org"), ["below/example.org"]);
    // It has a key of its own.
    assert_eq!(of("a@news.example.org"), ["ed/news.example.org"]);
    assert_eq!(of("a@x.news.example.org"), ["below/example.org"]);
    assert_eq!(of("a@x.example.net"), Vec::<String>::new());
    assert_eq!(of("a@notexample.org"), Vec::<String>::new());
    // RFC 8616 section 4: A-labels.
    for domain in [
        "b\u{fc}cher.example",
        "B\u{dc}CHER.example",
        "xn--bcher-kva.example",
    ] {
        let author = format!("a@{domain}");
        assert_eq!(of(&author), ["ed/xn--bcher-kva.example"]);
    }
    for author in ["a", "", "a@[192.0.2.1]", "a@\u{fffd}", "\u{fffd}"] {
        assert_eq!(of(author), Vec::<String>::new(), "{author}");
    }
}

#[test]
fn r6409_8_5_odd_messages_verify() {
    let keys = Keys::new();
    let signers = Signers::new(&[keys.settings("example.org", "ed")]).unwrap();
    let many = format!("{}\r\nx\r\n", "Resent-To: a@b.c\r\n".repeat(40));
    for message in [
        "From: a@example.org\r\n\r\n",
        "From: a@example.org\r\n",
        "From: a@example.org\r\n\r\nno end of line",
        "From: a@example.org\r\n\r\n\r\n\r\n",
        "From: a@example.org\r\n\r\n \t \r\n\t\r\n",
        "From:\r\n a@example.org\r\nSubject:\r\n\r\nx\r\n",
        "From: a@example.org\r\nsubject :  \u{e9} \t\u{e9}\r\n\r\n\u{e9}\r\n",
        "From: a@example.org\r\nSubject: =?utf-8?q?=C3=A9?=\r\n =?utf-8?q?x?=\r\n\r\nx\r\n",
        "From: a@example.org\r\nX: y\r\n\r\n.\r\n..\r\nFrom x\r\n",
        &many,
    ] {
        let message = if message.starts_with("Resent") {
            format!("From: a@example.org\r\n{message}")
        } else {
            message.to_owned()
        };
        let signed = signed(&signers, "a@example.org", &message);
        assert!(holds(&signed, 0, &keys.public("ed")), "{message:?}");
        for line in signed.lines().take_while(|line| !line.starts_with("From")) {
            assert!(line.len() <= 78, "{line}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn r6409_8_5_any_message_verifies(
        subject in "[a-c \t]{0,30}(\r\n[ \t][a-c \t]{1,20})?",
        names in proptest::collection::vec("(To|Cc|cC|Subject|X|Resent-To|References)", 0..8),
        body in "([a-c\u{e9} \t]|\r\n){0,80}",
    ) {
        thread_local! {
            static KEYS: Keys = Keys::new();
        }
        let mut message = format!("From: a@example.org\r\nSubject:{subject}\r\n");
        for (at, name) in names.iter().enumerate() {
            message.push_str(&format!("{name}: {at}\r\n"));
        }
        message.push_str(&format!("\r\n{body}"));
        KEYS.with(|keys| {
            let signers = Signers::new(&[keys.settings("example.org", "ed")]).unwrap();
            let signed = signed(&signers, "a@example.org", &message);
            prop_assert!(holds(&signed, 0, &keys.public("ed")));
            Ok(())
        })?;
    }
}

#[test]
fn r6409_8_5_a_key_is_replaced_when_its_file_changes_and_kept_when_that_is_broken() {
    let keys = Keys::new();
    let signers = Signers::new(&[keys.settings("example.org", "ed")]).unwrap();
    assert!(signers.refresh().is_empty());
    let touch = |seconds| {
        let file = fs::File::options()
            .write(true)
            .open(keys.path("ed.pem"))
            .unwrap();
        file.set_modified(now() + Duration::from_secs(seconds))
            .unwrap();
    };
    let old = keys.public("ed");
    fs::write(keys.path("ed.pem"), "broken").unwrap();
    touch(1);
    assert!(matches!(
        signers.refresh()[..],
        [Err(KeyError::Content { .. })]
    ));
    assert!(signers.refresh().is_empty(), "told once");
    assert!(holds(&signed(&signers, "a@example.org", MESSAGE), 0, &old));
    fs::remove_file(keys.path("ed.pem")).unwrap();
    generate(&keys.path("ed.pem"), Algorithm::Ed25519, 0).unwrap();
    touch(2);
    assert!(matches!(signers.refresh()[..], [Ok(_)]));
    assert!(holds(
        &signed(&signers, "a@example.org", MESSAGE),
        0,
        &keys.public("ed")
    ));
}

#[test]
fn r6409_8_5_keys_are_private_and_of_a_kind_that_signs() {
    let keys = Keys::new();
    let mode = fs::metadata(keys.path("rsa.pem"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    // A key is never written over.
    let again = generate(&keys.path("rsa.pem"), Algorithm::Rsa, 2048);
    assert!(matches!(again, Err(KeyError::Make { .. })));
    let why = |path: &Path| match Key::load(path).unwrap_err() {
        KeyError::Content { why, .. } => why,
        other => panic!("{other}"),
    };
    fs::set_permissions(keys.path("rsa.pem"), fs::Permissions::from_mode(0o604)).unwrap();
    assert!(why(&keys.path("rsa.pem")).contains("by everybody"));
    let write = |text: &str| {
        let path = keys.path("other.pem");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    assert!(why(&write("nothing")).contains("no private key"));
    let elliptic = rcgen::KeyPair::generate().unwrap().serialize_pem();
    assert!(why(&write(&elliptic)).contains("no RSA or Ed25519 key"));
    let missing = Key::load(&keys.path("none.pem")).unwrap_err();
    assert!(matches!(missing, KeyError::Read { .. }));
    assert!(missing.to_string().contains("none.pem"));
    let rsa = generate(&keys.path("large.pem"), Algorithm::Rsa, 3072).unwrap();
    assert_eq!((rsa.algorithm(), rsa.bits()), (Algorithm::Rsa, 3072));
    assert!(!format!("{rsa:?}").contains("private"));
}

/// What OpenSSL writes for the secret key of RFC 8032 section 7.1, test 1, which RFC 8463 appendix A.2
/// has too: PKCS#8 without the public key.
#[test]
fn r6409_8_5_the_key_of_rfc_8463_is_read_and_its_record_written() {
    let pem = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
        -----END PRIVATE KEY-----\n";
    let key = Key::from_pem(pem.as_bytes()).unwrap();
    let text = record::text(&key);
    assert_eq!(
        text,
        "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
    );
    assert_eq!(
        record::zone("brisbane", "football.example.com", &text),
        format!("brisbane._domainkey.football.example.com. IN TXT ( \"{text}\" )")
    );
    assert_eq!(record::mismatch(&text, &key), None);
    assert_eq!(
        record::mismatch(
            "k = ed25519 ;p= 11qYAYKxCrfVS/7TyWQHOg7hcvPapi MlrwIaaPcHURo=;",
            &key
        ),
        None
    );
    for (published, says) in [
        ("v=spf1 -all", "no DKIM record"),
        ("", "no DKIM record"),
        ("v=DKIM1; p=", "revoked"),
        (
            "v=DKIM1; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
            "for rsa",
        ),
        ("v=DKIM1; k=ed25519; p=AAAA", "another public key"),
    ] {
        let why = record::mismatch(published, &key).unwrap();
        assert!(why.contains(says), "{published}: {why}");
    }
}

#[test]
fn r6409_8_5_a_long_record_is_split_into_strings_of_255_octets() {
    let keys = Keys::new();
    let text = record::text(&Key::load(&keys.path("rsa.pem")).unwrap());
    // 392 characters of SubjectPublicKeyInfo.
    assert!(text.starts_with("v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A"));
    let strings = record::strings(&text);
    assert_eq!(
        strings.iter().map(|one| one.len()).collect::<Vec<_>>(),
        [255, text.len() - 255]
    );
    assert_eq!(strings.concat(), text);
    assert_eq!(record::strings(&"x".repeat(510)).len(), 2);
    let zone = record::zone("s", "example.org", &text);
    assert_eq!(
        zone,
        format!(
            "s._domainkey.example.org. IN TXT ( \"{}\" \"{}\" )",
            strings[0], strings[1]
        )
    );
}
