//! Deliveries that end on this machine: Maildirs, and the routes that deliver nothing.

use std::time::SystemTime;

use super::begun::Guard;
use super::health::Change;
use super::job::Job;
use super::lane::Lane;
use super::settle::{Case, Patience, Teller, settle};
use super::{Shared, with_causes};
use crate::deliver::{MaildirError, Template};
use crate::route::{Delivery, domain};
use crate::spool::attempt::Stage;
use crate::spool::{Attempt, Claimed, Outcome, Settlement, SpoolError};

/// Why nothing was delivered.
pub(super) enum Trouble {
    /// It may pass.
    Temporary(String),
    /// The message needs a person.
    Damaged(String),
    /// Removed meanwhile.
    Gone,
}

/// The subject of the alarm about mail whose route is gone.
pub(super) const NO_ROUTE: &str = "mail without a route";

/// Carries one job: recipient after recipient, each on the record before the next is tried.
pub(super) async fn carry(shared: &Shared, lane: &Lane, job: Job) {
    for claimed in &job.recipients {
        let came = match &job.route.delivery {
            Delivery::Maildir(template) => maildir(shared, template, claimed).await,
            _ => Ok(()),
        };
        let now = SystemTime::now();
        let attempt = Attempt {
            route: job.route.name.clone(),
            stage: Stage::Local,
            at: now,
            ..Attempt::default()
        };
        let case = Case {
            message: &job.message,
            claimed,
            lane: &job.lane,
            retry: &job.route.retry,
            since: lane.lock().health.counted_from(now),
            now,
        };
        let delivered = came.is_ok();
        let settlement = match came {
            Ok(()) => settled(&job, &case, attempt),
            Err(Trouble::Temporary(text)) => {
                let attempt = Attempt {
                    status: Some((4, 2, 0)),
                    text,
                    ..attempt
                };
                case.deferred(attempt, Patience::Limited, claimed.attempts)
            }
            Err(trouble) => return abandon(shared, &job.recipients, trouble).await,
        };
        settle(shared, std::slice::from_ref(claimed), vec![settlement]).await;
        if delivered {
            shared.changed(lane, served(lane, now)).await;
        }
    }
}

/// A delivery shows that the disk is there.
fn served(lane: &Lane, now: SystemTime) -> Change {
    let mut inner = lane.lock();
    let most = inner.limit();
    let opened = inner.health.opened(now);
    let served = inner.health.served(most, now);
    if opened == Change::None {
        served
    } else {
        opened
    }
}

fn settled(job: &Job, case: &Case<'_>, attempt: Attempt) -> Settlement {
    match job.route.delivery {
        Delivery::Hold => case.held(Attempt {
            text: "its route is hold".to_owned(),
            ..attempt
        }),
        _ => case.delivered(attempt, Teller::Here, true),
    }
}

/// The message is gone, or damaged as a whole.
pub(super) async fn abandon(shared: &Shared, recipients: &[Claimed], trouble: Trouble) {
    let Some(first) = recipients.first() else {
        return;
    };
    let id = &first.message.id;
    if let Trouble::Damaged(reason) = &trouble {
        let quarantined = shared.relay.spool.quarantine(id, reason).await;
        let text = format!(
            "message {id} is damaged ({reason}) and is held; look at it with `pillarbox queue show {id}`"
        );
        shared.relay.alarm.raise(&format!("damaged {id}"), &text);
        if let Err(error) = quarantined {
            tracing::error!(
                id,
                error = with_causes(&error),
                "cannot set it aside as a whole"
            );
            let held = recipients.iter().map(|one| Settlement {
                ordinal: one.ordinal,
                outcome: Outcome::Held,
                attempt: Attempt {
                    text: reason.clone(),
                    at: SystemTime::now(),
                    ..Attempt::default()
                },
                counted: true,
                lane: one.lane.clone(),
                notices: Vec::new(),
                overdue: false,
            });
            return settle(shared, recipients, held.collect()).await;
        }
    }
    shared
        .begun
        .end(id, recipients.iter().map(|one| one.ordinal));
}

async fn maildir(shared: &Shared, template: &Template, claimed: &Claimed) -> Result<(), Trouble> {
    let content = shared
        .relay
        .spool
        .read_content(&claimed.message.id)
        .await
        .map_err(content_trouble)?;
    match shared
        .relay
        .maildirs
        .deliver(template, claimed, content)
        .await
    {
        Ok(()) => Ok(()),
        Err(MaildirError::Content(error)) => Err(content_trouble(error)),
        Err(error) => Err(Trouble::Temporary(with_causes(&error))),
    }
}

/// What an error of the spool means for an attempt.
pub(super) fn content_trouble(error: SpoolError) -> Trouble {
    match error {
        SpoolError::NotFound { .. } => Trouble::Gone,
        SpoolError::Corrupt { reason, .. } => Trouble::Damaged(reason),
        error => Trouble::Temporary(with_causes(&error)),
    }
}

/// Recipients whose route is gone: there was one when they were accepted, and whoever removed it
/// may put it back. It is a fault of ours (CL-route), so they wait for as long as it takes.
pub(super) async fn stray(shared: &Shared, strays: Vec<Claimed>) {
    let _guards: Vec<Guard<'_>> = strays
        .iter()
        .map(|one| Guard::new(shared, std::slice::from_ref(one)))
        .collect();
    if let Some(first) = strays.first() {
        let (id, domain) = (&first.message.id, domain(&first.recipient.mailbox));
        let text = format!(
            "no [[route]] is for queued mail, to {domain} for one (message {id}): it waits; add one, or remove the mail with `pillarbox queue remove`"
        );
        shared.relay.alarm.raise(NO_ROUTE, &text);
    }
    let retry = shared.relay.retry;
    for claimed in &strays {
        let now = SystemTime::now();
        let case = Case {
            message: &claimed.message,
            claimed,
            lane: &claimed.lane,
            retry: &retry,
            since: None,
            now,
        };
        let attempt = Attempt {
            status: Some((5, 4, 4)),
            text: "no route for this mailbox; add one to the configuration".to_owned(),
            at: now,
            ..Attempt::default()
        };
        let settlement = case.deferred(attempt, Patience::Endless, claimed.attempts);
        settle(shared, std::slice::from_ref(claimed), vec![settlement]).await;
    }
}
