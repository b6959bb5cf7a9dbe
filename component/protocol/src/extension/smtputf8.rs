//! SMTPUTF8: internationalized mail (RFC 6531).

use super::{Defect, parameter::flag};

/// The parameter's and the EHLO keyword, which has no parameter (R6531-3.1).
pub const SMTPUTF8: &str = "SMTPUTF8";

/// Takes no value (R6531-3.1).
pub(super) fn parse(value: Option<&[u8]>) -> Result<bool, Defect> {
    flag(value, SMTPUTF8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r6531_3_1_takes_no_value() {
        assert_eq!(parse(None), Ok(true));
        assert_eq!(parse(Some(b"")), Err(Defect::BadValue(SMTPUTF8)));
        assert_eq!(parse(Some(b"YES")), Err(Defect::BadValue(SMTPUTF8)));
    }
}
