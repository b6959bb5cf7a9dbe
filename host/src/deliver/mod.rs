//! Deliveries that end on this machine.
//!
//! `template` makes a folder's name of a mailbox, `maildir` writes into it, `return_path` is the one
//! change that final delivery makes to content (RFC 5321 section 4.4). Not here: which messages
//! (`route`), and when (`relay`).

mod maildir;
mod return_path;
mod template;

pub use maildir::{MaildirError, Maildirs};
pub use template::{Template, TemplateError};

/// Local-part and domain of a mailbox. Only a quoted local-part can have an `@` of its own, so the
/// last one counts (RFC 5321 section 4.1.2).
fn split(mailbox: &str) -> (&str, &str) {
    mailbox.rsplit_once('@').unwrap_or((mailbox, ""))
}
