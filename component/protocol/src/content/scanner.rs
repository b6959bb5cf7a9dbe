//! The facts of content that came from elsewhere than a server session (the contract's
//! `client.scanner`): a DSN of the host's own, a file, another spool.

use super::bare::Bare;
use super::facts::{Facts, combined};
use super::section::{Progress, Section};
use crate::contract::ContentFacts;
use alloc::vec::Vec;

/// Gathers the facts of one message; see [`ContentFacts`].
///
/// Of a header section over 256 KiB only the first octets are looked at as such, and what follows
/// counts as body.
#[derive(Debug, Clone, Default)]
pub struct Scanner {
    /// While the header section goes on.
    section: Option<Section>,
    fields: Vec<u8>,
    header: Facts,
    body: Facts,
    bare: Bare,
}

impl Scanner {
    /// Before the first octet.
    pub fn new() -> Self {
        Self {
            section: Some(Section::new()),
            ..Self::default()
        }
    }

    /// The next octets of the message, as few or as many as the caller likes.
    pub fn take(&mut self, octets: &[u8]) {
        self.bare.take(octets);
        let body = match &mut self.section {
            None => octets,
            Some(section) => match section.take(octets) {
                Progress::More => return,
                Progress::TooLong(fields) => {
                    self.header.take(&fields);
                    self.fields = fields;
                    b""
                }
                Progress::Complete { taken, header } => {
                    self.header.take(&header.fields);
                    if header.separated {
                        self.header.take(b"\r\n");
                    }
                    self.body.take(&header.body);
                    self.fields = header.fields;
                    &octets[taken..]
                }
            },
        };
        self.section = None;
        self.body.take(body);
    }

    /// The facts of all that was taken.
    pub fn finish(mut self) -> ContentFacts {
        if let Some(header) = self.section.take().and_then(Section::finish) {
            self.header.take(&header.fields);
            self.body.take(&header.body);
            self.fields = header.fields;
        }
        combined(
            &self.fields,
            &self.header,
            &self.body,
            self.bare.was_found(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::section::MOST_HEADER;
    use super::*;
    use proptest::prelude::*;

    fn scan(content: &[u8], size: usize) -> ContentFacts {
        let mut scanner = Scanner::new();
        for run in content.chunks(size) {
            scanner.take(run);
        }
        scanner.finish()
    }

    #[test]
    fn header_and_body_are_told_apart() {
        let content = b"Subject: \xc3\xa9\r\nMessage-ID: <a@b>\r\n\r\nplain\r\n";
        let facts = scan(content, 4096);
        assert_eq!(facts.size, content.len() as u64);
        assert!(facts.header_eight_bit && !facts.body_eight_bit && !facts.bare && !facts.binary);
        assert_eq!(facts.message_id, "<a@b>");

        let facts = scan(b"Subject: x\r\n\r\n\xc3\xa9\r\n", 4096);
        assert!(!facts.header_eight_bit && facts.body_eight_bit);
        let facts = scan(b"no header \xe9\r\n", 4096);
        assert!(!facts.header_eight_bit && facts.body_eight_bit);
        assert_eq!(scan(b"", 1), ContentFacts::default());
        assert_eq!(scan(b"Message-ID: <a@b>\r\n", 3).message_id, "<a@b>");
    }

    #[test]
    fn r5321_2_3_8_d_bare_cr_and_lf_are_seen() {
        for (content, bare) in [
            (&b"A: b\r\n\r\nx\r\n"[..], false),
            (b"A: b\r\n\r\nx\ny\r\n", true),
            (b"A: b\r\n\r\nx\ry\r\n", true),
            (b"A: b\r\n\r\nx\r", true),
            (b"A: b\r\n\r\nx\r\r\n", true),
            (b"A: b\n", true),
        ] {
            for size in [1, 2, 64] {
                assert_eq!(scan(content, size).bare, bare, "{content:?} {size}");
            }
        }
    }

    #[test]
    fn a_header_section_over_256_kib_is_scanned_all_the_same() {
        let mut content = b"Message-ID: <a@b>\r\nX: ".to_vec();
        content.resize(MOST_HEADER + 100_000, b'x');
        let facts = scan(&content, 65_536);
        assert_eq!(facts.size, content.len() as u64);
        assert_eq!(facts.message_id, "<a@b>");
        assert!(facts.binary);
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(
            content in "(Message-ID: <a@b>\r\n)?[a:é\r\n\0 ]{0,40}(\r\n)?",
            size in 1_usize..9,
        ) {
            prop_assert_eq!(scan(content.as_bytes(), size), scan(content.as_bytes(), 4096));
        }
    }
}
