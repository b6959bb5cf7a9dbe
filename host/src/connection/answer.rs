//! The questions that a session asks, answered. Those about who the peer is: `credentials`.

use super::{Connection, authority};
use crate::route::Query;
use crate::sandbox::SandboxError;
use crate::sandbox::v0_1::server::{Answer, Question};
use crate::sandbox::v0_1::types::Reply;
use crate::users::refusal;

impl Connection {
    pub(super) async fn answer(&mut self, question: Question) -> Result<Answer, SandboxError> {
        if matches!(
            question,
            Question::Sender(_) | Question::Recipient(_) | Question::Store(_)
        ) {
            // Mail follows: the peer took the grant.
            self.unconfirmed = false;
        }
        match question {
            Question::Store(facts) => self.store(facts).await,
            Question::Sender((reverse_path, _)) => {
                let runtime = self.service.runtime();
                self.reverse_path.clone_from(&reverse_path);
                let judgement =
                    authority::sender(self.identity.as_deref(), &*runtime.senders, &reverse_path);
                Ok(judged("the user may not send as this address", judgement))
            }
            Question::Recipient(forward_path) => {
                let runtime = self.service.runtime();
                let query = Query {
                    reverse_path: &self.reverse_path,
                    identity: self.identity.as_deref(),
                    mailbox: &forward_path.mailbox,
                };
                let judgement = self.authority.recipient(&runtime.routes, &query);
                Ok(judged(
                    "no route leads there, or this peer may not use it",
                    judgement.map(|_| ()),
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
