//! What SCRAM checks against, and PBKDF2 (RFC 5802, RFC 7677).
//!
//! Kept in the form of RFC 5803 section 2, `SCRAM-SHA-256$15000:SALT$STOREDKEY:SERVERKEY`, so that
//! entries of LDAP directories and of PostgreSQL can be taken over as they are.
//!
//! Not here: what makes keys of PBKDF2's result, and the proof (the component's verifier).

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use aws_lc_rs::pbkdf2;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use zeroize::Zeroizing;

/// Iterations of new verifiers. About 15,000 are the rule of thumb of RFC 7677 section 4; a printer
/// does them within a second or two, and a person at a keyboard does not notice. More would slow
/// down who steals the users file, but the NT hash beside them takes no iterations at all.
pub const ITERATIONS: u32 = 15_000;

/// RFC 5802 section 5.1: less than 4096 must not be announced; more than a million would keep
/// clients busy for seconds (profile R5802-5-d).
const SENSIBLE: std::ops::RangeInclusive<u32> = 4_096..=1_000_000;

/// Octets of a new salt.
pub const SALT: usize = 16;

/// Hash of a SCRAM mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScramDigest {
    /// RFC 5802.
    Sha1,
    /// RFC 7677.
    Sha256,
}

impl ScramDigest {
    /// Name of the mechanism, without -PLUS.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SCRAM-SHA-1",
            Self::Sha256 => "SCRAM-SHA-256",
        }
    }

    /// Octets of its hash, and so of keys and proofs.
    pub fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// SaltedPassword: Hi of RFC 5802 section 2.2. The password must be prepared. Takes its time on
    /// this thread.
    pub fn salted(self, password: &str, salt: &[u8], iterations: u32) -> Zeroizing<Vec<u8>> {
        let algorithm = match self {
            Self::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
        };
        let mut salted = Zeroizing::new(vec![0; self.length()]);
        let iterations = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
        pbkdf2::derive(
            algorithm,
            iterations,
            salt,
            password.as_bytes(),
            &mut salted,
        );
        salted
    }
}

/// What one user's SCRAM proofs are checked against.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramVerifier {
    /// Which hash.
    pub digest: ScramDigest,
    /// Iterations of PBKDF2.
    pub iterations: u32,
    /// Salt.
    pub salt: Vec<u8>,
    /// StoredKey.
    pub stored_key: Arc<Zeroizing<Vec<u8>>>,
    /// ServerKey: who has it can pretend to be this server.
    pub server_key: Arc<Zeroizing<Vec<u8>>>,
}

impl ScramVerifier {
    /// Keys that no password has.
    pub fn nobody(digest: ScramDigest) -> Self {
        let key = || {
            let octets: [u8; 32] = rand::random();
            Arc::new(Zeroizing::new(octets[..digest.length()].to_vec()))
        };
        Self {
            digest,
            iterations: ITERATIONS,
            salt: Vec::new(),
            stored_key: key(),
            server_key: key(),
        }
    }

    /// From the form of RFC 5803.
    pub(super) fn parse(digest: ScramDigest, text: &str) -> Option<Self> {
        let rest = text.strip_prefix(digest.name())?.strip_prefix('$')?;
        let (cost, keys) = rest.split_once('$')?;
        let (iterations, salt) = cost.split_once(':')?;
        let (stored_key, server_key) = keys.split_once(':')?;
        let key = |text| {
            let octets = STANDARD.decode(text).ok()?;
            (octets.len() == digest.length()).then(|| Arc::new(Zeroizing::new(octets)))
        };
        let iterations = iterations
            .parse()
            .ok()
            .filter(|number| SENSIBLE.contains(number))?;
        let salt = STANDARD.decode(salt).ok().filter(|salt| {
            // It stands in a line with two nonces.
            (1..=256).contains(&salt.len())
        })?;
        Some(Self {
            digest,
            iterations,
            salt,
            stored_key: key(stored_key)?,
            server_key: key(server_key)?,
        })
    }
}

impl fmt::Display for ScramVerifier {
    /// The form of RFC 5803, for the users file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}${}:{}${}:{}",
            self.digest.name(),
            self.iterations,
            STANDARD.encode(&self.salt),
            STANDARD.encode(self.stored_key.as_slice()),
            STANDARD.encode(self.server_key.as_slice()),
        )
    }
}

impl fmt::Debug for ScramVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScramVerifier({}, ***)", self.digest.name())
    }
}

impl Serialize for ScramVerifier {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

    use super::*;

    fn hex(octets: &[u8]) -> String {
        octets.iter().map(|octet| format!("{octet:02x}")).collect()
    }

    #[test]
    fn r5802_5_b_hi_is_pbkdf2_of_the_published_vectors() {
        // RFC 6070 section 2.
        let sha1 = ScramDigest::Sha1.salted("password", b"salt", 4096);
        assert_eq!(hex(&sha1), "4b007901b765489abead49d926f721d065a429c1");
        // RFC 7914 section 11: the first 32 of 64 octets.
        let sha256 = ScramDigest::Sha256.salted("passwd", b"salt", 1);
        assert_eq!(
            hex(&sha256),
            "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
        );
    }

    #[test]
    fn rfc_5803_form_is_read_and_written() {
        // RFC 5803 section 4 has salt and keys of RFC 5802 section 5 (user, pencil).
        let text = "SCRAM-SHA-1$4096:QSXCR+Q6sek8bf92$6dlGYMOdZcOPutkcNY8U2g7vK9Y=:D+CSWLOshSulAsxiupA+qs2/fTE=";
        let verifier = ScramVerifier::parse(ScramDigest::Sha1, text).unwrap();
        assert_eq!((verifier.iterations, verifier.salt.len()), (4096, 12));
        assert_eq!(verifier.to_string(), text);
        assert!(!format!("{verifier:?}").contains("6dlG"));
        for wrong in [
            "",
            "SCRAM-SHA-1",
            &text.replace("4096", "4095"),
            &text.replace("4096", "1000001"),
            &text.replace("4096", "-1"),
            &text.replace("$6dlG", "$6dl"),
            &text.replace("QSXCR+Q6sek8bf92", ""),
            &text.replace("QSXCR", "*****"),
            &text.replace(":D+", ":"),
            &text.replace("-1$", "-256$"),
        ] {
            assert_eq!(
                ScramVerifier::parse(ScramDigest::Sha1, wrong),
                None,
                "{wrong}"
            );
        }
        assert_eq!(ScramVerifier::parse(ScramDigest::Sha256, text), None);
    }

    #[test]
    fn r5802_5_b_new_verifiers_have_4096_iterations_and_more() {
        assert!(SENSIBLE.contains(&ITERATIONS));
    }
}
