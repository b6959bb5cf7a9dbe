//! `[retry]`: how long and how often delivery is tried (RFC 5321 section 4.5.4.1).

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
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            first: 60 * SECOND,
            longest: DAY / 6,
            give_up: 5 * DAY,
        }
    }
}

impl Retry {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let default = Self::default();
        let span = |key, most| {
            section
                .value(key)
                .and_then(|value| value.duration(SECOND..=most))
        };
        let retry = Self {
            first: span("first", DAY).unwrap_or(default.first),
            longest: span("longest", 7 * DAY).unwrap_or(default.longest),
            give_up: span("give-up", 60 * DAY).unwrap_or(default.give_up),
        };
        if let Some(value) = section.value("delay-note")
            && value.duration(SECOND..=60 * DAY).is_some()
        {
            value.error("not in this version: no report says \"still trying\"; leave the key out");
        }
        let shown = |span: Duration| humantime::format_duration(span).to_string();
        if retry.longest < retry.first {
            section.error(
                if section.value("longest").is_some() { "longest" } else { "first" },
                format!(
                    "the longest wait ({}) is shorter than the first ({}); make it as long at least",
                    shown(retry.longest),
                    shown(retry.first)
                ),
            );
        }
        if retry.give_up < retry.first {
            section.error(
                "give-up",
                format!(
                    "{} is over before the first retry after {}; make it longer",
                    shown(retry.give_up),
                    shown(retry.first)
                ),
            );
        } else if retry.give_up < 4 * DAY {
            // RFC 5321 section 4.5.4.1
            section.warning(
                "give-up",
                format!(
                    "{}: RFC 5321 section 4.5.4.1 asks for 4 to 5 days at least",
                    shown(retry.give_up)
                ),
            );
        }
        retry
    }
}
