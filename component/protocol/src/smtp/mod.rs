//! SMTP grammar without state (RFC 5321 section 4.1).

pub mod base64;
pub mod reply;
