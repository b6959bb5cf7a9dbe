//! Who to be, and how to prove it.

use crate::sandbox::v0_1::client::Credentials;
use crate::sandbox::v0_1::types::Mechanism;
use async_trait::async_trait;
use std::sync::Arc;

/// Who to be, and how to prove it.
#[derive(Clone, Default)]
pub struct Login {
    /// In order of preference; none: do not authenticate.
    pub mechanisms: Vec<Mechanism>,
    /// Whether PLAIN and LOGIN may be used without TLS or under unverified TLS (CL-mech-clear,
    /// CL-mech-verified). Default: no.
    pub clear_text: bool,
    /// Where credentials come from; none: the session goes on without, or fails.
    pub provider: Option<Arc<dyn Provider>>,
}

impl Login {
    /// What is left of it on a connection that lost its TLS (R3207-6-b); `None`: nothing is, though
    /// authentication is wanted.
    pub(super) fn without_clear_text(&self) -> Option<Self> {
        let mechanisms: Vec<_> = self
            .mechanisms
            .iter()
            .copied()
            .filter(|mechanism| !shows_secret(*mechanism))
            .collect();
        if mechanisms.is_empty() && !self.mechanisms.is_empty() {
            return None;
        }
        Some(Self {
            mechanisms,
            clear_text: false,
            provider: self.provider.clone(),
        })
    }
}

/// Where credentials come from.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Who to be with this mechanism; asked anew for each attempt.
    ///
    /// # Errors
    ///
    /// [`CredentialsError`]: nobody is authenticated, and nothing is submitted.
    async fn credentials(&self, mechanism: Mechanism) -> Result<Credentials, CredentialsError>;

    /// The server refused what [`credentials`](Self::credentials) last gave. Whether a new one may
    /// be better, as with an access token that was revoked before its time; it is then asked for
    /// once. A password does not change by being asked for again, so the default is no.
    async fn refused(&self) -> bool {
        false
    }
}

/// Why there are no credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct CredentialsError {
    /// What went wrong and what to do about it, in lower case. It is logged and shown: never the
    /// secret, nor anything that a command or a token server said which may contain it.
    pub text: String,
}

/// CL-mech-clear: mechanisms that give the secret itself to whoever is at the other end.
pub(super) fn shows_secret(mechanism: Mechanism) -> bool {
    matches!(
        mechanism,
        Mechanism::Login | Mechanism::Plain | Mechanism::Xoauth2 | Mechanism::Oauthbearer
    )
}
