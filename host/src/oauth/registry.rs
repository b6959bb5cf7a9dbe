//! One [`Tokens`] for all that would fetch the same token.

use super::{Options, Settings, Tokens};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The tokens of all routes. It lives as long as the service does, so routes that a reload makes
/// anew find the tokens of the old ones. Tokens that no route has any more are forgotten.
#[derive(Default)]
pub struct Registry {
    options: Options,
    tokens: Mutex<HashMap<Settings, Weak<Tokens>>>,
}

impl Registry {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty one whose tokens have these options.
    pub fn with(options: Options) -> Self {
        Self {
            options,
            tokens: Mutex::default(),
        }
    }

    /// The tokens of these settings: the ones that somebody has, or new ones. Build new routes
    /// before the old ones are dropped.
    pub fn tokens(&self, settings: &Settings) -> Arc<Tokens> {
        let mut all = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tokens) = all.get(settings).and_then(Weak::upgrade) {
            return tokens;
        }
        all.retain(|_, tokens| tokens.strong_count() > 0);
        let tokens = Tokens::with(settings.clone(), self.options.clone());
        all.insert(settings.clone(), Arc::downgrade(&tokens));
        tokens
    }

    /// Lets all tokens that failed be fetched again at once: somebody has put something right.
    pub fn retry(&self) {
        let all = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        for tokens in all.values().filter_map(Weak::upgrade) {
            tokens.retry();
        }
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}
