//! What one call of the session hands to the host: the actions in order, few enough.
//!
//! Replies that follow each other become one `Send` (RFC 2920 section 3.2); `content` gives out at
//! most 40 pieces and takes back what it refuses in the same call; reports are 20 a session. So a
//! call has one `Abandon`, two `Send`, the reports and one message's pieces at most, whatever
//! octets come: fewer than [`MOST_ACTIONS`](crate::contract::MOST_ACTIONS).

use crate::{
    contract::{
        Envelope, Phase, Reply,
        server::{Action, Progress, Question},
    },
    smtp::reply,
};
use alloc::{string::String, vec::Vec};

/// The progress of a call while the call runs.
#[derive(Debug, Default)]
pub(super) struct Output {
    actions: Vec<Action>,
    envelope: Option<Envelope>,
    question: Option<Question>,
}

impl Output {
    /// A reply to the peer, joined to the replies before it.
    pub fn send(&mut self, reply: &Reply) {
        // Reports between two replies change nothing for the peer, and their own order stays.
        let last = self
            .actions
            .iter_mut()
            .rev()
            .find(|action| !matches!(action, Action::Report(_)));
        if let Some(Action::Send(octets)) = last {
            reply::write(reply, octets);
        } else {
            let mut octets = Vec::new();
            reply::write(reply, &mut octets);
            self.actions.push(Action::Send(octets));
        }
    }

    /// For the host's log.
    pub fn report(&mut self, text: String) {
        self.actions.push(Action::Report(text));
    }

    /// To the host, after all actions.
    pub fn ask(&mut self, question: Question) {
        self.question = Some(question);
    }

    /// The handshake, last.
    pub fn start_tls(&mut self) {
        self.actions.push(Action::StartTls);
    }

    /// The end, last.
    pub fn close(&mut self) {
        self.actions.push(Action::Close);
    }

    /// Content that was handed to the host is to be dropped.
    pub fn abandon(&mut self) {
        self.actions.push(Action::Abandon);
    }

    /// Content that `take` puts into the list of actions; `true` if it takes back there what the
    /// host has from earlier calls.
    pub fn content<T>(&mut self, take: impl FnOnce(&mut Vec<Action>) -> T) -> (T, bool) {
        let first = self.actions.len();
        let taken = take(&mut self.actions);
        let is_abandoned = self.actions[first..].contains(&Action::Abandon);
        (taken, is_abandoned)
    }

    /// The content of this call, after `Abandon` if there is one, begins a message.
    pub fn begin(&mut self, envelope: Envelope) {
        self.envelope = Some(envelope);
    }

    /// The call ends.
    pub fn finish(self, consumed: usize, waiting_for: Phase) -> Progress {
        Progress {
            // A call has at most `MOST_OCTETS`.
            consumed: u32::try_from(consumed).unwrap_or(u32::MAX),
            actions: self.actions,
            envelope: self.envelope,
            question: self.question,
            waiting_for,
        }
    }
}
