//! What of the reported message goes back to its sender (RFC 3461 section 6.2, RFC 6522 section 3,
//! RFC 6533 section 6).
//!
//! | the message | returned whole | else |
//! | --- | --- | --- |
//! | plain | `message/rfc822`, 7bit or 8bit | `text/rfc822-headers`, 7bit |
//! | internationalized | `message/global`, 8bit or quoted-printable | `message/global-headers` |
//! | 8-bit header without SMTPUTF8 | never | `text/rfc822-headers`, quoted-printable |
//! | not in lines (NUL, bare CR or LF, lines over 998) | never, unless internationalized | the same |
//!
//! Why: message/rfc822 must not be encoded and its header is always ASCII (RFC 2046 section 5.2.1), so
//! what is not in lines could only go as BINARYMIME, which hardly any server takes; a report that
//! does not arrive helps nobody. text/rfc822-headers may be quoted-printable (RFC 6522 section 4), and
//! so may the types of RFC 6532 section 3.7 and RFC 6533 section 6. An 8-bit body goes back as it is,
//! and the report is marked 8BITMIME (R3464-2-f).

use super::encoding::{Encoding, is_lines, quoted_printable};
use crate::spool::{Message, NoticeKind, Owed, Ret};

/// Most octets of a header section that are returned.
pub const HEADER_LIMIT: usize = 64 * 1024;

/// The reported message, as far as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Original {
    /// All of its content.
    Whole(Vec<u8>),
    /// The beginning, at least [`HEADER_LIMIT`] octets of it or all there is.
    Beginning(Vec<u8>),
    /// It cannot be read; for the sender, what is wrong: `it is damaged`.
    Unreadable(String),
}

/// Whether a report that pays these notices should have the whole content, and so needs it.
pub fn whole(owed: &Owed, full_limit: u64) -> bool {
    refusal(owed, full_limit).is_none()
}

/// What is said of the third part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Attached {
    /// All of it.
    Whole,
    /// Only the header section, as it should be.
    Header,
    /// Only the header section, because the rest is too large.
    TooLarge,
    /// Only the header section, because the rest would not survive in a report.
    Unfit,
    /// Nothing.
    Nothing(String),
}

/// The third part of a report.
#[derive(Debug)]
pub(super) struct Returned {
    /// Media type.
    pub(super) media_type: &'static str,
    /// How `octets` are encoded.
    pub(super) encoding: Encoding,
    /// What is between the boundaries.
    pub(super) octets: Vec<u8>,
}

/// The third part, if there can be one, and what to say of it. `international`: the forms of RFC 6533.
pub(super) fn returned(
    owed: &Owed,
    full_limit: u64,
    original: &Original,
    international: bool,
) -> (Option<Returned>, Attached) {
    let content = match original {
        Original::Whole(content) | Original::Beginning(content) => content,
        Original::Unreadable(why) => return (None, Attached::Nothing(why.clone())),
    };
    let header = header_section(content);
    let utf8 = std::str::from_utf8(header).is_ok();
    let refusal = match (refusal(owed, full_limit), original) {
        (None, Original::Whole(content)) => {
            match embedded(&owed.message, content, header, international && utf8) {
                Some(returned) => return (Some(returned), Attached::Whole),
                None => Attached::Unfit,
            }
        }
        (None, _) => Attached::TooLarge,
        (Some(refusal), _) => refusal,
    };
    let header = shortened(header, HEADER_LIMIT);
    // Cut, it may end within a character.
    let utf8 = std::str::from_utf8(header).is_ok();
    let plainest = Encoding::plainest(header);
    let (media_type, encoding) = match (international && utf8, plainest) {
        (true, encoding) => ("message/global-headers", encoding),
        (false, Encoding::SevenBit) => ("text/rfc822-headers", Encoding::SevenBit),
        (false, _) => ("text/rfc822-headers", Encoding::QuotedPrintable),
    };
    (Some(encode(media_type, encoding, header)), refusal)
}

/// Why the content does not go back whole, if so.
fn refusal(owed: &Owed, full_limit: u64) -> Option<Attached> {
    let parameters = &owed.message.envelope.parameters;
    // RFC 3461 section 6.2 (R3464-2-a): RET is about failures. RFC 8689 section 5: headers only.
    let failed = owed
        .notices
        .iter()
        .any(|notice| notice.kind == NoticeKind::Failed);
    // RFC 3461 section 4.3: what an absent RET means is ours to say. Senders want their text back.
    if !failed || parameters.ret == Some(Ret::Headers) || parameters.require_tls {
        Some(Attached::Header)
    } else if owed.message.size > full_limit {
        Some(Attached::TooLarge)
    } else {
        None
    }
}

/// The whole content as a part, if it can be one.
fn embedded(
    message: &Message,
    content: &[u8],
    header: &[u8],
    international: bool,
) -> Option<Returned> {
    if international {
        // Between servers without SMTPUTF8 only encoded (RFC 6532 section 3.7). Where the reverse-path
        // is not ASCII the report needs SMTPUTF8 anyway.
        let raw =
            is_lines(content) && (content.is_ascii() || !message.envelope.reverse_path.is_ascii());
        let encoding = if raw {
            Encoding::plainest(content)
        } else {
            Encoding::QuotedPrintable
        };
        return Some(encode("message/global", encoding, content));
    }
    (is_lines(content) && header.is_ascii())
        .then(|| encode("message/rfc822", Encoding::plainest(content), content))
}

fn encode(media_type: &'static str, encoding: Encoding, octets: &[u8]) -> Returned {
    let octets = match encoding {
        Encoding::QuotedPrintable => quoted_printable(octets),
        Encoding::SevenBit | Encoding::EightBit => octets.to_vec(),
    };
    Returned {
        media_type,
        encoding,
        octets,
    }
}

/// The header section without the empty line after it. It ends where a line is no field: nothing of
/// a body is returned to somebody who asked for the header. A line may end in LF alone.
pub(super) fn header_section(content: &[u8]) -> &[u8] {
    let mut end = 0;
    for line in content.split_inclusive(|octet| *octet == b'\n') {
        let folded = end > 0 && matches!(line.first(), Some(b' ' | b'\t'));
        if !(folded || is_field(line)) {
            break;
        }
        end += line.len();
    }
    &content[..end]
}

/// Whether a line begins a field (RFC 5322 section 2.2; white space before the colon: section 4.5).
fn is_field(line: &[u8]) -> bool {
    let name = line
        .iter()
        .take_while(|octet| octet.is_ascii_graphic() && **octet != b':')
        .count();
    let rest = line[name..]
        .iter()
        .find(|octet| !matches!(octet, b' ' | b'\t'));
    name > 0 && rest == Some(&b':')
}

/// At most so many octets: whole fields, else whole lines, else what there is.
fn shortened(header: &[u8], most: usize) -> &[u8] {
    let Some(front) = header
        .get(..most)
        .filter(|front| front.len() < header.len())
    else {
        return header;
    };
    let (mut fields, mut lines, mut end) = (0, 0, 0);
    for line in header.split_inclusive(|octet| *octet == b'\n') {
        if !matches!(line.first(), Some(b' ' | b'\t')) {
            fields = end;
        }
        end += line.len();
        if end > most {
            break;
        }
        lines = end;
    }
    match (fields, lines) {
        (0, 0) => front,
        (0, lines) => &header[..lines],
        (fields, _) => &header[..fields],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_section_ends_where_it_should() {
        for (content, header) in [
            ("A: b\r\nC: d\r\n\r\nE: f\r\n", "A: b\r\nC: d\r\n"),
            ("A: b\r\n c\r\n\r\n", "A: b\r\n c\r\n"),
            ("A: b\n\nbody", "A: b\n"),
            ("A : b\r\nno field\r\nC: d\r\n", "A : b\r\n"),
            ("A: b", "A: b"),
            (" folded\r\nA: b", ""),
            ("\r\nbody: x\r\n", ""),
            ("", ""),
        ] {
            assert_eq!(
                header_section(content.as_bytes()),
                header.as_bytes(),
                "{content:?}"
            );
        }
    }

    #[test]
    fn a_long_header_section_is_cut_where_a_field_ends() {
        let header = b"A: b\r\nC: d\r\n e\r\nF: g\r\n";
        for (most, expected) in [
            (100, "A: b\r\nC: d\r\n e\r\nF: g\r\n"),
            (22, "A: b\r\nC: d\r\n e\r\nF: g\r\n"),
            (21, "A: b\r\nC: d\r\n e\r\n"),
            (16, "A: b\r\nC: d\r\n e\r\n"),
            (15, "A: b\r\n"),
            (12, "A: b\r\n"),
            (5, "A: b\r"),
        ] {
            let cut = shortened(header, most);
            assert_eq!(cut, expected.as_bytes(), "{most}");
        }
        assert_eq!(shortened(b"A: b\r\n c\r\n d\r\n", 12), b"A: b\r\n c\r\n");
    }
}
