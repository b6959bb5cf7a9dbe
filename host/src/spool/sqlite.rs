//! The embedded spool: SQLite, with a write-ahead log that is synced at each commit.
//!
//! ```text
//! state-dir/spool/            0700
//!   lock                      held by the service
//!   spool.sqlite (-wal -shm)  0600; a message's content up to 256 KiB lies in its row
//!   content/00 … ff/<id>      0600; larger content
//! ```
//!
//! The service and tools use it at the same time: SQLite's locks order what they write. Only the
//! service holds `lock`, delivers, and puts the spool in order when it starts.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use rusqlite::{Connection, OpenFlags};
use tokio::task::spawn_blocking;

use super::attempt::{NoticeKind, Settlement};
use super::content::{ContentReader, ContentWriter, Folder, create_folder, sync_folder};
use super::entry::{Cursor, Detail, Entry, Filter};
use super::error::SpoolError;
use super::history::Past;
use super::lane::{LaneCount, LaneTrouble, Wanted};
use super::lock::Lock;
use super::message::{Claimed, NewMessage, Owed, check_id};
use super::operation::{Alter, Append, Claim, Quarantine, Settle};
use super::query::{self, Readers};
use super::recover::recover;
use super::room::Room;
use super::writer::Writer;
use super::{Change, Spool};

/// Version of `schema.sql`, in the database's `user_version`.
const SCHEMA: i64 = 1;
/// How long to wait for another process's transaction; they are short.
const BUSY: Duration = Duration::from_secs(10);
/// Pages in the write-ahead log at which it is copied into the database: a checkpoint syncs twice,
/// so a larger one costs less a message (measured), and 16 MiB are read quickly after a crash.
const CHECKPOINT: i64 = 4000;

/// Who opens the spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The service: takes the lock, makes what is missing, recovers.
    Service,
    /// A command beside it, or without it: reads, and carries out the queue's verbs.
    Tool,
}

/// The spool in a state folder.
#[derive(Debug)]
pub struct Sqlite {
    folder: Folder,
    room: Room,
    readers: Arc<Readers>,
    owner: i64,
    // Dropped in this order: the lock goes when the last transaction is done.
    writer: Writer,
    _lock: Option<Lock>,
}

impl Sqlite {
    /// Opens the spool below the state folder. Blocks: at worst for a look at every content file.
    ///
    /// # Errors
    /// [`SpoolError::Locked`] for a second service, [`SpoolError::Newer`] for a newer version's
    /// spool, [`SpoolError::Absent`] for a tool where no service has run yet.
    pub fn open(state_dir: &Path, access: Access) -> Result<Self, SpoolError> {
        let path = state_dir.join("spool");
        let folder = Folder::new(&path);
        let database = path.join("spool.sqlite");
        let lock = match access {
            Access::Tool => None,
            Access::Service => {
                DirBuilder::new()
                    .recursive(true)
                    .mode(0o700)
                    .create(state_dir)
                    .map_err(|error| SpoolError::path("make the folder", state_dir, error))?;
                create_folder(&path)?;
                let lock = Lock::take(&path.join("lock"))?;
                folder.create()?;
                create_file(&database)?;
                Some(lock)
            }
        };
        if !database.exists() {
            return Err(SpoolError::Absent { path: database });
        }
        let connection = connect(&database, access)?;
        if access == Access::Service {
            sync_folder(&path)?;
            sync_folder(state_dir)?;
            recover(&connection, &folder, milliseconds(SystemTime::now()))?;
        }
        Ok(Self {
            room: Room::new(&path),
            folder,
            readers: Arc::new(Readers::new(database)),
            owner: rand::random(),
            writer: Writer::start(connection)?,
            _lock: lock,
        })
    }

    async fn read<T: Send + 'static>(
        &self,
        doing: &'static str,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, SpoolError> {
        let readers = Arc::clone(&self.readers);
        spawn_blocking(move || readers.with(doing, read))
            .await
            .map_err(|_| SpoolError::gone(doing))?
    }
}

#[async_trait]
impl Spool for Sqlite {
    fn content(&self, id: &str) -> ContentWriter {
        ContentWriter::new(id, self.folder.clone(), self.room.clone())
    }

    fn room(&self, octets: u64) -> Result<(), SpoolError> {
        self.room.check("take a message", octets)
    }

    async fn append(&self, message: NewMessage) -> Result<(), SpoolError> {
        check_id(&message.id)?;
        if message.content.id != message.id || message.recipients.is_empty() {
            // The caller's bug; nobody was told anything, so nothing is lost.
            return Err(SpoolError::Identifier { id: message.id });
        }
        self.room(0)?;
        self.writer
            .run(Append::new(message, self.room.clone())?)
            .await
    }

    async fn claim(
        &self,
        wanted: &Wanted,
        lease: Duration,
        now: SystemTime,
    ) -> Result<Vec<Claimed>, SpoolError> {
        unimplemented!()
    }

    async fn settle(&self, id: &str, settlements: Vec<Settlement>) -> Result<(), SpoolError> {
        unimplemented!()
    }

    async fn expedite(&self, lane: &str) -> Result<u64, SpoolError> {
        unimplemented!()
    }

    async fn lanes(&self) -> Result<Vec<LaneCount>, SpoolError> {
        unimplemented!()
    }

    async fn queues(&self, lane: &str) -> Result<bool, SpoolError> {
        unimplemented!()
    }

    async fn trouble(&self, lane: &str, trouble: Option<LaneTrouble>) -> Result<(), SpoolError> {
        unimplemented!()
    }

    async fn owed(&self, limit: usize, now: SystemTime) -> Result<Vec<Owed>, SpoolError> {
        unimplemented!()
    }

    async fn reported(
        &self,
        id: &str,
        notices: &[(u32, NoticeKind)],
        report: Option<NewMessage>,
    ) -> Result<(), SpoolError> {
        unimplemented!()
    }

    async fn put_off(&self, id: &str, until: SystemTime) -> Result<(), SpoolError> {
        unimplemented!()
    }

    async fn history(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<Past>, SpoolError> {
        unimplemented!()
    }

    async fn forget(&self, before: SystemTime, limit: usize) -> Result<u64, SpoolError> {
        unimplemented!()
    }

    async fn read_content(&self, id: &str) -> Result<ContentReader, SpoolError> {
        let (readers, folder, id) = (
            Arc::clone(&self.readers),
            self.folder.clone(),
            id.to_owned(),
        );
        spawn_blocking(move || query::content(&readers, &folder, &id))
            .await
            .map_err(|_| SpoolError::gone("read the content"))?
    }

    async fn list(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<Entry>, SpoolError> {
        let (filter, after) = (filter.clone(), after.unwrap_or_default());
        self.read("list the spool", move |connection| {
            query::list(connection, &filter, after, limit)
        })
        .await
    }

    async fn show(&self, id: &str) -> Result<Detail, SpoolError> {
        let wanted = id.to_owned();
        self.read("show a message", move |connection| {
            query::show(connection, &wanted)
        })
        .await?
        .ok_or_else(|| SpoolError::NotFound { id: id.to_owned() })
    }

    async fn change(&self, change: Change, ids: &[String]) -> Result<Vec<String>, SpoolError> {
        let alter = Alter {
            change,
            ids: ids.to_vec(),
            now: milliseconds(SystemTime::now()),
            folder: self.folder.clone(),
        };
        self.writer.run(alter).await.map(|altered| altered.missing)
    }

    async fn quarantine(&self, id: &str, reason: &str) -> Result<(), SpoolError> {
        let quarantine = Quarantine {
            id: id.to_owned(),
            reason: reason.to_owned(),
        };
        self.writer.run(quarantine).await.map(|_| ())
    }
}

/// Opens one connection, with the schema as this version needs it.
pub(super) fn connect(path: &Path, access: Access) -> Result<Connection, SpoolError> {
    let failed = |error| SpoolError::sqlite(format!("open {}", path.display()), error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(32);
    let found: i64 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(failed)?;
    if found > SCHEMA {
        return Err(SpoolError::Newer {
            path: path.to_owned(),
            found,
            known: SCHEMA,
        });
    }
    if found == 0 && access == Access::Tool {
        return Err(SpoolError::Absent {
            path: path.to_owned(),
        });
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
    if found == 0 {
        connection
            .execute_batch(&format!(
                "BEGIN IMMEDIATE; {} PRAGMA user_version = {SCHEMA}; COMMIT;",
                include_str!("schema.sql")
            ))
            .map_err(failed)?;
    }
    Ok(connection)
}

/// Makes an empty file that only its owner can read; SQLite gives its log the same mode.
fn create_file(path: &Path) -> Result<(), SpoolError> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map(|_| ())
        .map_err(|error| SpoolError::path("make", path, error))
}

/// As the database has times.
pub(super) fn milliseconds(time: SystemTime) -> i64 {
    let of = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => of(since),
        Err(before) => -of(before.duration()),
    }
}

/// From the database. What is before 1970 comes only from damage, and is 1970.
pub(super) fn time(milliseconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0))
}

#[cfg(test)]
impl Sqlite {
    /// Lets SQLite fail as on a full disk once the database has this many pages.
    pub(super) async fn limit_pages(&self, pages: i64) {
        struct Limit(i64);
        impl super::writer::Operation for Limit {
            type Answer = ();
            fn doing(&self) -> String {
                "limit the pages".to_owned()
            }
            fn run(&mut self, connection: &Connection) -> rusqlite::Result<Result<(), SpoolError>> {
                connection.pragma_update_and_check(None, "max_page_count", self.0, |_| Ok(()))?;
                Ok(Ok(()))
            }
        }
        self.writer.run(Limit(pages)).await.unwrap();
    }

    /// Acts as if the disk had this much less space.
    pub(super) fn reserve(&mut self, octets: u64) {
        self.room.reserve = octets;
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.room.path()
    }
}
