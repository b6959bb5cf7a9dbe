//! Rows of the database as values; what cannot be read is damage, with its reason.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use rusqlite::types::{FromSql, ValueRef};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row};

use super::attempt::{Attempt, Notice, NoticeKind};
use super::entry::{Cursor, Entry, EntryRecipient, State};
use super::message::{Claimed, Message, Notify, Recipient};
use super::sqlite::time;

/// Identifier of a damaged message (its serial where that cannot be read), and the reason.
type Damage = (String, String);

/// A recipient that is due.
pub(super) struct Due {
    pub(super) ordinal: u32,
    pub(super) recipient: Recipient,
    pub(super) attempts: u32,
    pub(super) lane: String,
    pub(super) delay_told: bool,
    pub(super) deadline: Option<SystemTime>,
}

impl Due {
    /// The recipient with its message.
    pub(super) fn of(self, message: Arc<Message>, attempts: u32) -> Claimed {
        Claimed {
            message,
            ordinal: self.ordinal,
            recipient: self.recipient,
            attempts,
            lane: self.lane,
            delay_told: self.delay_told,
            deadline: self.deadline,
        }
    }
}

/// Reads the columns 1 to 9 of a claim.
pub(super) fn due(row: &Row<'_>) -> Result<Due, String> {
    Ok(Due {
        ordinal: column(row, 1, "ordinal")?,
        recipient: recipient(row, 2)?,
        attempts: column(row, 6, "attempts")?,
        lane: column(row, 7, "lane")?,
        delay_told: column(row, 8, "delay_told")?,
        deadline: column::<Option<i64>>(row, 9, "deadline")?.map(time),
    })
}

/// Reads a recipient (columns `mailbox, notify, orcpt_type, orcpt`, of which `first` is the first).
fn recipient(row: &Row<'_>, first: usize) -> Result<Recipient, String> {
    let notify: Option<i64> = column(row, first + 1, "notify")?;
    let kind: Option<String> = column(row, first + 2, "orcpt_type")?;
    let address: Option<String> = column(row, first + 3, "orcpt")?;
    Ok(Recipient {
        mailbox: column(row, first, "mailbox")?,
        notify: match notify {
            Some(bits) => Some(
                Notify::from_bits(bits)
                    .ok_or_else(|| "column notify of its recipient cannot be read".to_owned())?,
            ),
            None => None,
        },
        orcpt: kind.zip(address),
    })
}

/// Reads a notice (columns `ordinal, kind, attempt, mailbox, notify, orcpt_type, orcpt`).
pub(super) fn notice(row: &Row<'_>) -> Result<Notice, String> {
    Ok(Notice {
        ordinal: column(row, 0, "ordinal")?,
        kind: NoticeKind::from_code(column(row, 1, "kind")?)
            .ok_or_else(|| "column kind of its notice cannot be read".to_owned())?,
        // A report that says less is better than none.
        attempt: attempt(row, 2).unwrap_or_default().unwrap_or_default(),
        recipient: recipient(row, 3)?,
    })
}

/// What is known of an attempt, as far as that can be read.
pub(super) fn attempt(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<Attempt>> {
    let json = text(row, index)?;
    Ok(json.and_then(|json| serde_json::from_str(&json).ok()))
}

/// Reads a message without its content. The outer error is the database's, not this message's.
pub(super) fn message(
    connection: &Connection,
    serial: i64,
) -> rusqlite::Result<Result<Message, Damage>> {
    let damage = |reason: &str| Ok(Err((serial.to_string(), reason.to_owned())));
    let read = connection
        .prepare_cached(
            "SELECT id, received, peer, identity, message_id, envelope, facts, size
             FROM message WHERE serial = ?1",
        )?
        .query_row([serial], |row| Ok(columns(row)))
        .optional();
    match read {
        Ok(Some(message)) => Ok(message),
        Ok(None) => damage("its row is missing"),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => {
            damage("its row cannot be read")
        }
        Err(error) => Err(error),
    }
}

fn columns(row: &Row<'_>) -> Result<Message, Damage> {
    let id: String = column(row, 0, "id").map_err(|reason| ("?".to_owned(), reason))?;
    let damage = |reason| (id.clone(), reason);
    let json = |name: &str, error: serde_json::Error| damage(format!("column {name}: {error}"));
    let peer: String = column(row, 2, "peer").map_err(damage)?;
    let envelope: String = column(row, 5, "envelope").map_err(damage)?;
    let facts: String = column(row, 6, "facts").map_err(damage)?;
    Ok(Message {
        envelope: serde_json::from_str(&envelope).map_err(|error| json("envelope", error))?,
        identity: column(row, 3, "identity").map_err(damage)?,
        peer: peer
            .parse::<IpAddr>()
            .map_err(|_| damage("column peer is no address".to_owned()))?,
        received: time(column(row, 1, "received").map_err(damage)?),
        message_id: column(row, 4, "message_id").map_err(damage)?,
        facts: serde_json::from_str(&facts).map_err(|error| json("facts", error))?,
        size: u64::try_from(column::<i64>(row, 7, "size").map_err(damage)?)
            .map_err(|_| damage("column size is negative".to_owned()))?,
        id: id.clone(),
    })
}

fn column<T: FromSql>(row: &Row<'_>, index: usize, name: &str) -> Result<T, String> {
    row.get(index)
        .map_err(|error| format!("column {name}: {error}"))
}

/// Reads an entry of a list (columns `serial, id, received, reverse_path, identity, size`). Shows
/// what it can of a damaged row.
pub(super) fn entry(row: &Row<'_>, recipients: Vec<EntryRecipient>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        id: text(row, 1)?.unwrap_or_default(),
        state: Entry::state_of(&recipients),
        reverse_path: text(row, 3)?.unwrap_or_default(),
        identity: text(row, 4)?,
        recipients,
        size: u64::try_from(row.get::<_, i64>(5)?).unwrap_or(0),
        received: time(row.get(2)?),
        cursor: Cursor {
            at: 0,
            row: row.get(0)?,
        },
    })
}

/// Reads a recipient of a list (columns
/// `mailbox, state, attempts, due, last_reply, lane, attempt, hold_until, priority, deadline`).
pub(super) fn entry_recipient(row: &Row<'_>, now: SystemTime) -> rusqlite::Result<EntryRecipient> {
    let attempts = row.get(2)?;
    let due = row.get::<_, Option<i64>>(3)?.map(time);
    let attempted = attempts > 1 || row.get_ref(6)? != ValueRef::Null;
    let state = match State::from_code(row.get(1)?) {
        // A lease that ran out: the attempt is over, whatever became of it.
        Some(State::Delivering) if due.is_none_or(|due| due <= now) => interrupted(attempted),
        Some(state) => state,
        None => State::Held,
    };
    Ok(EntryRecipient {
        mailbox: text(row, 0)?.unwrap_or_default(),
        state,
        attempts,
        next_attempt: due.filter(|_| matches!(state, State::Waiting | State::Deferred)),
        last_reply: text(row, 4)?,
        lane: text(row, 5)?.unwrap_or_default(),
        attempt: attempt(row, 6)?,
        // Over is over.
        hold_until: row
            .get::<_, Option<i64>>(7)?
            .map(time)
            .filter(|until| *until > now),
        priority: row.get(8)?,
        deadline: row.get::<_, Option<i64>>(9)?.map(time),
    })
}

/// What a recipient is whose attempt was cut short.
fn interrupted(attempted: bool) -> State {
    if attempted {
        State::Deferred
    } else {
        State::Waiting
    }
}

/// Text for a person, damaged octets replaced.
pub(super) fn text(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<String>> {
    let value = row.get_ref(index)?.as_bytes_or_null()?;
    Ok(value.map(|octets| String::from_utf8_lossy(octets).into_owned()))
}
