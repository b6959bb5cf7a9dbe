//! One attempt with one recipient: the route of this moment, the delivery, and what came of it.

use std::error::Error;
use std::time::SystemTime;

use super::Relay;
use crate::deliver::{MaildirError, Template};
use crate::route::{Delivery, Query};
use crate::spool::{Attempt, Claimed, Settlement, SpoolError};

/// What came of it.
#[derive(PartialEq)]
enum Outcome {
    Delivered,
    Deferred {
        next_attempt: SystemTime,
        reply: String,
    },
    Failed {
        reply: String,
    },
    Held {
        reply: String,
    },
}

impl Outcome {
    fn settlement(self, ordinal: u32, lane: &str) -> Settlement {
        let (outcome, text) = match self {
            Self::Delivered => (crate::spool::Outcome::Delivered, String::new()),
            Self::Deferred {
                next_attempt,
                reply,
            } => (crate::spool::Outcome::Deferred { next_attempt }, reply),
            Self::Failed { reply } => (crate::spool::Outcome::Failed, reply),
            Self::Held { reply } => (crate::spool::Outcome::Held, reply),
        };
        Settlement {
            ordinal,
            outcome,
            attempt: Attempt {
                text,
                at: SystemTime::now(),
                ..Attempt::default()
            },
            counted: true,
            lane: lane.to_owned(),
            notices: Vec::new(),
        }
    }
}

/// Why an attempt did not deliver.
enum Trouble {
    /// It may pass.
    Temporary(String),
    /// The message needs a person.
    Damaged(String),
    /// Removed meanwhile.
    Gone,
}

/// What an attempt left to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// Nothing that this process has to know.
    Done,
    /// It was delivered, and the spool does not know that.
    Unrecorded,
}

/// Tries, and settles.
pub(super) async fn attempt(relay: &Relay, claimed: Claimed) -> Ended {
    let routes = (relay.routes)();
    let route = routes.find(&Query {
        reverse_path: &claimed.message.envelope.reverse_path,
        identity: claimed.message.identity.as_deref(),
        mailbox: &claimed.recipient.mailbox,
    });
    let delivery = route.map(|route| &route.delivery);
    let name = route.map_or("none", |route| route.name.as_str());
    let result = match delivery {
        Some(Delivery::Maildir(template)) => maildir(relay, template, &claimed).await,
        Some(Delivery::Discard) => Ok(Outcome::Delivered),
        Some(Delivery::Hold) => Ok(Outcome::Held {
            reply: "its route is hold".to_owned(),
        }),
        Some(Delivery::Relay(_)) => Err(Trouble::Temporary("not yet".to_owned())),
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
            return Ended::Done;
        }
        Err(Trouble::Gone) => return Ended::Done,
    };
    settle(relay, &claimed, name, outcome).await
}

/// Does not try, because earlier attempts in the same place do not end.
pub(super) async fn put_off(relay: &Relay, claimed: Claimed, others: usize) -> Ended {
    let reply = format!("{others} earlier deliveries for this domain have not ended");
    let outcome = later(relay, &claimed, reply);
    settle(relay, &claimed, "none", outcome).await
}

/// Records once more that a recipient has its message.
pub(super) async fn record(relay: &Relay, id: &str, ordinal: u32) -> Ended {
    match relay
        .spool
        .settle(id, vec![Outcome::Delivered.settlement(ordinal, "")])
        .await
    {
        Ok(()) => {
            tracing::info!(id, ordinal, "the delivery is recorded now");
            Ended::Done
        }
        Err(error) => {
            let error = with_causes(&error);
            tracing::debug!(id, ordinal, error, "a delivery is still not recorded");
            Ended::Unrecorded
        }
    }
}

async fn settle(relay: &Relay, claimed: &Claimed, route: &str, outcome: Outcome) -> Ended {
    tell(claimed, route, &outcome);
    let delivered = outcome == Outcome::Delivered;
    let settled = relay
        .spool
        .settle(
            &claimed.message.id,
            vec![outcome.settlement(claimed.ordinal, &claimed.lane)],
        )
        .await;
    match settled {
        Ok(()) => Ended::Done,
        Err(error) if delivered => {
            tracing::error!(
                id = %claimed.message.id,
                mailbox = claimed.recipient.mailbox,
                error = with_causes(&error),
                "delivered, but that cannot be recorded; tried again each second"
            );
            Ended::Unrecorded
        }
        Err(error) => {
            unsettled(claimed, &error);
            Ended::Done
        }
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

/// The one line of the log for an attempt. A mailbox is written as a string, which the log quotes and
/// escapes: a quoted local-part may have spaces and equals signs in it (RFC 5321 section 4.1.2), and
/// must not look like fields of ours.
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
        mailbox = claimed.recipient.mailbox,
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
        mailbox = claimed.recipient.mailbox,
        error = with_causes(error),
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
