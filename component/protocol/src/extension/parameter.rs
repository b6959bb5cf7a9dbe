//! Parameters of MAIL and RCPT in general (RFC 5321 section 4.1.2, `esmtp-param`).

use super::Defect;
use crate::smtp::{is_white_space, path, trim_start};
use alloc::string::String;

/// Octets of an unknown keyword that a reply repeats at most.
const MOST_REPEATED: usize = 64;

/// `esmtp-keyword ["=" esmtp-value]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parameter<'a> {
    /// In the case that the peer chose.
    pub keyword: &'a str,
    /// `None`: no `=`. The value's grammar is that of its extension.
    pub value: Option<&'a [u8]>,
}

impl Parameter<'_> {
    /// The keyword is unknown here, or its extension is not offered (R5321-4.1.1.11-a).
    pub fn unsupported(&self) -> Defect {
        let repeated = self.keyword.len().min(MOST_REPEATED);
        Defect::Unsupported(String::from(&self.keyword[..repeated]))
    }
}

/// The path after `prefix` (`FROM:` or `TO:`), and what follows it.
pub(super) fn path<'a>(
    argument: &'a [u8],
    prefix: &'static [u8],
    missing: Defect,
    bad: Defect,
) -> Result<(path::Path, &'a [u8]), Defect> {
    // R5321-4.1.2-d. A tab is white space where that is tolerated, and a control octet elsewhere.
    let is_control = |octet: &u8| octet.is_ascii_control() && *octet != b'\t';
    if argument.iter().any(is_control) {
        return Err(Defect::Control);
    }
    // R5321-4.1.1.2-b: no space before the colon.
    let text = match trim_start(argument).split_at_checked(prefix.len()) {
        Some((head, text)) if head.eq_ignore_ascii_case(prefix) => text,
        _ => return Err(missing),
    };
    // R5321-4.1.1.2-b: a space after the colon.
    let text = trim_start(text);
    path::path(text).ok_or_else(|| {
        let end = text.iter().position(|octet| *octet == b'>');
        let tried = &text[..end.unwrap_or(text.len())];
        match tried.contains(&b'\t') {
            true => Defect::Control,
            false => bad,
        }
    })
}

/// The parameters in `text`, which begins right after the path (R4954-5-a: a `=` inside the path
/// means nothing). White space of any length between them (R5321-4.1.1.2-b).
pub(super) fn parameters(
    text: &[u8],
) -> Result<impl Iterator<Item = Result<Parameter<'_>, Defect>>, Defect> {
    if text.first().is_some_and(|octet| !is_white_space(*octet)) {
        return Err(Defect::NotAParameter);
    }
    let words = text
        .split(|octet| is_white_space(*octet))
        .filter(|word| !word.is_empty());
    Ok(words.map(|word| parameter(word).ok_or(Defect::NotAParameter)))
}

fn parameter(word: &[u8]) -> Option<Parameter<'_>> {
    let end = memchr::memchr(b'=', word);
    let (keyword, value) = word.split_at(end.unwrap_or(word.len()));
    let sound = keyword.first().is_some_and(u8::is_ascii_alphanumeric)
        && keyword
            .iter()
            .all(|octet| octet.is_ascii_alphanumeric() || *octet == b'-');
    Some(Parameter {
        keyword: core::str::from_utf8(keyword).ok().filter(|_| sound)?,
        value: value.strip_prefix(b"="),
    })
}

/// Keeps a parameter's value, which may come once (R5321-4.1.1.11-b).
pub(super) fn once<T>(slot: &mut Option<T>, name: &'static str, value: T) -> Result<(), Defect> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Defect::Repeated(name)),
    }
}

/// `true` for a parameter that has no value (R5321-4.1.1.11-b).
pub(super) fn flag(value: Option<&[u8]>, name: &'static str) -> Result<bool, Defect> {
    match value {
        None => Ok(true),
        Some(_) => Err(Defect::BadValue(name)),
    }
}

/// 1 to `most` decimal digits, nothing else. A number over 64 bits becomes the largest.
pub(super) fn number(text: &[u8], most: usize) -> Option<u64> {
    if text.is_empty() || text.len() > most || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(text.iter().fold(0, |number: u64, digit| {
        number
            .saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{vec, vec::Vec};

    type Pair<'a> = (&'a str, Option<&'a [u8]>);

    fn all(text: &[u8]) -> Result<Vec<Pair<'_>>, Defect> {
        parameters(text)?
            .map(|each| each.map(|parameter| (parameter.keyword, parameter.value)))
            .collect()
    }

    #[test]
    fn r5321_4_1_1_2_b_parameters_have_white_space_between_them() {
        assert_eq!(all(b""), Ok(vec![]));
        assert_eq!(all(b"  "), Ok(vec![]));
        assert_eq!(
            all(b"  A=1 \t B-2  c== "),
            Ok(vec![
                ("A", Some(&b"1"[..])),
                ("B-2", None),
                ("c", Some(&b"="[..]))
            ])
        );
    }

    #[test]
    fn r5321_4_1_1_11_b_other_words_are_no_parameters() {
        for bad in [
            &b"A=1"[..],
            b" =1",
            b" -a",
            b" a_b=1",
            b" a.b",
            b" \xc3\xa9=1",
            b" <b@c.d>",
        ] {
            assert_eq!(all(bad), Err(Defect::NotAParameter), "{bad:?}");
        }
    }

    #[test]
    fn numbers_are_digits_alone() {
        assert_eq!(number(b"007", 9), Some(7));
        assert_eq!(number(b"99999999999999999999", 20), Some(u64::MAX));
        for bad in [&b""[..], b"+1", b"-1", b"1 ", b"1a", b"1234567890"] {
            assert_eq!(number(bad, 9), None);
        }
    }
}
