//! The questions that a session asks, answered.

use super::Connection;
use crate::sandbox::SandboxError;
use crate::sandbox::v0_1::server::{Answer, PasswordCheck, Question};
use crate::sandbox::v0_1::types::{Mechanism, NtlmResponse, Reply};
use crate::timeout;
use crate::users::{Unverified, Verdict};
use tokio::time::timeout as within;

impl Connection {
    pub(super) async fn answer(&mut self, question: Question) -> Result<Answer, SandboxError> {
        match question {
            Question::Store(facts) => self.store(facts).await,
            Question::Sender((reverse_path, _)) => {
                let runtime = self.service.runtime();
                self.reverse_path.clone_from(&reverse_path);
                let judgement = self.authority.sender(
                    self.identity.as_deref(),
                    &*runtime.senders,
                    &reverse_path,
                );
                Ok(self.judged("sender", &reverse_path, judgement))
            }
            Question::Recipient(forward_path) => {
                let runtime = self.service.runtime();
                let context = runtime.context(&self.reverse_path, self.identity.as_deref());
                let judgement = self.authority.recipient(&context, &forward_path.mailbox);
                Ok(self.judged("recipient", &forward_path.mailbox, judgement))
            }
            Question::Password(check) => {
                // PLAIN and LOGIN ask the same; either must be allowed.
                self.may(&[Mechanism::Plain, Mechanism::Login])?;
                self.slow().await;
                let verdict = within(timeout::ANSWER, self.password(check)).await;
                Ok(self.grant(verdict.unwrap_or(Verdict::Unavailable)))
            }
            Question::Ntlm(response) => {
                self.may(&[Mechanism::Ntlm])?;
                self.slow().await;
                let verdict = within(timeout::ANSWER, self.ntlm(response)).await;
                Ok(self.grant(verdict.unwrap_or(Verdict::Unavailable)))
            }
            Question::CramMd5(_)
            | Question::ScramFirst(_)
            | Question::ScramFinal(_)
            | Question::Token(_)
            | Question::External(_) => {
                Err(SandboxError::violation("a mechanism that was not enabled"))
            }
        }
    }

    fn may(&self, mechanisms: &[Mechanism]) -> Result<(), SandboxError> {
        let allowed = mechanisms.iter().any(|mechanism| {
            self.authority.may_authenticate(
                *mechanism,
                self.facts.is_some(),
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

    /// The session tells the peer; the log names the mailbox, quoted, since a peer chose it.
    fn judged(&self, what: &str, mailbox: &str, judgement: Result<(), Reply>) -> Answer {
        match judgement {
            Ok(()) => Answer::Accepted,
            Err(reply) => {
                tracing::info!(session = self.serial, peer = %self.peer.ip(), identity = self.identity.as_deref().unwrap_or_default(), ?mailbox, code = reply.code, "refused: {what} is not permitted");
                Answer::Rejected(reply)
            }
        }
    }

    /// Replies that are ready do not wait for a slow answer.
    async fn slow(&mut self) {
        // A lost connection shows itself at the next read.
        let _ = self.flush().await;
    }

    async fn password(&self, check: PasswordCheck) -> Verdict {
        let password = zeroize::Zeroizing::new(check.password);
        self.service
            .runtime()
            .authenticator
            .password(
                self.peer.ip().to_canonical(),
                &check.authorization,
                &check.user,
                &password,
            )
            .await
    }

    async fn ntlm(&self, response: NtlmResponse) -> Verdict {
        let verifier = self.service.verifier();
        let facts = self.facts.clone();
        let policy = self.service.runtime().ntlm_policy;
        let (user, domain) = (response.user.clone(), response.domain.clone());
        let verify = move |nt: &[u8; 16]| match verifier.ntlm(nt, &response, facts.as_ref(), policy)
        {
            Ok(Ok(())) => Ok(()),
            Ok(Err(refusal)) => Err(Unverified::Refused(format!("{refusal:?}").to_lowercase())),
            Err(error) => Err(Unverified::Unavailable(Box::new(error))),
        };
        self.service
            .runtime()
            .authenticator
            .ntlm(self.peer.ip().to_canonical(), &user, &domain, verify)
            .await
    }

    /// The grant is the host's own memory of who the peer is.
    fn grant(&mut self, verdict: Verdict) -> Answer {
        match verdict {
            Verdict::Granted(identity) => {
                tracing::debug!(session = self.serial, identity, "authenticated");
                self.identity = Some(identity.clone());
                Answer::Granted((identity, Vec::new()))
            }
            Verdict::Refused => Answer::Refused,
            Verdict::Disabled => Answer::Disabled,
            Verdict::Unavailable => Answer::Unavailable,
        }
    }
}
