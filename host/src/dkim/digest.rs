//! What a signature needs of a message, gathered while the message passes: its header section and the
//! hash of its canonical body.

use sha2::{Digest as _, Sha256};

use super::canonical::Body;

/// Octets of a header section at most; a session lets no more than 256 KiB pass, and adds little.
const MOST_HEADER: usize = 1024 * 1024;

/// A message on its way.
#[derive(Debug)]
pub struct Digesting {
    header: Vec<u8>,
    state: State,
    hash: Sha256,
}

#[derive(Debug)]
enum State {
    Header,
    Body(Body),
    /// Its header section is too long to be signed.
    TooLong,
}

/// What is signed of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// Its header section, without the empty line.
    pub(super) header: Vec<u8>,
    /// SHA-256 of its canonical body.
    pub(super) body: [u8; 32],
}

impl Default for Digesting {
    fn default() -> Self {
        Self {
            header: Vec::new(),
            state: State::Header,
            hash: Sha256::new(),
        }
    }
}

impl Digesting {
    /// Takes the next octets of the content.
    pub fn take(&mut self, octets: &[u8]) {
        let body = match &self.state {
            State::TooLong => return,
            State::Body(_) => octets,
            State::Header => match self.take_header(octets) {
                Some(taken) => &octets[taken..],
                None => return,
            },
        };
        if let State::Body(canonical) = &mut self.state {
            canonical.take(body, |octets| self.hash.update(octets));
        }
    }

    /// How many of the octets belong to the header section and its empty line, once that is known.
    fn take_header(&mut self, octets: &[u8]) -> Option<usize> {
        let before = self.header.len();
        self.header.extend_from_slice(octets);
        let from = before.saturating_sub(3);
        let end = if self.header.starts_with(b"\r\n") {
            Some(0)
        } else {
            let rest = &self.header[from..];
            let at = rest.windows(4).position(|four| four == b"\r\n\r\n");
            at.map(|at| from + at + 2)
        };
        match end {
            Some(end) if end <= MOST_HEADER => {
                self.header.truncate(end);
                self.state = State::Body(Body::default());
                Some(end + 2 - before)
            }
            None if self.header.len() <= MOST_HEADER => None,
            _ => {
                self.header = Vec::new();
                self.state = State::TooLong;
                None
            }
        }
    }

    /// All has passed; `None` where the header section is too long.
    pub fn finish(mut self) -> Option<Digest> {
        match self.state {
            State::TooLong => return None,
            // Without an empty line there is no body (RFC 5322 section 2.1).
            State::Header => {}
            State::Body(canonical) => canonical.finish(|octets| self.hash.update(octets)),
        }
        Some(Digest {
            header: self.header,
            body: self.hash.finalize().into(),
        })
    }
}

impl Digest {
    /// Of a whole message.
    pub fn of(content: &[u8]) -> Option<Self> {
        let mut digesting = Digesting::default();
        digesting.take(content);
        digesting.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn by(content: &[u8], size: usize) -> Option<Digest> {
        let mut digesting = Digesting::default();
        for piece in content.chunks(size) {
            digesting.take(piece);
        }
        digesting.finish()
    }

    #[test]
    fn r6409_8_5_the_body_begins_after_the_empty_line() {
        for (content, header, body) in [
            (
                &b"A: b\r\n\r\nbody\r\n"[..],
                &b"A: b\r\n"[..],
                &b"body\r\n"[..],
            ),
            (b"A: b\r\n\r\n", b"A: b\r\n", b""),
            (b"A: b\r\n", b"A: b\r\n", b""),
            (b"A: b\r\n\r\n\r\nc: d\r\n", b"A: b\r\n", b"\r\nc: d\r\n"),
            (b"\r\nbody", b"", b"body\r\n"),
        ] {
            for size in [1, 2, 3, 4, 5, 100] {
                let digest = by(content, size).unwrap();
                assert_eq!(digest.header, header);
                assert_eq!(digest.body, <[u8; 32]>::from(Sha256::digest(body)));
            }
        }
    }

    // RFC 6376 section 3.4.4: the hash of an empty body.
    #[test]
    fn r6409_8_5_an_empty_body_has_the_hash_of_the_standard() {
        use base64::Engine as _;
        let digest = Digest::of(b"A: b\r\n\r\n").unwrap();
        assert_eq!(
            base64::engine::general_purpose::STANDARD.encode(digest.body),
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
        );
    }

    #[test]
    fn a_header_section_without_end_is_not_kept() {
        let mut digesting = Digesting::default();
        for _ in 0..40 {
            digesting.take(&[b'x'; 65_536]);
        }
        assert!(digesting.header.is_empty());
        assert_eq!(digesting.finish(), None);
    }

    proptest! {
        #[test]
        fn r6409_8_5_any_split_gives_the_same_digest(
            content in "([a:\r\n ]|\r\n){0,60}",
            size in 1_usize..30,
        ) {
            prop_assert_eq!(by(content.as_bytes(), size), Digest::of(content.as_bytes()));
        }
    }
}
