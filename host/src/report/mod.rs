//! Reports to senders: delivery status notifications (RFC 3461 sections 4 to 6, RFC 3464, RFC 6522,
//! RFC 6533).
//!
//! ```text
//! outcome -> due -> a notice in the spool -> run: owed -> compose -> reported: a new message
//! ```
//!
//! `due` decides what is owed, `compose` makes a message of it: pure, both. `text` is its part for
//! people, `status` the one for programs, `original` what goes back of the message; `field` and
//! `encoding` are the grammar of headers and bodies. `run` is the task that pays; `id` names reports.
//!
//! A report is a message like others: it lies in the spool, is routed and retried. It has the null
//! reverse-path, so there is never a report about a report. Not here: what becomes of one that cannot
//! be delivered (`relay` holds it and raises an alarm).

mod compose;
mod due;
mod encoding;
mod field;
mod id;
mod original;
mod run;
mod status;
mod text;

#[cfg(test)]
mod tests;

pub use compose::{Composed, Reporter, Request, compose};
pub use due::{Event, due};
pub use original::{HEADER_LIMIT, Original, whole};
pub use run::{CurrentAliases, CurrentReporter, CurrentSigners, Reports, run};
