//! What a relay has to know of content before it may begin (the contract's `content-facts`),
//! gathered while the octets pass.

use super::address::addresses;
use super::header::{Field, fields};
use super::message_id::message_id;
use crate::contract::{ContentFacts, MOST_AUTHOR, MOST_AUTHORS};
use crate::smtp::cfws::Cursor;
use alloc::{string::String, vec::Vec};

/// Octets of a line at most, CRLF not counted (RFC 5322 section 2.1.1).
pub const MOST_LINE: usize = 998;

/// What is known of a run of octets: the header section, or the body.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    size: u64,
    eight_bit: bool,
    nul: bool,
    long: bool,
    /// Octets of the line that has not ended yet; at most [`MOST_LINE`] and 1.
    line: usize,
}

impl Facts {
    /// Takes the next octets. A few passes, each of which looks for one thing, are several times
    /// as fast as one that looks for all.
    pub fn take(&mut self, octets: &[u8]) {
        self.size += octets.len() as u64;
        self.eight_bit = self.eight_bit || !octets.is_ascii();
        self.nul = self.nul || memchr::memchr(0, octets).is_some();
        if !self.long {
            self.measure(octets);
        }
    }

    /// So many octets more, of which nothing else is known.
    pub fn pass(&mut self, octets: u64) {
        self.size = self.size.saturating_add(octets);
    }

    /// Goes from line to line by the last end of line that the longest allowed line reaches, so
    /// that most octets of short lines are never looked at.
    fn measure(&mut self, mut rest: &[u8]) {
        loop {
            let reach = MOST_LINE + 2 - self.line;
            let window = &rest[..reach.min(rest.len())];
            match memchr::memrchr(b'\n', window) {
                Some(end) => {
                    self.line = 0;
                    rest = &rest[end + 1..];
                }
                None if window.len() == reach => {
                    self.long = true;
                    return;
                }
                None => {
                    self.line += window.len();
                    return;
                }
            }
        }
    }

    /// Octets so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether there were octets above 127.
    pub fn has_eight_bit(&self) -> bool {
        self.eight_bit
    }

    /// Whether there were NULs.
    pub fn has_nul(&self) -> bool {
        self.nul
    }

    /// Whether there were NULs, or lines over 998 octets. A last line without CRLF counts too.
    pub fn is_binary(&self) -> bool {
        self.nul || self.long || self.line > MOST_LINE
    }
}

/// The facts of a message of which the header section and the body were gathered apart.
pub fn combined(section: &[u8], header: &Facts, body: &Facts, bare: bool) -> ContentFacts {
    let mut facts = ContentFacts {
        size: header.size + body.size,
        header_eight_bit: header.eight_bit,
        body_eight_bit: body.eight_bit,
        binary: header.is_binary() || body.is_binary(),
        bare,
        ..ContentFacts::default()
    };
    for field in fields(section).flatten() {
        describe(&field, &mut facts);
    }
    facts
}

fn describe(field: &Field<'_>, facts: &mut ContentFacts) {
    if field.is("Message-ID") {
        if facts.message_id.is_empty() {
            facts.message_id = message_id(field.body())
                // It goes into logs and databases: one that is longer than a line is none.
                .filter(|id| id.len() <= MOST_LINE && !id.chars().any(char::is_control))
                .map(String::from)
                .unwrap_or_default();
        }
    } else if field.is("From") {
        if facts.authors.is_empty() {
            facts.authors = authors(field.body());
        }
    } else if field.is("DKIM-Signature") {
        facts.signed = true;
    } else if field.is("Content-Type") {
        facts.signed |= is_signed_type(field.body());
    } else if field.is("TLS-Required") {
        // RFC 8689 section 3 (R8689-3).
        facts.tls_waived |= field.body().eq_ignore_ascii_case(b"No");
    }
}

/// Who wrote it (RFC 5322 section 3.6.2): nobody, where any part of the field is broken, since
/// programs differ in whom they show then.
fn authors(body: &[u8]) -> Vec<String> {
    let mut authors = Vec::new();
    let read = addresses(body, |mailbox| {
        if authors.len() < MOST_AUTHORS {
            let text = mailbox.text();
            authors.push(if text.len() > MOST_AUTHOR {
                String::from(char::REPLACEMENT_CHARACTER)
            } else {
                text
            });
        }
    });
    match read {
        Ok(()) => authors,
        Err(_) => Vec::new(),
    }
}

/// Whether a body of this type breaks when its encoding changes: multipart/signed (RFC 1847
/// section 2.1) and S/MIME (RFC 8551 section 3.2).
fn is_signed_type(body: &[u8]) -> bool {
    const TYPES: [(&[u8], &[u8]); 3] = [
        (b"multipart", b"signed"),
        (b"application", b"pkcs7-mime"),
        (b"application", b"x-pkcs7-mime"),
    ];
    let is_token = |octet: u8| octet.is_ascii_alphanumeric() || b"-.+_".contains(&octet);
    let mut cursor = Cursor::new(body);
    cursor.skip();
    let media_type = cursor.run(is_token);
    cursor.skip();
    cursor.eat(b'/');
    cursor.skip();
    let subtype = cursor.run(is_token);
    TYPES
        .iter()
        .any(|(one, two)| media_type.eq_ignore_ascii_case(one) && subtype.eq_ignore_ascii_case(two))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{vec, vec::Vec};
    use proptest::prelude::*;

    fn gather(octets: &[u8], size: usize) -> Facts {
        let mut facts = Facts::default();
        for run in octets.chunks(size) {
            facts.take(run);
        }
        facts
    }

    fn of_header(section: &[u8]) -> ContentFacts {
        combined(section, &Facts::default(), &Facts::default(), false)
    }

    #[test]
    fn a_line_of_998_octets_is_not_long() {
        for (length, long) in [(998, false), (999, true), (5000, true)] {
            for end in [&b"\r\n"[..], b"\r\nnext\r\n", b""] {
                let mut octets = b"before\r\n".to_vec();
                octets.extend(vec![b'x'; length]);
                octets.extend_from_slice(end);
                for size in [1, 7, 1000, 10_000] {
                    assert_eq!(gather(&octets, size).is_binary(), long, "{length} {end:?}");
                }
            }
        }
    }

    #[test]
    fn nul_and_octets_above_127_are_seen() {
        assert!(gather(b"a\0b", 2).is_binary());
        assert!(!gather(b"a\x7fb", 2).has_eight_bit());
        assert!(gather(b"a\x80b", 2).has_eight_bit());
    }

    #[test]
    fn the_message_id_has_its_brackets() {
        let facts = of_header(b"Message-Id:\r\n <a@b.example> (x)\r\nMessage-ID: <c@d>\r\n");
        assert_eq!(facts.message_id, "<a@b.example>");
        assert_eq!(of_header(b"Message-ID: a@b\r\n").message_id, "");
    }

    fn authors_of(from: &str) -> Vec<String> {
        of_header(std::format!("To: x@y.z\r\nFrom: {from}\r\n").as_bytes()).authors
    }

    #[test]
    fn r6409_6_3_b_authors_are_the_mailboxes_of_from() {
        for (from, authors) in [
            ("alice@example.org", &["alice@example.org"][..]),
            // RFC 5322 appendices A.1.1 to A.1.3, A.5, A.6.1.
            (
                "\"Joe Q. Public\" <john.q.public@example.com>",
                &["john.q.public@example.com"],
            ),
            (
                "Mary Smith <mary@x.test>, jdoe@example.org,\r\n Who? <one@y.test>",
                &["mary@x.test", "jdoe@example.org", "one@y.test"],
            ),
            (
                "Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
                &["pete@silly.test"],
            ),
            (
                "Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example",
                &["mary@example.net", "jdoe@test.example"],
            ),
            // RFC 6854: groups.
            (
                "Team: \"a b\"@example.org, <\"c\"@example.org>;",
                &["\"a b\"@example.org", "c@example.org"],
            ),
            ("Nobody:;", &[]),
            // RFC 2047: a word in a display name is no mailbox.
            (
                "=?utf-8?q?ceo=40example=2Ecom?= <alice@example.org>",
                &["alice@example.org"],
            ),
            (
                "\"ceo@example.com\" <alice@example.org>",
                &["alice@example.org"],
            ),
            ("scanner", &["scanner"]),
            ("a@[192.0.2.1]", &["a@[192.0.2.1]"]),
            (
                "J\u{f6}rg <j\u{f6}rg@b\u{fc}cher.example>",
                &["j\u{f6}rg@b\u{fc}cher.example"],
            ),
            ("\"a\\\"b\"@c.d", &["\"a\\\"b\"@c.d"]),
            ("\"a\tb\"@c.d", &["a\u{fffd}b@c.d"]),
            // Broken: nobody.
            ("alice@example.org, <ceo@example.com", &[]),
            ("alice@example.org ceo@example.com", &[]),
            ("", &[]),
        ] {
            assert_eq!(authors_of(from), authors, "{from}");
        }
    }

    #[test]
    fn authors_are_sixteen_at_most_and_none_is_long() {
        let many = (0..40)
            .map(|n| std::format!("a{n}@b.c"))
            .collect::<Vec<_>>();
        assert_eq!(authors_of(&many.join(",")), many[..16]);
        let long = "l".repeat(2000);
        assert_eq!(
            authors_of(&std::format!("{long}@b.c, a@b.c")),
            ["\u{fffd}", "a@b.c"]
        );
        assert_eq!(of_header(b"From: \xe9@b.c\r\n").authors, ["\u{fffd}@b.c"]);
    }

    #[test]
    fn r8689_3_tls_required_no_waives_tls() {
        assert!(of_header(b"tls-required: no\r\n").tls_waived);
        assert!(!of_header(b"TLS-Required: yes\r\n").tls_waived);
        assert!(!of_header(b"X-TLS-Required: No\r\n").tls_waived);
    }

    #[test]
    fn signatures_are_seen() {
        for section in [
            &b"dkim-signature: v=1\r\n"[..],
            b"Content-Type: multipart/Signed; micalg=pgp-sha256\r\n",
            b"Content-Type:\r\n application/pkcs7-mime; smime-type=signed-data\r\n",
            b"Content-Type: application / x-pkcs7-mime\r\n",
        ] {
            assert!(of_header(section).signed, "{section:?}");
        }
        for section in [
            &b"Content-Type: multipart/mixed\r\n"[..],
            b"Content-Type: text/signed\r\n",
            b"Content-Type: multipart/signed-not\r\n",
        ] {
            assert!(!of_header(section).signed, "{section:?}");
        }
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(
            lengths in proptest::collection::vec(980_usize..1010, 0..5),
            size in 1_usize..3000,
        ) {
            let mut octets = Vec::new();
            for length in &lengths {
                octets.extend(vec![b'x'; *length]);
                octets.extend_from_slice(b"\r\n");
            }
            let facts = gather(&octets, size);
            prop_assert_eq!(facts.size(), octets.len() as u64);
            prop_assert_eq!(facts.is_binary(), lengths.iter().any(|length| *length > 998));
        }
    }
}
