//! BDAT (RFC 3030 section 2, CL-bdat): the message as it is, in chunks that the session never sees.
//!
//! No dots, and no CRLF that is not there: RFC 3030 section 2 leaves the octets alone, and whether
//! content ends with CRLF is between its writer and its reader.
//!
//! A chunk has a mebibyte at most, so that a server that has had enough is not sent gigabytes. With
//! PIPELINING the next one goes before the reply to the last has come (RFC 3030 section 4.2);
//! replies are matched by count.

use super::{
    outcome,
    session::{Session, State, send},
    submit::Transaction,
};
use crate::contract::{Reply, client::Action};
use alloc::{format, vec::Vec};

/// Octets of a chunk at most.
const MOST_CHUNK: u64 = 1 << 20;

/// Chunks on their way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunks {
    /// Octets that were not sent.
    left: u64,
    /// Chunks whose replies are due.
    due: u32,
    /// LAST was sent.
    last: bool,
    /// One was refused: there is no next.
    refused: bool,
}

impl Chunks {
    /// Before the first chunk of a message of this size.
    pub(super) fn new(size: u64) -> Self {
        Self {
            left: size,
            due: 0,
            last: false,
            refused: false,
        }
    }

    /// Whether the server may have the whole message.
    pub(super) fn is_complete(&self) -> bool {
        self.last
    }
}

impl Session {
    /// The recipients are known to the server: the content.
    pub(super) fn begin_chunks(&mut self, transaction: Transaction, actions: &mut Vec<Action>) {
        let chunks = Chunks::new(transaction.size);
        self.go_on_with_chunks(transaction, chunks, actions);
    }

    /// The chunks that may be sent now.
    fn go_on_with_chunks(
        &mut self,
        transaction: Transaction,
        mut chunks: Chunks,
        actions: &mut Vec<Action>,
    ) {
        // RFC 2033 section 4.3: the replies to LAST are as many as recipients; nothing may stand
        // between.
        let most_due = if self.capabilities.has("PIPELINING") && !self.settings.lmtp {
            2
        } else {
            1
        };
        while !chunks.last && !chunks.refused && chunks.due < most_due {
            let size = chunks.left.min(MOST_CHUNK);
            chunks.left -= size;
            chunks.last = chunks.left == 0;
            chunks.due += 1;
            let last = if chunks.last { " LAST" } else { "" };
            send(actions, format!("BDAT {size}{last}\r\n"));
            if size > 0 {
                actions.push(Action::Pass(size));
            }
        }
        self.state = if chunks.last && chunks.due == 1 && !chunks.refused {
            State::EndOfContent(transaction)
        } else {
            State::Chunks(transaction, chunks)
        };
    }

    /// The reply to a chunk that is not the last, or to what followed a refused one.
    pub(super) fn chunk_replied(
        &mut self,
        mut transaction: Transaction,
        mut chunks: Chunks,
        reply: Reply,
        actions: &mut Vec<Action>,
    ) {
        if outcome::is_intermediate(&reply) {
            self.state = State::Chunks(transaction, chunks);
            return self.broken("3yz to BDAT", actions);
        }
        chunks.due = chunks.due.saturating_sub(1);
        if !chunks.refused && !outcome::is_completion(&reply) {
            // RFC 3030 section 2, CL-mail-fail: the whole transaction is void.
            chunks.refused = true;
            transaction.settle_rest(&outcome::of_reply(reply, false), actions);
        }
        if chunks.refused && chunks.due == 0 {
            self.reset(actions);
        } else {
            self.go_on_with_chunks(transaction, chunks, actions);
        }
    }
}
