//! SCRAM, CRAM-MD5, EXTERNAL and what users lack, by behaviour.

use super::super::super::scram::{ITERATIONS, SALT};
use super::super::super::verifiers::Shown;
use super::*;

const PASSWORD: &str = "secret";

/// With all verifiers; [`Shown`] makes both keys of SCRAM the SaltedPassword.
fn complete(name: &str) -> Record {
    let mut record = Record::new(name);
    Verifiers::derive(PASSWORD, &Kind::ALL, &Shown)
        .unwrap()
        .replace(&mut record);
    record.password = Some(CHEAP.hash(PASSWORD.as_bytes()).unwrap());
    record
}

impl Bench {
    /// A whole exchange of somebody with this password; what he was told, and the outcome.
    async fn scram(
        &self,
        authorization: &str,
        user: &str,
        password: &str,
    ) -> (Told, (Verdict, Vec<u8>)) {
        let digest = ScramDigest::Sha256;
        let first = self.authenticator.scram_first(digest, authorization, user);
        let (exchange, told) = first.await.unwrap();
        assert_eq!(exchange.digest(), digest);
        let salted = digest.salted(password, &told.salt, told.iterations);
        let verify = |keys: &ScramVerifier| {
            if *keys.stored_key == salted {
                Ok(b"signature".to_vec())
            } else {
                Err(Unverified::Refused("wrong".into()))
            }
        };
        let last = self.authenticator.scram_final(peer(), exchange, verify);
        (told, last.await)
    }
}

#[tokio::test]
async fn r5802_5_c_the_right_proof_gets_the_servers_signature() {
    let bench = bench(vec![complete("alice")]);
    for (user, password) in [("alice", PASSWORD), ("ALICE@mail.example.org", PASSWORD)] {
        let (_, (verdict, signature)) = bench.scram("", user, password).await;
        assert_eq!(
            (verdict, &*signature),
            (granted("alice"), &b"signature"[..])
        );
    }
    for (authorization, user, password) in [
        ("", "alice", "Secret"),
        ("", "mallory", PASSWORD),
        ("bob", "alice", PASSWORD),
    ] {
        let (_, outcome) = bench.scram(authorization, user, password).await;
        assert_eq!(outcome, (Verdict::Refused, Vec::new()), "{user}");
    }
    let (_, outcome) = bench.scram("Alice", "alice", PASSWORD).await;
    assert_eq!(outcome.0, granted("alice"));
}

#[tokio::test]
async fn r5802_5_b_every_name_has_the_same_salt_each_time() {
    let without = Record {
        scram_sha_256: None,
        ..complete("bob")
    };
    let bench = bench(vec![
        complete("alice"),
        without,
        complete("carol@mail.example.org"),
    ]);
    for name in ["alice", "bob", "mallory", "carol"] {
        let (told, _) = bench.scram("", name, "x").await;
        assert_eq!((told.salt.len(), told.iterations), (SALT, ITERATIONS));
        // However it is written, since that tells nothing of a name that does not exist either.
        for same in [
            name.to_owned(),
            name.to_uppercase(),
            format!("{name}@mail.example.org"),
        ] {
            assert_eq!(bench.scram("", &same, "x").await.0, told, "{same}");
        }
        // NTLM's way to write it is none here: that it leads to a record would tell of the record.
        let (other, _) = bench
            .scram("", &format!("mail.example.org\\{name}"), "x")
            .await;
        assert_ne!(other.salt, told.salt);
        assert_eq!((other.salt.len(), other.iterations), (SALT, ITERATIONS));
        let first = bench.authenticator.scram_first(ScramDigest::Sha1, "", name);
        assert_ne!(first.await.unwrap().1.salt, told.salt);
    }
    let mallory = bench.scram("", "mallory", "x").await.0;
    assert_ne!(bench.scram("", "mallorx", "x").await.0, mallory);
}

#[tokio::test]
async fn r5802_5_c_an_exchange_does_not_outlive_its_keys() {
    let bench = bench(vec![complete("alice")]);
    let digest = ScramDigest::Sha256;
    let begin = || async {
        bench
            .authenticator
            .scram_first(digest, "", "alice")
            .await
            .unwrap()
            .0
    };
    let yes = |_: &ScramVerifier| Ok(Vec::new());
    let exchange = begin().await;
    bench.change("alice", |record| {
        record.scram_sha_256 = complete("x").scram_sha_256
    });
    let last = bench.authenticator.scram_final(peer(), exchange, yes).await;
    assert_eq!(last.0, Verdict::Refused, "another password by now");
    let exchange = begin().await;
    bench.change("alice", |record| record.disabled = true);
    let last = bench.authenticator.scram_final(peer(), exchange, yes).await;
    assert_eq!(last.0, Verdict::Disabled);
    let exchange = begin().await;
    let records = std::mem::take(bench.store.records.lock().unwrap().as_mut().unwrap());
    let last = bench.authenticator.scram_final(peer(), exchange, yes).await;
    assert_eq!(last.0, Verdict::Refused, "removed");
    *bench.store.records.lock().unwrap() = None;
    assert!(
        bench
            .authenticator
            .scram_first(digest, "", "alice")
            .await
            .is_none()
    );
    assert_eq!(records.len(), 1);
}

#[tokio::test]
async fn r4954_6_a_a_verifier_that_says_yes_makes_no_scram_user() {
    let without = Record {
        scram_sha_256: None,
        ..complete("bob")
    };
    let bench = bench(vec![without]);
    let mut seen = Vec::new();
    for user in ["bob", "mallory", ""] {
        let first = bench
            .authenticator
            .scram_first(ScramDigest::Sha256, "", user);
        let exchange = first.await.unwrap().0;
        let yes = |keys: &ScramVerifier| {
            seen.push(keys.clone());
            Ok(b"signature".to_vec())
        };
        let last = bench.authenticator.scram_final(peer(), exchange, yes).await;
        assert_eq!(last, (Verdict::Refused, Vec::new()), "{user}");
    }
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|keys| *keys == seen[0]));
}

#[tokio::test]
async fn guesses_over_scram_and_cram_md5_count_like_others() {
    let policy = Policy {
        free: 2,
        first: Duration::from_millis(300),
        ..Policy::default()
    };
    let tuning = Tuning {
        cost: CHEAP,
        policy,
        ..Tuning::default()
    };
    let bench = tuned(vec![complete("alice")], tuning);
    let begun = Instant::now();
    assert_eq!(bench.scram("", "alice", "x").await.1.0, Verdict::Refused);
    let wrong = |_: &[u8; 32]| Err(Unverified::Refused("wrong".into()));
    let refused = bench.authenticator.cram_md5(peer(), "alice", wrong).await;
    assert_eq!(refused, Verdict::Refused);
    // Asking for salts costs nothing and counts for nothing.
    for _ in 0..5 {
        let first = bench
            .authenticator
            .scram_first(ScramDigest::Sha256, "", "alice");
        assert!(first.await.is_some());
    }
    assert!(begun.elapsed() < Duration::from_millis(300));
    let (_, outcome) = bench.scram("", "alice", PASSWORD).await;
    assert_eq!(outcome.0, granted("alice"));
    assert!(begun.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn r2195_2_a_cram_md5_checks_the_states_of_the_user() {
    let without = Record {
        cram_md5: None,
        ..complete("bob")
    };
    let bench = bench(vec![complete("alice"), without]);
    for (user, expected) in [
        ("alice", granted("alice")),
        ("bob", Verdict::Refused),
        ("mallory", Verdict::Refused),
    ] {
        let verify = |states: &[u8; 32]| {
            if usize::from(states[0]) == PASSWORD.len() {
                Ok(())
            } else {
                Err(Unverified::Refused("wrong".into()))
            }
        };
        let verdict = bench.authenticator.cram_md5(peer(), user, verify).await;
        assert_eq!(verdict, expected, "{user}");
    }
}

#[tokio::test]
async fn r4954_6_d_who_lacks_a_verifier_is_told_so_where_it_is_switched_on() {
    let only_password = |name: &str| Record {
        password: Some(CHEAP.hash(PASSWORD.as_bytes()).unwrap()),
        ..Record::new(name)
    };
    let only_nt = Record {
        nt: Some(NT.into()),
        ..Record::new("bob")
    };
    let disabled = Record {
        disabled: true,
        ..only_password("carol")
    };
    let records = vec![only_password("alice"), only_nt, disabled];
    for transition in [false, true] {
        let tuning = Tuning {
            cost: CHEAP,
            transition,
            ..Tuning::default()
        };
        let bench = tuned(records.clone(), tuning);
        let told = if transition {
            Verdict::Unprepared
        } else {
            Verdict::Refused
        };
        assert_eq!(bench.ntlm("alice", "").await, told);
        assert_eq!(bench.scram("", "alice", PASSWORD).await.1.0, told);
        let no = |_: &[u8; 32]| Err(Unverified::Refused("wrong".into()));
        let cram = bench.authenticator.cram_md5(peer(), "alice", no).await;
        assert_eq!(cram, told);
        // One login with PLAIN would not help these.
        for user in ["bob", "carol", "mallory"] {
            let outcome = bench.scram("", user, PASSWORD).await.1;
            assert_eq!(outcome.0, Verdict::Refused, "{user}");
        }
    }
}

#[tokio::test]
async fn who_shows_his_password_and_lacks_something_is_incomplete() {
    let only_password = Record {
        password: Some(CHEAP.hash("gr\u{fc}n".as_bytes()).unwrap()),
        ..Record::new("bob")
    };
    let tuning = Tuning {
        cost: CHEAP,
        wanted: vec![Kind::Password, Kind::ScramSha256],
        ..Tuning::default()
    };
    let bench = tuned(vec![complete("alice"), only_password], tuning);
    let login = |user: &'static str, password: &'static [u8]| {
        bench.authenticator.password(peer(), "", user, password)
    };
    assert!(login("alice", b"secret").await.incomplete.is_none());
    assert!(login("bob", b"wrong").await.incomplete.is_none());
    // Also where it was right a moment ago, and where it came as Latin-1.
    for password in ["gr\u{fc}n".as_bytes(), b"gr\xfcn", b"gr\xfcn"] {
        let incomplete = login("bob", password).await.incomplete.unwrap();
        assert_eq!(incomplete.lacks, [Kind::ScramSha256]);
        assert_eq!(*incomplete.password, "gr\u{fc}n");
        assert!(!format!("{incomplete:?}").contains("gr"));
    }
}

#[tokio::test]
async fn r4954_4_o_names_and_passwords_are_prepared() {
    let hash = |password: &str| Some(CHEAP.hash(password.as_bytes()).unwrap());
    let old = Record {
        password: hash("I\u{ad}X"),
        ..Record::new("old\u{2168}")
    };
    let new = Record {
        password: hash("IX"),
        ..Record::new("j\u{fc}rgen")
    };
    let bench = bench(vec![old, new]);
    // Decomposed, as some systems type it, and with compatible characters in the password.
    for password in ["IX", "I\u{ad}X", "\u{2168}"] {
        let verdict = bench
            .password("", "ju\u{308}rgen", password.as_bytes())
            .await;
        assert_eq!(verdict, granted("j\u{fc}rgen"), "{password:?}");
    }
    let acting = bench.password("ju\u{308}rgen", "j\u{fc}rgen", b"IX").await;
    assert_eq!(acting, granted("j\u{fc}rgen"));
    // An entry from before, as it stands.
    let verdict = bench
        .password("", "old\u{2168}", "I\u{ad}X".as_bytes())
        .await;
    assert_eq!(verdict, granted("old\u{2168}"));
    for user in ["\u{7}", "\u{ad}", "j\u{fc}rgen\u{7}"] {
        let verdict = bench.password("", user, b"IX").await;
        assert_eq!(verdict, Verdict::Refused, "{user:?}");
        assert_eq!(bench.scram("", user, "IX").await.1.0, Verdict::Refused);
    }
}

fn certificate(number: u8, mailboxes: &[&str]) -> ClientCertificate {
    ClientCertificate {
        fingerprint: [number; 32],
        subject: None,
        mailboxes: mailboxes.iter().map(ToString::to_string).collect(),
    }
}

#[tokio::test]
async fn r4422_a_a_certificate_is_its_holder_and_nobody_else() {
    let scanner = Record {
        certificates: vec![certificate(1, &[]).shown()],
        ..Record::new("scan@example.org")
    };
    let disabled = Record {
        disabled: true,
        ..Record::new("dave@example.org")
    };
    let bench = bench(vec![
        scanner,
        disabled,
        Record::new("alice@example.org"),
        Record::new("bob"),
    ]);
    let ask = |certificate: ClientCertificate, authorization: &'static str| {
        let authenticator = &bench.authenticator;
        async move {
            authenticator
                .external(peer(), &certificate, authorization)
                .await
        }
    };
    let both: &[&str] = &["Alice@example.org", "bob@mail.example.org"];
    for (number, mailboxes, authorization, expected) in [
        (1, &[][..], "", granted("scan@example.org")),
        (1, &[], "SCAN@example.org", granted("scan@example.org")),
        (1, &[], "alice@example.org", Verdict::Refused),
        // What the users file says comes before what the certificate says of itself.
        (1, both, "", granted("scan@example.org")),
        (1, both, "alice@example.org", Verdict::Refused),
        (2, both, "", granted("alice@example.org")),
        (2, both, "bob", granted("bob")),
        (2, both, "scan@example.org", Verdict::Refused),
        (2, both, "mallory", Verdict::Refused),
        (2, &[], "", Verdict::Refused),
        (
            2,
            &["mallory@example.org"],
            "mallory@example.org",
            Verdict::Refused,
        ),
        (2, &["x\\bob@mail.example.org", "bob"], "", Verdict::Refused),
        (2, &["dave@example.org"], "", Verdict::Disabled),
    ] {
        let verdict = ask(certificate(number, mailboxes), authorization).await;
        assert_eq!(verdict, expected, "{number} {mailboxes:?} {authorization}");
    }
    *bench.store.records.lock().unwrap() = None;
    assert_eq!(ask(certificate(1, &[]), "").await, Verdict::Unavailable);
}
