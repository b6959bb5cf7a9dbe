//! Asking the issuer about a token (RFC 7662). An answer is kept for a minute under a keyed hash of
//! the token, so that a client that sends many messages does not cost a request each.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use hmac::{Hmac, KeyInit, Mac};
use secrecy::SecretString;
use serde_json::{Map, Value};
use sha2::Sha256;
use tokio::sync::Semaphore;

use super::claims::Claims;
use super::{IssuerError, PATIENCE};
use crate::oauth::endpoint::{self, Endpoint};
use crate::oauth::form::Form;
use crate::oauth::secret_file;
use crate::users::bounded::Bounded;

/// Answers that are kept.
const MOST_KEPT: usize = 4_096;

/// Longest that "not active" is believed: a token may be shown a moment before its issuer knows it.
const LONGEST_NO: Duration = Duration::from_secs(10);

/// How long a session waits for its turn to ask.
const TURN: Duration = Duration::from_secs(20);

/// A keyed hash of a token.
type Tag = [u8; 32];

/// What was answered, and until when that holds.
type Kept = (Instant, Option<Claims>);

/// An introspection endpoint.
pub(super) struct Introspection {
    client: Arc<Client>,
    life: Duration,
    key: Hmac<Sha256>,
    kept: Mutex<Bounded<Tag, Kept>>,
    permits: Arc<Semaphore>,
}

struct Client {
    endpoint: Endpoint,
    id: String,
    secret_file: PathBuf,
}

impl Introspection {
    /// Nothing is asked yet.
    pub(super) fn new(
        url: &str,
        client_id: &str,
        client_secret_file: &Path,
        life: Duration,
        permits: Arc<Semaphore>,
    ) -> Result<Self, IssuerError> {
        let key: [u8; 64] = rand::random();
        Ok(Self {
            client: Arc::new(Client {
                endpoint: Endpoint::new(url, PATIENCE)?,
                id: client_id.to_owned(),
                secret_file: client_secret_file.to_owned(),
            }),
            life,
            key: Hmac::new(&key.into()),
            kept: Mutex::new(Bounded::new(MOST_KEPT)),
            permits,
        })
    }

    /// What the issuer says of the token; `None`: that it is not active.
    pub(super) async fn ask(&self, token: &str) -> Result<Option<Claims>, IssuerError> {
        let tag = self.tag(token);
        if let Some((until, claims)) = self.kept().get(tag)
            && Instant::now() < *until
        {
            return Ok(claims.clone());
        }
        let turn = tokio::time::timeout(TURN, Arc::clone(&self.permits).acquire_owned()).await;
        let Ok(Ok(permit)) = turn else {
            return Err(IssuerError::Busy);
        };
        let (client, token) = (Arc::clone(&self.client), SecretString::from(token));
        let asked = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            client.ask(&token)
        });
        let claims = asked.await.unwrap_or(Err(IssuerError::Lost))?;
        let life = match &claims {
            // RFC 7662 section 4: never longer than the token.
            Some(claims) => claims
                .life(SystemTime::now())
                .map_or(self.life, |left| left.min(self.life)),
            None => self.life.min(LONGEST_NO),
        };
        if life > Duration::ZERO {
            let kept = (Instant::now() + life, claims.clone());
            self.kept().insert(tag, kept);
        }
        Ok(claims)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Bounded<Tag, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tag(&self, token: &str) -> Tag {
        let mut mac = self.key.clone();
        mac.update(token.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

impl Client {
    /// RFC 7662 section 2.1. Blocks.
    fn ask(&self, token: &SecretString) -> Result<Option<Claims>, IssuerError> {
        // Read anew: it is replaced once a year or so.
        let secret = secret_file::read("client secret", &self.secret_file)?;
        let form = || {
            Form::default()
                .with_secret("token", token.clone())
                .with("token_type_hint", "access_token")
        };
        let basic = endpoint::basic(&self.id, &secret);
        let mut sent = form();
        let mut answer = self.endpoint.post(&sent, Some(&basic))?;
        // RFC 6749 section 2.3.1: the other way to show a client's secret.
        if matches!(answer.status.as_u16(), 400 | 401) {
            sent = form()
                .with("client_id", self.id.clone())
                .with_secret("client_secret", secret);
            answer = self.endpoint.post(&sent, None)?;
        }
        if !answer.status.is_success() {
            return Err(self.endpoint.refused(&sent, &answer).into());
        }
        let senseless = || {
            let why = "what it says is no JSON with \"active\" (RFC 7662 section 2.2)".to_owned();
            IssuerError::from(self.endpoint.senseless(&answer, why))
        };
        let response: Map<String, Value> =
            serde_json::from_slice(&answer.octets).map_err(|_| senseless())?;
        match response.get("active") {
            Some(Value::Bool(true)) => Ok(Some(response.into())),
            Some(Value::Bool(false)) => Ok(None),
            _ => Err(senseless()),
        }
    }
}
