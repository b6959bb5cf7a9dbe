//! The history.

use std::time::Duration;

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::super::entry::{Cursor, Filter};
use super::super::history::{End, Past};
use super::super::row;
use super::super::sqlite::time;
use super::condition::{of_end, of_message, of_recipient};

/// One page of it, the latest first.
pub(in super::super) fn past(
    connection: &Connection,
    filter: &Filter,
    after: Option<Cursor>,
    limit: usize,
) -> rusqlite::Result<Vec<Past>> {
    let (statement, values) = statement(filter, after, limit);
    connection
        .prepare_cached(&statement)?
        .query_map(params_from_iter(values), read)?
        .collect()
}

/// The statement, and its values.
pub(in super::super) fn statement(
    filter: &Filter,
    after: Option<Cursor>,
    limit: usize,
) -> (String, Vec<Value>) {
    let mut all = of_message(filter)
        .and(of_recipient(filter))
        .and(of_end(filter));
    if let Some(Cursor { at, row }) = after {
        all.add("at <= ?", [at.into()]);
        all.add("at < ? OR number < ?", [at.into(), row.into()]);
    }
    if all.is_empty() {
        all.add("TRUE", []);
    }
    let (conditions, mut values) = all.into_parts();
    values.push(Value::from(i64::try_from(limit).unwrap_or(i64::MAX)));
    // One message's rows are few; all else is looked for from the latest on.
    let index = match filter.id {
        Some(_) => "history_id",
        None => "history_at",
    };
    let statement = format!(
        "SELECT number, at, id, message_id, reverse_path, identity, mailbox, ended, attempts, delay,
                size, attempt
         FROM history INDEXED BY {index} WHERE {conditions}
         ORDER BY at DESC, number DESC LIMIT ?"
    );
    (statement, values)
}

/// Shows what it can of a damaged row.
fn read(row: &Row<'_>) -> rusqlite::Result<Past> {
    let positive =
        |index| Ok::<_, rusqlite::Error>(u64::try_from(row.get::<_, i64>(index)?).unwrap_or(0));
    Ok(Past {
        cursor: Cursor {
            at: row.get(1)?,
            row: row.get(0)?,
        },
        at: time(row.get(1)?),
        id: row::text(row, 2)?.unwrap_or_default(),
        message_id: row::text(row, 3)?.unwrap_or_default(),
        reverse_path: row::text(row, 4)?.unwrap_or_default(),
        identity: row::text(row, 5)?,
        mailbox: row::text(row, 6)?.unwrap_or_default(),
        end: End::from_code(row.get(7)?),
        attempts: u32::try_from(positive(8)?).unwrap_or(u32::MAX),
        delay: Duration::from_millis(positive(9)?),
        size: positive(10)?,
        attempt: row::attempt(row, 11)?,
    })
}
