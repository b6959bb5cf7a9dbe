//! The database's form: `schema.sql` for a new one, `from_1.sql` and `from_2.sql` for one that an
//! older version left.
//!
//! The version is the database's `user_version`. The service brings an older database up to date
//! before it does anything else, in one transaction; a tool does not, since the service of the older
//! version may still be at work on it.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::error::SpoolError;
use super::sqlite::Access;

/// Version of `schema.sql`.
const CURRENT: i64 = 3;
/// How long to wait for another process's transaction; they are short.
const BUSY: Duration = Duration::from_secs(10);
/// Pages in the write-ahead log at which it is copied into the database: a checkpoint syncs twice,
/// so a larger one costs less a message (measured), and 16 MiB are read quickly after a crash.
const CHECKPOINT: i64 = 4000;

/// Opens one connection, with the schema as this version needs it.
pub(super) fn connect(path: &Path, access: Access) -> Result<Connection, SpoolError> {
    let failed = |error| SpoolError::sqlite(format!("open {}", path.display()), error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(64);
    let found = version(&connection).map_err(failed)?;
    match (found, access) {
        (0, Access::Tool) => {
            return Err(SpoolError::Absent {
                path: path.to_owned(),
            });
        }
        (..CURRENT, Access::Tool) => {
            return Err(SpoolError::Older {
                path: path.to_owned(),
                found,
                known: CURRENT,
            });
        }
        (CURRENT.., _) if found > CURRENT => {
            return Err(SpoolError::Newer {
                path: path.to_owned(),
                found,
                known: CURRENT,
            });
        }
        _ => {}
    }
    connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))
        .map_err(failed)?;
    connection
        .execute_batch(&format!(
            "PRAGMA synchronous = FULL;
             PRAGMA wal_autocheckpoint = {CHECKPOINT};
             PRAGMA journal_size_limit = 67108864;
             PRAGMA cache_size = -16384;
             PRAGMA temp_store = MEMORY;"
        ))
        .map_err(failed)?;
    if found < CURRENT {
        update(&mut connection, found).map_err(|error| {
            let doing = format!("bring {} up to date", path.display());
            SpoolError::sqlite(doing, error)
        })?;
        if found > 0 {
            tracing::info!(
                from = found,
                to = CURRENT,
                "the spool was brought up to date"
            );
        }
        if found == 1 {
            tell_of_held(&connection).map_err(failed)?;
        }
    }
    Ok(connection)
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Recipients that are held and were tried before.
pub(super) fn held_after_an_attempt(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row(
        "SELECT count(*) FROM recipient WHERE state = 3 AND attempts > 0",
        [],
        |row| row.get(0),
    )
}

/// Schema 1 knew no reports: what failed was held there, and its sender heard nothing. That must not
/// be noticed by chance.
fn tell_of_held(connection: &Connection) -> rusqlite::Result<()> {
    let held = held_after_an_attempt(connection)?;
    if held > 0 {
        tracing::error!(
            held,
            "recipients were held after an attempt by an older version, which sent no reports: where they failed, their senders do not know; look at them with `pillarbox queue list --state held --why`, then release or remove them"
        );
    }
    Ok(())
}

/// Makes the schema, or takes the steps from an older one, all or nothing.
fn update(connection: &mut Connection, found: i64) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if found == 0 {
        transaction.execute_batch(include_str!("schema.sql"))?;
    } else {
        let steps = [include_str!("from_1.sql"), include_str!("from_2.sql")];
        for (_, step) in (1..).zip(steps).filter(|(from, _)| *from >= found) {
            transaction.execute_batch(step)?;
        }
    }
    transaction.pragma_update(None, "user_version", CURRENT)?;
    transaction.commit()
}
