//! What the spool keeps of a message: its envelope, its recipients, and what a relay must know of
//! its content (RFC 5321 section 2.3.1).
//!
//! The types are the spool's own and plain: the contract with the component may change its form
//! without a change to what lies on the disk. Serde forms are written to the database; a new field
//! must have a default.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::attempt::Notice;
use super::content::Content;
use super::error::SpoolError;

/// A message as it comes to the spool.
#[derive(Debug)]
pub struct NewMessage {
    /// Identifier: letters, digits and hyphens, 1 to 128 of them; the same in every log line.
    pub id: String,
    /// Envelope without the recipients.
    pub envelope: Envelope,
    /// Who submitted it, if somebody authenticated.
    pub identity: Option<String>,
    /// Address of the peer.
    pub peer: IpAddr,
    /// When the end of its content arrived.
    pub received: SystemTime,
    /// Message-ID with its brackets, or empty.
    pub message_id: String,
    /// What was seen of the content as it passed.
    pub facts: ContentFacts,
    /// At least one.
    pub recipients: Vec<NewRecipient>,
    /// From the [`ContentWriter`](super::ContentWriter) of the same identifier.
    pub content: Content,
}

/// A message as it lies in the spool, without its recipients and its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Identifier.
    pub id: String,
    /// Envelope without the recipients.
    pub envelope: Envelope,
    /// Who submitted it.
    pub identity: Option<String>,
    /// Address of the peer.
    pub peer: IpAddr,
    /// When it was accepted, to the millisecond.
    pub received: SystemTime,
    /// Message-ID with its brackets, or empty.
    pub message_id: String,
    /// What was seen of the content.
    pub facts: ContentFacts,
    /// Octets of the content.
    pub size: u64,
}

impl Message {
    /// When its way begins: when it was accepted, or when its sender wants it released (RFC 4865).
    pub fn released(&self) -> SystemTime {
        let hold = self.envelope.parameters.hold_for.unwrap_or(0);
        self.received + Duration::from_secs(hold.into())
    }

    /// Until when it is to be delivered (RFC 2852 section 4), with the parameter. It may be before
    /// `received`.
    pub fn deliver_by(&self) -> Option<(SystemTime, DeliverBy)> {
        let by = self.envelope.parameters.deliver_by?;
        let span = Duration::from_secs(by.seconds.unsigned_abs());
        let deadline = if by.seconds < 0 {
            self.received.checked_sub(span)
        } else {
            self.received.checked_add(span)
        };
        Some((deadline?, by))
    }
}

/// What MAIL said, and the session around it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Envelope {
    /// Mailbox, or empty for the null reverse-path.
    pub reverse_path: String,
    /// Parameters of MAIL.
    #[serde(default, skip_serializing_if = "is_default")]
    pub parameters: Parameters,
    /// "with" keyword of the Received field (RFC 3848, RFC 6531).
    pub protocol: String,
    /// Name that the peer gave in EHLO or HELO, or empty.
    #[serde(default, skip_serializing_if = "is_default")]
    pub greeted: String,
}

/// Parameters of MAIL, parsed. Defaults are what an absent parameter means.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Parameters {
    /// BODY (RFC 6152, RFC 3030).
    #[serde(skip_serializing_if = "is_default")]
    pub body: Body,
    /// SIZE (RFC 1870), octets as the client declared them.
    #[serde(skip_serializing_if = "is_default")]
    pub size: Option<u64>,
    /// SMTPUTF8 (RFC 6531).
    #[serde(skip_serializing_if = "is_default")]
    pub smtputf8: bool,
    /// RET (RFC 3461 section 4.3).
    #[serde(skip_serializing_if = "is_default")]
    pub ret: Option<Ret>,
    /// ENVID (RFC 3461 section 4.4) as it came, in xtext.
    #[serde(skip_serializing_if = "is_default")]
    pub envid: Option<String>,
    /// AUTH (RFC 4954 section 5), decoded; empty for `AUTH=<>`.
    #[serde(skip_serializing_if = "is_default")]
    pub auth: Option<String>,
    /// REQUIRETLS (RFC 8689).
    #[serde(skip_serializing_if = "is_default")]
    pub require_tls: bool,
    /// HOLDFOR or HOLDUNTIL (RFC 4865) as seconds from `received`.
    #[serde(skip_serializing_if = "is_default")]
    pub hold_for: Option<u32>,
    /// BY (RFC 2852).
    #[serde(skip_serializing_if = "is_default")]
    pub deliver_by: Option<DeliverBy>,
    /// MT-PRIORITY (RFC 6710), -9 to 9.
    #[serde(skip_serializing_if = "is_default")]
    pub priority: Option<i8>,
}

/// BODY parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Body {
    /// 7BIT, also when the parameter is absent.
    #[default]
    #[serde(rename = "7BIT")]
    SevenBit,
    /// 8BITMIME.
    #[serde(rename = "8BITMIME")]
    EightBitMime,
    /// BINARYMIME.
    #[serde(rename = "BINARYMIME")]
    BinaryMime,
}

/// RET parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ret {
    /// FULL.
    #[serde(rename = "FULL")]
    Full,
    /// HDRS.
    #[serde(rename = "HDRS")]
    Headers,
}

/// BY parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliverBy {
    /// Seconds from `received`.
    pub seconds: i64,
    /// Mode N (report and go on) instead of R (return).
    pub notify: bool,
    /// Trace modifier T.
    pub trace: bool,
}

/// What a relay has to know of content before it may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ContentFacts {
    /// The header section has octets above 127.
    #[serde(skip_serializing_if = "is_default")]
    pub header_eight_bit: bool,
    /// The body has octets above 127.
    #[serde(skip_serializing_if = "is_default")]
    pub body_eight_bit: bool,
    /// NUL, or lines over 998 octets.
    #[serde(skip_serializing_if = "is_default")]
    pub binary: bool,
    /// Bare CR or bare LF.
    #[serde(skip_serializing_if = "is_default")]
    pub bare: bool,
    /// Signed: must not be converted.
    #[serde(skip_serializing_if = "is_default")]
    pub signed: bool,
    /// `TLS-Required: No` (RFC 8689 section 5).
    #[serde(skip_serializing_if = "is_default")]
    pub tls_waived: bool,
}

/// One recipient of a new message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecipient {
    /// Who, and what RCPT asked for.
    pub recipient: Recipient,
    /// [`Held`](NewState::Held) if its route is `hold`.
    pub state: NewState,
    /// Where it queues.
    pub lane: String,
}

/// How a recipient begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewState {
    /// Due at once, or after HOLDFOR.
    Waiting,
    /// Not before somebody releases it.
    Held,
    /// It is done: an alias of so many recipients that are here too, whose sender wants to know (RFC
    /// 3461 section 5.2.7.3). The report is owed from now on.
    Expanded(usize),
}

/// What RCPT said (RFC 5321 section 4.1.1.3).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recipient {
    /// Mailbox of the forward-path, with the least quoting.
    pub mailbox: String,
    /// NOTIFY, if it was given.
    pub notify: Option<Notify>,
    /// ORCPT (RFC 3461 section 4.2): address type, and address as it came.
    pub orcpt: Option<(String, String)>,
}

/// NOTIFY parameter (RFC 3461 section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Notify {
    /// NEVER, alone.
    pub never: bool,
    /// SUCCESS.
    pub success: bool,
    /// FAILURE.
    pub failure: bool,
    /// DELAY.
    pub delay: bool,
}

impl Notify {
    /// As the database has it: a bit each, in the order of the fields.
    pub(super) fn bits(self) -> i64 {
        i64::from(self.never)
            | i64::from(self.success) << 1
            | i64::from(self.failure) << 2
            | i64::from(self.delay) << 3
    }

    /// From the database; `None` if other bits are set.
    pub(super) fn from_bits(bits: i64) -> Option<Self> {
        (0..16).contains(&bits).then_some(Self {
            never: bits & 1 != 0,
            success: bits & 2 != 0,
            failure: bits & 4 != 0,
            delay: bits & 8 != 0,
        })
    }
}

/// A recipient that is due, with the lease on it.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// Its message, shared among the recipients that were claimed with it.
    pub message: std::sync::Arc<Message>,
    /// Position among the recipients of the message, from 0.
    pub ordinal: u32,
    /// Who, and what RCPT asked for.
    pub recipient: Recipient,
    /// Attempts so far with this one, so 1 at first. It is counted when the attempt begins: more
    /// than 1 can mean an attempt that a crash cut short.
    pub attempts: u32,
    /// Where it queued.
    pub lane: String,
    /// Whether the sender was told of a delay, or is about to be.
    pub delay_told: bool,
    /// Until when it is to be delivered (RFC 2852); `None`: at any time, or that has passed and is
    /// dealt with.
    pub deadline: Option<SystemTime>,
}

/// A recipient that was not delivered in time (RFC 2852) and has no attempt that runs.
#[derive(Debug, Clone)]
pub struct Overdue {
    /// Which. There is no lease on it.
    pub recipient: Claimed,
    /// What the last attempt brought.
    pub last_reply: Option<String>,
}

/// A message whose sender is owed reports.
#[derive(Debug, Clone)]
pub struct Owed {
    /// The message.
    pub message: std::sync::Arc<Message>,
    /// At least one; of one message all that are owed now.
    pub notices: Vec<Notice>,
}

/// Refuses an identifier that could not name a file: it comes out of a sandbox that nobody believes.
pub(super) fn check_id(id: &str) -> Result<(), SpoolError> {
    let good = (1..=128).contains(&id.len())
        && id
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
    good.then_some(())
        .ok_or_else(|| SpoolError::Identifier { id: id.to_owned() })
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_that_could_leave_the_folder_are_refused() {
        for id in [
            "",
            ".",
            "..",
            "a/b",
            "../a",
            "a.b",
            "a\0",
            "ä",
            " ",
            &"a".repeat(129),
        ] {
            assert!(
                matches!(check_id(id), Err(SpoolError::Identifier { .. })),
                "{id:?}"
            );
        }
        for id in ["a", "A-1", "-", &"a".repeat(128)] {
            assert!(check_id(id).is_ok(), "{id:?}");
        }
    }

    #[test]
    fn notify_is_the_same_after_the_database() {
        for bits in 0..16 {
            assert_eq!(Notify::from_bits(bits).map(Notify::bits), Some(bits));
        }
        assert_eq!(Notify::from_bits(16), None);
        assert_eq!(Notify::from_bits(-1), None);
    }

    #[test]
    fn parameters_that_are_absent_take_no_room() {
        let json = serde_json::to_string(&Parameters::default()).unwrap_or_default();
        assert_eq!(json, "{}");
        let read: Parameters = serde_json::from_str("{\"body\":\"8BITMIME\"}").unwrap_or_default();
        assert_eq!(read.body, Body::EightBitMime);
    }
}
