//! `[retry]`: how long and how often delivery is tried (RFC 5321 section 4.5.4.1). `retry` of a
//! route changes single keys of it.

use std::time::Duration;

use super::reader::Section;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_hours(24);

/// How long and how often delivery is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Wait after the first failure; each later wait is longer. Default 1 minute: most failures of a
    /// busy or restarting receiver are over by then.
    pub first: Duration,
    /// The longest wait. Default 4 hours: a receiver that is down for days is not asked for ever.
    pub longest: Duration,
    /// When a message has failed for good. Default 5 days (RFC 5321 section 4.5.4.1: at least 4 to
    /// 5), so that it outlives a long week-end.
    pub give_up: Duration,
    /// When its sender is told that a message still waits, if he wants to know (RFC 3461 section
    /// 4.1); `None`: never. Default 4 hours: soon enough to pick up the telephone.
    pub delay_note: Option<Duration>,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            first: 60 * SECOND,
            longest: DAY / 6,
            give_up: 5 * DAY,
            delay_note: Some(DAY / 6),
        }
    }
}

impl Retry {
    /// What the table says, and `inherited` where it says nothing.
    pub(super) fn read(section: &Section<'_>, inherited: &Self) -> Self {
        let span = |key, most| {
            section
                .value(key)
                .and_then(|value| value.duration(SECOND..=most))
        };
        let note = section
            .value("delay-note")
            .and_then(|value| value.duration(Duration::ZERO..=60 * DAY));
        let retry = Self {
            first: span("first", DAY).unwrap_or(inherited.first),
            longest: span("longest", 7 * DAY).unwrap_or(inherited.longest),
            give_up: span("give-up", 60 * DAY).unwrap_or(inherited.give_up),
            delay_note: match note {
                Some(note) => Some(note).filter(|note| !note.is_zero()),
                None => inherited.delay_note,
            },
        };
        retry.check(section);
        retry
    }

    /// What holds between the keys, as far as this table says something about them.
    fn check(&self, section: &Section<'_>) {
        let shown = |span: Duration| humantime::format_duration(span).to_string();
        let says = |key| section.value(key).is_some();
        let blamed = |key| if says(key) { key } else { "first" };
        if self.longest < self.first && (says("longest") || says("first")) {
            section.error(
                blamed("longest"),
                format!(
                    "the longest wait ({}) is shorter than the first ({}); make it as long at least",
                    shown(self.longest),
                    shown(self.first)
                ),
            );
        }
        if self.give_up < self.first && (says("give-up") || says("first")) {
            section.error(
                blamed("give-up"),
                format!(
                    "{} is over before the first retry after {}; make it longer",
                    shown(self.give_up),
                    shown(self.first)
                ),
            );
        } else if self.give_up < 4 * DAY && says("give-up") {
            // RFC 5321 section 4.5.4.1
            section.warning(
                "give-up",
                format!(
                    "{}: RFC 5321 section 4.5.4.1 asks for 4 to 5 days at least",
                    shown(self.give_up)
                ),
            );
        }
        if let Some(note) = self.delay_note
            && note >= self.give_up
            && says("delay-note")
        {
            section.warning(
                "delay-note",
                format!(
                    "{} never comes: the message is given up after {}; make it shorter, or \"0s\" \
                     for no note",
                    shown(note),
                    shown(self.give_up)
                ),
            );
        }
    }
}
