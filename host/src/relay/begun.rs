//! Recipients that this process has in hand.
//!
//! A lease runs out by itself, and then the recipient is claimed again; but an attempt that goes on
//! must not be begun a second time, nor one that was good and could not be recorded.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::spool::{Claimed, Settlement};

/// Settlements without a record at which no more attempts are begun.
const MOST_UNRECORDED: usize = 1000;

/// A recipient: its message's identifier and its ordinal.
type Key = (String, u32);

/// Whether a message was removed while an attempt with it runs.
pub(super) type Removed = Arc<AtomicBool>;

/// All that is in hand.
#[derive(Default)]
pub(super) struct Begun {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    recipients: HashMap<Key, Removed>,
    /// What the spool could not be told.
    unrecorded: Vec<(String, Vec<Settlement>)>,
}

impl Begun {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes it in hand; `false`: it is already.
    pub(super) fn begin(&self, claimed: &Claimed) -> bool {
        let mut inner = self.lock();
        let key = (claimed.message.id.clone(), claimed.ordinal);
        if inner.recipients.contains_key(&key) {
            return false;
        }
        // Recipients of one message share the mark.
        let mark = inner
            .recipients
            .iter()
            .find(|((id, _), _)| *id == key.0)
            .map(|(_, removed)| Arc::clone(removed))
            .unwrap_or_default();
        inner.recipients.insert(key, mark);
        true
    }

    /// The mark of a message.
    pub(super) fn removed(&self, id: &str, ordinal: u32) -> Removed {
        self.lock()
            .recipients
            .get(&(id.to_owned(), ordinal))
            .cloned()
            .unwrap_or_default()
    }

    /// Nothing more is to do with these.
    pub(super) fn end(&self, id: &str, ordinals: impl IntoIterator<Item = u32>) {
        let mut inner = self.lock();
        for ordinal in ordinals {
            inner.recipients.remove(&(id.to_owned(), ordinal));
        }
    }

    /// The spool could not be told: they stay in hand until it can.
    pub(super) fn keep(&self, id: &str, settlements: Vec<Settlement>) {
        self.lock().unrecorded.push((id.to_owned(), settlements));
    }

    /// What the spool could not be told, to try again.
    pub(super) fn take_unrecorded(&self) -> Vec<(String, Vec<Settlement>)> {
        std::mem::take(&mut self.lock().unrecorded)
    }

    /// Whether there is something to try again.
    pub(super) fn has_unrecorded(&self) -> bool {
        !self.lock().unrecorded.is_empty()
    }

    /// Whether so much is unrecorded that nothing more should begin.
    pub(super) fn is_stuck(&self) -> bool {
        self.lock().unrecorded.len() >= MOST_UNRECORDED
    }

    /// Identifiers of the messages in hand.
    pub(super) fn messages(&self) -> Vec<String> {
        let inner = self.lock();
        let mut ids: Vec<String> = inner.recipients.keys().map(|(id, _)| id.clone()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// A message was removed: attempts with it stop where they can.
    pub(super) fn mark_removed(&self, id: &str) {
        for (_, removed) in self
            .lock()
            .recipients
            .iter()
            .filter(|((own, _), _)| own == id)
        {
            removed.store(true, Ordering::Relaxed);
        }
    }

    /// Number of recipients in hand.
    pub(super) fn count(&self) -> usize {
        self.lock().recipients.len()
    }
}
