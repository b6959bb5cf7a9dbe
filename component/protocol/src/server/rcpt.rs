//! RCPT (RFC 5321 section 4.1.1.3): adds a recipient to the open transaction.

use super::{
    known::Known,
    mail::offered,
    state::{Asked, State, Step, Transaction},
};
use crate::{
    contract::{
        ForwardPath, Reply,
        server::{Answer, Question},
    },
    extension,
    smtp::reply,
};

/// RCPT with everything after the verb.
pub(super) fn rcpt(known: &Known, state: State, argument: &[u8]) -> Step {
    if let Err(refusal) = known.check_may_submit() {
        return state.say(refusal);
    }
    // RFC 5321 section 3.3 (R5321-4.1.4-d)
    let transaction = match state {
        State::Transaction(transaction) => transaction,
        // R3030-2-e
        State::Chunks(_) => return state.say(reply::out_of_order("no RCPT after BDAT")),
        // R3030-2-d
        State::Failed => return state.say(reply::chunk_failed()),
        _ => return state.say(reply::out_of_order("MAIL first")),
    };
    match read(known, &transaction, argument) {
        Ok(forward_path) if known.settings.ask_recipient => {
            let question = Question::Recipient(forward_path.clone());
            Asked::Recipient(transaction, forward_path).ask(question)
        }
        Ok(forward_path) => accept(transaction, forward_path),
        Err(refusal) => refuse(transaction).say(refusal),
    }
}

/// The host's answer about the recipient; `None` if it answers something else.
pub(super) fn answered(
    transaction: Transaction,
    forward_path: ForwardPath,
    answer: Answer,
) -> Option<Step> {
    match answer {
        Answer::Accepted => Some(accept(transaction, forward_path)),
        Answer::Rejected(reply) => Some(refuse(transaction).relay(reply)),
        Answer::Unavailable => Some(refuse(transaction).say(reply::local_error())),
        _ => None,
    }
}

fn read(known: &Known, transaction: &Transaction, argument: &[u8]) -> Result<ForwardPath, Reply> {
    let forward_path = extension::forward_path(
        argument,
        &offered(known),
        transaction.parameters.smtputf8,
        &known.settings.hostname,
    )
    .map_err(|defect| defect.reply())?;
    // RFC 5321 section 4.5.3.1.10 (R5321-4.5.3.1-e)
    let most = usize::try_from(known.settings.max_recipients).unwrap_or(usize::MAX);
    if transaction.forward_paths.len() >= most {
        return Err(reply::too_many_recipients());
    }
    Ok(forward_path)
}

/// In the order of the commands, duplicates kept (R5321-4.1.1.3-a).
fn accept(mut transaction: Transaction, forward_path: ForwardPath) -> Step {
    transaction.forward_paths.push(forward_path);
    State::Transaction(transaction).say(reply::rcpt_ok())
}

/// Earlier recipients stay (R5321-4.1.1.3-f).
fn refuse(mut transaction: Transaction) -> State {
    transaction.has_refused = true;
    State::Transaction(transaction)
}
