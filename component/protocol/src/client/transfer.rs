//! How the content of a message goes to this server: by DATA or by BDAT, as it is or converted
//! (RFC 3030, RFC 6152 section 3).

use super::{capabilities::Capabilities, outcome};
use crate::{
    contract::{
        BodyType, ContentFacts, Envelope,
        client::{EightBit, Outcome, Settings},
    },
    conversion::Target,
};

/// How the content goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// BODY of MAIL.
    pub body: BodyType,
    /// BDAT instead of DATA.
    pub chunks: bool,
    /// What it has to become first.
    pub conversion: Option<Target>,
}

impl Transfer {
    /// The way for this message, or why there is none.
    pub fn choose(
        settings: &Settings,
        envelope: &Envelope,
        facts: &ContentFacts,
        capabilities: &Capabilities,
    ) -> Result<Self, Outcome> {
        let binary = envelope.parameters.body == BodyType::BinaryMime;
        // RFC 5321 section 2.3.8 (R5321-2.3.8-d): only BINARYMIME says that they are meant.
        if facts.bare && !binary {
            let text = "not sent: bare CR or LF in the content";
            return Err(outcome::refused(554, (5, 6, 0), text));
        }
        let chunking = capabilities.has("CHUNKING");
        let eight_bit = facts.header_eight_bit || facts.body_eight_bit;
        let convertible = settings.eight_bit == EightBit::Convert && !facts.signed;
        // RFC 3030 section 3 (R3030-3-b): BINARYMIME only with BDAT.
        if (binary || facts.binary) && chunking && capabilities.has("BINARYMIME") {
            return Ok(Self {
                body: BodyType::BinaryMime,
                chunks: true,
                conversion: None,
            });
        }
        // What came by DATA has been through lines once and goes through them again as it is, long
        // lines and NUL too (RFC 5321 section 4.5.2, R5321-4.5.2-c), where it may not be encoded.
        if binary || (facts.binary && convertible) {
            return if convertible && capabilities.has("8BITMIME") {
                Ok(Self::converted(BodyType::EightBitMime, Target::EightBit))
            } else if convertible {
                Ok(Self::converted(BodyType::SevenBit, Target::SevenBit))
            } else {
                let text = "not sent: the content is binary, and the server lacks BINARYMIME";
                Err(outcome::refused(554, (5, 6, 1), text))
            };
        }
        // RFC 6152 section 3 (R6152-3-c, CL-8bit).
        if eight_bit && !capabilities.has("8BITMIME") {
            if convertible && !facts.header_eight_bit {
                return Ok(Self::converted(BodyType::SevenBit, Target::SevenBit));
            }
            let text = "not sent: the content needs 8BITMIME";
            return Err(outcome::refused(554, (5, 6, 3), text));
        }
        Ok(Self {
            body: if eight_bit {
                BodyType::EightBitMime
            } else {
                BodyType::SevenBit
            },
            // CL-bdat
            chunks: chunking && settings.chunking,
            conversion: None,
        })
    }

    /// How large it becomes is not known before it has been converted, so it goes by DATA.
    fn converted(body: BodyType, target: Target) -> Self {
        Self {
            body,
            chunks: false,
            conversion: Some(target),
        }
    }
}
