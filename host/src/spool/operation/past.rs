//! Writes the history of recipients that are done, and forgets it.
//!
//! Rows are copied within the database, so that damaged ones can go too.

use rusqlite::{Connection, params};

use super::super::history::End;
use super::super::writer::Operation;
use super::Done;

/// Writes that a recipient, whose row says all about its last attempt, is done.
pub(super) fn ended(
    connection: &Connection,
    (serial, ordinal): (i64, u32),
    end: End,
    now: i64,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO history (at, id, message_id, reverse_path, identity, mailbox, ended,
                                  attempts, delay, size, last_reply, attempt)
             SELECT ?1, id, message_id, reverse_path, identity, mailbox, ?2,
                    attempts, max(0, ?1 - received), size, last_reply, attempt
             FROM recipient JOIN message ON serial = message
             WHERE message = ?3 AND ordinal = ?4",
        )?
        .execute(params![now, end.code(), serial, ordinal])
        .map(|_| ())
}

/// Writes that recipients of a message that are not done are removed.
pub(super) fn removed(connection: &Connection, serial: i64, now: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO history (at, id, message_id, reverse_path, identity, mailbox, ended,
                                  attempts, delay, size)
             SELECT ?1, id, message_id, reverse_path, identity, mailbox, ?2,
                    attempts, max(0, ?1 - received), size
             FROM recipient JOIN message ON serial = message
             WHERE message = ?3 AND state NOT IN (4, 5)
             ORDER BY ordinal",
        )?
        .execute(params![now, End::Removed.code(), serial])
        .map(|_| ())
}

/// Forgets some of the oldest.
pub(in super::super) struct Forget {
    pub(in super::super) before: i64,
    pub(in super::super) limit: usize,
}

impl Operation for Forget {
    /// How many.
    type Answer = usize;

    fn doing(&self) -> String {
        "forget history".to_owned()
    }

    fn run(&mut self, connection: &Connection) -> Done<usize> {
        connection
            .prepare_cached(
                "DELETE FROM history WHERE number IN
                   (SELECT number FROM history WHERE at < ?1 ORDER BY at, number LIMIT ?2)",
            )?
            .execute(params![
                self.before,
                i64::try_from(self.limit).unwrap_or(i64::MAX)
            ])
            .map(Ok)
    }
}
