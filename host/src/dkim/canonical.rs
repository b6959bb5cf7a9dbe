//! The relaxed canonicalizations (RFC 6376 sections 3.4.2 and 3.4.4).
//!
//! The body is canonicalized while it passes, in any pieces: white space and ends of lines wait until
//! it is known what follows them. A CR or LF that stands alone ends no line.

/// White space of RFC 6376 section 2.8.
fn is_white(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}

/// Appends a header field in its relaxed form, with its CRLF (RFC 6376 section 3.4.2). `field` has
/// its folding and may lack its CRLF; without a colon it is a name alone.
pub(super) fn field(field: &[u8], out: &mut Vec<u8>) {
    let colon = field.iter().position(|octet| *octet == b':');
    let (name, value) = field.split_at(colon.unwrap_or(field.len()));
    out.extend(name.trim_ascii_end().iter().map(u8::to_ascii_lowercase));
    out.push(b':');
    let start = out.len();
    let mut white = false;
    let mut octets = value.iter().skip(1).copied().peekable();
    while let Some(octet) = octets.next() {
        match octet {
            // An end of line, which a fold leaves away.
            b'\r' if octets.peek() == Some(&b'\n') => {
                octets.next();
            }
            _ if is_white(octet) => white = true,
            _ => {
                // None after the colon, and none at the end.
                if white && out.len() > start {
                    out.push(b' ');
                }
                white = false;
                out.push(octet);
            }
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Octets that are gathered before they go on.
const MOST_GATHERED: usize = 8192;

/// A body on its way through the relaxed canonicalization (RFC 6376 section 3.4.4).
#[derive(Debug, Default)]
pub(super) struct Body {
    /// Canonical octets that have not been taken yet.
    out: Vec<u8>,
    /// Ends of lines that count only if more than empty lines follows.
    lines: u64,
    /// White space that counts only if more of its line follows.
    white: bool,
    /// A CR, of which the next octet says what it is.
    cr: bool,
    /// There was something else than empty lines.
    any: bool,
}

impl Body {
    /// Takes the next octets and shows what is known of the canonical body.
    pub(super) fn take(&mut self, octets: &[u8], mut show: impl FnMut(&[u8])) {
        let mut rest = octets;
        while let Some((first, after)) = rest.split_first() {
            if std::mem::take(&mut self.cr) {
                if *first == b'\n' {
                    self.lines += 1;
                    self.white = false;
                    rest = after;
                    continue;
                }
                self.text(b"\r");
            }
            if *first == b'\r' {
                self.cr = true;
                rest = after;
            } else if is_white(*first) {
                self.white = true;
                rest = after;
            } else {
                let end = rest
                    .iter()
                    .position(|octet| matches!(octet, b' ' | b'\t' | b'\r'));
                let (text, after) = rest.split_at(end.unwrap_or(rest.len()));
                self.text(text);
                rest = after;
            }
            if self.out.len() >= MOST_GATHERED {
                show(&self.out);
                self.out.clear();
            }
        }
    }

    /// Ends the body, and shows the rest of it: a body that has anything ends with one CRLF.
    pub(super) fn finish(mut self, mut show: impl FnMut(&[u8])) {
        if self.cr {
            self.text(b"\r");
        }
        if self.any {
            self.out.extend_from_slice(b"\r\n");
        }
        show(&self.out);
    }

    fn text(&mut self, text: &[u8]) {
        for _ in 0..std::mem::take(&mut self.lines) {
            self.out.extend_from_slice(b"\r\n");
        }
        if std::mem::take(&mut self.white) {
            self.out.push(b' ');
        }
        self.out.extend_from_slice(text);
        self.any = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn relaxed(body: &[u8], size: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let mut canonical = Body::default();
        for piece in body.chunks(size) {
            canonical.take(piece, |octets| out.extend_from_slice(octets));
        }
        canonical.finish(|octets| out.extend_from_slice(octets));
        out
    }

    fn relaxed_field(octets: &[u8]) -> String {
        let mut out = Vec::new();
        field(octets, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// The same, step by step as RFC 6376 section 3.4.4 says it, on the whole body at once.
    fn straight(body: &[u8]) -> Vec<u8> {
        let mut lines: Vec<Vec<u8>> = Vec::new();
        let mut rest = body.to_vec();
        // A body that does not end with CRLF gets one.
        if !rest.is_empty() && !rest.ends_with(b"\r\n") {
            rest.extend_from_slice(b"\r\n");
        }
        while let Some(at) = rest.windows(2).position(|pair| pair == b"\r\n") {
            let after = rest.split_off(at + 2);
            rest.truncate(at);
            lines.push(std::mem::replace(&mut rest, after));
        }
        for line in &mut lines {
            let mut reduced: Vec<u8> = Vec::new();
            for octet in line.iter() {
                let octet = if *octet == b'\t' { b' ' } else { *octet };
                if octet != b' ' || reduced.last() != Some(&b' ') {
                    reduced.push(octet);
                }
            }
            if reduced.last() == Some(&b' ') {
                reduced.pop();
            }
            *line = reduced;
        }
        while lines.last().is_some_and(Vec::is_empty) {
            lines.pop();
        }
        lines
            .iter()
            .flat_map(|line| line.iter().copied().chain(*b"\r\n"))
            .collect()
    }

    // RFC 6376 section 3.4.5.
    #[test]
    fn r6409_8_5_the_example_of_the_standard() {
        assert_eq!(relaxed_field(b"A: X\r\n"), "a:X\r\n");
        assert_eq!(relaxed_field(b"B : Y\t\r\n\tZ  \r\n"), "b:Y Z\r\n");
        let body = b" C \r\nD \t E\r\n\r\n\r\n";
        assert_eq!(relaxed(body, 100), b" C\r\nD E\r\n");
    }

    #[test]
    fn r6409_8_5_odd_fields() {
        assert_eq!(relaxed_field(b"Subject:\r\n"), "subject:\r\n");
        assert_eq!(relaxed_field(b"Subject: \t\r\n"), "subject:\r\n");
        assert_eq!(relaxed_field(b"Subject:\r\n \r\n x"), "subject:x\r\n");
        assert_eq!(relaxed_field(b"SubJect \t:a:b"), "subject:a:b\r\n");
    }

    #[test]
    fn r6409_8_5_odd_bodies() {
        for (body, canonical) in [
            (&b""[..], &b""[..]),
            (b"\r\n", b""),
            (b"\r\n\r\n", b""),
            (b" \t\r\n \r\n", b""),
            (b"a", b"a\r\n"),
            (b"a\r\n", b"a\r\n"),
            (b"a\r\n\r\n \r\n", b"a\r\n"),
            (b"\r\n\r\na", b"\r\n\r\na\r\n"),
            (b"  a\t \tb \r\n", b" a b\r\n"),
            (b"a\r", b"a\r\r\n"),
            (b"a\rb\nc\r\n", b"a\rb\nc\r\n"),
            (b"a \r\r\n", b"a \r\r\n"),
        ] {
            for size in [1, 2, 3, 100] {
                assert_eq!(relaxed(body, size), canonical, "{body:?} by {size}");
            }
        }
    }

    proptest! {
        #[test]
        fn r6409_8_5_a_body_is_the_same_in_any_pieces_and_straight(
            body in "[ab \t\r\n\u{e9}]{0,40}(\r\n)?",
            size in 1_usize..20,
        ) {
            prop_assert_eq!(relaxed(body.as_bytes(), size), straight(body.as_bytes()));
        }

        #[test]
        fn r6409_8_5_lines_of_a_body(
            lines in proptest::collection::vec("[a \t]{0,4}", 0..12),
            size in 1_usize..20,
        ) {
            let body = lines.join("\r\n");
            prop_assert_eq!(relaxed(body.as_bytes(), size), straight(body.as_bytes()));
        }

        #[test]
        fn r6409_8_5_long_bodies_too(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let body = octets.repeat(200);
            prop_assert_eq!(relaxed(&body, 4096), straight(&body));
        }

        #[test]
        fn r6409_8_5_a_field_is_unfolded_and_its_white_space_reduced(
            words in proptest::collection::vec("[a-c]{1,3}", 0..6),
            gaps in proptest::collection::vec("[ \t]{0,2}(\r\n)?[ \t]{1,2}", 7),
        ) {
            let mut field = b"Name:".to_vec();
            for (word, gap) in words.iter().zip(&gaps) {
                field.extend_from_slice(gap.as_bytes());
                field.extend_from_slice(word.as_bytes());
            }
            field.extend_from_slice(b"\r\n");
            prop_assert_eq!(relaxed_field(&field), format!("name:{}\r\n", words.join(" ")));
        }
    }
}
