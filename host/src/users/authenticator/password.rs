//! PLAIN and LOGIN: a password, checked with argon2id.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use zeroize::Zeroizing;

use super::super::argon::ArgonError;
use super::super::completion::Incomplete;
use super::super::{Record, prepare};
use super::{Authenticator, Verdict};

/// What came of a login with a password.
#[derive(Debug)]
pub struct Login {
    /// The answer.
    pub verdict: Verdict,
    /// The user was right and lacks verifiers: for [`super::super::Completion`].
    pub incomplete: Option<Incomplete>,
}

impl From<Verdict> for Login {
    fn from(verdict: Verdict) -> Self {
        Self {
            verdict,
            incomplete: None,
        }
    }
}

impl Authenticator {
    /// PLAIN (RFC 4616) and LOGIN ([MS-XLOGIN]). `authorization` is empty for the user himself.
    /// Takes as long as argon2id and the back-off do; cancelling it counts as a failure once its
    /// turn has come.
    pub async fn password(
        &self,
        peer: IpAddr,
        authorization: &str,
        user: &str,
        password: &[u8],
    ) -> Login {
        // RFC 4616 section 2 (R4616-2-a, XLOGIN-2-c): nobody has an empty name or password.
        if user.is_empty() || password.is_empty() {
            return Verdict::Refused.into();
        }
        let Some(attempt) = self.attempt(peer, user).await else {
            return Verdict::Unavailable.into();
        };
        let record = match self.find(user, "").await {
            Ok(record) => record,
            Err(error) => return attempt.unavailable(&error).into(),
        };
        let fits = match self.fits(peer, record.as_deref(), password).await {
            Ok(fits) => fits,
            Err(error) => return attempt.unavailable(&error).into(),
        };
        let Some(record) = record else {
            return attempt.refused("no such user").into();
        };
        if !fits {
            let reason = match record.password {
                Some(_) => "wrong password",
                None => "no password set: `pillarbox user password`",
            };
            return attempt.refused(reason).into();
        }
        // RFC 4616 section 2 (R4616-2-b): acting for others is not permitted to anybody.
        if !self.is_self(&record, authorization, user) {
            return attempt
                .refused("may not act as the authorization identity")
                .into();
        }
        let verdict = attempt.right(&record);
        let incomplete = matches!(verdict, Verdict::Granted(_))
            .then(|| self.incomplete(record, password))
            .flatten();
        Login {
            verdict,
            incomplete,
        }
    }

    fn incomplete(&self, record: Arc<Record>, password: &[u8]) -> Option<Incomplete> {
        let lacks = record.lacks(&self.wanted);
        (!lacks.is_empty()).then(|| Incomplete {
            record,
            lacks,
            password: text(password),
        })
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
}

/// The password as a person wrote it: UTF-8, else Latin-1, which old devices send (XLOGIN-2-c).
fn text(password: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(match std::str::from_utf8(password) {
        Ok(text) => text.to_owned(),
        Err(_) => password.iter().map(|octet| char::from(*octet)).collect(),
    })
}

/// The forms to try: the octets as they came, as UTF-8 if they are none, and prepared
/// (R4954-4-o, RFC 4616 section 2). New hashes are of prepared passwords; older ones of what was
/// typed.
fn forms(password: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
    let mut forms = vec![Zeroizing::new(password.to_vec())];
    let text = text(password);
    let prepared = prepare::password(&text);
    for other in [Some(text), prepared].into_iter().flatten() {
        let other = Zeroizing::new(other.as_bytes().to_vec());
        if !forms.contains(&other) {
            forms.push(other);
        }
    }
    forms
}
