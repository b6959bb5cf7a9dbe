//! Where an issuer's keys come from. They are fetched by a task of their own; a session waits only
//! where there are none yet, or where a token has a key that nobody has seen. While the issuer is
//! away the last keys stay good.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use tokio::sync::{Semaphore, watch};

use super::keys::KeySet;
use super::{IssuerError, PATIENCE};
use crate::config::issuer::KeySource;
use crate::oauth::endpoint::{self, Endpoint};
use crate::oauth::secret_file;

/// Largest document of an issuer, in octets: keys with chains of certificates take a few thousand
/// each.
const MOST: u64 = 512 * 1024;

/// When keys are fetched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Keys older than this are fetched again when somebody needs them.
    pub refresh: Duration,
    /// Least time between two fetches, also for keys that nobody knows: strangers may name any.
    pub again: Duration,
    /// The same while there are no keys at all.
    pub retry: Duration,
    /// How long a session waits for a fetch.
    pub wait: Duration,
}

impl Pace {
    /// For keys from there, with this age.
    pub(super) fn of(keys: &KeySource, refresh: Duration) -> Self {
        let (refresh, again) = match keys {
            // A look at a file costs nothing.
            KeySource::File(_) | KeySource::Secret(_) => {
                (refresh.min(Duration::from_secs(10)), Duration::from_secs(1))
            }
            KeySource::Url(_) | KeySource::Discovery => (refresh, Duration::from_secs(30)),
        };
        Self {
            refresh,
            again,
            retry: Duration::from_secs(5).min(again),
            wait: PATIENCE.all + Duration::from_secs(2),
        }
    }
}

/// Where the keys of an issuer come from, and the last ones.
pub(super) struct Source {
    issuer: String,
    from: KeySource,
    pace: Pace,
    keys: ArcSwapOption<KeySet>,
    looks: Mutex<Looks>,
    permits: Arc<Semaphore>,
}

#[derive(Default)]
struct Looks {
    /// The last fetch began.
    began: Option<Instant>,
    /// The last good one ended.
    good: Option<Instant>,
    /// Ends with the fetch that runs.
    running: Option<watch::Receiver<()>>,
    /// What was said in the log, so that it is said once.
    complaint: String,
}

impl Source {
    /// Nothing is fetched yet.
    pub(super) fn new(issuer: &str, from: KeySource, pace: Pace, permits: Arc<Semaphore>) -> Self {
        Self {
            issuer: issuer.to_owned(),
            from,
            pace,
            keys: ArcSwapOption::empty(),
            looks: Mutex::default(),
            permits,
        }
    }

    /// Begins the first fetch.
    pub(super) fn begin(self: &Arc<Self>) {
        drop(self.fetch(self.pace.retry));
    }

    /// The keys. Waits only where there are none.
    ///
    /// # Errors
    /// There are none.
    pub(super) async fn keys(self: &Arc<Self>) -> Result<Arc<KeySet>, IssuerError> {
        if let Some(keys) = self.keys.load_full() {
            let good = self.looks().good;
            if good.is_none_or(|good| good.elapsed() >= self.pace.refresh) {
                drop(self.fetch(self.pace.again));
            }
            return Ok(keys);
        }
        self.wait(self.pace.retry).await;
        self.keys
            .load_full()
            .ok_or_else(|| IssuerError::NoKeys(self.issuer.clone()))
    }

    /// Other keys than those, which were not enough; `None`: there are no others now.
    pub(super) async fn newer(self: &Arc<Self>, than: &Arc<KeySet>) -> Option<Arc<KeySet>> {
        let other = || self.keys.load_full().filter(|own| !Arc::ptr_eq(own, than));
        if let Some(keys) = other() {
            return Some(keys);
        }
        self.wait(self.pace.again).await;
        other()
    }

    async fn wait(self: &Arc<Self>, pause: Duration) {
        if let Some(mut running) = self.fetch(pause) {
            // An error is its end.
            let _ = tokio::time::timeout(self.pace.wait, running.changed()).await;
        }
    }

    fn looks(&self) -> std::sync::MutexGuard<'_, Looks> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fetch that runs; else a new one, unless the last began less than `pause` ago.
    fn fetch(self: &Arc<Self>, pause: Duration) -> Option<watch::Receiver<()>> {
        let mut looks = self.looks();
        if let Some(running) = &looks.running {
            return Some(running.clone());
        }
        if looks.began.is_some_and(|began| began.elapsed() < pause) {
            return None;
        }
        looks.began = Some(Instant::now());
        let (end, running) = watch::channel(());
        looks.running = Some(running.clone());
        let source = Arc::clone(self);
        // A session that hangs up does not break it off.
        tokio::spawn(async move {
            let fetched = source.fetched().await;
            source.settle(fetched);
            drop(end);
        });
        Some(running)
    }

    async fn fetched(self: &Arc<Self>) -> Result<KeySet, IssuerError> {
        let _permit = self.permits.acquire().await;
        let source = Arc::clone(self);
        tokio::task::spawn_blocking(move || load(&source.from, &source.issuer))
            .await
            .unwrap_or(Err(IssuerError::Lost))
    }

    fn settle(&self, fetched: Result<KeySet, IssuerError>) {
        let mut looks = self.looks();
        looks.running = None;
        match fetched {
            Ok(keys) => {
                if looks.good.is_none() || !looks.complaint.is_empty() {
                    tracing::info!(issuer = self.issuer, keys = keys.len(), "keys of an issuer");
                }
                looks.good = Some(Instant::now());
                looks.complaint.clear();
                self.keys.store(Some(Arc::new(keys)));
            }
            Err(error) => {
                let line = error.line();
                if looks.complaint != line {
                    let kept = looks.good.is_some();
                    tracing::error!(issuer = self.issuer, kept, "{line}");
                    looks.complaint = line;
                }
            }
        }
    }
}

/// Blocks.
pub(super) fn load(from: &KeySource, issuer: &str) -> Result<KeySet, IssuerError> {
    match from {
        KeySource::File(file) => {
            let octets = read(file).map_err(|source| IssuerError::Read {
                file: file.clone(),
                source,
            })?;
            parsed(&octets, &file.display().to_string())
        }
        KeySource::Secret(file) => {
            let secret = secret_file::read("shared secret", file)?;
            KeySet::shared(secret.expose_secret().as_bytes()).map_err(|why| IssuerError::Keys {
                place: file.display().to_string(),
                why,
            })
        }
        KeySource::Url(url) => fetch(url),
        KeySource::Discovery => fetch(&discover(issuer)?),
    }
}

fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut octets = Vec::new();
    std::fs::File::open(file)?
        .take(MOST + 1)
        .read_to_end(&mut octets)?;
    if octets.len() as u64 > MOST {
        return Err(std::io::Error::other("it is longer than 512 KiB"));
    }
    Ok(octets)
}

fn parsed(octets: &[u8], place: &str) -> Result<KeySet, IssuerError> {
    KeySet::parse(octets).map_err(|why| IssuerError::Keys {
        place: place.to_owned(),
        why,
    })
}

fn document(url: &str) -> Result<Vec<u8>, IssuerError> {
    let endpoint = Endpoint::new(url, PATIENCE)?;
    let answer = endpoint.get(MOST)?;
    if !answer.status.is_success() {
        let why = "has nothing there; check its address".to_owned();
        return Err(endpoint.senseless(&answer, why).into());
    }
    Ok(answer.octets.to_vec())
}

fn fetch(url: &str) -> Result<KeySet, IssuerError> {
    parsed(&document(url)?, url)
}

/// `jwks_uri` (OpenID Connect Discovery 1.0 sections 3 and 4, RFC 8414 section 2).
fn discover(issuer: &str) -> Result<String, IssuerError> {
    #[derive(Deserialize)]
    struct Metadata {
        issuer: String,
        jwks_uri: String,
    }
    let url = format!(
        "{}/.well-known/openid-configuration",
        issuer.trim_end_matches('/')
    );
    let senseless = |why: &str| IssuerError::Discovery {
        url: url.clone(),
        why: why.to_owned(),
    };
    let metadata: Metadata = serde_json::from_slice(&document(&url)?)
        .map_err(|_| senseless("it is no JSON with issuer and jwks_uri"))?;
    // Section 4.3: else somebody else answers.
    if metadata.issuer != issuer {
        return Err(senseless(
            "it is about another issuer; the iss of its tokens must be the configured issuer to \
             the letter",
        ));
    }
    let keys = endpoint::check(&metadata.jwks_uri).map_err(senseless)?;
    // From a server elsewhere nobody is sent to what runs on this machine.
    if keys.scheme_str() != Some("https") && issuer.starts_with("https:") {
        return Err(senseless("its jwks_uri is no https address"));
    }
    Ok(metadata.jwks_uri)
}
