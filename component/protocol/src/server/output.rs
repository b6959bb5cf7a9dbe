//! What one call of the session hands to the host: the actions in order, few enough.
//!
//! ```text
//!   abandon?  content…  report…  send?  pass? | start-tls? | close?
//! ```
//!
//! Replies become one `Send` (RFC 2920 section 3.2), and whatever stands between them: the host
//! writes once. Content is that of one message, in at most 40 pieces: an earlier one of the call
//! is stored, which ends the call, or is taken back. Reports are 20 a session. So a call has fewer
//! actions than [`MOST_ACTIONS`](crate::contract::MOST_ACTIONS), whatever octets come.

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
    /// Content that the host has from earlier calls is to be dropped.
    abandons: bool,
    content: Vec<Action>,
    reports: Vec<Action>,
    replies: Vec<u8>,
    /// What comes last.
    last: Option<Action>,
    envelope: Option<Envelope>,
    question: Option<Question>,
}

impl Output {
    /// A reply to the peer, joined to the replies before it.
    pub fn send(&mut self, reply: &Reply) {
        reply::write(reply, &mut self.replies);
    }

    /// For the host's log.
    pub fn report(&mut self, text: String) {
        self.reports.push(Action::Report(text));
    }

    /// To the host, after all actions.
    pub fn ask(&mut self, question: Question) {
        self.question = Some(question);
    }

    /// So many of the next octets are content, unseen; last.
    pub fn pass(&mut self, octets: u64) {
        self.last = Some(Action::Pass(octets));
    }

    /// The handshake, last.
    pub fn start_tls(&mut self) {
        self.last = Some(Action::StartTls);
    }

    /// The end, last.
    pub fn close(&mut self) {
        self.last = Some(Action::Close);
    }

    /// The content of the open message is to be dropped: what this call has of it, and what the
    /// host has from earlier calls, unless the message began in this one.
    pub fn abandon(&mut self) {
        self.content.clear();
        self.abandons |= self.envelope.take().is_none();
    }

    /// Content that `take` puts into this call's list of it; `true` if it takes it back there.
    pub fn content<T>(&mut self, take: impl FnOnce(&mut Vec<Action>) -> T) -> (T, bool) {
        let taken = take(&mut self.content);
        let is_abandoned = self.content.last() == Some(&Action::Abandon);
        if is_abandoned {
            self.abandon();
        }
        (taken, is_abandoned)
    }

    /// The content of this call, after `Abandon` if there is one, begins a message.
    pub fn begin(&mut self, envelope: Envelope) {
        self.envelope = Some(envelope);
    }

    /// The call ends.
    pub fn finish(self, consumed: usize, waiting_for: Phase) -> Progress {
        let mut actions = Vec::new();
        actions.extend(self.abandons.then_some(Action::Abandon));
        actions.extend(self.content);
        actions.extend(self.reports);
        if !self.replies.is_empty() {
            actions.push(Action::Send(self.replies));
        }
        actions.extend(self.last);
        Progress {
            // A call has at most `MOST_OCTETS`.
            consumed: u32::try_from(consumed).unwrap_or(u32::MAX),
            actions,
            envelope: self.envelope,
            question: self.question,
            waiting_for,
        }
    }
}
