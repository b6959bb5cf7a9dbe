//! DATA (RFC 5321 section 4.1.1.4): from the command to the reply after the end of data.
//!
//! Not here: the same by BDAT (`bdat`), content on its way (`receiving`).

use super::{
    content::Content,
    known::Known,
    receiving::{Receiving, rules},
    state::{Asked, State, Step, Transaction},
};
use crate::{
    contract::{
        BodyType, Reply,
        server::{Answer, Question},
    },
    environment::Environment,
    smtp::reply,
};
use alloc::boxed::Box;

/// DATA: 354, if there is anybody to take the message for.
pub(super) fn data(
    known: &Known,
    state: State,
    argument: &[u8],
    env: &mut dyn Environment,
) -> Step {
    if let Err(refusal) = check(known, argument) {
        return state.say(refusal);
    }
    match state {
        State::Transaction(transaction) => match check_recipients(&transaction) {
            // RFC 3030 section 3 (R3030-3-a): lines cannot tell where binary content ends.
            Ok(()) if transaction.parameters.body == BodyType::BinaryMime => {
                let refusal = reply::out_of_order("BODY=BINARYMIME needs BDAT");
                State::Transaction(transaction).say(refusal)
            }
            Ok(()) => {
                let content = Content::new(rules(known, &transaction, env));
                let receiving = Receiving::new(transaction, content);
                State::Content(Box::new(receiving)).say(reply::start_content())
            }
            Err(refusal) => State::Transaction(transaction).say(refusal),
        },
        // RFC 3030 section 2 (R3030-2-e)
        State::Chunks(receiving) => {
            State::Chunks(receiving).say(reply::out_of_order("the message comes by BDAT"))
        }
        // R3030-2-d
        State::Failed => State::Failed.say(reply::chunk_failed()),
        other => other.say(reply::out_of_order("MAIL first")),
    }
}

/// R5321-4.1.4-e: never 354, and no chunk, without a recipient.
pub(super) fn check_recipients(transaction: &Transaction) -> Result<(), Reply> {
    match transaction.forward_paths.is_empty() {
        false => Ok(()),
        true if transaction.has_refused => Err(reply::no_valid_recipients()),
        true => Err(reply::out_of_order("RCPT first")),
    }
}

fn check(known: &Known, argument: &[u8]) -> Result<(), Reply> {
    known.check_may_submit()?;
    // R5321-4.1.1-b
    if !argument.is_empty() {
        return Err(reply::bad_argument("DATA takes no argument"));
    }
    Ok(())
}

/// The end of data, or of the last chunk: the host makes the message durable, or the peer hears what is wrong with it.
/// The buffers are empty whatever the reply (R5321-4.1.1.4-c).
pub(super) fn end(mut receiving: Receiving) -> Step {
    match receiving.content.verdict() {
        Ok(facts) => Asked::Store(receiving.transaction.id).ask(Question::Store(facts)),
        Err(defect) => State::Command.say(defect.reply()),
    }
}

/// The host's answer about the message; `None` if it answers something else. 250 takes
/// responsibility for it (RFC 5321 section 6.1).
pub(super) fn answered(known: &mut Known, id: &str, answer: Answer) -> Option<Step> {
    match answer {
        Answer::Stored => {
            known.greetings = 0;
            Some(State::Command.say(reply::queued(id)))
        }
        Answer::Rejected(reply) => Some(State::Command.relay(reply)),
        Answer::Unavailable => Some(State::Command.say(reply::local_error())),
        _ => None,
    }
}
