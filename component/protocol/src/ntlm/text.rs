//! Names in messages: UTF-16LE, or one octet a character ([MS-NLMP] section 2.2.2.5), and the
//! upper case that NTOWFv2 wants.

use alloc::{string::String, vec::Vec};

/// UTF-16LE.
pub fn utf16le(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// The text of UTF-16LE octets; `None` for an odd number of them and for lone surrogates.
pub fn from_utf16le(octets: &[u8]) -> Option<String> {
    let (units, []) = octets.as_chunks::<2>() else {
        return None;
    };
    char::decode_utf16(units.iter().map(|unit| u16::from_le_bytes(*unit)))
        .collect::<Result<_, _>>()
        .ok()
}

/// The text of octets in a character set that nobody named: ASCII (NLMP-2.2.2.5). Octets above
/// 127 are read as Latin-1, which is how curl-like clients widen them for the hash.
pub fn from_oem(octets: &[u8]) -> String {
    octets.iter().map(|octet| char::from(*octet)).collect()
}

/// ASCII for a peer without UNICODE; other characters become `?`.
pub fn oem(text: &str) -> Vec<u8> {
    text.chars()
        .map(|char| u8::try_from(char).ok().filter(u8::is_ascii).unwrap_or(b'?'))
        .collect()
}

/// Upper case by simple Unicode mapping, one character to one (NLMP-3.3.2-a).
pub fn upper(text: &str) -> String {
    text.chars().map(upper_char).collect()
}

fn upper_char(char: char) -> char {
    // Full and simple mapping differ for these: the full one writes iota as a letter of its own.
    match char {
        '\u{1F80}'..='\u{1F87}' | '\u{1F90}'..='\u{1F97}' | '\u{1FA0}'..='\u{1FA7}' => {
            return char::from_u32(char as u32 + 8).unwrap_or(char);
        }
        '\u{1FB3}' | '\u{1FC3}' | '\u{1FF3}' => {
            return char::from_u32(char as u32 + 9).unwrap_or(char);
        }
        _ => {}
    }
    let mut mapped = char.to_uppercase();
    match (mapped.next(), mapped.next()) {
        (Some(upper), None) => upper,
        // No simple mapping (`ß`): unchanged.
        _ => char,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nlmp_3_3_2_a_user_is_upper_cased_one_to_one() {
        // UnicodeData.txt, field 12.
        for (text, expected) in [
            ("User", "USER"),
            ("jürgen.groß", "JÜRGEN.GROß"),
            ("ÿ", "Ÿ"),
            ("σς", "ΣΣ"),
            ("ﬁ", "ﬁ"),
            ("ᾳᾀᾐᾧῃῳ", "ᾼᾈᾘᾯῌῼ"),
            ("ᾶ", "ᾶ"),
            ("𐐨", "𐐀"),
            ("漢字", "漢字"),
        ] {
            assert_eq!(upper(text), expected);
        }
    }

    #[test]
    fn nlmp_2_2_2_5_names_are_utf_16_or_single_octets() {
        assert_eq!(utf16le("aÄ𐐀"), b"a\0\xC4\0\x01\xD8\0\xDC");
        assert_eq!(
            from_utf16le(b"a\0\xC4\0\x01\xD8\0\xDC").as_deref(),
            Some("aÄ𐐀")
        );
        assert_eq!(from_utf16le(b"a"), None);
        assert_eq!(from_utf16le(b"\0\xD8"), None);
        assert_eq!(oem("mäil"), b"m?il");
        assert_eq!(from_oem(b"m\xE4il"), "mäil");
    }
}
