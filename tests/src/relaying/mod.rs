//! The relay of a whole service against many scripted servers at once: the harness of
//! `tests/relay`.
//!
//! ```text
//!   row      one behaviour of a server, and what must come of it
//!   service  `pillarbox serve` with a route for each row
//!   queue    what `pillarbox queue` says, looked at again and again
//!   submit   messages into the service
//!   report   reports to senders (RFC 3464), read from their Maildirs
//!   play     one row from its submission to its last check
//! ```
//!
//! A row has two acts. In the first the server is as the row's script says, until each recipient is
//! what the row expects: delivered, deferred, failed, held. Then the server recovers, and whoever was
//! deferred must be delivered: nothing lost, and nothing twice where the server had not left it open.

pub mod play;
pub mod queue;
pub mod report;
pub mod row;
pub mod service;
mod submit;

pub use play::{Stage, Told};
pub use row::Row;
