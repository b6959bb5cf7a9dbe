//! The client role of one connection: hands messages to a submission server, a smarthost or an
//! LMTP server (RFC 6409, RFC 5321, RFC 2033; [MS-OXSMTP] section 3.1).
//!
//! ```text
//!   Start -> Greeting -> Ehlo (-> Helo) -> StartTls -> Handshake -> Ehlo
//!                          |
//!                          +-> Choosing -> Authentication (-> Cancelled) -> Idle
//!
//!   Idle -> Envelope -> Content -> EndOfContent -> Idle      (RFC 5321 section 3.3)
//!    |  ^    |   +----> Chunks ---^                          (RFC 3030 section 2)
//!    v  |    |             after a refusal: Reset -> Idle    (RFC 5321 section 4.1.1.5)
//!   Preparing (content that has to be converted)             (RFC 6152 section 3)
//!            |
//!            +-> Hollow (354 without a recipient, RFC 2920 section 3.1) -> Reset
//!
//!   any state -> Quit -> Closed, or Closed at once
//! ```
//!
//! ```text
//!   session       the states, the calls of the contract, and what ends a session
//!   reply         reading replies             RFC 5321 section 4.2
//!   capabilities  reading the reply to EHLO   RFC 5321 section 4.1.1.1
//!   greet         greeting, EHLO, HELO        RFC 5321 section 4.1.1.1
//!   secure        STARTTLS                    RFC 3207
//!   authenticate  AUTH                        RFC 4954
//!   preflight     what need not be tried      RFC 1870, RFC 2852, RFC 6531, RFC 8689, RFC 9422
//!   transfer      DATA or BDAT, converted     RFC 3030, RFC 6152
//!   convert       content before MAIL         RFC 6152 section 3
//!   parameters    MAIL and RCPT as written    RFC 3461, RFC 4954 section 5
//!   a_label       domains in ASCII            RFC 3492
//!   submit        MAIL, RCPT, DATA, RSET      RFC 5321 section 3.3, RFC 2920
//!   content       content and its reply       RFC 5321 section 4.1.1.4
//!   chunks        content by BDAT             RFC 3030
//!   outcome       what a reply means          RFC 5321 section 4.2
//! ```
//!
//! Faults between us and the server (no STARTTLS, no common mechanism, 530) are `failed`, never a
//! recipient's failure: the host defers what waits (CL-route).
//!
//! Not here: mechanisms (`sasl`), dot-stuffing (`content::stuffing`), what conversion does
//! (`conversion`), timeouts and retries (the host).

mod a_label;
mod authenticate;
mod capabilities;
mod chunks;
mod content;
mod convert;
mod greet;
mod outcome;
mod parameters;
mod preflight;
mod reply;
mod secure;
mod session;
mod submit;
#[cfg(test)]
mod tests;
mod transfer;

pub use session::Session;
