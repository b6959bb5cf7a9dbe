//! Answers whether somebody is who he says, for PLAIN, LOGIN and NTLM.
//!
//! ```text
//! own turn (turns) -> wait (backoff) -> find the record -> right a moment ago? (cache) -> argon2id or the verifier
//!     -> may he act as the authorization identity? -> disabled? -> granted
//! ```
//! An unknown user takes the same way with a hash that nothing fits, so that neither the answer nor
//! its time tells who exists (RFC 4954 section 6, profile R4954-6-a).

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::argon::{Argon, ArgonError, Cost};
use super::backoff::{Backoff, Policy, machine};
use super::cache::Cache;
use super::turns::{Turn, Turns};
use super::{Names, NtHash, Record, Users, UsersError, refusal};

/// The answer to an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The session acts as this identity from now on.
    Granted(String),
    /// Something does not fit; the peer is not told what.
    Refused,
    /// All fits, but the account is disabled.
    Disabled,
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
    /// An NT hash that nothing fits.
    no_nt: NtHash,
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
            argon: tuning.argon,
            cache: tuning.cache,
            most_queued: tuning.policy.most_queued,
            // Connections are limited elsewhere.
            turns: Turns::new(1, usize::MAX),
            backoff: Mutex::new(Backoff::new(tuning.policy)),
        })
    }

    /// PLAIN (RFC 4616) and LOGIN ([MS-XLOGIN]). `authorization` is empty for the user himself.
    /// Takes as long as argon2id and the back-off do; cancelling it counts as a failure once its
    /// turn has come.
    pub async fn password(
        &self,
        peer: IpAddr,
        authorization: &str,
        user: &str,
        password: &[u8],
    ) -> Verdict {
        // RFC 4616 section 2 (R4616-2-a, XLOGIN-2-c): nobody has an empty name or password.
        if user.is_empty() || password.is_empty() {
            refusal::note(user, "the name or the password is empty");
            return Verdict::Refused;
        }
        let Some(attempt) = self.attempt(peer, user).await else {
            return Verdict::Unavailable;
        };
        let record = match self.find(user, "").await {
            Ok(record) => record,
            Err(error) => return attempt.unavailable(&error),
        };
        let fits = match self.fits(peer, record.as_deref(), password).await {
            Ok(fits) => fits,
            Err(error) => return attempt.unavailable(&error),
        };
        let Some(record) = record else {
            return attempt.refused("no such user");
        };
        if !fits {
            return attempt.refused(match record.password {
                Some(_) => "wrong password",
                None => "no password set: `pillarbox user password`",
            });
        }
        // RFC 4616 section 2 (R4616-2-b): acting for others is not permitted to anybody.
        if !self.is_self(&record, authorization, user) {
            return attempt.refused("may not act as the authorization identity");
        }
        attempt.right(&record)
    }

    /// NTLM. `verify` checks the peer's response against an NT hash, or says why it does not fit;
    /// it is called exactly once, also for users that do not exist.
    pub async fn ntlm<F>(&self, peer: IpAddr, user: &str, domain: &str, verify: F) -> Verdict
    where
        F: FnOnce(&[u8; 16]) -> Result<(), Unverified> + Send,
    {
        let Some(attempt) = self.attempt(peer, user).await else {
            return Verdict::Unavailable;
        };
        let record = match self.find(user, domain).await {
            Ok(record) => record,
            Err(error) => return attempt.unavailable(&error),
        };
        let nt = record.as_ref().and_then(|record| record.nt.as_ref());
        let verified = verify(nt.unwrap_or(&self.no_nt).octets());
        match (record, verified) {
            // R4954-6-b, for everybody: it says nothing about the user.
            (_, Err(error @ Unverified::Unavailable(_))) => attempt.unavailable(&error),
            (None, _) => attempt.refused("no such user"),
            // R4954-6-d: the peer is not told that the user exists.
            (Some(record), _) if record.nt.is_none() => {
                attempt.refused("no NT hash set: `pillarbox user password`")
            }
            (Some(_), Err(Unverified::Refused(reason))) => attempt.refused(&reason),
            (Some(record), Ok(())) => attempt.right(&record),
        }
    }

    /// Waits for the attempts of the same user and peer before this one, and then as long as the
    /// back-off says. `None` if the first takes too long: nothing is checked, so nothing counts.
    async fn attempt<'a>(&'a self, peer: IpAddr, user: &'a str) -> Option<Attempt<'a>> {
        let key = self.names.counted(user);
        let turn = self.turns.take((machine(peer), key.clone()));
        let Ok(Some(turn)) = tokio::time::timeout(self.most_queued, turn).await else {
            refusal::note(user, "too many attempts at once");
            return None;
        };
        let attempt = Attempt {
            authenticator: self,
            peer,
            user,
            key,
            _turn: turn,
        };
        let delay = attempt.backoff(|backoff, now| backoff.begin(now, peer, &attempt.key));
        if delay > Duration::ZERO {
            tracing::debug!(%peer, user, ?delay, "an attempt is slowed down");
            tokio::time::sleep(delay).await;
        }
        Some(attempt)
    }

    async fn find(&self, user: &str, domain: &str) -> Result<Option<Arc<Record>>, UsersError> {
        let mut found = None;
        // All are asked for, so that the number of look-ups says nothing.
        for name in self.names.candidates(user, domain) {
            let record = self.users.find(&name).await?;
            found = found.or(record);
        }
        Ok(found)
    }

    async fn fits(
        &self,
        peer: IpAddr,
        record: Option<&Record>,
        password: &[u8],
    ) -> Result<bool, ArgonError> {
        let hash = record.and_then(|record| record.password.as_deref());
        for form in forms(password) {
            if let Some(record) = record
                && self.cache.remembers(Instant::now(), record, &form)
            {
                return Ok(true);
            }
            if self
                .argon
                .verify(peer, form.clone(), hash.unwrap_or(&self.nobody))
                .await?
                && let Some(record) = record
                && hash.is_some()
            {
                self.cache.remember(Instant::now(), record, &form);
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_self(&self, record: &Record, authorization: &str, user: &str) -> bool {
        authorization.is_empty()
            || authorization.eq_ignore_ascii_case(user)
            || authorization.eq_ignore_ascii_case(&record.name)
    }
}

/// The octets as they came and, if they are no UTF-8, as Latin-1, which old devices send
/// (XLOGIN-2-c); passwords are kept as UTF-8.
fn forms(password: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
    let mut forms = vec![Zeroizing::new(password.to_vec())];
    if std::str::from_utf8(password).is_err() {
        let latin1: Zeroizing<String> =
            Zeroizing::new(password.iter().map(|octet| char::from(*octet)).collect());
        forms.push(Zeroizing::new(latin1.as_bytes().to_vec()));
    }
    forms
}

/// An attempt that has begun. It counts as failed already: if the peer hangs up, it stays so.
struct Attempt<'a> {
    authenticator: &'a Authenticator,
    peer: IpAddr,
    user: &'a str,
    key: String,
    _turn: Turn<Pair>,
}

impl Attempt<'_> {
    fn backoff<T>(&self, act: impl FnOnce(&mut Backoff, Instant) -> T) -> T {
        let backoff = &self.authenticator.backoff;
        act(
            &mut backoff.lock().unwrap_or_else(PoisonError::into_inner),
            Instant::now(),
        )
    }

    fn right(self, record: &Record) -> Verdict {
        if record.disabled {
            self.take_back();
            self.log("account disabled");
            return Verdict::Disabled;
        }
        self.backoff(|backoff, now| backoff.succeeded(now, self.peer, &self.key));
        Verdict::Granted(record.name.clone())
    }

    fn refused(self, reason: &str) -> Verdict {
        self.log(reason);
        Verdict::Refused
    }

    /// Nobody is to blame, so nothing is counted.
    fn unavailable(self, error: &dyn std::error::Error) -> Verdict {
        self.take_back();
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        tracing::error!(peer = %self.peer, user = self.user, %error, cause, "cannot authenticate");
        Verdict::Unavailable
    }

    fn take_back(&self) {
        self.backoff(|backoff, now| backoff.taken_back(now, self.peer, &self.key));
    }

    fn log(&self, reason: &str) {
        refusal::note(self.user, reason);
    }
}

#[cfg(test)]
#[path = "authenticator_tests.rs"]
mod tests;
