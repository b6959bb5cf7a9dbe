//! MT-PRIORITY: message transfer priorities (RFC 6710).

use super::Defect;

/// The parameter's and the EHLO keyword.
pub const MT_PRIORITY: &str = "MT-PRIORITY";

/// -9 to 9, without a plus sign, a leading zero or minus zero (R6710-4.1-a).
pub(super) fn parse(value: Option<&[u8]>) -> Result<i8, Defect> {
    let digit = |digit: &u8| i8::try_from(digit - b'0').map_err(|_| Defect::BadPriority);
    match value {
        Some([b'-', one @ b'1'..=b'9']) => Ok(-digit(one)?),
        Some([one @ b'0'..=b'9']) => digit(one),
        _ => Err(Defect::BadPriority),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn r6710_4_1_a_minus_9_to_9() {
        for priority in -9..=9i8 {
            let value = priority.to_string();
            assert_eq!(parse(Some(value.as_bytes())), Ok(priority));
        }
        for bad in ["", "+1", "01", "-0", "00", "10", "-10", "1 ", "x", "-"] {
            assert_eq!(
                parse(Some(bad.as_bytes())),
                Err(Defect::BadPriority),
                "{bad}"
            );
        }
        assert_eq!(parse(None), Err(Defect::BadPriority));
    }
}
