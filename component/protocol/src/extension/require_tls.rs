//! REQUIRETLS: every hop must use TLS (RFC 8689 section 2).

use super::{Defect, parameter::flag};

/// The parameter's and the EHLO keyword, which has no parameter.
pub const REQUIRETLS: &str = "REQUIRETLS";

/// Takes no value.
pub(super) fn parse(value: Option<&[u8]>) -> Result<bool, Defect> {
    flag(value, REQUIRETLS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r8689_2_takes_no_value() {
        assert_eq!(parse(None), Ok(true));
        assert_eq!(parse(Some(b"1")), Err(Defect::BadValue(REQUIRETLS)));
    }
}
