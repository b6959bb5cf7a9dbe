//! Octets of a part as they may travel (RFC 2045 sections 2 and 6.7).

/// Most octets of a line without its end (RFC 5322 section 2.1.1, RFC 2045 section 2.7).
pub(super) const LINE: usize = 998;

/// Content-Transfer-Encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Lines of ASCII.
    SevenBit,
    /// Lines.
    EightBit,
    /// Anything, as lines of ASCII.
    QuotedPrintable,
}

impl Encoding {
    /// The keyword.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::SevenBit => "7bit",
            Self::EightBit => "8bit",
            Self::QuotedPrintable => "quoted-printable",
        }
    }

    /// The plainest for these octets.
    pub(super) fn plainest(octets: &[u8]) -> Self {
        match (is_lines(octets), octets.is_ascii()) {
            (true, true) => Self::SevenBit,
            (true, false) => Self::EightBit,
            (false, _) => Self::QuotedPrintable,
        }
    }
}

/// Whether this is text in lines: no NUL, no CR and no LF on its own, no line that is too long.
pub(super) fn is_lines(octets: &[u8]) -> bool {
    let mut length = 0;
    let mut before = 0;
    for &octet in octets {
        let good = match octet {
            0 => false,
            b'\n' => before == b'\r',
            _ => before != b'\r',
        };
        length = if octet == b'\n' { 0 } else { length + 1 };
        // The CR counts here, so a line may have one more.
        if !good || length > LINE + usize::from(octet == b'\r') {
            return false;
        }
        before = octet;
    }
    before != b'\r'
}

/// Encodes text: CR LF stays a line break, all else that is not plain is escaped.
pub(super) fn quoted_printable(octets: &[u8]) -> Vec<u8> {
    const MOST: usize = 76;
    let mut encoded = Vec::with_capacity(octets.len() + octets.len() / 8);
    let mut length = 0;
    let mut rest = octets;
    while let Some((&octet, after)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(b"\r\n") {
            encoded.extend_from_slice(b"\r\n");
            length = 0;
            rest = after;
            continue;
        }
        // RFC 2045 section 6.7 rule 3: white space at the end of a line is lost on the way.
        let ends = after.is_empty() || after.starts_with(b"\r\n");
        let plain = match octet {
            b' ' | b'\t' => !ends,
            b'=' => false,
            octet => octet.is_ascii_graphic(),
        };
        let width = if plain { 1 } else { 3 };
        // Room for the `=` of a soft line break, unless the line ends here.
        if length + width + usize::from(!ends) > MOST {
            encoded.extend_from_slice(b"=\r\n");
            length = 0;
        }
        if plain {
            encoded.push(octet);
        } else {
            encoded.extend_from_slice(format!("={octet:02X}").as_bytes());
        }
        length += width;
        rest = after;
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_text_in_lines_is_found() {
        let long = |octets| [vec![b'a'; octets], b"\r\n".to_vec()].concat();
        for (octets, good) in [
            (b"".to_vec(), true),
            (b"a\r\nb".to_vec(), true),
            (b"\r\n\r\n".to_vec(), true),
            (b"a\nb".to_vec(), false),
            (b"\n".to_vec(), false),
            (b"a\rb".to_vec(), false),
            (b"a\r\r\n".to_vec(), false),
            (b"a\r".to_vec(), false),
            (b"a\0b".to_vec(), false),
            (long(998), true),
            (long(999), false),
            (vec![b'a'; 998], true),
            (vec![b'a'; 999], false),
        ] {
            assert_eq!(
                is_lines(&octets),
                good,
                "{:?}",
                String::from_utf8_lossy(&octets)
            );
        }
    }

    #[test]
    fn quoted_printable_is_that_of_rfc_2045() {
        for (octets, expected) in [
            (b"a=b\r\n".as_slice(), "a=3Db\r\n"),
            ("ä".as_bytes(), "=C3=A4"),
            (b"a \r\n\tb\t", "a=20\r\n\tb=09"),
            (b"a\nb\rc\0", "a=0Ab=0Dc=00"),
        ] {
            assert_eq!(quoted_printable(octets), expected.as_bytes());
        }
        let line = [b'a'; 100];
        let expected = format!("{}=\r\n{}", "a".repeat(75), "a".repeat(25));
        assert_eq!(quoted_printable(&line), expected.as_bytes());
        assert_eq!(quoted_printable(&line[..76]), &line[..76]);
    }

    /// The other direction, by the rules of RFC 2045 section 6.7.
    fn decoded(text: &[u8]) -> Vec<u8> {
        let text = String::from_utf8(text.to_vec())
            .unwrap()
            .replace("=\r\n", "");
        let mut octets = Vec::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find('=') {
            octets.extend_from_slice(&rest.as_bytes()[..at]);
            octets.push(u8::from_str_radix(&rest[at + 1..at + 3], 16).unwrap());
            rest = &rest[at + 3..];
        }
        octets.extend_from_slice(rest.as_bytes());
        octets
    }

    proptest! {
        #[test]
        fn any_octets_survive(octets in prop::collection::vec(any::<u8>(), 0..600)) {
            let encoded = quoted_printable(&octets);
            prop_assert!(encoded.is_ascii() && is_lines(&encoded));
            let lines = encoded.split(|octet| *octet == b'\n');
            prop_assert!(lines.into_iter().all(|line| line.len() <= 77));
            prop_assert_eq!(decoded(&encoded), octets);
        }
    }
}
