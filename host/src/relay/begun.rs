//! Recipients that this process has in hand.
//!
//! A lease runs out by itself, and then the recipient is claimed again; but an attempt that goes on
//! must not be begun a second time, nor one that was good and could not be recorded.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Shared;
use super::job::Job;
use crate::spool::{Claimed, Settlement};

/// Settlements without a record at which no more attempts are begun.
const MOST_UNRECORDED: usize = 1000;

/// Whether a message was removed while an attempt with it runs.
pub(super) type Removed = Arc<AtomicBool>;

/// All that is in hand.
#[derive(Default)]
pub(super) struct Begun {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// By the message's identifier.
    messages: HashMap<String, InHand>,
    /// Recipients in all.
    count: usize,
    /// Recipients by the name of their route.
    routes: HashMap<String, usize>,
    /// What was claimed once more while it was in hand, and is not in hand any more.
    missed: Vec<Claimed>,
    /// What the spool could not be told.
    unrecorded: Vec<(String, Vec<Settlement>)>,
}

/// A message with recipients in hand, by their ordinals.
#[derive(Default)]
struct InHand {
    removed: Removed,
    recipients: HashMap<u32, Recipient>,
}

#[derive(Default)]
struct Recipient {
    route: Option<String>,
    /// The lease that was taken while the attempt before had not ended.
    again: Option<Claimed>,
}

impl Inner {
    fn leave_route(&mut self, route: Option<String>) {
        if let Some(route) = route
            && let Some(count) = self.routes.get_mut(&route)
        {
            *count -= 1;
            if *count == 0 {
                self.routes.remove(&route);
            }
        }
    }
}

impl Begun {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes it in hand; `false`: it is already. Then its new lease is remembered, since nobody else
    /// will use it: see [`take_missed`](Self::take_missed).
    pub(super) fn begin(&self, claimed: &Claimed) -> bool {
        let mut inner = self.lock();
        let message = inner
            .messages
            .entry(claimed.message.id.clone())
            .or_default();
        if let Some(known) = message.recipients.get_mut(&claimed.ordinal) {
            known.again = Some(claimed.clone());
            return false;
        }
        let recipient = Recipient::default();
        message.recipients.insert(claimed.ordinal, recipient);
        inner.count += 1;
        true
    }

    /// Takes one in hand that has no lease; `false`: it is in hand already.
    pub(super) fn begin_idle(&self, claimed: &Claimed) -> bool {
        let mut inner = self.lock();
        let message = inner
            .messages
            .entry(claimed.message.id.clone())
            .or_default();
        if message.recipients.contains_key(&claimed.ordinal) {
            return false;
        }
        message
            .recipients
            .insert(claimed.ordinal, Recipient::default());
        inner.count += 1;
        true
    }

    /// These in hand go this way.
    pub(super) fn place(&self, job: &Job) {
        let mut inner = self.lock();
        let name = &job.route.name;
        for claimed in &job.recipients {
            let known = inner
                .messages
                .get_mut(&job.message.id)
                .and_then(|message| message.recipients.get_mut(&claimed.ordinal));
            let Some(known) = known else { continue };
            let before = known.route.replace(name.clone());
            inner.leave_route(before);
            *inner.routes.entry(name.clone()).or_default() += 1;
        }
    }

    /// The mark of a message.
    pub(super) fn removed(&self, id: &str) -> Removed {
        self.lock()
            .messages
            .get(id)
            .map(|message| Arc::clone(&message.removed))
            .unwrap_or_default()
    }

    /// Nothing more is to do with these.
    pub(super) fn end(&self, id: &str, ordinals: impl IntoIterator<Item = u32>) {
        let mut inner = self.lock();
        let Some(message) = inner.messages.get_mut(id) else {
            return;
        };
        let gone: Vec<Recipient> = ordinals
            .into_iter()
            .filter_map(|ordinal| message.recipients.remove(&ordinal))
            .collect();
        if message.recipients.is_empty() {
            inner.messages.remove(id);
        }
        inner.count -= gone.len();
        for recipient in gone {
            inner.leave_route(recipient.route);
            inner.missed.extend(recipient.again);
        }
    }

    /// Leases that were taken while the attempt before had not ended, which it has now. If that was
    /// settled before they were taken, nobody works on these recipients.
    pub(super) fn take_missed(&self) -> Vec<Claimed> {
        std::mem::take(&mut self.lock().missed)
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
        self.lock().messages.keys().cloned().collect()
    }

    /// A message was removed: attempts with it stop where they can.
    pub(super) fn mark_removed(&self, id: &str) {
        if let Some(message) = self.lock().messages.get(id) {
            message.removed.store(true, Ordering::Relaxed);
        }
    }

    /// Number of recipients in hand.
    pub(super) fn count(&self) -> usize {
        self.lock().count
    }

    /// Number of recipients in hand that go by the route of this name.
    pub(super) fn of_route(&self, name: &str) -> usize {
        self.lock().routes.get(name).copied().unwrap_or(0)
    }
}

/// Recipients of one message whose task may die of a bug: then they are in hand no longer, and are
/// tried again when their leases run out.
pub(super) struct Guard<'a> {
    shared: &'a Shared,
    id: &'a str,
    recipients: &'a [Claimed],
}

impl<'a> Guard<'a> {
    /// Guards these until it is dropped.
    pub(super) fn new(shared: &'a Shared, recipients: &'a [Claimed]) -> Self {
        let id = recipients.first().map_or("", |one| &one.message.id);
        Self {
            shared,
            id,
            recipients,
        }
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let ordinals = self.recipients.iter().map(|one| one.ordinal);
            self.shared.begun.end(self.id, ordinals);
        }
    }
}
