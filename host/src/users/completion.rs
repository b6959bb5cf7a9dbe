//! Verifiers for users who lack some: made when one shows his password (LOGIN, PLAIN), off the
//! session's path, so that a mechanism can be enabled without new passwords for everybody.
//!
//! One user at a time: what is slow on purpose must not take the machine when an office begins its
//! day, and each change writes the store. A store that cannot be written is complained about once
//! and left alone for a while.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::kind::Kind;
use super::{Arithmetic, Record, Users, Verifiers};

/// How long a store that could not be written is left alone.
const REST: Duration = Duration::from_hours(1);

/// A user who showed his password and lacks verifiers.
pub struct Incomplete {
    /// As it was when the password was checked against it.
    pub(super) record: Arc<Record>,
    /// What it lacks.
    pub(super) lacks: Vec<Kind>,
    /// The password that was right.
    pub(super) password: Zeroizing<String>,
}

impl fmt::Debug for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incomplete")
            .field("name", &self.record.name)
            .field("lacks", &self.lacks)
            .finish_non_exhaustive()
    }
}

/// Completes users, one for each store.
pub struct Completion {
    users: Arc<dyn Users>,
    state: Mutex<State>,
    /// One at a time.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    /// Names of those who are being completed or wait for it.
    under_way: HashSet<String>,
    /// Until when the store is left alone.
    rests: Option<Instant>,
}

impl Completion {
    /// For the users of a store.
    pub fn new(users: Arc<dyn Users>) -> Arc<Self> {
        Arc::new(Self {
            users,
            state: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        })
    }

    /// Begins to make what is missing, and returns at once. Must be called within a runtime.
    pub fn begin(self: &Arc<Self>, incomplete: Incomplete, arithmetic: Arc<dyn Arithmetic>) {
        let name = incomplete.record.name.clone();
        {
            let mut state = self.state();
            if state.rests.is_some_and(|until| Instant::now() < until)
                || !state.under_way.insert(name.clone())
            {
                return;
            }
        }
        let completion = Arc::clone(self);
        tokio::spawn(async move {
            completion.complete(incomplete, arithmetic).await;
            completion.state().under_way.remove(&name);
        });
    }

    async fn complete(&self, incomplete: Incomplete, arithmetic: Arc<dyn Arithmetic>) {
        let _turn = self.turn.lock().await;
        let Incomplete {
            record,
            lacks,
            password,
        } = incomplete;
        let name = record.name.clone();
        let derive = move || Verifiers::derive(&password, &lacks, &*arithmetic);
        let verifiers = match tokio::task::spawn_blocking(derive).await {
            Ok(Ok(verifiers)) => verifiers,
            Ok(Err(error)) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(user = name, %error, cause, "cannot make verifiers");
                return;
            }
            // The service ends.
            Err(_) => return,
        };
        let made: Vec<&str> = verifiers
            .kinds()
            .into_iter()
            .map(Kind::mechanisms)
            .collect();
        if made.is_empty() {
            return;
        }
        match self.users.complete(&record, &verifiers).await {
            Ok(true) => tracing::info!(
                user = name,
                mechanisms = made.join(", "),
                "verifiers were made of the password that was shown"
            ),
            Ok(false) => {}
            Err(error) => {
                let mut state = self.state();
                if state.rests.is_none() {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(
                        user = name,
                        cause,
                        "{error}: users who lack verifiers do not get them; let the service's account write it and its folder, or use `pillarbox user password`"
                    );
                }
                state.rests = Some(Instant::now() + REST);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "completion_tests.rs"]
mod tests;
