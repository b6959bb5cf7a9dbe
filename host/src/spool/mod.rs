//! The spool: where messages are between the 250 that answers the end of their data and their
//! delivery (RFC 5321 sections 4.1.1.4, 4.5.4.1 and 6.1).
//!
//! ```text
//!              append                 claim                     settle: Delivered
//! NewMessage ---------> waiting ----------------> delivering ---------> delivered | failed
//!                          ^                       |   |  ^               Delivered, Failed
//!                          |                       |   |  | claim, when it is due
//!           release        |     settle: Held      |   v  |
//!                held -----+                       |  deferred   settle: Deferred
//!                  ^-------------------------------+
//! ```
//!
//! Each recipient has its own state; a message goes when the last of them is delivered or has failed
//! and no report of it is owed. A claim is a lease: it runs out, and all of them do when a service
//! starts, so a crash repeats attempts and loses none. Retry times are columns, not timers.
//!
//! A recipient queues in a lane, with all others for the same place. What became of it, and what its
//! sender is owed, is written in the transaction that ends it: there is no moment at which a crash
//! loses a report, or makes two.
//!
//! Once the service has said 250 it is responsible: `append` returns only after the disk has it.
//!
//! Files: `message`, `attempt`, `lane`, `entry` and `history` are the values, `content` the octets
//! on their way in and `reader` those on their way out; `sqlite` is the embedded backend, of which
//! `schema` is the form, `room` looks at the disk, `writer` commits, `operation` is what it does,
//! `query` what is read, `row` how rows become values, `recover` what happens at start. Not here:
//! when to try (`relay`), and how (`deliver`, `outbound`).

pub mod attempt;
mod content;
mod entry;
mod error;
pub mod history;
pub mod lane;
mod lock;
mod message;
mod operation;
mod query;
mod reader;
mod recover;
mod room;
mod row;
mod schema;
mod sqlite;
#[cfg(test)]
pub(crate) mod tests;
mod writer;

use std::time::{Duration, SystemTime};

use async_trait::async_trait;

pub use attempt::{Attempt, Notice, NoticeKind, Outcome, Settlement, Stage};
pub use content::{Content, ContentWriter, MOST_INLINE, SoFar};
pub use entry::{Cursor, Detail, Entry, EntryRecipient, EntryReport, Filter, State, timestamp};
pub use error::{Cause, SpoolError};
pub use history::{End, Past};
pub use lane::{LaneCount, LaneTrouble, Trouble, Wanted, is_of};
pub use message::{
    Body, Claimed, ContentFacts, DeliverBy, Envelope, Message, NewMessage, NewRecipient, NewState,
    Notify, Overdue, Owed, Parameters, Recipient, Ret,
};
pub use reader::{ContentReader, ContentStream};
pub use sqlite::{Access, Sqlite};

/// A durable store of messages. What a method changed is on the disk when it returns.
#[async_trait]
pub trait Spool: Send + Sync {
    /// Begins the content of a new message. Costs nothing until octets are written.
    fn content(&self, id: &str) -> ContentWriter;

    /// Whether a message of so many octets would find room now: the answer to SIZE (R1870-6.1-a).
    /// Cheap, and no promise.
    ///
    /// # Errors
    /// [`SpoolError::Full`] if not.
    fn room(&self, octets: u64) -> Result<(), SpoolError>;

    /// Takes a message over. If the caller is dropped before the transaction begins, the message is
    /// not taken over, since nobody will be told; after that it is taken over nevertheless.
    ///
    /// # Errors
    /// Then nothing was kept: [`SpoolError::Full`] is 452 4.3.1 to the peer, all else 451 4.3.0.
    async fn append(&self, message: NewMessage) -> Result<(), SpoolError>;

    /// Takes recipients that are due, from each lane the longest due first. They are not due again
    /// before `now + lease`, unless the service is started again. Damaged messages are set aside.
    ///
    /// # Errors
    /// Only if the spool as a whole cannot be used.
    async fn claim(
        &self,
        wanted: &Wanted,
        lease: Duration,
        now: SystemTime,
    ) -> Result<Vec<Claimed>, SpoolError>;

    /// Recipients whose deadline (RFC 2852) has passed, the longest ago first, and that have neither
    /// an attempt that runs nor are held. Given out again until a settlement deals with it.
    ///
    /// # Errors
    /// Only if the spool as a whole cannot be used.
    async fn overdue(&self, limit: usize, now: SystemTime) -> Result<Vec<Overdue>, SpoolError>;

    /// Records what came of an attempt, for all of these recipients at once. Of a recipient that was
    /// removed meanwhile, or is done, nothing is recorded; one that was held meanwhile stays held,
    /// with the reply and without notices, unless it was delivered; one that was released meanwhile
    /// stays due. `Delivered` and `Failed` go into the history.
    ///
    /// # Errors
    /// Then the leases run on, and the recipients will be tried again.
    async fn settle(&self, id: &str, settlements: Vec<Settlement>) -> Result<(), SpoolError>;

    /// Makes deferred recipients of this lane due now. Returns how many.
    ///
    /// # Errors
    /// Only if the spool as a whole cannot be used.
    async fn expedite(&self, lane: &str) -> Result<u64, SpoolError>;

    /// All lanes that have a recipient that is not done, or trouble.
    ///
    /// # Errors
    /// Only if the spool as a whole cannot be used.
    async fn lanes(&self) -> Result<Vec<LaneCount>, SpoolError>;

    /// Whether a recipient that is waiting or deferred queues in this lane. Cheap.
    ///
    /// # Errors
    /// Only if the spool as a whole cannot be used.
    async fn queues(&self, lane: &str) -> Result<bool, SpoolError>;

    /// Records trouble of a lane; `None`: it has none any more.
    ///
    /// # Errors
    /// Only if the spool as a whole cannot be used.
    async fn trouble(&self, lane: &str, trouble: Option<LaneTrouble>) -> Result<(), SpoolError>;

    /// Messages whose senders are owed reports, the oldest first; not those of which a recipient has
    /// an attempt that runs, unless a notice is older than a minute.
    ///
    /// # Errors
    /// Only if the spool as a whole cannot be used.
    async fn owed(&self, limit: usize, now: SystemTime) -> Result<Vec<Owed>, SpoolError>;

    /// Takes over the report that pays these notices, and forgets them, in one; without a report
    /// only the latter. A message goes with its last notice if all its recipients are done. If none
    /// of the notices is owed any more (the message was removed), no report is taken over.
    ///
    /// # Errors
    /// As [`append`](Self::append); then the notices are owed still.
    async fn reported(
        &self,
        id: &str,
        notices: &[(u32, NoticeKind)],
        report: Option<NewMessage>,
    ) -> Result<(), SpoolError>;

    /// Leaves the notices of this message alone until then, or until [`Change::Retry`].
    ///
    /// # Errors
    /// Only if the spool as a whole cannot be used.
    async fn put_off(&self, id: &str, until: SystemTime) -> Result<(), SpoolError>;

    /// What became of recipients that are done, the latest first, from the one after `after`.
    /// Of the filter, `state` and `route` do not count.
    ///
    /// # Errors
    /// Only if the spool as a whole cannot be used.
    async fn history(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<Past>, SpoolError>;

    /// Forgets history before then, at most `limit` recipients of it. Returns how many.
    ///
    /// # Errors
    /// Only if the spool as a whole cannot be used.
    async fn forget(&self, before: SystemTime, limit: usize) -> Result<u64, SpoolError>;

    /// Opens the content of a message.
    ///
    /// # Errors
    /// [`SpoolError::NotFound`], or [`SpoolError::Corrupt`] if it is known already to be damaged.
    async fn read_content(&self, id: &str) -> Result<ContentReader, SpoolError>;

    /// Up to `limit` messages in order of arrival, from the one after `after` (the cursor of the
    /// last entry of the page before). Fewer than `limit`: there are no more.
    ///
    /// # Errors
    /// Only if the spool as a whole cannot be used.
    async fn list(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<Entry>, SpoolError>;

    /// All that is known of one message, its content aside.
    ///
    /// # Errors
    /// [`SpoolError::NotFound`].
    async fn show(&self, id: &str) -> Result<Detail, SpoolError>;

    /// Carries out a verb of the queue on these messages, all at once. Returns those that are not
    /// in the spool; the others were changed.
    ///
    /// # Errors
    /// Then none was changed.
    async fn change(&self, change: Change, ids: &[String]) -> Result<Vec<String>, SpoolError>;

    /// Sets a damaged message aside: all its recipients are held, with the reason as their reply.
    /// Logged, once.
    ///
    /// # Errors
    /// Only if the spool as a whole cannot be used.
    async fn quarantine(&self, id: &str, reason: &str) -> Result<(), SpoolError>;

    /// [`Change::Hold`].
    ///
    /// # Errors
    /// As [`change`](Self::change).
    async fn hold(&self, ids: &[String]) -> Result<Vec<String>, SpoolError> {
        self.change(Change::Hold, ids).await
    }

    /// [`Change::Release`].
    ///
    /// # Errors
    /// As [`change`](Self::change).
    async fn release(&self, ids: &[String]) -> Result<Vec<String>, SpoolError> {
        self.change(Change::Release, ids).await
    }

    /// [`Change::Remove`].
    ///
    /// # Errors
    /// As [`change`](Self::change).
    async fn remove(&self, ids: &[String]) -> Result<Vec<String>, SpoolError> {
        self.change(Change::Remove, ids).await
    }

    /// [`Change::Retry`].
    ///
    /// # Errors
    /// As [`change`](Self::change).
    async fn retry(&self, ids: &[String]) -> Result<Vec<String>, SpoolError> {
        self.change(Change::Retry, ids).await
    }
}

/// A verb of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nobody tries to deliver it until it is released. An attempt that runs is not stopped, and
    /// reports that are owed already are made.
    Hold,
    /// What is held is due now, or when its sender wants it released; what waits for that only is due
    /// now.
    Release,
    /// It goes, without a report to anybody. An attempt that runs is not stopped.
    Remove,
    /// What is waiting or deferred is due now, save what its sender wants held, and so are reports
    /// that were put off.
    Retry,
}

impl Change {
    /// The word of the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Remove => "remove",
            Self::Retry => "retry",
        }
    }
}
