//! One attempt with one recipient: the route of this moment, the delivery, and what came of it.

use std::error::Error;
use std::time::SystemTime;

use super::Relay;
use crate::deliver::{Delivery, MaildirError, Template, route};
use crate::spool::{Claimed, Outcome, SpoolError};

/// Why an attempt did not deliver.
enum Trouble {
    /// It may pass.
    Temporary(String),
    /// The message needs a person.
    Damaged(String),
    /// Removed meanwhile.
    Gone,
}

/// Tries, and settles.
pub(super) async fn attempt(relay: &Relay, claimed: Claimed) {
    let routes = (relay.routes)();
    let position = route(&routes, &claimed.recipient.mailbox);
    let delivery = position
        .and_then(|position| routes.get(position))
        .map(|route| &route.delivery);
    let name = delivery.map_or("none", Delivery::name);
    let result = match delivery {
        Some(Delivery::Maildir(template)) => maildir(relay, template, &claimed).await,
        Some(Delivery::Discard) => Ok(Outcome::Delivered),
        Some(Delivery::Hold) => Ok(Outcome::Held {
            reply: "its route is hold".to_owned(),
        }),
        // There was one when it was accepted. Whoever removed it may put it back.
        None => Err(Trouble::Temporary("no route for this mailbox".to_owned())),
    };
    let outcome = match result {
        Ok(outcome) => outcome,
        Err(Trouble::Temporary(reply)) => later(relay, &claimed, reply),
        Err(Trouble::Damaged(reason)) => {
            if let Err(error) = relay.spool.quarantine(&claimed.message.id, &reason).await {
                unsettled(&claimed, &error);
            }
            return;
        }
        Err(Trouble::Gone) => return,
    };
    tell(&claimed, name, &outcome);
    let settled = relay
        .spool
        .settle(&claimed.message.id, claimed.ordinal, outcome)
        .await;
    if let Err(error) = settled {
        unsettled(&claimed, &error);
    }
}

async fn maildir(
    relay: &Relay,
    template: &Template,
    claimed: &Claimed,
) -> Result<Outcome, Trouble> {
    let content = relay
        .spool
        .read_content(&claimed.message.id)
        .await
        .map_err(content_trouble)?;
    match relay.maildirs.deliver(template, claimed, content).await {
        Ok(()) => Ok(Outcome::Delivered),
        Err(MaildirError::Content(error)) => Err(content_trouble(error)),
        Err(error) => Err(Trouble::Temporary(with_causes(&error))),
    }
}

fn content_trouble(error: SpoolError) -> Trouble {
    match error {
        SpoolError::NotFound { .. } => Trouble::Gone,
        SpoolError::Corrupt { reason, .. } => Trouble::Damaged(reason),
        error => Trouble::Temporary(with_causes(&error)),
    }
}

/// Another attempt, or none if the message is too old.
fn later(relay: &Relay, claimed: &Claimed, reply: String) -> Outcome {
    let now = SystemTime::now();
    match relay
        .retry
        .next(claimed.attempts, claimed.message.received, now)
    {
        Some(next_attempt) => Outcome::Deferred {
            next_attempt,
            reply,
        },
        None => Outcome::Failed { reply },
    }
}

/// The one line of the log for an attempt.
fn tell(claimed: &Claimed, route: &str, outcome: &Outcome) {
    let (outcome, reply) = match outcome {
        Outcome::Delivered => ("delivered", None),
        Outcome::Deferred { reply, .. } => ("deferred", Some(reply.as_str())),
        Outcome::Failed { reply } => ("failed", Some(reply.as_str())),
        Outcome::Held { reply } => ("held", Some(reply.as_str())),
    };
    let delay = SystemTime::now()
        .duration_since(claimed.message.received)
        .unwrap_or_default();
    tracing::info!(
        id = %claimed.message.id,
        mailbox = %claimed.recipient.mailbox,
        route,
        delay = delay.as_secs_f64(),
        attempts = claimed.attempts,
        reply,
        "{outcome}"
    );
}

/// The lease runs on; when it ends, the attempt is repeated.
fn unsettled(claimed: &Claimed, error: &SpoolError) {
    tracing::error!(
        id = %claimed.message.id,
        mailbox = %claimed.recipient.mailbox,
        error = %with_causes(error),
        "cannot record what came of an attempt; it will be repeated"
    );
}

/// An error with what lies below it, for a line that a person reads.
pub(super) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(below) = cause {
        text.push_str(": ");
        text.push_str(&below.to_string());
        cause = below.source();
    }
    text
}
