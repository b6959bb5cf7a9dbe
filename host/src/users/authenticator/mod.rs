//! Answers whether somebody is who he says.
//!
//! ```text
//! own turn (turns) -> wait (backoff) -> find the record -> right a moment ago? (cache) -> argon2id or the verifier
//!     -> may he act as the authorization identity? -> disabled? -> granted
//! ```
//! An unknown user takes the same way with a hash that nothing fits, so that neither the answer nor
//! its time tells who exists (RFC 4954 section 6, profile R4954-6-a).
//!
//! [`mod@password`] is PLAIN and LOGIN, `proof` what the component's verifier checks (NTLM, CRAM-MD5,
//! SCRAM), `external` client certificates; `attempt` is what they share.

mod attempt;
mod external;
mod password;
mod proof;

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::argon::{Argon, ArgonError, Cost};
use super::backoff::{Backoff, Policy};
use super::cache::Cache;
use super::kept::{HmacStates, NtHash};
use super::kind::Kind;
use super::salt::Salts;
use super::scram::{ScramDigest, ScramVerifier};
use super::turns::Turns;
use super::{Names, Record, Users, UsersError, prepare};

pub use password::Login;
pub use proof::{ScramExchange, Told};

/// The answer to an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The session acts as this identity from now on.
    Granted(String),
    /// Something does not fit; the peer is not told what.
    Refused,
    /// All fits, but the account is disabled.
    Disabled,
    /// The user lacks what the mechanism checks against, and may be told so.
    Unprepared,
    /// It cannot be known now.
    Unavailable,
}

/// Why a verifier did not say yes.
#[derive(Debug, thiserror::Error)]
pub enum Unverified {
    /// The response does not fit, and why: for the log.
    #[error("refused: {0}")]
    Refused(String),
    /// The verifier failed, whatever the response.
    #[error("the verifier failed")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What can be set up otherwise than usual.
#[derive(Debug, Default)]
pub struct Tuning {
    /// How many argon2id runs at a time.
    pub argon: Argon,
    /// What a check of an unknown user costs; that of known ones is in their records.
    pub cost: Cost,
    /// What is remembered.
    pub cache: Cache,
    /// How guessing is slowed down.
    pub policy: Policy,
    /// Salts of names without SCRAM keys.
    pub salts: Salts,
    /// What users should have; who lacks some is completed at his next login with a password.
    pub wanted: Vec<Kind>,
    /// Users are told that they lack something (R4954-6-d), which tells that they exist.
    pub transition: bool,
}

/// A machine, and the name under which the user is counted.
type Pair = (IpAddr, String);

/// Answers whether somebody is who he says. One for the whole service: it remembers.
pub struct Authenticator {
    users: Arc<dyn Users>,
    names: Names,
    argon: Argon,
    cache: Cache,
    backoff: Mutex<Backoff>,
    /// How long to wait for a turn.
    most_queued: Duration,
    /// One attempt at a time for a user at a peer: many at once would not wait for each other's
    /// outcome.
    turns: Turns<Pair>,
    /// A password hash that nothing fits.
    nobody: String,
    /// Verifiers that nothing fits.
    no_nt: NtHash,
    no_states: HmacStates,
    no_scram: [ScramVerifier; 2],
    salts: Salts,
    wanted: Vec<Kind>,
    transition: bool,
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator")
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

impl Authenticator {
    /// For the users of a store.
    ///
    /// # Errors
    /// If argon2id cannot be set up.
    pub fn new(users: Arc<dyn Users>, names: Names) -> Result<Self, ArgonError> {
        Self::with(users, names, Tuning::default())
    }

    /// As [`Authenticator::new`], tuned.
    ///
    /// # Errors
    /// If argon2id cannot be set up.
    pub fn with(users: Arc<dyn Users>, names: Names, tuning: Tuning) -> Result<Self, ArgonError> {
        Ok(Self {
            users,
            names,
            nobody: tuning.cost.nobody()?,
            no_nt: NtHash::from(rand::random::<[u8; 16]>()),
            no_states: HmacStates::from(rand::random::<[u8; 32]>()),
            no_scram: [ScramDigest::Sha1, ScramDigest::Sha256].map(ScramVerifier::nobody),
            salts: tuning.salts,
            wanted: tuning.wanted,
            transition: tuning.transition,
            argon: tuning.argon,
            cache: tuning.cache,
            most_queued: tuning.policy.most_queued,
            // Connections are limited elsewhere.
            turns: Turns::new(1, usize::MAX),
            backoff: Mutex::new(Backoff::new(tuning.policy)),
        })
    }

    /// The record that `user` means. R4954-4-o: names are prepared first; one that cannot be is
    /// nobody's. Records with names from before are found as they stand.
    async fn find(&self, user: &str, domain: &str) -> Result<Option<Arc<Record>>, UsersError> {
        match prepare::name(user) {
            Some(prepared) => self.look_up(&[&prepared, user], domain).await,
            None => Ok(None),
        }
    }

    /// The same for NTLM, which has no rules for names.
    async fn find_as_sent(
        &self,
        user: &str,
        domain: &str,
    ) -> Result<Option<Arc<Record>>, UsersError> {
        let prepared = prepare::name(user);
        let prepared = prepared.as_deref().unwrap_or(user);
        self.look_up(&[prepared, user], domain).await
    }

    async fn look_up(
        &self,
        forms: &[&str],
        domain: &str,
    ) -> Result<Option<Arc<Record>>, UsersError> {
        let mut candidates = Vec::new();
        for form in forms {
            for name in self.names.candidates(form, domain) {
                if !candidates.contains(&name) {
                    candidates.push(name);
                }
            }
        }
        let mut found = None;
        // All are asked for, so that the number of look-ups says nothing.
        for name in candidates {
            let record = self.users.find(&name).await?;
            found = found.or(record);
        }
        Ok(found)
    }

    /// Under which name attempts are counted.
    fn counted(&self, user: &str) -> String {
        let prepared = prepare::name(user);
        self.names.counted(prepared.as_deref().unwrap_or(user))
    }

    /// Acting for others is not permitted to anybody (R4616-2-b).
    fn is_self(&self, record: &Record, authorization: &str, user: &str) -> bool {
        let prepared = prepare::name(authorization);
        let is = |name: &str| {
            authorization.eq_ignore_ascii_case(name)
                || prepared
                    .as_ref()
                    .is_some_and(|prepared| prepared.eq_ignore_ascii_case(name))
        };
        authorization.is_empty() || is(user) || is(&record.name)
    }
}

#[cfg(test)]
mod tests;
