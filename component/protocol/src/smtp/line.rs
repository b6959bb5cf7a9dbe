//! Where a line ends (RFC 5321 sections 2.3.8 and 4.5.3.1.4).
//!
//! Commands and the lines of an AUTH exchange; content has rules of its own. Every outcome but
//! `Incomplete` depends on the octets alone, not on how they were split into reads (R5321-2.3.8-e).

/// What stands at the front of a buffer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    /// A line.
    Complete {
        /// Without its end.
        content: &'a [u8],
        /// Octets with its end.
        length: usize,
    },
    /// A line that ends with LF alone, where that is refused (R5321-2.3.8-c).
    BareLf {
        /// Octets with the LF.
        length: usize,
    },
    /// `limit` octets without an end (R5321-4.5.3.1-b). What belongs to the line is found with
    /// [`rest_of_line`].
    TooLong,
    /// More octets are needed.
    Incomplete,
}

/// Lines of an AUTH exchange are secrets: only lengths are shown.
impl core::fmt::Debug for Line<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Complete { length, .. } => write!(f, "Complete({length})"),
            Self::BareLf { length } => write!(f, "BareLf({length})"),
            Self::TooLong => f.write_str("TooLong"),
            Self::Incomplete => f.write_str("Incomplete"),
        }
    }
}

/// The line at the front of `buffer`, of at most `limit` octets with its end. `bare_lf_ends`: LF
/// alone counts as CR LF (a listener for old devices, R5321-2.3.8-c).
///
/// A CR that is not before LF stays in the content, where it is a control octet.
pub fn next_line(buffer: &[u8], limit: usize, bare_lf_ends: bool) -> Line<'_> {
    let within = &buffer[..buffer.len().min(limit)];
    let Some(lf) = memchr::memchr(b'\n', within) else {
        return if buffer.len() >= limit {
            Line::TooLong
        } else {
            Line::Incomplete
        };
    };
    let length = lf + 1;
    match (within[..lf].strip_suffix(b"\r"), bare_lf_ends) {
        (Some(content), _) => Line::Complete { content, length },
        (None, true) => Line::Complete {
            content: &within[..lf],
            length,
        },
        (None, false) => Line::BareLf { length },
    }
}

/// How many octets of `buffer` belong to a line that was too long; `true`: it ends there, else it
/// goes on with the next octets.
pub fn rest_of_line(buffer: &[u8]) -> (usize, bool) {
    match memchr::memchr(b'\n', buffer) {
        Some(lf) => (lf + 1, true),
        None => (buffer.len(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn complete(content: &[u8], length: usize) -> Line<'_> {
        Line::Complete { content, length }
    }

    #[test]
    fn r5321_2_3_8_c_lines_end_with_crlf() {
        assert_eq!(
            next_line(b"NOOP\r\nQUIT\r\n", 2048, false),
            complete(b"NOOP", 6)
        );
        assert_eq!(next_line(b"\r\n", 2048, false), complete(b"", 2));
        assert_eq!(next_line(b"NOOP\r", 2048, false), Line::Incomplete);
        assert_eq!(next_line(b"", 2048, false), Line::Incomplete);
        assert_eq!(
            next_line(b"NO\rOP\r\n", 2048, false),
            complete(b"NO\rOP", 7)
        );
    }

    #[test]
    fn r5321_2_3_8_c_lf_alone_is_refused_or_converted() {
        assert_eq!(
            next_line(b"NOOP\nQUIT\r\n", 2048, false),
            Line::BareLf { length: 5 }
        );
        assert_eq!(next_line(b"\n", 2048, false), Line::BareLf { length: 1 });
        assert_eq!(
            next_line(b"NOOP\nQUIT\r\n", 2048, true),
            complete(b"NOOP", 5)
        );
        assert_eq!(next_line(b"\n", 2048, true), complete(b"", 1));
    }

    #[test]
    fn r5321_4_5_3_1_b_the_limit_counts_crlf() {
        let mut line = std::vec![b'x'; 2046];
        line.extend_from_slice(b"\r\n");
        assert_eq!(next_line(&line, 2048, false), complete(&line[..2046], 2048));
        line.insert(0, b'x');
        assert_eq!(next_line(&line, 2048, false), Line::TooLong);
        assert_eq!(next_line(&line[..2048], 2048, false), Line::TooLong);
        assert_eq!(next_line(&line[..2047], 2048, false), Line::Incomplete);
        assert_eq!(rest_of_line(&line), (2049, true));
        assert_eq!(rest_of_line(b"xx"), (2, false));
    }

    /// Lines of the stream as a caller sees them that gets it in these pieces.
    fn seen(pieces: &[&[u8]], limit: usize, convert: bool) -> Vec<(Vec<u8>, u8)> {
        let (mut buffer, mut lines, mut skipping) = (Vec::new(), Vec::new(), false);
        for piece in pieces {
            buffer.extend_from_slice(piece);
            loop {
                if skipping {
                    let (length, ends) = rest_of_line(&buffer);
                    buffer.drain(..length);
                    skipping = !ends;
                    if skipping {
                        break;
                    }
                }
                let length = match next_line(&buffer, limit, convert) {
                    Line::Complete { content, length } => {
                        lines.push((content.to_vec(), b'c'));
                        length
                    }
                    Line::BareLf { length } => {
                        lines.push((Vec::new(), b'b'));
                        length
                    }
                    Line::TooLong => {
                        lines.push((Vec::new(), b't'));
                        skipping = true;
                        0
                    }
                    Line::Incomplete => break,
                };
                buffer.drain(..length);
            }
        }
        lines
    }

    proptest! {
        #[test]
        fn r5321_2_3_8_e_any_split_gives_the_same_lines(
            stream in proptest::collection::vec(
                prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'a'), any::<u8>()], 0..60),
            at in 0usize..60,
            convert: bool,
        ) {
            let whole = seen(&[&stream], 8, convert);
            let at = at.min(stream.len());
            prop_assert_eq!(&seen(&[&stream[..at], &stream[at..]], 8, convert), &whole);
            let octets: Vec<&[u8]> = stream.chunks(1).collect();
            prop_assert_eq!(&seen(&octets, 8, convert), &whole);
        }
    }
}
