//! SIZE: message size declaration (RFC 1870).

use super::{Defect, Offered, parameter::number};
use alloc::{format, string::String};

/// The parameter's and the EHLO keyword.
pub const SIZE: &str = "SIZE";

/// Digits at most (RFC 1870 section 6).
const MOST_DIGITS: usize = 20;

/// The EHLO line; 0: no limit (R1870-4).
pub fn keyword(limit: u64) -> String {
    format!("{SIZE} {limit}")
}

/// The limit in a server's EHLO line, given what follows the keyword. 0 or no number: unknown
/// (R1870-4).
pub fn limit(parameters: &str) -> Option<u64> {
    number(parameters.trim().as_bytes(), MOST_DIGITS).filter(|limit| *limit > 0)
}

/// The declared size in octets (R1870-6.1-a).
pub(super) fn parse(value: Option<&[u8]>, offered: &Offered) -> Result<u64, Defect> {
    let size = value
        .and_then(|value| number(value, MOST_DIGITS))
        .ok_or(Defect::BadValue(SIZE))?;
    if offered.size > 0 && size > offered.size {
        return Err(Defect::TooLarge(offered.size));
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r1870_4_the_line_and_how_it_is_read() {
        assert_eq!(keyword(52_428_800), "SIZE 52428800");
        assert_eq!(keyword(0), "SIZE 0");
        assert_eq!(limit("52428800"), Some(52_428_800));
        for unknown in ["", "0", "x", "-1"] {
            assert_eq!(limit(unknown), None);
        }
    }

    #[test]
    fn r1870_6_1_a_size_is_1_to_20_digits_within_the_limit() {
        let mut offered = Offered {
            size: 1000,
            ..Offered::default()
        };
        assert_eq!(parse(Some(b"1000"), &offered), Ok(1000));
        assert_eq!(parse(Some(b"00000000000000001000"), &offered), Ok(1000));
        assert_eq!(parse(Some(b"1001"), &offered), Err(Defect::TooLarge(1000)));
        let most = Some(&b"99999999999999999999"[..]);
        assert_eq!(parse(most, &offered), Err(Defect::TooLarge(1000)));
        for bad in [
            None,
            Some(&b""[..]),
            Some(b"1k"),
            Some(b"-1"),
            Some(b"000000000000000000001"),
        ] {
            assert_eq!(parse(bad, &offered), Err(Defect::BadValue(SIZE)));
        }
        offered.size = 0;
        assert_eq!(parse(most, &offered), Ok(u64::MAX));
    }
}
