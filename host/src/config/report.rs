//! `[report]`: what senders are told about mail that did not arrive (RFC 3464).

use super::names::check_domain;
use super::reader::{Section, Value};

/// What senders are told about mail that did not arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportSettings {
    /// Mailbox in From: of reports. Default postmaster of this host, whom every host has (RFC 5321
    /// section 4.5.1). The reverse-path of a report is always null.
    pub from: String,
    /// Octets up to which a message comes back whole; of a longer one only the header section does.
    /// Default 64 KiB: a letter is in it, a scan is not.
    pub full_limit: u64,
    /// A copy of each failure report goes to `from`, with the header of the message at most. Default
    /// false: whoever looks after a busy host has the queue's history for that.
    pub copy_postmaster: bool,
}

impl ReportSettings {
    pub(super) fn read(section: &Section<'_>, hostname: &str) -> Self {
        Self {
            from: section
                .value("from")
                .and_then(|value| mailbox(&value))
                .unwrap_or_else(|| format!("postmaster@{hostname}")),
            full_limit: section
                .value("full-limit")
                .and_then(|value| value.octets())
                .unwrap_or(64 * 1024),
            copy_postmaster: section
                .value("copy-postmaster")
                .and_then(|value| value.boolean())
                .unwrap_or(false),
        }
    }
}

/// A mailbox without a display name and without quotes: nobody quotes a mailbox of their own choice.
fn mailbox(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    let good = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    match text.rsplit_once('@') {
        Some((local, domain))
            // RFC 5321 sections 4.1.2 and 4.5.3.1.1
            if (1..=64).contains(&local.len())
                && local.chars().all(good)
                && local.split('.').all(|atom| !atom.is_empty())
                && domain.is_ascii()
                && check_domain(domain).is_ok() =>
        {
            Some(text.to_owned())
        }
        _ => {
            value.error(format!(
                "\"{text}\" is no mailbox; use one that somebody reads, such as \
                 \"postmaster@example.org\""
            ));
            None
        }
    }
}
