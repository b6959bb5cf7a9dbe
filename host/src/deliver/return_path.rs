//! The Return-Path field of final delivery (RFC 5321 section 4.4; R5321-4.4-e): exactly one, at the
//! top, with the reverse-path of the envelope. Older ones in the header section are removed; no
//! other octet changes.
//!
//! ```text
//!   LineStart --"return-path:"--> Drop --LF--> LineStart     (folded lines go along)
//!       |    \--anything else---> Keep --LF--> LineStart
//!       +--empty line, or a line that is no field--> Body
//! ```

/// The field's name and colon. The octets between them that RFC 5322 section 4.5 still allows are
/// handled apart.
const NAME: &[u8] = b"return-path";

/// Takes content in pieces and gives it back without its Return-Path fields.
#[derive(Debug)]
pub(super) struct ReturnPath {
    state: State,
    /// The front of a line while it may still be a Return-Path field.
    front: Vec<u8>,
    /// The field that a folded line would belong to was dropped.
    dropped: bool,
    /// A colon was seen in the line that is kept.
    colon: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    LineStart,
    Keep,
    Drop,
    Body,
}

impl ReturnPath {
    pub(super) fn new() -> Self {
        Self {
            state: State::LineStart,
            front: Vec::with_capacity(NAME.len() + 1),
            dropped: false,
            colon: false,
        }
    }

    /// The field to begin with. The reverse-path was parsed long ago; controls cannot be in it, and
    /// if they were they would not get into a header section.
    pub(super) fn field(reverse_path: &str) -> Vec<u8> {
        let mut field = b"Return-Path: <".to_vec();
        field.extend(
            reverse_path
                .bytes()
                .filter(|octet| !octet.is_ascii_control()),
        );
        field.extend_from_slice(b">\r\n");
        field
    }

    /// Appends what stays of the next piece.
    pub(super) fn pass(&mut self, mut piece: &[u8], kept: &mut Vec<u8>) {
        while let Some((&octet, rest)) = piece.split_first() {
            match self.state {
                State::Body => {
                    kept.extend_from_slice(piece);
                    return;
                }
                State::LineStart => {
                    self.front(octet, kept);
                    piece = rest;
                }
                State::Keep | State::Drop => {
                    let end = piece.iter().position(|one| *one == b'\n');
                    let (line, after) = piece.split_at(end.map_or(piece.len(), |end| end + 1));
                    if self.state == State::Keep {
                        self.colon |= line.contains(&b':');
                        kept.extend_from_slice(line);
                    }
                    if end.is_some() {
                        self.line_ended();
                    }
                    piece = after;
                }
            }
        }
    }

    /// Appends what is still open at the end of the content.
    pub(super) fn end(self, kept: &mut Vec<u8>) {
        kept.extend_from_slice(&self.front);
    }

    /// One octet at the front of a line.
    fn front(&mut self, octet: u8, kept: &mut Vec<u8>) {
        // RFC 5322 section 2.2.3: a folded line belongs to the field before it.
        if self.front.is_empty() && (octet == b' ' || octet == b'\t') {
            if self.dropped {
                self.state = State::Drop;
            } else {
                kept.push(octet);
                self.state = State::Keep;
                // Whether it is a field was decided in its first line.
                self.colon = true;
            }
            return;
        }
        self.dropped = false;
        let known = self.front.len();
        let matches = match NAME.get(known) {
            Some(expected) => octet.eq_ignore_ascii_case(expected),
            None => octet == b' ' || octet == b'\t',
        };
        // Most white space that is kept in mind; more than that is nobody's Return-Path.
        if matches && known < NAME.len() + 64 {
            self.front.push(octet);
            return;
        }
        if known >= NAME.len() && octet == b':' {
            self.front.clear();
            self.dropped = true;
            self.state = State::Drop;
            return;
        }
        // RFC 5322 section 2.1: the header section ends at an empty line. A line that is no field
        // ends it too.
        let empty = matches!(octet, b'\r' | b'\n') && known == 0;
        self.colon = octet == b':' || empty;
        kept.append(&mut self.front);
        kept.push(octet);
        self.state = match (empty, octet) {
            (true, _) | (false, b'\n') => State::Body,
            (false, _) => State::Keep,
        };
    }

    fn line_ended(&mut self) {
        let field = self.state == State::Drop || self.colon;
        self.state = if field { State::LineStart } else { State::Body };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn without(content: &[u8], piece: usize) -> Vec<u8> {
        let mut filter = ReturnPath::new();
        let mut kept = Vec::new();
        for piece in content.chunks(piece) {
            filter.pass(piece, &mut kept);
        }
        filter.end(&mut kept);
        kept
    }

    #[test]
    fn r5321_4_4_e_older_return_path_fields_are_removed() {
        for (content, expected) in [
            (
                "Return-Path: <a@b>\r\nTo: x\r\n\r\nbody",
                "To: x\r\n\r\nbody",
            ),
            (
                "To: x\r\nRETURN-path:<a@b>\r\n\r\nbody",
                "To: x\r\n\r\nbody",
            ),
            (
                "A: 1\r\nReturn-Path :\r\n <a@b>\r\n\t(x)\r\nB: 2\r\n\r\n",
                "A: 1\r\nB: 2\r\n\r\n",
            ),
            ("Return-Path: a\r\nReturn-Path: b\r\n", ""),
            ("Return-Path: a\nTo: x\n\n", "To: x\n\n"),
        ] {
            assert_eq!(
                without(content.as_bytes(), 7),
                expected.as_bytes(),
                "{content:?}"
            );
        }
    }

    #[test]
    fn all_else_stays_octet_for_octet() {
        for content in [
            "",
            "\r\nReturn-Path: in the body\r\n",
            "To: x\r\n\r\nReturn-Path: in the body\r\n",
            "Return-Path-Info: x\r\n\r\n",
            "X-Return-Path: x\r\n\r\n",
            "Return-Pat: x\r\n Return-Path: folded\r\n\r\n",
            "Return-Path",
            "Return-Path\r\nReturn-Path: a line that is no field ends the header\r\n",
            "no field\r\nReturn-Path: x\r\n",
            "R\nReturn-Path: x\r\n",
            " \r\nTo: x\r\n\r\n",
        ] {
            for piece in 1..8 {
                assert_eq!(
                    without(content.as_bytes(), piece),
                    content.as_bytes(),
                    "{content:?}"
                );
            }
        }
    }

    #[test]
    fn the_field_cannot_break_out_of_its_line() {
        assert_eq!(ReturnPath::field(""), b"Return-Path: <>\r\n");
        assert_eq!(ReturnPath::field("a@b"), b"Return-Path: <a@b>\r\n");
        assert_eq!(
            ReturnPath::field("a\r\nX: y@b"),
            b"Return-Path: <aX: y@b>\r\n"
        );
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(
            lines in prop::collection::vec(
                prop_oneof![
                    Just("Return-Path: <a@b>\r\n".to_owned()),
                    Just("return-path \t:\r\n".to_owned()),
                    Just(" folded: x\r\n".to_owned()),
                    Just("To: x\r\n".to_owned()),
                    Just("\r\n".to_owned()),
                    "[Rr: \\n]{0,5}",
                ],
                0..8,
            ),
            piece in 1_usize..20,
        ) {
            let content = lines.concat();
            let kept = without(content.as_bytes(), piece);
            prop_assert_eq!(&kept, &without(content.as_bytes(), usize::MAX));
            prop_assert_eq!(&without(&kept, piece), &kept);
        }
    }
}
