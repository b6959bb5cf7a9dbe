//! Names in a GS2 header and in SCRAM (RFC 5801 section 4, RFC 5802 section 5.1: saslname).

use alloc::string::String;

/// The name with its commas and equals signs escaped.
pub(super) fn escaped(name: &str) -> String {
    // `=` first: the other escape has one.
    name.replace('=', "=3D").replace(',', "=2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r5802_5_a_commas_and_equals_signs_are_escaped() {
        assert_eq!(escaped("a=b,c=2C"), "a=3Db=2Cc=3D2C");
        assert_eq!(escaped("jürgen"), "jürgen");
    }
}
