//! MAIL (RFC 5321 section 4.1.1.2): opens a transaction.

use super::{
    known::Known,
    state::{Asked, State, Step, Transaction},
};
use crate::{
    contract::{
        Reply,
        server::{Answer, Question},
    },
    environment::{Environment, Moment},
    extension::{self, Offered},
    smtp::reply,
};
use alloc::vec::Vec;

/// MAIL with everything after the verb. A refused MAIL opens no transaction (R5321-4.1.4-f).
pub(super) fn mail(
    known: &mut Known,
    state: State,
    argument: &[u8],
    env: &mut dyn Environment,
) -> Step {
    match read(known, &state, argument, env) {
        Ok((transaction, opened)) if known.settings.ask_sender => {
            let question = Question::Sender(
                transaction.reverse_path.clone(),
                transaction.parameters.clone(),
            );
            Asked::Sender(transaction, opened).ask(question)
        }
        Ok((transaction, opened)) => State::Transaction(transaction).say(opened),
        Err(refusal) => state.say(refusal),
    }
}

/// The host's answer about the sender, and what is said if it is yes; `None` if it answers
/// something else.
pub(super) fn answered(transaction: Transaction, opened: Reply, answer: Answer) -> Option<Step> {
    match answer {
        Answer::Accepted => Some(State::Transaction(transaction).say(opened)),
        Answer::Rejected(reply) => Some(State::Command.relay(reply)),
        Answer::Unavailable => Some(State::Command.say(reply::local_error())),
        _ => None,
    }
}

fn read(
    known: &mut Known,
    state: &State,
    argument: &[u8],
    env: &mut dyn Environment,
) -> Result<(Transaction, Reply), Reply> {
    known.check_may_submit()?;
    match state {
        // R5321-4.1.4-c, R3030-2-e
        State::Transaction(_) | State::Chunks(_) => {
            return Err(reply::out_of_order("a transaction is open already"));
        }
        // R3030-2-d
        State::Failed => return Err(reply::chunk_failed()),
        _ => {}
    }
    let offered = offered(known);
    // Only HOLDUNTIL needs the time.
    let now = match offered.future_release {
        Some(_) => env.now(),
        None => Moment::default(),
    };
    let (reverse_path, mut parameters) =
        extension::reverse_path(argument, &offered, now).map_err(|defect| defect.reply())?;
    // RFC 6710 section 4.1 (R6710-4.1-b): nobody in particular is not served before others.
    let opened = match &mut parameters.priority {
        Some(priority) if *priority > 0 && known.identity.is_none() => {
            *priority = 0;
            reply::priority_lowered(*priority)
        }
        _ => reply::mail_ok(),
    };
    let transaction = Transaction {
        id: known.next_id(),
        reverse_path,
        parameters,
        forward_paths: Vec::new(),
        has_refused: false,
    };
    Ok((transaction, opened))
}

/// What parameters may ask for: what EHLO lists, after HELO too (R5321-4.1.1.11-d).
pub(super) fn offered(known: &Known) -> Offered {
    let settings = &known.settings;
    let extensions = &settings.extensions;
    Offered {
        size: settings.max_message_size,
        binarymime: extensions.binarymime,
        smtputf8: extensions.smtputf8,
        // RFC 8689 section 2 (R8689-2)
        require_tls: extensions.requiretls && known.has_tls(),
        future_release: extensions.futurerelease.then_some(settings.max_hold),
        deliver_by: extensions.deliverby.then_some(settings.min_deliver_by),
        mt_priority: extensions.mt_priority,
    }
}
