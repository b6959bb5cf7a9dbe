//! A spool on a bad day: the disk is full, or content does not come.

use async_trait::async_trait;

use super::*;
use crate::spool::{
    Change, Claimed, ContentReader, ContentWriter, Cursor, Detail, Entry, LaneCount, LaneTrouble,
    NewMessage, Overdue, Past,
};

/// Does what the spool within does, but for these.
pub(super) struct Faulty {
    inner: Arc<Sqlite>,
    /// No report finds room.
    pub(super) full: AtomicBool,
    /// No content can be read.
    pub(super) unreadable: AtomicBool,
    /// Notices look so much older, and are due.
    older: Mutex<Duration>,
}

impl Faulty {
    pub(super) fn new(inner: Arc<Sqlite>) -> Self {
        Self {
            inner,
            full: AtomicBool::new(false),
            unreadable: AtomicBool::new(false),
            older: Mutex::default(),
        }
    }

    pub(super) fn age(&self, by: Duration) {
        *self.older.lock().unwrap() = by;
    }
}

#[async_trait]
impl Spool for Faulty {
    async fn owed(&self, limit: usize, now: SystemTime) -> Result<Vec<Owed>, SpoolError> {
        let older = *self.older.lock().unwrap();
        let mut owed = self.inner.owed(limit, now + older).await?;
        for notice in owed.iter_mut().flat_map(|owed| &mut owed.notices) {
            notice.attempt.at -= older;
        }
        Ok(owed)
    }

    async fn reported(
        &self,
        id: &str,
        notices: &[(u32, NoticeKind)],
        report: Option<NewMessage>,
    ) -> Result<(), SpoolError> {
        if self.full.load(Ordering::Relaxed) {
            return Err(SpoolError::Full {
                doing: "take a report over".into(),
                source: Arc::new(std::io::Error::from(std::io::ErrorKind::StorageFull)),
            });
        }
        self.inner.reported(id, notices, report).await
    }

    async fn read_content(&self, id: &str) -> Result<ContentReader, SpoolError> {
        if self.unreadable.load(Ordering::Relaxed) {
            return Err(SpoolError::Unavailable {
                doing: "read the content".into(),
                source: Arc::new(std::io::Error::other("a disk error")),
            });
        }
        self.inner.read_content(id).await
    }

    fn content(&self, id: &str) -> ContentWriter {
        self.inner.content(id)
    }

    fn room(&self, octets: u64) -> Result<(), SpoolError> {
        self.inner.room(octets)
    }

    async fn append(&self, message: NewMessage) -> Result<(), SpoolError> {
        self.inner.append(message).await
    }

    async fn claim(
        &self,
        wanted: &Wanted,
        lease: Duration,
        now: SystemTime,
    ) -> Result<Vec<Claimed>, SpoolError> {
        self.inner.claim(wanted, lease, now).await
    }

    async fn overdue(&self, limit: usize, now: SystemTime) -> Result<Vec<Overdue>, SpoolError> {
        self.inner.overdue(limit, now).await
    }

    async fn settle(&self, id: &str, settlements: Vec<Settlement>) -> Result<(), SpoolError> {
        self.inner.settle(id, settlements).await
    }

    async fn expedite(&self, lane: &str) -> Result<u64, SpoolError> {
        self.inner.expedite(lane).await
    }

    async fn lanes(&self) -> Result<Vec<LaneCount>, SpoolError> {
        self.inner.lanes().await
    }

    async fn queues(&self, lane: &str) -> Result<bool, SpoolError> {
        self.inner.queues(lane).await
    }

    async fn trouble(&self, lane: &str, trouble: Option<LaneTrouble>) -> Result<(), SpoolError> {
        self.inner.trouble(lane, trouble).await
    }

    async fn put_off(&self, id: &str, until: SystemTime) -> Result<(), SpoolError> {
        self.inner.put_off(id, until).await
    }

    async fn history(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<Past>, SpoolError> {
        self.inner.history(filter, after, limit).await
    }

    async fn forget(&self, before: SystemTime, limit: usize) -> Result<u64, SpoolError> {
        self.inner.forget(before, limit).await
    }

    async fn list(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<Entry>, SpoolError> {
        self.inner.list(filter, after, limit).await
    }

    async fn show(&self, id: &str) -> Result<Detail, SpoolError> {
        self.inner.show(id).await
    }

    async fn change(&self, change: Change, ids: &[String]) -> Result<Vec<String>, SpoolError> {
        self.inner.change(change, ids).await
    }

    async fn quarantine(&self, id: &str, reason: &str) -> Result<(), SpoolError> {
        self.inner.quarantine(id, reason).await
    }
}
