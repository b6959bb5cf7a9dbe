//! base64 as AUTH has it (RFC 4954 section 4, RFC 4648 section 4): no other characters, `=` only
//! at the end, length a multiple of four.

use alloc::{string::String, vec::Vec};
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// base64 with padding.
pub fn encode(octets: &[u8]) -> String {
    STANDARD.encode(octets)
}

/// The octets, or `None` where the text is not strict base64.
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    // R4954-4-d
    #[test]
    fn r4954_4_d_base64_is_strict() {
        assert_eq!(decode(b"VXNlcm5hbWU6").as_deref(), Some(&b"Username:"[..]));
        assert_eq!(decode(b"").as_deref(), Some(&b""[..]));
        for bad in [
            &b"VXNl cm5h"[..],
            b"VXNlcm5hbWU6=",
            b"QQ",
            b"QQ=",
            b"Q=Q=",
            b"QR==",
            b"QQ-_",
        ] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
    }
}
