//! SMTP grammar without state (RFC 5321 section 4.1).
//!
//! ```text
//!   line      where a command line ends          section 2.3.8, 4.5.3.1.4
//!   command   verb and argument                  section 4.1.1
//!   path      reverse-path and forward-path      section 4.1.2, 4.1.1.3
//!   mailbox   local-part and domain              section 4.1.2, RFC 6531 section 3.3
//!   domain    names and address literals         section 4.1.2, 4.1.3
//!   xtext     octets in parameters               RFC 3461 section 4
//!   base64    octets in AUTH                     RFC 4954 section 4
//!   reply     all that the server says           section 4.2, RFC 2034
//!   cfws      words of header fields             RFC 5322 section 3.2
//!   date      date-time of header fields         RFC 5322 section 3.3
//! ```
//!
//! Not here: parameters of MAIL and RCPT (`extension`), and what a command does (`server`).

pub mod base64;
pub mod cfws;
pub mod command;
pub mod date;
pub mod domain;
pub mod line;
pub mod mailbox;
pub mod path;
pub mod reply;
pub mod xtext;

/// White space where it is tolerated: a space, or the tab that some devices send for it.
pub fn is_white_space(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}

/// `text` without leading white space.
pub fn trim_start(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|octet| !is_white_space(*octet));
    start.map_or(&[], |start| &text[start..])
}

/// `text` without trailing white space.
pub fn trim_end(text: &[u8]) -> &[u8] {
    let last = text.iter().rposition(|octet| !is_white_space(*octet));
    last.map_or(&[], |last| &text[..=last])
}
