//! Date and time of RFC 3339 section 5.6, in UTC.

use super::parameter::number;
use alloc::{format, string::String};

const SECONDS_OF_DAY: i64 = 86_400;

/// `2026-01-31T12:00:00Z` as seconds since 1970-01-01T00:00:00Z, and whether a fraction that is
/// not zero follows. `Z`, `+00:00` and `-00:00` are UTC; other offsets are not taken.
pub(super) fn parse(text: &[u8]) -> Option<(i64, bool)> {
    let (date_time, rest) = text.split_at_checked(19)?;
    let field = |from: usize, to: usize| number(&date_time[from..to], 4);
    let sound = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')]
        .into_iter()
        .all(|(at, octet)| date_time[at] == octet)
        && date_time[10].eq_ignore_ascii_case(&b'T');
    if !sound {
        return None;
    }
    let (year, month, day) = (field(0, 4)?, field(5, 7)?, field(8, 10)?);
    let (hour, minute, second) = (field(11, 13)?, field(14, 16)?, field(17, 19)?);
    let (year, month, day) = (
        i64::try_from(year).ok()?,
        i64::try_from(month).ok()?,
        i64::try_from(day).ok()?,
    );
    // 60 is a leap second, the same as the next 00 here.
    if !(1..=12).contains(&month)
        || !(1..=days_of_month(year, month)).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    let (fraction, zone) = match rest {
        [b'.', rest @ ..] => {
            let end = rest.iter().position(|octet| !octet.is_ascii_digit())?;
            if end == 0 {
                return None;
            }
            rest.split_at(end)
        }
        rest => (&rest[..0], rest),
    };
    if !matches!(zone, b"Z" | b"z" | b"+00:00" | b"-00:00") {
        return None;
    }
    let of_day = i64::try_from(hour * 3600 + minute * 60 + second).ok()?;
    let seconds = day_number(year, month, day) * SECONDS_OF_DAY + of_day;
    Some((seconds, fraction.iter().any(|digit| *digit != b'0')))
}

/// Seconds since 1970-01-01T00:00:00Z as `2026-01-31T12:00:00Z`.
pub(super) fn format(seconds: u64) -> String {
    // The year 9999 ends there; four digits are all that the form has.
    let seconds = i64::try_from(seconds.min(253_402_300_799)).unwrap_or(0);
    let (mut day, of_day) = (seconds / SECONDS_OF_DAY, seconds % SECONDS_OF_DAY);
    let mut year = 1970;
    // 400 years have 146,097 days; then year by year.
    year += day / 146_097 * 400;
    day %= 146_097;
    while day >= days_of_year(year) {
        day -= days_of_year(year);
        year += 1;
    }
    let mut month = 1;
    while day >= days_of_month(year, month) {
        day -= days_of_month(year, month);
        month += 1;
    }
    format!(
        "{year:04}-{month:02}-{:02}T{:02}:{:02}:{:02}Z",
        day + 1,
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60
    )
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of_year(year: i64) -> i64 {
    if is_leap(year) { 366 } else { 365 }
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 of the Gregorian calendar, backwards too.
fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let before = year - 1;
    let leap_days = before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400);
    let of_months: i64 = (1..month).map(|month| days_of_month(year, month)).sum();
    // 719,162 days lie before 1970-01-01.
    before * 365 + leap_days + of_months + day - 1 - 719_162
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    // Numbers from `date -u -d … +%s` of GNU coreutils.
    const KNOWN: [(&str, i64); 6] = [
        ("1970-01-01T00:00:00Z", 0),
        ("2000-02-29T12:34:56Z", 951_827_696),
        ("2026-11-25T01:17:20Z", 1_795_569_440),
        ("2038-01-19T03:14:08Z", 2_147_483_648),
        ("2100-03-01T00:00:00Z", 4_107_542_400),
        ("9999-12-31T23:59:59Z", 253_402_300_799),
    ];

    #[test]
    fn r4865_4_known_dates() {
        for (text, seconds) in KNOWN {
            assert_eq!(parse(text.as_bytes()), Some((seconds, false)), "{text}");
            assert_eq!(format(seconds.unsigned_abs()), text);
        }
        assert_eq!(parse(b"1969-12-31T23:59:59Z"), Some((-1, false)));
        assert_eq!(
            parse(b"0001-01-01T00:00:00Z"),
            Some((-62_135_596_800, false))
        );
    }

    #[test]
    fn r4865_4_forms_of_rfc_3339_in_utc() {
        for (text, fraction) in [
            ("1970-01-01t00:00:01z", false),
            ("1970-01-01T00:00:01+00:00", false),
            ("1970-01-01T00:00:01-00:00", false),
            ("1970-01-01T00:00:01.000Z", false),
            ("1970-01-01T00:00:01.5Z", true),
            ("1970-01-01T00:00:01.0000000001Z", true),
        ] {
            assert_eq!(parse(text.as_bytes()), Some((1, fraction)), "{text}");
        }
        assert_eq!(
            parse(b"1972-06-30T23:59:60Z"),
            parse(b"1972-07-01T00:00:00Z")
        );
    }

    #[test]
    fn r4865_4_what_is_no_date_in_utc() {
        for bad in [
            "",
            "2026-01-01",
            "2026-01-01T00:00:00",
            "2026-01-01 00:00:00Z",
            "2026-1-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:61Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00.5",
            "2026-01-01T00:00:00+01:00",
            "2026-01-01T00:00:00ZZ",
            "+026-01-01T00:00:00Z",
            "12026-01-01T00:00:00Z",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn r4865_4_what_was_written_is_read(seconds in 0..253_402_300_800u64) {
            let read = parse(format(seconds).as_bytes());
            prop_assert_eq!(read, Some((i64::try_from(seconds).unwrap_or(-1), false)));
        }

        #[test]
        fn r4865_4_any_octets_do_no_harm(octets in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..40),
            "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{0,3})?Z?"
                .prop_map(|text| text.into_bytes()),
        ]) {
            let octets: Vec<u8> = octets;
            let _ = parse(&octets);
        }
    }
}
