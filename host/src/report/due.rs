//! Which reports an outcome owes (RFC 3461 sections 4.1 and 5.2).

use crate::spool::{NoticeKind, Recipient};

/// What happened to a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It will never get the message.
    Failed,
    /// It has not got it for a while (or not in the time that `BY` gave, RFC 2852) and is tried on.
    Delayed {
        /// The sender was told of a delay of this recipient before.
        told: bool,
    },
    /// It lies in the mailbox, or an LMTP server that sends no reports has it: delivery ends here.
    Delivered,
    /// Another SMTP server has it.
    Relayed {
        /// That server offered DSN, so what NOTIFY asks for is its business now.
        server_reports: bool,
        /// `BY` asks for a report of it: to trace the message, or because that server will not keep
        /// the time.
        by_asks: bool,
    },
    /// It is an alias, and became several recipients.
    Expanded,
}

/// The report that the sender is owed about this recipient, if one is.
pub fn due(recipient: &Recipient, reverse_path: &str, event: Event) -> Option<NoticeKind> {
    // RFC 5321 section 4.5.5 (R5321-4.5.5-a): there is nobody to tell, and reports never answer
    // reports.
    if reverse_path.is_empty() {
        return None;
    }
    // RFC 3461 section 4.1: without NOTIFY failures are told, and delays may be.
    let (success, failure, delay) = match recipient.notify {
        None => (false, true, true),
        Some(notify) if notify.never => (false, false, false),
        Some(notify) => (notify.success, notify.failure, notify.delay),
    };
    match event {
        // R3461-5.2.6
        Event::Failed => failure.then_some(NoticeKind::Failed),
        // R3461-5.2.5: once
        Event::Delayed { told } => (delay && !told).then_some(NoticeKind::Delayed),
        // R3461-5.2.3
        Event::Delivered => success.then_some(NoticeKind::Delivered),
        // R3461-5.2.2-a; RFC 2852 section 4.1.4 (R2852-4): with the trace modifier, and by mode N to a
        // server without DELIVERBY, unless NOTIFY forbids every report.
        Event::Relayed {
            server_reports,
            by_asks,
        } => {
            let never = recipient.notify.is_some_and(|notify| notify.never);
            ((success && !server_reports) || (by_asks && !never)).then_some(NoticeKind::Relayed)
        }
        // RFC 3461 section 5.2.7.3 (R3461-5.2.7)
        Event::Expanded => success.then_some(NoticeKind::Expanded),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::Notify;

    fn asked(words: &str) -> Recipient {
        let has = |word| words.split(',').any(|one| one == word);
        Recipient {
            mailbox: "bob@example.net".into(),
            notify: (words != "-").then(|| Notify {
                never: has("NEVER"),
                success: has("SUCCESS"),
                failure: has("FAILURE"),
                delay: has("DELAY"),
            }),
            orcpt: None,
        }
    }

    /// Events in the order of the columns of the table below.
    const EVENTS: [(Event, NoticeKind); 5] = [
        (Event::Failed, NoticeKind::Failed),
        (Event::Delayed { told: false }, NoticeKind::Delayed),
        (Event::Delivered, NoticeKind::Delivered),
        (
            Event::Relayed {
                server_reports: false,
                by_asks: false,
            },
            NoticeKind::Relayed,
        ),
        (Event::Expanded, NoticeKind::Expanded),
    ];

    // R3461-5.2.2-a, R3461-5.2.3, R3461-5.2.5, R3461-5.2.6
    #[test]
    fn r3461_5_2_each_outcome_owes_what_notify_asks_for() {
        for (notify, expected) in [
            //                  failed delayed delivered relayed expanded
            ("-", [true, true, false, false, false]),
            ("NEVER", [false, false, false, false, false]),
            ("SUCCESS", [false, false, true, true, true]),
            ("FAILURE", [true, false, false, false, false]),
            ("DELAY", [false, true, false, false, false]),
            ("SUCCESS,FAILURE", [true, false, true, true, true]),
            ("SUCCESS,DELAY", [false, true, true, true, true]),
            ("FAILURE,DELAY", [true, true, false, false, false]),
            ("SUCCESS,FAILURE,DELAY", [true, true, true, true, true]),
        ] {
            for ((event, kind), owed) in EVENTS.into_iter().zip(expected) {
                assert_eq!(
                    due(&asked(notify), "alice@example.org", event),
                    owed.then_some(kind),
                    "{notify} {event:?}"
                );
            }
        }
    }

    #[test]
    fn r5321_4_5_5_a_nothing_is_reported_to_nobody() {
        for notify in ["-", "SUCCESS,FAILURE,DELAY", "FAILURE"] {
            for (event, _) in EVENTS {
                assert_eq!(due(&asked(notify), "", event), None);
            }
        }
    }

    #[test]
    fn r3461_5_2_5_a_delay_is_told_once() {
        let event = Event::Delayed { told: true };
        assert_eq!(due(&asked("-"), "alice@example.org", event), None);
        assert_eq!(due(&asked("DELAY"), "alice@example.org", event), None);
    }

    #[test]
    fn r3461_5_2_2_a_a_server_with_dsn_reports_itself() {
        let event = Event::Relayed {
            server_reports: true,
            by_asks: false,
        };
        assert_eq!(due(&asked("SUCCESS"), "alice@example.org", event), None);
    }
}
