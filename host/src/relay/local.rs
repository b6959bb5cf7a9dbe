//! Deliveries that end on this machine: Maildirs, and the routes that deliver nothing.

use std::sync::Arc;
use std::time::SystemTime;

use super::job::Job;
use super::settle::{Case, Patience, Teller, settle, unsettled};
use super::{Shared, with_causes};
use crate::deliver::{MaildirError, Template};
use crate::route::Delivery;
use crate::spool::attempt::Stage;
use crate::spool::{Attempt, Claimed, Settlement, SpoolError};

/// Why nothing was delivered.
pub(super) enum Trouble {
    /// It may pass.
    Temporary(String),
    /// The message needs a person.
    Damaged(String),
    /// Removed meanwhile.
    Gone,
}

/// Carries one job: recipient after recipient, each on the record before the next is tried.
pub(super) async fn carry(shared: &Shared, job: Job) {
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
            now,
        };
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
        if let Err(error) = shared.relay.spool.quarantine(id, reason).await {
            unsettled(id, &error);
        }
        let text = format!(
            "message {id} is damaged ({reason}) and is held; look at it with `pillarbox queue show {id}`"
        );
        shared.relay.alarm.raise(&format!("damaged {id}"), &text);
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
/// may put it back.
pub(super) async fn stray(shared: &Shared, strays: Vec<Claimed>) {
    let retry = shared.relay.retry;
    for claimed in strays {
        let now = SystemTime::now();
        let case = Case {
            message: &Arc::clone(&claimed.message),
            claimed: &claimed,
            lane: &claimed.lane,
            retry: &retry,
            now,
        };
        let attempt = Attempt {
            status: Some((5, 4, 4)),
            text: "no route for this mailbox; add one to the configuration".to_owned(),
            at: now,
            ..Attempt::default()
        };
        let settlement = case.deferred(attempt, Patience::Limited, claimed.attempts);
        settle(shared, std::slice::from_ref(&claimed), vec![settlement]).await;
    }
}
