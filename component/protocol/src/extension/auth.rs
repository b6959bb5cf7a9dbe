//! The AUTH parameter of MAIL (RFC 4954 section 5). The AUTH command is `sasl`'s.

use super::Defect;
use crate::smtp::xtext;
use alloc::string::String;

/// Octets of what may be a mailbox, decoded; what is longer is none and counts as `<>`.
const MOST_TEXT: usize = 1_000;

/// The parameter's keyword.
pub const AUTH: &str = "AUTH";

/// The mailbox that a relay says submitted the message, decoded; empty for `<>`.
///
/// Relays also send what is no mailbox (`AUTH=user`): it is given to the host as it is, which
/// logs it and trusts neither (R4954-5-a). What cannot be text counts as `<>`.
pub(super) fn mailbox(value: Option<&[u8]>) -> Result<String, Defect> {
    let value = value.filter(|value| !value.is_empty());
    let decoded = value
        .and_then(xtext::decode)
        .ok_or(Defect::BadValue(AUTH))?;
    if decoded == b"<>" {
        return Ok(String::new());
    }
    let text = String::from_utf8(decoded).ok();
    Ok(text
        .filter(|text| text.len() <= MOST_TEXT && !text.chars().any(char::is_control))
        .unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r4954_5_a_auth_is_xtext_of_anything() {
        for (value, mailbox) in [
            (&b"<>"[..], ""),
            (b"e+3Dmc2@example.com", "e=mc2@example.com"),
            (b"user", "user"),
            (b"+C3+A9@example.com", "\u{e9}@example.com"),
            (b"+FF", ""),
            (b"a+0D+0Ab", ""),
        ] {
            assert_eq!(super::mailbox(Some(value)), Ok(mailbox.into()), "{value:?}");
        }
    }

    #[test]
    fn r4954_5_a_what_is_too_long_for_a_mailbox_is_none() {
        assert_eq!(super::mailbox(Some(&[b'a'; 1_000])), Ok("a".repeat(1_000)));
        assert_eq!(super::mailbox(Some(&[b'a'; 1_001])), Ok(String::new()));
    }

    #[test]
    fn r4954_5_a_what_is_no_xtext_is_refused() {
        for bad in [
            None,
            Some(&b""[..]),
            Some(b"a=b"),
            Some(b"+3d"),
            Some(b"\xc3\xa9"),
        ] {
            assert_eq!(mailbox(bad), Err(Defect::BadValue(AUTH)), "{bad:?}");
        }
    }
}
