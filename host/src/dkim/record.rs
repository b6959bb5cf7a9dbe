//! The TXT record that publishes a key (RFC 6376 section 3.6, RFC 8463 section 4).

use super::key::{Algorithm, Key};

/// Octets of a character-string at most (RFC 1035 section 3.3).
const MOST_STRING: usize = 255;

/// Where the record stands: `SELECTOR._domainkey.DOMAIN`.
pub fn name(selector: &str, domain: &str) -> String {
    format!("{selector}._domainkey.{domain}")
}

/// The text of the record, in one piece.
pub fn text(key: &Key) -> String {
    match key.algorithm() {
        // `k=rsa` is what verifiers take it for without; said for whoever reads it.
        Algorithm::Rsa => format!("v=DKIM1; k=rsa; p={}", key.public()),
        Algorithm::Ed25519 => format!("v=DKIM1; k=ed25519; p={}", key.public()),
    }
}

/// The text in pieces that a TXT record can hold, which verifiers join again.
pub fn strings(text: &str) -> Vec<&str> {
    let mut strings = Vec::new();
    let mut rest = text;
    // ASCII: every place is a border of characters.
    while let Some((string, after)) = rest.split_at_checked(MOST_STRING) {
        strings.push(string);
        rest = after;
    }
    if !rest.is_empty() {
        strings.push(rest);
    }
    strings
}

/// The record as a line of a zone file (RFC 1035 section 5.1).
pub fn zone(selector: &str, domain: &str, text: &str) -> String {
    let quoted: Vec<String> = strings(text)
        .into_iter()
        .map(|string| format!("\"{string}\""))
        .collect();
    format!(
        "{}. IN TXT ( {} )",
        name(selector, domain),
        quoted.join(" ")
    )
}

/// What a published record says otherwise than this key; `None` where both fit.
pub fn mismatch(published: &str, key: &Key) -> Option<String> {
    let mut public = None;
    let mut algorithm = "rsa";
    for tag in published.split(';') {
        let Some((name, value)) = tag.split_once('=') else {
            continue;
        };
        match name.trim() {
            "v" if value.trim() != "DKIM1" => return Some("is no DKIM record".into()),
            "k" => algorithm = value.trim(),
            "p" => public = Some(value.split_ascii_whitespace().collect::<String>()),
            _ => {}
        }
    }
    match public {
        None => Some("is no DKIM record".into()),
        Some(public) if public.is_empty() => Some("says that the key was revoked".into()),
        Some(_) if algorithm != key.algorithm().name() => Some(format!(
            "is of a key for {algorithm}, the file has one for {}",
            key.algorithm().name()
        )),
        Some(public) if public != key.public() => Some("has another public key".into()),
        Some(_) => None,
    }
}
