//! A local file as message content: lines that end with CRLF (RFC 5321 section 2.3.8).

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// A CR without its LF: what it was meant to be, nobody can know.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "line {line} has a CR that no LF follows, which no server may accept; lines must end with LF \
     or CRLF (a file with CR alone: tr '\\r' '\\n'; anything else: encode it as base64)"
)]
pub(super) struct BareCr {
    line: usize,
}

/// The octets of the file, or of standard input.
pub(super) fn read(file: Option<&Path>) -> Result<Vec<u8>, String> {
    let mut octets = Vec::new();
    match file {
        Some(path) => File::open(path)
            .and_then(|mut file| file.read_to_end(&mut octets))
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?,
        None => io::stdin()
            .lock()
            .read_to_end(&mut octets)
            .map_err(|error| format!("cannot read standard input: {error}"))?,
    };
    Ok(octets)
}

/// Every line with CRLF, the last one too, so that SIZE is exact (R1870-6.2).
pub(super) fn to_crlf(octets: &[u8]) -> Result<Vec<u8>, BareCr> {
    let mut out = Vec::with_capacity(octets.len() + octets.len() / 32 + 2);
    for (index, line) in octets.split_inclusive(|octet| *octet == b'\n').enumerate() {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        // A final CR without LF is bare too.
        let text = match text.strip_suffix(b"\r") {
            Some(text) if line.ends_with(b"\n") => text,
            _ => text,
        };
        if text.contains(&b'\r') {
            return Err(BareCr { line: index + 1 });
        }
        out.extend_from_slice(text);
        out.extend_from_slice(b"\r\n");
    }
    Ok(out)
}

/// What comes before a line that is a dot alone: how `sendmail` input ends without `-i`.
pub(super) fn until_dot(octets: &[u8]) -> &[u8] {
    let mut start = 0;
    for line in octets.split_inclusive(|octet| *octet == b'\n') {
        if matches!(line, b".\n" | b".\r\n" | b".") {
            return &octets[..start];
        }
        start += line.len();
    }
    octets
}

/// Without the separator line of mbox files, which some programs leave in front.
pub(super) fn without_separator(octets: &[u8]) -> &[u8] {
    if !octets.starts_with(b"From ") {
        return octets;
    }
    match octets.iter().position(|octet| *octet == b'\n') {
        Some(end) => &octets[end + 1..],
        None => b"",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn r5321_2_3_8_lines_end_with_crlf() {
        for (given, expected) in [
            ("", ""),
            ("a", "a\r\n"),
            ("a\n", "a\r\n"),
            ("a\r\n", "a\r\n"),
            ("a\n\r\nb", "a\r\n\r\nb\r\n"),
            ("\n\n", "\r\n\r\n"),
            (".\n..\n", ".\r\n..\r\n"),
        ] {
            assert_eq!(to_crlf(given.as_bytes()).unwrap(), expected.as_bytes());
        }
    }

    #[test]
    fn r5321_2_3_8_a_bare_cr_is_refused_with_its_line() {
        for (given, line) in [("a\rb\n", 1), ("a\nb\r\r\n", 2), ("a\n\nb\r", 3)] {
            assert_eq!(to_crlf(given.as_bytes()), Err(BareCr { line }), "{given:?}");
        }
    }

    #[test]
    fn input_ends_at_a_lone_dot() {
        assert_eq!(until_dot(b"a\n.\nb\n"), b"a\n");
        assert_eq!(until_dot(b"a\r\n.\r\nb"), b"a\r\n");
        assert_eq!(until_dot(b"a\n."), b"a\n");
        assert_eq!(until_dot(b"a\n..\n. \n"), b"a\n..\n. \n");
        assert_eq!(without_separator(b"From a@b Mon\nTo: c\n"), b"To: c\n");
        assert_eq!(without_separator(b"From: a@b\n"), b"From: a@b\n");
    }

    proptest! {
        #[test]
        fn converted_content_has_no_bare_octets_and_stays_as_it_is(
            octets in proptest::collection::vec(
                prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), any::<u8>()], 0..60)
        ) {
            if let Ok(content) = to_crlf(&octets) {
                prop_assert_eq!(to_crlf(&content).unwrap(), content.clone());
                for (index, octet) in content.iter().enumerate() {
                    if *octet == b'\n' {
                        prop_assert_eq!(content[index - 1], b'\r');
                    }
                    if *octet == b'\r' {
                        prop_assert_eq!(content[index + 1], b'\n');
                    }
                }
            }
        }
    }
}
