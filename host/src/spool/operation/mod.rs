//! What the writer does to the database, each kind in one transaction.
//!
//! Files: `append` takes messages over, `claim` hands out recipients that are due, `settle` records
//! what came of them, `past` writes the history of it and forgets it; `notice` is about reports that
//! are owed, `lane` about places in trouble; `alter` has the verbs of the queue, `aside` sets damaged
//! messages aside.

mod alter;
mod append;
mod aside;
mod claim;
mod lane;
mod notice;
mod past;
mod settle;

use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;

use super::content::Folder;
use super::error::SpoolError;

pub(super) use alter::Alter;
pub(super) use append::{Append, Arrival};
pub(super) use aside::{Quarantine, report, set_aside};
pub(super) use claim::Claim;
#[cfg(test)]
pub(super) use claim::{DUE, DUE_OF_PRIORITY, FIRST_DUE, LANES_AFTER, LANES_TO, LOWER, REST};
pub(super) use lane::{Expedite, SetTrouble};
pub(super) use notice::{PutOff, Reported, Shelve};
pub(super) use past::Forget;
pub(super) use settle::Settle;

/// Outer error: the database's, so that the transaction is tried again. Inner: this operation's.
type Done<T> = rusqlite::Result<Result<T, SpoolError>>;

/// Where a message is.
struct Located {
    serial: i64,
    /// Its content is in its row.
    inline: bool,
}

fn locate(connection: &Connection, id: &str) -> rusqlite::Result<Option<Located>> {
    connection
        .prepare_cached("SELECT serial, content IS NOT NULL FROM message WHERE id = ?1")?
        .query_row([id], |row| {
            Ok(Located {
                serial: row.get(0)?,
                inline: row.get(1)?,
            })
        })
        .optional()
}

/// Removes a message. Returns its content file, to be discarded after the commit.
fn remove(
    connection: &Connection,
    id: &str,
    located: &Located,
    folder: &Folder,
) -> rusqlite::Result<Option<PathBuf>> {
    for statement in [
        "DELETE FROM recipient WHERE message = ?1",
        "DELETE FROM notice WHERE message = ?1",
        "DELETE FROM message WHERE serial = ?1",
    ] {
        connection
            .prepare_cached(statement)?
            .execute([located.serial])?;
    }
    Ok(if located.inline {
        None
    } else {
        folder.file(id).ok()
    })
}

/// Removes a message if all its recipients are done and no report is owed, as [`remove`].
fn remove_if_done(
    connection: &Connection,
    id: &str,
    located: &Located,
    folder: &Folder,
) -> rusqlite::Result<Option<PathBuf>> {
    let needed: bool = connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM recipient WHERE message = ?1 AND state NOT IN (4, 5))
                 OR EXISTS (SELECT 1 FROM notice WHERE message = ?1)",
        )?
        .query_row([located.serial], |row| row.get(0))?;
    if needed {
        return Ok(None);
    }
    remove(connection, id, located, folder)
}

/// Removes a content file whose row is gone. What fails here is done at the next start.
fn discard(file: &PathBuf) {
    if let Err(error) = std::fs::remove_file(file)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(file = %file.display(), %error, "cannot remove a content file");
    }
}

/// A value as its column has it.
fn json<T: Serialize>(value: &T, what: &str) -> Result<String, SpoolError> {
    serde_json::to_string(value).map_err(|error| {
        SpoolError::io(
            format!("write {what} as JSON"),
            std::io::Error::other(error),
        )
    })
}
