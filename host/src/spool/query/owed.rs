//! Reports that are to be made.

use std::collections::HashSet;
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::super::attempt::Notice;
use super::super::message::Owed;
use super::super::row;

/// How long a report waits for attempts with other recipients, whose ends it could tell too.
const GATHERING: i64 = 60_000;
/// Notices that are due, the oldest first.
pub(in super::super) const DUE: &str =
    "SELECT message FROM notice INDEXED BY notice_due WHERE due <= ?1 ORDER BY due";

/// What there is.
#[derive(Default)]
pub(in super::super) struct Found {
    pub(in super::super) owed: Vec<Owed>,
    pub(in super::super) damaged: Vec<Damaged>,
}

/// A message of which no report can be made.
pub(in super::super) struct Damaged {
    pub(in super::super) serial: i64,
    pub(in super::super) id: String,
    pub(in super::super) reason: String,
}

/// Notices of one message.
struct Notices {
    notices: Result<Vec<Notice>, String>,
    /// When the first of them was made.
    since: i64,
}

/// Messages that owe reports, with what they owe.
pub(in super::super) fn owed(
    connection: &Connection,
    limit: usize,
    now: i64,
) -> rusqlite::Result<Found> {
    let mut found = Found::default();
    let mut seen = HashSet::new();
    let mut due = connection.prepare_cached(DUE)?;
    let mut rows = due.query([now])?;
    while found.owed.len() < limit {
        let Some(row) = rows.next()? else { break };
        let serial: i64 = row.get(0)?;
        if !seen.insert(serial) {
            continue;
        }
        let Notices { notices, since } = notices(connection, serial, now)?;
        if since > now.saturating_sub(GATHERING) && is_running(connection, serial, now)? {
            continue;
        }
        let damage = |(id, reason)| Damaged { serial, id, reason };
        match (row::message(connection, serial)?, notices) {
            (Ok(message), Ok(notices)) => found.owed.push(Owed {
                message: Arc::new(message),
                notices,
            }),
            (Err(damaged), _) => found.damaged.push(damage(damaged)),
            (Ok(message), Err(reason)) => found.damaged.push(damage((message.id, reason))),
        }
    }
    Ok(found)
}

fn notices(connection: &Connection, serial: i64, now: i64) -> rusqlite::Result<Notices> {
    let mut since = i64::MAX;
    let notices = connection
        .prepare_cached(
            "SELECT ordinal, kind, notice.attempt, mailbox, notify, orcpt_type, orcpt, since
             FROM notice LEFT JOIN recipient USING (message, ordinal)
             WHERE message = ?1 AND notice.due <= ?2 ORDER BY ordinal, kind",
        )?
        .query_map(params![serial, now], |row| {
            since = since.min(row.get(7)?);
            Ok(row::notice(row))
        })?
        .collect::<rusqlite::Result<Result<Vec<_>, String>>>()?;
    Ok(Notices { notices, since })
}

/// Whether a recipient has an attempt that runs.
fn is_running(connection: &Connection, serial: i64, now: i64) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM recipient WHERE message = ?1 AND state = 1 AND due > ?2)",
        )?
        .query_row(params![serial, now], |row| row.get(0))
}
