//! The authenticator by behaviour, with a store in memory and a cheap hash.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use super::super::{ClientCertificate, Holding, Verifiers};
use super::*;
use std::time::Instant;
use zeroize::Zeroizing;

const CHEAP: Cost = Cost {
    memory: 8,
    passes: 1,
};
const NT: [u8; 16] = *b"0123456789abcdef";

/// Records by folded name; `None` for the whole: the store is down.
#[derive(Default)]
struct Memory {
    records: Mutex<Option<HashMap<String, Arc<Record>>>>,
    asked: AtomicUsize,
}

fn down() -> UsersError {
    UsersError::Read {
        path: "users.toml".into(),
        source: std::io::Error::other("down"),
    }
}

#[async_trait]
impl Users for Memory {
    async fn find(&self, name: &str) -> Result<Option<Arc<Record>>, UsersError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match &*self.records.lock().unwrap() {
            Some(records) => Ok(records.get(&name.to_ascii_lowercase()).cloned()),
            None => Err(down()),
        }
    }

    fn known(&self, name: &str) -> Option<Arc<Record>> {
        self.records
            .lock()
            .unwrap()
            .as_ref()?
            .get(&name.to_ascii_lowercase())
            .cloned()
    }

    fn holding(&self, _: Kind) -> Holding {
        Holding::All
    }

    /// Listed by fingerprint alone.
    async fn of_certificate(
        &self,
        certificate: &ClientCertificate,
    ) -> Result<Option<Arc<Record>>, UsersError> {
        let shown = certificate.shown();
        match &*self.records.lock().unwrap() {
            Some(records) => Ok(records
                .values()
                .find(|record| record.certificates.contains(&shown))
                .cloned()),
            None => Err(down()),
        }
    }

    async fn complete(&self, _: &Record, _: &Verifiers) -> Result<bool, UsersError> {
        Ok(false)
    }
}

fn record(name: &str, password: &str) -> Record {
    Record {
        password: Some(CHEAP.hash(password.as_bytes()).unwrap()),
        nt: Some(NT.into()),
        ..Record::new(name)
    }
}

struct Bench {
    store: Arc<Memory>,
    authenticator: Authenticator,
}

fn bench(records: Vec<Record>) -> Bench {
    let patient = Policy {
        free: u32::MAX,
        budget: u32::MAX,
        ..Policy::default()
    };
    tuned(
        records,
        Tuning {
            cost: CHEAP,
            policy: patient,
            ..Tuning::default()
        },
    )
}

fn tuned(records: Vec<Record>, tuning: Tuning) -> Bench {
    let store = Arc::new(Memory::default());
    let by_name = records
        .into_iter()
        .map(|r| (r.name.to_ascii_lowercase(), Arc::new(r)));
    *store.records.lock().unwrap() = Some(by_name.collect());
    let names = Names {
        hostname: "mail.example.org".into(),
        ntlm_domain: "MAIL".into(),
    };
    let users: Arc<dyn Users> = store.clone();
    Bench {
        store,
        authenticator: Authenticator::with(users, names, tuning).unwrap(),
    }
}

impl Bench {
    async fn password(&self, authorization: &str, user: &str, password: &[u8]) -> Verdict {
        self.authenticator
            .password(peer(), authorization, user, password)
            .await
            .verdict
    }

    async fn ntlm(&self, user: &str, domain: &str) -> Verdict {
        let verify = |nt: &[u8; 16]| {
            if *nt == NT {
                Ok(())
            } else {
                Err(Unverified::Refused("wrong".to_owned()))
            }
        };
        self.authenticator.ntlm(peer(), user, domain, verify).await
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Record)) {
        let mut records = self.store.records.lock().unwrap();
        let record = records.as_mut().unwrap().get_mut(name).unwrap();
        change(Arc::make_mut(record));
    }
}

fn peer() -> IpAddr {
    IpAddr::from([192, 0, 2, 1])
}

fn granted(name: &str) -> Verdict {
    Verdict::Granted(name.to_owned())
}

#[tokio::test]
async fn the_right_password_grants_the_name_of_the_record() {
    let bench = bench(vec![
        record("Alice@example.org", "secret"),
        record("bob", "hunter2"),
    ]);
    assert_eq!(
        bench.password("", "alice@EXAMPLE.org", b"secret").await,
        granted("Alice@example.org")
    );
    assert_eq!(bench.password("", "bob", b"hunter2").await, granted("bob"));
    assert_eq!(
        bench.password("", "bob@mail.example.org", b"hunter2").await,
        granted("bob")
    );
    assert_eq!(
        bench.password("", "ANY\\bob", b"hunter2").await,
        granted("bob")
    );
}

#[tokio::test]
async fn r4954_6_a_unknown_user_and_wrong_password_are_the_same() {
    let bench = bench(vec![record("alice", "secret"), Record::new("nothing")]);
    for (user, password) in [
        ("alice", "Secret"),
        ("mallory", "secret"),
        ("nothing", "secret"),
    ] {
        assert_eq!(
            bench.password("", user, password.as_bytes()).await,
            Verdict::Refused,
            "{user}"
        );
    }
}

#[tokio::test]
async fn r4954_6_a_unknown_users_cost_an_argon2id_run_too() {
    // One runs and one may wait: whoever else needs a run is told to come again.
    let argon = Argon::new(1, 1);
    let bench = tuned(
        vec![record("alice", "secret")],
        Tuning {
            cost: CHEAP,
            argon,
            ..Tuning::default()
        },
    );
    let slow = Cost {
        memory: 64 * 1024,
        passes: 8,
    }
    .hash(b"secret")
    .unwrap();
    let busy = bench
        .authenticator
        .argon
        .verify(peer(), Zeroizing::new(b"x".to_vec()), &slow);
    let others = async {
        tokio::join!(
            bench.password("", "alice", b"wrong"),
            bench.password("", "mallory", b"wrong"),
            bench.password("", "mallory", b"wrong"),
        )
    };
    let (_, (alice, mallory, again)) = tokio::join!(busy, others);
    let all = [alice, mallory, again];
    assert_eq!(
        all.iter()
            .filter(|verdict| **verdict == Verdict::Unavailable)
            .count(),
        2,
        "{all:?}"
    );
}

#[tokio::test]
async fn r4954_6_a_the_hash_of_nobody_is_like_a_real_one() {
    let cost = Cost::default();
    let (real, nobody) = (cost.hash(b"secret").unwrap(), cost.nobody().unwrap());
    let head = "$argon2id$v=19$m=19456,t=2,p=1$";
    assert!(real.starts_with(head), "{real}");
    assert!(
        nobody.starts_with(head) && nobody.len() == real.len(),
        "{nobody}"
    );
    let argon = Argon::default();
    assert!(
        argon
            .verify(peer(), Zeroizing::new(b"secret".to_vec()), &real)
            .await
            .unwrap()
    );
    assert!(
        !argon
            .verify(peer(), Zeroizing::new(b"secret".to_vec()), &nobody)
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn a_published_argon2id_hash_is_understood() {
    // Test vector of the PHC reference implementation (src/test.c): version 0x13, t=2, m=2^16,
    // p=1, "password" and "somesalt".
    let hash = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$\
                CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    let argon = Argon::default();
    assert!(
        argon
            .verify(peer(), Zeroizing::new(b"password".to_vec()), hash)
            .await
            .unwrap()
    );
    assert!(
        !argon
            .verify(peer(), Zeroizing::new(b"passwore".to_vec()), hash)
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn r4616_2_b_nobody_acts_for_others() {
    let bench = bench(vec![record("alice", "secret"), record("bob", "hunter2")]);
    for own in ["", "alice", "ALICE"] {
        assert_eq!(
            bench.password(own, "alice", b"secret").await,
            granted("alice"),
            "{own}"
        );
    }
    assert_eq!(
        bench
            .password("alice", "alice@mail.example.org", b"secret")
            .await,
        granted("alice")
    );
    assert_eq!(
        bench.password("bob", "alice", b"secret").await,
        Verdict::Refused
    );
}

#[tokio::test]
async fn r4616_2_a_empty_names_and_passwords_are_refused() {
    let bench = bench(vec![Record {
        password: Some(CHEAP.hash(b"").unwrap()),
        ..Record::new("alice")
    }]);
    assert_eq!(bench.password("", "alice", b"").await, Verdict::Refused);
    assert_eq!(bench.password("", "", b"secret").await, Verdict::Refused);
}

#[tokio::test]
async fn xlogin_2_c_latin_1_passwords_of_old_devices_fit() {
    let bench = bench(vec![record("alice", "gr\u{fc}n")]);
    assert_eq!(
        bench.password("", "alice", "gr\u{fc}n".as_bytes()).await,
        granted("alice")
    );
    assert_eq!(
        bench.password("", "alice", b"gr\xfcn").await,
        granted("alice")
    );
    assert_eq!(
        bench.password("", "alice", b"gr\xfdn").await,
        Verdict::Refused
    );
    assert_eq!(
        bench.password("", "mallory", b"gr\xfcn").await,
        Verdict::Refused
    );
}

#[tokio::test]
async fn a_disabled_account_shows_only_to_who_has_the_password() {
    let disabled = Record {
        disabled: true,
        ..record("alice", "secret")
    };
    let bench = bench(vec![disabled]);
    assert_eq!(
        bench.password("", "alice", b"secret").await,
        Verdict::Disabled
    );
    assert_eq!(
        bench.password("", "alice", b"wrong").await,
        Verdict::Refused
    );
    assert_eq!(bench.ntlm("alice", "").await, Verdict::Disabled);
}

#[tokio::test]
async fn a_store_that_is_down_blames_nobody() {
    let policy = Policy {
        free: 1,
        first: Duration::from_secs(3_600),
        most: Duration::from_secs(3_600),
        ..Policy::default()
    };
    let bench = tuned(
        vec![record("alice", "secret")],
        Tuning {
            cost: CHEAP,
            policy,
            ..Tuning::default()
        },
    );
    let records = bench.store.records.lock().unwrap().take();
    for _ in 0..5 {
        assert_eq!(
            bench.password("", "alice", b"secret").await,
            Verdict::Unavailable
        );
        assert_eq!(bench.ntlm("alice", "").await, Verdict::Unavailable);
    }
    *bench.store.records.lock().unwrap() = records;
    // Had one of them counted, this would sleep for an hour.
    assert_eq!(
        bench.password("", "alice", b"secret").await,
        granted("alice")
    );
}

#[tokio::test]
async fn any_change_of_the_record_voids_what_was_remembered() {
    let bench = bench(vec![record("alice", "secret")]);
    assert_eq!(
        bench.password("", "alice", b"secret").await,
        granted("alice")
    );
    let cache = &bench.authenticator.cache;
    let remembered = |bench: &Bench| {
        let record = bench.store.known("alice").unwrap();
        cache.remembers(Instant::now(), &record, b"secret")
    };
    assert!(remembered(&bench));
    bench.change("alice", |record| {
        record.password = Some(CHEAP.hash(b"new").unwrap())
    });
    assert!(!remembered(&bench));
    assert_eq!(
        bench.password("", "alice", b"secret").await,
        Verdict::Refused
    );
    assert_eq!(bench.password("", "alice", b"new").await, granted("alice"));
    bench.change("alice", |record| record.disabled = true);
    assert_eq!(bench.password("", "alice", b"new").await, Verdict::Disabled);
}

#[tokio::test]
async fn wrong_passwords_are_not_remembered() {
    let bench = bench(vec![record("alice", "secret")]);
    assert_eq!(
        bench.password("", "alice", b"wrong").await,
        Verdict::Refused
    );
    let record = bench.store.known("alice").unwrap();
    assert!(
        !bench
            .authenticator
            .cache
            .remembers(Instant::now(), &record, b"wrong")
    );
}

#[tokio::test]
async fn nlmp_3_2_5_i_ntlm_names_and_domains_lead_to_one_account() {
    let bench = bench(vec![
        record("alice@example.org", "x"),
        record("bob", "x"),
        record("carol@mail.example.org", "x"),
    ]);
    for (user, domain) in [
        ("alice@example.org", ""),
        ("ALICE", "EXAMPLE.ORG"),
        ("alice@example.org", "WORKGROUP"),
    ] {
        assert_eq!(
            bench.ntlm(user, domain).await,
            granted("alice@example.org"),
            "{user} {domain}"
        );
    }
    for (user, domain) in [
        ("bob", ""),
        ("BOB", "MAIL"),
        ("bob", "WORKGROUP"),
        ("bob@mail.example.org", ""),
    ] {
        assert_eq!(
            bench.ntlm(user, domain).await,
            granted("bob"),
            "{user} {domain}"
        );
    }
    assert_eq!(
        bench.ntlm("carol", "MAIL").await,
        granted("carol@mail.example.org")
    );
    for (user, domain) in [("alice", "OTHER"), ("mallory", ""), ("bob@example.org", "")] {
        assert_eq!(
            bench.ntlm(user, domain).await,
            Verdict::Refused,
            "{user} {domain}"
        );
    }
}

#[tokio::test]
async fn r4954_6_a_ntlm_verifies_once_for_everybody() {
    let without = Record {
        nt: None,
        ..record("bob", "x")
    };
    let bench = bench(vec![record("alice", "x"), without]);
    let mut seen = Vec::new();
    for user in ["alice", "bob", "mallory"] {
        let mut calls = 0;
        let verify = |nt: &[u8; 16]| {
            calls += 1;
            seen.push(*nt);
            Err(Unverified::Refused("wrong".into()))
        };
        let verdict = bench.authenticator.ntlm(peer(), user, "", verify).await;
        assert_eq!((verdict, calls), (Verdict::Refused, 1), "{user}");
    }
    assert_eq!(seen[0], NT);
    assert_ne!(seen[1], NT);
    assert_eq!(seen[1], seen[2], "no hash and no user look the same");
}

#[tokio::test]
async fn a_verifier_that_says_yes_does_not_make_a_user() {
    let bench = bench(vec![Record {
        nt: None,
        ..record("bob", "x")
    }]);
    for user in ["bob", "mallory", ""] {
        let verdict = bench.authenticator.ntlm(peer(), user, "", |_| Ok(())).await;
        assert_eq!(verdict, Verdict::Refused, "{user}");
    }
}

#[test]
fn its_futures_can_be_sent_between_threads() {
    fn sendable<T: Send>(_: &T) {}
    let bench = bench(vec![]);
    sendable(&bench.authenticator.password(peer(), "", "a", b"b"));
    sendable(&bench.authenticator.ntlm(peer(), "a", "", |_| Ok(())));
}

mod scram;
mod waiting;
