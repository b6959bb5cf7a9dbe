//! Why is mail waiting? In one line: route, address, stage, reply, next attempt.

use super::form::clean;
use crate::spool::{EntryRecipient, LaneCount, LaneTrouble, State, Trouble, timestamp};
use std::collections::HashMap;
use std::time::SystemTime;

/// What is wrong with lanes.
#[derive(Debug, Default)]
pub(super) struct Troubles(HashMap<String, LaneTrouble>);

impl Troubles {
    pub(super) fn of(lanes: Vec<LaneCount>) -> Self {
        let troubles = lanes.into_iter().filter_map(|lane| lane.trouble);
        Self(troubles.map(|one| (one.lane.clone(), one)).collect())
    }
}

/// The route and the domain of a lane.
pub(super) fn parts(lane: &str) -> (&str, Option<&str>) {
    match lane.rsplit_once(' ') {
        Some((route, domain)) => (route, Some(domain)),
        None => (lane, None),
    }
}

/// The route of a recipient: where it queues, or where the last attempt went.
pub(super) fn route(recipient: &EntryRecipient) -> Option<&str> {
    let attempted = recipient.attempt.as_ref().map(|one| one.route.as_str());
    Some(parts(&recipient.lane).0)
        .filter(|route| !route.is_empty())
        .or(attempted)
        .filter(|route| !route.is_empty())
}

/// Why this recipient is where it is; `None`: nothing has happened so far.
pub(super) fn why(
    recipient: &EntryRecipient,
    troubles: &Troubles,
    now: SystemTime,
) -> Option<String> {
    match recipient.state {
        State::Delivered | State::Failed | State::Held => last(recipient),
        State::Delivering => Some(match last(recipient) {
            Some(last) => format!("an attempt is running; the last one: {last}"),
            None => "an attempt is running".to_owned(),
        }),
        // RFC 4865: nothing else matters before.
        State::Waiting if recipient.hold_until.is_some_and(|until| until > now) => recipient
            .hold_until
            .map(|until| format!("held until {}, as its sender asked", timestamp(until))),
        State::Waiting | State::Deferred => match troubles.0.get(&recipient.lane) {
            Some(one) => Some(format!("waiting for {}: {}", lane(&one.lane), trouble(one))),
            None => waiting(recipient, now),
        },
    }
}

fn waiting(recipient: &EntryRecipient, now: SystemTime) -> Option<String> {
    let next = recipient.next_attempt.map(|next| {
        if next <= now {
            "due now".to_owned()
        } else {
            format!("next attempt {}", timestamp(next))
        }
    });
    let before = last(recipient).or_else(|| Some(lane(&recipient.lane)).filter(|_| next.is_some()));
    match (before, next) {
        (Some(before), Some(next)) => Some(format!("{before}; {next}")),
        (before, next) => before.or(next),
    }
}

/// What the last attempt brought: route, address, stage, reply.
fn last(recipient: &EntryRecipient) -> Option<String> {
    match &recipient.attempt {
        Some(attempt) => Some(attempt.why()),
        // Held by hand, or the row is damaged.
        None => recipient.last_reply.as_deref().map(clean),
    }
    .filter(|told| !told.is_empty())
}

/// `route smarthost`, `route mx for example.net`.
fn lane(name: &str) -> String {
    match parts(name) {
        ("", _) => "no route".to_owned(),
        (route, Some(domain)) => format!("route {} for {}", clean(route), clean(domain)),
        (route, None) => format!("route {}", clean(route)),
    }
}

/// What is wrong with a lane, and what happens next.
pub(super) fn trouble(one: &LaneTrouble) -> String {
    let since = timestamp(one.since);
    let next = timestamp(one.next_attempt);
    let told = told(one);
    match one.trouble {
        Trouble::Down => format!("down since {since}, {told}; next attempt {next}"),
        Trouble::Paused => format!(
            "paused since {since}, {told}; repair it, then pillarbox queue retry --route {}; \
             by itself {next}",
            clean(parts(&one.lane).0)
        ),
    }
}

/// What the lane's last attempt brought, without the route, which is named before it.
pub(super) fn told(one: &LaneTrouble) -> String {
    let why = one.attempt.why();
    match why.strip_prefix(&format!("route {}: ", one.attempt.route)) {
        Some(rest) => rest.to_owned(),
        None => why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::attempt::Reply;
    use crate::spool::{Attempt, Stage};
    use std::time::Duration;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn refused() -> Attempt {
        Attempt {
            route: "smarthost".into(),
            remote: Some("relay.example.org".into()),
            address: Some("192.0.2.1:587".into()),
            stage: Stage::Connect,
            text: "connection refused".into(),
            at: at(60),
            ..Attempt::default()
        }
    }

    fn recipient(state: State, attempt: Option<Attempt>) -> EntryRecipient {
        EntryRecipient {
            mailbox: "bob@example.net".into(),
            state,
            attempts: 1,
            next_attempt: matches!(state, State::Waiting | State::Deferred).then(|| at(3600)),
            last_reply: None,
            hold_until: None,
            priority: 0,
            deadline: None,
            lane: "smarthost".into(),
            attempt,
        }
    }

    fn down(trouble: Trouble) -> Troubles {
        Troubles::of(vec![LaneCount {
            lane: "smarthost".into(),
            waiting: 1,
            delivering: 0,
            deferred: 0,
            held: 0,
            trouble: Some(LaneTrouble {
                lane: "smarthost".into(),
                trouble,
                since: at(0),
                next_attempt: at(120),
                attempts: 3,
                attempt: refused(),
                ours: trouble == Trouble::Paused,
            }),
        }])
    }

    #[test]
    fn one_line_has_route_address_stage_reply_and_next_attempt() {
        let told = why(
            &recipient(State::Deferred, Some(refused())),
            &Troubles::default(),
            at(100),
        );
        assert_eq!(
            told.as_deref(),
            Some(
                "route smarthost: 192.0.2.1:587 at connect: connection refused; next attempt \
                 1970-01-01T01:00:00Z"
            )
        );
        let busy = Attempt {
            stage: Stage::Envelope,
            reply: Some(Reply {
                code: 450,
                status: Some((4, 2, 1)),
                lines: vec!["try".into(), "later".into()],
            }),
            text: String::new(),
            ..refused()
        };
        let told = why(
            &recipient(State::Deferred, Some(busy)),
            &Troubles::default(),
            at(4000),
        );
        assert_eq!(
            told.as_deref(),
            Some("route smarthost: 192.0.2.1:587 at envelope: 450 4.2.1 try later; due now")
        );
    }

    #[test]
    fn a_lane_in_trouble_is_the_reason_of_all_that_wait_in_it() {
        for (trouble, expected) in [
            (
                Trouble::Down,
                "waiting for route smarthost: down since 1970-01-01T00:00:00Z, 192.0.2.1:587 at \
                 connect: connection refused; next attempt 1970-01-01T00:02:00Z",
            ),
            (
                Trouble::Paused,
                "waiting for route smarthost: paused since 1970-01-01T00:00:00Z, 192.0.2.1:587 at \
                 connect: connection refused; repair it, then pillarbox queue retry --route \
                 smarthost; by itself 1970-01-01T00:02:00Z",
            ),
        ] {
            for state in [State::Waiting, State::Deferred] {
                let told = why(&recipient(state, None), &down(trouble), at(100));
                assert_eq!(told.as_deref(), Some(expected));
            }
        }
    }

    #[test]
    fn what_is_held_or_failed_says_what_the_last_attempt_brought() {
        let full = Attempt {
            route: "local".into(),
            stage: Stage::Local,
            text: "disk full".into(),
            ..Attempt::default()
        };
        for state in [State::Held, State::Failed] {
            let told = why(
                &recipient(state, Some(full.clone())),
                &down(Trouble::Down),
                at(0),
            );
            assert_eq!(told.as_deref(), Some("route local: at local: disk full"));
        }
        let old = EntryRecipient {
            last_reply: Some("550 no such user".into()),
            ..recipient(State::Held, None)
        };
        let told = why(&old, &Troubles::default(), at(0));
        assert_eq!(told.as_deref(), Some("550 no such user"));
        assert_eq!(
            why(&recipient(State::Held, None), &Troubles::default(), at(0)),
            None
        );
    }

    #[test]
    fn r4865_4_what_its_sender_wants_held_says_until_when() {
        let held = EntryRecipient {
            hold_until: Some(at(7200)),
            ..recipient(State::Waiting, None)
        };
        let told = why(&held, &down(Trouble::Down), at(0));
        assert_eq!(
            told.as_deref(),
            Some("held until 1970-01-01T02:00:00Z, as its sender asked")
        );
        let told = why(&held, &Troubles::default(), at(7200));
        assert!(told.unwrap().contains("due now"));
    }

    #[test]
    fn a_lane_is_a_route_and_often_a_domain() {
        assert_eq!(parts("smarthost"), ("smarthost", None));
        assert_eq!(parts("mx example.net"), ("mx", Some("example.net")));
        assert_eq!(lane("mx example.net"), "route mx for example.net");
    }
}
