//! Collects the header section at the start of a stream of content (RFC 5322 section 2.1).
//!
//! The section ends at its empty line. Where the first line is no field there is no header
//! section, and all content is body (R6409-8-d).

use super::header::{Name, name};
use alloc::vec::Vec;

/// Octets of a header section at most (profile section 4).
pub const MOST_HEADER: usize = 262_144;

/// A header section that is being collected, in memory.
#[derive(Debug, Clone, Default)]
pub struct Section {
    octets: Vec<u8>,
    /// The first line is known to be a field.
    begun: bool,
}

/// What came of some octets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// All were taken; the section goes on.
    More,
    /// The section is complete.
    Complete {
        /// Octets of the run that were taken; the rest is body.
        taken: usize,
        /// The section.
        header: Header,
    },
    /// The section is longer than [`MOST_HEADER`]. All were taken.
    TooLong(Vec<u8>),
}

/// A header section, taken apart from its body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header {
    /// Its fields, each with its CRLF; empty where the first line is no field.
    pub fields: Vec<u8>,
    /// Whether an empty line followed.
    pub separated: bool,
    /// Octets of the body that had to be looked at first.
    pub body: Vec<u8>,
}

impl Section {
    /// Before the first octet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next octets of the content.
    pub fn take(&mut self, run: &[u8]) -> Progress {
        let before = self.octets.len();
        self.octets.extend_from_slice(run);
        if !self.begun {
            if self.octets.starts_with(b"\r\n") {
                self.octets.clear();
                return Progress::Complete {
                    taken: 2 - before,
                    header: Header {
                        separated: true,
                        ..Header::default()
                    },
                };
            }
            match name(&self.octets) {
                Name::Field { .. } => self.begun = true,
                Name::Unfinished => return Progress::More,
                Name::None if self.octets == b"\r" => return Progress::More,
                Name::None => {
                    self.octets.truncate(before);
                    return Progress::Complete {
                        taken: 0,
                        header: Header {
                            body: core::mem::take(&mut self.octets),
                            ..Header::default()
                        },
                    };
                }
            }
        }
        // The end may have begun in what was taken earlier.
        let from = before.saturating_sub(3);
        match memchr::memmem::find(&self.octets[from..], b"\r\n\r\n") {
            Some(at) => {
                let fields = from + at + 2;
                let taken = fields + 2 - before;
                self.octets.truncate(fields);
                let octets = core::mem::take(&mut self.octets);
                if fields > MOST_HEADER {
                    return Progress::TooLong(octets);
                }
                Progress::Complete {
                    taken,
                    header: Header {
                        fields: octets,
                        separated: true,
                        body: Vec::new(),
                    },
                }
            }
            // Its last CRLF may be there already, without the one of the empty line.
            None if self.octets.len() > MOST_HEADER + 1 => {
                Progress::TooLong(core::mem::take(&mut self.octets))
            }
            None => Progress::More,
        }
    }

    /// The content has ended inside the section; `None` where the section is too long.
    pub fn finish(self) -> Option<Header> {
        if !self.begun {
            return Some(Header {
                body: self.octets,
                ..Header::default()
            });
        }
        (self.octets.len() <= MOST_HEADER).then_some(Header {
            fields: self.octets,
            ..Header::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The header, and the body that was seen, of content in runs of `size`.
    fn collect(content: &[u8], size: usize) -> Option<(Header, Vec<u8>)> {
        let mut section = Section::new();
        let mut at = 0;
        for run in content.chunks(size) {
            match section.take(run) {
                Progress::More => at += run.len(),
                Progress::TooLong(_) => return None,
                Progress::Complete { taken, mut header } => {
                    let mut body = core::mem::take(&mut header.body);
                    body.extend_from_slice(&content[at + taken..]);
                    return Some((header, body));
                }
            }
        }
        let mut header = section.finish()?;
        let body = core::mem::take(&mut header.body);
        Some((header, body))
    }

    fn check(content: &[u8], fields: &[u8], separated: bool, body: &[u8]) {
        for size in [1, 2, 3, 5, 1000] {
            let (header, rest) = collect(content, size).unwrap();
            assert_eq!(header.fields, fields);
            assert_eq!(header.separated, separated);
            assert_eq!(rest, body);
        }
    }

    #[test]
    fn a_section_ends_at_its_empty_line() {
        check(
            b"A: b\r\n c\r\n\r\nbody\r\n\r\n",
            b"A: b\r\n c\r\n",
            true,
            b"body\r\n\r\n",
        );
        check(b"A: b\r\n", b"A: b\r\n", false, b"");
        check(b"\r\nA: b\r\n", b"", true, b"A: b\r\n");
        check(b"", b"", false, b"");
    }

    #[test]
    fn r6409_8_d_a_first_line_that_is_no_field_is_body() {
        check(
            b"hello\r\nA: b\r\n\r\n",
            b"",
            false,
            b"hello\r\nA: b\r\n\r\n",
        );
        check(b"\rA: b\r\n", b"", false, b"\rA: b\r\n");
        check(b"A b: c\r\n", b"", false, b"A b: c\r\n");
        check(b"nocolon", b"", false, b"nocolon");
    }

    #[test]
    fn a_section_has_256_kib_at_most() {
        for (length, fits) in [(MOST_HEADER, true), (MOST_HEADER + 1, false)] {
            let mut content = b"A: ".to_vec();
            content.resize(length - 2, b'x');
            content.extend_from_slice(b"\r\n");
            for end in [&b""[..], b"\r\n", b"\r\nbody"] {
                let mut content = content.clone();
                content.extend_from_slice(end);
                for size in [4096, 65_536, 1 << 20] {
                    assert_eq!(
                        collect(&content, size).is_some(),
                        fits,
                        "{length} {end:?} {size}"
                    );
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(content in "[aB: \r\n]{0,40}", size in 1_usize..9) {
            prop_assert_eq!(collect(content.as_bytes(), size), collect(content.as_bytes(), 64));
        }
    }
}
