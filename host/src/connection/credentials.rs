//! Who the peer is: the questions about credentials. A session frames an exchange, the host judges
//! it; before that it looks whether the mechanism may be used here and now, whatever the session
//! thinks.

use super::Connection;
use crate::issuer::Presented;
use crate::sandbox::SandboxError;
use crate::sandbox::v0_1::server::{
    Answer, CramMd5Check, PasswordCheck, ScramProof, ScramStart, TokenCheck,
};
use crate::sandbox::v0_1::types::{Mechanism, NtlmResponse, ScramSalt};
use crate::sandbox::v0_1::verifier::Refusal;
use crate::timeout;
use crate::users::{Arithmetic, ScramDigest, Unverified, Verdict};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::time::timeout as within;

impl Connection {
    /// PLAIN and LOGIN ask the same; either must be allowed.
    pub(super) async fn password(&mut self, check: PasswordCheck) -> Result<Answer, SandboxError> {
        self.may(&[Mechanism::Plain, Mechanism::Login])?;
        self.slow().await;
        let password = zeroize::Zeroizing::new(check.password);
        let runtime = self.service.runtime();
        let judging = runtime.authenticator.password(
            self.address(),
            &check.authorization,
            &check.user,
            &password,
        );
        let Ok(login) = within(timeout::ANSWER, judging).await else {
            return Ok(self.grant(Verdict::Unavailable, Vec::new()));
        };
        if let Some(incomplete) = login.incomplete {
            let verifier: Arc<dyn Arithmetic> = self.service.verifier();
            runtime.completion.begin(incomplete, verifier);
        }
        Ok(self.grant(login.verdict, Vec::new()))
    }

    /// NTLM.
    pub(super) async fn ntlm(&mut self, response: NtlmResponse) -> Result<Answer, SandboxError> {
        self.may(&[Mechanism::Ntlm])?;
        self.slow().await;
        let verifier = self.service.verifier();
        let facts = self.facts.clone();
        let runtime = self.service.runtime();
        let policy = runtime.ntlm_policy;
        let (user, domain) = (response.user.clone(), response.domain.clone());
        let verify =
            move |nt: &[u8; 16]| judged(verifier.ntlm(nt, &response, facts.as_ref(), policy));
        let judging = runtime
            .authenticator
            .ntlm(self.address(), &user, &domain, verify);
        let verdict = within(timeout::ANSWER, judging).await;
        Ok(self.grant(verdict.unwrap_or(Verdict::Unavailable), Vec::new()))
    }

    /// CRAM-MD5.
    pub(super) async fn cram_md5(&mut self, check: CramMd5Check) -> Result<Answer, SandboxError> {
        self.may(&[Mechanism::CramMd5])?;
        self.slow().await;
        let verifier = self.service.verifier();
        let verify =
            |states: &[u8; 32]| judged(verifier.cram_md5(states, &check.challenge, &check.digest));
        let runtime = self.service.runtime();
        let judging = runtime
            .authenticator
            .cram_md5(self.address(), &check.user, verify);
        let verdict = within(timeout::ANSWER, judging).await;
        Ok(self.grant(verdict.unwrap_or(Verdict::Unavailable), Vec::new()))
    }

    /// The client has named itself: what its proof will be checked against is settled here, and
    /// stays on this side.
    pub(super) async fn scram_first(&mut self, start: ScramStart) -> Result<Answer, SandboxError> {
        let digest = match start.mechanism {
            Mechanism::ScramSha1 | Mechanism::ScramSha1Plus => ScramDigest::Sha1,
            Mechanism::ScramSha256 | Mechanism::ScramSha256Plus => ScramDigest::Sha256,
            _ => return Err(SandboxError::violation("SCRAM under another name")),
        };
        self.may(&[start.mechanism])?;
        self.slow().await;
        let runtime = self.service.runtime();
        let first = runtime
            .authenticator
            .scram_first(digest, &start.authorization, &start.user);
        let Ok(Some((exchange, told))) = within(timeout::ANSWER, first).await else {
            self.scram = None;
            return Ok(Answer::Unavailable);
        };
        self.scram = Some(exchange);
        Ok(Answer::Scram(ScramSalt {
            salt: told.salt,
            iterations: told.iterations,
        }))
    }

    /// The proof of the exchange that this connection began last.
    pub(super) async fn scram_final(&mut self, proof: ScramProof) -> Result<Answer, SandboxError> {
        let Some(exchange) = self.scram.take() else {
            return Err(SandboxError::violation(
                "a SCRAM proof without a first message",
            ));
        };
        let mechanisms = match exchange.digest() {
            ScramDigest::Sha1 => [Mechanism::ScramSha1, Mechanism::ScramSha1Plus],
            ScramDigest::Sha256 => [Mechanism::ScramSha256, Mechanism::ScramSha256Plus],
        };
        self.may(&mechanisms)?;
        self.slow().await;
        let verifier = self.service.verifier();
        let runtime = self.service.runtime();
        let judging = runtime
            .authenticator
            .scram_final(self.address(), exchange, |keys| {
                judged(verifier.scram(keys, &proof.messages, &proof.proof))
            });
        let (verdict, signature) = within(timeout::ANSWER, judging)
            .await
            .unwrap_or((Verdict::Unavailable, Vec::new()));
        self.unconfirmed = matches!(verdict, Verdict::Granted(_));
        Ok(self.grant(verdict, signature))
    }

    /// EXTERNAL: the certificate that this connection's handshake verified.
    pub(super) async fn external(&mut self, authorization: String) -> Result<Answer, SandboxError> {
        self.may(&[Mechanism::External])?;
        let Some(certificate) = &self.certificate else {
            // The TLS layer took it, and it cannot be read.
            return Ok(self.grant(Verdict::Refused, Vec::new()));
        };
        let runtime = self.service.runtime();
        let judging = runtime
            .authenticator
            .external(self.address(), certificate, &authorization);
        let verdict = within(timeout::ANSWER, judging).await;
        Ok(self.grant(verdict.unwrap_or(Verdict::Unavailable), Vec::new()))
    }

    /// XOAUTH2 and OAUTHBEARER.
    pub(super) async fn token(&mut self, check: TokenCheck) -> Result<Answer, SandboxError> {
        if !matches!(check.mechanism, Mechanism::Xoauth2 | Mechanism::Oauthbearer) {
            return Err(SandboxError::violation("a token under another name"));
        }
        self.may(&[check.mechanism])?;
        self.slow().await;
        let token = zeroize::Zeroizing::new(check.token);
        let presented = Presented {
            authorization: &check.authorization,
            user: &check.user,
            token: &token,
        };
        let runtime = self.service.runtime();
        let judging = runtime.issuers.judge(self.address(), &presented);
        let verdict = within(timeout::ANSWER, judging).await;
        Ok(self.grant(verdict.unwrap_or(Verdict::Unavailable), Vec::new()))
    }

    /// Whether one of these may be used now.
    fn may(&self, mechanisms: &[Mechanism]) -> Result<(), SandboxError> {
        let allowed = mechanisms.iter().any(|mechanism| {
            self.authority.may_authenticate(
                *mechanism,
                self.facts.as_ref(),
                self.identity.as_deref(),
            )
        });
        if allowed {
            Ok(())
        } else {
            Err(SandboxError::violation(
                "credentials where they may not be asked for",
            ))
        }
    }

    fn address(&self) -> IpAddr {
        self.peer.ip().to_canonical()
    }

    /// Replies that are ready do not wait for a slow answer.
    async fn slow(&mut self) {
        // A lost connection shows itself at the next read.
        let _ = self.flush().await;
    }

    /// The grant is the host's own memory of who the peer is.
    fn grant(&mut self, verdict: Verdict, signature: Vec<u8>) -> Answer {
        match verdict {
            Verdict::Granted(identity) => {
                tracing::debug!(session = self.serial, identity, "authenticated");
                self.identity = Some(identity.clone());
                Answer::Granted((identity, signature))
            }
            Verdict::Refused => Answer::Refused,
            Verdict::Disabled => Answer::Disabled,
            Verdict::Unprepared => Answer::Unprepared,
            Verdict::Unavailable => Answer::Unavailable,
        }
    }
}

/// The component's judgement, and why, for the log.
fn judged<T>(verified: Result<Result<T, Refusal>, SandboxError>) -> Result<T, Unverified> {
    match verified {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(refusal)) => Err(Unverified::Refused(format!("{refusal:?}").to_lowercase())),
        Err(error) => Err(Unverified::Unavailable(Box::new(error))),
    }
}
