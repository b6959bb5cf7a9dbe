//! What is not converted, because some reader would find damage.

use super::super::{Target, Unconvertible};
use super::convert;
use alloc::{vec, vec::Vec};

fn refused(message: &[u8], reason: Unconvertible) {
    for size in [1, 5, 65_536] {
        assert_eq!(
            convert(message, Target::SevenBit, size),
            Err(reason),
            "{}",
            std::string::String::from_utf8_lossy(message)
        );
    }
}

fn multipart(part: &[u8]) -> Vec<u8> {
    [
        b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n",
        part,
        b"\r\n--b--\r\n",
    ]
    .concat()
}

#[test]
fn cl_8bit_signed_and_encrypted_parts_never() {
    for part in [
        &b"Content-Type: multipart/signed; boundary=c\r\n\r\n--c\r\n\r\n\xe9\r\n--c--"[..],
        b"Content-Type: multipart/encrypted; boundary=c\r\n\r\n--c\r\n\r\n\xe9\r\n--c--",
        b"Content-Type: message/rfc822\r\n\r\nDKIM-Signature: v=1\r\n\r\n\xe9",
        b"Content-Type: message/rfc822\r\n\r\nARC-Message-Signature: i=1\r\n\r\n\xe9",
    ] {
        refused(&multipart(part), Unconvertible::Protected);
    }
}

#[test]
fn cl_8bit_header_sections_never() {
    refused(b"Subject: \xe9\r\n\r\nx\r\n", Unconvertible::Header);
    refused(
        &multipart(b"Content-Disposition: attachment; filename=\xe9\r\n\r\nx"),
        Unconvertible::Header,
    );
}

#[test]
fn cl_8bit_no_encoding_stands_upon_another() {
    for part in [
        &b"Content-Transfer-Encoding: quoted-printable\r\n\r\n\xe9"[..],
        b"Content-Transfer-Encoding: base64\r\n\r\n\xe9",
        b"Content-Transfer-Encoding: x-uuencode\r\n\r\n\xe9",
        b"Content-Type: multipart/mixed; boundary=c\r\nContent-Transfer-Encoding: base64\r\n\r\n\
          --c\r\n\r\n\xe9\r\n--c--",
    ] {
        refused(&multipart(part), Unconvertible::Encoded);
    }
}

#[test]
fn cl_8bit_reports_and_pieces_stay_7bit() {
    for part in [
        &b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; \xe9"[..],
        b"Content-Type: message/partial; id=a\r\n\r\n\xe9",
        b"Content-Type: message/external-body; access-type=x\r\n\r\n\xe9",
    ] {
        refused(&multipart(part), Unconvertible::Type);
    }
}

#[test]
fn cl_8bit_a_structure_that_is_not_clear() {
    let nested: Vec<u8> = (0..70)
        .flat_map(|_| b"Content-Type: message/rfc822\r\n\r\n".to_vec())
        .chain(*b"Subject: x\r\n\r\n\xe9\r\n")
        .collect();
    refused(&nested, Unconvertible::Structure);
    for message in [
        // Outside of all parts.
        &b"Content-Type: multipart/mixed; boundary=b\r\n\r\n\xe9\r\n--b\r\n\r\nx\r\n--b--\r\n"[..],
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n\xe9\r\n",
        // Nobody knows where the parts are.
        b"Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\n\xe9\r\n--b--\r\n",
        // More than the boundary.
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n\xe9\r\n--bb\r\n--b--\r\n",
        // After the end.
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n\xe9\r\n--b--\r\n--b\r\n",
        // The same boundary inside and outside.
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
          Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n\xe9\r\n--b--\r\n",
        // A message that begins with something else.
        b"Content-Type: message/rfc822\r\n\r\nFrom a@b Mon\r\nSubject: x\r\n\r\n\xe9\r\n",
        // Of two types.
        b"Content-Type: text/plain\r\nContent-Type: image/png\r\n\r\n\xe9\r\n",
    ] {
        refused(message, Unconvertible::Structure);
    }
    let mut parts = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_vec();
    parts.extend(b"--b\r\n\r\n".repeat(10_001));
    refused(&parts, Unconvertible::Structure);
    let mut long = b"Subject: ".to_vec();
    long.extend(vec![b'x'; 300_000]);
    for size in [1_000, 65_536] {
        assert_eq!(
            convert(&long, Target::EightBit, size),
            Err(Unconvertible::Structure)
        );
    }
}
