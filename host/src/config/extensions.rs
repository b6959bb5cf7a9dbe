//! `[extensions]`, and `extensions` of a `[[listener]]`: what EHLO offers beyond what every
//! submission server must (RFC 6409 section 7).

use std::time::Duration;

use super::reader::{Section, Value};

const DAY: Duration = Duration::from_hours(24);
/// RFC 4865 section 3: the time is written with nine digits at most; ten years are enough.
const LONGEST_HOLD: Duration = DAY.saturating_mul(3660);
/// RFC 2852 section 3: nine digits at most; a day is more than anybody who is in a hurry accepts.
const MOST_LEAST: Duration = DAY;

/// Extensions that can be switched on and off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extensions {
    /// CHUNKING (RFC 3030). Default true: it costs nothing, and large messages go faster.
    pub chunking: bool,
    /// BINARYMIME (RFC 3030). Default false: few next servers take it, and all else must be encoded
    /// on the way.
    pub binarymime: bool,
    /// SMTPUTF8 (RFC 6531). Default true: addresses are no longer ASCII alone.
    pub smtputf8: bool,
    /// REQUIRETLS (RFC 8689), under TLS. Default true: what cannot go on so protected comes back.
    pub requiretls: bool,
    /// FUTURERELEASE (RFC 4865): the longest time that a sender may have a message held. Default
    /// `None` (`"0s"`): not offered, because a message that waits here is forgotten by its sender.
    pub futurerelease: Option<Duration>,
    /// DELIVERBY (RFC 2852): the least time that a sender may give with "return"; zero: no least.
    /// Default `None` (`false`): not offered.
    pub deliverby: Option<Duration>,
    /// MT-PRIORITY (RFC 6710). Default false: whoever is let in could go before all others.
    pub mt_priority: bool,
}

impl Default for Extensions {
    fn default() -> Self {
        Self {
            chunking: true,
            binarymime: false,
            smtputf8: true,
            requiretls: true,
            futurerelease: None,
            deliverby: None,
            mt_priority: false,
        }
    }
}

impl Extensions {
    /// Reads a table; what it does not say is as in `others`.
    pub(super) fn read(section: &Section<'_>, others: &Self) -> Self {
        let flag = |key, other| {
            section
                .value(key)
                .and_then(|value| value.boolean())
                .unwrap_or(other)
        };
        let read = Self {
            chunking: flag("chunking", others.chunking),
            binarymime: flag("binarymime", others.binarymime),
            smtputf8: flag("smtputf8", others.smtputf8),
            requiretls: flag("requiretls", others.requiretls),
            futurerelease: match section.value("futurerelease") {
                Some(value) => hold(&value),
                None => others.futurerelease,
            },
            deliverby: match section.value("deliverby") {
                Some(value) => least(&value),
                None => others.deliverby,
            },
            mt_priority: flag("mt-priority", others.mt_priority),
        };
        // RFC 3030 section 3 (R6409-7-BINARY)
        if read.binarymime && !read.chunking {
            let key = match section.value("binarymime") {
                Some(_) => "binarymime",
                None => "chunking",
            };
            section.error(
                key,
                "binarymime needs chunking (RFC 3030 section 3): binary content cannot come by DATA",
            );
        }
        read
    }
}

/// The longest hold; none: not offered.
fn hold(value: &Value<'_>) -> Option<Duration> {
    let longest = value.duration(Duration::ZERO..=LONGEST_HOLD)?;
    if longest.is_zero() {
        return None;
    }
    if longest < Duration::from_secs(1) {
        value.error("must be \"0s\" (not offered) or a second at least");
    }
    Some(longest)
}

/// The least time; none: not offered.
fn least(value: &Value<'_>) -> Option<Duration> {
    if value.is_boolean() {
        return value.boolean()?.then_some(Duration::ZERO);
    }
    value.duration(Duration::ZERO..=MOST_LEAST)
}
