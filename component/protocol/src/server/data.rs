//! DATA (RFC 5321 section 4.1.1.4): from the command to the reply after the end of data.
//!
//! Not here: where content ends and what is refused in it (`content`), the Received field
//! (`trace`).

use super::{
    content::{Content, Rules, Taken},
    known::Known,
    output::Output,
    state::{Asked, Receiving, State, Step, Transaction},
    trace,
};
use crate::{
    contract::{
        Envelope, Reply,
        server::{Answer, Question},
    },
    environment::Environment,
    smtp::reply,
};
use alloc::{boxed::Box, string::String};

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
        // R5321-4.1.4-e: never 354 without a recipient.
        State::Transaction(transaction) if transaction.forward_paths.is_empty() => {
            let refusal = if transaction.has_refused {
                reply::no_valid_recipients()
            } else {
                reply::out_of_order("RCPT first")
            };
            State::Transaction(transaction).say(refusal)
        }
        State::Transaction(transaction) => {
            let content = Content::new(rules(known, &transaction, env));
            let receiving = Receiving {
                transaction,
                content,
                is_abandoned: false,
            };
            State::Content(Box::new(receiving)).say(reply::start_content())
        }
        other => other.say(reply::out_of_order("MAIL first")),
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

/// The next octets of content, which stand at `base` of the call's buffer.
pub(super) fn take(
    known: &Known,
    receiving: &mut Receiving,
    octets: &[u8],
    base: usize,
    env: &mut dyn Environment,
    output: &mut Output,
) -> Taken {
    let content = &mut receiving.content;
    let had_begun = content.began();
    // A call has at most `MOST_OCTETS`.
    let base = u32::try_from(base).unwrap_or(u32::MAX);
    let (taken, is_abandoned) = output.content(|actions| content.take(octets, base, env, actions));
    receiving.is_abandoned |= is_abandoned;
    if !had_begun && content.began() {
        output.begin(envelope(known, &receiving.transaction));
    }
    taken
}

/// The end of data: the host makes the message durable, or the peer hears what is wrong with it.
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

fn rules(known: &Known, transaction: &Transaction, env: &mut dyn Environment) -> Rules {
    let settings = &known.settings;
    let now = env.now();
    let cipher = known.facts.as_ref().map(|facts| facts.cipher.as_str());
    Rules {
        bare_lf: settings.bare_lf,
        max_size: settings.max_message_size,
        add_date: settings.add_date,
        add_message_id: settings.add_message_id,
        add_sender: settings.add_sender,
        check_header_domains: settings.check_header_domains,
        keep_bcc: settings.keep_bcc,
        hostname: settings.hostname.clone(),
        id: transaction.id.clone(),
        identity: known.identity.clone(),
        reverse_path: transaction.reverse_path.clone(),
        // RFC 5321 section 4.4
        received: trace::received(
            greeted(known).as_bytes(),
            &known.peer.address,
            &settings.hostname,
            protocol(known, transaction),
            &transaction.id,
            cipher,
            now,
        ),
        now,
        // R2920-3.1-d
        refused_recipients: transaction.has_refused,
    }
}

fn envelope(known: &Known, transaction: &Transaction) -> Envelope {
    Envelope {
        id: transaction.id.clone(),
        reverse_path: transaction.reverse_path.clone(),
        parameters: transaction.parameters.clone(),
        forward_paths: transaction.forward_paths.clone(),
        protocol: String::from(protocol(known, transaction)),
        greeted: String::from(greeted(known)),
    }
}

/// RFC 3848, RFC 6531 section 4.3 (R3848-2).
fn protocol(known: &Known, transaction: &Transaction) -> &'static str {
    trace::protocol(
        known
            .greeted
            .as_ref()
            .is_some_and(|greeted| greeted.extended),
        known.has_tls(),
        known.identity.is_some(),
        transaction.parameters.smtputf8,
    )
}

fn greeted(known: &Known) -> &str {
    known
        .greeted
        .as_ref()
        .map_or("", |greeted| greeted.name.as_str())
}
