//! What came of an attempt, and what is known of it: for the next attempt, the queue's list, the
//! history, and a report to the sender (RFC 3464).
//!
//! Serde forms are written to the database; a new field must have a default.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::message::Recipient;

/// How far an attempt came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// No attempt was made: there is no route, its lane is down or paused.
    #[default]
    Route,
    /// Names and addresses.
    Lookup,
    /// The connection, or the greeting.
    Connect,
    /// STARTTLS or the handshake.
    Tls,
    /// AUTH.
    Authentication,
    /// EHLO, MAIL, RCPT.
    Envelope,
    /// DATA, content and the reply to it.
    Content,
    /// On this machine.
    Local,
}

impl Stage {
    /// The word for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Route => "route",
            Self::Lookup => "lookup",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Authentication => "authentication",
            Self::Envelope => "envelope",
            Self::Content => "content",
            Self::Local => "local",
        }
    }
}

/// An enhanced status code (RFC 3463).
pub type Status = (u8, u16, u16);

/// What a server said.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Reply {
    /// Reply code.
    pub code: u16,
    /// Enhanced status code, if it said one.
    pub status: Option<Status>,
    /// Texts of its lines, codes taken off. May have any characters, control characters too.
    pub lines: Vec<String>,
}

/// All that is known of one attempt, or of why none was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attempt {
    /// Name of the route; empty: none.
    pub route: String,
    /// Name of the server, as the route or its MX record has it (Remote-MTA of RFC 3464).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// Its address and port, or the path of its socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The TLS layer: `TLSv1.3, verified`; `None`: in clear, or not so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<String>,
    /// How far it came.
    pub stage: Stage,
    /// What the server said; `None`: it is our own finding, `text` says what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply: Option<Reply>,
    /// Enhanced status code of our own finding, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// For a person, one line, without the reply.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// When it ended, to the millisecond.
    #[serde(with = "milliseconds")]
    pub at: SystemTime,
}

impl Default for Attempt {
    fn default() -> Self {
        Self {
            route: String::new(),
            remote: None,
            address: None,
            tls: None,
            stage: Stage::default(),
            reply: None,
            status: None,
            text: String::new(),
            at: UNIX_EPOCH,
        }
    }
}

impl Attempt {
    /// What the last attempt brought, one printable line: `550 5.1.1 text` if the server said
    /// something, else our own finding.
    pub fn last_reply(&self) -> String {
        let Some(reply) = &self.reply else {
            return line(&self.text);
        };
        let mut said = reply.code.to_string();
        if let Some((class, subject, detail)) = reply.status {
            // RFC 3463 section 2.
            said.push_str(&format!(" {class}.{subject}.{detail}"));
        }
        for text in &reply.lines {
            said.push(' ');
            said.push_str(text);
        }
        line(&said)
    }

    /// Why it is where it is, one printable line: route, address, stage, and what was said or found.
    /// `route smarthost: 192.0.2.1:587 at authentication: 535 5.7.8 not these`.
    pub fn why(&self) -> String {
        let mut parts = vec![if self.route.is_empty() {
            "no route".to_owned()
        } else {
            format!("route {}", self.route)
        }];
        let place = self.address.as_ref().or(self.remote.as_ref());
        match (place, self.stage) {
            (Some(place), stage) => parts.push(format!("{place} at {}", stage.name())),
            (None, Stage::Route) => {}
            (None, stage) => parts.push(format!("at {}", stage.name())),
        }
        let said = self.last_reply();
        if !said.is_empty() {
            parts.push(said);
        }
        let mut why = parts.join(": ");
        if self.reply.is_some() && !self.text.is_empty() {
            why.push_str(&format!(" ({})", self.text));
        }
        line(&why)
    }
}

/// Most characters of a line for people. A server's reply has no limit of its own that is small.
const MOST_CHARACTERS: usize = 1000;

/// One line that does nothing to a terminal or a log, whatever a server said.
fn line(text: &str) -> String {
    let mut printable = String::with_capacity(text.len().min(MOST_CHARACTERS));
    for (count, character) in text.trim().chars().enumerate() {
        if count == MOST_CHARACTERS {
            printable.push('\u{2026}');
            break;
        }
        printable.push(match character {
            '\t' | '\r' | '\n' => ' ',
            // Ends of lines, and what turns the direction of writing round.
            '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{061c}' => '\u{fffd}',
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
            control if control.is_control() => '\u{fffd}',
            character => character,
        });
    }
    printable
}

/// What came of an attempt for one recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Somebody else is responsible now, or it lies in the mailbox.
    Delivered,
    /// Try again, not before this.
    Deferred {
        /// Not before.
        next_attempt: SystemTime,
    },
    /// It will never work.
    Failed,
    /// Not before somebody releases it.
    Held,
    /// There was no attempt: all stays as it is, and only notices are owed.
    Unchanged,
}

/// A kind of report that a sender is owed (RFC 3464 section 2.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NoticeKind {
    /// `failed`.
    Failed,
    /// `delayed`.
    Delayed,
    /// `delivered`.
    Delivered,
    /// `relayed`: to a server that sends no reports.
    Relayed,
    /// `expanded`: an alias became several recipients.
    Expanded,
}

impl NoticeKind {
    /// As the database has it.
    pub(super) const fn code(self) -> i64 {
        match self {
            Self::Failed => 0,
            Self::Delayed => 1,
            Self::Delivered => 2,
            Self::Relayed => 3,
            Self::Expanded => 4,
        }
    }

    /// From the database.
    pub(super) fn from_code(code: i64) -> Option<Self> {
        [
            Self::Failed,
            Self::Delayed,
            Self::Delivered,
            Self::Relayed,
            Self::Expanded,
        ]
        .into_iter()
        .find(|kind| kind.code() == code)
    }
}

/// What is recorded of one recipient after an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// Position among the recipients of the message.
    pub ordinal: u32,
    /// What came of it.
    pub outcome: Outcome,
    /// What is known.
    pub attempt: Attempt,
    /// Whether the attempt counts: not if it only found that others wait already.
    pub counted: bool,
    /// Lane of the next attempt.
    pub lane: String,
    /// Reports that the sender is owed from now on.
    pub notices: Vec<NoticeKind>,
    /// The deadline of the recipient has passed, and that is dealt with herewith.
    pub overdue: bool,
}

/// A report that a sender is owed about one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Position among the recipients of the message.
    pub ordinal: u32,
    /// Who, and what RCPT asked for.
    pub recipient: Recipient,
    /// What happened.
    pub kind: NoticeKind,
    /// What is known of the attempt.
    pub attempt: Attempt,
}

mod milliseconds {
    use super::*;
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        to.serialize_u64(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SystemTime, D::Error> {
        u64::deserialize(from).map(|since| UNIX_EPOCH + Duration::from_millis(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Attempt {
        Attempt {
            route: "smarthost".into(),
            address: Some("192.0.2.1:587".into()),
            stage: Stage::Authentication,
            reply: Some(Reply {
                code: 535,
                status: Some((5, 7, 8)),
                lines: vec!["not these".into(), "credentials".into()],
            }),
            ..Attempt::default()
        }
    }

    #[test]
    fn the_last_reply_is_the_servers_on_one_line_or_our_own_finding() {
        assert_eq!(refused().last_reply(), "535 5.7.8 not these credentials");
        let own = Attempt {
            text: "the connection was closed".into(),
            ..Attempt::default()
        };
        assert_eq!(own.last_reply(), "the connection was closed");
        let mut bare = refused();
        bare.reply = Some(Reply {
            code: 421,
            status: None,
            lines: vec![String::new()],
        });
        assert_eq!(bare.last_reply(), "421");
    }

    #[test]
    fn a_hostile_reply_does_nothing_to_a_terminal() {
        let mut hostile = refused();
        hostile.reply = Some(Reply {
            code: 550,
            status: None,
            lines: vec![
                "a\x1b[2Jb\r\nc\td\0\u{9b}e\u{202e}f\u{2028}g".into(),
                "x".repeat(5000),
            ],
        });
        for text in [hostile.last_reply(), hostile.why()] {
            assert!(text.contains("a\u{fffd}[2Jb  c d\u{fffd}\u{fffd}e\u{fffd}f\u{fffd}g xx"));
            assert!(!text.chars().any(char::is_control));
            assert_eq!(text.chars().count(), MOST_CHARACTERS + 1);
        }
    }

    #[test]
    fn why_names_route_address_stage_and_reply() {
        let mut attempt = refused();
        assert_eq!(
            attempt.why(),
            "route smarthost: 192.0.2.1:587 at authentication: 535 5.7.8 not these credentials"
        );
        attempt.text = "LOGIN was refused".into();
        assert!(attempt.why().ends_with("credentials (LOGIN was refused)"));
        attempt.reply = None;
        attempt.address = None;
        attempt.stage = Stage::Lookup;
        attempt.text = "there is no host mail.example.org".into();
        let expected = "route smarthost: at lookup: there is no host mail.example.org";
        assert_eq!(attempt.why(), expected);
        attempt.remote = Some("mail.example.org".into());
        let expected =
            "route smarthost: mail.example.org at lookup: there is no host mail.example.org";
        assert_eq!(attempt.why(), expected);
        let none = Attempt {
            text: "no route for this mailbox".into(),
            ..Attempt::default()
        };
        assert_eq!(none.why(), "no route: no route for this mailbox");
    }

    #[test]
    fn an_attempt_is_the_same_after_the_database_and_old_ones_stay_readable() {
        let attempt = Attempt {
            tls: Some("TLSv1.3, verified".into()),
            status: Some((4, 4, 1)),
            at: UNIX_EPOCH + Duration::from_millis(1_234),
            ..refused()
        };
        let json = serde_json::to_string(&attempt).unwrap();
        assert_eq!(serde_json::from_str::<Attempt>(&json).unwrap(), attempt);
        let least: Attempt = serde_json::from_str(r#"{"stage":"tls","at":5}"#).unwrap();
        assert_eq!(least.stage, Stage::Tls);
        assert_eq!(least.at, UNIX_EPOCH + Duration::from_millis(5));
        assert_eq!(
            serde_json::from_str::<Attempt>("{}").unwrap(),
            Attempt::default()
        );
    }

    #[test]
    fn every_kind_of_notice_is_the_same_after_the_database() {
        for code in 0..5 {
            assert_eq!(
                NoticeKind::from_code(code).map(NoticeKind::code),
                Some(code)
            );
        }
        assert_eq!(NoticeKind::from_code(5), None);
    }
}
