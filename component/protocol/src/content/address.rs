//! Address fields (RFC 5322 section 3.4, obsolete forms of section 4.4), read without a copy of
//! the field: each mailbox is shown to the caller as it is met.
//!
//! More is taken than the grammar has, because a submission is not refused for it: octets above
//! 127 in words and domains, empty lists and elements, and an address without a domain.

use crate::smtp::cfws::{Cursor, is_atext};
use alloc::{string::String, vec::Vec};

/// One mailbox of an address list, without comments, quotes and display name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// The local-part.
    pub local_part: Vec<u8>,
    /// The domain, or the address literal with its brackets; none for a local-part alone.
    pub domain: Option<Vec<u8>>,
}

impl Mailbox {
    /// Whether the domain is an address literal or has more than one label (R6409-4.2-c).
    pub fn is_qualified(&self) -> bool {
        self.domain
            .as_deref()
            .is_some_and(|domain| domain.first() == Some(&b'[') || domain.contains(&b'.'))
    }

    /// As text, with the least quoting (RFC 5321 section 4.1.2). What is no printable UTF-8 is
    /// U+FFFD, so that it equals no mailbox that anybody has.
    pub fn text(&self) -> String {
        let local_part = printable(&self.local_part);
        let is_dot_string = local_part
            .split('.')
            .all(|atom| !atom.is_empty() && atom.bytes().all(is_atext));
        let mut text = String::with_capacity(local_part.len() + 32);
        if is_dot_string {
            text.push_str(&local_part);
        } else {
            text.push('"');
            for character in local_part.chars() {
                if matches!(character, '"' | '\\') {
                    text.push('\\');
                }
                text.push(character);
            }
            text.push('"');
        }
        if let Some(domain) = &self.domain {
            text.push('@');
            text.push_str(&printable(domain));
        }
        text
    }

    /// Whether both are the same mailbox to the users of one service: letters of any case.
    pub fn is_same(&self, other: &Self) -> bool {
        let domains = match (&self.domain, &other.domain) {
            (Some(one), Some(two)) => one.eq_ignore_ascii_case(two),
            (None, None) => true,
            _ => false,
        };
        domains && self.local_part.eq_ignore_ascii_case(&other.local_part)
    }
}

fn printable(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets)
        .chars()
        .map(|character| {
            if character.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                character
            }
        })
        .collect()
}

/// The field is no address list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("bad address syntax")]
pub struct BadAddress;

/// Reads an address list, and shows each mailbox in order, those of groups too.
///
/// # Errors
/// [`BadAddress`] where the syntax is broken; what stood before was shown.
pub fn addresses(body: &[u8], mut show: impl FnMut(Mailbox)) -> Result<(), BadAddress> {
    let mut cursor = Cursor::new(body);
    let mut in_group = false;
    loop {
        let words = Words::read(&mut cursor)?;
        match cursor.peek() {
            Some(b':') if !in_group && !words.is_empty() => {
                cursor.eat(b':');
                in_group = true;
                continue;
            }
            Some(b'<') => {
                cursor.eat(b'<');
                show(angle(&mut cursor)?);
            }
            Some(b'@') => {
                cursor.eat(b'@');
                show(Mailbox {
                    local_part: words.local_part()?,
                    domain: Some(domain(&mut cursor)?),
                });
            }
            _ if words.is_empty() => {}
            _ => show(Mailbox {
                local_part: words.local_part()?,
                domain: None,
            }),
        }
        cursor.skip();
        if in_group && cursor.eat(b';') {
            in_group = false;
            cursor.skip();
        }
        if cursor.is_end() && !in_group {
            return Ok(());
        }
        if !cursor.eat(b',') {
            return Err(BadAddress);
        }
    }
}

/// The mailbox that `text` is, and nothing else: no display name, comment or white space.
pub fn addr_spec(text: &str) -> Option<Mailbox> {
    if text.bytes().any(|octet| octet.is_ascii_control()) {
        return None;
    }
    let mut cursor = Cursor::new(text.as_bytes());
    let words = Words::read(&mut cursor).ok()?;
    if words.spaced || text.starts_with([' ', '(']) || !cursor.eat(b'@') {
        return None;
    }
    // As it stands, if it is all that stands there: then nothing was skipped.
    let plain = cursor.rest();
    let domain = domain(&mut cursor).ok()?;
    (domain == plain).then_some(Mailbox {
        local_part: words.local_part().ok()?,
        domain: Some(domain),
    })
}

/// Words and dots: a display name or a local-part; only the octet after them tells.
#[derive(Debug, Default)]
struct Words {
    text: Vec<u8>,
    words: usize,
    /// It reads as `word *("." word)` so far.
    dotted: bool,
    /// A dot was last.
    open: bool,
    /// Comments or white space stood in or after it.
    spaced: bool,
}

impl Words {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, BadAddress> {
        let mut words = Self {
            dotted: true,
            open: true,
            ..Self::default()
        };
        cursor.skip();
        loop {
            match cursor.peek() {
                Some(b'.') => {
                    cursor.eat(b'.');
                    words.dotted &= !words.open;
                    words.open = true;
                    words.text.push(b'.');
                }
                Some(b'"') => {
                    let text = cursor.quoted().ok_or(BadAddress)?;
                    words.word(&text);
                }
                Some(octet) if is_atext(octet) => words.word(cursor.run(is_atext)),
                _ => return Ok(words),
            }
            words.spaced |= cursor.skip();
        }
    }

    fn word(&mut self, text: &[u8]) {
        self.dotted &= self.open;
        self.open = false;
        self.words += 1;
        self.text.extend_from_slice(text);
    }

    fn is_empty(&self) -> bool {
        self.words == 0 && self.text.is_empty()
    }

    fn local_part(self) -> Result<Vec<u8>, BadAddress> {
        if self.words > 0 && self.dotted && !self.open {
            Ok(self.text)
        } else {
            Err(BadAddress)
        }
    }
}

/// What follows `<`: an address, after an obsolete route (RFC 5322 section 4.4), and `>`.
fn angle(cursor: &mut Cursor<'_>) -> Result<Mailbox, BadAddress> {
    cursor.skip();
    if matches!(cursor.peek(), Some(b'@' | b',')) {
        loop {
            cursor.skip();
            if cursor.eat(b'@') {
                domain(cursor)?;
            }
            if !cursor.eat(b',') {
                break;
            }
        }
        if !cursor.eat(b':') {
            return Err(BadAddress);
        }
    }
    let local_part = Words::read(cursor)?.local_part()?;
    let domain = if cursor.eat(b'@') {
        Some(domain(cursor)?)
    } else {
        None
    };
    if cursor.eat(b'>') {
        Ok(Mailbox { local_part, domain })
    } else {
        Err(BadAddress)
    }
}

/// A domain, or an address literal with its brackets, and the white space around it.
fn domain(cursor: &mut Cursor<'_>) -> Result<Vec<u8>, BadAddress> {
    cursor.skip();
    let mut text = Vec::new();
    if cursor.eat(b'[') {
        text.push(b'[');
        text.extend_from_slice(cursor.run(|octet| octet >= b' ' && !b"[]\\".contains(&octet)));
        text.push(b']');
        if !cursor.eat(b']') {
            return Err(BadAddress);
        }
        cursor.skip();
        return Ok(text);
    }
    loop {
        let label = cursor.run(is_atext);
        if label.is_empty() {
            return Err(BadAddress);
        }
        text.extend_from_slice(label);
        cursor.skip();
        if !cursor.eat(b'.') {
            return Ok(text);
        }
        text.push(b'.');
        cursor.skip();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn read(body: &str) -> Result<Vec<String>, BadAddress> {
        let mut all = Vec::new();
        addresses(body.as_bytes(), |mailbox| {
            let mut text = String::from_utf8(mailbox.local_part).unwrap();
            if let Some(domain) = mailbox.domain {
                text.push('@');
                text.push_str(&String::from_utf8(domain).unwrap());
            }
            all.push(text);
        })?;
        Ok(all)
    }

    // RFC 5322 appendices A.1.2, A.1.3, A.5, A.6.1.
    #[test]
    fn r6409_5_1_b_address_fields_of_rfc_5322_are_read() {
        for (body, mailboxes) in [
            (
                "\"Joe Q. Public\" <john.q.public@example.com>",
                vec!["john.q.public@example.com"],
            ),
            (
                "Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
                vec!["mary@x.test", "jdoe@example.org", "one@y.test"],
            ),
            (
                "<boss@nil.test>, \"Giant; \\\"Big\\\" Box\" <sysservices@example.net>",
                vec!["boss@nil.test", "sysservices@example.net"],
            ),
            (
                "A Group:Ed Jones <joe@where.test>,joe@where.test,John <jdoe@one.test>;",
                vec!["joe@where.test", "joe@where.test", "jdoe@one.test"],
            ),
            ("Undisclosed recipients:;", vec![]),
            (
                "Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
                vec!["pete@silly.test"],
            ),
            (
                "A Group(Some people)\r\n     :Chris Jones <c@(Chris's host.)public.example>,\r\n  joe@example.org ;",
                vec!["c@public.example", "joe@example.org"],
            ),
            (
                "Mary Smith <@node.test:mary@example.net>, , jdoe@test . example",
                vec!["mary@example.net", "jdoe@test.example"],
            ),
            ("Joe Q. Public <john@example.com>", vec!["john@example.com"]),
            ("a@[192.0.2.1]", vec!["a@[192.0.2.1]"]),
            ("Jörg <jörg@bücher.example>", vec!["jörg@bücher.example"]),
            ("root, <scanner>", vec!["root", "scanner"]),
            ("", vec![]),
        ] {
            assert_eq!(
                read(body).as_deref(),
                Ok(&mailboxes.map_strings()[..]),
                "{body}"
            );
        }
    }

    trait MapStrings {
        fn map_strings(self) -> Vec<String>;
    }

    impl MapStrings for Vec<&str> {
        fn map_strings(self) -> Vec<String> {
            self.into_iter().map(String::from).collect()
        }
    }

    #[test]
    fn r6409_5_1_b_broken_address_fields_are_refused() {
        for body in [
            "a b",
            "a@",
            "@b",
            "a@b c",
            "a@b@c",
            "a..b@c.d",
            ".a@c.d",
            "a.@c.d",
            "a@c..d",
            "a@c.",
            "<a@b",
            "a@b>",
            "<>",
            "x <a@b> y",
            "a b@c",
            "group: a@b",
            "group: a@b; c@d",
            ": a@b;",
            "\"open",
            "a@[1",
            "(open a@b",
            "a;b@c",
        ] {
            assert_eq!(read(body), Err(BadAddress), "{body}");
        }
    }

    #[test]
    fn r6409_4_2_c_a_domain_of_one_label_is_not_qualified() {
        for (body, qualified) in [
            ("a@example.org", true),
            ("a@[192.0.2.1]", true),
            ("a@localhost", false),
            ("a", false),
        ] {
            addresses(body.as_bytes(), |mailbox| {
                assert_eq!(mailbox.is_qualified(), qualified, "{body}");
            })
            .unwrap();
        }
    }

    #[test]
    fn r6409_8_1_b_an_addr_spec_is_a_mailbox_alone() {
        assert!(addr_spec("alice@example.org").is_some());
        assert!(addr_spec("\"a b\"@example.org").is_some());
        for text in [
            "",
            "alice",
            "alice@",
            "@example.org",
            "alice@example.org ",
            " alice@example.org",
            "alice @example.org",
            "alice@ example.org",
            "alice@example.org, bob@example.org",
            "<alice@example.org>",
            "a(b)@example.org",
            "a@example.org\r\nBcc: c@example.org",
            "a@example .org",
            "a\"b\"@example.org",
        ] {
            assert_eq!(addr_spec(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_octets_panic(octets in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = addresses(&octets, |_| {});
        }

        #[test]
        fn no_tokens_panic(text in "[ab.@<>:;,\"()\\\\\\[\\] \r\n]{0,30}") {
            let _ = addresses(text.as_bytes(), |_| {});
            addr_spec(&text);
        }
    }
}
