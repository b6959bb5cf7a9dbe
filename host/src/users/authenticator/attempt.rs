//! One attempt: its turn, its wait, and how it is counted.

use std::net::IpAddr;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::super::backoff::{Backoff, machine};
use super::super::turns::Turn;
use super::super::{Kind, Record, refusal};
use super::{Authenticator, Pair, Verdict};

impl Authenticator {
    /// Waits for the attempts of the same user and peer before this one, and then as long as the
    /// back-off says. `None` if the first takes too long: nothing is checked, so nothing counts.
    pub(super) async fn attempt<'a>(&'a self, peer: IpAddr, user: &'a str) -> Option<Attempt<'a>> {
        let key = self.counted(user);
        let turn = self.turns.take((machine(peer), key.clone()));
        let Ok(Some(turn)) = tokio::time::timeout(self.most_queued, turn).await else {
            refusal::note(user, "too many attempts at once");
            return None;
        };
        let attempt = Attempt {
            authenticator: self,
            peer,
            user,
            key,
            _turn: turn,
        };
        let delay = attempt.backoff(|backoff, now| backoff.begin(now, peer, &attempt.key));
        if delay > Duration::ZERO {
            tracing::debug!(%peer, user, ?delay, "an attempt is slowed down");
            tokio::time::sleep(delay).await;
        }
        Some(attempt)
    }
}

/// An attempt that has begun. It counts as failed already: if the peer hangs up, it stays so.
pub(super) struct Attempt<'a> {
    authenticator: &'a Authenticator,
    peer: IpAddr,
    user: &'a str,
    key: String,
    _turn: Turn<Pair>,
}

impl Attempt<'_> {
    fn backoff<T>(&self, act: impl FnOnce(&mut Backoff, Instant) -> T) -> T {
        let backoff = &self.authenticator.backoff;
        act(
            &mut backoff.lock().unwrap_or_else(PoisonError::into_inner),
            Instant::now(),
        )
    }

    pub(super) fn right(self, record: &Record) -> Verdict {
        if record.disabled {
            self.take_back();
            self.log("account disabled");
            return Verdict::Disabled;
        }
        self.backoff(|backoff, now| backoff.succeeded(now, self.peer, &self.key));
        Verdict::Granted(record.name.clone())
    }

    pub(super) fn refused(self, reason: &str) -> Verdict {
        self.log(reason);
        Verdict::Refused
    }

    /// The user has no verifier of this kind. R4954-6-d: the peer is told so only where that is
    /// switched on and one login with the password would help, because it tells that the user
    /// exists.
    pub(super) fn lacks(self, record: &Record, kind: Kind) -> Verdict {
        let tell = self.authenticator.transition && record.has(Kind::Password) && !record.disabled;
        self.log(&format!(
            "no {} set: `pillarbox user password`, or one login with PLAIN or LOGIN",
            kind.what()
        ));
        if tell {
            Verdict::Unprepared
        } else {
            Verdict::Refused
        }
    }

    /// Nobody is to blame, so nothing is counted.
    pub(super) fn unavailable(self, error: &dyn std::error::Error) -> Verdict {
        self.take_back();
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        tracing::error!(peer = %self.peer, user = self.user, %error, cause, "cannot authenticate");
        Verdict::Unavailable
    }

    fn take_back(&self) {
        self.backoff(|backoff, now| backoff.taken_back(now, self.peer, &self.key));
    }

    fn log(&self, reason: &str) {
        refusal::note(self.user, reason);
    }
}
