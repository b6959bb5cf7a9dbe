//! EHLO and HELO (RFC 5321 section 4.1.1.1), and the capabilities of this session.

use super::{
    known::{Greeted, Known, MOST_GREETINGS},
    mail::offered,
    state::{State, Step},
};
use crate::{
    contract::{Mechanism, Reply},
    environment::Environment,
    extension::{
        body, chunking, deliver_by, future_release, limits, mt_priority, require_tls, size,
        smtputf8,
    },
    smtp::reply,
};
use alloc::{format, string::String, vec, vec::Vec};

/// Octets of an argument at most (R5321-4.1.1.1-c).
const MOST_ARGUMENT: usize = 255;
/// RFC 9422: a limit has at most six digits.
const MOST_RCPTMAX: u32 = 999_999;

/// EHLO: the capabilities; works without an argument too ([MS-SMTPNTLM] section 2.2,
/// R5321-4.1.1.1-e).
pub(super) fn ehlo(
    known: &mut Known,
    state: State,
    argument: &[u8],
    env: &mut dyn Environment,
) -> Step {
    match name(argument) {
        Ok(name) => {
            let reply = reply::ehlo(&known.settings.hostname, &name, keywords(known, env));
            greet(known, name, true, reply)
        }
        Err(refusal) => state.say(refusal),
    }
}

/// HELO: one line, never capabilities (R5321-4.1.1.1-a).
pub(super) fn helo(known: &mut Known, state: State, argument: &[u8]) -> Step {
    if known.lacks_tls() {
        // RFC 3207 section 4 (R3207-4-c); replies to HELO have no enhanced status code.
        let mut refusal = reply::tls_required();
        refusal.status = None;
        return state.say(refusal);
    }
    match name(argument) {
        Ok(_) if argument.trim_ascii().is_empty() => {
            state.say(reply::bad_argument("HELO needs a name"))
        }
        Ok(name) => {
            let reply = reply::helo(&known.settings.hostname, &name);
            greet(known, name, false, reply)
        }
        Err(refusal) => state.say(refusal),
    }
}

/// RFC 5321 section 4.1.4 (R5321-4.1.1.1-b): resets as RSET does; the identity stays.
fn greet(known: &mut Known, name: String, extended: bool, reply: Reply) -> Step {
    known.greetings = known.greetings.saturating_add(1);
    if known.greetings >= MOST_GREETINGS {
        return State::Closed.say(reply::too_many(&known.settings.hostname, "greetings"));
    }
    known.greeted = Some(Greeted { name, extended });
    State::Command.say(reply)
}

/// The first word, as far as it may be logged and repeated. It is never compared with the peer's
/// address in order to refuse (RFC 5321 section 4.1.4, R5321-4.1.1.1-d).
fn name(argument: &[u8]) -> Result<String, Reply> {
    let argument = argument.trim_ascii();
    if argument.len() > MOST_ARGUMENT {
        return Err(reply::bad_argument("name too long"));
    }
    // R5321-4.1.2-d
    if argument.iter().any(u8::is_ascii_control) {
        return Err(reply::syntax_error());
    }
    let word = argument.split(|octet| *octet == b' ').next();
    Ok(word
        .filter(|word| word.is_ascii())
        .and_then(|word| core::str::from_utf8(word).ok())
        .map(String::from)
        .unwrap_or_default())
}

/// What works now in this session and nothing else (RFC 5321 section 4.2.4, R5321-4.1.1.1-g).
fn keywords(known: &Known, env: &mut dyn Environment) -> Vec<String> {
    let settings = &known.settings;
    let mut keywords = vec![
        String::from("PIPELINING"),
        size::keyword(settings.max_message_size),
        String::from("8BITMIME"),
        String::from("DSN"),
        String::from("ENHANCEDSTATUSCODES"),
    ];
    let offered = offered(known);
    if settings.extensions.chunking {
        keywords.push(chunking::CHUNKING.into());
    }
    if offered.binarymime {
        keywords.push(body::BINARYMIME.into());
    }
    if offered.smtputf8 {
        // RFC 6531 section 3.1: no parameter, and 8BITMIME beside it.
        keywords.push(smtputf8::SMTPUTF8.into());
    }
    if offered.require_tls {
        keywords.push(require_tls::REQUIRETLS.into());
    }
    if let Some(most) = offered.future_release {
        keywords.push(future_release::keyword(most, env.now()));
    }
    if let Some(least) = offered.deliver_by {
        keywords.push(deliver_by::keyword(least));
    }
    if offered.mt_priority {
        // RFC 6710 section 3: no parameter, as no priority assignment policy is meant.
        keywords.push(mt_priority::MT_PRIORITY.into());
    }
    if known.offers_starttls() {
        keywords.push("STARTTLS".into());
    }
    // RFC 4954 section 3 (R4954-3-a): no usable mechanism, no line.
    let usable: Vec<&str> = settings
        .mechanisms
        .iter()
        .filter(|mechanism| known.may_use(**mechanism))
        .map(|mechanism| Mechanism::name(*mechanism))
        .collect();
    if !usable.is_empty() {
        let usable = usable.join(" ");
        keywords.push(format!("AUTH {usable}"));
        if settings.legacy_auth_line {
            // R4954-3-b: old Outlook and devices read only this spelling of the draft.
            keywords.push(format!("AUTH={usable}"));
        }
    }
    // RFC 9422 section 4
    keywords.push(limits::keyword(settings.max_recipients.min(MOST_RCPTMAX)));
    keywords
}
