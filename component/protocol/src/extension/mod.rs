//! SMTP service extensions (RFC 5321 section 2.2): a file per EHLO keyword, and the arguments of
//! MAIL and RCPT as a whole.
//!
//! ```text
//! MAIL FROM:<reverse-path> [parameters]      RFC 5321 section 4.1.1.2
//! RCPT TO:<forward-path> [parameters]        RFC 5321 section 4.1.1.3
//! ```
//!
//! A parameter's file has its grammar, and its EHLO line where that has more than the keyword.
//! Not here: paths (`smtp::path`), the EHLO reply (`server`), and what the parameters lead to.

pub mod auth;
pub mod body;
pub mod chunking;
mod date;
mod defect;
pub mod deliver_by;
pub mod dsn;
mod forward_path;
pub mod future_release;
pub mod limits;
pub mod mt_priority;
mod parameter;
pub mod require_tls;
mod reverse_path;
pub mod size;
pub mod smtputf8;

pub use defect::Defect;
pub use forward_path::forward_path;
pub use reverse_path::reverse_path;

/// What MAIL and RCPT may ask for in this session; DSN, 8BITMIME, SIZE and AUTH= always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Offered {
    /// Most octets of a message; 0: no limit (RFC 1870).
    pub size: u64,
    /// BODY=BINARYMIME (RFC 3030).
    pub binarymime: bool,
    /// SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// REQUIRETLS (RFC 8689): only in TLS sessions.
    pub require_tls: bool,
    /// HOLDFOR and HOLDUNTIL with the most seconds (RFC 4865).
    pub future_release: Option<u32>,
    /// BY with the least seconds of mode R; 0: no minimum (RFC 2852).
    pub deliver_by: Option<u32>,
    /// MT-PRIORITY (RFC 6710).
    pub mt_priority: bool,
}
