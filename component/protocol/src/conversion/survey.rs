//! The first reading: what each part needs, or why it cannot be had.

use super::{
    Target, Unconvertible,
    entity::{Entity, Kind, Label},
    nature::Nature,
    walker::{Visitor, Walker},
};
use alloc::vec::Vec;

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    QuotedPrintable,
    Base64,
}

/// What becomes of a message or a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Change {
    /// Its body is encoded.
    pub(super) encoding: Option<Encoding>,
    /// Its Content-Transfer-Encoding promises too much, and becomes this.
    pub(super) label: Option<&'static str>,
    /// Text of which nobody said what it is, with octets above 127.
    pub(super) unknown: bool,
    /// It is a message, and a part of it has been encoded: it has to say MIME-Version.
    pub(super) mime: bool,
}

/// What has to change, in the order of the header sections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub(super) changes: Vec<Change>,
}

/// The first reading of a message.
#[derive(Debug, Clone)]
pub struct Survey {
    walker: Walker,
    findings: Findings,
}

impl Survey {
    /// Before the first octet.
    pub fn new(target: Target) -> Self {
        Self {
            walker: Walker::new(),
            findings: Findings {
                target,
                changes: Vec::new(),
                entity: None,
                nature: Nature::default(),
            },
        }
    }

    /// The next octets of the message.
    ///
    /// # Errors
    ///
    /// Why it cannot be converted, as soon as that is known.
    pub fn take(&mut self, octets: &[u8]) -> Result<(), Unconvertible> {
        self.walker.take(octets, &mut self.findings)
    }

    /// The plan for the message that was taken.
    ///
    /// # Errors
    ///
    /// Why it cannot be converted.
    pub fn finish(self) -> Result<Plan, Unconvertible> {
        let mut findings = self.findings;
        self.walker.finish(&mut findings)?;
        Ok(Plan {
            changes: findings.changes,
        })
    }
}

#[derive(Debug, Clone)]
struct Findings {
    target: Target,
    changes: Vec<Change>,
    /// The last one, and what its body has been so far.
    entity: Option<Entity>,
    nature: Nature,
}

impl Findings {
    /// The label that the target allows for this body, where its own is not.
    fn label(&self, label: Label, eight_bit: bool) -> Option<&'static str> {
        match (self.target, label) {
            (_, Label::SevenBit | Label::Encoded) | (Target::EightBit, Label::EightBit) => None,
            (Target::EightBit, Label::Binary) if eight_bit => Some("8bit"),
            (Target::EightBit | Target::SevenBit, Label::Binary | Label::EightBit) => Some("7bit"),
        }
    }

    fn change(&self, entity: &Entity) -> Result<Change, Unconvertible> {
        if self.nature.suits(self.target) {
            let label = match entity.kind {
                Kind::Fixed(_) => None,
                _ => self.label(entity.label, self.nature.is_eight_bit()),
            };
            return Ok(Change {
                label,
                ..Change::default()
            });
        }
        let encoding = match entity.kind {
            Kind::Fixed(reason) => return Err(reason),
            // Its header section promised a message, and there is none.
            Kind::Message | Kind::Multipart { .. } => return Err(Unconvertible::Structure),
            // R3030-3-b: what is no text in lines, or is not said to be, in base64.
            Kind::Text if !self.nature.is_data() && entity.label != Label::Binary => {
                Encoding::QuotedPrintable
            }
            Kind::Text | Kind::Data => Encoding::Base64,
        };
        Ok(Change {
            encoding: Some(encoding),
            unknown: !entity.typed && self.nature.is_eight_bit(),
            ..Change::default()
        })
    }
}

impl Visitor for Findings {
    fn header(&mut self, entity: &Entity, section: &[u8], _: bool) -> Result<(), Unconvertible> {
        if !Nature::of(section).suits(self.target) {
            return Err(Unconvertible::Header);
        }
        let label = match entity.kind {
            // RFC 2045 section 6.4: as what its parts become. Parts may still have 8 bits where the
            // target takes them.
            Kind::Multipart { .. } | Kind::Message => self.label(entity.label, true),
            Kind::Text | Kind::Data | Kind::Fixed(_) => None,
        };
        self.changes.push(Change {
            label,
            ..Change::default()
        });
        self.entity = Some(entity.clone());
        self.nature = Nature::default();
        Ok(())
    }

    fn body(&mut self, octets: &[u8]) {
        self.nature.take(octets);
    }

    fn end(&mut self, _: bool) -> Result<(), Unconvertible> {
        let Some(entity) = self.entity.take() else {
            return Ok(());
        };
        let mut change = self.change(&entity)?;
        if change.encoding.is_some()
            && let Some(root) = self.changes.get_mut(entity.root)
        {
            root.mime = true;
        }
        if let Some(place) = self.changes.get_mut(entity.index) {
            change.mime = place.mime;
            *place = change;
        }
        Ok(())
    }

    fn between(&mut self, octets: &[u8]) -> Result<(), Unconvertible> {
        // A long line of it comes in pieces, and each of them is judged by itself: a preamble is
        // for nobody to read.
        if Nature::of(octets).suits(self.target) {
            Ok(())
        } else {
            Err(Unconvertible::Structure)
        }
    }
}
