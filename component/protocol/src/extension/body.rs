//! 8BITMIME and BINARYMIME: the BODY parameter of MAIL (RFC 6152 section 3, RFC 3030 section 3).

use super::{Defect, Offered};
use crate::contract::BodyType;

/// The parameter's keyword.
pub const BODY: &str = "BODY";
/// The EHLO keyword of binary content, and the parameter's value; it has no parameter.
pub const BINARYMIME: &str = "BINARYMIME";

/// `7BIT`, `8BITMIME` or `BINARYMIME`, in any case.
pub(super) fn parse(value: Option<&[u8]>, offered: &Offered) -> Result<BodyType, Defect> {
    match value {
        Some(value) if value.eq_ignore_ascii_case(b"7BIT") => Ok(BodyType::SevenBit),
        Some(value) if value.eq_ignore_ascii_case(b"8BITMIME") => Ok(BodyType::EightBitMime),
        // R3030-3-a: not offered, it is a bad value.
        Some(value) if offered.binarymime && value.eq_ignore_ascii_case(BINARYMIME.as_bytes()) => {
            Ok(BodyType::BinaryMime)
        }
        _ => Err(Defect::BadValue(BODY)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r6152_3_a_seven_and_eight_bit_in_any_case() {
        let offered = Offered::default();
        assert_eq!(parse(Some(b"7bit"), &offered), Ok(BodyType::SevenBit));
        assert_eq!(
            parse(Some(b"8BitMime"), &offered),
            Ok(BodyType::EightBitMime)
        );
        for bad in [None, Some(&b""[..]), Some(b"9BIT"), Some(b"8BITMIMEX")] {
            assert_eq!(parse(bad, &offered), Err(Defect::BadValue(BODY)));
        }
    }

    #[test]
    fn r3030_3_a_binarymime_only_where_offered() {
        let mut offered = Offered::default();
        let value = Some(&b"BINARYMIME"[..]);
        assert_eq!(parse(value, &offered), Err(Defect::BadValue(BODY)));
        offered.binarymime = true;
        assert_eq!(parse(value, &offered), Ok(BodyType::BinaryMime));
    }
}
