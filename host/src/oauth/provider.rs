//! Tokens as the credentials of XOAUTH2 (XOA-1) and OAUTHBEARER (R7628-3.1).

use super::Tokens;
use crate::outbound::{CredentialsError, Provider};
use crate::sandbox::v0_1::client::Credentials;
use crate::sandbox::v0_1::types::Mechanism;
use async_trait::async_trait;
use secrecy::ExposeSecret;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The credentials of one connection. Many can share their [`Tokens`]: when several have the same
/// token refused at once, each knows which one it was, and only one new token is fetched.
#[derive(Debug)]
pub struct Bearer {
    tokens: Arc<Tokens>,
    /// Number of the token that was given last; 0: none.
    given: AtomicU64,
}

impl Bearer {
    /// Credentials from these tokens.
    pub fn new(tokens: Arc<Tokens>) -> Self {
        Self {
            tokens,
            given: AtomicU64::new(0),
        }
    }
}

#[async_trait]
impl Provider for Bearer {
    async fn credentials(&self, mechanism: Mechanism) -> Result<Credentials, CredentialsError> {
        credentials(&self.tokens, &self.given, mechanism).await
    }

    async fn refused(&self) -> bool {
        refused(&self.tokens, &self.given)
    }
}

/// For a single user: whose token was refused cannot be told when several connections share this.
/// They should have a [`Bearer`] each.
#[async_trait]
impl Provider for Tokens {
    async fn credentials(&self, mechanism: Mechanism) -> Result<Credentials, CredentialsError> {
        credentials(self, &self.given, mechanism).await
    }

    async fn refused(&self) -> bool {
        refused(self, &self.given)
    }
}

async fn credentials(
    tokens: &Tokens,
    given: &AtomicU64,
    mechanism: Mechanism,
) -> Result<Credentials, CredentialsError> {
    let user = &tokens.settings().user;
    if !matches!(mechanism, Mechanism::Xoauth2 | Mechanism::Oauthbearer) {
        return Err(CredentialsError {
            text: format!("{user} has a token and no password; use XOAUTH2 or OAUTHBEARER"),
        });
    }
    match tokens.token().await {
        Ok(token) => {
            given.store(token.number, Ordering::Release);
            Ok(Credentials {
                user: user.clone(),
                domain: String::new(),
                workstation: String::new(),
                secret: token.secret.expose_secret().to_owned(),
            })
        }
        Err(error) => Err(CredentialsError {
            text: format!("no access token for {user}: {}", error.line()),
        }),
    }
}

/// Once for each token that was given.
fn refused(tokens: &Tokens, given: &AtomicU64) -> bool {
    match given.swap(0, Ordering::AcqRel) {
        0 => false,
        number => tokens.forget(number),
    }
}
