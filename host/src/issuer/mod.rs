//! Access tokens that clients show in XOAUTH2 and OAUTHBEARER (RFC 7628), judged by the issuers of
//! `[[auth.issuer]]`.
//!
//! ```text
//!   slowed down? -> whose token? -> signature (jwt) or question (introspection) -> claims
//!       -> scope, client -> who is it? (identity) -> granted
//! ```
//!
//! ```text
//!   jwt            a signed token (RFC 7519) by the rules of RFC 8725; pure
//!   keys           JWK Sets (RFC 7517) and PEM, and which key a token may have; pure
//!   source         where keys come from: cached, fetched off the session's path
//!   introspection  asking the issuer (RFC 7662), its answers kept for a minute
//!   claims         what a token says: scope, client, user; pure
//!   identity       who that is here
//!   refusal        why a token is not good
//!   error          why nobody can tell
//! ```
//!
//! No token is in a log, an error or the memory of a cache. Nothing in a token says where keys are
//! fetched from: `jku`, `x5u`, `jwk` and `x5c` of its header are not looked at (RFC 8725 section
//! 3.10).
//!
//! Not here: the two mechanisms (the component's `sasl`), and tokens for other servers (`oauth`),
//! whose HTTP this uses.

mod claims;
mod error;
mod identity;
mod introspection;
mod jwt;
mod keys;
mod refusal;
mod source;
#[cfg(test)]
mod tests;

pub use error::IssuerError;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use jsonwebtoken::Algorithm;
use tokio::sync::Semaphore;

use crate::config::issuer::{Issuer, Judge};
use crate::oauth::endpoint::Patience;
use crate::users::backoff::{Backoff, Policy, machine};
use crate::users::{Names, Users, Verdict, refusal as noted};
use claims::Claims;
use introspection::Introspection;
use refusal::Refusal;
use source::{Pace, Source};

/// Longest token, in octets: more than a command line takes.
const MOST_TOKEN: usize = 16 * 1024;

/// Requests to issuers at a time: each has a thread.
const MOST_FETCHES: usize = 8;

/// How long an issuer may take while a session waits: under the 100 seconds in which an answer must
/// come.
const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(5),
    all: Duration::from_secs(10),
};

/// What a client shows.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// Authorization identity, or empty.
    pub authorization: &'a str,
    /// User named beside the token, or empty.
    pub user: &'a str,
    /// The bearer token.
    pub token: &'a str,
}

impl Presented<'_> {
    /// Who the client says it is, for the log.
    fn name(&self) -> &str {
        if self.user.is_empty() {
            self.authorization
        } else {
            self.user
        }
    }
}

/// Whose tokens are good. One for the service: it remembers keys and answers.
pub struct Issuers {
    known: Vec<Known>,
    users: Arc<dyn Users>,
    names: Names,
    backoff: Mutex<Backoff>,
}

impl std::fmt::Debug for Issuers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuers")
            .field("issuers", &self.known.len())
            .finish_non_exhaustive()
    }
}

/// An issuer and what is remembered of it.
struct Known {
    rules: Issuer,
    judge: Judging,
}

enum Judging {
    Signature {
        source: Arc<Source>,
        algorithms: Vec<Algorithm>,
    },
    Introspection(Box<Introspection>),
}

/// Why nobody is let in.
enum Denial {
    Refused(Refusal),
    Disabled,
    Unavailable(IssuerError),
}

impl From<Refusal> for Denial {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<IssuerError> for Denial {
    fn from(error: IssuerError) -> Self {
        Self::Unavailable(error)
    }
}

impl Issuers {
    /// The issuers of a configuration; nothing is fetched yet.
    ///
    /// # Errors
    /// An address that no request can go to; the configuration refuses those.
    pub fn new(
        issuers: &[Issuer],
        users: Arc<dyn Users>,
        names: Names,
    ) -> Result<Self, IssuerError> {
        let permits = Arc::new(Semaphore::new(MOST_FETCHES));
        let known = issuers
            .iter()
            .map(|rules| {
                let judge = match &rules.judge {
                    Judge::Signature {
                        keys,
                        algorithms,
                        refresh,
                    } => Judging::Signature {
                        source: Arc::new(Source::new(
                            rules.issuer.as_deref().unwrap_or_default(),
                            keys.clone(),
                            Pace::of(keys, *refresh),
                            Arc::clone(&permits),
                        )),
                        algorithms: algorithms.clone(),
                    },
                    Judge::Introspection {
                        url,
                        client_id,
                        client_secret_file,
                        cache,
                    } => Judging::Introspection(Box::new(Introspection::new(
                        url,
                        client_id,
                        client_secret_file,
                        *cache,
                        Arc::clone(&permits),
                    )?)),
                };
                Ok(Known {
                    rules: rules.clone(),
                    judge,
                })
            })
            .collect::<Result<_, IssuerError>>()?;
        Ok(Self {
            known,
            users,
            names,
            backoff: Mutex::new(Backoff::new(Policy::default())),
        })
    }

    /// Begins to fetch keys, so that the first login need not wait.
    pub fn warm(&self) {
        for known in &self.known {
            if let Judging::Signature { source, .. } = &known.judge {
                source.begin();
            }
        }
    }

    /// Whether the holder of a token is let in, and as whom. Takes as long as the back-off and the
    /// issuer do.
    pub async fn judge(&self, peer: IpAddr, presented: &Presented<'_>) -> Verdict {
        let attempt = Attempt::begin(&self.backoff, peer).await;
        match self.decide(presented).await {
            Ok(identity) => {
                attempt.right();
                Verdict::Granted(identity)
            }
            Err((name, Denial::Refused(refusal))) => {
                // Its signature is good, so nobody is guessing.
                if refusal.is_of_genuine() {
                    attempt.take_back();
                }
                noted::note(&name, &refusal.to_string());
                Verdict::Refused
            }
            Err((name, Denial::Disabled)) => {
                attempt.take_back();
                noted::note(&name, "account disabled");
                Verdict::Disabled
            }
            Err((name, Denial::Unavailable(error))) => {
                attempt.take_back();
                tracing::error!(%peer, error = error.line(), "cannot judge an access token");
                noted::note(&name, "cannot judge the access token");
                Verdict::Unavailable
            }
        }
    }

    /// The identity; else why not, and the name for the log.
    async fn decide(&self, presented: &Presented<'_>) -> Result<String, (String, Denial)> {
        let unnamed = |denial: Denial| (presented.name().to_owned(), denial);
        let (known, claims) = self.claims(presented.token).await.map_err(unnamed)?;
        let rules = &known.rules;
        let name = claims.user(&rules.user_claims);
        let named = |denial: Denial| {
            let name = name.unwrap_or_else(|| presented.name());
            (name.to_owned(), denial)
        };
        claims.check(rules).map_err(|no| named(no.into()))?;
        let Some(user) = name else {
            return Err(unnamed(Refusal::Nameless.into()));
        };
        identity::of(&*self.users, &self.names, &rules.domains, user, presented)
            .await
            .map_err(named)
    }

    /// What the token says, if that can be believed, and who says so.
    async fn claims(&self, token: &str) -> Result<(&Known, Claims), Denial> {
        // RFC 6750 section 2.1: a token has no other octets.
        if token.is_empty()
            || token.len() > MOST_TOKEN
            || !token.bytes().all(|o| o.is_ascii_graphic())
        {
            return Err(Refusal::Malformed.into());
        }
        let issuer = jwt::issuer(token);
        let is = |known: &&Known| issuer.is_some() && known.rules.issuer == issuer;
        if let Some(known) = self.known.iter().find(is) {
            return Ok((known, known.claims(token).await?));
        }
        // Nobody here but those who were set up to judge what names no issuer, or an unknown one,
        // is shown the token.
        let fits = |known: &&Known| match known.judge {
            Judging::Signature { .. } => false,
            Judging::Introspection(_) => issuer.is_none() || known.rules.issuer.is_none(),
        };
        let judges: Vec<&Known> = self.known.iter().filter(fits).collect();
        if judges.is_empty() {
            return Err(Refusal::UnknownIssuer(issuer.unwrap_or_default()).into());
        }
        let mut last = Denial::Refused(Refusal::Inactive);
        for known in judges {
            match known.claims(token).await {
                Ok(claims) => return Ok((known, claims)),
                // One that cannot be asked may have been the right one.
                Err(Denial::Refused(_)) if matches!(last, Denial::Unavailable(_)) => {}
                Err(denial) => last = denial,
            }
        }
        Err(last)
    }
}

impl Known {
    async fn claims(&self, token: &str) -> Result<Claims, Denial> {
        match &self.judge {
            Judging::Signature { source, algorithms } => {
                let rules = jwt::Rules {
                    issuer: self.rules.issuer.as_deref().unwrap_or_default(),
                    audiences: &self.rules.audiences,
                    algorithms,
                    leeway: self.rules.leeway,
                };
                let keys = source.keys().await?;
                match jwt::verify(token, &rules, &keys) {
                    // The issuer may have a new key.
                    Err(Refusal::UnknownKey) => match source.newer(&keys).await {
                        Some(keys) => Ok(jwt::verify(token, &rules, &keys)?),
                        None => Err(Refusal::UnknownKey.into()),
                    },
                    result => Ok(result?),
                }
            }
            Judging::Introspection(introspection) => {
                let claims = introspection.ask(token).await?.ok_or(Refusal::Inactive)?;
                claims.check_introspected(&self.rules, SystemTime::now())?;
                Ok(claims)
            }
        }
    }
}

/// An attempt of a peer. It counts as failed already; if the peer hangs up, it stays so.
struct Attempt<'a> {
    backoff: &'a Mutex<Backoff>,
    peer: IpAddr,
    /// Counted for the machine alone: the name beside a token is anybody's, and nobody who is named
    /// may be locked out.
    key: String,
}

impl<'a> Attempt<'a> {
    /// Waits as long as earlier failures of this machine want.
    async fn begin(backoff: &'a Mutex<Backoff>, peer: IpAddr) -> Self {
        let attempt = Self {
            backoff,
            peer,
            key: machine(peer).to_string(),
        };
        let delay = attempt.count(|backoff, now| backoff.begin(now, peer, &attempt.key));
        if delay > Duration::ZERO {
            tracing::debug!(%peer, ?delay, "an attempt with a token is slowed down");
            tokio::time::sleep(delay).await;
        }
        attempt
    }

    fn count<T>(&self, act: impl FnOnce(&mut Backoff, Instant) -> T) -> T {
        let mut backoff = self.backoff.lock().unwrap_or_else(PoisonError::into_inner);
        act(&mut backoff, Instant::now())
    }

    fn right(&self) {
        self.count(|backoff, now| backoff.succeeded(now, self.peer, &self.key));
    }

    fn take_back(&self) {
        self.count(|backoff, now| backoff.taken_back(now, self.peer, &self.key));
    }
}
