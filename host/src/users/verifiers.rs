//! What is kept of a password, made of it.
//!
//! The component does the arithmetic of its mechanisms ([`Arithmetic`]); what is slow on purpose
//! (argon2id, PBKDF2) is done here, natively, on the thread of the caller.

use super::argon::Cost;
use super::kept::{HmacStates, NtHash};
use super::kind::Kind;
use super::scram::{ITERATIONS, SALT, ScramDigest, ScramVerifier};
use super::{Record, prepare};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Why a verifier could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DeriveError {
    /// argon2id would not run.
    #[error("cannot hash the password")]
    Argon(#[from] super::argon::ArgonError),
    /// The component failed.
    #[error("the component's verifier failed")]
    Component(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// StoredKey and ServerKey (RFC 5802 section 3).
pub type ScramKeys = (Vec<u8>, Vec<u8>);

/// The component's part: quick.
pub trait Arithmetic: Send + Sync {
    /// The NT hash ([MS-NLMP] section 3.3.1).
    ///
    /// # Errors
    /// If the component fails.
    fn nt(&self, password: &str) -> Result<[u8; 16], DeriveError>;

    /// The inner states of HMAC-MD5 (RFC 2195 section 4).
    ///
    /// # Errors
    /// If the component fails.
    fn cram(&self, password: &str) -> Result<[u8; 32], DeriveError>;

    /// The keys from SaltedPassword.
    ///
    /// # Errors
    /// If the component fails.
    fn scram(&self, digest: ScramDigest, salted: &[u8]) -> Result<ScramKeys, DeriveError>;
}

/// Verifiers of one password.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verifiers {
    /// argon2id in PHC form.
    pub password: Option<String>,
    /// For NTLM.
    pub nt: Option<NtHash>,
    /// For CRAM-MD5.
    pub cram_md5: Option<HmacStates>,
    /// For SCRAM-SHA-1.
    pub scram_sha_1: Option<ScramVerifier>,
    /// For SCRAM-SHA-256.
    pub scram_sha_256: Option<ScramVerifier>,
}

impl Verifiers {
    /// Those of `kinds`. A password with characters that SASLprep forbids gets no SCRAM keys: no
    /// client could prove it (RFC 5802 section 5.1). The others take it as it is.
    ///
    /// NTLM knows no preparation; for the others it is prepared (RFC 4013), as their clients do.
    ///
    /// # Errors
    /// If one could not be made.
    pub fn derive(
        password: &str,
        kinds: &[Kind],
        arithmetic: &dyn Arithmetic,
    ) -> Result<Self, DeriveError> {
        let prepared = prepare::password(password);
        let best: &str = prepared.as_ref().map_or(password, |text| text);
        let mut verifiers = Self::default();
        for kind in kinds {
            match kind {
                Kind::Password => {
                    verifiers.password = Some(Cost::default().hash(best.as_bytes())?);
                }
                Kind::Nt => verifiers.nt = Some(arithmetic.nt(password)?.into()),
                Kind::CramMd5 => verifiers.cram_md5 = Some(arithmetic.cram(best)?.into()),
                Kind::ScramSha1 => {
                    verifiers.scram_sha_1 =
                        scram(ScramDigest::Sha1, prepared.as_deref(), arithmetic)?;
                }
                Kind::ScramSha256 => {
                    verifiers.scram_sha_256 =
                        scram(ScramDigest::Sha256, prepared.as_deref(), arithmetic)?;
                }
            }
        }
        Ok(verifiers)
    }

    /// Which of them are there.
    pub fn kinds(&self) -> Vec<Kind> {
        let there = |kind: &Kind| match kind {
            Kind::Password => self.password.is_some(),
            Kind::Nt => self.nt.is_some(),
            Kind::CramMd5 => self.cram_md5.is_some(),
            Kind::ScramSha1 => self.scram_sha_1.is_some(),
            Kind::ScramSha256 => self.scram_sha_256.is_some(),
        };
        Kind::ALL.into_iter().filter(there).collect()
    }

    /// Gives `record` these, and takes all others away.
    pub fn replace(self, record: &mut Record) {
        record.password = self.password;
        record.nt = self.nt;
        record.cram_md5 = self.cram_md5;
        record.scram_sha_1 = self.scram_sha_1;
        record.scram_sha_256 = self.scram_sha_256;
    }

    /// Gives `record` those that it lacks.
    pub fn fill(&self, record: &mut Record) {
        fn fill<T: Clone>(own: &mut Option<T>, new: Option<&T>) {
            if own.is_none() {
                *own = new.cloned();
            }
        }
        fill(&mut record.password, self.password.as_ref());
        fill(&mut record.nt, self.nt.as_ref());
        fill(&mut record.cram_md5, self.cram_md5.as_ref());
        fill(&mut record.scram_sha_1, self.scram_sha_1.as_ref());
        fill(&mut record.scram_sha_256, self.scram_sha_256.as_ref());
    }
}

fn scram(
    digest: ScramDigest,
    prepared: Option<&String>,
    arithmetic: &dyn Arithmetic,
) -> Result<Option<ScramVerifier>, DeriveError> {
    let Some(password) = prepared else {
        return Ok(None);
    };
    let salt: [u8; SALT] = rand::random();
    let salted = digest.salted(password, &salt, ITERATIONS);
    let (stored_key, server_key) = arithmetic.scram(digest, &salted)?;
    Ok(Some(ScramVerifier {
        digest,
        iterations: ITERATIONS,
        salt: salt.to_vec(),
        stored_key: Arc::new(Zeroizing::new(stored_key)),
        server_key: Arc::new(Zeroizing::new(server_key)),
    }))
}

/// Arithmetic that shows what it was given, for tests.
#[cfg(test)]
pub(crate) struct Shown;

#[cfg(test)]
impl Arithmetic for Shown {
    /// The first octet is the password's length.
    fn nt(&self, password: &str) -> Result<[u8; 16], DeriveError> {
        let mut nt = [0; 16];
        nt[0] = u8::try_from(password.len()).unwrap_or(u8::MAX);
        Ok(nt)
    }

    /// Likewise.
    fn cram(&self, password: &str) -> Result<[u8; 32], DeriveError> {
        let mut states = [0; 32];
        states[0] = u8::try_from(password.len()).unwrap_or(u8::MAX);
        Ok(states)
    }

    /// Both keys are SaltedPassword.
    fn scram(&self, _: ScramDigest, salted: &[u8]) -> Result<ScramKeys, DeriveError> {
        Ok((salted.to_vec(), salted.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

    use super::*;

    fn fits(hash: &str, password: &str) -> bool {
        use argon2::{Argon2, PasswordHash, PasswordVerifier as _};
        let hash = PasswordHash::new(hash).unwrap();
        Argon2::default()
            .verify_password(password.as_bytes(), &hash)
            .is_ok()
    }

    #[test]
    fn r4954_4_o_passwords_are_prepared_where_clients_prepare_them() {
        // SOFT HYPHEN goes, ROMAN NUMERAL NINE is compatible with IX (RFC 4013 section 3).
        let typed = "I\u{ad}X\u{2168}";
        let verifiers = Verifiers::derive(typed, &Kind::ALL, &Shown).unwrap();
        assert_eq!(verifiers.kinds(), Kind::ALL);
        assert!(fits(verifiers.password.as_deref().unwrap(), "IXIX"));
        // NTLM knows no preparation.
        assert_eq!(
            usize::from(verifiers.nt.as_ref().unwrap().octets()[0]),
            typed.len()
        );
        assert_eq!(verifiers.cram_md5.as_ref().unwrap().octets()[0], 4);
        let keys = verifiers.scram_sha_256.as_ref().unwrap();
        assert_eq!(keys.iterations, ITERATIONS);
        let salted = ScramDigest::Sha256.salted("IXIX", &keys.salt, ITERATIONS);
        assert_eq!(keys.stored_key, Arc::new(salted));
        let again = Verifiers::derive(typed, &Kind::ALL, &Shown).unwrap();
        assert_ne!(again.scram_sha_256.unwrap().salt, keys.salt);
    }

    #[test]
    fn r4954_4_o_what_scram_cannot_carry_is_for_the_others_alone() {
        let verifiers = Verifiers::derive("bell\u{7}", &Kind::ALL, &Shown).unwrap();
        assert_eq!(verifiers.kinds(), [Kind::Password, Kind::Nt, Kind::CramMd5]);
        assert!(fits(verifiers.password.as_deref().unwrap(), "bell\u{7}"));
    }

    #[test]
    fn what_is_there_stays() {
        let first = Verifiers::derive("one", &[Kind::Nt], &Shown).unwrap();
        let second = Verifiers::derive("other", &[Kind::Nt, Kind::CramMd5], &Shown).unwrap();
        let mut record = Record::new("alice");
        first.replace(&mut record);
        second.fill(&mut record);
        assert_eq!(record.nt.as_ref().unwrap().octets()[0], 3);
        assert_eq!(record.cram_md5.as_ref().unwrap().octets()[0], 5);
        Verifiers::default().replace(&mut record);
        assert_eq!(record, Record::new("alice"));
    }
}
