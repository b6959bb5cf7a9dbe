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
use rusqlite::Connection;
use tokio::task::spawn_blocking;

use super::attempt::{NoticeKind, Settlement};
use super::content::{ContentWriter, Folder, create_folder, sync_folder};
use super::entry::{Cursor, Detail, Entry, Filter};
use super::error::SpoolError;
use super::history::Past;
use super::lane::{LaneCount, LaneTrouble, Wanted};
use super::lock::Lock;
use super::message::{Claimed, NewMessage, Overdue, Owed};
use super::operation::{
    Alter, Append, Arrival, Claim, Expedite, Forget, PutOff, Quarantine, Reported, SetTrouble,
    Settle, Shelve,
};
use super::query::{self, Readers};
use super::reader::ContentReader;
use super::recover::recover;
use super::room::Room;
use super::schema::connect;
use super::writer::{Operation, Writer};
use super::{Change, Spool};

/// Most rows that one transaction of a change to many changes: some milliseconds.
const BATCH: usize = 1000;

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
    /// spool; for a tool [`SpoolError::Older`] where only an older version's service has run, and
    /// [`SpoolError::Absent`] where none has.
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
            recover(&connection, &folder, now())?;
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

    /// Does something to many rows in transactions that others need not wait long for. Returns how
    /// many it was, at most `limit`.
    async fn in_batches<O: Operation<Answer = usize>>(
        &self,
        limit: usize,
        operation: impl Fn(usize) -> O,
    ) -> Result<u64, SpoolError> {
        let mut done = 0;
        while done < limit {
            let most = BATCH.min(limit - done);
            let some = self.writer.run(operation(most)).await?;
            done += some;
            if some < most {
                break;
            }
        }
        Ok(done as u64)
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
        let arrival = Arrival::new(message, self.room.clone())?;
        self.writer.run(Append(arrival)).await
    }

    async fn claim(
        &self,
        wanted: &Wanted,
        lease: Duration,
        now: SystemTime,
    ) -> Result<Vec<Claimed>, SpoolError> {
        let now = milliseconds(now);
        let lease = i64::try_from(lease.as_millis()).unwrap_or(i64::MAX);
        let claim = Claim {
            wanted: wanted.clone(),
            now,
            until: now.saturating_add(lease),
            owner: self.owner,
        };
        self.writer.run(claim).await.map(|found| found.claimed)
    }

    async fn overdue(&self, limit: usize, now: SystemTime) -> Result<Vec<Overdue>, SpoolError> {
        let now = milliseconds(now);
        let found = self
            .read("look for what is overdue", move |connection| {
                query::overdue(connection, limit, now)
            })
            .await?;
        for (id, reason) in found.damaged {
            self.quarantine(&id, &reason).await?;
        }
        Ok(found.overdue)
    }

    async fn settle(&self, id: &str, settlements: Vec<Settlement>) -> Result<(), SpoolError> {
        let settle = Settle::new(id, settlements, now(), self.folder.clone())?;
        self.writer.run(settle).await.map(|_| ())
    }

    async fn expedite(&self, lane: &str) -> Result<u64, SpoolError> {
        let now = now();
        self.in_batches(usize::MAX, |limit| Expedite {
            lane: lane.to_owned(),
            now,
            limit,
        })
        .await
    }

    async fn lanes(&self) -> Result<Vec<LaneCount>, SpoolError> {
        self.read("count what queues", |connection| {
            query::lanes(connection, now())
        })
        .await
    }

    async fn queues(&self, lane: &str) -> Result<bool, SpoolError> {
        let lane = lane.to_owned();
        self.read("look into a lane", move |connection| {
            query::queues(connection, &lane, now())
        })
        .await
    }

    async fn trouble(&self, lane: &str, trouble: Option<LaneTrouble>) -> Result<(), SpoolError> {
        self.writer.run(SetTrouble::new(lane, trouble)?).await
    }

    async fn owed(&self, limit: usize, now: SystemTime) -> Result<Vec<Owed>, SpoolError> {
        let now = milliseconds(now);
        let found = self
            .read("look for reports that are owed", move |connection| {
                query::owed(connection, limit, now)
            })
            .await?;
        for damaged in found.damaged {
            let shelve = Shelve {
                serial: damaged.serial,
                id: damaged.id,
                reason: damaged.reason,
            };
            self.writer.run(shelve).await?;
        }
        Ok(found.owed)
    }

    async fn reported(
        &self,
        id: &str,
        notices: &[(u32, NoticeKind)],
        report: Option<NewMessage>,
    ) -> Result<(), SpoolError> {
        let arrival = |report| Arrival::new(report, self.room.clone());
        let reported = Reported {
            id: id.to_owned(),
            notices: notices.to_vec(),
            report: report.map(arrival).transpose()?,
            folder: self.folder.clone(),
        };
        self.writer.run(reported).await.map(|_| ())
    }

    async fn put_off(&self, id: &str, until: SystemTime) -> Result<(), SpoolError> {
        let put_off = PutOff {
            id: id.to_owned(),
            until: milliseconds(until),
        };
        self.writer.run(put_off).await
    }

    async fn history(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<Past>, SpoolError> {
        let filter = filter.clone();
        self.read("read the history", move |connection| {
            query::past(connection, &filter, after, limit)
        })
        .await
    }

    async fn forget(&self, before: SystemTime, limit: usize) -> Result<u64, SpoolError> {
        let before = milliseconds(before);
        self.in_batches(limit, |limit| Forget { before, limit })
            .await
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
            now: now(),
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

/// This moment, as the database has times.
fn now() -> i64 {
    milliseconds(SystemTime::now())
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
