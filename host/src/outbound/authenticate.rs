//! Who to be: asking for credentials, and whether they may be given away.

use super::Security;
use super::derive::{self, Password};
use super::dialogue::{Dialogue, Wants};
use super::login::{CredentialsError, shows_secret};
use crate::sandbox::SandboxError;
use crate::sandbox::v0_1::client::{Credentials, Stage};
use crate::sandbox::v0_1::types::{Mechanism, Phase};

/// Exchanges of one connection: each mechanism once, and tokens twice.
const MOST_EXCHANGES: u32 = 16;

/// How far a connection's authentication came.
#[derive(Default)]
pub(super) struct Authentication {
    exchanges: u32,
    /// What the last credentials were for.
    last: Option<Mechanism>,
    /// The provider was told that the server refused them, and asked for better ones.
    renewed: bool,
    /// What the session is not given, for SCRAM.
    pub(super) password: Option<Password>,
    /// Why there were none.
    pub(super) missing: Option<CredentialsError>,
}

impl Dialogue {
    pub(super) async fn authenticate(&mut self, mechanism: Mechanism) -> Result<(), SandboxError> {
        if !self.insist().await? {
            return Ok(());
        }
        self.authentication.exchanges += 1;
        if self.authentication.exchanges > MOST_EXCHANGES {
            return Err(SandboxError::violation(
                "it asks for credentials again and again",
            ));
        }
        self.may_confide(mechanism)?;
        let credentials = self.credentials(mechanism).await;
        let kept = credentials.and_then(|credentials| {
            credentials
                .map(|credentials| derive::keep_back(mechanism, credentials))
                .transpose()
        });
        let (credentials, password) = match kept {
            Ok(kept) => kept.map_or((None, None), |(given, kept)| (Some(given), kept)),
            Err(error) => {
                let text = self.scribe.masked(&error.text);
                self.fail(Stage::Authentication, &text);
                self.authentication.missing = Some(CredentialsError { text });
                return self.leave().await;
            }
        };
        self.authentication.last = Some(mechanism);
        self.authentication.password = password;
        let progress = self.session.authenticate(credentials.as_ref())?;
        self.offer_again = true;
        self.carry_out(progress, &[]).await
    }

    /// `None`: the session does without, or fails.
    async fn credentials(
        &mut self,
        mechanism: Mechanism,
    ) -> Result<Option<Credentials>, CredentialsError> {
        let Some(provider) = self.login.provider.clone() else {
            return Ok(None);
        };
        // The same mechanism once more: what was given for it was refused.
        let again = self.authentication.last == Some(mechanism);
        if again {
            self.authentication.renewed = true;
        }
        // The server waits meanwhile, and not longer than we would.
        let within = self.target.timeouts.command;
        let asking = async {
            if again && !provider.refused().await {
                return Ok(None);
            }
            provider.credentials(mechanism).await.map(Some)
        };
        tokio::time::timeout(within, asking)
            .await
            .unwrap_or_else(|_| {
                Err(CredentialsError {
                    text: format!(
                        "no credentials within {within:?}: see why their source does not answer"
                    ),
                })
            })
    }

    /// After the end: whether the server refused the credentials, and new ones may be better. One
    /// connection with those may follow.
    pub(super) async fn ask_whether_renewable(&mut self) -> bool {
        // CL-mech-next: the other codes refuse the mechanism.
        let refused = self.failure.as_ref().is_some_and(|failure| {
            let code = failure.reply.as_ref().map_or(0, |reply| reply.code);
            failure.stage == Stage::Authentication
                && matches!(code, 505..=599)
                && !matches!(code, 523 | 534 | 538)
        });
        let Some(provider) = &self.login.provider else {
            return false;
        };
        if !refused || self.authentication.last.is_none() {
            return false;
        }
        let asking = tokio::time::timeout(self.target.timeouts.command, provider.refused());
        // What was refused after it was renewed is no token's fault.
        asking.await.unwrap_or(false) && !self.authentication.renewed
    }

    /// Where TLS is required there is TLS before any credentials and any message, whatever the
    /// session thinks (R3207-6-a). `false`: there is none, and the session is over.
    pub(super) async fn insist(&mut self) -> Result<bool, SandboxError> {
        let needed = match self.target.security {
            Security::Off | Security::Opportunistic => return Ok(true),
            Security::Required | Security::Implicit => self.target.trust.verifies(),
        };
        match &self.tls {
            Some(facts) if facts.verified || !needed => return Ok(true),
            _ => {}
        }
        self.fail(
            Stage::Tls,
            "TLS is required, and the server does not offer STARTTLS (4.7.10)",
        );
        self.leave().await?;
        Ok(false)
    }

    /// The host's own judgement (the design's "authority"): these credentials under this TLS.
    pub(super) fn may_confide(&self, mechanism: Mechanism) -> Result<(), SandboxError> {
        if !self.login.mechanisms.contains(&mechanism) {
            return Err(SandboxError::violation("a mechanism that was not allowed"));
        }
        let verified = self.tls.as_ref().is_some_and(|facts| facts.verified);
        // CL-mech-clear, CL-mech-verified
        if shows_secret(mechanism) && !verified && !self.login.clear_text {
            return Err(SandboxError::violation(
                "a clear-text mechanism without verified TLS",
            ));
        }
        Ok(())
    }

    /// QUIT, because the host does not want to go on.
    async fn leave(&mut self) -> Result<(), SandboxError> {
        let quit = self.session.quit()?;
        self.wants = Wants::Octets(Phase::Quit);
        self.carry_out_last(quit).await
    }
}
