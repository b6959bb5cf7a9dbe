//! A report from what is known: multipart/report (RFC 6522), its envelope (RFC 3461 section 6.1) and
//! its header section (RFC 3464 section 2, RFC 3834).
//!
//! Pure: time and the report's identifier come from the caller.

use std::time::SystemTime;

use super::encoding::{Encoding, quoted_printable};
use super::field::{date, field, visible};
use super::original::{Original, header_section, returned};
use super::{status, text};
use crate::spool::{Body, ContentFacts, Envelope, Notice, NoticeKind, Owed, Parameters, Recipient};

/// Who reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reporter {
    /// Name of this host, in ASCII.
    pub hostname: String,
    /// Mailbox of the From field, which must reach a person. Default `postmaster@` and the hostname.
    pub from: String,
    /// Most octets of a message that a report returns whole. Default 64 KiB: the message of a person
    /// fits; the attachments that do not are at the sender's anyway.
    pub full_limit: u64,
    /// Each report of a failure goes to `from` too, with the header of the message at most.
    pub copies: bool,
}

impl Reporter {
    /// With the defaults.
    pub fn new(hostname: &str) -> Self {
        Self {
            hostname: hostname.to_owned(),
            from: format!("postmaster@{hostname}"),
            full_limit: 64 * 1024,
            copies: false,
        }
    }
}

/// What a report is about.
#[derive(Debug)]
pub struct Request<'a> {
    /// The message and the notices to be paid.
    pub owed: &'a Owed,
    /// Until when each recipient is tried, in the order of the notices; only delayed ones count.
    pub until: &'a [Option<SystemTime>],
    /// The reported message.
    pub original: &'a Original,
    /// Identifier of the report: letters, digits and hyphens, unique and not to be guessed. Message-ID
    /// and boundary are made of it.
    pub id: &'a str,
    /// The present.
    pub now: SystemTime,
}

/// A report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composed {
    /// The envelope, with the null reverse-path.
    pub envelope: Envelope,
    /// The only recipient.
    pub recipient: Recipient,
    /// Message-ID with its brackets.
    pub message_id: String,
    /// What a relay must know of the content.
    pub facts: ContentFacts,
    /// The content.
    pub octets: Vec<u8>,
}

/// One part between boundaries.
struct Part {
    media_type: String,
    encoding: Encoding,
    octets: Vec<u8>,
}

/// Composes the report that pays these notices. The reverse-path of the message must not be null.
pub fn compose(reporter: &Reporter, request: &Request<'_>) -> Composed {
    let owed = request.owed;
    let international = is_international(owed, request.original);
    let (third, attached) = returned(owed, reporter.full_limit, request.original, international);
    let words = text::part(reporter, owed, request.until, &attached);
    let fields = status::part(&reporter.hostname, owed, request.until, international);
    let mut parts = vec![for_people(words), for_programs(fields, international)];
    parts.extend(third.map(|third| Part {
        media_type: third.media_type.to_owned(),
        encoding: third.encoding,
        octets: third.octets,
    }));

    let boundary = boundary(request.id, &parts);
    let message_id = format!("<{}@{}>", request.id, reporter.hostname);
    let header = header(reporter, request, &message_id, &boundary);
    let eight_bit = parts.iter().any(|part| !part.octets.is_ascii());
    let facts = ContentFacts {
        header_eight_bit: !header.is_ascii(),
        body_eight_bit: eight_bit,
        ..ContentFacts::default()
    };
    let reverse_path = &owed.message.envelope.reverse_path;
    Composed {
        // RFC 3461 section 6.1: null reverse-path, no RET, no ENVID.
        envelope: Envelope {
            reverse_path: String::new(),
            parameters: Parameters {
                // R3464-2-f
                body: if eight_bit {
                    Body::EightBitMime
                } else {
                    Body::SevenBit
                },
                // RFC 6531 section 3.4: for the address or the header; parts need only 8BITMIME.
                smtputf8: !(reverse_path.is_ascii() && header.is_ascii()),
                // RFC 8689 section 5
                require_tls: owed.message.envelope.parameters.require_tls,
                ..Parameters::default()
            },
            // It came from nobody: no keyword of RFC 3848 fits.
            protocol: "local".to_owned(),
            greeted: String::new(),
        },
        // RFC 3461 section 6.1 (R3461-6.1): NOTIFY absent. The null reverse-path says enough.
        recipient: Recipient {
            mailbox: reverse_path.clone(),
            ..Recipient::default()
        },
        message_id,
        facts,
        octets: assemble(header, &boundary, &parts),
    }
}

/// Whether the report needs the forms of RFC 6533: something in it is not ASCII. A message that was
/// submitted with SMTPUTF8 without need gets a report that everybody understands.
fn is_international(owed: &Owed, original: &Original) -> bool {
    let envelope = &owed.message.envelope;
    let recipient = |notice: &Notice| {
        let orcpt = notice.recipient.orcpt.as_ref();
        !notice.recipient.mailbox.is_ascii() || orcpt.is_some_and(|(_, one)| !one.is_ascii())
    };
    let header = match original {
        Original::Whole(content) | Original::Beginning(content) => header_section(content),
        Original::Unreadable(_) => &[],
    };
    !envelope.reverse_path.is_ascii()
        || owed.notices.iter().any(recipient)
        || (envelope.parameters.smtputf8 && !header.is_ascii())
}

fn for_people(text: String) -> Part {
    let (charset, encoding, octets) = if text.is_ascii() {
        ("us-ascii", Encoding::SevenBit, text.into_bytes())
    } else {
        let octets = quoted_printable(text.as_bytes());
        ("utf-8", Encoding::QuotedPrintable, octets)
    };
    Part {
        media_type: format!("text/plain; charset={charset}"),
        encoding,
        octets,
    }
}

fn for_programs(fields: String, international: bool) -> Part {
    // RFC 6533 section 4
    let media_type = if international {
        "message/global-delivery-status"
    } else {
        "message/delivery-status"
    };
    Part {
        media_type: media_type.to_owned(),
        encoding: Encoding::plainest(fields.as_bytes()),
        octets: fields.into_bytes(),
    }
}

/// The header section (R3464-2-e), without the empty line.
fn header(reporter: &Reporter, request: &Request<'_>, message_id: &str, boundary: &str) -> String {
    let owed = request.owed;
    let mut header = String::new();
    let from = format!("Mail Delivery System <{}>", visible(&reporter.from));
    field(&mut header, "From", &from);
    let to = visible(&owed.message.envelope.reverse_path);
    field(&mut header, "To", &format!("<{to}>"));
    field(&mut header, "Subject", &subject(owed));
    field(&mut header, "Date", &date(request.now));
    field(&mut header, "Message-ID", message_id);
    // RFC 3834 section 3.1.5
    if is_message_id(&owed.message.message_id) {
        field(&mut header, "In-Reply-To", &owed.message.message_id);
        field(&mut header, "References", &owed.message.message_id);
    }
    // RFC 3834 section 5: a reply by a program, to which no program replies.
    field(&mut header, "Auto-Submitted", "auto-replied");
    field(&mut header, "MIME-Version", "1.0");
    header.push_str("Content-Type: multipart/report; report-type=delivery-status;\r\n");
    header.push_str(&format!(" boundary=\"{boundary}\"\r\n"));
    header
}

/// Our own words, and the first of those whom it is about.
fn subject(owed: &Owed) -> String {
    let worst = owed.notices.iter().map(|notice| notice.kind).min();
    let what = match worst {
        Some(NoticeKind::Failed) | None => "Not delivered",
        Some(NoticeKind::Delayed) => "Delayed, still being tried",
        Some(NoticeKind::Delivered) => "Delivered",
        Some(NoticeKind::Relayed) => "Handed on to the next server",
        Some(NoticeKind::Expanded) => "Passed on to several mailboxes",
    };
    let mut those = owed
        .notices
        .iter()
        .filter(|notice| Some(notice.kind) == worst)
        .map(|notice| visible(&notice.recipient.mailbox));
    let first = those.next().unwrap_or_default();
    let others = those.count();
    // A header section in ASCII goes everywhere; nobody needs the name there.
    if first.is_empty() || !first.is_ascii() || first.len() > 200 {
        return what.to_owned();
    }
    match others {
        0 => format!("{what}: {first}"),
        1 => format!("{what}: {first} and 1 other"),
        others => format!("{what}: {first} and {others} others"),
    }
}

/// Whether this is a Message-ID that can be repeated. It came in the header of a stranger.
fn is_message_id(text: &str) -> bool {
    let inner = text
        .strip_prefix('<')
        .and_then(|text| text.strip_suffix('>'));
    text.len() <= 250
        && inner.is_some_and(|inner| {
            inner.contains('@')
                && inner
                    .bytes()
                    .all(|octet| octet.is_ascii_graphic() && !b"<>()\",;\\".contains(&octet))
        })
}

/// A boundary that is in none of the parts (R3464-2-f). `=_` cannot be in quoted-printable; in the
/// others a stranger may have put what he saw in an earlier report, so it is looked for.
fn boundary(id: &str, parts: &[Part]) -> String {
    // RFC 2046 section 5.1.1: at most 70 characters.
    let id = super::field::cut(id, 48);
    let occurs = |boundary: &String| {
        parts.iter().any(|part| {
            part.octets
                .windows(boundary.len())
                .any(|window| window == boundary.as_bytes())
        })
    };
    let mut number = 0_u64;
    loop {
        let boundary = format!("=_{number}_{id}");
        if !occurs(&boundary) {
            return boundary;
        }
        number += 1;
    }
}

fn assemble(header: String, boundary: &str, parts: &[Part]) -> Vec<u8> {
    let size: usize = parts.iter().map(|part| part.octets.len() + 256).sum();
    let mut octets = header.into_bytes();
    octets.reserve(size);
    // RFC 6522 section 3 and RFC 2045 section 6.4: a multipart says what its parts need.
    let eight_bit = parts.iter().any(|part| part.encoding == Encoding::EightBit);
    if eight_bit {
        octets.extend_from_slice(b"Content-Transfer-Encoding: 8bit\r\n");
    }
    for part in parts {
        // The CR LF before a delimiter is the delimiter's (RFC 2046 section 5.1.1).
        octets.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
        let encoding = part.encoding.name();
        octets.extend_from_slice(format!("Content-Type: {}\r\n", part.media_type).as_bytes());
        if part.encoding != Encoding::SevenBit {
            octets
                .extend_from_slice(format!("Content-Transfer-Encoding: {encoding}\r\n").as_bytes());
        }
        octets.extend_from_slice(b"\r\n");
        octets.extend_from_slice(&part.octets);
    }
    octets.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    octets
}
