//! DSN: RET and ENVID of MAIL, NOTIFY and ORCPT of RCPT (RFC 3461 section 4, RFC 6533 section 3).
//!
//! ENVID and ORCPT are kept as they came, because they are relayed octet for octet
//! (R3461-5.2.1).

use super::Defect;
use crate::{
    contract::{DsnReturn, Notify},
    smtp::xtext,
};
use alloc::string::String;

/// The EHLO keyword.
pub const DSN: &str = "DSN";
/// What a failure report carries.
pub const RET: &str = "RET";
/// The sender's name for the message.
pub const ENVID: &str = "ENVID";
/// When to report.
pub const NOTIFY: &str = "NOTIFY";
/// The recipient that the sender named.
pub const ORCPT: &str = "ORCPT";

/// Octets of ENVID at most (RFC 3461 section 4.4).
const MOST_ENVID: usize = 100;
/// Octets of ORCPT at most (RFC 3461 section 4.2).
const MOST_ORCPT: usize = 500;
/// Octets of an address type: those that are registered have a dozen at most.
const MOST_TYPE: usize = 64;

/// FULL or HDRS in any case (R3461-4.3).
pub(super) fn ret(value: Option<&[u8]>) -> Result<DsnReturn, Defect> {
    match value {
        Some(value) if value.eq_ignore_ascii_case(b"FULL") => Ok(DsnReturn::Full),
        Some(value) if value.eq_ignore_ascii_case(b"HDRS") => Ok(DsnReturn::Headers),
        _ => Err(Defect::BadValue(RET)),
    }
}

/// xtext of printable ASCII (R3461-4.4).
pub(super) fn envid(value: Option<&[u8]>) -> Result<String, Defect> {
    value
        .filter(|value| (1..=MOST_ENVID).contains(&value.len()))
        .filter(|value| is_printable_xtext(value))
        .and_then(text)
        .ok_or(Defect::BadValue(ENVID))
}

/// NEVER alone, or a list of SUCCESS, FAILURE, DELAY, in any case (R3461-4.1).
pub(super) fn notify(value: Option<&[u8]>) -> Result<Notify, Defect> {
    let value = value.ok_or(Defect::BadValue(NOTIFY))?;
    if value.eq_ignore_ascii_case(b"NEVER") {
        return Ok(Notify {
            never: true,
            ..Notify::default()
        });
    }
    let mut notify = Notify::default();
    for word in value.split(|octet| *octet == b',') {
        match word.to_ascii_uppercase().as_slice() {
            b"SUCCESS" => notify.success = true,
            b"FAILURE" => notify.failure = true,
            b"DELAY" => notify.delay = true,
            _ => return Err(Defect::BadValue(NOTIFY)),
        }
    }
    Ok(notify)
}

/// `addr-type ";" xtext`, the xtext of printable ASCII; for `utf-8` also the forms of RFC 6533
/// section 3, where a backslash begins an escape, with UTF-8 itself only under SMTPUTF8
/// (R3461-4.2). Type and address as they came.
pub(super) fn orcpt(value: Option<&[u8]>, smtputf8: bool) -> Result<(String, String), Defect> {
    value
        .filter(|value| value.len() <= MOST_ORCPT)
        .and_then(|value| {
            let semicolon = memchr::memchr(b';', value)?;
            let (kind, address) = (&value[..semicolon], &value[semicolon + 1..]);
            let sound = kind.len() <= MOST_TYPE
                && is_atom(kind)
                && if kind.eq_ignore_ascii_case(b"utf-8") {
                    is_utf8_address(text(address)?.as_str(), smtputf8)
                        || !address.contains(&b'\\') && is_printable_xtext(address)
                } else {
                    is_printable_xtext(address)
                };
            Some((text(kind)?, text(address)?)).filter(|_| sound)
        })
        .ok_or(Defect::BadValue(ORCPT))
}

fn text(octets: &[u8]) -> Option<String> {
    core::str::from_utf8(octets).ok().map(String::from)
}

fn is_printable_xtext(value: &[u8]) -> bool {
    xtext::decode(value)
        .is_some_and(|decoded| decoded.iter().all(|octet| matches!(octet, b' '..=b'~')))
}

/// `atom` (RFC 822): what is printable and not special.
fn is_atom(text: &[u8]) -> bool {
    let is_atom_octet =
        |octet: &u8| matches!(octet, b'!'..=b'~') && !b"()<>@,;:\\\".[]".contains(octet);
    !text.is_empty() && text.iter().all(is_atom_octet)
}

/// `utf-8-addr-xtext` or, with `smtputf8`, `utf-8-addr-unitext` (RFC 6533 section 3): QCHAR and
/// `\x{…}`.
fn is_utf8_address(address: &str, smtputf8: bool) -> bool {
    let mut rest = address;
    while let Some(first) = rest.chars().next() {
        rest = &rest[first.len_utf8()..];
        match first {
            '\\' => match embedded(rest) {
                Some(after) => rest = after,
                None => return false,
            },
            '+' | '=' => return false,
            '!'..='~' => {}
            other if smtputf8 && !other.is_ascii() && !other.is_control() => {}
            _ => return false,
        }
    }
    !address.is_empty()
}

/// What follows `x{HEXPOINT}`: a character that is no control, in upper-case hex digits without
/// leading zeros.
fn embedded(text: &str) -> Option<&str> {
    let (digits, after) = text.strip_prefix("x{")?.split_once('}')?;
    let sound = (2..=6).contains(&digits.len())
        && !digits.starts_with('0')
        && digits
            .bytes()
            .all(|digit| matches!(digit, b'0'..=b'9' | b'A'..=b'F'));
    let point = u32::from_str_radix(digits, 16).ok().filter(|_| sound)?;
    let character = char::from_u32(point)?;
    (!character.is_control()).then_some(after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{format, vec::Vec};

    #[test]
    fn r3461_4_3_ret_is_full_or_hdrs() {
        assert_eq!(ret(Some(b"full")), Ok(DsnReturn::Full));
        assert_eq!(ret(Some(b"HDRS")), Ok(DsnReturn::Headers));
        for bad in [None, Some(&b""[..]), Some(b"HEADERS"), Some(b"FULL,HDRS")] {
            assert_eq!(ret(bad), Err(Defect::BadValue(RET)));
        }
    }

    #[test]
    fn r3461_4_4_envid_is_xtext_of_up_to_100_octets() {
        for good in ["QQ314159", "a+2Bb+3Dc", "with+20space", &"e".repeat(100)] {
            assert_eq!(envid(Some(good.as_bytes())), Ok(good.into()));
        }
        for bad in [
            "",
            "a=b",
            "a+2b",
            "+0A",
            "+7F",
            "+C3+A9",
            "\u{e9}",
            &"e".repeat(101),
        ] {
            let read = envid(Some(bad.as_bytes()));
            assert_eq!(read, Err(Defect::BadValue(ENVID)), "{bad}");
        }
        assert_eq!(envid(None), Err(Defect::BadValue(ENVID)));
    }

    #[test]
    fn r3461_4_1_notify_is_never_or_a_list() {
        let never = Notify {
            never: true,
            ..Notify::default()
        };
        let all = Notify {
            never: false,
            success: true,
            failure: true,
            delay: true,
        };
        assert_eq!(notify(Some(b"Never")), Ok(never));
        assert_eq!(notify(Some(b"success,DELAY,Failure")), Ok(all));
        let failure = Notify {
            failure: true,
            ..Notify::default()
        };
        assert_eq!(notify(Some(b"FAILURE")), Ok(failure));
        for bad in [
            "",
            ",",
            "NEVER,FAILURE",
            "FAILURE,NEVER",
            "FAILURE,",
            "FAILURE;DELAY",
            "ALWAYS",
        ] {
            let read = notify(Some(bad.as_bytes()));
            assert_eq!(read, Err(Defect::BadValue(NOTIFY)), "{bad}");
        }
        assert_eq!(notify(None), Err(Defect::BadValue(NOTIFY)));
    }

    #[test]
    fn r3461_4_2_orcpt_is_type_and_xtext() {
        for (kind, address) in [
            ("rfc822", "Bob@Example.com"),
            ("RFC822", "e+3Dmc2@example.com"),
            ("rfc822", "+22a+20b+22@example.com"),
            ("x-local", "a;b"),
            ("utf-8", "e+3Dmc2@example.com"),
        ] {
            let value = format!("{kind};{address}");
            assert_eq!(
                orcpt(Some(value.as_bytes()), false),
                Ok((kind.into(), address.into()))
            );
        }
        let long = format!("rfc822;{}", "a".repeat(493));
        assert_eq!(long.len(), 500);
        assert!(orcpt(Some(long.as_bytes()), false).is_ok());
        for bad in [
            "",
            "a@b.c",
            ";a@b.c",
            "rfc 822;a",
            "rfc.822;a",
            "rfc822;a=b",
            "rfc822;+3d",
            "rfc822;+0D+0A",
            "rfc822;+C3+A9",
            "rfc822;\u{e9}@b.c",
            "rfc822;a\\x{E9}=",
            &format!("{long}a"),
        ] {
            let read = orcpt(Some(bad.as_bytes()), true);
            assert_eq!(read, Err(Defect::BadValue(ORCPT)), "{bad}");
        }
        assert_eq!(orcpt(None, true), Err(Defect::BadValue(ORCPT)));
    }

    #[test]
    fn r3461_4_2_orcpt_of_type_utf_8_has_the_forms_of_rfc_6533() {
        let read = |value: &str, smtputf8| orcpt(Some(value.as_bytes()), smtputf8).is_ok();
        for good in [
            "utf-8;\\x{E9}@b.c",
            "UTF-8;a\\x{2B}b\\x{3D}\\x{20}@b.c",
            "utf-8;\\x{10FFFF}@b.c",
        ] {
            assert!(read(good, false), "{good}");
        }
        assert!(read("utf-8;\u{e9}@b\u{fc}.c", true));
        assert!(!read("utf-8;\u{e9}@b.c", false));
        for bad in [
            "utf-8;\\x{e9}@b.c",
            "utf-8;\\x{0E9}@b.c",
            "utf-8;\\x{D800}@b.c",
            "utf-8;\\x{110000}@b.c",
            "utf-8;\\x{0A}@b.c",
            "utf-8;\\x{1A}@b.c",
            "utf-8;\\x{E9@b.c",
            "utf-8;\\E9@b.c",
            "utf-8;\\x{}@b.c",
            "utf-8;\\x{E9}+20@b.c",
            "utf-8;\u{85}@b.c",
        ] {
            assert!(!read(bad, true), "{bad}");
        }
        assert!(orcpt(Some(b"utf-8;\xff@b.c"), true).is_err());
    }

    proptest! {
        #[test]
        fn r3461_4_any_octets_do_no_harm(octets: Vec<u8>, smtputf8: bool) {
            let _ = (ret(Some(&octets)), notify(Some(&octets)));
            if let Ok(envid) = envid(Some(&octets)) {
                prop_assert_eq!(envid.as_bytes(), &octets);
            }
            if let Ok((kind, address)) = orcpt(Some(&octets), smtputf8) {
                let again = format!("{kind};{address}");
                prop_assert_eq!(again.as_bytes(), &octets);
            }
        }
    }
}
