//! FUTURERELEASE: HOLDFOR and HOLDUNTIL of MAIL (RFC 4865 section 4).

use super::{Defect, date, parameter::number};
use crate::environment::Moment;
use alloc::{format, string::String};

/// Keyword of the parameter with seconds.
pub const HOLDFOR: &str = "HOLDFOR";
/// Keyword of the parameter with a date and time.
pub const HOLDUNTIL: &str = "HOLDUNTIL";
/// The EHLO keyword.
pub const FUTURERELEASE: &str = "FUTURERELEASE";

/// The EHLO line: most seconds, and the date and time that they reach from now.
pub fn keyword(most: u32, now: Moment) -> String {
    let until = date::format(now.seconds.saturating_add(u64::from(most)));
    format!("{FUTURERELEASE} {most} {until}")
}

/// Seconds: 1 to 9 digits, the first not zero (RFC 4865 section 4, `future-release-integer`).
pub(super) fn hold_for(value: Option<&[u8]>, most: u32) -> Result<u32, Defect> {
    let seconds = value
        .filter(|value| value.first() != Some(&b'0'))
        .and_then(|value| number(value, 9))
        .ok_or(Defect::BadValue(HOLDFOR))?;
    within(seconds, most)
}

/// Seconds from `now` to the date and time, a fraction counted as one.
pub(super) fn hold_until(value: Option<&[u8]>, most: u32, now: Moment) -> Result<u32, Defect> {
    let (seconds, fraction) = value
        .and_then(date::parse)
        .ok_or(Defect::BadValue(HOLDUNTIL))?;
    // R4865-4: in the past.
    let until = u64::try_from(seconds).map_err(|_| Defect::HoldOutOfRange)?;
    let seconds = until
        .checked_add(u64::from(fraction))
        .and_then(|until| until.checked_sub(now.seconds))
        .ok_or(Defect::HoldOutOfRange)?;
    within(seconds, most)
}

/// R4865-4: beyond the maximum.
fn within(seconds: u64, most: u32) -> Result<u32, Defect> {
    u32::try_from(seconds)
        .ok()
        .filter(|seconds| *seconds <= most)
        .ok_or(Defect::HoldOutOfRange)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment {
        seconds: 1_795_569_440,
        nanoseconds: 500_000_000,
    };

    #[test]
    fn r4865_4_the_line_has_seconds_and_date() {
        assert_eq!(
            keyword(86_400, NOW),
            "FUTURERELEASE 86400 2026-11-26T01:17:20Z"
        );
    }

    #[test]
    fn r4865_4_hold_for() {
        assert_eq!(hold_for(Some(b"1"), 3600), Ok(1));
        assert_eq!(hold_for(Some(b"3600"), 3600), Ok(3600));
        assert_eq!(hold_for(Some(b"3601"), 3600), Err(Defect::HoldOutOfRange));
        assert_eq!(hold_for(Some(b"999999999"), u32::MAX), Ok(999_999_999));
        for bad in [
            None,
            Some(&b""[..]),
            Some(b"0"),
            Some(b"007"),
            Some(b"+5"),
            Some(b"-5"),
            Some(b"1234567890"),
        ] {
            assert_eq!(
                hold_for(bad, 3600),
                Err(Defect::BadValue(HOLDFOR)),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn r4865_4_hold_until() {
        let until = |text: &str| hold_until(Some(text.as_bytes()), 3600, NOW);
        assert_eq!(until("2026-11-25T01:17:21Z"), Ok(1));
        assert_eq!(until("2026-11-25T01:17:21.25Z"), Ok(2));
        assert_eq!(until("2026-11-25T02:17:20Z"), Ok(3600));
        for out in [
            "2026-11-25T02:17:21Z",
            "2026-11-25T01:17:19Z",
            "1960-01-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
        ] {
            assert_eq!(until(out), Err(Defect::HoldOutOfRange), "{out}");
        }
        for bad in ["", "tomorrow", "3600", "2026-11-25T01:17:21+01:00"] {
            assert_eq!(until(bad), Err(Defect::BadValue(HOLDUNTIL)), "{bad}");
        }
        assert_eq!(
            hold_until(None, 3600, NOW),
            Err(Defect::BadValue(HOLDUNTIL))
        );
    }
}
