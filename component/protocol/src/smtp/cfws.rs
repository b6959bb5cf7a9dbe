//! The lexical tokens of structured header fields: comments, white space, atoms, quoted strings
//! (RFC 5322 section 3.2, with the obsolete forms of section 4 and the UTF-8 of RFC 6532).
//!
//! A [`Cursor`] walks over the body of a field, folding included. Every step either takes a whole
//! token or nothing.

use alloc::vec::Vec;

/// Comments inside comments that are followed at most: deeper ones are no syntax that anybody
/// writes, and each level costs its closing parenthesis.
const MOST_NESTED: u32 = 64;

/// `atext` (RFC 5322 section 3.2.3). Octets above 127 count: RFC 6532 section 3.2 has UTF-8 there,
/// old devices have Latin-1, and both are left alone (R6409-6.5).
pub fn is_atext(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || octet >= 0x80 || b"!#$%&'*+-/=?^_`{|}~".contains(&octet)
}

/// Space, tab, or an octet of the CRLF that folds a field (RFC 5322 section 3.2.2).
fn is_white(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\r' | b'\n')
}

/// `text` without white space and folding at its two ends.
pub fn trimmed(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|octet| !is_white(*octet));
    let end = text.iter().rposition(|octet| !is_white(*octet));
    match (start, end) {
        (Some(start), Some(end)) => &text[start..=end],
        _ => b"",
    }
}

/// A place in the body of a structured field.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// At the start of `text`.
    pub fn new(text: &'a [u8]) -> Self {
        Self { rest: text }
    }

    /// The next octet, not taken.
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// What was not taken yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether nothing is left.
    pub fn is_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Takes `octet` if it is next.
    pub fn eat(&mut self, octet: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == octet => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// Takes the octets of which `like` holds; they may be none.
    pub fn run(&mut self, like: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|octet| !like(*octet));
        let (run, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        run
    }

    /// CFWS: takes comments and white space, and says whether there was some. A comment that does
    /// not end is not taken.
    pub fn skip(&mut self) -> bool {
        let before = self.rest.len();
        loop {
            self.run(is_white);
            match comment(self.rest) {
                Some(length) => self.rest = &self.rest[length..],
                None => return self.rest.len() != before,
            }
        }
    }

    /// `quoted-string` without its quotes and backslashes (RFC 5322 section 3.2.4).
    pub fn quoted(&mut self) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        let mut octets = self.rest.strip_prefix(b"\"")?.iter();
        while let Some(octet) = octets.next() {
            match octet {
                b'"' => {
                    self.rest = octets.as_slice();
                    return Some(text);
                }
                b'\\' => text.push(*octets.next()?),
                // The CRLF of a fold is not part of the text (RFC 5322 section 2.2.3).
                b'\r' | b'\n' => {}
                _ => text.push(*octet),
            }
        }
        None
    }
}

/// The length of the comment that `text` begins with (RFC 5322 section 3.2.2).
fn comment(text: &[u8]) -> Option<usize> {
    if text.first() != Some(&b'(') {
        return None;
    }
    let mut depth = 0_u32;
    let mut octets = text.iter().enumerate();
    while let Some((at, octet)) = octets.next() {
        match octet {
            b'(' => depth += 1,
            b')' => depth -= 1,
            b'\\' => {
                octets.next()?;
            }
            _ => {}
        }
        if depth == 0 {
            return Some(at + 1);
        }
        if depth > MOST_NESTED {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_nest_and_quote() {
        let mut cursor = Cursor::new(b" (a (b) \\) c)\r\n\tx");
        assert!(cursor.skip());
        assert_eq!(cursor.peek(), Some(b'x'));
        assert!(!cursor.skip());
    }

    #[test]
    fn a_comment_that_does_not_end_is_no_comment() {
        let mut cursor = Cursor::new(b" (a (b) c");
        assert!(cursor.skip());
        assert_eq!(cursor.peek(), Some(b'('));
    }

    #[test]
    fn a_quoted_string_loses_its_quotes_and_folds() {
        let mut cursor = Cursor::new(b"\"a\\\"b\r\n c\"@");
        assert_eq!(cursor.quoted().as_deref(), Some(&b"a\"b c"[..]));
        assert_eq!(cursor.peek(), Some(b'@'));
        assert_eq!(Cursor::new(b"\"open").quoted(), None);
        assert_eq!(Cursor::new(b"\"open\\").quoted(), None);
    }

    #[test]
    fn trimming_takes_folds() {
        assert_eq!(trimmed(b"\r\n  No \t\r\n"), b"No");
        assert_eq!(trimmed(b" \r\n"), b"");
    }
}
