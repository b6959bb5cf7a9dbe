//! `[spool]`: where messages are kept, and for how long it is known what became of them.

use std::time::Duration;

use super::reader::Section;

const DAY: Duration = Duration::from_hours(24);

/// How long it is known what became of a message. Default 7 days: people ask on Monday about the
/// week before.
const HISTORY: Duration = Duration::from_hours(7 * 24);

/// How long the ends of messages are kept; `None`: they are not. Refuses the rest.
pub(super) fn read(section: &Section<'_>) -> Option<Duration> {
    if let Some(value) = section.value("backend")
        && value.choice(&[("embedded", false), ("postgres", true)]) == Some(true)
    {
        value.error("\"postgres\": not in this version; use \"embedded\"");
    }
    if let Some(value) = section.value("url")
        && value.text().is_some()
    {
        value.error("belongs to the backend \"postgres\", which is not in this version; remove it");
    }
    let history = section
        .value("history")
        .and_then(|value| value.duration(Duration::ZERO..=3_660 * DAY))
        .unwrap_or(HISTORY);
    (!history.is_zero()).then_some(history)
}
