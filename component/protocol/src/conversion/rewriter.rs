//! The message as the server takes it, by the plan of the first reading.

use super::{
    Plan, Unconvertible,
    base64::Base64,
    entity::Entity,
    quoted_printable::QuotedPrintable,
    survey::{Change, Encoding},
    walker::{Visitor, Walker},
};
use crate::content::header::fields;
use alloc::vec::Vec;

/// Converts one message while it is read once more.
#[derive(Debug, Clone)]
pub struct Rewriter {
    walker: Walker,
    writer: Writer,
}

impl Rewriter {
    /// Before the first octet of the message that the plan was made for.
    pub fn new(plan: Plan) -> Self {
        Self {
            walker: Walker::new(),
            writer: Writer {
                plan,
                encoder: Encoder::Copy,
                out: Vec::new(),
            },
        }
    }

    /// The next octets of the message; what they become: at most about three times as many.
    ///
    /// # Errors
    ///
    /// The message is not the one that the plan was made for.
    pub fn take(&mut self, octets: &[u8]) -> Result<Vec<u8>, Unconvertible> {
        self.walker.take(octets, &mut self.writer)?;
        Ok(core::mem::take(&mut self.writer.out))
    }

    /// The message ends; what is left of it.
    ///
    /// # Errors
    ///
    /// The message is not the one that the plan was made for.
    pub fn finish(self) -> Result<Vec<u8>, Unconvertible> {
        let mut writer = self.writer;
        self.walker.finish(&mut writer)?;
        Ok(writer.out)
    }
}

#[derive(Debug, Clone)]
enum Encoder {
    Copy,
    QuotedPrintable(QuotedPrintable),
    Base64(Base64),
}

#[derive(Debug, Clone)]
struct Writer {
    plan: Plan,
    encoder: Encoder,
    out: Vec<u8>,
}

impl Visitor for Writer {
    fn header(
        &mut self,
        entity: &Entity,
        section: &[u8],
        separated: bool,
    ) -> Result<(), Unconvertible> {
        let change = self.plan.changes.get(entity.index);
        let change = *change.ok_or(Unconvertible::Structure)?;
        self.encoder = match change.encoding {
            None => Encoder::Copy,
            Some(Encoding::QuotedPrintable) => Encoder::QuotedPrintable(QuotedPrintable::default()),
            Some(Encoding::Base64) => Encoder::Base64(Base64::default()),
        };
        if change == Change::default() {
            self.out.extend_from_slice(section);
        } else {
            rewrite(section, entity, change, &mut self.out);
        }
        // A message without a header section has none to separate, until it gets one.
        if separated || (section.is_empty() && change != Change::default()) {
            self.out.extend_from_slice(b"\r\n");
        }
        Ok(())
    }

    fn body(&mut self, octets: &[u8]) {
        match &mut self.encoder {
            Encoder::Copy => self.out.extend_from_slice(octets),
            Encoder::QuotedPrintable(encoder) => encoder.take(octets, &mut self.out),
            Encoder::Base64(encoder) => encoder.take(octets, &mut self.out),
        }
    }

    fn end(&mut self, content_ends: bool) -> Result<(), Unconvertible> {
        match core::mem::replace(&mut self.encoder, Encoder::Copy) {
            Encoder::Copy => {}
            Encoder::QuotedPrintable(encoder) => encoder.finish(content_ends, &mut self.out),
            Encoder::Base64(encoder) => encoder.finish(content_ends, &mut self.out),
        }
        Ok(())
    }

    fn between(&mut self, octets: &[u8]) -> Result<(), Unconvertible> {
        self.out.extend_from_slice(octets);
        Ok(())
    }
}

/// The section with what changes; every other field keeps its octets and its place.
fn rewrite(section: &[u8], entity: &Entity, change: Change, out: &mut Vec<u8>) {
    let label = match change.encoding {
        Some(Encoding::QuotedPrintable) => Some("quoted-printable"),
        Some(Encoding::Base64) => Some("base64"),
        None => change.label,
    };
    let (mut labelled, mut mime) = (false, false);
    for field in fields(section) {
        match (field, label) {
            (Ok(field), Some(label)) if field.is("Content-Transfer-Encoding") => {
                add(out, "Content-Transfer-Encoding", label);
                labelled = true;
            }
            (Ok(field), _) => {
                mime |= field.is("MIME-Version");
                out.extend_from_slice(field.raw());
            }
            // Such a section has no change.
            (Err(_), _) => {}
        }
    }
    // RFC 2045 section 4: without it the other fields mean nothing.
    if change.mime && entity.is_root() && !mime {
        add(out, "MIME-Version", "1.0");
    }
    // RFC 1428 section 3
    if change.unknown && !entity.typed {
        add(out, "Content-Type", "text/plain; charset=unknown-8bit");
    }
    if let Some(label) = label
        && !labelled
    {
        add(out, "Content-Transfer-Encoding", label);
    }
}

fn add(out: &mut Vec<u8>, name: &str, value: &str) {
    for part in [name, ": ", value, "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}
