//! What is wrong with the argument of MAIL or RCPT, and the reply that it gets
//! (`spec/profile.md` section 3; RFC 5321 section 4.1.1.11, RFC 6409 sections 4.2 and 5.1).

use crate::{contract::Reply, smtp::reply};
use alloc::{format, string::String};

/// One mistake in a path or parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Defect {
    /// MAIL without `FROM:`, or with a space before the colon.
    MissingFrom,
    /// RCPT without `TO:`, or with a space before the colon.
    MissingTo,
    /// An octet 0 to 31 or 127.
    Control,
    /// The reverse-path is none.
    BadSender,
    /// The forward-path is none, or null.
    BadRecipient,
    /// The reverse-path's domain has one label.
    SenderNotQualified,
    /// The forward-path's domain has one label.
    RecipientNotQualified,
    /// The reverse-path is not ASCII, and MAIL lacks SMTPUTF8.
    SenderNeedsSmtputf8,
    /// The forward-path is not ASCII, and MAIL lacked SMTPUTF8.
    RecipientNeedsSmtputf8,
    /// What follows the path is not a list of parameters.
    NotAParameter,
    /// A parameter with a bad value, with a value where none belongs, or without one.
    BadValue(&'static str),
    /// A parameter twice.
    Repeated(&'static str),
    /// HOLDFOR and HOLDUNTIL together (RFC 4865 section 4).
    TwoHolds,
    /// MT-PRIORITY with a bad value, or twice (RFC 6710 section 4.1 has a code of its own).
    BadPriority,
    /// A parameter that is unknown or not offered, by name.
    Unsupported(String),
    /// BY in mode R with less than this many seconds.
    BelowDeliverBy(u32),
    /// SIZE over this limit.
    TooLarge(u64),
    /// HOLDFOR or HOLDUNTIL beyond the maximum or in the past.
    HoldOutOfRange,
}

impl Defect {
    /// The reply that it gets.
    pub fn reply(&self) -> Reply {
        match self {
            // R5321-4.1.1.2-c, R5321-4.1.1.3-d
            Self::MissingFrom => reply::bad_argument("MAIL FROM:<path> expected"),
            Self::MissingTo => reply::bad_argument("RCPT TO:<path> expected"),
            // R5321-4.1.2-d
            Self::Control => reply::syntax_error(),
            // R6409-5.1-a
            Self::BadSender => reply::bad_sender(),
            Self::BadRecipient => reply::bad_recipient(),
            // R6409-4.2-a
            Self::SenderNotQualified => reply::sender_not_qualified(),
            Self::RecipientNotQualified => reply::recipient_not_qualified(),
            // R6531-3.5-a
            Self::SenderNeedsSmtputf8 => reply::sender_needs_smtputf8(),
            Self::RecipientNeedsSmtputf8 => reply::recipient_needs_smtputf8(),
            // R5321-4.1.1.11-b
            Self::NotAParameter => reply::bad_argument("parameters must follow as NAME=value"),
            Self::BadValue(name) => reply::bad_argument(&format!("bad value of {name}")),
            Self::Repeated(name) => reply::bad_argument(&format!("{name} given twice")),
            // R4865-4
            Self::TwoHolds => reply::bad_argument("HOLDFOR and HOLDUNTIL exclude each other"),
            // R6710-4.1-a
            Self::BadPriority => reply::syntax_error(),
            // R5321-4.1.1.11-a
            Self::Unsupported(name) => reply::unsupported_parameter(name),
            // R2852-4
            Self::BelowDeliverBy(seconds) => {
                reply::unsupported_parameter(&format!("BY below {seconds} seconds"))
            }
            // R1870-6.1-a
            Self::TooLarge(limit) => reply::too_large(*limit),
            // R4865-4
            Self::HoldOutOfRange => reply::hold_out_of_range(),
        }
    }
}
