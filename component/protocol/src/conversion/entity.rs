//! What the header section of a message or of a part says of its body (RFC 2045 sections 5 and 6,
//! RFC 2046).

use super::Unconvertible;
use crate::content::header::{Field, fields};
use crate::smtp::cfws::Cursor;
use alloc::vec::Vec;

/// Octets of a boundary at most: RFC 2046 section 5.1.1 has 70, some write more.
const MOST_BOUNDARY: usize = 200;

/// The label of a body (RFC 2045 section 6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    /// 7bit, also when there is none.
    SevenBit,
    /// 8bit.
    EightBit,
    /// binary.
    Binary,
    /// Anything else: the body is encoded.
    Encoded,
}

/// What kind of body it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text: quoted-printable keeps it readable.
    Text,
    /// Anything else that may be encoded.
    Data,
    /// Parts between delimiters.
    Multipart {
        /// What the delimiters are made of.
        boundary: Vec<u8>,
        /// multipart/digest: parts without a type are messages (RFC 2046 section 5.1.5).
        digest: bool,
    },
    /// A message (RFC 2046 section 5.2.1): another header section.
    Message,
    /// A body that stays as it is, or there is no conversion for this reason.
    Fixed(Unconvertible),
}

/// What is known of a message or a part once its header section has passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entity {
    /// Its place among all of the message, itself the first.
    pub(super) index: usize,
    /// The place of the message that it is a part of.
    pub(super) root: usize,
    pub(super) kind: Kind,
    pub(super) label: Label,
    /// It has a Content-Type field.
    pub(super) typed: bool,
}

/// What an entity is that has no Content-Type field (RFC 2045 section 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Default {
    Text,
    Message,
}

/// Where an entity stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) index: usize,
    pub(super) root: usize,
    pub(super) default: Default,
    /// It may have parts of its own: it is not too deep.
    pub(super) open: bool,
}

impl Entity {
    /// Reads the header section, without the empty line that ends it.
    pub(super) fn read(section: &[u8], place: Place) -> Self {
        let is_root = place.index == place.root;
        let (mut types, mut encodings) = (Vec::new(), Vec::new());
        let (mut clear, mut signed) = (true, false);
        for field in fields(section) {
            match field {
                Ok(field) if field.is("Content-Type") => types.push(field),
                Ok(field) if field.is("Content-Transfer-Encoding") => encodings.push(field),
                Ok(field) => signed |= is_root && place.index > 0 && is_signature(&field),
                // Some readers end the header section here, others skip the line.
                Err(_) => clear = false,
            }
        }
        // Of two fields readers take the first, the last, or neither.
        clear &= types.len() <= 1 && encodings.len() <= 1;
        let label = encodings.first().map_or(Label::SevenBit, label);
        let kind = if !clear {
            Kind::Fixed(Unconvertible::Structure)
        } else if signed {
            // A forwarded message whose signature somebody may yet verify (CL-8bit).
            Kind::Fixed(Unconvertible::Protected)
        } else {
            match types.first() {
                Some(field) => kind(field),
                None if place.default == Default::Message => Kind::Message,
                None => Kind::Text,
            }
        };
        let composite = matches!(kind, Kind::Multipart { .. } | Kind::Message);
        let kind = match kind {
            Kind::Fixed(_) => kind,
            // RFC 2045 section 6.4: nothing of several parts is encoded as a whole.
            _ if label == Label::Encoded => Kind::Fixed(Unconvertible::Encoded),
            _ if composite && !place.open => Kind::Fixed(Unconvertible::Structure),
            _ => kind,
        };
        Self {
            index: place.index,
            root: place.root,
            kind,
            label,
            typed: !types.is_empty(),
        }
    }

    /// Whether it is a message, and not only a part of one.
    pub(super) fn is_root(&self) -> bool {
        self.index == self.root
    }
}

/// RFC 6376 section 3.5, RFC 8617 section 4.1.2.
fn is_signature(field: &Field<'_>) -> bool {
    field.is("DKIM-Signature") || field.is("ARC-Message-Signature")
}

fn label(field: &Field<'_>) -> Label {
    let mut cursor = Cursor::new(field.body());
    cursor.skip();
    let token = cursor.run(is_token);
    cursor.skip();
    // A stray semicolon is what some devices put after it.
    cursor.eat(b';');
    cursor.skip();
    let is = |name: &str| token.eq_ignore_ascii_case(name.as_bytes());
    if !cursor.is_end() {
        Label::Encoded
    } else if is("7bit") {
        Label::SevenBit
    } else if is("8bit") {
        Label::EightBit
    } else if is("binary") {
        Label::Binary
    } else {
        Label::Encoded
    }
}

/// RFC 2045 section 5.1: `token`.
fn is_token(octet: u8) -> bool {
    octet.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&octet)
}

fn kind(field: &Field<'_>) -> Kind {
    let mut cursor = Cursor::new(field.body());
    cursor.skip();
    let media_type = cursor.run(is_token);
    cursor.skip();
    cursor.eat(b'/');
    cursor.skip();
    let subtype = cursor.run(is_token);
    cursor.skip();
    let is = |word: &[u8], name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    if is(media_type, "multipart") {
        if is(subtype, "signed") || is(subtype, "encrypted") {
            // RFC 1847 section 2: what is signed keeps its octets.
            return Kind::Fixed(Unconvertible::Protected);
        }
        match boundary(cursor) {
            Some(boundary) => Kind::Multipart {
                boundary,
                digest: is(subtype, "digest"),
            },
            None => Kind::Fixed(Unconvertible::Structure),
        }
    } else if is(media_type, "message") {
        let global = subtype
            .get(..6)
            .is_some_and(|start| start.eq_ignore_ascii_case(b"global"));
        if is(subtype, "rfc822") || is(subtype, "news") {
            Kind::Message
        } else if global {
            // RFC 6532 section 3.7, RFC 6533 section 6: any encoding will do, and the header
            // sections inside could not be written in ASCII.
            Kind::Data
        } else {
            // RFC 2046 section 5.2, RFC 3464 section 2.1: 7bit or nothing.
            Kind::Fixed(Unconvertible::Type)
        }
    } else if is(media_type, "text") {
        Kind::Text
    } else {
        Kind::Data
    }
}

/// The boundary parameter (RFC 2046 section 5.1.1), if all readers will find the same.
fn boundary(mut cursor: Cursor<'_>) -> Option<Vec<u8>> {
    let mut found = None;
    while !cursor.is_end() {
        if !cursor.eat(b';') {
            return None;
        }
        cursor.skip();
        let name = cursor.run(is_token);
        cursor.skip();
        if name.is_empty() {
            // A semicolon that nothing follows.
            continue;
        }
        if !cursor.eat(b'=') {
            return None;
        }
        cursor.skip();
        let value = if cursor.peek() == Some(b'"') {
            cursor.quoted()?
        } else {
            // Boundaries are often written without the quotes that their `=` would need.
            let value = cursor.run(|octet| octet != b';' && octet.is_ascii_graphic());
            if value.iter().any(|octet| b"()\"\\".contains(octet)) {
                return None;
            }
            value.to_vec()
        };
        cursor.skip();
        let is_boundary = name
            .get(..8)
            .is_some_and(|start| start.eq_ignore_ascii_case(b"boundary"));
        // Twice, or in pieces (RFC 2231 section 3).
        if is_boundary && (name.len() > 8 || found.replace(value).is_some()) {
            return None;
        }
    }
    let mut boundary: Vec<u8> = found?;
    boundary.truncate(boundary.trim_ascii_end().len());
    (1..=MOST_BOUNDARY)
        .contains(&boundary.len())
        .then_some(boundary)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(section: &str) -> Entity {
        let place = Place {
            index: 3,
            root: 2,
            default: Default::Text,
            open: true,
        };
        Entity::read(section.as_bytes(), place)
    }

    fn boundary_of(parameters: &str) -> Option<Vec<u8>> {
        match read(&alloc::format!(
            "Content-Type: multipart/mixed{parameters}\r\n"
        ))
        .kind
        {
            Kind::Multipart { boundary, .. } => Some(boundary),
            Kind::Fixed(Unconvertible::Structure) => None,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn boundaries_are_found_as_odd_as_they_are() {
        for (parameters, boundary) in [
            ("; boundary=abc", Some("abc")),
            (";\r\n\tBoundary=\"a b\" ; x=y", Some("a b")),
            ("; charset=x; boundary=----=_Part_1", Some("----=_Part_1")),
            (" (comment) ; boundary = \"a\\\"b\" ;", Some("a\"b")),
            ("; boundary=\"ab \"", Some("ab")),
            ("; boundary=\"\"", None),
            ("", None),
            ("; boundary=a; boundary=b", None),
            ("; boundary*0=a; boundary*1=b", None),
            ("; boundary=a(b)", None),
            ("; boundary=\"a\"b", None),
            ("; boundary", None),
        ] {
            assert_eq!(
                boundary_of(parameters).as_deref(),
                boundary.map(str::as_bytes),
                "{parameters}"
            );
        }
    }

    #[test]
    fn labels_in_any_case_and_with_comments() {
        for (value, label) in [
            ("8BIT", Label::EightBit),
            (" (x) 7bit (y)", Label::SevenBit),
            ("binary;", Label::Binary),
            ("base64", Label::Encoded),
            ("8bit 7bit", Label::Encoded),
            ("", Label::Encoded),
        ] {
            let field = alloc::format!("Content-Transfer-Encoding: {value}\r\n");
            assert_eq!(read(&field).label, label, "{value}");
        }
        assert_eq!(read("").label, Label::SevenBit);
    }

    #[test]
    fn kinds() {
        for (value, kind) in [
            ("text/html; charset=utf-8", Kind::Text),
            ("TEXT", Kind::Text),
            ("image/png", Kind::Data),
            ("nonsense", Kind::Data),
            ("message/RFC822", Kind::Message),
            ("message/global", Kind::Data),
            ("message/global-delivery-status", Kind::Data),
            ("message/delivery-status", Kind::Fixed(Unconvertible::Type)),
            ("message/partial", Kind::Fixed(Unconvertible::Type)),
            (
                "multipart/signed; boundary=a",
                Kind::Fixed(Unconvertible::Protected),
            ),
            (
                "multipart/encrypted; boundary=a",
                Kind::Fixed(Unconvertible::Protected),
            ),
        ] {
            let field = alloc::format!("Content-Type: {value}\r\n");
            assert_eq!(read(&field).kind, kind, "{value}");
        }
        assert_eq!(read("Subject: x\r\n").kind, Kind::Text);
    }

    #[test]
    fn what_readers_would_disagree_on_stays_as_it_is() {
        for section in [
            "Content-Type: text/plain\r\nContent-Type: text/html\r\n",
            "Content-Transfer-Encoding: 8bit\r\nContent-Transfer-Encoding: 7bit\r\n",
            "Content-Type: text/plain\r\nno field\r\n",
        ] {
            assert_eq!(
                read(section).kind,
                Kind::Fixed(Unconvertible::Structure),
                "{section}"
            );
        }
        let encoded = "Content-Type: multipart/mixed; boundary=a\r\n\
                       Content-Transfer-Encoding: base64\r\n";
        assert_eq!(read(encoded).kind, Kind::Fixed(Unconvertible::Encoded));
    }

    #[test]
    fn cl_8bit_a_signed_message_inside_is_not_converted() {
        let mut place = Place {
            index: 2,
            root: 2,
            default: Default::Text,
            open: true,
        };
        let signed = b"DKIM-Signature: v=1\r\n";
        let protected = Kind::Fixed(Unconvertible::Protected);
        assert_eq!(Entity::read(signed, place).kind, protected);
        // In the header section of a mere part it means nothing.
        place.root = 0;
        assert_eq!(Entity::read(signed, place).kind, Kind::Text);
    }
}
