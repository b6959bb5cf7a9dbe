//! The server role of one connection (RFC 6409; [MS-OXSMTP] section 3.2 where it differs).
//!
//! ```text
//!   Greeting -> Command <-> Transaction -> Content -> Answer -> Command
//!      |         |   |           `-> Chunk <-> Chunks -^    (RFC 5321 section 3.3, RFC 3030)
//!      |         |   +-> Authentication (RFC 4954 section 4) -> Command
//!      |         +-> Handshake (RFC 3207 section 4) -> Command
//!      +-> Unwelcome (RFC 5321 section 3.1)
//! ```
//!
//! A question moves any of them into Answer until `resume`; QUIT and 421 end in Closed. A file per
//! verb: it takes the state and yields the next one and a reply or a question; only [`session`]
//! makes actions of that.
//!
//! Not here: grammar (`smtp`), parameters (`extension`), mechanisms (`sasl`).

mod auth;
mod bdat;
mod content;
mod control;
mod data;
mod ehlo;
mod header;
mod known;
mod mail;
mod message;
mod output;
mod park;
mod rcpt;
mod receiving;
mod session;
mod settings;
mod starttls;
mod state;
mod submission;
#[cfg(test)]
mod testing;
mod trace;

#[cfg(test)]
mod tests;

pub use session::Session;
