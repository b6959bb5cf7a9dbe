//! Messages and what becomes of them.

use super::super::Target;
use super::convert;

fn check(target: Target, message: &[u8], expected: &[u8]) {
    for size in [1, 2, 7, 65_536] {
        let converted = convert(message, target, size).unwrap();
        assert_eq!(
            std::string::String::from_utf8_lossy(&converted),
            std::string::String::from_utf8_lossy(expected),
            "{size}"
        );
    }
}

#[test]
fn cl_8bit_a_text_becomes_quoted_printable_in_its_place() {
    check(
        Target::SevenBit,
        b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit\r\nSubject: x\r\n\
          Content-Type: text/plain; charset=utf-8\r\n\r\ncaf\xc3\xa9\r\n.dot\r\n",
        b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\nSubject: x\r\n\
          Content-Type: text/plain; charset=utf-8\r\n\r\ncaf=C3=A9\r\n.dot\r\n",
    );
}

#[test]
fn cl_8bit_a_message_without_mime_says_that_nobody_knows_its_charset() {
    // RFC 1428 section 3
    check(
        Target::SevenBit,
        b"Subject: x\r\n\r\ncaf\xe9\r\n",
        b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\n\
          Content-Transfer-Encoding: quoted-printable\r\n\r\ncaf=E9\r\n",
    );
    // R6409-8-d: neither has it a header section.
    check(
        Target::SevenBit,
        b"no field, caf\xe9\r\nX: y\r\n",
        b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\n\
          Content-Transfer-Encoding: quoted-printable\r\n\r\nno field, caf=E9\r\nX: y\r\n",
    );
}

#[test]
fn cl_8bit_only_the_part_that_needs_it_changes() {
    check(
        Target::SevenBit,
        b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b\"\r\n\
          Content-Transfer-Encoding: 8bit\r\n\r\npreamble\r\n\
          --b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
          =E9\r\n\
          --b\r\nContent-Type: image/png\r\ncontent-transfer-encoding:\r\n 8bit\r\n\r\n\xff\r\n\r\n\
          --b\r\n\r\nplain\r\n--b--\r\nepilogue\r\n",
        b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b\"\r\n\
          Content-Transfer-Encoding: 7bit\r\n\r\npreamble\r\n\
          --b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
          =E9\r\n\
          --b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n/w0K\r\n\
          --b\r\n\r\nplain\r\n--b--\r\nepilogue\r\n",
    );
}

#[test]
fn cl_8bit_a_message_in_a_message_is_converted_inside() {
    check(
        Target::SevenBit,
        b"MIME-Version: 1.0\r\nContent-Type: multipart/digest; boundary=b\r\n\r\n\
          --b\r\n\r\nSubject: inner\r\n\r\n\xe9\r\n--b--\r\n",
        b"MIME-Version: 1.0\r\nContent-Type: multipart/digest; boundary=b\r\n\r\n\
          --b\r\n\r\nSubject: inner\r\nMIME-Version: 1.0\r\n\
          Content-Type: text/plain; charset=unknown-8bit\r\n\
          Content-Transfer-Encoding: quoted-printable\r\n\r\n=E9\r\n--b--\r\n",
    );
    check(
        Target::SevenBit,
        b"MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\
          \r\nContent-Type: text/html\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xe9",
        b"MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\
          \r\nContent-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\
          MIME-Version: 1.0\r\n\r\n=E9=\r\n",
    );
}

#[test]
fn r3030_3_b_binary_becomes_base64_and_8bit_stays_where_it_may() {
    check(
        Target::EightBit,
        b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\
          Content-Transfer-Encoding: binary\r\n\r\n\
          --b\r\nContent-Transfer-Encoding: 8bit\r\n\r\ncaf\xc3\xa9\r\n\
          --b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n\
          \0\n\r\n\
          --b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: binary\r\n\r\n\xe9\r\n\
          --b--\r\n",
        b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\
          Content-Transfer-Encoding: 8bit\r\n\r\n\
          --b\r\nContent-Transfer-Encoding: 8bit\r\n\r\ncaf\xc3\xa9\r\n\
          --b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n\
          AAo=\r\n\
          --b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xe9\r\n\
          --b--\r\n",
    );
}

#[test]
fn r3030_3_b_lines_that_are_too_long_are_folded_without_loss() {
    let mut message = b"MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n".to_vec();
    message.extend_from_slice(&[b'x'; 3_000]);
    message.extend_from_slice(b"\r\n");
    let converted = convert(&message, Target::EightBit, 100).unwrap();
    let leaf = &super::decode::leaves(&converted)[0];
    assert_eq!(leaf.encoding, "quoted-printable");
    assert_eq!(leaf.body, [&[b'x'; 3_000][..], b"\r\n"].concat());
}

#[test]
fn cl_8bit_what_needs_nothing_keeps_every_octet() {
    for message in [
        &b""[..],
        b"\r\n",
        b"Subject: x",
        b"Subject: x\r\n",
        b"Subject: x\r\n\r\n",
        b"Subject: x\r\n\r\nno end",
        b"no header",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\na\r\n--b\r\n--b--",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nX: y\r\n--b--\r\n\r\n",
        b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\na\r\n--b--\r\n",
        b"Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\na\r\n--b--\r\n",
        b"Content-Type: message/rfc822\r\n\r\n",
        b"Content-Type: message/rfc822\r\n\r\nFrom x Mon Jan 1 2026\r\n\r\na\r\n",
        b"Content-Transfer-Encoding: x-uuencode\r\n\r\nbegin\r\n",
        b"Content-Type: multipart/mixed; boundary=b\r\n\
          Content-Transfer-Encoding: base64\r\n\r\nYQ==\r\n",
    ] {
        check(Target::SevenBit, message, message);
        check(Target::EightBit, message, message);
    }
}
