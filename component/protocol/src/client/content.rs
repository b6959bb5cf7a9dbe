//! Content after the 354, and the replies to it (RFC 5321 sections 4.1.1.4 and 4.5.2, RFC 2033
//! section 4.2).

use super::{
    outcome,
    session::{Session, State},
    submit::Transaction,
};
use crate::{
    contract::{
        Fault, MOST_OCTETS, Reply,
        client::{Action, Progress, Stage},
    },
    environment::Environment,
};
use alloc::vec::Vec;

impl Session {
    /// The next run of the message, at most 65,536 octets; `last`: the message ends with it.
    pub fn supply(
        &mut self,
        octets: &[u8],
        last: bool,
        _env: &mut dyn Environment,
    ) -> Result<Progress, Fault> {
        if octets.len() > MOST_OCTETS {
            return Err(Fault::new("supply was given more than 65536 octets"));
        }
        let mut actions = Vec::new();
        match core::mem::replace(&mut self.state, State::Closed) {
            State::Content(transaction, mut stuffing) => {
                // R5321-4.5.2-b, OX-C-8: nothing else is changed.
                stuffing.take(octets, 0, &mut actions);
                if last {
                    stuffing.finish(&mut actions);
                    self.state = State::EndOfContent(transaction);
                } else {
                    actions.push(Action::Hungry);
                    self.state = State::Content(transaction, stuffing);
                }
            }
            state => {
                self.state = state;
                return Err(Fault::new("supply was called before hungry"));
            }
        }
        Ok(self.progress(0, actions))
    }

    /// CL-final, CL-mail-fail; with LMTP a reply for each accepted recipient (R2033-4).
    pub(super) fn content_replied(
        &mut self,
        mut transaction: Transaction,
        reply: Reply,
        actions: &mut Vec<Action>,
    ) {
        if outcome::is_intermediate(&reply) {
            self.state = State::EndOfContent(transaction);
            return self.broken("3yz to the end of data", actions);
        }
        let completed = outcome::is_completion(&reply);
        let outcome = outcome::of_reply(reply, transaction.notifies);
        if self.settings.lmtp {
            if let Some(index) = transaction.accepted.pop_front() {
                transaction.settle(index, outcome, actions);
            }
            transaction.refused |= !completed;
            if !transaction.accepted.is_empty() {
                self.state = State::EndOfContent(transaction);
                return;
            }
        } else {
            transaction.settle_rest(&outcome, actions);
            transaction.refused = !completed;
        }
        if transaction.refused {
            self.reset(actions);
        } else {
            self.ready(actions);
        }
    }

    /// A reply before the end of data: the server has had enough, or is mad. Either way the rest
    /// of the content cannot be sent, and without it no command.
    pub(super) fn content_interrupted(
        &mut self,
        mut transaction: Transaction,
        reply: Reply,
        actions: &mut Vec<Action>,
    ) {
        let text = "the server replied before the content had ended";
        let outcome = if reply.code < 400 {
            // CL-reply-b: nothing was accepted, because nothing was sent.
            outcome::lost(outcome::local(451, (4, 5, 0), text))
        } else {
            // CL-mail-fail
            outcome::of_reply(reply.clone(), false)
        };
        transaction.settle_rest(&outcome, actions);
        self.failed(Stage::Content, Some(reply), true, text, actions);
        self.close(actions);
    }
}
