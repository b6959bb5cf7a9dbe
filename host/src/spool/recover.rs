//! What a service does with the spool of the one before it, whether that ended or was killed.
//!
//! The lock is held, so no lease is anybody's and no content file is being written: every lease is
//! due again, a content file without a row belongs to a message that nobody was told is accepted,
//! and a row without its content file is damage.
//!
//! A full disk is no reason not to start, since deliveries make it emptier. Files without a row go
//! first, which may be room enough; if not, leases run out by themselves, and damage is found when the
//! content is read.

use std::collections::HashSet;
use std::fs::read_dir;

use rusqlite::{Connection, params};

use super::content::Folder;
use super::error::SpoolError;
use super::operation::{report, set_aside};
use super::query::MISSING;

/// Puts the spool in order, as far as there is room for it.
pub(super) fn recover(
    connection: &Connection,
    folder: &Folder,
    now: i64,
) -> Result<(), SpoolError> {
    let failed = |error| SpoolError::sqlite("put the spool in order", error);
    let named = named(connection).map_err(failed)?;
    let orphans = remove_orphans(folder, &named)?;
    let leases = match end_leases(connection, folder, &named, now).map_err(failed) {
        Err(error @ SpoolError::Full { .. }) => {
            let lease = "interrupted attempts begin again when their leases run out";
            tracing::error!(%error, "there is no room to put the spool in order; {lease}");
            0
        }
        other => other?,
    };
    if leases > 0 || orphans > 0 {
        tracing::info!(
            leases,
            orphans,
            "the last service did not end by itself: attempts begin again, unfinished content was removed"
        );
    }
    Ok(())
}

/// Ends all leases and sets damaged messages aside, in one transaction. Returns how many leases.
fn end_leases(
    connection: &Connection,
    folder: &Folder,
    named: &[Named],
    now: i64,
) -> rusqlite::Result<usize> {
    let transaction = connection.unchecked_transaction()?;
    // 0 waiting, 1 delivering, 2 deferred: an attempt that was cut short was none. Leases are
    // few, and looked for in an index.
    let leases = transaction.execute(
        "UPDATE recipient
         SET owner = NULL, due = ?1,
             state = CASE WHEN attempts > 1 OR attempt IS NOT NULL THEN 2 ELSE 0 END
         WHERE (message, ordinal) IN
           (SELECT message, ordinal FROM recipient INDEXED BY recipient_due
            WHERE due IS NOT NULL AND state = 1)",
        params![now],
    )?;
    let mut damaged = Vec::new();
    for (serial, id, size) in named {
        if let Some(reason) = damage(folder, id, *size)
            && set_aside(&transaction, *serial, reason)?
        {
            damaged.push((id, reason));
        }
    }
    transaction.commit()?;
    for (id, reason) in damaged {
        report(id, reason);
    }
    Ok(leases)
}

type Named = (i64, String, i64);

/// Messages with a content file.
fn named(connection: &Connection) -> rusqlite::Result<Vec<Named>> {
    connection
        .prepare("SELECT serial, id, size FROM message WHERE content IS NULL")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect()
}

fn damage(folder: &Folder, id: &str, size: i64) -> Option<&'static str> {
    let length = folder
        .file(id)
        .ok()
        .and_then(|file| std::fs::metadata(file).ok());
    match length {
        None => Some(MISSING),
        Some(found) if i64::try_from(found.len()) != Ok(size) => {
            Some("its content file has not the length that was stored")
        }
        Some(_) => None,
    }
}

fn remove_orphans(folder: &Folder, named: &[Named]) -> Result<usize, SpoolError> {
    let named: HashSet<&str> = named.iter().map(|(_, id, _)| id.as_str()).collect();
    let failed = |path: &std::path::Path| {
        let path = path.to_owned();
        move |error| SpoolError::path("look through", &path, error)
    };
    let mut removed = 0;
    for inner in read_dir(folder.path()).map_err(failed(folder.path()))? {
        let inner = inner.map_err(failed(folder.path()))?.path();
        for file in read_dir(&inner).map_err(failed(&inner))? {
            let file = file.map_err(failed(&inner))?;
            if file
                .file_name()
                .to_str()
                .is_some_and(|name| named.contains(name))
            {
                continue;
            }
            match std::fs::remove_file(file.path()) {
                Ok(()) => removed += 1,
                Err(error) => {
                    let file = file.path();
                    tracing::warn!(file = %file.display(), %error, "cannot remove a content file without a message");
                }
            }
        }
    }
    Ok(removed)
}
