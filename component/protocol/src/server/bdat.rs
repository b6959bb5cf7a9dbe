//! BDAT (RFC 3030 section 2): from the command to the reply after its octets.
//!
//! ```text
//!   Transaction --BDAT--> Chunk --250--> Chunks --BDAT--> Chunk --LAST--> Answer -> Command
//!                           |  `-> Passing (BINARYMIME)      |
//!                           +------------- fails ------------+--> Failed --RSET--> Command
//!   Refused: the octets of a BDAT that was refused, before its reply
//! ```
//!
//! The reply comes after the octets, whatever it says: a client that pipelines has sent them.
//!
//! Not here: the argument's grammar (`extension::chunking`), what is refused in content
//! (`content`).

use super::{
    content::Content,
    data,
    known::Known,
    output::Output,
    receiving::{Receiving, rules},
    state::{State, Step},
};
use crate::{
    contract::Reply,
    environment::Environment,
    extension::chunking::{self, ChunkDefect},
    smtp::{command::Command, reply},
};
use alloc::{boxed::Box, string::ToString};

/// Octets over the message limit that are read all the same, for the sake of a clear reply.
const MOST_EXCESS: u64 = 1 << 20;

/// A chunk that is coming in.
#[derive(Debug)]
pub(super) struct Chunk {
    /// The message that it is part of.
    pub receiving: Receiving,
    /// What BDAT announced.
    pub octets: u64,
    /// What has not come yet.
    pub left: u64,
    /// The message ends with it.
    pub last: bool,
}

/// The chunk of a BDAT that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    /// What has not come yet.
    pub left: u64,
    /// What is said after it.
    pub reply: Reply,
    /// There was a transaction, which has failed.
    pub fails: bool,
    /// It had failed before.
    pub had_failed: bool,
}

/// BDAT, where CHUNKING is offered.
pub(super) fn bdat(
    known: &Known,
    state: State,
    argument: &[u8],
    env: &mut dyn Environment,
) -> Step {
    let chunk = chunking::chunk(argument);
    let octets = match &chunk {
        Ok(chunk) => chunk.octets,
        Err(ChunkDefect::NotLast { octets }) => *octets,
        // R3030-2-f: `is_lost` is asked next.
        Err(defect) => return state.say(reply::bad_argument(&defect.to_string())),
    };
    let hostname = &known.settings.hostname;
    // R3030-2-c: strangers have nothing read for them.
    if known.lacks_identity() {
        return State::Closed.say(reply::chunk_unwanted(hostname, "authentication required"));
    }
    let limit = known.settings.max_message_size;
    if limit > 0 && octets > limit.saturating_add(MOST_EXCESS) {
        return State::Closed.say(reply::chunk_unwanted(hostname, "chunk too large"));
    }
    let chunk = match chunk {
        Ok(chunk) => chunk,
        Err(defect) => return refuse(state, octets, reply::bad_argument(&defect.to_string())),
    };
    // RFC 3207 section 4 (R3207-4-c)
    if known.lacks_tls() {
        return refuse(state, octets, reply::tls_required());
    }
    if let Err(refusal) = known.check_may_submit() {
        return refuse(state, octets, refusal);
    }
    let mut receiving = match state {
        State::Chunks(receiving) => *receiving,
        // R5321-4.1.4-e
        State::Transaction(transaction) => match data::check_recipients(&transaction) {
            Ok(()) => {
                let content = Content::chunked(rules(known, &transaction, env));
                Receiving::new(transaction, content)
            }
            Err(refusal) => return refuse(State::Transaction(transaction), octets, refusal),
        },
        // R3030-2-d
        State::Failed => return refuse(State::Failed, octets, reply::chunk_failed()),
        // R5321-4.1.4-e, R3030-2-e: after LAST too.
        other => return refuse(other, octets, reply::out_of_order("MAIL first")),
    };
    receiving.content.announce(octets);
    let chunk = Chunk {
        receiving,
        octets,
        left: octets,
        last: chunk.last,
    };
    State::Chunk(Box::new(chunk)).wait()
}

/// What follows this line cannot be told from commands: where the chunk ends is unknown (R3030-2-f),
/// or BDAT is not known here, as nothing was offered.
pub(super) fn is_lost(known: &Known, command: &Command<'_>) -> bool {
    match command {
        Command::Bdat(argument) => {
            !known.settings.extensions.chunking
                || chunking::chunk(argument) == Err(ChunkDefect::Size)
        }
        _ => false,
    }
}

/// The octets come first, then the reply. A transaction has failed with it (R3030-2-d).
fn refuse(state: State, octets: u64, reply: Reply) -> Step {
    let refused = Refused {
        left: octets,
        reply,
        fails: matches!(
            state,
            State::Transaction(_) | State::Chunks(_) | State::Failed
        ),
        had_failed: matches!(state, State::Failed),
    };
    State::Refused(Box::new(refused)).wait()
}

/// The octets of a refused BDAT have come.
pub(super) fn refused(refused: Refused) -> Step {
    let state = match refused.fails {
        true => State::Failed,
        false => State::Command,
    };
    match refused.had_failed {
        // A client that pipelines cannot know yet: it is one mistake.
        true => state.repeat(refused.reply),
        false => state.say(refused.reply),
    }
}

/// The octets of a chunk have come. After LAST it is the end of data, and the transaction is over
/// whatever comes of it (R3030-2-a, R5321-4.1.1.4-c).
pub(super) fn end(
    known: &Known,
    chunk: Chunk,
    env: &mut dyn Environment,
    output: &mut Output,
) -> Step {
    let mut receiving = chunk.receiving;
    if chunk.last {
        receiving.end(known, env, output);
        return data::end(receiving);
    }
    match receiving.content.refusal() {
        None => State::Chunks(Box::new(receiving)).say(reply::chunk_ok(chunk.octets)),
        // R3030-2-d
        Some(defect) => State::Failed.say(defect.reply()),
    }
}
