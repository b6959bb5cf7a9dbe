//! Content for the wire: dots at line starts doubled, and the end of data (RFC 5321 section 4.5.2,
//! R5321-4.5.2-b).

use super::pieces::Pieces;
use crate::contract::client::Action;
use alloc::vec::Vec;

/// The content of one message on its way to a server.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stuffing {
    before: Before,
}

/// What the octets so far end with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Before {
    /// Nothing, or CRLF.
    #[default]
    LineStart,
    Cr,
    Other,
}

impl Stuffing {
    /// Before the first octet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next octets, which stand at `base` of the caller's buffer: pushes at most
    /// [`MOST_PIECES`](super::pieces::MOST_PIECES) content actions.
    ///
    /// Nothing but dots is added: a bare CR or LF begins no line and passes as it is.
    pub fn take(&mut self, octets: &[u8], base: u32, actions: &mut Vec<Action>) {
        if octets.is_empty() {
            return;
        }
        let mut pieces = Pieces::new(octets, base, actions);
        let mut sent = 0;
        self.dots(octets, |at| {
            pieces.run(sent..at);
            pieces.insert(b".");
            sent = at;
        });
        pieces.run(sent..octets.len());
        pieces.finish();
    }

    /// The same for octets that are the session's own.
    pub fn stuffed(&mut self, octets: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(octets.len());
        let mut copied = 0;
        self.dots(octets, |at| {
            out.extend_from_slice(&octets[copied..at]);
            out.push(b'.');
            copied = at;
        });
        out.extend_from_slice(&octets[copied..]);
        out
    }

    /// Tells where dots are to be doubled.
    fn dots(&mut self, octets: &[u8], mut dot: impl FnMut(usize)) {
        let (Some(first), Some(last)) = (octets.first(), octets.last()) else {
            return;
        };
        match self.before {
            Before::LineStart if *first == b'.' => dot(0),
            Before::Cr if octets.starts_with(b"\n.") => dot(1),
            _ => {}
        }
        for at in memchr::memmem::find_iter(octets, b"\r\n.") {
            dot(at + 2);
        }
        self.before = match *last {
            b'\r' => Before::Cr,
            b'\n' if octets.ends_with(b"\r\n") => Before::LineStart,
            b'\n' if octets.len() == 1 && self.before == Before::Cr => Before::LineStart,
            _ => Before::Other,
        };
    }

    /// The content is complete: its final CRLF if it lacks one, and the end of data, once.
    pub fn finish(self, actions: &mut Vec<Action>) {
        actions.push(Action::Insert(self.end().to_vec()));
    }

    /// The same as octets.
    pub fn end(self) -> &'static [u8] {
        match self.before {
            Before::LineStart => b".\r\n",
            Before::Cr | Before::Other => b"\r\n.\r\n",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::pieces::MOST_PIECES;
    use super::*;
    use crate::contract::Span;
    use alloc::vec;
    use proptest::prelude::*;

    fn stuff(content: &[u8], size: usize) -> Vec<u8> {
        let mut stuffing = Stuffing::new();
        let mut wire = Vec::new();
        let mut write = |run: &[u8], actions: Vec<Action>| {
            assert!(actions.len() <= MOST_PIECES);
            for action in actions {
                match action {
                    Action::Content(Span { offset, length }) => {
                        let start = offset as usize - 5;
                        wire.extend_from_slice(&run[start..start + length as usize]);
                    }
                    Action::Insert(octets) => wire.extend_from_slice(&octets),
                    other => panic!("{other:?}"),
                }
            }
        };
        for run in content.chunks(size) {
            let mut actions = Vec::new();
            stuffing.take(run, 5, &mut actions);
            write(run, actions);
        }
        let mut actions = Vec::new();
        stuffing.finish(&mut actions);
        write(b"", actions);
        wire
    }

    #[test]
    fn r5321_4_5_2_b_dots_at_line_starts_are_doubled() {
        for (content, wire) in [
            (&b""[..], &b".\r\n"[..]),
            (b"a", b"a\r\n.\r\n"),
            (b"a\r\n", b"a\r\n.\r\n"),
            (b".", b"..\r\n.\r\n"),
            (b".\r\n", b"..\r\n.\r\n"),
            (b"a\r\n.b\r\n..\r\n", b"a\r\n..b\r\n...\r\n.\r\n"),
            (b"a.b\r\n c.\r\n", b"a.b\r\n c.\r\n.\r\n"),
            (b"a\n.b\r\n", b"a\n.b\r\n.\r\n"),
            (b"a\r.b\r\n", b"a\r.b\r\n.\r\n"),
            (b"\r\n.\r\n.\r\n", b"\r\n..\r\n..\r\n.\r\n"),
        ] {
            for size in [1, 2, 3, 100] {
                assert_eq!(stuff(content, size), wire, "{content:?} {size}");
            }
        }
    }

    #[test]
    fn a_run_without_dots_is_named_as_a_whole() {
        let octets = b"some words on a line\r\n".repeat(100);
        let mut actions = Vec::new();
        Stuffing::new().take(&octets, 3, &mut actions);
        assert_eq!(
            actions,
            vec![Action::Content(Span {
                offset: 3,
                length: 2200
            })]
        );
    }

    proptest! {
        #[test]
        fn our_own_octets_are_stuffed_alike(content in "[a.\r\n]{0,60}", size in 1_usize..9) {
            let mut stuffing = Stuffing::new();
            let mut wire = Vec::new();
            for run in content.as_bytes().chunks(size) {
                wire.extend(stuffing.stuffed(run));
            }
            wire.extend_from_slice(stuffing.end());
            prop_assert_eq!(wire, stuff(content.as_bytes(), 4096));
        }

        #[test]
        fn any_split_gives_the_same(content in "[a.\r\n]{0,60}", size in 1_usize..9) {
            prop_assert_eq!(stuff(content.as_bytes(), size), stuff(content.as_bytes(), 4096));
        }

        #[test]
        fn dots_on_many_lines_stay_few_pieces(length in 0_usize..300) {
            let line = [&b"."[..], &vec![b'x'; length], b"\r\n"].concat();
            let content = line.repeat(200);
            let expected = [&b"."[..], &line].concat().repeat(200);
            let wire = stuff(&content, 65_536);
            prop_assert_eq!(wire.strip_suffix(b".\r\n"), Some(&expected[..]));
        }
    }
}
