//! The date-time of header and trace fields (RFC 5322 section 3.3, obsolete forms of section 4.3).

use super::cfws::Cursor;
use crate::environment::Moment;
use alloc::{format, string::String};

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

const DAY_SECONDS: u64 = 86_400;

/// 9999-12-31T23:59:59Z: a year has four digits (R5321-4.4-b), so a later moment becomes this one.
const LAST_SECOND: u64 = 253_402_300_799;

/// `Wed, 25 Nov 2026 01:21:49 +0000`, always in universal time.
pub fn date_time(moment: Moment) -> String {
    let seconds = moment.seconds.min(LAST_SECOND);
    let days = seconds / DAY_SECONDS;
    let time = seconds % DAY_SECONDS;
    let (year, month, day) = civil(days);
    // 1970-01-01 was a Thursday.
    let weekday = DAYS[usize::try_from((days + 3) % 7).unwrap_or(0)];
    format!(
        "{weekday}, {day:02} {} {year:04} {:02}:{:02}:{:02} +0000",
        MONTHS[usize::try_from(month - 1).unwrap_or(0)],
        time / 3600,
        time / 60 % 60,
        time % 60,
    )
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
fn civil(days: u64) -> (u64, u64, u64) {
    // Years begin in March here, so that the leap day is the last of its year.
    let from_march_0000 = days + 719_468;
    let era = from_march_0000 / 146_097;
    let day_of_era = from_march_0000 % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

/// Whether the body of a Date field is a date-time, obsolete forms included (R6409-8.2-b).
///
/// A day of the week that is not the date's own is a mistake of meaning, not of syntax.
pub fn is_valid(body: &[u8]) -> bool {
    parse(body).is_some()
}

fn parse(body: &[u8]) -> Option<()> {
    let mut cursor = Cursor::new(body);
    cursor.skip();
    if cursor.peek()?.is_ascii_alphabetic() {
        name(&mut cursor, &DAYS)?;
        cursor.skip();
        cursor.eat(b',').then_some(())?;
        cursor.skip();
    }
    let day = number(&mut cursor, 1, 2)?;
    cursor.skip();
    let month = name(&mut cursor, &MONTHS)?;
    cursor.skip();
    let (year, digits) = year(&mut cursor)?;
    (1..=month_length(year, digits, month))
        .contains(&day)
        .then_some(())?;
    cursor.skip().then_some(())?;
    let hour = number(&mut cursor, 2, 2)?;
    cursor.skip();
    cursor.eat(b':').then_some(())?;
    cursor.skip();
    let minute = number(&mut cursor, 2, 2)?;
    let mut spaced = cursor.skip();
    let mut second = 0;
    if cursor.eat(b':') {
        cursor.skip();
        second = number(&mut cursor, 2, 2)?;
        spaced = cursor.skip();
    }
    // 60: a leap second.
    (hour <= 23 && minute <= 59 && second <= 60).then_some(())?;
    zone(&mut cursor, spaced)?;
    cursor.skip();
    cursor.is_end().then_some(())
}

/// The index of the name in any case (RFC 5234 section 2.3).
fn name(cursor: &mut Cursor<'_>, names: &[&str]) -> Option<usize> {
    let word = cursor.run(|octet| octet.is_ascii_alphabetic());
    names
        .iter()
        .position(|name| word.eq_ignore_ascii_case(name.as_bytes()))
}

fn number(cursor: &mut Cursor<'_>, least: usize, most: usize) -> Option<u32> {
    let digits = cursor.run(|octet| octet.is_ascii_digit());
    (least..=most).contains(&digits.len()).then_some(())?;
    digits.iter().try_fold(0_u32, |value, digit| {
        value.checked_mul(10)?.checked_add(u32::from(digit - b'0'))
    })
}

/// Year from 1900 on, or two or three digits (RFC 5322 section 4.3).
fn year(cursor: &mut Cursor<'_>) -> Option<(u32, usize)> {
    let mut digits = cursor.clone();
    let length = digits.run(|octet| octet.is_ascii_digit()).len();
    let year = number(cursor, 2, 9)?;
    match length {
        2 if year < 50 => Some((2000 + year, length)),
        2 | 3 => Some((1900 + year, length)),
        _ if year >= 1900 => Some((year, length)),
        _ => None,
    }
}

fn month_length(year: u32, digits: usize, month: usize) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        // The century of a short year is a guess: do not refuse a day because of it.
        1 if leap || digits < 4 => 29,
        1 => 28,
        3 | 5 | 8 | 10 => 30,
        _ => 31,
    }
}

/// `+hhmm` after white space, or an obsolete zone; RFC 5322 section 4.3 lets unknown names of
/// three to five letters stand for -0000.
fn zone(cursor: &mut Cursor<'_>, spaced: bool) -> Option<()> {
    if cursor.eat(b'+') || cursor.eat(b'-') {
        let zone = number(cursor, 4, 4)?;
        return (spaced && zone % 100 <= 59).then_some(());
    }
    match cursor.run(|octet| octet.is_ascii_alphabetic()) {
        // The military zones have no J.
        [letter] => (!letter.eq_ignore_ascii_case(&b'J')).then_some(()),
        [first, second] => [*first, *second].eq_ignore_ascii_case(b"UT").then_some(()),
        name => (3..=5).contains(&name.len()).then_some(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: u64) -> String {
        date_time(Moment {
            seconds,
            nanoseconds: 0,
        })
    }

    // Computed with `date -u -R -d @N`.
    #[test]
    fn r5321_4_4_b_dates_have_a_numeric_zone_and_a_year_of_four_digits() {
        assert_eq!(at(0), "Thu, 01 Jan 1970 00:00:00 +0000");
        assert_eq!(at(951_782_400), "Tue, 29 Feb 2000 00:00:00 +0000");
        assert_eq!(at(1_795_569_709), "Wed, 25 Nov 2026 01:21:49 +0000");
        assert_eq!(at(4_107_542_399), "Sun, 28 Feb 2100 23:59:59 +0000");
        assert_eq!(at(u64::MAX), "Fri, 31 Dec 9999 23:59:59 +0000");
    }

    // RFC 5322 section 3.3 and appendices A.1, A.5, A.6.2, A.6.3.
    #[test]
    fn r6409_8_2_b_dates_of_rfc_5322_are_valid() {
        for date in [
            "Fri, 21 Nov 1997 09:55:06 -0600",
            "21 Nov 1997 09:55 -0600",
            "1 Apr 2026 23:59:60 +0000",
            "Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n               -0330 (Newfoundland Time)",
            " tue, 1 JUL 2003 10:52:37 +0200",
        ] {
            assert!(is_valid(date.as_bytes()), "{date}");
        }
    }

    #[test]
    fn r6409_8_2_b_obsolete_dates_are_valid() {
        for date in [
            "21 Nov 97 09:55:06 GMT",
            "Fri, 21 Nov 97 09(comment):   55  :  06 -0600",
            "29 Feb 00 09:55:06 EST",
            "1 Jan 103 09:55:06 z",
            "25 Nov 2026 01:21:49 UT",
            "25 Nov 2026 01:21:49 CEST",
        ] {
            assert!(is_valid(date.as_bytes()), "{date}");
        }
    }

    #[test]
    fn r6409_8_2_b_other_dates_are_invalid() {
        for date in [
            "",
            "yesterday",
            "2026-11-25T01:21:49Z",
            "Wed Nov 25 01:21:49 2026",
            "Wed, 25 Nov 2026",
            "Wed, 25 Nov 2026 01:21:49",
            "Wed, 25 Nov 2026 1:21:49 +0000",
            "Wed, 25 Nov 2026 01:21:49 +00:00",
            "Wed, 25 Nov 2026 01:21:49+0000",
            "Wed, 25 Nov 2026 24:00:00 +0000",
            "Wed, 25 Nov 2026 01:60:00 +0000",
            "Wed, 25 Nov 2026 01:21:49 +0060",
            "Wed, 25 Nov 2026 01:21:49 J",
            "Wed, 31 Nov 2026 01:21:49 +0000",
            "Sun, 29 Feb 2026 01:21:49 +0000",
            "Wed 25 Nov 2026 01:21:49 +0000",
            "Foo, 25 Nov 2026 01:21:49 +0000",
            "Wed, 25 Nov 1899 01:21:49 +0000",
            "Wed, 25 Nov 2026 01:21:49 +0000 x",
            "Wed, 25 November 2026 01:21:49 +0000",
        ] {
            assert!(!is_valid(date.as_bytes()), "{date}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_valid(seconds in any::<u64>()) {
            prop_assert!(is_valid(at(seconds).as_bytes()));
            prop_assert!(is_valid(at(seconds % LAST_SECOND).as_bytes()));
        }

        #[test]
        fn no_octets_panic(octets in proptest::collection::vec(any::<u8>(), 0..64)) {
            is_valid(&octets);
        }
    }
}
