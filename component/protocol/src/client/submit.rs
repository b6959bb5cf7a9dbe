//! MAIL, RCPT and DATA, one by one or in groups (RFC 5321 section 3.3, RFC 2920), and RSET.
//!
//! Groups are at most 64 commands ahead of their replies, so that neither side can fill the other's
//! buffers while both write (RFC 2920 section 3.1).

use super::{
    content::Feed,
    convert::{Preparation, Reading, settle_all},
    outcome,
    preflight::{Plan, Preflight},
    session::{Session, State, send},
};
use crate::{
    contract::{
        ContentFacts, Envelope, Fault, Reply,
        client::{Action, Outcome, Progress, Stage},
    },
    conversion::{self, Survey},
    environment::Environment,
};
use alloc::{boxed::Box, collections::VecDeque, format, string::String, vec, vec::Vec};

/// Commands that may wait for their replies at a time; DATA goes with the last of them.
const MOST_DUE: usize = 64;

/// A command whose reply is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Mail,
    /// RCPT of this recipient.
    Rcpt(u32),
    Data,
}

/// One message on its way.
pub(super) struct Transaction {
    /// By index in the envelope.
    settled: Vec<bool>,
    unsettled: usize,
    /// Commands that were not sent, without CRLF.
    unsent: VecDeque<(Due, String)>,
    /// Commands whose replies are due, in order (R2920-3.1-b: matched by count alone).
    due: VecDeque<Due>,
    /// Recipients that the server took and that are not settled, in order.
    pub(super) accepted: VecDeque<u32>,
    /// MAIL was refused: what follows it is void.
    mail_refused: bool,
    /// The content was refused, for one recipient at least.
    pub(super) refused: bool,
    /// The server reports what becomes of the message (RFC 3461 section 5.2).
    pub(super) notifies: bool,
    /// Octets of the content, for BDAT.
    pub(super) size: u64,
    /// BDAT instead of DATA.
    chunks: bool,
    /// How the content is converted.
    conversion: Option<conversion::Plan>,
}

impl Transaction {
    fn new(
        plan: Plan,
        size: u64,
        conversion: Option<conversion::Plan>,
        actions: &mut Vec<Action>,
    ) -> Self {
        let mut transaction = Self {
            settled: vec![false; plan.recipients.len()],
            unsettled: plan.recipients.len(),
            unsent: VecDeque::new(),
            due: VecDeque::new(),
            accepted: VecDeque::new(),
            mail_refused: false,
            refused: false,
            notifies: plan.notifies,
            size,
            chunks: plan.transfer.chunks,
            conversion,
        };
        transaction.unsent.push_back((Due::Mail, plan.mail));
        for (index, recipient) in (0..).zip(plan.recipients) {
            match recipient {
                Ok(command) => transaction.unsent.push_back((Due::Rcpt(index), command)),
                Err(outcome) => transaction.settle(index, outcome, actions),
            }
        }
        if !transaction.chunks {
            transaction.unsent.push_back((Due::Data, "DATA".into()));
        }
        transaction
    }

    pub(super) fn next_due(&self) -> Option<Due> {
        self.due.front().copied()
    }

    pub(super) fn settle(&mut self, index: u32, outcome: Outcome, actions: &mut Vec<Action>) {
        let settled = usize::try_from(index)
            .ok()
            .and_then(|index| self.settled.get_mut(index));
        let Some(settled) = settled else { return };
        if core::mem::replace(settled, true) {
            return;
        }
        actions.push(Action::Settled(index, outcome));
        self.unsettled -= 1;
        if self.unsettled == 0 {
            actions.push(Action::Done);
        }
    }

    pub(super) fn settle_rest(&mut self, outcome: &Outcome, actions: &mut Vec<Action>) {
        for (index, _) in (0..).zip(self.settled.clone()) {
            self.settle(index, outcome.clone(), actions);
        }
        self.accepted.clear();
    }

    /// The next commands that may be sent, and notes that their replies are due.
    fn commands(&mut self, pipelining: bool) -> String {
        let mut text = String::new();
        while let Some((next, _)) = self.unsent.front() {
            let may_go = match next {
                // R2920-3.1-a: DATA may end a group. With the last RCPT or alone, so that what is
                // sent does not depend on how fast replies come.
                Due::Data => {
                    let in_group = pipelining && matches!(self.due.back(), Some(Due::Rcpt(_)));
                    in_group || (self.due.is_empty() && !self.accepted.is_empty())
                }
                Due::Mail | Due::Rcpt(_) if pipelining => self.due.len() < MOST_DUE,
                Due::Mail | Due::Rcpt(_) => self.due.is_empty(),
            };
            if !may_go {
                break;
            }
            if let Some((due, command)) = self.unsent.pop_front() {
                text.push_str(&command);
                text.push_str("\r\n");
                self.due.push_back(due);
            }
        }
        text
    }

    /// All replies to MAIL and RCPT have come, and the content goes without DATA.
    fn awaits_chunks(&self) -> bool {
        self.chunks && self.due.is_empty() && self.unsent.is_empty() && !self.accepted.is_empty()
    }

    /// Nothing more can come of it: no reply is due, and DATA will not be sent.
    fn is_over(&self) -> bool {
        let only_data = matches!(self.unsent.front(), None | Some((Due::Data, _)));
        self.due.is_empty() && only_data && self.accepted.is_empty()
    }
}

impl Session {
    /// The next message.
    pub fn submit(
        &mut self,
        envelope: Envelope,
        facts: ContentFacts,
        _env: &mut dyn Environment,
    ) -> Result<Progress, Fault> {
        if !matches!(self.state, State::Idle) {
            return Err(Fault::new("submit was called before ready"));
        }
        let mut actions = Vec::new();
        match self.preflight(&envelope, &facts).plan()? {
            Ok(plan) => match plan.transfer.conversion {
                Some(target) if plan.recipients.iter().any(Result::is_ok) => {
                    self.state = State::Preparing(Box::new(Preparation {
                        envelope,
                        facts,
                        reading: Reading::Survey(Survey::new(target)),
                    }));
                    actions.push(Action::Hungry);
                }
                _ => self.begin(&envelope, &facts, None, &mut actions)?,
            },
            Err(outcome) => {
                settle_all(&envelope, &outcome, &mut actions);
                self.ready(&mut actions);
            }
        }
        Ok(self.progress(0, actions))
    }

    /// MAIL, if anything is left to send; `facts` are of the content as it goes.
    pub(super) fn begin(
        &mut self,
        envelope: &Envelope,
        facts: &ContentFacts,
        conversion: Option<conversion::Plan>,
        actions: &mut Vec<Action>,
    ) -> Result<(), Fault> {
        let plan = match self.preflight(envelope, facts).plan()? {
            Ok(plan) => plan,
            Err(outcome) => {
                settle_all(envelope, &outcome, actions);
                self.ready(actions);
                return Ok(());
            }
        };
        let transaction = Transaction::new(plan, facts.size, conversion, actions);
        if transaction.unsettled == 0 {
            // Nothing was said, so there is nothing to reset.
            self.ready(actions);
        } else {
            self.messages = self.messages.saturating_add(1);
            self.state = State::Envelope(transaction);
            self.send_commands(actions);
        }
        Ok(())
    }

    fn preflight<'a>(&'a self, envelope: &'a Envelope, facts: &'a ContentFacts) -> Preflight<'a> {
        Preflight {
            envelope,
            facts,
            settings: &self.settings,
            capabilities: &self.capabilities,
            tls: self.facts.as_ref(),
            authenticated: self.authenticated,
        }
    }

    /// Sends what may be sent now, in one action.
    pub(super) fn send_commands(&mut self, actions: &mut Vec<Action>) {
        if let State::Envelope(transaction) = &mut self.state {
            let text = transaction.commands(self.capabilities.has("PIPELINING"));
            if !text.is_empty() {
                send(actions, text);
            }
        }
    }

    pub(super) fn envelope_replied(
        &mut self,
        mut transaction: Transaction,
        reply: Reply,
        actions: &mut Vec<Action>,
    ) {
        let Some(due) = transaction.due.pop_front() else {
            self.state = State::Envelope(transaction);
            return self.broken("a reply that belongs to no command", actions);
        };
        // RFC 4954 section 6: 530 is about us, not about the recipients (OX-C-4.3, CL-route).
        if reply.code == 530 && !transaction.mail_refused {
            return self.authentication_wanted(transaction, reply, actions);
        }
        match due {
            Due::Data => return self.data_replied(transaction, reply, actions),
            _ if outcome::is_intermediate(&reply) => {
                self.state = State::Envelope(transaction);
                return self.broken("3yz to MAIL or RCPT", actions);
            }
            Due::Mail if !outcome::is_completion(&reply) => {
                // CL-mail-fail
                transaction.mail_refused = true;
                transaction.unsent.clear();
                transaction.settle_rest(&outcome::of_reply(reply, false), actions);
            }
            Due::Mail => {}
            Due::Rcpt(_) if transaction.mail_refused => {}
            Due::Rcpt(index) => rcpt_replied(&mut transaction, index, reply, actions),
        }
        if transaction.awaits_chunks() {
            self.begin_chunks(transaction, actions);
        } else if transaction.is_over() {
            self.reset(actions);
        } else {
            self.state = State::Envelope(transaction);
        }
    }

    /// CL-354.
    fn data_replied(
        &mut self,
        mut transaction: Transaction,
        reply: Reply,
        actions: &mut Vec<Action>,
    ) {
        match reply.code {
            354 if !transaction.accepted.is_empty() => {
                let feed = Feed::new(transaction.conversion.take());
                self.state = State::Content(transaction, feed);
                actions.push(Action::Hungry);
            }
            // RFC 2920 section 3.1 (R2920-3.1-c): the way out of a group whose recipients were
            // all refused. RFC 2033 section 4.2 forbids the 354 to LMTP servers, whose replies to
            // the content could not be counted here.
            354 if !self.settings.lmtp => {
                send(actions, ".\r\n");
                self.state = State::Hollow;
            }
            200..=399 => {
                self.state = State::Envelope(transaction);
                self.broken("DATA needs 354", actions);
            }
            _ => {
                // CL-mail-fail
                transaction.settle_rest(&outcome::of_reply(reply, false), actions);
                self.reset(actions);
            }
        }
    }

    fn authentication_wanted(
        &mut self,
        mut transaction: Transaction,
        reply: Reply,
        actions: &mut Vec<Action>,
    ) {
        transaction.settle_rest(&outcome::deferred(reply.clone()), actions);
        let text = "the server wants authentication";
        self.failed(Stage::Authentication, Some(reply), false, text, actions);
        if transaction.due.is_empty() {
            self.send_quit(actions);
        } else {
            // A 354 may be on its way, and QUIT would be content.
            self.close(actions);
        }
    }

    /// R2920-3.1-c: whatever it is, no recipient waits for it.
    pub(super) fn hollow_replied(&mut self, _reply: &Reply, actions: &mut Vec<Action>) {
        self.reset(actions);
    }

    /// CL-reuse: after a failed transaction.
    pub(super) fn reset(&mut self, actions: &mut Vec<Action>) {
        send(actions, "RSET\r\n");
        self.state = State::Reset;
    }

    pub(super) fn reset_replied(&mut self, reply: Reply, actions: &mut Vec<Action>) {
        if outcome::is_completion(&reply) {
            return self.ready(actions);
        }
        if outcome::is_intermediate(&reply) {
            self.state = State::Reset;
            return self.broken("3yz to RSET", actions);
        }
        let text = format!("the server refuses RSET with {}", reply.code);
        self.failed(Stage::Ended, Some(reply), true, &text, actions);
        self.send_quit(actions);
    }
}

/// CL-rcpt.
fn rcpt_replied(
    transaction: &mut Transaction,
    index: u32,
    reply: Reply,
    actions: &mut Vec<Action>,
) {
    if outcome::is_completion(&reply) {
        transaction.accepted.push_back(index);
    } else if outcome::is_too_many(&reply) && !transaction.accepted.is_empty() {
        // RFC 5321 section 4.5.3.1.10. The first recipient is never one too many, or it would be
        // tried for ever.
        transaction.settle(index, outcome::again(Some(reply)), actions);
    } else {
        transaction.settle(index, outcome::of_reply(reply, false), actions);
    }
}
