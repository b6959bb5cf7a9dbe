//! The lines between the parts of a multipart body (RFC 2046 section 5.1.1).

/// What a line is to a multipart body with this boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    /// A part begins.
    Delimiter,
    /// The last part has ended.
    Close,
    /// It begins like a delimiter and goes on: RFC 2046 says that this is one, and hardly any
    /// reader does.
    Doubtful,
    /// Nothing.
    Content,
}

/// Reads a line without its CRLF.
pub(super) fn read(line: &[u8], boundary: &[u8]) -> Line {
    let rest = line
        .strip_prefix(b"--")
        .and_then(|rest| rest.strip_prefix(boundary));
    let is_padding = |text: &[u8]| text.iter().all(|octet| matches!(octet, b' ' | b'\t'));
    match rest {
        None => Line::Content,
        Some(rest) if is_padding(rest) => Line::Delimiter,
        Some(rest) if rest.strip_prefix(b"--").is_some_and(is_padding) => Line::Close,
        Some(_) => Line::Doubtful,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_by_their_boundary() {
        for (line, what) in [
            (&b"--b"[..], Line::Delimiter),
            (b"--b \t", Line::Delimiter),
            (b"--b--", Line::Close),
            (b"--b--  ", Line::Close),
            (b"--bb", Line::Doubtful),
            (b"--b--x", Line::Doubtful),
            (b"--b -", Line::Doubtful),
            (b"-- b", Line::Content),
            (b"b", Line::Content),
            (b"--", Line::Content),
        ] {
            assert_eq!(read(line, b"b"), what, "{line:?}");
        }
    }
}
