//! Mechanisms that show no password: the component's verifier checks a proof against what is kept.
//!
//! `verify` is called exactly once, also for users that do not exist or have nothing of the kind:
//! then with something that nothing fits.

use crate::users::names::folded;
use std::net::IpAddr;
use std::sync::Arc;

use super::super::{Kind, Record, ScramDigest, ScramVerifier, UsersError};
use super::attempt::Attempt;
use super::{Authenticator, Unverified, Verdict};

/// A SCRAM exchange whose client has given a name and not yet a proof.
#[derive(Debug, Clone)]
pub struct ScramExchange {
    digest: ScramDigest,
    authorization: String,
    user: String,
    /// What the proof will be checked against: the client was told its salt.
    told: Option<ScramVerifier>,
}

impl ScramExchange {
    /// Which hash.
    pub fn digest(&self) -> ScramDigest {
        self.digest
    }
}

/// What a SCRAM client is told first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Salt.
    pub salt: Vec<u8>,
    /// Iterations.
    pub iterations: u32,
}

impl Authenticator {
    /// NTLM.
    pub async fn ntlm<F>(&self, peer: IpAddr, user: &str, domain: &str, verify: F) -> Verdict
    where
        F: FnOnce(&[u8; 16]) -> Result<(), Unverified> + Send,
    {
        let Some(attempt) = self.attempt(peer, user).await else {
            return Verdict::Unavailable;
        };
        let record = match self.find_as_sent(user, domain).await {
            Ok(record) => record,
            Err(error) => return attempt.unavailable(&error),
        };
        let nt = record.as_ref().and_then(|record| record.nt.as_ref());
        let verified = verify(nt.unwrap_or(&self.no_nt).octets());
        self.judged(attempt, record, Kind::Nt, verified).0
    }

    /// CRAM-MD5.
    pub async fn cram_md5<F>(&self, peer: IpAddr, user: &str, verify: F) -> Verdict
    where
        F: FnOnce(&[u8; 32]) -> Result<(), Unverified> + Send,
    {
        let Some(attempt) = self.attempt(peer, user).await else {
            return Verdict::Unavailable;
        };
        let record = match self.find(user, "").await {
            Ok(record) => record,
            Err(error) => return attempt.unavailable(&error),
        };
        let states = record.as_ref().and_then(|record| record.cram_md5.as_ref());
        let verified = verify(states.unwrap_or(&self.no_states).octets());
        self.judged(attempt, record, Kind::CramMd5, verified).0
    }

    /// The first message of SCRAM. Nothing is proven yet, so nothing is counted; every name has a
    /// salt (R5802-5-b). `None` if it cannot be known now.
    pub async fn scram_first(
        &self,
        digest: ScramDigest,
        authorization: &str,
        user: &str,
    ) -> Option<(ScramExchange, Told)> {
        // NTLM's `DOMAIN\\user` is no way to write a name here: which of its forms lead to one record
        // would tell, by the salt, that there is a record.
        if user.contains('\\') {
            let exchange = ScramExchange {
                digest,
                authorization: authorization.to_owned(),
                user: user.to_owned(),
                told: None,
            };
            let told = Told {
                salt: self.salts.salt(digest, &folded(user)),
                iterations: super::super::scram::ITERATIONS,
            };
            return Some((exchange, told));
        }
        let (found, alike) = match self.find_alike(user).await {
            Ok(found) => found,
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(user, %error, cause, "cannot authenticate");
                return None;
            }
        };
        let keys = found.as_ref().and_then(|record| record.scram(digest));
        let told = match keys.or(alike.as_ref().and_then(|record| record.scram(digest))) {
            Some(keys) => Told {
                salt: keys.salt.clone(),
                iterations: keys.iterations,
            },
            None => Told {
                salt: self.salts.salt(digest, &self.counted(user)),
                iterations: super::super::scram::ITERATIONS,
            },
        };
        let exchange = ScramExchange {
            digest,
            authorization: authorization.to_owned(),
            user: user.to_owned(),
            told: keys.cloned(),
        };
        Some((exchange, told))
    }

    /// The record that `user` means; and if there is none, that of the same user written with the
    /// hostname: both ways of writing have one salt where there is no such user, so they must
    /// where only the other is one.
    async fn find_alike(
        &self,
        user: &str,
    ) -> Result<(Option<Arc<Record>>, Option<Arc<Record>>), UsersError> {
        let found = self.find(user, "").await?;
        let alike = self.find(&self.names.address(user), "").await?;
        Ok((found, alike))
    }

    /// The last message of SCRAM: the verdict and, with a grant, the server's signature.
    pub async fn scram_final<F>(
        &self,
        peer: IpAddr,
        exchange: ScramExchange,
        verify: F,
    ) -> (Verdict, Vec<u8>)
    where
        F: FnOnce(&ScramVerifier) -> Result<Vec<u8>, Unverified> + Send,
    {
        let ScramExchange {
            digest,
            authorization,
            user,
            told,
        } = exchange;
        let Some(attempt) = self.attempt(peer, &user).await else {
            return (Verdict::Unavailable, Vec::new());
        };
        // Again: the account may have been removed or disabled since.
        let record = match self.find(&user, "").await {
            Ok(record) => record,
            Err(error) => return (attempt.unavailable(&error), Vec::new()),
        };
        let (nobody, kind) = match digest {
            ScramDigest::Sha1 => (&self.no_scram[0], Kind::ScramSha1),
            ScramDigest::Sha256 => (&self.no_scram[1], Kind::ScramSha256),
        };
        let mut verified = verify(told.as_ref().unwrap_or(nobody));
        if let Some(record) = &record
            && verified.is_ok()
        {
            if record.scram(digest) != told.as_ref() {
                let reason = "the password was changed during the exchange";
                verified = Err(Unverified::Refused(reason.into()));
            } else if !self.is_self(record, &authorization, &user) {
                let reason = "may not act as the authorization identity";
                verified = Err(Unverified::Refused(reason.into()));
            }
        }
        let (verdict, signature) = self.judged(attempt, record, kind, verified);
        (verdict, signature.unwrap_or_default())
    }

    fn judged<T>(
        &self,
        attempt: Attempt<'_>,
        record: Option<Arc<Record>>,
        kind: Kind,
        verified: Result<T, Unverified>,
    ) -> (Verdict, Option<T>) {
        match (record, verified) {
            // R4954-6-b, for everybody: it says nothing about the user.
            (_, Err(error @ Unverified::Unavailable(_))) => (attempt.unavailable(&error), None),
            (None, _) => (attempt.refused("no such user"), None),
            (Some(record), _) if !record.has(kind) => (attempt.lacks(&record, kind), None),
            (Some(_), Err(Unverified::Refused(reason))) => (attempt.refused(&reason), None),
            (Some(record), Ok(value)) => {
                let verdict = attempt.right(&record);
                let value = matches!(verdict, Verdict::Granted(_)).then_some(value);
                (verdict, value)
            }
        }
    }
}
