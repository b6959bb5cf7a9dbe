//! What a reply, or its absence, means for a recipient (RFC 5321 sections 4.2 and 4.5.3.1.10).
//!
//! Only codes steer (CL-reply-d), with one exception that RFC 5321 left to the text: servers say
//! 552 for "mailbox full" and for "too many recipients".

use crate::contract::{
    Reply,
    client::{Action, Failure, Outcome, Stage, Verdict},
};
use alloc::{format, string::String, vec};

/// What the server's final word makes of a recipient. A code counts by its first digit
/// (CL-reply-b); 3yz never comes here.
pub fn of_reply(reply: Reply, notifies: bool) -> Outcome {
    let verdict = match reply.code / 100 {
        2 => Verdict::Accepted,
        5 => Verdict::Failed,
        _ => Verdict::Deferred,
    };
    Outcome {
        verdict,
        // RFC 3461 section 5.2: only who takes the recipient answers for its notifications.
        notifies: notifies && verdict == Verdict::Accepted,
        reply: Some(reply),
        said: true,
    }
}

/// Deferred by this reply of the server's, whatever its code.
pub fn deferred(reply: Reply) -> Outcome {
    Outcome {
        verdict: Verdict::Deferred,
        reply: Some(reply),
        said: true,
        notifies: false,
    }
}

/// Deferred for a reason of our own.
pub fn lost(reason: Reply) -> Outcome {
    Outcome {
        said: false,
        ..deferred(reason)
    }
}

/// Nobody knows, and this is why.
pub fn unknown(reason: Reply) -> Outcome {
    Outcome {
        verdict: Verdict::Unknown,
        reply: Some(reason),
        said: false,
        notifies: false,
    }
}

/// For another transaction; the reply that said so, if there was one.
pub fn again(reply: Option<Reply>) -> Outcome {
    Outcome {
        verdict: Verdict::Again,
        said: reply.is_some(),
        reply,
        notifies: false,
    }
}

/// Refused here, before the server was asked: what a server would have said.
pub fn refused(code: u16, status: (u8, u16, u16), text: &str) -> Outcome {
    Outcome {
        verdict: Verdict::Failed,
        reply: Some(local(code, status, text)),
        said: false,
        notifies: false,
    }
}

/// A reply that no server sent: it carries the enhanced status code of our own finding.
pub fn local(code: u16, status: (u8, u16, u16), text: &str) -> Reply {
    Reply {
        code,
        status: Some(status),
        lines: vec![text.into()],
    }
}

/// RFC 5321 section 4.5.3.1.10 (CL-rcpt): 452, or 552 of older servers, may mean that this
/// transaction has as many recipients as the server takes.
pub fn is_too_many(reply: &Reply) -> bool {
    let said = || {
        reply
            .lines
            .iter()
            .any(|line| line.to_ascii_lowercase().contains("too many"))
    };
    match (reply.code, reply.status) {
        (452, Some(status)) => status == (4, 5, 3),
        (452, None) => said(),
        (552, status) => status == Some((5, 5, 3)) || said(),
        _ => false,
    }
}

/// Whether the reply is 2yz.
pub fn is_completion(reply: &Reply) -> bool {
    reply.code / 100 == 2
}

/// Whether the reply is 3yz.
pub fn is_intermediate(reply: &Reply) -> bool {
    reply.code / 100 == 3
}

/// A failure by what the server said: 4yz may be over later.
pub fn failure(stage: Stage, reply: Reply, text: impl Into<String>) -> Failure {
    Failure {
        stage,
        temporary: reply.code / 100 == 4,
        reply: Some(reply),
        text: text.into(),
    }
}

/// Characters of a server's text in a report at most.
const MOST_REPORTED: usize = 200;

/// For the log: a command that was refused, and the session goes on. The text is the server's, so
/// it is cut, and controls cannot forge a line of the log.
pub fn report(command: &str, reply: &Reply) -> Action {
    let text: String = reply
        .lines
        .join(" ")
        .chars()
        .take(MOST_REPORTED)
        .map(|character| {
            if character.is_control() {
                '?'
            } else {
                character
            }
        })
        .collect();
    Action::Report(format!("{command} refused: {} {text}", reply.code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cl_reply_b_codes_count_by_their_first_digit() {
        for (code, verdict) in [
            (250, Verdict::Accepted),
            (299, Verdict::Accepted),
            (450, Verdict::Deferred),
            (499, Verdict::Deferred),
            (550, Verdict::Failed),
            (599, Verdict::Failed),
        ] {
            let reply = local(code, (2, 0, 0), "x");
            assert_eq!(of_reply(reply, true).verdict, verdict);
        }
    }

    #[test]
    fn r3461_5_2_only_an_accepted_recipient_is_notified_of() {
        assert!(of_reply(local(250, (2, 6, 0), "x"), true).notifies);
        assert!(!of_reply(local(250, (2, 6, 0), "x"), false).notifies);
        assert!(!of_reply(local(550, (5, 1, 1), "x"), true).notifies);
    }

    #[test]
    fn cl_ambiguous_our_own_findings_are_not_put_into_the_servers_mouth() {
        let reply = || local(451, (4, 4, 2), "x");
        assert!(of_reply(reply(), false).said && deferred(reply()).said);
        assert!(again(Some(reply())).said && !again(None).said);
        assert!(!lost(reply()).said && !unknown(reply()).said);
        assert!(!refused(552, (5, 3, 4), "x").said);
    }

    #[test]
    fn cl_secrets_a_report_is_one_short_line() {
        let mut reply = local(504, (5, 5, 4), "no\u{1b}[2J\r such\u{85}");
        assert_eq!(
            report("AUTH NTLM", &reply),
            Action::Report("AUTH NTLM refused: 504 no?[2J? such?".into())
        );
        reply.lines = vec!["x".repeat(4_000); 100];
        assert!(matches!(report("A", &reply), Action::Report(text) if text.len() < 300));
    }

    #[test]
    fn cl_rcpt_too_many_is_told_by_code_status_or_text() {
        let too_many = |code, status, text: &str| {
            is_too_many(&Reply {
                code,
                status,
                lines: vec![text.into()],
            })
        };
        assert!(too_many(452, Some((4, 5, 3)), "x"));
        assert!(too_many(452, None, "Too many recipients"));
        assert!(!too_many(452, Some((4, 3, 1)), "storage"));
        assert!(!too_many(452, None, "insufficient system storage"));
        assert!(too_many(552, Some((5, 5, 3)), "x"));
        assert!(too_many(552, None, "TOO MANY recipients"));
        assert!(!too_many(552, Some((5, 2, 2)), "mailbox full"));
        assert!(!too_many(550, Some((5, 5, 3)), "too many"));
    }
}
