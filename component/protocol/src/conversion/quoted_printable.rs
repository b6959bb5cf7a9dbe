//! quoted-printable (RFC 2045 section 6.7), octet for octet: CRLF stays an end of line, and
//! everything else that is not printable is written in hexadecimal, a bare CR or LF included.

use alloc::vec::Vec;

/// Characters of a line at most, without the `=` of a soft line break (rule 5: 76 with it).
const MOST_LINE: usize = 75;

/// Encodes one body.
#[derive(Debug, Clone, Default)]
pub(super) struct QuotedPrintable {
    /// Characters on this line.
    column: usize,
    /// White space that may stand at the end of a line (rule 3).
    white: Option<u8>,
    /// A CR whose LF may come.
    cr: bool,
    /// The line is a hyphen so far.
    hyphen: bool,
}

impl QuotedPrintable {
    pub(super) fn take(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        for &octet in octets {
            if core::mem::take(&mut self.cr) {
                if octet == b'\n' {
                    self.end_of_line(out);
                    continue;
                }
                self.white_inside(out);
                self.hexadecimal(b'\r', out);
            }
            match octet {
                b'\r' => self.cr = true,
                b' ' | b'\t' => {
                    self.white_inside(out);
                    self.white = Some(octet);
                }
                // A line that begins with two hyphens may be a delimiter (RFC 2046 section 5.1.1):
                // where a soft line break makes lines, that would be our doing.
                b'-' if self.hyphen && self.column == 1 && self.white.is_none() => {
                    self.hexadecimal(b'-', out);
                }
                b'!'..=b'<' | b'>'..=b'~' => {
                    self.white_inside(out);
                    self.write(&[octet], out);
                }
                _ => {
                    self.white_inside(out);
                    self.hexadecimal(octet, out);
                }
            }
        }
    }

    /// The body ends; `content_ends`: the message too, and a last line without CRLF gets a soft line
    /// break, for content has to end with CRLF on its way (RFC 5321 section 4.1.1.4).
    pub(super) fn finish(mut self, content_ends: bool, out: &mut Vec<u8>) {
        if core::mem::take(&mut self.cr) {
            self.white_inside(out);
            self.hexadecimal(b'\r', out);
        }
        self.white_at_end(out);
        if content_ends && self.column > 0 {
            out.extend_from_slice(b"=\r\n");
        }
    }

    fn end_of_line(&mut self, out: &mut Vec<u8>) {
        self.white_at_end(out);
        out.extend_from_slice(b"\r\n");
        self.column = 0;
    }

    fn white_inside(&mut self, out: &mut Vec<u8>) {
        if let Some(white) = self.white.take() {
            self.write(&[white], out);
        }
    }

    fn white_at_end(&mut self, out: &mut Vec<u8>) {
        if let Some(white) = self.white.take() {
            self.hexadecimal(white, out);
        }
    }

    fn hexadecimal(&mut self, octet: u8, out: &mut Vec<u8>) {
        let digit = |value: u8| match value {
            0..=9 => b'0' + value,
            _ => b'A' + value - 10,
        };
        self.write(&[b'=', digit(octet >> 4), digit(octet & 15)], out);
    }

    fn write(&mut self, characters: &[u8], out: &mut Vec<u8>) {
        if self.column + characters.len() > MOST_LINE {
            out.extend_from_slice(b"=\r\n");
            self.column = 0;
        }
        self.hyphen = self.column == 0 && characters == b"-";
        out.extend_from_slice(characters);
        self.column += characters.len();
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::decode::quoted_printable as decoded;
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn encoded(octets: &[u8], size: usize, content_ends: bool) -> Vec<u8> {
        let mut out = Vec::new();
        let mut encoder = QuotedPrintable::default();
        for run in octets.chunks(size) {
            encoder.take(run, &mut out);
        }
        encoder.finish(content_ends, &mut out);
        out
    }

    #[test]
    fn the_rules_of_rfc_2045_section_6_7() {
        for (octets, expected) in [
            (&b""[..], &b""[..]),
            (b"abc\r\n", b"abc\r\n"),
            (b"a=b", b"a=3Db"),
            (b"caf\xc3\xa9 \r\n", b"caf=C3=A9=20\r\n"),
            (b"a\t\r\n b", b"a=09\r\n b"),
            (b"a  \r\n", b"a =20\r\n"),
            (b"a\rb\nc", b"a=0Db=0Ac"),
            (b"\0\x7f", b"=00=7F"),
            (b"a \r", b"a =0D"),
            (b"\r\r\n", b"=0D\r\n"),
            (b"a ", b"a=20"),
            (
                b"-- \r\n- a\r\n---\r\na--",
                b"-=2D=20\r\n- a\r\n-=2D-\r\na--",
            ),
        ] {
            for size in [1, 2, 100] {
                assert_eq!(encoded(octets, size, false), expected, "{octets:?}");
            }
        }
        assert_eq!(encoded(b"a\r\nb", 9, true), b"a\r\nb=\r\n");
        assert_eq!(encoded(b"a\r\n", 9, true), b"a\r\n");
    }

    #[test]
    fn no_line_has_more_than_76_characters() {
        for octet in [b'x', 0xe9, b' '] {
            let text = encoded(&vec![octet; 400], 7, true);
            for line in text.split(|octet| *octet == b'\n') {
                assert!(line.len() <= 77, "{line:?}");
            }
            assert_eq!(decoded(&text), vec![octet; 400]);
        }
    }

    #[test]
    fn a_soft_line_break_makes_no_delimiter() {
        for length in 70..80 {
            let line = [vec![b'x'; length], b"--b\r\n".to_vec()].concat();
            let text = encoded(&line, 1000, true);
            assert!(memchr::memmem::find(&text, b"\n--").is_none());
            assert_eq!(decoded(&text), line);
        }
    }

    proptest! {
        #[test]
        fn decoding_gives_the_same_octets(
            octets in proptest::collection::vec(
                proptest::sample::select(&b"a \t\r\n=\xe9\0.zzzzzz"[..]), 0..300),
            size in 1_usize..70,
        ) {
            let text = encoded(&octets, size, true);
            prop_assert_eq!(&text, &encoded(&octets, 1000, true));
            prop_assert!(text.is_ascii());
            prop_assert_eq!(decoded(&text), octets);
        }
    }
}
