//! Messages in the queue.
//!
//! Conditions on recipients are looked for among recipients, whose rows are small and lie in order of
//! arrival; all else in an index that has what a list shows of a message, so that no content is read.

use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension, params_from_iter};

use super::super::attempt::NoticeKind;
use super::super::entry::{Cursor, Detail, Entry, EntryRecipient, EntryReport, Filter, State};
use super::super::row;
use super::super::sqlite::{milliseconds, time};
use super::condition::{Conditions, of_arrival, of_message, of_queued, of_recipient};

/// One page of the list.
pub(in super::super) fn list(
    connection: &Connection,
    filter: &Filter,
    after: Cursor,
    limit: usize,
) -> rusqlite::Result<Vec<Entry>> {
    let now = SystemTime::now();
    let (statement, values) = statement(filter, after, now);
    let mut messages = connection.prepare_cached(&statement)?;
    let mut rows = messages.query(params_from_iter(values))?;
    let mut entries: Vec<Entry> = Vec::new();
    while entries.len() < limit {
        let Some(row) = rows.next()? else { break };
        let serial: i64 = row.get(0)?;
        // Found once for each of its recipients.
        if entries.last().is_some_and(|last| last.cursor.row == serial) {
            continue;
        }
        entries.push(row::entry(row, recipients(connection, serial, now)?)?);
    }
    Ok(entries)
}

/// The statement of a list, and its values.
pub(in super::super) fn statement(
    filter: &Filter,
    after: Cursor,
    now: SystemTime,
) -> (String, Vec<rusqlite::types::Value>) {
    let recipient = of_recipient(filter).and(of_queued(filter, milliseconds(now)));
    let message = of_message(filter).and(of_arrival(filter));
    let columns = "SELECT serial, id, received, reverse_path, identity, size";
    let (from, order) = if recipient.is_empty() {
        ("message INDEXED BY message_list", "serial")
    } else {
        let from = match filter.state {
            Some(State::Held) => {
                "recipient INDEXED BY recipient_held
                 CROSS JOIN message INDEXED BY message_list ON serial = message"
            }
            _ => {
                "recipient
                 CROSS JOIN message INDEXED BY message_list ON serial = message"
            }
        };
        (from, "message")
    };
    let mut all = Conditions::default();
    all.add(&format!("{order} > ?"), [after.row.into()]);
    let (conditions, values) = all.and(recipient).and(message).into_parts();
    let statement = format!("{columns} FROM {from} WHERE {conditions} ORDER BY {order}");
    (statement, values)
}

/// All about one message.
pub(in super::super) fn show(
    connection: &Connection,
    id: &str,
) -> rusqlite::Result<Option<Detail>> {
    let now = SystemTime::now();
    let found = connection
        .prepare_cached(
            "SELECT serial, id, received, reverse_path, identity, size, peer, message_id
             FROM message WHERE id = ?1",
        )?
        .query_row([id], |row| {
            let serial: i64 = row.get(0)?;
            let entry = row::entry(row, recipients(connection, serial, now)?)?;
            Ok((serial, entry, row::text(row, 6)?, row::text(row, 7)?))
        })
        .optional()?;
    let Some((serial, entry, peer, message_id)) = found else {
        return Ok(None);
    };
    let message = row::message(connection, serial)?.ok();
    Ok(Some(Detail {
        entry,
        peer: peer.and_then(|peer| peer.parse().ok()),
        message_id: message_id.unwrap_or_default(),
        envelope: message.as_ref().map(|message| message.envelope.clone()),
        facts: message.map(|message| message.facts),
        reports: reports(connection, serial)?,
    }))
}

fn recipients(
    connection: &Connection,
    serial: i64,
    now: SystemTime,
) -> rusqlite::Result<Vec<EntryRecipient>> {
    connection
        .prepare_cached(
            "SELECT mailbox, state, attempts, due, last_reply, lane, attempt, hold_until, priority,
                    deadline
             FROM recipient
             WHERE message = ?1 ORDER BY ordinal",
        )?
        .query_map([serial], |row| row::entry_recipient(row, now))?
        .collect()
}

fn reports(connection: &Connection, serial: i64) -> rusqlite::Result<Vec<EntryReport>> {
    connection
        .prepare_cached(
            "SELECT mailbox, kind, since, notice.due
             FROM notice LEFT JOIN recipient USING (message, ordinal)
             WHERE message = ?1 ORDER BY ordinal, kind",
        )?
        .query_map([serial], |row| {
            Ok(EntryReport {
                mailbox: row::text(row, 0)?.unwrap_or_default(),
                // Damage is shown as what weighs most.
                kind: NoticeKind::from_code(row.get(1)?).unwrap_or(NoticeKind::Failed),
                since: time(row.get(2)?),
                due: row.get::<_, Option<i64>>(3)?.map(time),
            })
        })?
        .collect()
}
