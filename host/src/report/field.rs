//! Fields of header sections and of message/delivery-status (RFC 5322 section 2.2, RFC 3464 section
//! 2.1.1), and what strangers wrote made fit for them.
//!
//! Nothing that comes from outside gets into a field or a line but through [`visible`] or
//! [`one_line`]: no control character, no line without an end.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

/// Length at which fields and text are folded (RFC 5322 section 2.1.1: 78 at best).
pub(super) const FOLD: usize = 76;
/// Most octets of a value that must not be broken. With its name it fits a line of 998.
const LONGEST: usize = 900;
/// Most octets of a word in text that may be broken.
const LONGEST_WORD: usize = 400;

/// Appends a field.
pub(super) fn field(to: &mut String, name: &str, value: &str) {
    fold(to, name, std::iter::once(value));
}

/// Appends a field whose value has these lines; each begins a line of its own.
pub(super) fn fold<'a>(to: &mut String, name: &str, lines: impl Iterator<Item = &'a str>) {
    to.push_str(name);
    to.push(':');
    let mut length = name.len() + 1;
    for (number, line) in lines.enumerate() {
        if number > 0 {
            to.push_str("\r\n");
            length = 0;
        }
        for (position, word) in line.trim_end().split(' ').enumerate() {
            // An empty word stands between two spaces; folded there, a line would be blank.
            if position > 0 && !word.is_empty() && length + 1 + word.len() > FOLD {
                to.push_str("\r\n");
                length = 0;
            }
            to.push(' ');
            to.push_str(word);
            length += 1 + word.len();
        }
    }
    to.push_str("\r\n");
}

/// The same value without control characters, and not too long for a line: addresses, identifiers.
pub(super) fn visible(value: &str) -> String {
    let value: String = value
        .chars()
        .map(|one| if is_hidden(one) { '?' } else { one })
        .collect();
    cut(value.trim(), LONGEST).to_owned()
}

/// Text of one line: no control characters, single spaces, no endless word, at most so many octets.
pub(super) fn one_line(text: &str, most: usize) -> String {
    let mut line = String::new();
    for word in text.split(|one: char| one.is_whitespace() || one == '\0') {
        let mut word: &str = &visible_word(word);
        while !word.is_empty() {
            let piece = cut(word, LONGEST_WORD);
            word = &word[piece.len()..];
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(piece);
        }
        if line.len() > most {
            break;
        }
    }
    if line.len() > most {
        let kept = cut(&line, most).trim_end().len();
        line.truncate(kept);
        line.push_str(" ...");
    }
    line
}

fn visible_word(word: &str) -> String {
    word.chars()
        .map(|one| if is_hidden(one) { '?' } else { one })
        .collect()
}

/// Characters that steer a terminal, or turn the order of others around, so that a text reads as
/// what it is not.
fn is_hidden(one: char) -> bool {
    one.is_control()
        || matches!(one, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The front of a text, at most so many octets.
pub(super) fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// The same in ASCII: other characters in the form of RFC 6533 section 3 (EmbeddedUnicodeChar); what
/// already was no character becomes `?`.
pub(super) fn ascii(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for one in text.chars() {
        match one {
            '\u{fffd}' => escaped.push('?'),
            one if one.is_ascii() => escaped.push(one),
            one => {
                // Writing to a String cannot fail.
                let _ = write!(escaped, "\\x{{{:X}}}", u32::from(one));
            }
        }
    }
    // It has grown; an address of this length is none.
    cut(&escaped, LONGEST).to_owned()
}

/// Decodes xtext (RFC 3461 section 4). It was checked when it was accepted; what is no xtext stays.
pub(super) fn decode_xtext(text: &str) -> String {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = (first == b'+')
            .then(|| after.get(..2).and_then(hexadecimal))
            .flatten();
        match code {
            Some(octet) => {
                octets.push(octet);
                rest = &after[2..];
            }
            None => {
                octets.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

fn hexadecimal(digits: &[u8]) -> Option<u8> {
    let upper = |digit: &u8| digit.is_ascii_digit() || (b'A'..=b'F').contains(digit);
    let digits = digits.iter().all(upper).then_some(digits)?;
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Decodes `\x{...}` of a `utf-8` address (RFC 6533 section 3).
pub(super) fn decode_embedded(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\\x{") {
        let (before, from) = rest.split_at(at);
        decoded.push_str(before);
        let digits = from[3..].split('}').next().unwrap_or_default();
        let character = (from.as_bytes().get(3 + digits.len()) == Some(&b'}')
            && (2..=6).contains(&digits.len())
            && digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
        .then(|| u32::from_str_radix(digits, 16).ok())
        .flatten()
        .and_then(char::from_u32);
        match character {
            Some(character) => {
                decoded.push(character);
                rest = &from[digits.len() + 4..];
            }
            None => {
                decoded.push_str("\\x{");
                rest = &from[3..];
            }
        }
    }
    decoded.push_str(rest);
    decoded
}

/// A date and time (RFC 5322 section 3.3), in UTC. Times before 1970 and beyond the calendar come
/// only from damage, and are shown as 1970.
pub(super) fn date(time: SystemTime) -> String {
    let seconds = time
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_secs()).ok());
    seconds
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .strftime("%a, %d %b %Y %H:%M:%S +0000")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn r3461_4_xtext_is_decoded() {
        assert_eq!(decode_xtext("QQ314159"), "QQ314159");
        assert_eq!(decode_xtext("a+2Bb+3Dc+20d"), "a+b=c d");
        // Lower case is no xtext.
        assert_eq!(decode_xtext("a+2b+"), "a+2b+");
    }

    #[test]
    fn r6533_3_embedded_characters_are_decoded_and_made() {
        assert_eq!(decode_embedded("\\x{3B2}@example.net"), "β@example.net");
        assert_eq!(decode_embedded("\\x{5C}\\x{}\\x{D800}"), "\\\\x{}\\x{D800}");
        assert_eq!(decode_embedded("\\x{41"), "\\x{41");
        assert_eq!(ascii("β@example.net"), "\\x{3B2}@example.net");
    }

    #[test]
    fn dates_are_those_of_rfc_5322() {
        assert_eq!(date(UNIX_EPOCH), "Thu, 01 Jan 1970 00:00:00 +0000");
        let time = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        assert_eq!(date(time), "Sun, 09 Sep 2001 01:46:40 +0000");
        let never = UNIX_EPOCH + Duration::from_secs(u64::MAX / 4);
        assert_eq!(date(never), "Thu, 01 Jan 1970 00:00:00 +0000");
    }

    #[test]
    fn long_values_are_folded_at_spaces() {
        let mut text = String::new();
        field(&mut text, "Subject", &format!("{} b", "a".repeat(80)));
        assert_eq!(text, format!("Subject: {}\r\n b\r\n", "a".repeat(80)));
        text.clear();
        fold(
            &mut text,
            "Diagnostic-Code",
            ["smtp; 550-a", "550 b"].into_iter(),
        );
        assert_eq!(text, "Diagnostic-Code: smtp; 550-a\r\n 550 b\r\n");
    }

    #[test]
    fn text_that_would_steer_a_terminal_is_harmless() {
        assert_eq!(
            one_line("a\r\nBcc: b\x1b[2J\u{202e}c\0", 100),
            "a Bcc: b?[2J?c"
        );
        assert_eq!(
            visible("\"a  b\"@example.net\r\n"),
            "\"a  b\"@example.net??"
        );
        assert_eq!(one_line("abc def", 4), "abc ...");
    }

    proptest! {
        #[test]
        fn any_value_unfolds_to_itself(value in any::<String>()) {
            let value = visible(&value);
            let mut text = String::new();
            field(&mut text, "X-Field", &value);
            let lines: Vec<&str> = text.split("\r\n").collect();
            prop_assert!(lines.iter().all(|line| line.len() <= 998));
            prop_assert!(lines[1..lines.len() - 1].iter().all(|line| !line.trim().is_empty()));
            prop_assert_eq!(text.replace("\r\n", ""), format!("X-Field: {value}"));
        }

        #[test]
        fn any_text_becomes_one_short_line(text in any::<String>(), most in 10_usize..5000) {
            let line = one_line(&text, most);
            prop_assert!(line.len() <= most + 4);
            prop_assert!(!line.contains("  ") && !line.chars().any(char::is_control));
            prop_assert!(line.split(' ').all(|word| word.len() <= LONGEST_WORD));
        }

        #[test]
        fn decoding_never_panics(text in any::<String>()) {
            decode_embedded(&decode_xtext(&text));
            prop_assert!(ascii(&text).is_ascii());
        }
    }
}
