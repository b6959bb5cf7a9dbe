//! Where a session stands. A state owns what is true in it: handling an event consumes it and
//! yields the next, and nothing of a transaction outlives its state (RFC 5321 section 3.3).

use super::{
    bdat::{Chunk, Refused},
    receiving::Receiving,
};
use crate::{
    contract::{ForwardPath, Phase, Reply, ReversePathParameters, server::Question},
    sasl::ServerExchange,
    smtp::reply,
};
use alloc::{boxed::Box, string::String, vec::Vec};

/// Where a session stands.
#[derive(Debug)]
pub(super) enum State {
    /// Before `open`.
    Greeting,
    /// The greeting was 554: QUIT is the only command (R5321-3.1-b).
    Unwelcome,
    /// Between transactions.
    Command,
    /// After MAIL.
    Transaction(Transaction),
    /// Inside an AUTH exchange: a response is due (RFC 4954 section 4).
    Authentication(Box<ServerExchange>),
    /// After the 220 to STARTTLS: `secured` is due.
    Handshake,
    /// After the 354.
    Content(Box<Receiving>),
    /// Between two chunks of a message (RFC 3030 section 2).
    Chunks(Box<Receiving>),
    /// Inside a chunk.
    Chunk(Box<Chunk>),
    /// The rest of a chunk goes by unseen: the next octets are those after it.
    Passing(Box<Chunk>),
    /// Inside the chunk of a BDAT that is refused: its octets are dropped (R3030-2-c).
    Refused(Box<Refused>),
    /// After a chunk that failed: RSET or EHLO is due (R3030-2-d).
    Failed,
    /// A question is open: `resume` is due.
    Answer(Asked),
    /// Nothing more.
    Closed,
}

/// The open question, and what its answer decides on.
#[derive(Debug)]
pub(super) enum Asked {
    /// May this exchange end in 235?
    Credentials(Box<ServerExchange>),
    /// May this transaction be opened, and what is said then?
    Sender(Transaction, Reply),
    /// May this recipient be added?
    Recipient(Transaction, ForwardPath),
    /// Is the message with this identifier durable?
    Store(String),
}

/// A mail transaction: the reverse-path and forward-path buffers (RFC 5321 section 4.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Transaction {
    /// Identifier of its message.
    pub id: String,
    /// Mailbox, or empty.
    pub reverse_path: String,
    /// What MAIL asked for.
    pub parameters: ReversePathParameters,
    /// Accepted recipients, in order, duplicates kept.
    pub forward_paths: Vec<ForwardPath>,
    /// An RCPT of this transaction was refused.
    pub has_refused: bool,
}

impl State {
    /// What the host waits for (timeouts of RFC 5321 section 4.5.3.2).
    pub fn phase(&self) -> Phase {
        match self {
            Self::Greeting => Phase::Greeting,
            // A handshake has a timeout of its own, which the host knows.
            Self::Unwelcome
            | Self::Command
            | Self::Transaction(_)
            | Self::Chunks(_)
            | Self::Failed
            | Self::Handshake => Phase::Command,
            Self::Authentication(_) => Phase::Authentication,
            Self::Content(_) | Self::Chunk(_) | Self::Passing(_) | Self::Refused(_) => {
                Phase::Content
            }
            Self::Answer(_) => Phase::Answer,
            Self::Closed => Phase::Closed,
        }
    }

    /// A line from the peer is due.
    pub fn is_reading_lines(&self) -> bool {
        matches!(
            self,
            Self::Unwelcome
                | Self::Command
                | Self::Transaction(_)
                | Self::Chunks(_)
                | Self::Failed
                | Self::Authentication(_)
        )
    }

    /// Octets from the peer are due.
    pub fn is_reading(&self) -> bool {
        self.is_reading_lines()
            || matches!(
                self,
                Self::Content(_) | Self::Chunk(_) | Self::Passing(_) | Self::Refused(_)
            )
    }

    /// The host has content of a message that is not complete.
    pub fn holds_content(&self) -> bool {
        match self {
            Self::Content(receiving) | Self::Chunks(receiving) => receiving.is_held(),
            Self::Chunk(chunk) | Self::Passing(chunk) => chunk.receiving.is_held(),
            _ => false,
        }
    }

    /// The state, to be consumed; until the next one is known the session counts as closed.
    pub fn take(&mut self) -> Self {
        core::mem::replace(self, Self::Closed)
    }

    /// A transaction has begun and has not ended.
    pub fn is_in_transaction(&self) -> bool {
        matches!(
            self,
            Self::Transaction(_)
                | Self::Content(_)
                | Self::Chunks(_)
                | Self::Chunk(_)
                | Self::Passing(_)
                | Self::Answer(Asked::Recipient(..) | Asked::Store(_))
        )
    }

    /// The step that tells the peer what the host said, and stays here.
    pub fn relay(self, reply: Reply) -> Step {
        Step {
            state: self,
            said: Said::Relayed(reply::from_host(reply)),
        }
    }

    /// The step that tells the peer once more what it has been told of an earlier command.
    pub fn repeat(self, reply: Reply) -> Step {
        Step {
            state: self,
            said: Said::Repeated(reply),
        }
    }

    /// The step that says nothing yet.
    pub fn wait(self) -> Step {
        Step {
            state: self,
            said: Said::Nothing,
        }
    }

    /// The step that answers with `reply` and stays here.
    pub fn say(self, reply: Reply) -> Step {
        Step {
            state: self,
            said: Said::Reply(reply),
        }
    }
}

impl Asked {
    /// The step that puts `question` to the host.
    pub fn ask(self, question: Question) -> Step {
        Step {
            state: State::Answer(self),
            said: Said::Question(question),
        }
    }
}

/// What an event leads to: the next state, and what is said on the way there.
#[derive(Debug)]
pub(super) struct Step {
    /// The next state. [`State::Handshake`] and [`State::Closed`] bring their action with them.
    pub state: State,
    /// What is said.
    pub said: Said,
}

/// What a verb has to say: only the session makes actions of it.
#[derive(Debug)]
pub(super) enum Said {
    /// To the peer.
    Reply(Reply),
    /// To the peer, from the host: no report of it, the host knows.
    Relayed(Reply),
    /// To the peer, about a mistake that was counted and reported already.
    Repeated(Reply),
    /// To the host.
    Question(Question),
    /// Nothing: more octets are due first.
    Nothing,
}
