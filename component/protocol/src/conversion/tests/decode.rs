//! A reader of MIME that has nothing in common with the one under test: it wants the whole message
//! and takes it apart from outside in.

use crate::smtp::base64;
use alloc::{string::String, vec, vec::Vec};

/// A message or a part without parts of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Its fields, save those that conversion may add or change.
    pub fields: Vec<String>,
    /// Its body, decoded.
    pub body: Vec<u8>,
    /// Its body as it stands.
    pub raw: Vec<u8>,
    /// Its Content-Transfer-Encoding, in lower case.
    pub encoding: String,
}

/// All bodies of a message, in order.
pub fn leaves(message: &[u8]) -> Vec<Leaf> {
    let (section, body) = if let Some(body) = message.strip_prefix(b"\r\n") {
        (&b""[..], body)
    } else {
        match memchr::memmem::find(message, b"\r\n\r\n") {
            Some(at) => (&message[..at], &message[at + 4..]),
            None => (message, &b""[..]),
        }
    };
    let section = String::from_utf8_lossy(section).replace("\r\n ", " ");
    let field = |name: &str| {
        section.lines().find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field
                .eq_ignore_ascii_case(name)
                .then(|| String::from(value.trim()))
        })
    };
    let content_type = field("content-type").unwrap_or_default();
    let encoding = field("content-transfer-encoding")
        .unwrap_or_default()
        .to_ascii_lowercase();
    let kept = section
        .lines()
        .filter(|line| {
            let line = line.to_ascii_lowercase();
            !line.starts_with("content-transfer-encoding:") && !line.starts_with("mime-version:")
        })
        .map(String::from)
        .collect();
    let itself = Leaf {
        fields: kept,
        body: match encoding.as_str() {
            "quoted-printable" => quoted_printable(body),
            "base64" => {
                let text: Vec<u8> = body
                    .iter()
                    .copied()
                    .filter(|octet| !b"\r\n".contains(octet))
                    .collect();
                base64::decode(&text).unwrap_or_else(|| body.to_vec())
            }
            _ => body.to_vec(),
        },
        raw: body.to_vec(),
        encoding,
    };
    if content_type.starts_with("message/rfc822") {
        let mut all = vec![Leaf {
            body: vec![],
            raw: vec![],
            ..itself
        }];
        all.extend(leaves(body));
        return all;
    }
    let boundary = content_type
        .split_once("boundary=")
        .map(|(_, boundary)| boundary.trim_matches('"'));
    match boundary {
        Some(boundary) if content_type.starts_with("multipart/") => {
            let mut all = vec![Leaf {
                body: vec![],
                raw: vec![],
                ..itself
            }];
            all.extend(parts(body, boundary).iter().flat_map(|part| leaves(part)));
            all
        }
        _ => vec![itself],
    }
}

/// Between the delimiter lines of this boundary.
fn parts(body: &[u8], boundary: &str) -> Vec<Vec<u8>> {
    let delimiter = alloc::format!("--{boundary}");
    let close = alloc::format!("--{boundary}--");
    let mut parts: Vec<Vec<u8>> = vec![];
    let mut part: Option<Vec<u8>> = None;
    let mut rest = body;
    while !rest.is_empty() {
        let end = memchr::memmem::find(rest, b"\r\n").map_or(rest.len(), |at| at + 2);
        let (line, after) = rest.split_at(end);
        rest = after;
        let text = line.trim_ascii_end();
        let ends = text == close.as_bytes();
        if ends || text == delimiter.as_bytes() {
            if let Some(mut part) = part.take() {
                // The CRLF belongs to the delimiter.
                part.truncate(part.len().saturating_sub(2));
                parts.push(part);
            }
            if ends {
                return parts;
            }
            part = Some(vec![]);
        } else if let Some(part) = &mut part {
            part.extend_from_slice(line);
        }
    }
    parts.extend(part);
    parts
}

/// RFC 2045 section 6.7, read literally.
pub fn quoted_printable(text: &[u8]) -> Vec<u8> {
    let mut out = vec![];
    let mut at = 0;
    while at < text.len() {
        match text[at..] {
            [b'=', b'\r', b'\n', ..] => at += 3,
            [b'=', high, low, ..] => {
                let digit = |octet: u8| char::from(octet).to_digit(16).unwrap_or(0);
                out.push(u8::try_from(digit(high) * 16 + digit(low)).unwrap_or(0));
                at += 3;
            }
            _ => {
                out.push(text[at]);
                at += 1;
            }
        }
    }
    out
}
