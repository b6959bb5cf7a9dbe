//! The questions that a session asks, answered. Those about who the peer is: `credentials`.

use super::Connection;
use crate::sandbox::SandboxError;
use crate::sandbox::v0_1::server::{Answer, Question};
use crate::sandbox::v0_1::types::Reply;
use crate::users::refusal;

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
                Ok(judged("the user may not send as this address", judgement))
            }
            Question::Recipient(forward_path) => {
                let runtime = self.service.runtime();
                let context = runtime.context(&self.reverse_path, self.identity.as_deref());
                let judgement =
                    self.authority
                        .recipient(&context, &*runtime.senders, &forward_path.mailbox);
                Ok(judged(
                    "no route leads there, or this peer may not use it",
                    judgement,
                ))
            }
            Question::Password(check) => self.password(check).await,
            Question::CramMd5(check) => self.cram_md5(check).await,
            Question::ScramFirst(start) => self.scram_first(start).await,
            Question::ScramFinal(proof) => self.scram_final(proof).await,
            Question::Ntlm(response) => self.ntlm(response).await,
            Question::External(authorization) => self.external(authorization).await,
            Question::Token(check) => self.token(check).await,
        }
    }
}

/// The session tells the peer, the log why.
fn judged(reason: &str, judgement: Result<(), Reply>) -> Answer {
    match judgement {
        Ok(()) => Answer::Accepted,
        Err(reply) => {
            refusal::note("", reason);
            Answer::Rejected(reply)
        }
    }
}
