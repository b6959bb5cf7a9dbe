//! What the queue shows of a message: the form of `pillarbox queue list --json`.

use std::net::IpAddr;
use std::time::SystemTime;

use serde::{Serialize, Serializer};

use super::attempt::{Attempt, NoticeKind};
use super::message::{ContentFacts, Envelope};

/// State of a recipient, and of a message as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// No attempt yet.
    Waiting,
    /// An attempt is running.
    Delivering,
    /// An attempt failed; there will be another.
    Deferred,
    /// Nothing happens until somebody releases it.
    Held,
    /// Done. A message's only while its sender is still owed a report of success.
    Delivered,
    /// Done, and never delivered. A message's only while its sender is still owed the report.
    Failed,
}

impl State {
    /// As the database has it.
    pub(super) const fn code(self) -> i64 {
        match self {
            Self::Waiting => 0,
            Self::Delivering => 1,
            Self::Deferred => 2,
            Self::Held => 3,
            Self::Delivered => 4,
            Self::Failed => 5,
        }
    }

    /// From the database.
    pub(super) fn from_code(code: i64) -> Option<Self> {
        [
            Self::Waiting,
            Self::Delivering,
            Self::Deferred,
            Self::Held,
            Self::Delivered,
            Self::Failed,
        ]
        .into_iter()
        .find(|state| state.code() == code)
    }

    /// The word of the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivering => "delivering",
            Self::Deferred => "deferred",
            Self::Held => "held",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

/// One message in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Identifier.
    pub id: String,
    /// What happens to it: the first of delivering, waiting, deferred, held that one of its
    /// recipients is. A message whose recipients are all done is in the queue as long as a report
    /// of it is owed: failed if one of them is, else delivered.
    pub state: State,
    /// Mailbox, or empty for the null reverse-path.
    pub reverse_path: String,
    /// Who submitted it.
    pub identity: Option<String>,
    /// In the order of their RCPT commands.
    pub recipients: Vec<EntryRecipient>,
    /// Octets of the content.
    pub size: u64,
    /// When it was accepted.
    #[serde(serialize_with = "rfc3339")]
    pub received: SystemTime,
    /// For the next page of a list.
    #[serde(skip)]
    pub cursor: Cursor,
}

/// One recipient of a message in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EntryRecipient {
    /// Mailbox of the forward-path.
    pub mailbox: String,
    /// What happens to it.
    pub state: State,
    /// Attempts begun.
    pub attempts: u32,
    /// When the next one is due; absent if it is held or running.
    #[serde(serialize_with = "optional_rfc3339")]
    pub next_attempt: Option<SystemTime>,
    /// What the last attempt brought, or why it is held.
    pub last_reply: Option<String>,
    /// Until when its sender wants it held (RFC 4865), while that is to come.
    #[serde(
        serialize_with = "optional_rfc3339",
        skip_serializing_if = "Option::is_none"
    )]
    pub hold_until: Option<SystemTime>,
    /// MT-PRIORITY (RFC 6710), -9 to 9; absent: 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub priority: i8,
    /// Until when it is to be delivered (RFC 2852), unless that has passed and is dealt with.
    #[serde(
        serialize_with = "optional_rfc3339",
        skip_serializing_if = "Option::is_none"
    )]
    pub deadline: Option<SystemTime>,
    /// Where it queues.
    #[serde(skip)]
    pub lane: String,
    /// All that is known of the last attempt.
    #[serde(skip)]
    pub attempt: Option<Attempt>,
}

/// All that is known of one message, content aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Detail {
    /// As in the list.
    #[serde(flatten)]
    pub entry: Entry,
    /// Address of the peer.
    pub peer: Option<IpAddr>,
    /// Message-ID with its brackets, or empty.
    pub message_id: String,
    /// What MAIL said; absent if the row is damaged.
    pub envelope: Option<Envelope>,
    /// What was seen of the content; absent if the row is damaged.
    pub facts: Option<ContentFacts>,
    /// Reports that the sender is owed.
    pub reports: Vec<EntryReport>,
}

/// A report that a sender is owed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EntryReport {
    /// Mailbox of the recipient that it is about.
    pub mailbox: String,
    /// What happened.
    pub kind: NoticeKind,
    /// Owed since then.
    #[serde(serialize_with = "rfc3339")]
    pub since: SystemTime,
    /// When it is made; absent if only `queue retry` gets it going.
    #[serde(serialize_with = "optional_rfc3339")]
    pub due: Option<SystemTime>,
}

/// Which messages a list is about: those that fulfil all that is given. What concerns recipients
/// must hold for one recipient, all of it for the same one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// The recipient is in this state.
    pub state: Option<State>,
    /// Submitted by this identity, in any ASCII case.
    pub identity: Option<String>,
    /// The reverse-path is this mailbox, or is in this domain where it begins with `@`; empty: null.
    pub sender: Option<String>,
    /// The recipient is this mailbox, in any ASCII case.
    pub recipient: Option<String>,
    /// The recipient's domain is this one.
    pub domain: Option<String>,
    /// Accepted before this. In the history: ended before this.
    pub before: Option<SystemTime>,
    /// Accepted at this time or later. In the history: ended then.
    pub since: Option<SystemTime>,
    /// The recipient's last reply has this in it, in any ASCII case.
    pub reply: Option<String>,
    /// The recipient queues in this lane, or in one of the route of this name.
    pub route: Option<String>,
    /// The Message-ID has this in it.
    pub message_id: Option<String>,
    /// The identifier is this one.
    pub id: Option<String>,
}

/// A place in the queue, which is in order of arrival, or in the history, which is in order of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
pub struct Cursor {
    /// Milliseconds since 1970. For the history.
    pub(super) at: i64,
    /// Number of the row.
    pub(super) row: i64,
}

impl Entry {
    /// State of a message with recipients in these states.
    pub(super) fn state_of(recipients: &[EntryRecipient]) -> State {
        [
            State::Delivering,
            State::Waiting,
            State::Deferred,
            State::Held,
            State::Failed,
            State::Delivered,
        ]
        .into_iter()
        .find(|state| recipients.iter().any(|one| one.state == *state))
        // A message without a recipient cannot be; if damage made one, a person should see it.
        .unwrap_or(State::Held)
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(number: &i8) -> bool {
    *number == 0
}

/// RFC 3339 in UTC, to the millisecond.
pub fn timestamp(time: SystemTime) -> String {
    let time = super::sqlite::milliseconds(time);
    // Milliseconds that fit an i64 but no calendar come only from a damaged row.
    jiff::Timestamp::from_millisecond(time)
        .map_or_else(|_| time.to_string(), |time| time.to_string())
}

fn rfc3339<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&timestamp(*time))
}

fn optional_rfc3339<S: Serializer>(
    time: &Option<SystemTime>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => rfc3339(time, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_json_form_is_that_of_the_command_line_contract() {
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
                lane: String::new(),
                attempt: None,
            }],
            size: 4096,
            received: SystemTime::UNIX_EPOCH + Duration::from_millis(1_500),
            cursor: Cursor::default(),
        };
        let expected = concat!(
            r#"{"id":"a-1","state":"deferred","reverse_path":"alice@example.org","identity":null,"#,
            r#""recipients":[{"mailbox":"bob@example.net","state":"deferred","attempts":2,"#,
            r#""next_attempt":"1970-01-02T00:00:00Z","last_reply":"disk full"}],"#,
            r#""size":4096,"received":"1970-01-01T00:00:01.5Z"}"#
        );
        assert_eq!(serde_json::to_string(&entry).unwrap(), expected);
    }

    #[test]
    fn every_state_is_the_same_after_the_database() {
        for code in 0..6 {
            assert_eq!(State::from_code(code).map(State::code), Some(code));
        }
        assert_eq!(State::from_code(6), None);
    }
}
