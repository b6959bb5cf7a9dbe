//! What was not delivered in the time that its sender gave (RFC 2852).

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::super::message::{Message, Overdue};
use super::super::row;

/// Recipients whose deadline has passed, the longest ago first.
pub(in super::super) const OVERDUE: &str =
    "SELECT message, ordinal, mailbox, notify, orcpt_type, orcpt, attempts, lane, delay_told,
            deadline, last_reply
     FROM recipient INDEXED BY recipient_deadline
     WHERE deadline <= ?1 AND state IN (0, 2) ORDER BY deadline LIMIT ?2";

/// What there is.
#[derive(Default)]
pub(in super::super) struct Found {
    pub(in super::super) overdue: Vec<Overdue>,
    /// Identifiers of damaged messages, and the reasons.
    pub(in super::super) damaged: Vec<(String, String)>,
}

/// Recipients that are overdue and have no attempt that runs.
pub(in super::super) fn overdue(
    connection: &Connection,
    limit: usize,
    now: i64,
) -> rusqlite::Result<Found> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut found = Found::default();
    let mut messages: HashMap<i64, Option<Arc<Message>>> = HashMap::new();
    let mut statement = connection.prepare_cached(OVERDUE)?;
    let mut rows = statement.query(params![now, limit])?;
    while let Some(row) = rows.next()? {
        let serial: i64 = row.get(0)?;
        if let std::collections::hash_map::Entry::Vacant(place) = messages.entry(serial) {
            let message = match row::message(connection, serial)? {
                Ok(message) => Some(Arc::new(message)),
                Err(damage) => {
                    found.damaged.push(damage);
                    None
                }
            };
            place.insert(message);
        }
        let Some(message) = messages.get(&serial).cloned().flatten() else {
            continue;
        };
        match row::due(row) {
            Ok(due) => {
                let attempts = due.attempts;
                found.overdue.push(Overdue {
                    recipient: due.of(message, attempts),
                    last_reply: row::text(row, 10)?,
                });
            }
            Err(reason) => found.damaged.push((message.id.clone(), reason)),
        }
    }
    Ok(found)
}
