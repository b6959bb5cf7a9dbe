//! What is read from the database, on connections of their own: the writer never waits for them.

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension, params};

use super::content::{ContentReader, Folder};
use super::entry::{Cursor, Detail, Entry, EntryRecipient, Filter};
use super::error::SpoolError;
use super::row;
use super::sqlite::{Access, connect};

/// Connections that are kept for the next reader.
const MOST_IDLE: usize = 4;

/// Connections for reading.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            idle: Mutex::new(Vec::new()),
        }
    }

    /// Reads with one of them, all from the same state of the database.
    pub(super) fn with<T>(
        &self,
        doing: &str,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, SpoolError> {
        let failed = |error| SpoolError::sqlite(doing, error);
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.open()?,
        };
        let transaction = connection.unchecked_transaction().map_err(failed)?;
        let answer = read(&transaction).map_err(failed);
        transaction.finish().map_err(failed)?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE {
            idle.push(connection);
        }
        answer
    }

    fn open(&self) -> Result<Connection, SpoolError> {
        let connection = connect(&self.path, Access::Tool)?;
        connection
            .pragma_update(None, "query_only", true)
            .map_err(|error| SpoolError::sqlite("open the spool for reading", error))?;
        Ok(connection)
    }
}

/// One page of the list.
pub(super) fn list(
    connection: &Connection,
    filter: &Filter,
    after: Cursor,
    limit: usize,
) -> rusqlite::Result<Vec<Entry>> {
    let now = SystemTime::now();
    let mut messages = connection.prepare_cached(
        "SELECT serial, id, received, reverse_path, identity, size FROM message
         WHERE serial > ?1 AND (?2 IS NULL OR identity = ?2) ORDER BY serial",
    )?;
    let mut rows = messages.query(params![after.0, filter.identity])?;
    let mut entries = Vec::new();
    while entries.len() < limit {
        let Some(row) = rows.next()? else { break };
        let entry = row::entry(row, recipients(connection, row.get(0)?, now)?)?;
        if filter.state.is_none_or(|state| state == entry.state) {
            entries.push(entry);
        }
    }
    Ok(entries)
}

/// All about one message.
pub(super) fn show(connection: &Connection, id: &str) -> rusqlite::Result<Option<Detail>> {
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
    }))
}

fn recipients(
    connection: &Connection,
    serial: i64,
    now: SystemTime,
) -> rusqlite::Result<Vec<EntryRecipient>> {
    connection
        .prepare_cached(
            "SELECT mailbox, state, attempts, due, last_reply FROM recipient
             WHERE message = ?1 ORDER BY ordinal",
        )?
        .query_map([serial], |row| row::entry_recipient(row, now))?
        .collect()
}

/// Size, digest and inline content of a message.
type Stored = (i64, Vec<u8>, Option<Vec<u8>>);

/// Opens the content of one message.
pub(super) fn content(
    readers: &Readers,
    folder: &Folder,
    id: &str,
) -> Result<ContentReader, SpoolError> {
    let path = folder.file(id)?;
    let doing = format!("read the content of message {id}");
    let stored: Option<Stored> = readers.with(&doing, |connection| {
        connection
            .prepare_cached("SELECT size, digest, content FROM message WHERE id = ?1")?
            .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()
    })?;
    let (size, digest, octets) =
        stored.ok_or_else(|| SpoolError::NotFound { id: id.to_owned() })?;
    let size = u64::try_from(size).map_err(|_| SpoolError::corrupt(id, "its size is negative"))?;
    let digest: [u8; 32] = digest
        .try_into()
        .map_err(|_| SpoolError::corrupt(id, "its SHA-256 is not 32 octets"))?;
    if let Some(octets) = octets {
        return Ok(ContentReader::row(id.to_owned(), octets, size, digest));
    }
    match File::open(&path) {
        Ok(file) => Ok(ContentReader::file(id.to_owned(), file, size, digest)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(SpoolError::corrupt(id, MISSING))
        }
        Err(error) => Err(SpoolError::path("open", &path, error)),
    }
}

/// Why a message without its content file is set aside.
pub(super) const MISSING: &str = "its content file is missing";
