//! The token in force.
//!
//! ```text
//!   none -> fetching -> good -> due: fetched anew by the first who asks; the others go on with it
//!    ^         |          \-- refused: forgotten (`forget`) -> none
//!    \- failed: nobody fetches for 5 s, 10 s ... 5 min; all who ask are told why
//! ```
//!
//! One fetch at a time, in a task of its own: who asked may go away, the fetch goes on.

use super::endpoint::Patience;
use super::grant::{self, Limits};
use super::refresh::Unsaved;
use super::response::Granted;
use super::{OauthError, Settings, command};
use secrecy::SecretString;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Least life that is believed, so that those who wait together share a token.
const LEAST_LIFE: Duration = Duration::from_secs(5);
/// A token is fetched anew this long before it runs out, or at nine tenths of a short life.
const AHEAD: Duration = Duration::from_secs(60);
/// Waits after failed fetches: the first, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));
/// How long a token counts as just fetched.
const FRESH: Duration = Duration::from_secs(60);

/// What is the same for all token servers. The defaults are what the service uses.
#[derive(Clone)]
pub struct Options {
    /// Life of a token whose source does not tell it. Default: 5 minutes, because a command that
    /// prints nothing but a token keeps and renews it itself.
    pub assumed_life: Duration,
    /// How long a token server may take.
    pub patience: Patience,
    /// How long a command may take. Default: 30 s.
    pub command_patience: Duration,
    /// Whether what a command says on standard error is to be seen on ours. Default: no; it may
    /// hold secrets, and a service's standard error is a log.
    pub show_command: bool,
    /// What time it is.
    pub clock: Arc<dyn Fn() -> Instant + Send + Sync>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            assumed_life: Duration::from_secs(300),
            patience: Patience::default(),
            command_patience: command::PATIENCE,
            show_command: false,
            clock: Arc::new(Instant::now),
        }
    }
}

/// A token, and what is known of it.
#[derive(Debug, Clone)]
pub struct Token {
    /// The token itself.
    pub secret: SecretString,
    /// How long it is still good.
    pub life: Duration,
    /// Whether that is only assumed.
    pub assumed: bool,
    /// Its scope, if the server told one.
    pub scope: Option<String>,
    /// Whether the refresh token was replaced and could not be written: it is lost when this
    /// process ends.
    pub unsaved: bool,
    /// Which one it is: they are counted from 1.
    pub number: u64,
}

/// The tokens of one mailbox.
pub struct Tokens {
    inner: Arc<Inner>,
    /// Number of the token last given by the `Provider` that this is itself; 0: none.
    pub(super) given: AtomicU64,
}

struct Inner {
    settings: Settings,
    options: Options,
    /// Held while a token is fetched.
    flight: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    /// Number of the newest token that ever was.
    newest: u64,
    /// The next token is fetched because this one was refused.
    refused: bool,
    /// What was said when the newest token was refused.
    verdict: bool,
    failure: Option<Failure>,
    unsaved: Option<Unsaved>,
}

struct Held {
    granted: Granted,
    since: Instant,
    due: Instant,
    end: Instant,
    /// It took the place of a refused one.
    after_refusal: bool,
}

struct Failure {
    error: Arc<OauthError>,
    until: Instant,
    wait: Duration,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens")
            .field("user", &self.inner.settings.user)
            .field("from", &self.inner.settings.grant.to_string())
            .finish_non_exhaustive()
    }
}

impl Tokens {
    /// The tokens of these settings; nothing is fetched yet.
    pub fn new(settings: Settings) -> Arc<Self> {
        Self::with(settings, Options::default())
    }

    /// The same with other options.
    pub fn with(settings: Settings, options: Options) -> Arc<Self> {
        Arc::new(Self {
            inner: Arc::new(Inner {
                settings,
                options,
                flight: tokio::sync::Mutex::default(),
                state: Mutex::default(),
            }),
            given: AtomicU64::new(0),
        })
    }

    /// What they are made of.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// A good token: the one at hand, or a new one.
    ///
    /// # Errors
    /// Why there is none; the same to all who ask until it is tried again.
    pub async fn token(&self) -> Result<Token, Arc<OauthError>> {
        let fetching = self.inner.flight.try_lock().is_err();
        if let Some(known) = self.inner.known(fetching) {
            return known;
        }
        let inner = Arc::clone(&self.inner);
        let fetch = tokio::spawn(async move {
            let _flight = inner.flight.lock().await;
            match inner.known(false) {
                Some(known) => known,
                None => inner.fetch().await,
            }
        });
        fetch
            .await
            .unwrap_or_else(|_| Err(Arc::new(OauthError::Lost)))
    }

    /// The server refused the token of this number; it is not used again. Says whether another may
    /// be better: not if it took the place of one that was refused too (XOA-3).
    pub fn forget(&self, number: u64) -> bool {
        let now = self.inner.now();
        let mut state = self.inner.state();
        if number < state.newest {
            return true;
        }
        if let Some(held) = state.held.take() {
            // One that was good for a while is a new story.
            let fresh = now.saturating_duration_since(held.since) < FRESH;
            state.verdict = !(held.after_refusal && fresh);
            state.refused = true;
            tracing::warn!(
                user = self.inner.settings.user,
                again = !state.verdict,
                "the server refuses the access token"
            );
        }
        state.verdict
    }

    /// Forgets why there was no token, so that the next who asks makes another try: somebody has
    /// put something right.
    pub fn retry(&self) {
        self.inner.state().failure = None;
    }
}

impl Inner {
    fn now(&self) -> Instant {
        (self.options.clock)()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is said without a fetch. `fetching`: somebody else sees to it that there will be a
    /// newer one.
    fn known(&self, fetching: bool) -> Option<Result<Token, Arc<OauthError>>> {
        let now = self.now();
        let state = self.state();
        let failure = state.failure.as_ref().filter(|failure| now < failure.until);
        if let Some(held) = &state.held
            && (now < held.due || now < held.end && (fetching || failure.is_some()))
        {
            return Some(Ok(state.token(held, now)));
        }
        failure.map(|failure| Err(Arc::clone(&failure.error)))
    }

    /// Fetches a token. The caller holds `flight`.
    async fn fetch(&self) -> Result<Token, Arc<OauthError>> {
        let unsaved = self.state().unsaved.take();
        let limits = Limits {
            server: self.options.patience,
            command: self.options.command_patience,
            shown: self.options.show_command,
        };
        // Its life began at some time after this.
        let since = self.now();
        let (result, unsaved) = grant::fetch(&self.settings.grant, limits, unsaved).await;
        let now = self.now();
        let mut state = self.state();
        state.unsaved = unsaved;
        match result {
            Ok(granted) => {
                let life = granted.expires_in.unwrap_or(self.options.assumed_life);
                let life = life.max(LEAST_LIFE);
                tracing::info!(
                    user = self.settings.user,
                    from = %self.settings.grant,
                    seconds = life.as_secs(),
                    "new access token"
                );
                let held = Held {
                    granted,
                    since,
                    due: since + life - AHEAD.min(life / 10),
                    end: since + life,
                    after_refusal: std::mem::take(&mut state.refused),
                };
                state.failure = None;
                state.newest += 1;
                let token = state.token(&held, now);
                state.held = Some(held);
                Ok(token)
            }
            Err(error) => {
                let wait = match &state.failure {
                    Some(last) => (last.wait * 2).min(BACKOFF.1),
                    None => BACKOFF.0,
                };
                tracing::warn!(
                    user = self.settings.user,
                    seconds = wait.as_secs(),
                    "no access token: {}; waiting before the next try",
                    error.line()
                );
                let error = Arc::new(error);
                state.failure = Some(Failure {
                    error: Arc::clone(&error),
                    until: now + wait,
                    wait,
                });
                // The old one is good to its end.
                match &state.held {
                    Some(held) if now < held.end => Ok(state.token(held, now)),
                    _ => Err(error),
                }
            }
        }
    }
}

impl State {
    fn token(&self, held: &Held, now: Instant) -> Token {
        Token {
            secret: held.granted.access_token.clone(),
            life: held.end.saturating_duration_since(now),
            assumed: held.granted.expires_in.is_none(),
            scope: held.granted.scope.clone(),
            unsaved: self.unsaved.is_some(),
            number: self.newest,
        }
    }
}
