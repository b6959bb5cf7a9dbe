//! STARTTLS (RFC 3207).

use super::{
    known::Known,
    state::{State, Step},
};
use crate::{
    contract::{Reply, TlsFacts, server::TlsPolicy},
    smtp::reply,
};

/// STARTTLS: 220, then the handshake. The session drops what came in clear after the line.
pub(super) fn starttls(known: &Known, state: State, argument: &[u8]) -> Step {
    match check(known, &state, argument) {
        Ok(()) => State::Handshake.say(reply::start_tls()),
        Err(refusal) => state.say(refusal),
    }
}

fn check(known: &Known, state: &State, argument: &[u8]) -> Result<(), Reply> {
    // R3207-4-b
    if known.settings.tls == TlsPolicy::Absent {
        return Err(reply::not_implemented());
    }
    // RFC 3207 section 4.2
    if !known.offers_starttls() {
        return Err(reply::out_of_order("TLS is active already"));
    }
    // RFC 3207 section 4, R5321-4.1.1-b
    if !argument.is_empty() {
        return Err(reply::bad_argument("STARTTLS takes no argument"));
    }
    // R5321-4.1.4-a
    known.check_greeted()?;
    Known::check_outside_transaction(state)?;
    if known.identity.is_some() {
        return Err(reply::out_of_order("STARTTLS comes before AUTH"));
    }
    Ok(())
}

/// The handshake is done: nothing that the peer said before counts (RFC 3207 section 4.2,
/// R3207-4.2-a).
pub(super) fn secured(known: &mut Known, facts: TlsFacts) -> State {
    known.facts = Some(facts);
    known.greeted = None;
    known.identity = None;
    State::Command
}
