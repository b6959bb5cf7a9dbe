//! The fields of a header section (RFC 5322 section 2.2), without loss: a field is named by its
//! place in the section, so what nobody changes keeps its octets.

use crate::smtp::cfws::trimmed;
use alloc::vec::Vec;

/// Octets of a field name at most: it has to fit a line (RFC 5322 section 2.1.1).
const MOST_NAME: usize = 998;

/// A header field with its folding and its CRLF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    raw: &'a [u8],
    /// Octets of the name.
    name: usize,
    /// Where the body begins, after the colon.
    body: usize,
}

impl<'a> Field<'a> {
    /// Every octet of it.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// The name as it was written.
    pub fn name(&self) -> &'a [u8] {
        &self.raw[..self.name]
    }

    /// Whether it has this name, in any case (RFC 5322 section 1.2.2).
    pub fn is(&self, name: &str) -> bool {
        self.name().eq_ignore_ascii_case(name.as_bytes())
    }

    /// What follows the colon, folding included, without white space at its two ends.
    pub fn body(&self) -> &'a [u8] {
        trimmed(&self.raw[self.body..])
    }
}

/// A line of a header section that neither is a field nor goes on with one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("header section has a line that is no field")]
pub struct NoField;

/// The fields of a header section (without the empty line that ends it), in order.
pub fn fields(section: &[u8]) -> Fields<'_> {
    Fields { rest: section }
}

/// See [`fields`].
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, NoField>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let mut end = line_end(self.rest, 0);
        while self
            .rest
            .get(end)
            .is_some_and(|octet| matches!(octet, b' ' | b'\t'))
        {
            end = line_end(self.rest, end);
        }
        let (raw, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(match name(raw) {
            Name::Field { name, body } => Ok(Field { raw, name, body }),
            Name::Unfinished | Name::None => Err(NoField),
        })
    }
}

/// The end of the line of `octets` that begins at `from`, its CRLF included.
fn line_end(octets: &[u8], from: usize) -> usize {
    memchr::memchr_iter(b'\n', &octets[from..])
        .map(|at| from + at)
        .find(|at| *at > from && octets[at - 1] == b'\r')
        .map_or(octets.len(), |at| at + 1)
}

/// What the first octets of a line say about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    /// A field.
    Field {
        /// Octets of the name.
        name: usize,
        /// Where the body begins.
        body: usize,
    },
    /// More octets are needed.
    Unfinished,
    /// No field, whatever follows.
    None,
}

/// Reads `ftext` (RFC 5322 section 3.6.8), the white space that obsolete forms have before the
/// colon (section 4.5), and the colon.
pub(super) fn name(line: &[u8]) -> Name {
    let length = line
        .iter()
        .take_while(|octet| matches!(octet, 33..=57 | 59..=126))
        .count();
    let rest = &line[length..];
    let white = rest
        .iter()
        .take_while(|octet| matches!(octet, b' ' | b'\t'))
        .count();
    match rest.get(white) {
        _ if length > MOST_NAME || white > MOST_NAME => Name::None,
        None if length > 0 || white == 0 => Name::Unfinished,
        Some(b':') if length > 0 => Name::Field {
            name: length,
            body: length + white + 1,
        },
        _ => Name::None,
    }
}

/// Folds lines of a field that are over `most` octets (CRLF not counted) at white space
/// (RFC 5322 section 2.2.3); `None` where nothing is, or can be, folded.
///
/// A line without white space where it is needed stays as long as it is.
pub fn folded(field: &[u8], most: usize) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut copied = 0;
    let mut start = 0;
    while start < field.len() {
        let end = line_end(field, start);
        let text = field[start..end].trim_ascii_end();
        let text_end = start + text.len();
        while let Some(place) = fold_place(&field[start..text_end], most) {
            start += place;
            out.extend_from_slice(&field[copied..start]);
            out.extend_from_slice(b"\r\n");
            copied = start;
        }
        start = end;
    }
    (copied > 0).then(|| {
        out.extend_from_slice(&field[copied..]);
        out
    })
}

/// Where to fold a line that ends with text: at the last white space that leaves at most `most`
/// octets before it, else at the first after them. The part before may not be white space alone
/// (RFC 5322 section 3.2.2).
fn fold_place(line: &[u8], most: usize) -> Option<usize> {
    if line.len() <= most {
        return None;
    }
    let is_white = |at: &usize| matches!(line[*at], b' ' | b'\t');
    let text = (0..line.len()).find(|at| !is_white(at))?;
    (text..=most)
        .rev()
        .find(is_white)
        .or_else(|| (text.max(most)..line.len()).find(is_white))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, vec};
    use proptest::prelude::*;

    fn names(section: &[u8]) -> Vec<Result<&[u8], NoField>> {
        fields(section)
            .map(|field| field.map(|field| field.name()))
            .collect()
    }

    #[test]
    fn a_field_goes_on_where_lines_begin_with_white_space() {
        let section = b"To: a@example.org,\r\n b@example.org\r\nX:\r\n\t\r\nsubject : hi \r\n";
        let all: Vec<_> = fields(section).map(|field| field.unwrap()).collect();
        assert_eq!(all[0].raw(), b"To: a@example.org,\r\n b@example.org\r\n");
        assert_eq!(all[0].body(), b"a@example.org,\r\n b@example.org");
        assert_eq!(all[1].raw(), b"X:\r\n\t\r\n");
        assert_eq!(all[1].body(), b"");
        assert!(all[2].is("Subject"));
        assert_eq!(all[2].body(), b"hi");
    }

    #[test]
    fn r6409_8_d_lines_that_are_no_fields() {
        for line in [
            &b"hello\r\n"[..],
            b": x\r\n",
            b" x: y\r\n",
            b"From alice Mon Jan  1 10:00:00 2026\r\n",
            b"\xc3\xa9: x\r\n",
            b"x\r\n",
            b"\r\n",
        ] {
            assert_eq!(names(line), vec![Err(NoField)], "{line:?}");
        }
    }

    #[test]
    fn r6409_8_b_long_lines_fold_at_the_last_white_space_that_fits() {
        let field = b"Subject: aaa bbb ccc ddd\r\n eee fff ggg hhh iii\r\n";
        assert_eq!(
            folded(field, 17).as_deref(),
            Some(&b"Subject: aaa bbb\r\n ccc ddd\r\n eee fff ggg hhh\r\n iii\r\n"[..])
        );
        assert_eq!(folded(b"Subject: short\r\n", 17), None);
    }

    #[test]
    fn r6409_8_b_a_fold_leaves_no_line_of_white_space() {
        assert_eq!(folded(b"  aaaaaaaa        \r\n", 4), None);
        assert_eq!(
            folded(b"A: bbbbbbbb  c\r\n", 4).as_deref(),
            Some(&b"A:\r\n bbbbbbbb\r\n  c\r\n"[..])
        );
    }

    #[test]
    fn r6409_8_b_what_has_no_white_space_stays() {
        let field = format!("X:{}\r\n", "a".repeat(2000));
        assert_eq!(folded(field.as_bytes(), 998), None);
    }

    proptest! {
        #[test]
        fn fields_lose_nothing(section in "([a-c:]{0,3}[ \t]?(\r\n)?){0,20}") {
            let mut raw = Vec::new();
            let mut rest = fields(section.as_bytes());
            loop {
                let before = rest.rest;
                if rest.next().is_none() {
                    break;
                }
                raw.extend_from_slice(&before[..before.len() - rest.rest.len()]);
            }
            prop_assert_eq!(raw, section.as_bytes());
        }

        #[test]
        fn unfolding_undoes_folding(body in "[ab \t]{0,80}", most in 1_usize..20) {
            let field = format!("X: {body}y\r\n");
            if let Some(folded) = folded(field.as_bytes(), most) {
                let text = std::string::String::from_utf8(folded).unwrap();
                let lines = text.strip_suffix("\r\n").unwrap().split("\r\n");
                for line in lines {
                    prop_assert!(!line.trim().is_empty());
                    if line.len() > most {
                        prop_assert!(!line.trim().contains([' ', '\t']), "{line:?}");
                    }
                }
                prop_assert_eq!(text.replace("\r\n", ""), field.replace("\r\n", ""));
            }
        }
    }
}
