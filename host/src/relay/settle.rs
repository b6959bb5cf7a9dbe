//! From what came of an attempt to what is recorded of it. Pure, save for the record itself and the
//! log.

use std::time::SystemTime;

use super::{Retry, Shared, with_causes};
use crate::report::{Event, due};
use crate::spool::{Attempt, Claimed, Message, NoticeKind, Outcome, Settlement};

/// One recipient whose attempt has ended.
pub(super) struct Case<'a> {
    pub(super) message: &'a Message,
    pub(super) claimed: &'a Claimed,
    /// Where it queues from now on.
    pub(super) lane: &'a str,
    pub(super) retry: &'a Retry,
    /// It is not given up for what was before: then it waited for something of ours (CL-route).
    pub(super) since: Option<SystemTime>,
    pub(super) now: SystemTime,
}

/// Who tells the sender of a delivery, where that is wanted (RFC 3461 section 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Teller {
    /// We do: it is delivered here.
    Here,
    /// The server that took it.
    Server,
    /// We say that it was relayed to a server that tells nobody.
    Nobody,
}

/// How long a recipient may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// Until the message is too old.
    Limited,
    /// As long as it takes: it is our own fault (CL-route).
    Endless,
}

impl Patience {
    /// For what waits because of trouble that is ours to repair, or not.
    pub(super) fn of(ours: bool) -> Self {
        if ours { Self::Endless } else { Self::Limited }
    }
}

impl Case<'_> {
    fn settlement(&self, outcome: Outcome, attempt: Attempt) -> Settlement {
        Settlement {
            ordinal: self.claimed.ordinal,
            outcome,
            attempt,
            counted: true,
            lane: self.lane.to_owned(),
            notices: Vec::new(),
            overdue: false,
        }
    }

    fn notice(&self, event: Event) -> Vec<NoticeKind> {
        due(
            &self.claimed.recipient,
            &self.message.envelope.reverse_path,
            event,
        )
        .into_iter()
        .collect()
    }

    /// Somebody else is responsible, or it lies in the mailbox.
    /// `keeps_time`: a server that took it keeps what `BY` asks for.
    pub(super) fn delivered(
        &self,
        attempt: Attempt,
        teller: Teller,
        keeps_time: bool,
    ) -> Settlement {
        // RFC 2852 section 4.1.4 (R2852-4)
        let by = self.message.envelope.parameters.deliver_by;
        let by_asks = by.is_some_and(|by| by.trace || (by.notify && !keeps_time));
        let event = match teller {
            Teller::Here => Event::Delivered,
            Teller::Server => Event::Relayed {
                server_reports: true,
                by_asks,
            },
            Teller::Nobody => Event::Relayed {
                server_reports: false,
                by_asks,
            },
        };
        let notices = self.notice(event);
        Settlement {
            notices,
            ..self.settlement(Outcome::Delivered, attempt)
        }
    }

    /// It will never work. What has nobody to be returned to is held: it may be a report that can
    /// not be delivered, and a person should see it.
    pub(super) fn failed(&self, attempt: Attempt) -> Settlement {
        if self.message.envelope.reverse_path.is_empty() {
            return self.settlement(Outcome::Held, attempt);
        }
        Settlement {
            notices: self.notice(Event::Failed),
            ..self.settlement(Outcome::Failed, attempt)
        }
    }

    /// It waits for somebody to release it.
    pub(super) fn held(&self, attempt: Attempt) -> Settlement {
        self.settlement(Outcome::Held, attempt)
    }

    /// Another attempt, or none if the message is too old. `attempts` so far, which may be those of
    /// its lane.
    pub(super) fn deferred(
        &self,
        mut attempt: Attempt,
        patience: Patience,
        attempts: u32,
    ) -> Settlement {
        let overdue = self.is_overdue();
        if overdue && self.returns() {
            return self.returned(attempt);
        }
        // R4865-4: while its sender had it held, nobody could deliver it.
        let released = self.message.released();
        let next = match patience {
            Patience::Limited => {
                let from = self.since.map_or(released, |since| since.max(released));
                self.retry.next(attempts, from, self.now)
            }
            Patience::Endless => Some(self.now + self.retry.wait(attempts)),
        };
        let Some(next_attempt) = next else {
            // RFC 3463 section 3.5: 4.4.7, delivery time expired, unless there is a better word
            // (R3464-2-d).
            if attempt.reply.is_none() && attempt.status.is_none() {
                attempt.status = Some((4, 4, 7));
            }
            return self.failed(attempt);
        };
        // RFC 2852 section 4.1.4: that the time is over is the news, unless a server has better.
        if overdue && attempt.reply.is_none() {
            attempt.status = Some((4, 4, 7));
        }
        // A sender who said when to be told of a delay is told then.
        let told_later = self.claimed.deadline.is_some() && !self.returns();
        let late = !told_later && self.retry.is_delayed(released, self.now);
        let notices = if overdue || late {
            let told = self.claimed.delay_told;
            self.notice(Event::Delayed { told })
        } else {
            Vec::new()
        };
        Settlement {
            notices,
            overdue,
            ..self.settlement(Outcome::Deferred { next_attempt }, attempt)
        }
    }
}

/// What `BY` means (RFC 2852 section 4; R2852-4).
impl Case<'_> {
    /// Whether its deadline has passed, and that is not dealt with.
    pub(super) fn is_overdue(&self) -> bool {
        self.claimed
            .deadline
            .is_some_and(|deadline| deadline <= self.now)
    }

    /// Whether it comes back at its deadline (mode R).
    fn returns(&self) -> bool {
        let by = self.message.envelope.parameters.deliver_by;
        by.is_some_and(|by| !by.notify)
    }

    /// What follows from a deadline that passed without an attempt. `last_reply`: of the one before.
    pub(super) fn overdue(&self, last_reply: Option<&str>) -> Settlement {
        let attempt = Attempt {
            at: self.now,
            ..Attempt::default()
        };
        if self.returns() {
            return self.returned(Attempt {
                text: last_reply.unwrap_or_default().to_owned(),
                ..attempt
            });
        }
        let told = self.claimed.delay_told;
        Settlement {
            notices: self.notice(Event::Delayed { told }),
            overdue: true,
            ..self.settlement(
                Outcome::Unchanged,
                Attempt {
                    status: Some((4, 4, 7)),
                    text: self.too_late(last_reply.unwrap_or_default()),
                    ..attempt
                },
            )
        }
    }

    /// Mode R: it fails, whatever the attempt brought.
    fn returned(&self, attempt: Attempt) -> Settlement {
        let text = self.too_late(&attempt.last_reply());
        Settlement {
            overdue: true,
            ..self.failed(Attempt {
                reply: None,
                status: Some((5, 4, 7)),
                text,
                ..attempt
            })
        }
    }

    fn too_late(&self, last_reply: &str) -> String {
        let deadline = self.claimed.deadline.unwrap_or(self.now);
        let mut text = format!(
            "not delivered by {}, the time that its sender gave",
            crate::spool::timestamp(deadline)
        );
        if !last_reply.is_empty() {
            text.push_str(&format!("; the last attempt brought: {last_reply}"));
        }
        text
    }
}

/// Records what came of attempts with recipients of one message, and says so in the log.
pub(super) async fn settle(shared: &Shared, claimed: &[Claimed], settlements: Vec<Settlement>) {
    let Some(first) = claimed.first() else {
        return;
    };
    let message = std::sync::Arc::clone(&first.message);
    let tells = settlements.iter().any(|one| !one.notices.is_empty());
    let mut last_resort = Vec::new();
    for settlement in &settlements {
        if let Some(one) = claimed.iter().find(|one| one.ordinal == settlement.ordinal) {
            tell(&message, one, settlement);
            if settlement.outcome == Outcome::Held && message.envelope.reverse_path.is_empty() {
                last_resort.push((
                    one.recipient.mailbox.clone(),
                    settlement.attempt.last_reply(),
                ));
            }
        }
    }
    let ordinals: Vec<u32> = settlements.iter().map(|one| one.ordinal).collect();
    match shared
        .relay
        .spool
        .settle(&message.id, settlements.clone())
        .await
    {
        Ok(()) => shared.begun.end(&message.id, ordinals),
        // Whatever it was: a lease that runs out is an hour lost, and a delivery twice.
        Err(error) => {
            tracing::error!(
                id = %message.id,
                error = with_causes(&error),
                "what came of an attempt cannot be recorded; tried again each second"
            );
            shared.begun.keep(&message.id, settlements);
        }
    }
    if tells {
        shared.relay.reports.notify_one();
    }
    for (mailbox, reply) in last_resort {
        let text = format!(
            "message {} with the null reverse-path cannot be delivered to <{mailbox}> and is held: {reply}; look at it with `pillarbox queue show {}`, then release or remove it",
            message.id, message.id
        );
        shared
            .relay
            .alarm
            .raise(&format!("held {}", message.id), &text);
    }
}

/// Tries again to record what could not be recorded.
pub(super) async fn record(shared: &Shared) {
    for (id, settlements) in shared.begun.take_unrecorded() {
        let ordinals: Vec<u32> = settlements.iter().map(|one| one.ordinal).collect();
        match shared.relay.spool.settle(&id, settlements.clone()).await {
            Ok(()) => {
                tracing::info!(id, "what came of an attempt is recorded now");
                shared.begun.end(&id, ordinals);
                if settlements.iter().any(|one| !one.notices.is_empty()) {
                    shared.relay.reports.notify_one();
                }
            }
            Err(error) => {
                let error = with_causes(&error);
                tracing::debug!(id, error, "still not recorded");
                shared.begun.keep(&id, settlements);
            }
        }
    }
}

/// The one line of the log for a recipient. A mailbox is written as a string, which the log quotes
/// and escapes: a quoted local-part may have spaces and equals signs in it (RFC 5321 section 4.1.2),
/// and must not look like fields of ours.
fn tell(message: &Message, claimed: &Claimed, settlement: &Settlement) {
    let Settlement {
        outcome, attempt, ..
    } = settlement;
    // What only joined those that wait already is no news.
    if !settlement.counted && matches!(outcome, Outcome::Deferred { .. }) {
        return;
    }
    let delay = attempt
        .at
        .duration_since(message.received)
        .unwrap_or_default();
    let next = match outcome {
        Outcome::Deferred { next_attempt } => Some(crate::spool::timestamp(*next_attempt)),
        _ => None,
    };
    let outcome = match outcome {
        Outcome::Delivered => "delivered",
        Outcome::Deferred { .. } => "deferred",
        Outcome::Failed => "failed",
        Outcome::Held => "held",
        Outcome::Unchanged => "not delivered in time",
    };
    let reply = attempt.last_reply();
    tracing::info!(
        id = %message.id,
        message_id = message.message_id,
        mailbox = claimed.recipient.mailbox,
        route = attempt.route,
        relay = attempt.remote.as_deref(),
        address = attempt.address.as_deref(),
        tls = attempt.tls.as_deref(),
        stage = attempt.stage.name(),
        reply = (!reply.is_empty()).then_some(reply),
        delay = delay.as_secs_f64(),
        attempts = claimed.attempts,
        next,
        "{outcome}"
    );
}
