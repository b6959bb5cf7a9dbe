//! Content after the 354, and the replies to it (RFC 5321 sections 4.1.1.4 and 4.5.2, RFC 2033
//! section 4.2).

use super::{
    outcome,
    session::{Session, State},
    submit::Transaction,
};
use crate::{
    content::stuffing::Stuffing,
    contract::{
        Fault, MOST_OCTETS, Reply,
        client::{Action, Progress, Stage},
    },
    conversion::{Plan, Rewriter},
    environment::Environment,
};
use alloc::{boxed::Box, vec::Vec};

/// The content of one message on its way by DATA.
pub(super) struct Feed {
    stuffing: Stuffing,
    rewriter: Option<Box<Rewriter>>,
}

impl Feed {
    /// Before the first octet; converted if there is a plan for it.
    pub(super) fn new(plan: Option<Plan>) -> Self {
        Self {
            stuffing: Stuffing::new(),
            rewriter: plan.map(|plan| Box::new(Rewriter::new(plan))),
        }
    }

    fn take(&mut self, octets: &[u8], last: bool, actions: &mut Vec<Action>) -> Result<(), Fault> {
        let Some(rewriter) = &mut self.rewriter else {
            // R5321-4.5.2-b, OX-C-8: nothing else is changed.
            self.stuffing.take(octets, 0, actions);
            if last {
                self.stuffing.finish(actions);
            }
            return Ok(());
        };
        // The plan was made for this message, or the caller has another one now.
        let another = |_| Fault::new("the message is not the one that was supplied before");
        let mut converted = rewriter.take(octets).map_err(another)?;
        if last && let Some(rewriter) = self.rewriter.take() {
            converted.extend(rewriter.finish().map_err(another)?);
        }
        let mut stuffed = self.stuffing.stuffed(&converted);
        if last {
            stuffed.extend_from_slice(self.stuffing.end());
        }
        if !stuffed.is_empty() {
            actions.push(Action::Insert(stuffed));
        }
        Ok(())
    }
}

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
            State::Content(transaction, mut feed) => {
                feed.take(octets, last, &mut actions)?;
                if last {
                    self.state = State::EndOfContent(transaction);
                } else {
                    actions.push(Action::Hungry);
                    self.state = State::Content(transaction, feed);
                }
            }
            State::Preparing(preparation) => {
                self.prepare(preparation, octets, last, &mut actions)?;
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
