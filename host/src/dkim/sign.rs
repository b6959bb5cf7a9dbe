//! One signature of one message (RFC 6376 section 5).

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::canonical;
use super::digest::Digest;
use super::field::Field;
use super::signers::Signer;

/// What is signed once more than it is there, so that nobody can add one (RFC 6376 section 8.15).
const SEALED: [&str; 4] = ["from", "subject", "reply-to", "cc"];

/// The same, but only where one is there: a relay may add what is missing.
const SEALED_IF_THERE: [&str; 3] = ["date", "to", "message-id"];

/// What else is signed where it is there (RFC 6376 section 5.4.1). Never trace fields, nor what is on
/// the way to change.
const SIGNED: [&str; 24] = [
    "sender",
    "in-reply-to",
    "references",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "content-disposition",
    "content-id",
    "content-description",
    "resent-date",
    "resent-from",
    "resent-sender",
    "resent-to",
    "resent-cc",
    "resent-message-id",
    "list-id",
    "list-help",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "list-subscribe",
    "list-post",
    "list-owner",
    "list-archive",
    "auto-submitted",
];

/// Fields of one name that are signed at most, the last ones: there may be tens of thousands.
const MOST_OF_A_NAME: usize = 16;

/// The field with the signature, and its CRLF; `None` if the machine cannot sign now.
pub(super) fn sign(signer: &Signer, digest: &Digest, now: SystemTime) -> Option<String> {
    let fields: Vec<&[u8]> = fields(&digest.header).collect();
    let (names, mut signed) = chosen(&fields);
    let seconds = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let key = signer.key();
    let mut field = Field::new();
    field
        .tag("a", key.algorithm().tag())
        .tag("c", "relaxed/relaxed")
        .tag("d", &signer.domain)
        .tag("s", &signer.selector);
    if let Some(identity) = &signer.identity {
        field.tag("i", identity);
    }
    field.tag("t", &seconds.to_string());
    if let Some(expire) = signer.expire {
        let end = seconds.saturating_add(expire.as_secs());
        field.tag("x", &end.to_string());
    }
    field
        .list("h", &names)
        .tag("bh", &STANDARD.encode(digest.body));
    // RFC 6376 section 3.7: itself last, with an empty `b=` and without CRLF.
    canonical::field(field.unsigned().as_bytes(), &mut signed);
    signed.truncate(signed.len() - 2);
    Some(field.signed(&STANDARD.encode(key.sign(&signed)?)))
}

/// The names of `h=`, and the canonical fields that they select: of several with one name the last
/// comes first (RFC 6376 section 5.4.2), and a name too many selects nothing.
fn chosen(fields: &[&[u8]]) -> (Vec<String>, Vec<u8>) {
    let mut names = Vec::new();
    let mut signed = Vec::new();
    let all = SEALED
        .iter()
        .map(|name| (*name, true, true))
        .chain(SEALED_IF_THERE.iter().map(|name| (*name, true, false)))
        .chain(SIGNED.iter().map(|name| (*name, false, false)));
    for (name, sealed, always) in all {
        let of_that_name = fields.iter().rev().filter(|field| is(field, name));
        let mut count = 0;
        for field in of_that_name.take(MOST_OF_A_NAME) {
            names.push(name.to_owned());
            canonical::field(field, &mut signed);
            count += 1;
        }
        if sealed && (count > 0 || always) && count < MOST_OF_A_NAME {
            names.push(name.to_owned());
        }
    }
    (names, signed)
}

/// Whether a field has this name (RFC 5322 section 4.5 lets white space stand before the colon).
fn is(field: &[u8], name: &str) -> bool {
    let colon = field.iter().position(|octet| *octet == b':');
    colon.is_some_and(|colon| {
        field[..colon]
            .trim_ascii_end()
            .eq_ignore_ascii_case(name.as_bytes())
    })
}

/// The fields of a header section, each with its folding and its CRLF.
pub(super) fn fields(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = header;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut end = 0;
        loop {
            let line = rest[end..].windows(2).position(|pair| pair == b"\r\n");
            end = line.map_or(rest.len(), |at| end + at + 2);
            if !matches!(rest.get(end), Some(b' ' | b'\t')) {
                break;
            }
        }
        let (field, after) = rest.split_at(end);
        rest = after;
        Some(field)
    })
}
