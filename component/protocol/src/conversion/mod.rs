//! Content for a server that takes less than it is: 8-bit content where 8BITMIME is missing
//! (RFC 6152 section 3, CL-8bit), binary content where BINARYMIME is missing (RFC 3030 section 3,
//! R3030-3-b).
//!
//! Only the transfer encoding of body parts changes (RFC 2045 section 6): text becomes
//! quoted-printable, other types base64, and decoding gives the octets that were there. Parts that
//! the server takes as they are keep every octet. What cannot be said otherwise without damage is
//! not converted at all: see [`Unconvertible`].
//!
//! ```text
//!   first reading    Survey: what each part needs, or why it cannot be -> Plan
//!   second reading   Rewriter with that plan: only to know the size (RFC 1870)
//!   third reading    Rewriter with that plan: for the wire
//! ```
//!
//! ```text
//!   walker            the parts of a message, nested ones included   RFC 2046
//!   delimiter         the lines between parts                        RFC 2046 section 5.1.1
//!   entity            what a part's header says of it                RFC 2045 sections 5, 6
//!   nature            what octets need
//!   survey            the first reading
//!   rewriter          the others
//!   quoted_printable                                                 RFC 2045 section 6.7
//!   base64            in lines                                       RFC 2045 section 6.8
//! ```
//!
//! Memory does not grow with the message: a header section (256 KiB at most), a line of 1,000
//! octets, and some octets for each of at most 10,000 parts.
//!
//! Not here: when to convert (`client::transfer`).

mod base64;
mod delimiter;
mod entity;
mod nature;
mod quoted_printable;
mod rewriter;
mod survey;
#[cfg(test)]
pub(crate) mod tests;
mod walker;

pub use rewriter::Rewriter;
pub use survey::{Plan, Survey};

/// What a server takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Lines of ASCII (RFC 5321 section 2.4).
    SevenBit,
    /// Lines of any octets but NUL (RFC 6152).
    EightBit,
}

/// Why a message cannot be converted without damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unconvertible {
    /// A part under a signature or an encryption (RFC 1847, RFC 6376) would no longer verify.
    #[error("a part of the content that needs conversion is signed or encrypted")]
    Protected,
    /// A header section has no transfer encoding; what an encoded word for raw octets would have
    /// to say of their charset, nobody knows.
    #[error("a header section of the content needs conversion")]
    Header,
    /// The part is not what its label says, or its encoding is unknown: two encodings cannot stand
    /// upon each other.
    #[error("a part of the content that needs conversion has an encoding already")]
    Encoded,
    /// A type that must not be encoded (RFC 2046 section 5.2, RFC 3464 section 2.1).
    #[error("a part of the content that needs conversion has a type that may not be encoded")]
    Type,
    /// Readers would disagree on where the parts are, or octets stand outside of all parts.
    #[error("the MIME structure of the content is not clear enough to convert it")]
    Structure,
}
