//! The commands that move no mail: RSET, VRFY, EXPN, HELP, NOOP and QUIT (RFC 5321 sections
//! 4.1.1.5 to 4.1.1.10), BDAT while CHUNKING is not offered, and what is no command here.

use super::{
    known::Known,
    state::{State, Step},
};
use crate::smtp::reply;

/// RSET: 250 always, save with an argument; session, identity and TLS stay (R5321-4.1.1.5).
pub(super) fn rset(state: State, argument: &[u8]) -> Step {
    // R5321-4.1.1-b
    if !argument.is_empty() {
        return state.say(reply::bad_argument("RSET takes no argument"));
    }
    let state = match state {
        State::Transaction(_) | State::Chunks(_) | State::Failed => State::Command,
        other => other,
    };
    state.say(reply::ok())
}

/// VRFY: 252 for any argument (RFC 5321 section 3.5.3).
pub(super) fn vrfy(state: State, argument: &[u8]) -> Step {
    // R5321-4.1.1.6-b
    if argument.is_empty() {
        return state.say(reply::bad_argument("VRFY needs an argument"));
    }
    state.say(reply::cannot_verify())
}

/// HELP, with or without an argument (R5321-4.1.1.8).
pub(super) fn help(state: State) -> Step {
    state.say(reply::help())
}

/// NOOP, its argument ignored (R5321-4.1.1.9).
pub(super) fn noop(state: State) -> Step {
    state.say(reply::ok())
}

/// QUIT: 221 and close; an open transaction is dropped (RFC 5321 section 4.1.1.10).
pub(super) fn quit(known: &Known, state: State, argument: &[u8]) -> Step {
    // R5321-4.1.1-b
    if !argument.is_empty() {
        return state.say(reply::bad_argument("QUIT takes no argument"));
    }
    State::Closed.say(reply::quit(&known.settings.hostname))
}

/// EXPN, ETRN, SEND and others: known, not implemented here (R5321-4.1.1.7, R5321-4.1.5,
/// R6409-7-NOT, R6409-7-OTHER).
pub(super) fn not_implemented(state: State) -> Step {
    state.say(reply::not_implemented())
}

/// A verb that nobody knows: 500, and the session goes on (RFC 5321 section 4.1.5).
pub(super) fn unknown(state: State) -> Step {
    state.say(reply::unknown_command())
}
