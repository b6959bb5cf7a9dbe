//! `[submission]`: what a submission server does with messages (RFC 6409 sections 4 to 8).

use super::reader::Section;

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
    /// A missing Date is added (RFC 6409 section 8.2). Default true: RFC 5322 demands the field, and
    /// devices without a clock leave it out.
    pub add_date: bool,
    /// A missing Message-ID is added (RFC 6409 section 8.3). Default true: it ties reports to
    /// messages.
    pub add_message_id: bool,
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
            add_date: flag("add-date"),
            add_message_id: flag("add-message-id"),
        }
    }
}
