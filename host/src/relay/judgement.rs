//! What a failure means: for the recipients, and for all that queues behind them. Pure.
//!
//! ```text
//! no connection       the server's or the network's: away; between us and a configured server: our
//!                     fault (CL-route); the domain takes no mail: final
//! a transaction       recipient by recipient, as the client session settled it
//! ```

use crate::outbound::{OutboundError, resolve::ResolveError};
use crate::sandbox::v0_1::client::{Failure, Outcome, Stage as Reached, Verdict};
use crate::sandbox::v0_1::types::Reply as Said;
use crate::spool::attempt::{Reply, Stage, Status};

use super::health::Obstacle;

/// What to make of a connection that did not come to the point of taking messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judgement {
    /// Everything for this server waits.
    Obstacle(Obstacle),
    /// The server does not want us, for good; another of the domain may.
    Refused,
    /// This message does not get there, and that says nothing about others (RFC 8689): for good, or for
    /// now.
    Unprotected(bool),
}

/// Judges why there is no connection. `configured`: an administrator named the server.
pub(super) fn judge(error: &OutboundError, configured: bool) -> Judgement {
    let fault = |ours: bool| {
        Judgement::Obstacle(if ours && configured {
            Obstacle::Fault
        } else {
            Obstacle::Away
        })
    };
    match error {
        // CL-route: an unknown name is a mistake where somebody wrote it.
        OutboundError::Unknown { source, .. } => {
            fault(!matches!(source, ResolveError::Unanswered { .. }))
        }
        OutboundError::Connect { .. } => fault(false),
        // Whoever runs this must repair it, or the component.
        OutboundError::Credentials(_) => Judgement::Obstacle(Obstacle::Fault),
        // A server that only DNS names may have brought the session down itself: its mail is given
        // up in the end as that of any other server that does not work.
        OutboundError::Sandbox(_) => fault(true),
        OutboundError::Failed(failure) => failed(failure, configured),
    }
}

fn failed(failure: &Failure, configured: bool) -> Judgement {
    let refused = failure
        .reply
        .as_ref()
        .is_some_and(|reply| reply.code / 100 == 5);
    match failure.stage {
        // CL-route: no STARTTLS, a refused certificate. 454 passes (RFC 3207 section 4).
        Reached::Tls => {
            let passes = failure
                .reply
                .as_ref()
                .is_some_and(|reply| reply.code / 100 == 4);
            Judgement::Obstacle(if configured && !passes {
                Obstacle::Fault
            } else {
                Obstacle::Away
            })
        }
        // CL-route: 535, 530, 504, no common mechanism. 4yz and losses pass (CL-mech-next).
        Reached::Authentication => Judgement::Obstacle(if refused || !failure.temporary {
            Obstacle::Fault
        } else {
            Obstacle::Away
        }),
        // A greeting or EHLO of 5yz says that the server does not serve us: of a server that
        // somebody configured that is a mistake here or there, not one of the message's.
        _ if refused && configured => Judgement::Obstacle(Obstacle::Fault),
        // CL-greeting
        _ if refused => Judgement::Refused,
        _ => Judgement::Obstacle(Obstacle::Away),
    }
}

/// How far a connection came, for the record.
pub(super) fn stage(error: &OutboundError) -> Stage {
    match error {
        OutboundError::Unknown { .. } => Stage::Lookup,
        OutboundError::Connect { .. } => Stage::Connect,
        OutboundError::Credentials(_) => Stage::Authentication,
        OutboundError::Sandbox(_) => Stage::Route,
        OutboundError::Failed(failure) => reached(failure.stage),
    }
}

fn reached(stage: Reached) -> Stage {
    match stage {
        Reached::Connect => Stage::Connect,
        Reached::Tls => Stage::Tls,
        Reached::Authentication => Stage::Authentication,
        Reached::Envelope | Reached::Ended => Stage::Envelope,
        Reached::Content => Stage::Content,
    }
}

/// Enhanced status code of our own finding (RFC 3463 section 3.5 and 3.8), if the server said
/// nothing.
pub(super) fn status(error: &OutboundError) -> Option<Status> {
    match error {
        OutboundError::Unknown { .. } => Some((4, 4, 3)),
        OutboundError::Connect { .. } => Some((4, 4, 1)),
        OutboundError::Credentials(_) => Some((4, 7, 8)),
        OutboundError::Sandbox(_) => Some((4, 3, 0)),
        OutboundError::Failed(failure) if failure.reply.is_some() => None,
        OutboundError::Failed(failure) => Some(match failure.stage {
            // R3207-6-a
            Reached::Tls => (4, 7, 10),
            Reached::Authentication if !failure.temporary => (4, 7, 8),
            _ => (4, 4, 2),
        }),
    }
}

/// What the server said, and the text of our own finding.
pub(super) fn words(error: &OutboundError) -> (Option<Reply>, String) {
    match error {
        OutboundError::Failed(failure) => (failure.reply.as_ref().map(reply), failure.text.clone()),
        // The place is named beside it.
        OutboundError::Connect { reasons, .. } => (None, reasons.clone()),
        error => (None, crate::relay::with_causes(error)),
    }
}

/// Lines of a reply that are kept at most, and octets of all of them: it is stored for each
/// recipient, at each attempt.
const MOST_LINES: usize = 20;
const MOST_OCTETS: usize = 4_096;

/// The contract's reply as the spool's. What is too long is cut, and says so.
pub(super) fn reply(said: &Said) -> Reply {
    let mut lines = Vec::new();
    let mut left = MOST_OCTETS;
    for line in &said.lines {
        if lines.len() == MOST_LINES || line.len() > left {
            let mut end = if lines.len() == MOST_LINES { 0 } else { left };
            while !line.is_char_boundary(end) {
                end -= 1;
            }
            lines.push(format!("{} ...", &line[..end]));
            break;
        }
        left -= line.len();
        lines.push(line.clone());
    }
    Reply {
        code: said.code,
        status: said.status,
        lines,
    }
}

/// What one recipient's settlement rests on: the server's words, or our own finding.
pub(super) struct Ground {
    pub(super) reply: Option<Reply>,
    pub(super) status: Option<Status>,
    pub(super) text: String,
    pub(super) stage: Stage,
}

/// What an outcome rests on. A session that lost the server settles with a reply that it made
/// itself (CL-ambiguous), which a report must not put into the server's mouth.
pub(super) fn ground(outcome: &Outcome, failure: Option<&Failure>) -> Ground {
    let stage = failure.map_or(Stage::Content, |failure| reached(failure.stage));
    let said = outcome.reply.as_ref();
    let own = said.filter(|_| !outcome.said);
    match (own, said) {
        (Some(own), _) => Ground {
            reply: None,
            status: own.status,
            // One that was not asked about has its own reason, whatever became of the others.
            text: match failure {
                Some(failure) if outcome.verdict != Verdict::Failed => failure.text.clone(),
                _ => own.lines.join(" "),
            },
            stage,
        },
        (None, Some(said)) => Ground {
            reply: Some(reply(said)),
            status: None,
            text: String::new(),
            stage,
        },
        (None, None) => Ground {
            reply: None,
            status: None,
            text: failure.map_or_else(String::new, |failure| failure.text.clone()),
            stage,
        },
    }
}

/// Whether a transaction on a connection that had carried others should be tried once more on a
/// new one, at once: the server ended the session, or wants no more messages on it.
pub(super) fn deserves_another(outcomes: &[Outcome], failure: Option<&Failure>) -> bool {
    let early =
        failure.is_none_or(|failure| matches!(failure.stage, Reached::Envelope | Reached::Ended));
    let enough = |outcome: &Outcome| {
        outcome
            .reply
            .as_ref()
            .is_some_and(|reply| matches!(reply.code, 421 | 452))
    };
    early
        && !outcomes.is_empty()
        && outcomes.iter().all(|outcome| {
            outcome.verdict == Verdict::Deferred && (failure.is_some() || enough(outcome))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_connection_names_its_place_once() {
        let refused = OutboundError::Connect {
            host: "mail.example.net".to_owned(),
            port: 587,
            reasons: "192.0.2.1:587: Connection refused".to_owned(),
        };
        let (reply, text) = words(&refused);
        assert_eq!(reply, None);
        assert_eq!(text, "192.0.2.1:587: Connection refused");
    }
}
