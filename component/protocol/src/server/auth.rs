//! AUTH and the lines of its exchange (RFC 4954 section 4): base64, cancelling, replies.
//!
//! Not here: the mechanisms (`sasl`), and whether credentials are right: the host knows.

use super::{
    known::Known,
    state::{Asked, Said, State, Step},
};
use crate::{
    contract::{Mechanism, Reply, server::Answer},
    environment::Environment,
    sasl::{SaslRefusal, ServerContext, ServerExchange, ServerStep},
    smtp::{base64, reply},
};
use alloc::{boxed::Box, vec::Vec};
use zeroize::Zeroizing;

/// AUTH with the mechanism's name, and the initial response as it came.
pub(super) fn auth(
    known: &mut Known,
    state: State,
    mechanism: &[u8],
    initial: Option<&[u8]>,
    env: &mut dyn Environment,
) -> Step {
    let mechanism = match check(known, &state, mechanism) {
        Ok(mechanism) => mechanism,
        Err(refusal) => return state.say(refusal),
    };
    let initial = match initial.map(initial_response) {
        None => None,
        Some(Some(octets)) => Some(octets),
        // R4954-4-d
        Some(None) => return state.say(reply::syntax_error()),
    };
    let initial = initial.as_ref().map(|octets| octets.as_slice());
    let (exchange, step) = ServerExchange::start(mechanism, initial, &context(known), env);
    next(known, Box::new(exchange), step)
}

/// What must hold before an exchange begins, in the order in which a peer can mend it.
fn check(known: &Known, state: &State, name: &[u8]) -> Result<Mechanism, Reply> {
    // R5321-4.1.4-a
    known.check_greeted()?;
    // RFC 4954 section 4 (R4954-4-a)
    if known.identity.is_some() {
        return Err(reply::out_of_order("authenticated already"));
    }
    Known::check_outside_transaction(state)?;
    // R4954-4-h
    if name.is_empty() {
        return Err(reply::bad_argument("AUTH needs a mechanism"));
    }
    let mechanism = Mechanism::from_name(name)
        .filter(|mechanism| known.settings.mechanisms.contains(mechanism))
        .ok_or_else(reply::mechanism_unknown)?;
    match known.may_use(mechanism) {
        true => Ok(mechanism),
        // R4954-4-h: this connection's TLS lacks what it needs (R5802-6-b, R4422-A).
        false if known.has_tls() => Err(reply::mechanism_unknown()),
        // R4954-4-i, R4954-4-l
        false => Err(reply::encryption_required()),
    }
}

/// RFC 4954 section 4 (R4954-4-e): `=` is the empty string.
fn initial_response(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let text = if text == b"=" { b"" } else { text };
    base64::decode(text).map(Zeroizing::new)
}

/// A line of the exchange, without its end.
pub(super) fn response(
    known: &mut Known,
    state: State,
    line: &[u8],
    env: &mut dyn Environment,
) -> Step {
    let State::Authentication(mut exchange) = state else {
        return state.say(reply::out_of_order("AUTH first"));
    };
    // RFC 4954 section 4 (R4954-4-c): the session is as before AUTH.
    if line == b"*" {
        // What the host has refused counts, however the peer ends it (R7628-3.2).
        let too_many = exchange.has_failed().then(|| known.count_failed_auth());
        let cancelled = reply::authentication_cancelled();
        return State::Command.say(too_many.flatten().unwrap_or(cancelled));
    }
    // Whatever it says, the host has refused already: 535, which is counted (R5321-3.8-d).
    if exchange.has_failed() {
        return State::Command.say(reply::authentication_failed());
    }
    // R4954-4-d
    let Some(response) = base64::decode(line).map(Zeroizing::new) else {
        return State::Command.say(reply::syntax_error());
    };
    let step = exchange.respond(&response, &context(known), env);
    next(known, exchange, step)
}

/// The host's answer to the exchange's question; `None` if it answers another one.
pub(super) fn answered(
    known: &mut Known,
    mut exchange: ServerExchange,
    answer: &Answer,
) -> Option<Step> {
    if !exchange.fits(answer) {
        return None;
    }
    let step = exchange.conclude(answer);
    Some(next(known, Box::new(exchange), step))
}

/// What an exchange's step means for the session. After a refusal nothing of the try remains
/// (R4954-4-k).
fn next(known: &mut Known, exchange: Box<ServerExchange>, step: ServerStep) -> Step {
    let challenge = match step {
        // R4954-4-b
        ServerStep::Challenge(octets) => reply::challenge(&base64::encode(&octets)),
        // SNTLM-2.2.1.2
        ServerStep::Text(text) => reply::challenge(text),
        ServerStep::Ask(question) => return Asked::Credentials(exchange).ask(question),
        ServerStep::Grant(identity) => {
            known.identity = Some(identity);
            // R4954-4-j
            return State::Command.say(reply::authenticated());
        }
        ServerStep::Refuse(refusal) => return State::Command.say(refused(refusal)),
    };
    Step {
        state: State::Authentication(exchange),
        said: Said::Reply(challenge),
    }
}

/// RFC 4954 section 6, [MS-SMTPNTLM] section 2.2.1.
fn refused(refusal: SaslRefusal) -> Reply {
    match refusal {
        SaslRefusal::Malformed => reply::syntax_error(),
        SaslRefusal::Wrong => reply::authentication_failed(),
        SaslRefusal::NtlmWrong => reply::ntlm_failed(),
        SaslRefusal::TooWeak => reply::mechanism_too_weak(),
        SaslRefusal::InitialResponseNotAllowed => reply::initial_response_not_allowed(),
        SaslRefusal::Disabled => reply::account_disabled(),
        SaslRefusal::Unprepared => reply::password_transition(),
        SaslRefusal::Unavailable => reply::authentication_unavailable(),
    }
}

fn context(known: &Known) -> ServerContext<'_> {
    ServerContext {
        hostname: &known.settings.hostname,
        ntlm_domain: &known.settings.ntlm_domain,
        ntlm_computer: &known.settings.ntlm_computer,
        facts: known.facts.as_ref(),
        plus_offered: [Mechanism::ScramSha1Plus, Mechanism::ScramSha256Plus]
            .iter()
            .any(|plus| known.offers(*plus)),
    }
}
