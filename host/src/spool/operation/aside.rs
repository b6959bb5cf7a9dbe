//! Sets damaged messages aside.

use rusqlite::{Connection, params};

use super::super::writer::Operation;
use super::{Done, locate};

/// Sets a damaged message aside.
pub(in super::super) struct Quarantine {
    pub(in super::super) id: String,
    pub(in super::super) reason: String,
}

impl Operation for Quarantine {
    /// Whether there was something to set aside.
    type Answer = bool;

    fn doing(&self) -> String {
        format!("set aside message {}", self.id)
    }

    fn run(&mut self, connection: &Connection) -> Done<bool> {
        match locate(connection, &self.id)? {
            Some(located) => set_aside(connection, located.serial, &self.reason).map(Ok),
            None => Ok(Ok(false)),
        }
    }

    fn committed(&mut self, changed: &bool) {
        if *changed {
            report(&self.id, &self.reason);
        }
    }
}

/// Holds all recipients of a message that are not done, with the reason as their reply. Whether that
/// was not so before.
pub(in super::super) fn set_aside(
    connection: &Connection,
    serial: i64,
    reason: &str,
) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "UPDATE recipient SET state = 3, due = NULL, owner = NULL, last_reply = ?2
             WHERE message = ?1 AND state NOT IN (4, 5)
               AND (state <> 3 OR last_reply IS NOT ?2)",
        )?
        .execute(params![serial, reason])
        .map(|changed| changed > 0)
}

/// Tells the operator of damage.
pub(in super::super) fn report(id: &str, reason: &str) {
    tracing::error!(%id, %reason, "a damaged message was set aside: its recipients are held");
}
