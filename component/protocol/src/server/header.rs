//! What the repairs of RFC 6409 section 8 have to know of a header section before they begin.
//!
//! The section is read twice rather than kept as a list: 256 KiB of `a:` are 65,536 fields.
//! Here is the first reading; [`submission`](super::submission) does the second.

use super::content::ContentDefect;
use crate::content::{
    address::{Mailbox, addresses},
    header::{Field, fields},
};
use crate::smtp::cfws::trimmed;

/// Fields that hold addresses (RFC 5322 sections 3.6.2, 3.6.3, 3.6.6).
const ADDRESS_FIELDS: [&str; 11] = [
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "Resent-From",
    "Resent-Sender",
    "Resent-To",
    "Resent-Cc",
    "Resent-Bcc",
];

/// Received fields that make a loop (R5321-6.3).
const MOST_RECEIVED: u32 = 100;

/// What a header section has.
#[derive(Debug, Default)]
pub struct Survey<'a> {
    /// From.
    pub from: Option<Field<'a>>,
    /// Sender.
    pub sender: Option<Field<'a>>,
    /// Date.
    pub date: Option<Field<'a>>,
    /// Message-ID.
    pub message_id: Option<Field<'a>>,
    /// To fields.
    pub to: u32,
    /// Cc fields.
    pub cc: u32,
    /// Has a DKIM-Signature (RFC 6376 section 3.5).
    pub is_signed: bool,
    /// The first address field that cannot be read.
    pub bad_address: Option<&'static str>,
    /// The first address field with a domain that is not fully qualified, or none.
    pub unqualified: Option<&'static str>,
}

impl<'a> Survey<'a> {
    /// Reads `section`. Bcc fields count only where they stay.
    ///
    /// # Errors
    /// What no repair can mend.
    pub fn of(section: &'a [u8], keep_bcc: bool) -> Result<Self, ContentDefect> {
        let mut survey = Self::default();
        let mut received = 0;
        for field in fields(section) {
            let field = field.map_err(|_| ContentDefect::NoField)?;
            survey.count(field)?;
            if field.is("Received") {
                received += 1;
            }
            if keep_bcc || !is_blind(&field) {
                survey.look_at_addresses(&field);
            }
        }
        // RFC 5321 section 6.3.
        if received >= MOST_RECEIVED {
            return Err(ContentDefect::TooManyHops);
        }
        Ok(survey)
    }

    /// R6409-8-b: at most one of these (RFC 5322 section 3.6).
    fn count(&mut self, field: Field<'a>) -> Result<(), ContentDefect> {
        for (name, place) in [
            ("From", &mut self.from),
            ("Sender", &mut self.sender),
            ("Date", &mut self.date),
            ("Message-ID", &mut self.message_id),
        ] {
            if field.is(name) {
                return match place.replace(field) {
                    Some(_) => Err(ContentDefect::Repeated(name)),
                    None => Ok(()),
                };
            }
        }
        self.to += u32::from(field.is("To"));
        self.cc += u32::from(field.is("Cc"));
        self.is_signed |= field.is("DKIM-Signature");
        Ok(())
    }

    fn look_at_addresses(&mut self, field: &Field<'_>) {
        let Some(name) = ADDRESS_FIELDS.into_iter().find(|name| field.is(name)) else {
            return;
        };
        let mut unqualified = false;
        let mut any = false;
        let read = addresses(field.body(), |mailbox| {
            any = true;
            unqualified |= !mailbox.is_qualified();
        });
        // An empty To or Cc is common and harms nobody; From and Sender are there to name somebody.
        let empty = !any && matches!(name, "From" | "Sender");
        if read.is_err() || empty {
            self.bad_address.get_or_insert(name);
        }
        if unqualified {
            self.unqualified.get_or_insert(name);
        }
    }
}

/// Bcc or Resent-Bcc (R6409-8-e).
pub fn is_blind(field: &Field<'_>) -> bool {
    field.is("Bcc") || field.is("Resent-Bcc")
}

/// Whether the field has the mailbox among its addresses.
pub fn names_mailbox(field: &Field<'_>, mailbox: &Mailbox) -> bool {
    let mut found = false;
    // What cannot be read names nobody; the mailboxes before it count.
    let _ = addresses(field.body(), |other| found |= other.is_same(mailbox));
    found
}

/// Whether a DKIM-Signature of the section signs the fields of this name, or that there is none
/// (RFC 6376 section 3.5, `h=`; section 5.4.2).
pub fn is_signed_field(section: &[u8], name: &str) -> bool {
    fields(section)
        .flatten()
        .filter(|field| field.is("DKIM-Signature"))
        .any(|field| signs(field.body(), name))
}

fn signs(signature: &[u8], name: &str) -> bool {
    signature.split(|octet| *octet == b';').any(|tag| {
        let mut parts = tag.splitn(2, |octet| *octet == b'=');
        let is_list = parts.next().is_some_and(|tag| trimmed(tag) == b"h");
        is_list
            && parts.next().is_some_and(|list| {
                list.split(|octet| *octet == b':')
                    .any(|signed| trimmed(signed).eq_ignore_ascii_case(name.as_bytes()))
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(section: &[u8]) -> Result<Survey<'_>, ContentDefect> {
        Survey::of(section, false)
    }

    #[test]
    fn r6409_8_b_fields_that_stand_alone_are_refused_twice() {
        for (section, name) in [
            (&b"From: a@b.c\r\nX: y\r\nfrom: a@b.c\r\n"[..], "From"),
            (b"Sender: a@b.c\r\nSENDER: a@b.c\r\n", "Sender"),
            (b"Date: x\r\nDate: x\r\n", "Date"),
            (b"Message-ID: x\r\nMessage-Id: x\r\n", "Message-ID"),
        ] {
            assert_eq!(survey(section).unwrap_err(), ContentDefect::Repeated(name));
        }
    }

    #[test]
    fn r5321_6_3_a_hundred_received_fields_are_a_loop() {
        let field = b"Received: from a by b; date\r\n";
        assert!(survey(&field.repeat(99)).is_ok());
        assert_eq!(
            survey(&field.repeat(100)).unwrap_err(),
            ContentDefect::TooManyHops
        );
    }

    #[test]
    fn r6409_8_a_a_line_that_is_no_field_is_refused() {
        assert_eq!(
            survey(b"A: b\r\nno field\r\n").unwrap_err(),
            ContentDefect::NoField
        );
    }

    #[test]
    fn addresses_are_looked_at() {
        let found = survey(b"To: a@b.c\r\nCc: root\r\nReply-To: <\r\nBcc: x y\r\n").unwrap();
        assert_eq!(found.unqualified, Some("Cc"));
        assert_eq!(found.bad_address, Some("Reply-To"));
        assert_eq!(
            survey(b"From: \r\nTo:\r\n").unwrap().bad_address,
            Some("From")
        );
        assert_eq!(survey(b"To:\r\n").unwrap().bad_address, None);
        assert_eq!(survey(b"Bcc: x y\r\n").unwrap().bad_address, None);
        assert_eq!(
            Survey::of(b"Bcc: x y\r\n", true).unwrap().bad_address,
            Some("Bcc")
        );
    }

    #[test]
    fn r6409_8_c_signed_fields_are_those_of_the_h_tag() {
        let section = b"DKIM-Signature: v=1; a=rsa-sha256; bh=h=date;\r\n h=From : To:\r\n  message-id;\r\n b=x\r\n";
        assert!(is_signed_field(section, "Message-ID"));
        assert!(is_signed_field(section, "From"));
        assert!(!is_signed_field(section, "Date"));
    }
}
