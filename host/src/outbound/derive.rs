//! SCRAM: the password stays here, and the session gets what PBKDF2 makes of it (RFC 5802 section
//! 2.2, Hi; RFC 8018 section 5.2).

use super::dialogue::Dialogue;
use super::login::CredentialsError;
use crate::sandbox::SandboxError;
use crate::sandbox::v0_1::client::Credentials;
use crate::sandbox::v0_1::types::{Mechanism, ScramSalt};
use aws_lc_rs::pbkdf2::{self, Algorithm};
use secrecy::{ExposeSecret as _, SecretString};
use std::borrow::Cow;
use std::num::NonZeroU32;
use zeroize::Zeroizing;

/// Iterations that a server may ask for (R5802-5-d): the session holds to it too, but the time
/// they take is ours.
const ITERATIONS: std::ops::RangeInclusive<u32> = 4_096..=1_000_000;

/// What is kept back of credentials, for one exchange.
pub(super) struct Password {
    algorithm: Algorithm,
    length: usize,
    secret: SecretString,
}

impl Dialogue {
    /// What the session asked for, on a thread of its own: it is slow on purpose.
    pub(super) async fn derive(&mut self, salt: ScramSalt) -> Result<(), SandboxError> {
        let password = self
            .authentication
            .password
            .take()
            .ok_or_else(|| SandboxError::violation("PBKDF2 without a SCRAM exchange"))?;
        let iterations = NonZeroU32::new(salt.iterations)
            .filter(|number| ITERATIONS.contains(&number.get()))
            .ok_or_else(|| SandboxError::violation("PBKDF2 with too few or too many iterations"))?;
        let deriving =
            tokio::task::spawn_blocking(move || password.derive(&salt.salt, iterations)).await;
        // It neither panics nor is it ever aborted.
        let salted = deriving.map_err(|error| SandboxError::Violation(error.to_string()))?;
        let progress = self.session.derived(&salted)?;
        self.offer_again = true;
        self.carry_out(progress, &[]).await
    }
}

impl Password {
    fn derive(&self, salt: &[u8], iterations: NonZeroU32) -> Zeroizing<Vec<u8>> {
        let mut salted = Zeroizing::new(vec![0; self.length]);
        let password = self.secret.expose_secret().as_bytes();
        pbkdf2::derive(self.algorithm, iterations, salt, password, &mut salted);
        salted
    }
}

/// The credentials as the session gets them, and what is kept back for [`Dialogue::derive`]: a
/// session that does not need the secret does not get it.
pub(super) fn keep_back(
    mechanism: Mechanism,
    credentials: Credentials,
) -> Result<(Credentials, Option<Password>), CredentialsError> {
    let (algorithm, length) = match mechanism {
        Mechanism::ScramSha1 | Mechanism::ScramSha1Plus => (pbkdf2::PBKDF2_HMAC_SHA1, 20),
        Mechanism::ScramSha256 | Mechanism::ScramSha256Plus => (pbkdf2::PBKDF2_HMAC_SHA256, 32),
        Mechanism::External => {
            let secret = String::new();
            return Ok((
                Credentials {
                    secret,
                    ..credentials
                },
                None,
            ));
        }
        Mechanism::Login
        | Mechanism::Ntlm
        | Mechanism::Plain
        | Mechanism::CramMd5
        | Mechanism::Xoauth2
        | Mechanism::Oauthbearer => return Ok((credentials, None)),
    };
    let secret = Zeroizing::new(credentials.secret);
    let password = Password {
        algorithm,
        length,
        secret: SecretString::from(prepared("password", &secret)?.into_owned()),
    };
    let user = prepared("user name", &credentials.user)?.into_owned();
    let credentials = Credentials {
        user,
        secret: String::new(),
        ..credentials
    };
    Ok((credentials, Some(password)))
}

/// SASLprep (RFC 4013; R4954-4-o). RFC 5802 section 5.1: what cannot be prepared is not sent.
fn prepared<'a>(what: &str, text: &'a str) -> Result<Cow<'a, str>, CredentialsError> {
    match stringprep::saslprep(text) {
        Ok(prepared) if !prepared.is_empty() => Ok(prepared),
        Ok(_) => Err(CredentialsError {
            text: format!("the {what} is empty"),
        }),
        Err(_) => Err(CredentialsError {
            text: format!(
                "the {what} has characters that SCRAM cannot carry (RFC 4013): change it, or leave \
                 the SCRAM mechanisms out"
            ),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(user: &str, secret: &str) -> Credentials {
        Credentials {
            user: user.into(),
            domain: String::new(),
            workstation: String::new(),
            secret: secret.into(),
        }
    }

    fn hex(octets: &[u8]) -> String {
        octets.iter().map(|octet| format!("{octet:02x}")).collect()
    }

    fn derived(mechanism: Mechanism, secret: &str, salt: &[u8], iterations: u32) -> String {
        let (given, password) = keep_back(mechanism, credentials("user", secret)).unwrap();
        assert_eq!(given.secret, "");
        let iterations = NonZeroU32::new(iterations).unwrap();
        hex(&password.unwrap().derive(salt, iterations))
    }

    #[test]
    fn rfc_6070_2_and_rfc_7914_11_published_vectors() {
        // RFC 6070 section 2.
        let sha1 = derived(Mechanism::ScramSha1, "password", b"salt", 4096);
        assert_eq!(sha1, "4b007901b765489abead49d926f721d065a429c1");
        // RFC 7914 section 11: the first 32 of 64 octets.
        let sha256 = derived(Mechanism::ScramSha256Plus, "passwd", b"salt", 1);
        assert_eq!(
            sha256,
            "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
        );
    }

    #[test]
    fn r4954_4_o_user_and_password_are_prepared() {
        // RFC 4013 section 3: SOFT HYPHEN goes, ROMAN NUMERAL NINE is compatible with IX.
        let soft = derived(Mechanism::ScramSha1, "I\u{ad}X", b"salt", 1);
        assert_eq!(soft, derived(Mechanism::ScramSha1, "IX", b"salt", 1));
        let nine = derived(Mechanism::ScramSha1, "\u{2168}", b"salt", 1);
        assert_eq!(nine, derived(Mechanism::ScramSha1, "IX", b"salt", 1));
        let (given, _) = keep_back(Mechanism::ScramSha1, credentials("\u{aa}", "x")).unwrap();
        assert_eq!(given.user, "a");
        for (user, secret) in [("\u{7}", "x"), ("x", "\u{7}"), ("", "x"), ("x", "\u{ad}")] {
            let kept = keep_back(Mechanism::ScramSha256, credentials(user, secret));
            let Err(error) = kept else {
                panic!("{user:?} {secret:?}");
            };
            assert!(!error.text.contains('\u{7}'), "{}", error.text);
        }
    }

    #[test]
    fn sessions_get_no_secret_that_they_do_not_need() {
        let given = |mechanism| {
            let (given, kept) = keep_back(mechanism, credentials("user", "secret")).unwrap();
            (given.secret, kept.is_some())
        };
        assert_eq!(given(Mechanism::External), (String::new(), false));
        assert_eq!(given(Mechanism::ScramSha256), (String::new(), true));
        assert_eq!(given(Mechanism::CramMd5), ("secret".into(), false));
    }
}
