//! What can go wrong with the spool, told so that the caller can choose a reply.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What lies below a [`SpoolError`]. Shared, because one failed transaction answers many waiters.
pub type Cause = Arc<dyn Error + Send + Sync>;

/// Why the spool could not do what was asked.
///
/// To a peer, [`Full`](Self::Full) is 452 4.3.1 and everything else 451 4.3.0.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SpoolError {
    /// No space on the disk, or a quota is used up. Nothing was kept of what was asked.
    #[error("no room in the spool to {doing}")]
    Full {
        /// What was being done.
        doing: String,
        /// The system's or SQLite's words.
        #[source]
        source: Cause,
    },
    /// The spool cannot be read or written now; trying again may help.
    #[error("cannot {doing}")]
    Unavailable {
        /// What was being done.
        doing: String,
        /// The system's or SQLite's words.
        #[source]
        source: Cause,
    },
    /// What is stored is not what was stored: the message needs a person.
    #[error("message {id} is damaged: {reason}")]
    Corrupt {
        /// Identifier of the message, or the number of its row where that cannot be read.
        id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such message, perhaps no longer.
    #[error("there is no message {id} in the spool")]
    NotFound {
        /// Identifier that was asked for.
        id: String,
    },
    /// A message of this identifier is in the spool; the new one was not kept.
    #[error("message {id} is in the spool already")]
    Duplicate {
        /// Identifier of both.
        id: String,
    },
    /// The identifier cannot name a file: letters, digits and hyphens, 1 to 128 of them.
    #[error("{id:?} cannot identify a message")]
    Identifier {
        /// Identifier as it came.
        id: String,
    },
    /// Another service has this spool.
    #[error("the spool is used by another service: {holder} holds the lock {path}")]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// `process 123`, or `a process` where its number is not known.
        holder: String,
    },
    /// A newer Pillarbox wrote the database.
    #[error(
        "{path} has schema {found}, this version knows {known} and older: use a newer pillarbox"
    )]
    Newer {
        /// The database file.
        path: PathBuf,
        /// Its schema's version.
        found: i64,
        /// The newest that this build can use.
        known: i64,
    },
    /// An older Pillarbox wrote the database, and only the service brings it up to date.
    #[error(
        "{path} has schema {found}, this version needs {known}: start the service of this version once, \
         which brings it up to date"
    )]
    Older {
        /// The database file.
        path: PathBuf,
        /// Its schema's version.
        found: i64,
        /// The one that this build needs.
        known: i64,
    },
    /// A tool was pointed at a state folder in which no service has run yet.
    #[error("there is no spool at {path} yet")]
    Absent {
        /// The database file that is not there.
        path: PathBuf,
    },
}

impl SpoolError {
    /// An error of the file system.
    pub(crate) fn io(doing: impl Into<String>, source: io::Error) -> Self {
        let doing = doing.into();
        if matches!(
            source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        ) {
            return Self::Full {
                doing,
                source: Arc::new(source),
            };
        }
        Self::Unavailable {
            doing,
            source: Arc::new(source),
        }
    }

    /// An error of the file system about one path.
    pub(crate) fn path(doing: &str, path: &Path, source: io::Error) -> Self {
        Self::io(format!("{doing} {}", path.display()), source)
    }

    /// An error of SQLite.
    pub(crate) fn sqlite(doing: impl Into<String>, source: rusqlite::Error) -> Self {
        let doing = doing.into();
        if source.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull) {
            return Self::Full {
                doing,
                source: Arc::new(source),
            };
        }
        Self::Unavailable {
            doing,
            source: Arc::new(source),
        }
    }

    /// A damaged message.
    pub(crate) fn corrupt(id: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Corrupt {
            id: id.into(),
            reason: reason.into(),
        }
    }

    /// A thread of ours is gone.
    pub(crate) fn gone(doing: &str) -> Self {
        Self::Unavailable {
            doing: doing.to_owned(),
            source: Arc::new(io::Error::other("the thread that does it has ended")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    #[test]
    fn a_full_disk_and_a_used_up_quota_are_full() {
        for errno in [28, 122] {
            // ENOSPC, EDQUOT
            let error = SpoolError::io("write", io::Error::from_raw_os_error(errno));
            assert!(matches!(error, SpoolError::Full { .. }), "{error:?}");
            assert!(error.source().is_some());
        }
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), None);
        let error = SpoolError::sqlite("append message a-1", error);
        assert!(matches!(error, SpoolError::Full { .. }));
        assert_eq!(
            error.to_string(),
            "no room in the spool to append message a-1"
        );
    }

    #[test]
    fn other_failures_are_not_full() {
        let error = SpoolError::io("write", io::Error::from_raw_os_error(5));
        assert!(matches!(error, SpoolError::Unavailable { .. }));
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_BUSY), None);
        assert!(matches!(
            SpoolError::sqlite("claim", error),
            SpoolError::Unavailable { .. }
        ));
    }
}
