//! What octets need of the way that they go.

use super::Target;
use crate::content::{bare::Bare, facts::Facts};

/// What was found in a run of octets, one after another.
#[derive(Debug, Clone, Default)]
pub(super) struct Nature {
    facts: Facts,
    bare: Bare,
}

impl Nature {
    /// Of these octets.
    pub(super) fn of(octets: &[u8]) -> Self {
        let mut nature = Self::default();
        nature.take(octets);
        nature
    }

    pub(super) fn take(&mut self, octets: &[u8]) {
        self.facts.take(octets);
        self.bare.take(octets);
    }

    /// Octets above 127.
    pub(super) fn is_eight_bit(&self) -> bool {
        self.facts.has_eight_bit()
    }

    /// NUL, bare CR, bare LF: no lines of text.
    pub(super) fn is_data(&self) -> bool {
        self.facts.has_nul() || self.bare.was_found()
    }

    /// Whether a server takes them as they are (RFC 2045 sections 2.7 to 2.9).
    pub(super) fn suits(&self, target: Target) -> bool {
        let binary = self.facts.is_binary() || self.bare.was_found();
        match target {
            Target::SevenBit => !binary && !self.is_eight_bit(),
            Target::EightBit => !binary,
        }
    }
}
