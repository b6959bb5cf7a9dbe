//! `[submission]`: what a submission server does with messages (RFC 6409 sections 4 to 8).

use std::time::Duration;

use super::names::check_domain;
use super::reader::{Section, Value};

/// Which reverse-paths a user may give (RFC 6409 section 6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Senders {
    /// His own address, and those that his record lists.
    Own,
    /// All.
    Any,
}

/// What a submission server does with messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// Which reverse-paths a user may give. Default `Own`: a stolen password of one user must not
    /// send as another.
    pub senders: Senders,
    /// Which mailboxes From may have (RFC 6409 section 6.3). Default `Any`: programs and lists write
    /// as others, and say who sends in the envelope.
    pub from: Senders,
    /// Completes names of one label in the envelope (RFC 6409 section 4.2). Default `None`: they are
    /// refused, since a guess may reach somebody else.
    pub local_domain: Option<String>,
    /// What looks at messages before they are taken. Default `None`.
    pub check: Option<Check>,
    /// A missing Date is added (RFC 6409 section 8.2). Default true: RFC 5322 demands the field, and
    /// devices without a clock leave it out.
    pub add_date: bool,
    /// A missing Message-ID is added (RFC 6409 section 8.3). Default true: it ties reports to
    /// messages.
    pub add_message_id: bool,
}

/// A program that looks at messages (RFC 6409 section 6.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// For `/bin/sh -c`; the message is its input.
    pub command: String,
    /// How long it may take. Default 30 s: a client waits 10 minutes at least (RFC 5321 section
    /// 4.5.3.2.6), but people wait with it.
    pub timeout: Duration,
}

impl Submission {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let flag = |key| {
            section
                .value(key)
                .and_then(|value| value.boolean())
                .unwrap_or(true)
        };
        if let Some(value) = section.value("add-sender")
            && value.choice(&[("never", false), ("if-different", true)]) == Some(true)
        {
            value
                .error("\"if-different\": not in this version; use \"never\" or leave the key out");
        }
        Self {
            senders: section
                .value("senders")
                .and_then(|value| value.choice(&[("own", Senders::Own), ("any", Senders::Any)]))
                .unwrap_or(Senders::Own),
            from: section
                .value("from")
                .and_then(|value| value.choice(&[("any", Senders::Any), ("own", Senders::Own)]))
                .unwrap_or(Senders::Any),
            local_domain: section
                .value("local-domain")
                .and_then(|value| read_local_domain(&value)),
            check: read_check(section),
            add_date: flag("add-date"),
            add_message_id: flag("add-message-id"),
        }
    }
}

fn read_local_domain(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    // R6409-4.2-a: what is completed must be fully qualified.
    let good = check_domain(text).is_ok() && text.contains('.') && text.is_ascii();
    if !good {
        value.error(format!(
            "\"{text}\" is no fully qualified domain in ASCII; use \"example.org\""
        ));
    }
    good.then(|| text.to_owned())
}

fn read_check(section: &Section<'_>) -> Option<Check> {
    let timeout = section
        .value("check-timeout")
        .and_then(|value| value.duration(Duration::from_secs(1)..=Duration::from_secs(100)));
    let Some(value) = section.value("check") else {
        if section.value("check-timeout").is_some() {
            section.warning("check-timeout", "has no effect without check");
        }
        return None;
    };
    Some(Check {
        command: value.words("a command for /bin/sh")?.to_owned(),
        timeout: timeout.unwrap_or(Duration::from_secs(30)),
    })
}
