//! A spool with the troubles of a bad day: outcomes that cannot be recorded, content that does not
//! come.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::*;
use crate::spool::{
    Change, ContentReader, ContentWriter, Cursor, Detail, LaneCount, LaneTrouble, NewMessage,
    NoticeKind, Overdue, Owed, Past, SpoolError,
};

/// Does what the spool within does, but for these.
pub(super) struct Faulty {
    pub(super) inner: Arc<Sqlite>,
    /// No outcome is recorded.
    pub(super) unsettled: AtomicBool,
    /// Who records an outcome dies of it.
    pub(super) deadly: AtomicBool,
    /// Who has recorded an outcome hears of it once there is leave for it; `None`: at once.
    pub(super) slow: Option<Semaphore>,
    /// How often the lanes cannot be read.
    pub(super) unreadable: AtomicUsize,
    /// Who reads the lanes waits for ever.
    pub(super) endless: AtomicBool,
    /// How often somebody tried.
    pub(super) settles: AtomicUsize,
    /// How often content was asked for.
    pub(super) reads: AtomicUsize,
    /// Content of messages whose identifier begins so does not come.
    pub(super) hanging: Option<&'static str>,
    /// Now it comes.
    pub(super) back: Notify,
}

impl Faulty {
    pub(super) fn new(inner: Arc<Sqlite>) -> Self {
        Self {
            inner,
            unsettled: AtomicBool::new(false),
            deadly: AtomicBool::new(false),
            slow: None,
            unreadable: AtomicUsize::new(0),
            endless: AtomicBool::new(false),
            settles: AtomicUsize::new(0),
            reads: AtomicUsize::new(0),
            hanging: None,
            back: Notify::new(),
        }
    }
}

#[async_trait]
impl Spool for Faulty {
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
        self.settles.fetch_add(1, Ordering::SeqCst);
        assert!(!self.deadly.load(Ordering::SeqCst), "as a bug would");
        if self.unsettled.load(Ordering::SeqCst) {
            return Err(SpoolError::gone("settle"));
        }
        let settled = self.inner.settle(id, settlements).await;
        if let Some(leave) = &self.slow {
            leave.acquire().await.unwrap().forget();
        }
        settled
    }

    async fn expedite(&self, lane: &str) -> Result<u64, SpoolError> {
        self.inner.expedite(lane).await
    }

    async fn lanes(&self) -> Result<Vec<LaneCount>, SpoolError> {
        if self.endless.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let less = |left: usize| left.checked_sub(1);
        let (set, fetch) = (Ordering::SeqCst, Ordering::SeqCst);
        if self.unreadable.fetch_update(set, fetch, less).is_ok() {
            return Err(SpoolError::gone("lanes"));
        }
        self.inner.lanes().await
    }

    async fn queues(&self, lane: &str) -> Result<bool, SpoolError> {
        self.inner.queues(lane).await
    }

    async fn trouble(&self, lane: &str, trouble: Option<LaneTrouble>) -> Result<(), SpoolError> {
        self.inner.trouble(lane, trouble).await
    }

    async fn owed(&self, limit: usize, now: SystemTime) -> Result<Vec<Owed>, SpoolError> {
        self.inner.owed(limit, now).await
    }

    async fn reported(
        &self,
        id: &str,
        notices: &[(u32, NoticeKind)],
        report: Option<NewMessage>,
    ) -> Result<(), SpoolError> {
        self.inner.reported(id, notices, report).await
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

    async fn read_content(&self, id: &str) -> Result<ContentReader, SpoolError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        if self.hanging.is_some_and(|prefix| id.starts_with(prefix)) {
            self.back.notified().await;
        }
        self.inner.read_content(id).await
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
