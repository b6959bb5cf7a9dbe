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
        Ok(transaction) if known.settings.ask_sender => {
            let question = Question::Sender(
                transaction.reverse_path.clone(),
                transaction.parameters.clone(),
            );
            Asked::Sender(transaction).ask(question)
        }
        Ok(transaction) => open(transaction),
        Err(refusal) => state.say(refusal),
    }
}

/// The host's answer about the sender; `None` if it answers something else.
pub(super) fn answered(transaction: Transaction, answer: Answer) -> Option<Step> {
    match answer {
        Answer::Accepted => Some(open(transaction)),
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
) -> Result<Transaction, Reply> {
    known.check_may_submit()?;
    // R5321-4.1.4-c
    if let State::Transaction(_) = state {
        return Err(reply::out_of_order("a transaction is open already"));
    }
    let offered = offered(known);
    // Only HOLDUNTIL needs the time.
    let now = match offered.future_release {
        Some(_) => env.now(),
        None => Moment::default(),
    };
    let (reverse_path, parameters) =
        extension::reverse_path(argument, &offered, now, &known.settings.local_domain)
            .map_err(|defect| defect.reply())?;
    Ok(Transaction {
        id: known.next_id(),
        reverse_path,
        parameters,
        forward_paths: Vec::new(),
        has_refused: false,
    })
}

fn open(transaction: Transaction) -> Step {
    State::Transaction(transaction).say(reply::mail_ok())
}

/// What parameters may ask for: what EHLO lists, after HELO too (R5321-4.1.1.11-d).
pub(super) fn offered(known: &Known) -> Offered {
    let settings = &known.settings;
    Offered {
        size: settings.max_message_size,
        smtputf8: settings.extensions.smtputf8,
        // The others are refused in the settings as long as they are not built.
        ..Offered::default()
    }
}
