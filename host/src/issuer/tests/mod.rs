//! Tokens that the test signs itself, by issuers that listen on a loopback address.
//!
//! ```text
//!   signer          keys and tokens, made without the library that verifies them
//!   jwt             what is verified of a signed token
//!   sources         keys that are fetched, rotate, and stay while their issuer is away
//!   introspection   an issuer that is asked
//!   identities      who somebody is, and what a token must be good for
//!   hostile         octets that are no tokens
//! ```

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

mod hostile;
mod identities;
mod introspection;
mod jwt;
mod signer;
mod sources;

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Issuers, Presented};
use crate::config::Config;
use crate::users::refusal::heard;
use crate::users::{
    ClientCertificate, Holding, Kind, Names, Record, Users, UsersError, Verdict, Verifiers,
};

/// The issuer of most tests.
const ISSUER: &str = "https://login.example.org";
/// What its tokens are for.
const AUDIENCE: &str = "api://mail";
/// Users by name.
#[derive(Default)]
struct Known(HashMap<String, Arc<Record>>);

impl Known {
    fn of(records: impl IntoIterator<Item = Record>) -> Arc<Self> {
        let named = records
            .into_iter()
            .map(|record| (record.name.clone(), Arc::new(record)));
        Arc::new(Self(named.collect()))
    }

    /// `alice@example.org`, and `bob@example.org`, who is disabled.
    fn usual() -> Arc<Self> {
        let mut bob = Record::new("bob@example.org");
        bob.disabled = true;
        Self::of([Record::new("alice@example.org"), bob, Record::new("scan")])
    }
}

#[async_trait]
impl Users for Known {
    async fn find(&self, name: &str) -> Result<Option<Arc<Record>>, UsersError> {
        Ok(self.known(name))
    }

    fn known(&self, name: &str) -> Option<Arc<Record>> {
        self.0.get(&name.to_ascii_lowercase()).cloned()
    }

    fn holding(&self, _: Kind) -> Holding {
        Holding::All
    }

    async fn of_certificate(
        &self,
        _: &ClientCertificate,
    ) -> Result<Option<Arc<Record>>, UsersError> {
        Ok(None)
    }

    async fn complete(&self, _: &Record, _: &Verifiers) -> Result<bool, UsersError> {
        Ok(false)
    }
}

/// The issuers of a configuration's tables.
fn issuers(tables: &str) -> Issuers {
    let text = format!("hostname = \"mail.example.org\"\n{tables}");
    let loaded = Config::read(Path::new("/etc/pillarbox/pillarbox.toml"), &text);
    let errors: Vec<_> = loaded.errors().map(ToString::to_string).collect();
    let config = loaded.config.unwrap_or_else(|| panic!("{errors:#?}"));
    Issuers::new(&config.auth.issuers, Known::usual(), Names::of(&config)).unwrap()
}

/// An issuer whose keys are in `file`.
fn with_keys(file: &Path, more: &str) -> Issuers {
    issuers(&format!(
        "[[auth.issuer]]\nissuer = \"{ISSUER}\"\naudience = \"{AUDIENCE}\"\nkey-file = {file:?}\n{more}\n"
    ))
}

/// Seconds since 1970, from now.
fn in_seconds(seconds: i64) -> i64 {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    i64::try_from(now).unwrap() + seconds
}

/// Claims that are good, with these changed; `null` removes one.
fn claims(changes: Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER,
        "aud": AUDIENCE,
        "exp": in_seconds(600),
        "nbf": in_seconds(-5),
        "iat": in_seconds(-5),
        "email": "alice@example.org",
    });
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims
                .as_object_mut()
                .unwrap()
                .insert(name.clone(), value.clone()),
        };
    }
    claims
}

/// The verdict on a token alone, and what the log says of it.
async fn judged(issuers: &Issuers, token: &str) -> (Verdict, String) {
    beside(issuers, token, "", "").await
}

/// The same with a user and an authorization identity beside it. Each comes from a machine of its
/// own, since failures slow one down.
async fn beside(
    issuers: &Issuers,
    token: &str,
    user: &str,
    authorization: &str,
) -> (Verdict, String) {
    static MACHINES: AtomicU32 = AtomicU32::new(0);
    let machine = MACHINES.fetch_add(1, Ordering::Relaxed);
    let peer = Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, 0)) + machine);
    let presented = Presented {
        authorization,
        user,
        token,
    };
    let (verdict, noted) = heard(issuers.judge(peer.into(), &presented)).await;
    let reason = noted.map(|noted| noted.reason).unwrap_or_default();
    assert!(
        token.len() < 20 || !reason.contains(token),
        "a token is told"
    );
    (verdict, reason)
}

fn granted(name: &str) -> Verdict {
    Verdict::Granted(name.to_owned())
}

/// What goes on beside the sessions gets its time.
async fn soon() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}
