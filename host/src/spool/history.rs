//! What became of recipients that are no longer in the queue.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::attempt::Attempt;
use super::entry::Cursor;

/// How it ended for one recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// Delivered here, or to the next server.
    Delivered,
    /// Failed for good.
    Failed,
    /// Removed by an operator.
    Removed,
}

impl End {
    /// As the database has it.
    pub(super) const fn code(self) -> i64 {
        match self {
            Self::Delivered => 0,
            Self::Failed => 1,
            Self::Removed => 2,
        }
    }

    /// From the database; damage is the end that promises least.
    pub(super) const fn from_code(code: i64) -> Self {
        match code {
            0 => Self::Delivered,
            1 => Self::Failed,
            _ => Self::Removed,
        }
    }
}

/// One recipient's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// For the next page.
    pub cursor: Cursor,
    /// When.
    pub at: SystemTime,
    /// Identifier of the message.
    pub id: String,
    /// Message-ID with its brackets, or empty.
    pub message_id: String,
    /// Mailbox, or empty for the null reverse-path.
    pub reverse_path: String,
    /// Who submitted it.
    pub identity: Option<String>,
    /// Mailbox of the forward-path.
    pub mailbox: String,
    /// How it ended.
    pub end: End,
    /// Attempts.
    pub attempts: u32,
    /// From acceptance to the end.
    pub delay: Duration,
    /// Octets of the content.
    pub size: u64,
    /// The last attempt; absent for what was removed.
    pub attempt: Option<Attempt>,
}
