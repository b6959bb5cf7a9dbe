//! DELIVERBY: the BY parameter of MAIL (RFC 2852 section 4).

use super::{Defect, parameter::number};
use crate::contract::DeliverBy;
use alloc::{format, string::String};

/// The parameter's keyword.
pub const BY: &str = "BY";
/// The EHLO keyword.
pub const DELIVERBY: &str = "DELIVERBY";

/// The EHLO line with the least seconds of mode R; 0: no minimum (RFC 2852 section 2).
pub fn keyword(least: u32) -> String {
    match least {
        0 => DELIVERBY.into(),
        least => format!("{DELIVERBY} {least}"),
    }
}

/// `by-time ";" by-mode [by-trace]`; `least`: seconds of mode R.
pub(super) fn parse(value: Option<&[u8]>, least: u32) -> Result<DeliverBy, Defect> {
    let by = value.and_then(by_value).ok_or(Defect::BadValue(BY))?;
    if !by.notify {
        // R2852-4: what must be returned at once cannot be delivered in time.
        if by.seconds <= 0 {
            return Err(Defect::BadValue(BY));
        }
        if by.seconds < i64::from(least) {
            return Err(Defect::BelowDeliverBy(least));
        }
    }
    Ok(by)
}

fn by_value(value: &[u8]) -> Option<DeliverBy> {
    let semicolon = memchr::memchr(b';', value)?;
    let (time, mode) = (&value[..semicolon], &value[semicolon + 1..]);
    let (negative, digits) = match time {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    // Nine digits always fit.
    let seconds = i64::try_from(number(digits, 9)?).ok()?;
    let (notify, trace) = match mode {
        [b'N' | b'n'] => (true, false),
        [b'N' | b'n', b'T' | b't'] => (true, true),
        [b'R' | b'r'] => (false, false),
        [b'R' | b'r', b'T' | b't'] => (false, true),
        _ => return None,
    };
    Some(DeliverBy {
        seconds: if negative { -seconds } else { seconds },
        notify,
        trace,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn by(seconds: i64, notify: bool, trace: bool) -> Result<DeliverBy, Defect> {
        Ok(DeliverBy {
            seconds,
            notify,
            trace,
        })
    }

    #[test]
    fn r2852_2_the_line() {
        assert_eq!(keyword(0), "DELIVERBY");
        assert_eq!(keyword(240), "DELIVERBY 240");
    }

    #[test]
    fn r2852_4_time_mode_and_trace() {
        assert_eq!(parse(Some(b"120;R"), 0), by(120, false, false));
        assert_eq!(parse(Some(b"+120;rt"), 0), by(120, false, true));
        assert_eq!(
            parse(Some(b"-999999999;N"), 0),
            by(-999_999_999, true, false)
        );
        assert_eq!(parse(Some(b"0;nT"), 60), by(0, true, true));
    }

    #[test]
    fn r2852_4_bad_values() {
        for bad in [
            "",
            "120",
            "120;",
            ";R",
            "120;X",
            "120;RTT",
            "120;TR",
            "1234567890;R",
            "--1;N",
            "+;N",
            "1.5;R",
            "120;R;T",
            "120 ;R",
            "0;R",
            "-1;R",
        ] {
            let parsed = parse(Some(bad.as_bytes()), 0);
            assert_eq!(parsed, Err(Defect::BadValue(BY)), "{bad}");
        }
        assert_eq!(parse(None, 0), Err(Defect::BadValue(BY)));
    }

    #[test]
    fn r2852_4_mode_r_below_the_minimum_is_not_supported() {
        assert_eq!(parse(Some(b"59;R"), 60), Err(Defect::BelowDeliverBy(60)));
        assert_eq!(parse(Some(b"60;R"), 60), by(60, false, false));
        assert_eq!(parse(Some(b"59;N"), 60), by(59, true, false));
    }

    proptest! {
        #[test]
        fn r2852_4_any_octets_do_no_harm(octets: Vec<u8>) {
            let _ = parse(Some(&octets), 60);
        }
    }
}
