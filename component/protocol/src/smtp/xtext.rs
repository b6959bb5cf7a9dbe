//! xtext (RFC 3461 section 4): `+` and two upper-case hex digits for octets outside 33 to 126, `+`
//! and `=`.

use alloc::{string::String, vec::Vec};

/// Exactly the octets that need it are encoded (R3461-4).
pub fn encode(octets: &[u8]) -> String {
    const HEX: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    let mut text = String::with_capacity(octets.len());
    for octet in octets {
        if is_bare(*octet) {
            text.push(char::from(*octet));
        } else {
            text.push('+');
            text.push(HEX[usize::from(octet >> 4)]);
            text.push(HEX[usize::from(octet & 15)]);
        }
    }
    text
}

/// The octets, or `None` where the text is not xtext (R3461-4).
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        if *first == b'+' {
            let (hex, after) = after.split_first_chunk::<2>()?;
            octets.push(digit(hex[0])? << 4 | digit(hex[1])?);
            rest = after;
        } else if is_bare(*first) {
            octets.push(*first);
            rest = after;
        } else {
            return None;
        }
    }
    Some(octets)
}

fn is_bare(octet: u8) -> bool {
    matches!(octet, b'!'..=b'~') && !matches!(octet, b'+' | b'=')
}

fn digit(octet: u8) -> Option<u8> {
    match octet {
        b'0'..=b'9' => Some(octet - b'0'),
        b'A'..=b'F' => Some(octet - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn r3461_4_encodes_exactly_what_needs_it() {
        assert_eq!(encode(b"a+b=c d!~\x7f\xc3"), "a+2Bb+3Dc+20d!~+7F+C3");
    }

    #[test]
    fn r3461_4_decodes() {
        assert_eq!(decode(b"").as_deref(), Some(&b""[..]));
        assert_eq!(
            decode(b"e+3Dmc2@example.com").as_deref(),
            Some(&b"e=mc2@example.com"[..])
        );
        // An octet that needs no encoding may have it.
        assert_eq!(decode(b"+41").as_deref(), Some(&b"A"[..]));
    }

    #[test]
    fn r3461_4_refuses_all_else() {
        for bad in [
            &b"+"[..],
            b"+4",
            b"+3d",
            b"+G0",
            b"a=b",
            b"a b",
            b"a\tb",
            b"\x7f",
            b"\xc3\xa9",
        ] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn r3461_4_what_was_encoded_decodes(octets: Vec<u8>) {
            prop_assert_eq!(decode(encode(&octets).as_bytes()), Some(octets));
        }

        #[test]
        fn r3461_4_any_octets_do_no_harm(octets: Vec<u8>) {
            if let Some(decoded) = decode(&octets) {
                prop_assert!(decoded.len() <= octets.len());
            }
        }
    }
}
