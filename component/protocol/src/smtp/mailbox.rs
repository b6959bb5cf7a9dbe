//! Mailboxes (RFC 5321 section 4.1.2, RFC 6531 section 3.3).
//!
//! UTF-8 is read wherever RFC 6531 has it; whether it was asked for is the caller's question
//! ([`Mailbox::is_ascii`]).

use crate::smtp::domain::{Domain, domain};
use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::fmt::{self, Write as _};
use nom::{
    IResult, Parser,
    branch::alt,
    bytes::complete::{tag, take, take_while1},
    combinator::{map_opt, verify},
    multi::fold_many0,
    sequence::{delimited, preceded, separated_pair},
};

/// `Local-part "@" ( Domain / address-literal )`.
///
/// Two spellings of one local-part (`"a b"` and `"a\ b"`) are equal; prints with the least quoting
/// (R5321-4.1.2-b). The domain keeps its case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    local_part: String,
    domain: Domain,
}

impl Mailbox {
    /// The whole of `text`.
    pub fn parse(text: &[u8]) -> Option<Self> {
        match mailbox(text) {
            Ok(([], mailbox)) => Some(mailbox),
            _ => None,
        }
    }

    /// The local-part's value, without quotes.
    pub fn local_part(&self) -> &str {
        &self.local_part
    }

    /// The domain or address literal.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// R6409-4.2-b: with `local_domain` after a domain of one label, where there is a local domain
    /// and the name is not too long for it. A domain of several labels is never completed.
    pub fn completed(self, local_domain: &str) -> Self {
        Self {
            domain: self.domain.completed(local_domain),
            ..self
        }
    }

    /// Needs no SMTPUTF8 (RFC 6531 section 3.2).
    pub fn is_ascii(&self) -> bool {
        self.local_part.is_ascii() && self.domain.is_ascii()
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // R5321-4.1.2-b: the least quoting.
        if is_dot_string(self.local_part.as_bytes()) {
            f.write_str(&self.local_part)?;
        } else {
            f.write_char('"')?;
            for character in self.local_part.chars() {
                if matches!(character, '"' | '\\') {
                    f.write_char('\\')?;
                }
                f.write_char(character)?;
            }
            f.write_char('"')?;
        }
        write!(f, "@{}", self.domain)
    }
}

/// `Mailbox`, at the front of `input`.
pub(crate) fn mailbox(input: &[u8]) -> IResult<&[u8], Mailbox> {
    separated_pair(alt((dot_string, quoted_string)), tag("@"), domain)
        .map(|(local_part, domain)| Mailbox { local_part, domain })
        .parse(input)
}

/// `Dot-string "@" Domain`, at the front of `input`: what is accepted without brackets.
pub(crate) fn plain_mailbox(input: &[u8]) -> IResult<&[u8], Mailbox> {
    let name = verify(domain, |domain| matches!(domain, Domain::Name(_)));
    separated_pair(dot_string, tag("@"), name)
        .map(|(local_part, domain)| Mailbox { local_part, domain })
        .parse(input)
}

/// R5321-4.1.2-a: `Dot-string = Atom *("." Atom)`.
fn dot_string(input: &[u8]) -> IResult<&[u8], String> {
    map_opt(
        take_while1(|octet| is_atext(octet) || octet == b'.'),
        |text: &[u8]| is_dot_string(text).then(|| utf8(text)).flatten(),
    )
    .parse(input)
}

/// R5321-4.1.2-a: `Quoted-string = DQUOTE *QcontentSMTP DQUOTE`; its value.
fn quoted_string(input: &[u8]) -> IResult<&[u8], String> {
    let quoted_pair = preceded(
        tag("\\"),
        verify(take(1usize), |text: &[u8]| matches!(text, [b' '..=b'~'])),
    );
    let value = fold_many0(
        alt((take_while1(is_qtext), quoted_pair)),
        Vec::new,
        |mut value: Vec<u8>, text: &[u8]| {
            value.extend_from_slice(text);
            value
        },
    );
    delimited(
        tag("\""),
        map_opt(value, |value| String::from_utf8(value).ok()),
        tag("\""),
    )
    .parse(input)
}

fn utf8(text: &[u8]) -> Option<String> {
    // U+0080 to U+009F are controls too, which nothing that shows or stores a mailbox expects.
    core::str::from_utf8(text)
        .ok()
        .filter(|text| !text.chars().any(char::is_control))
        .map(ToString::to_string)
}

fn is_dot_string(text: &[u8]) -> bool {
    text.split(|octet| *octet == b'.')
        .all(|atom| !atom.is_empty() && atom.iter().all(|octet| is_atext(*octet)))
}

/// `atext` (RFC 5322 section 3.2.3), with UTF-8 (RFC 6531 section 3.3).
fn is_atext(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || !octet.is_ascii() || b"!#$%&'*+-/=?^_`{|}~".contains(&octet)
}

/// `qtextSMTP`, with UTF-8 (RFC 6531 section 3.3).
fn is_qtext(octet: u8) -> bool {
    matches!(octet, b' ' | b'!' | b'#'..=b'[' | b']'..=b'~') || !octet.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::format;

    fn printed(text: &str) -> Option<String> {
        Mailbox::parse(text.as_bytes()).map(|mailbox| mailbox.to_string())
    }

    #[test]
    fn r5321_4_1_2_a_local_part_is_dot_string_or_quoted_string() {
        for good in [
            "a@b.c",
            "a.b.c@d.e",
            "!#$%&'*+-/=?^_`{|}~@d.e",
            "\"\"@d.e",
            "\"a b\"@d.e",
            "\"a..b\"@d.e",
            "\".a\"@d.e",
            "\"a@b\"@d.e",
            "\"<>,:;\"@d.e",
            "\"a\\\"b\\\\c\"@d.e",
            "user@[192.0.2.1]",
        ] {
            assert_eq!(printed(good).as_deref(), Some(good));
        }
        for bad in [
            "",
            "@",
            "a",
            "a@",
            "@b.c",
            "a..b@c.d",
            ".a@c.d",
            "a.@c.d",
            "a b@c.d",
            "a@b@c.d",
            "a(b)@c.d",
            "a<b@c.d",
            "a\"b@c.d",
            "\"a@c.d",
            "\"a\"b@c.d",
            "\"a\".b@c.d",
            "\"a\"\"b\"@c.d",
            "\"a\\\"@c.d",
            "\"a\tb\"@c.d",
            "\"a\\\tb\"@c.d",
            "\"a\\\u{e9}\"@c.d",
            "\"a\u{7f}\"@c.d",
            "a@c.d ",
        ] {
            assert_eq!(printed(bad), None, "{bad}");
        }
    }

    #[test]
    fn r5321_4_1_2_b_quoted_forms_are_equal_and_print_with_least_quoting() {
        for (text, least) in [
            ("\"joe\"@d.e", "joe@d.e"),
            ("\"j\\oe\"@d.e", "joe@d.e"),
            ("\"a.b\"@d.e", "a.b@d.e"),
            ("\"a\\ b\"@d.e", "\"a b\"@d.e"),
            ("\"a.\"@d.e", "\"a.\"@d.e"),
        ] {
            assert_eq!(printed(text).as_deref(), Some(least));
            assert_eq!(
                Mailbox::parse(text.as_bytes()),
                Mailbox::parse(least.as_bytes())
            );
        }
    }

    #[test]
    fn r5321_2_4_local_part_keeps_its_case() {
        assert_eq!(
            printed("JoE@Example.ORG").as_deref(),
            Some("JoE@Example.ORG")
        );
    }

    #[test]
    fn r5321_4_5_3_1_a_local_part_of_64_octets_and_more() {
        for length in [64, 65, 200] {
            let text = format!("{}@d.e", "l".repeat(length));
            assert_eq!(printed(&text), Some(text));
        }
    }

    #[test]
    fn r6531_3_2_utf8_in_either_part() {
        for text in ["\u{e9}@d.e", "a@b\u{fc}.de", "\"\u{e9} \u{e9}\"@d.e"] {
            assert_eq!(printed(text).as_deref(), Some(text));
            assert!(
                !Mailbox::parse(text.as_bytes())
                    .expect("a mailbox")
                    .is_ascii()
            );
        }
        for bad in [&b"\xe9@d.e"[..], b"\"\xe9\"@d.e", b"a@\xe9.e", b"\xc3@d.e"] {
            assert_eq!(Mailbox::parse(bad), None);
        }
    }

    fn octets() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..60),
            "[ab.\"\\\\@ <>\\[\\]\u{e9}]{0,12}@[a.\u{fc}-]{1,8}".prop_map(String::into_bytes),
            "\"([ -~\u{e9}]|\\\\[ -~]){0,20}\"@(a\\.b|\\[192\\.0\\.2\\.1\\])"
                .prop_map(String::into_bytes),
        ]
    }

    proptest! {
        #[test]
        fn r5321_4_1_2_b_what_was_printed_parses_to_the_same(text in octets()) {
            if let Some(mailbox) = Mailbox::parse(&text) {
                let printed = mailbox.to_string();
                prop_assert!(printed.len() <= text.len());
                prop_assert_eq!(Mailbox::parse(printed.as_bytes()), Some(mailbox));
            }
        }
    }
}
