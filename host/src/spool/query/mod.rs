//! What is read from the database, on connections of their own: the writer never waits for them.
//!
//! Files: `list` has the messages in the queue, `condition` what a filter asks for; `lanes` counts,
//! `overdue` and `owed` find what is overdue and reports that are to be made, `past` reads the history. Here: the connections, and
//! content.

mod condition;
mod lanes;
mod list;
mod overdue;
mod owed;
mod past;

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension};

use super::content::Folder;
use super::error::SpoolError;
use super::reader::ContentReader;
use super::schema::connect;
use super::sqlite::Access;

#[cfg(test)]
pub(super) use lanes::{HELD, QUEUED, QUEUES};
pub(super) use lanes::{lanes, queues};
#[cfg(test)]
pub(super) use list::statement as list_statement;
pub(super) use list::{list, show};
#[cfg(test)]
pub(super) use overdue::OVERDUE;
pub(super) use overdue::overdue;
#[cfg(test)]
pub(super) use owed::DUE as OWED;
pub(super) use owed::owed;
pub(super) use past::past;
#[cfg(test)]
pub(super) use past::statement as past_statement;

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
