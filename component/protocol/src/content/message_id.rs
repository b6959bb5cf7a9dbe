//! The Message-ID field (RFC 5322 section 3.6.4, obsolete forms of section 4.5.4).

use crate::smtp::cfws::{Cursor, is_atext};

/// The msg-id with its brackets, where the body of the field is one.
///
/// Octets above 127 may stand in it as UTF-8 (RFC 6532 section 3.2).
pub fn message_id(body: &[u8]) -> Option<&str> {
    let body = core::str::from_utf8(body).ok()?;
    let mut cursor = Cursor::new(body.as_bytes());
    cursor.skip();
    let start = body.len() - cursor.rest().len();
    cursor.eat(b'<').then_some(())?;
    left(&mut cursor)?;
    cursor.eat(b'@').then_some(())?;
    right(&mut cursor)?;
    cursor.eat(b'>').then_some(())?;
    let end = body.len() - cursor.rest().len();
    cursor.skip();
    if !cursor.is_end() {
        return None;
    }
    body.get(start..end)
}

/// `id-left`: `dot-atom-text`, or the words of an obsolete local-part. No white space: with it the
/// identifier would not be one word in logs and in other fields.
fn left(cursor: &mut Cursor<'_>) -> Option<()> {
    loop {
        if cursor.peek() == Some(b'"') {
            cursor
                .quoted()?
                .iter()
                .all(|octet| !octet.is_ascii_control())
                .then_some(())?;
        } else if cursor.run(is_atext).is_empty() {
            return None;
        }
        if !cursor.eat(b'.') {
            return Some(());
        }
    }
}

/// `id-right`: `dot-atom-text` or `no-fold-literal`.
fn right(cursor: &mut Cursor<'_>) -> Option<()> {
    if cursor.eat(b'[') {
        cursor.run(|octet| octet > b' ' && octet != 0x7f && !b"[]\\".contains(&octet));
        return cursor.eat(b']').then_some(());
    }
    loop {
        if cursor.run(is_atext).is_empty() {
            return None;
        }
        if !cursor.eat(b'.') {
            return Some(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn r6409_8_3_valid_identifiers() {
        for (body, id) in [
            (
                "<1234@local.machine.example>",
                "<1234@local.machine.example>",
            ),
            ("\r\n <a.b+c@[192.0.2.1]> (why)", "<a.b+c@[192.0.2.1]>"),
            ("<\"a b\".c@host>", "<\"a b\".c@host>"),
            ("<4F2C@host_name>", "<4F2C@host_name>"),
            ("<é@example.org>", "<é@example.org>"),
        ] {
            assert_eq!(message_id(body.as_bytes()), Some(id));
        }
    }

    #[test]
    fn r6409_8_3_invalid_identifiers() {
        for body in [
            &b""[..],
            b"1234@example.org",
            b"<1234>",
            b"<@example.org>",
            b"<1234@>",
            b"<12 34@example.org>",
            b"<1234@example.org",
            b"<a..b@example.org>",
            b"<a@b> <c@d>",
            b"<a@b@c>",
            b"<\xe9@example.org>",
            b"<a@[b]c>",
            b"<\"a\r\n b\"x@c>",
        ] {
            assert_eq!(message_id(body), None, "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn no_octets_panic(octets in proptest::collection::vec(any::<u8>(), 0..64)) {
            message_id(&octets);
        }

        #[test]
        fn an_identifier_is_found_again(body in "[ (]{0,2}<[a.\"é]{1,4}@[a.\\[\\]]{1,4}>[ )]{0,2}") {
            if let Some(id) = message_id(body.as_bytes()) {
                prop_assert_eq!(message_id(id.as_bytes()), Some(id));
            }
        }
    }
}
