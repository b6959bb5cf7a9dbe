//! Client certificates and the names that users have for them (EXTERNAL, RFC 4422 appendix A).
//!
//! A record lists its certificates ([`CertificateName`]), by fingerprint or by subject:
//! ```toml
//! certificates = ["sha256:3A:7F:...:9C", "subject:CN=printer,O=Example"]
//! ```
//! as `openssl x509 -noout -fingerprint -sha256` and `openssl x509 -noout -subject -nameopt RFC2253`
//! print them. A certificate that no record lists belongs to the users whose names are among its
//! own rfc822Names (RFC 5280 section 4.2.1.6).
//!
//! Not here: whether the certificate is good, which the TLS layer found out before.

use sha2::{Digest as _, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;
use x509_parser::prelude::X509Certificate;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// One entry of a record's `certificates`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CertificateName {
    /// SHA-256 of the whole certificate (DER).
    Fingerprint([u8; 32]),
    /// Its subject, in a form that equal subjects share.
    Subject(String),
}

/// What a verified client certificate says of its holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// SHA-256 of it.
    pub fingerprint: [u8; 32],
    /// Its subject, as [`CertificateName::Subject`]; `None`: it is empty.
    pub subject: Option<String>,
    /// Its rfc822Names, in its order.
    pub mailboxes: Vec<String>,
}

impl ClientCertificate {
    /// Reads DER; `None`: it is no certificate.
    pub fn read(der: &[u8]) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        let names = parsed.subject_alternative_name().ok().flatten();
        let mailbox = |name: &GeneralName<'_>| match name {
            GeneralName::RFC822Name(mailbox) => Some((*mailbox).to_owned()),
            _ => None,
        };
        Some(Self {
            fingerprint: Sha256::digest(der).into(),
            subject: subject(parsed.subject()),
            mailboxes: names.map_or_else(Vec::new, |names| {
                names
                    .value
                    .general_names
                    .iter()
                    .filter_map(mailbox)
                    .collect()
            }),
        })
    }

    /// The names under which records may list it.
    pub fn names(&self) -> Vec<CertificateName> {
        let subject = self.subject.clone().map(CertificateName::Subject);
        std::iter::once(CertificateName::Fingerprint(self.fingerprint))
            .chain(subject)
            .collect()
    }

    /// For the log.
    pub fn shown(&self) -> String {
        let hex = self.fingerprint.map(|octet| format!("{octet:02X}"));
        format!("sha256:{}", hex.concat())
    }
}

impl CertificateName {
    /// An entry as the users file has it.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if let Some(digits) = text.strip_prefix("sha256:") {
            return fingerprint(digits).map(Self::Fingerprint).ok_or(
                "is no SHA-256 fingerprint of 64 hex digits; see openssl x509 -noout -fingerprint \
                 -sha256",
            );
        }
        if let Some(name) = text.strip_prefix("subject:") {
            return parse_subject(name).map(Self::Subject).ok_or(
                "is no subject such as \"subject:CN=printer,O=Example\" (RFC 4514); see openssl \
                 x509 -noout -subject -nameopt RFC2253",
            );
        }
        Err("must begin with \"sha256:\" or \"subject:\"")
    }
}

/// Hex digits, with or without colons between the octets.
fn fingerprint(text: &str) -> Option<[u8; 32]> {
    let mut octets = [0; 32];
    let digits: Vec<u8> = text.bytes().filter(|octet| *octet != b':').collect();
    if digits.len() != 64 {
        return None;
    }
    for (octet, pair) in octets.iter_mut().zip(digits.chunks(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *octet = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(octets)
}

/// Object identifiers of the short names of RFC 4514 section 3, and of those that OpenSSL prints.
const TYPES: [(&str, &str); 14] = [
    ("cn", "2.5.4.3"),
    ("sn", "2.5.4.4"),
    ("serialnumber", "2.5.4.5"),
    ("c", "2.5.4.6"),
    ("l", "2.5.4.7"),
    ("st", "2.5.4.8"),
    ("street", "2.5.4.9"),
    ("o", "2.5.4.10"),
    ("ou", "2.5.4.11"),
    ("title", "2.5.4.12"),
    ("gn", "2.5.4.42"),
    ("dc", "0.9.2342.19200300.100.1.25"),
    ("uid", "0.9.2342.19200300.100.1.1"),
    ("emailaddress", "1.2.840.113549.1.9.1"),
];

/// Between the parts of a name, and between the attributes of a part: no value has them.
const PART: &str = "\u{1e}";
const ATTRIBUTE: &str = "\u{1f}";

/// RFC 4514 section 2.1: the last part first. Values are compared without regard to ASCII case
/// (RFC 4518 does more, for names that no printer has).
fn subject(name: &X509Name<'_>) -> Option<String> {
    let part = |attributes: Vec<String>| joined(attributes);
    let mut parts: Vec<String> = name
        .iter_rdn()
        .map(|rdn| part(rdn.iter().map(attribute).collect()))
        .collect();
    parts.reverse();
    (!parts.is_empty()).then(|| parts.join(PART))
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let value = match attribute.as_str() {
        Ok(text) => clean(text),
        // RFC 4514 section 2.4: what is no string, by its octets.
        Err(_) => {
            let hex = attribute
                .as_slice()
                .iter()
                .map(|octet| format!("{octet:02x}"));
            format!("#{}", hex.collect::<String>())
        }
    };
    format!("{}={value}", attribute.attr_type().to_id_string())
}

fn clean(value: &str) -> String {
    let visible = value.chars().map(|c| if c.is_control() { ' ' } else { c });
    visible.collect::<String>().trim().to_ascii_lowercase()
}

fn joined(mut attributes: Vec<String>) -> String {
    attributes.sort();
    attributes.join(ATTRIBUTE)
}

/// The same from RFC 4514's text form.
fn parse_subject(text: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in split(text, ',') {
        let mut attributes = Vec::new();
        for attribute in split(part, '+') {
            let (name, value) = attribute.split_once('=')?;
            let name = name.trim().to_ascii_lowercase();
            let known = TYPES.iter().find(|(short, _)| *short == name);
            let oid = match known {
                Some((_, oid)) => (*oid).to_owned(),
                None if !name.is_empty()
                    && name.chars().all(|c| c.is_ascii_digit() || c == '.') =>
                {
                    name
                }
                None => return None,
            };
            attributes.push(format!("{oid}={}", clean(&unescaped(value)?)));
        }
        parts.push(joined(attributes));
    }
    Some(parts.join(PART))
}

/// The pieces between separators that no backslash stands before.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, c) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == separator {
            pieces.push(&text[start..at]);
            start = at + c.len_utf8();
        }
    }
    pieces.push(&text[start..]);
    pieces
}

/// RFC 4514 section 3: a backslash before a character, or before the two digits of an octet.
fn unescaped(value: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(value.len());
    let mut rest = value.trim().chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            octets.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let next = rest.next()?;
        match next.to_digit(16) {
            Some(high) => {
                let low = rest.next()?.to_digit(16)?;
                octets.push(u8::try_from(high * 16 + low).ok()?);
            }
            None => octets.extend_from_slice(next.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    String::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};

    use super::*;

    fn certificate(subject: &[(DnType, &str)], mailboxes: &[&str]) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in subject {
            params.distinguished_name.push(kind.clone(), *value);
        }
        for mailbox in mailboxes {
            let name = SanType::Rfc822Name((*mailbox).try_into().unwrap());
            params.subject_alt_names.push(name);
        }
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    fn name(text: &str) -> CertificateName {
        CertificateName::parse(text).unwrap()
    }

    #[test]
    fn r4422_a_a_certificate_is_known_by_fingerprint_subject_and_mailbox() {
        let der = certificate(
            &[
                (DnType::OrganizationName, "Example, Ltd"),
                (DnType::CommonName, "Printer"),
            ],
            &["scan@example.org", "other@example.org"],
        );
        let read = ClientCertificate::read(&der).unwrap();
        assert_eq!(read.mailboxes, ["scan@example.org", "other@example.org"]);
        let hex: Vec<String> = Sha256::digest(&der)
            .iter()
            .map(|octet| format!("{octet:02X}"))
            .collect();
        let by_fingerprint = name(&format!("sha256:{}", hex.join(":")));
        assert_eq!(by_fingerprint, name(&read.shown()));
        // The order of RFC 4514: the last part of the certificate's name first.
        let by_subject = name("subject:CN=printer, O=Example\\, Ltd");
        assert_eq!(read.names(), [by_fingerprint, by_subject]);
        for other in [
            "subject:O=Example\\, Ltd,CN=printer",
            "subject:CN=printer",
            "subject:CN=printer+O=Example\\, Ltd",
        ] {
            assert!(!read.names().contains(&name(other)), "{other}");
        }
    }

    #[test]
    fn rfc_4514_escapes_and_identifiers_are_understood() {
        assert_eq!(
            name("subject:2.5.4.3=L\\C3\\BC\\2c x,DC=example"),
            name("subject:cn=l\u{fc}\\, X , dc=EXAMPLE")
        );
        assert_eq!(
            name("subject:CN=a+UID=b,O=c"),
            name("subject:UID=b+CN=a,O=c")
        );
        for wrong in [
            "",
            "CN=printer",
            "sha256:00",
            &format!("sha256:{}", "0g".repeat(32)),
            "subject:",
            "subject:printer",
            "subject:XX=printer",
            "subject:CN=a,",
            "subject:CN=a\\",
            "subject:CN=a\\f",
            "subject:CN=\\ff",
        ] {
            assert!(CertificateName::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_certificate_without_names_has_a_fingerprint() {
        let read = ClientCertificate::read(&certificate(&[], &[])).unwrap();
        assert_eq!((read.names().len(), read.mailboxes.len()), (1, 0));
        assert_eq!(ClientCertificate::read(b"nothing"), None);
    }

    proptest::proptest! {
        #[test]
        fn parsing_never_panics(text in "(sha256:|subject:)?[CN=,+\\\\a-f0-9: \u{fc}]{0,80}") {
            let _ = CertificateName::parse(&text);
        }
    }
}
