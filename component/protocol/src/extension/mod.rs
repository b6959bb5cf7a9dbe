//! SMTP service extensions (RFC 5321 section 2.2): a file per EHLO keyword.

mod defect;

pub use defect::Defect;
