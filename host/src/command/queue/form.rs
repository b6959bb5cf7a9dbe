//! The JSON forms and words that several verbs share.

use super::why::{self, Troubles};
use crate::outbound::trace::printable;
use crate::spool::{Entry, EntryRecipient, State, timestamp};
use serde::Serialize;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

/// `queue list --json`: the fields of the contract, and `route` and `why` of each recipient.
#[derive(Debug, Serialize)]
pub(super) struct Line<'a> {
    id: &'a str,
    state: State,
    reverse_path: &'a str,
    identity: Option<&'a str>,
    recipients: Vec<RecipientLine<'a>>,
    size: u64,
    received: String,
}

#[derive(Debug, Serialize)]
struct RecipientLine<'a> {
    #[serde(flatten)]
    own: &'a EntryRecipient,
    route: Option<&'a str>,
    why: Option<String>,
}

impl<'a> Line<'a> {
    pub(super) fn new(entry: &'a Entry, troubles: &Troubles, now: SystemTime) -> Self {
        Self {
            id: &entry.id,
            state: entry.state,
            reverse_path: &entry.reverse_path,
            identity: entry.identity.as_deref(),
            recipients: entry
                .recipients
                .iter()
                .map(|own| RecipientLine {
                    own,
                    route: why::route(own),
                    why: why::why(own, troubles, now),
                })
                .collect(),
            size: entry.size,
            received: timestamp(entry.received),
        }
    }
}

/// One JSON object on a line of its own.
pub(super) fn object(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    writeln!(out)
}

/// Text of others: no control characters, and no white space around it.
pub(super) fn clean(text: &str) -> String {
    printable(text.trim())
}

/// A mailbox, or the null reverse-path.
pub(super) fn path(mailbox: &str) -> String {
    format!("<{}>", printable(mailbox))
}

/// `1 message`, `3 messages`.
pub(super) fn messages(count: u64) -> String {
    match count {
        1 => "1 message".to_owned(),
        _ => format!("{count} messages"),
    }
}

/// A time span to read: its two largest units, milliseconds only below a second.
pub(super) fn span(span: Duration) -> String {
    if span < Duration::from_secs(1) {
        return format!("{}ms", span.as_millis());
    }
    let mut seconds = span.as_secs();
    let mut parts = Vec::new();
    for (length, unit) in [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")] {
        if seconds >= length && parts.len() < 2 {
            parts.push(format!("{}{unit}", seconds / length));
            seconds %= length;
        }
    }
    parts.join(" ")
}

/// Says that there is no such message.
pub(super) fn missing(id: &str) {
    eprintln!("pillarbox: there is no message {id} in the spool");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short() {
        for (milliseconds, expected) in [
            (0, "0ms"),
            (999, "999ms"),
            (20_403, "20s"),
            (61_000, "1m 1s"),
            (3_600_000, "1h"),
            (90_061_000, "1d 1h"),
        ] {
            assert_eq!(span(Duration::from_millis(milliseconds)), expected);
        }
    }

    #[test]
    fn the_json_form_keeps_the_contract_and_adds_route_and_why() {
        let entry = Entry {
            id: "a-1".into(),
            state: State::Deferred,
            reverse_path: "alice@example.org".into(),
            identity: None,
            recipients: vec![EntryRecipient {
                mailbox: "bob@example.net".into(),
                state: State::Deferred,
                attempts: 2,
                next_attempt: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(86_400)),
                last_reply: Some("disk full".into()),
                hold_until: None,
                priority: 0,
                deadline: None,
                lane: "local example.net".into(),
                attempt: None,
            }],
            size: 4096,
            received: SystemTime::UNIX_EPOCH + Duration::from_millis(1_500),
            cursor: crate::spool::Cursor::default(),
        };
        let line = Line::new(&entry, &Troubles::default(), SystemTime::UNIX_EPOCH);
        let mut out = Vec::new();
        object(&mut out, &line).unwrap();
        let expected = concat!(
            r#"{"id":"a-1","state":"deferred","reverse_path":"alice@example.org","identity":null,"#,
            r#""recipients":[{"mailbox":"bob@example.net","state":"deferred","attempts":2,"#,
            r#""next_attempt":"1970-01-02T00:00:00Z","last_reply":"disk full","route":"local","#,
            r#""why":"disk full; next attempt 1970-01-02T00:00:00Z"}],"#,
            r#""size":4096,"received":"1970-01-01T00:00:01.5Z"}"#,
            "\n"
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
