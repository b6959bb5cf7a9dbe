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
}

/// A kind of report that a sender is owed (RFC 3464 section 2.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NoticeKind {
    /// `failed`.
    Failed,
    /// `delayed`.
    Delayed,
    /// `delivered`.
    Delivered,
    /// `relayed`: to a server that sends no reports.
    Relayed,
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
