//! base64 in lines of 76 characters (RFC 2045 section 6.8).

use crate::smtp::base64::encode;
use alloc::vec::Vec;

/// Octets that make one line.
const LINE: usize = 57;

/// Encodes one body.
#[derive(Debug, Clone, Default)]
pub(super) struct Base64 {
    /// Octets that do not make a line yet.
    unsent: Vec<u8>,
    begun: bool,
}

impl Base64 {
    pub(super) fn take(&mut self, mut octets: &[u8], out: &mut Vec<u8>) {
        while self.unsent.len() + octets.len() >= LINE {
            let (now, later) = octets.split_at(LINE - self.unsent.len());
            self.unsent.extend_from_slice(now);
            octets = later;
            self.line(out);
        }
        self.unsent.extend_from_slice(octets);
    }

    /// The body ends; `content_ends`: the message too, so that nothing else ends the last line.
    pub(super) fn finish(mut self, content_ends: bool, out: &mut Vec<u8>) {
        if !self.unsent.is_empty() {
            self.line(out);
        }
        if content_ends && self.begun {
            out.extend_from_slice(b"\r\n");
        }
    }

    fn line(&mut self, out: &mut Vec<u8>) {
        if core::mem::replace(&mut self.begun, true) {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(encode(&self.unsent).as_bytes());
        self.unsent.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::base64::decode;
    use proptest::prelude::*;

    fn encoded(octets: &[u8], size: usize, content_ends: bool) -> Vec<u8> {
        let mut out = Vec::new();
        let mut base64 = Base64::default();
        for run in octets.chunks(size) {
            base64.take(run, &mut out);
        }
        base64.finish(content_ends, &mut out);
        out
    }

    #[test]
    fn lines_have_76_characters_at_most() {
        assert_eq!(encoded(b"", 1, true), b"");
        assert_eq!(encoded(b"abc", 1, false), b"YWJj");
        assert_eq!(encoded(b"abcd", 3, true), b"YWJjZA==\r\n");
        let text = encoded(&[b'x'; 58], 100, false);
        let lines: Vec<&[u8]> = text.split(|octet| *octet == b'\n').collect();
        assert_eq!((lines[0].len(), lines[1]), (77, &b"eA=="[..]));
        assert_eq!(encoded(&[b'x'; 57], 100, false).len(), 76);
    }

    proptest! {
        #[test]
        fn decoding_gives_the_same_octets(
            octets in proptest::collection::vec(any::<u8>(), 0..300),
            size in 1_usize..70,
        ) {
            let mut text = encoded(&octets, size, true);
            prop_assert_eq!(&text, &encoded(&octets, 1000, true));
            text.retain(|octet| !b"\r\n".contains(octet));
            prop_assert_eq!(decode(&text), Some(octets));
        }
    }
}
