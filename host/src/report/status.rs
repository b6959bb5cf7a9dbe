//! The machine's part of a report: message/delivery-status (RFC 3464 section 2, RFC 3461 section 6.3,
//! RFC 6533 section 3).

use std::time::{SystemTime, UNIX_EPOCH};

use super::field::{
    ascii, cut, date, decode_embedded, decode_xtext, field, fold, one_line, visible,
};
use crate::spool::attempt::{Reply, Status};
use crate::spool::{Attempt, Notice, NoticeKind, Owed};

/// Most octets of all Diagnostic-Code fields of a report, and the bounds of one of them.
const DIAGNOSTICS: usize = 256 * 1024;
const LEAST_DIAGNOSTIC: usize = 1024;
const MOST_DIAGNOSTIC: usize = 8 * 1024;

/// The part: a group of fields for the message, then one for each recipient. `until` is in the order
/// of the notices; `international` is the form of RFC 6533.
pub(super) fn part(
    hostname: &str,
    owed: &Owed,
    until: &[Option<SystemTime>],
    international: bool,
) -> String {
    let mut part = String::new();
    // RFC 3464 section 2.2.1: if and only if it came.
    if let Some(envid) = &owed.message.envelope.parameters.envid {
        let id = encoded(&visible(&decode_xtext(envid)), international);
        field(&mut part, "Original-Envelope-Id", &id);
    }
    // RFC 3464 sections 2.2.2 and 2.2.5
    field(&mut part, "Reporting-MTA", &format!("dns; {hostname}"));
    field(&mut part, "Arrival-Date", &date(owed.message.received));
    let budget = (DIAGNOSTICS / owed.notices.len().max(1)).clamp(LEAST_DIAGNOSTIC, MOST_DIAGNOSTIC);
    for (number, notice) in owed.notices.iter().enumerate() {
        let until = until.get(number).copied().flatten();
        part.push_str("\r\n");
        recipient(&mut part, notice, until, budget, international);
    }
    part
}

/// Fields of one recipient, in the order of RFC 3464 section 2.3.
fn recipient(
    part: &mut String,
    notice: &Notice,
    until: Option<SystemTime>,
    budget: usize,
    international: bool,
) {
    if let Some((kind, original)) = &notice.recipient.orcpt {
        let original = decode_xtext(original);
        let original = if international && kind.eq_ignore_ascii_case("utf-8") {
            decode_embedded(&original)
        } else {
            original
        };
        let original = encoded(&visible(&original), international);
        let kind = ascii(&visible(cut(kind, 64)));
        field(part, "Original-Recipient", &format!("{kind}; {original}"));
    }
    // RFC 6533 section 3: `rfc822` is for ASCII.
    let mailbox = visible(&notice.recipient.mailbox);
    let kind = if mailbox.is_ascii() {
        "rfc822"
    } else {
        "utf-8"
    };
    let mailbox = encoded(&mailbox, international);
    field(part, "Final-Recipient", &format!("{kind}; {mailbox}"));
    field(part, "Action", action(notice.kind));
    let (class, subject, detail) = status(notice);
    field(part, "Status", &format!("{class}.{subject}.{detail}"));
    let attempt = &notice.attempt;
    if let Some(reply) = &attempt.reply {
        if let Some(name) = attempt.remote.as_deref().and_then(remote_name) {
            field(part, "Remote-MTA", &format!("dns; {name}"));
        }
        diagnostic(part, reply, budget, international);
    }
    if attempt.at > UNIX_EPOCH {
        field(part, "Last-Attempt-Date", &date(attempt.at));
    }
    // RFC 3464 section 2.3.9 (R3464-2-d)
    if let (NoticeKind::Delayed, Some(until)) = (notice.kind, until) {
        field(part, "Will-Retry-Until", &date(until));
    }
}

fn encoded(text: &str, international: bool) -> String {
    if international {
        text.to_owned()
    } else {
        ascii(text)
    }
}

/// RFC 3464 section 2.3.3.
fn action(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::Failed => "failed",
        NoticeKind::Delayed => "delayed",
        NoticeKind::Delivered => "delivered",
        NoticeKind::Relayed => "relayed",
        NoticeKind::Expanded => "expanded",
    }
}

/// Status of a recipient (RFC 3464 section 2.3.4, R3464-2-d).
pub(super) fn status(notice: &Notice) -> Status {
    let Attempt { reply, status, .. } = &notice.attempt;
    let class = |status: &Status, class: u8| status.0 == class;
    // A code whose class is not the reply's is none (R2034-4-b).
    let said = reply
        .as_ref()
        .and_then(|reply| {
            reply
                .status
                .filter(|status| u16::from(status.0) == reply.code / 100)
        })
        .or(*status);
    match notice.kind {
        NoticeKind::Failed => match (said, reply) {
            // Given up after retries: the last 4.y.z stays.
            (Some(status), _) if class(&status, 5) || class(&status, 4) => status,
            (_, Some(reply)) if reply.code / 100 == 5 => (5, 0, 0),
            // Without a code it was time that ran out (RFC 3463 section 3.5): what we refuse by
            // ourselves has one.
            _ => (4, 4, 7),
        },
        // A 5yz here is a trouble between us and a configured server, which is no failure (CL-route).
        NoticeKind::Delayed => said.filter(|status| class(status, 4)).unwrap_or((4, 0, 0)),
        NoticeKind::Delivered | NoticeKind::Relayed | NoticeKind::Expanded => {
            said.filter(|status| class(status, 2)).unwrap_or((2, 1, 5))
        }
    }
}

/// A server's name as RFC 3464 section 2.3.5 wants it: a domain, or an address in brackets. None
/// where it is neither, as with a socket of this machine.
fn remote_name(remote: &str) -> Option<String> {
    match remote.parse() {
        Ok(std::net::IpAddr::V4(address)) => Some(format!("[{address}]")),
        Ok(std::net::IpAddr::V6(address)) => Some(format!("[IPv6:{address}]")),
        Err(_) => {
            let domain = !remote.is_empty()
                && remote.len() <= 255
                && remote
                    .bytes()
                    .all(|octet| octet.is_ascii_alphanumeric() || b".-_[]:".contains(&octet));
            domain.then(|| remote.to_owned())
        }
    }
}

/// Diagnostic-Code of type `smtp` (RFC 3461 section 9.2): each line of the reply as it came, folded.
fn diagnostic(part: &mut String, reply: &Reply, budget: usize, international: bool) {
    let mut lines: Vec<String> = reply_lines(reply, budget)
        .into_iter()
        .map(|line| encoded_text(&line, international))
        .collect();
    if let Some(first) = lines.first_mut() {
        first.insert_str(0, "smtp; ");
    }
    fold(part, "Diagnostic-Code", lines.iter().map(String::as_str));
}

fn encoded_text(text: &str, international: bool) -> String {
    if international {
        return text.to_owned();
    }
    // Word by word: escaped, a word may have become too long.
    let words = text.split(' ').map(ascii);
    words.collect::<Vec<_>>().join(" ")
}

/// The lines of a reply with their codes, fit to be shown, and about so many octets at most.
pub(super) fn reply_lines(reply: &Reply, budget: usize) -> Vec<String> {
    let empty = [String::new()];
    let texts = if reply.lines.is_empty() {
        &empty[..]
    } else {
        &reply.lines[..]
    };
    let code = |last: bool| format!("{:03}{}", reply.code, if last { ' ' } else { '-' });
    let enhanced = reply
        .status
        .map(|(class, subject, detail)| format!("{class}.{subject}.{detail}"));
    let mut lines = Vec::new();
    let mut left = budget;
    for (number, text) in texts.iter().enumerate() {
        let mut line = code(number + 1 == texts.len());
        if let Some(enhanced) = &enhanced
            && !text.trim_start().starts_with(enhanced.as_str())
        {
            line.push_str(enhanced);
            line.push(' ');
        }
        line.push_str(&one_line(text, left));
        let line = line.trim_end().to_owned();
        left = left.saturating_sub(line.len());
        lines.push(line);
        let more = texts.len() - number - 1;
        if left == 0 && more > 0 {
            lines.push(format!("{}... ({more} more lines)", code(true)));
            break;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(
        kind: NoticeKind,
        reply: Option<(u16, Option<Status>)>,
        own: Option<Status>,
    ) -> Notice {
        Notice {
            ordinal: 0,
            recipient: crate::spool::Recipient::default(),
            kind,
            attempt: Attempt {
                reply: reply.map(|(code, status)| Reply {
                    code,
                    status,
                    lines: Vec::new(),
                }),
                status: own,
                ..Attempt::default()
            },
        }
    }

    #[test]
    fn r3464_2_d_status_is_the_servers_or_the_general_one() {
        use NoticeKind::{Delayed, Delivered, Failed, Relayed};
        for (kind, reply, own, expected) in [
            (Failed, Some((550, Some((5, 1, 1)))), None, (5, 1, 1)),
            (Failed, Some((550, None)), None, (5, 0, 0)),
            // The classes differ: no code.
            (Failed, Some((550, Some((4, 1, 1)))), None, (5, 0, 0)),
            // Given up after retries.
            (Failed, Some((451, Some((4, 3, 0)))), None, (4, 3, 0)),
            (Failed, Some((451, None)), None, (4, 4, 7)),
            (Failed, None, None, (4, 4, 7)),
            (Failed, None, Some((4, 4, 1)), (4, 4, 1)),
            // Our own finding: a null MX.
            (Failed, None, Some((5, 1, 10)), (5, 1, 10)),
            (Delayed, Some((451, Some((4, 3, 0)))), None, (4, 3, 0)),
            (Delayed, Some((451, None)), None, (4, 0, 0)),
            (Delayed, Some((535, Some((5, 7, 8)))), None, (4, 0, 0)),
            (Delayed, None, Some((4, 4, 1)), (4, 4, 1)),
            (Delayed, None, None, (4, 0, 0)),
            (Relayed, Some((250, Some((2, 6, 0)))), None, (2, 6, 0)),
            (Relayed, Some((250, None)), None, (2, 1, 5)),
            (Delivered, None, None, (2, 1, 5)),
        ] {
            let found = status(&notice(kind, reply, own));
            assert_eq!(found, expected, "{kind:?} {reply:?} {own:?}");
        }
    }

    #[test]
    fn remote_names_are_domains_or_literals() {
        for (remote, expected) in [
            ("mx.example.net", Some("mx.example.net")),
            ("192.0.2.1", Some("[192.0.2.1]")),
            ("2001:db8::1", Some("[IPv6:2001:db8::1]")),
            ("/run/lmtp", None),
            ("mx.example.net\r\nX: y", None),
            ("", None),
        ] {
            assert_eq!(remote_name(remote).as_deref(), expected, "{remote:?}");
        }
    }

    #[test]
    fn a_long_reply_is_cut_and_says_so() {
        let reply = Reply {
            code: 554,
            status: None,
            lines: vec!["x ".repeat(2000), "y".into(), "z".into()],
        };
        let lines = reply_lines(&reply, 1000);
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("554-x x") && lines[0].len() < 1010);
        assert_eq!(lines[1], "554 ... (2 more lines)");
    }

    #[test]
    fn a_reply_without_text_is_its_code() {
        let reply = Reply {
            code: 421,
            status: None,
            lines: Vec::new(),
        };
        assert_eq!(reply_lines(&reply, 1000), ["421"]);
    }

    #[test]
    fn an_enhanced_code_is_not_said_twice() {
        for text in ["5.1.1 no such mailbox", "no such mailbox"] {
            let reply = Reply {
                code: 550,
                status: Some((5, 1, 1)),
                lines: vec![text.into()],
            };
            assert_eq!(reply_lines(&reply, 1000), ["550 5.1.1 no such mailbox"]);
        }
    }
}
