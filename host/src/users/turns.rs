//! Lines of waiting tasks, one for each key: so many have their turn at a time, the others wait in
//! the order in which they came.
//!
//! A line exists only as long as somebody is in it, so memory is bounded by the number of tasks.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

#[derive(Debug)]
struct Line {
    turns: Arc<Semaphore>,
    /// Who has a turn or waits for one.
    members: usize,
}

type Lines<K> = Arc<Mutex<HashMap<K, Line>>>;

/// The lines.
#[derive(Debug)]
pub(super) struct Turns<K: Clone + Eq + Hash> {
    at_a_time: usize,
    most: usize,
    lines: Lines<K>,
}

/// A turn; it ends when this is dropped, on whatever thread.
#[derive(Debug)]
pub(super) struct Turn<K: Clone + Eq + Hash> {
    _permit: OwnedSemaphorePermit,
    _member: Member<K>,
}

impl<K: Clone + Eq + Hash> Turns<K> {
    /// In each line `at_a_time` (at least one) have their turn, and there are at most `most` in it,
    /// those included.
    pub(super) fn new(at_a_time: usize, most: usize) -> Self {
        Self {
            at_a_time: at_a_time.max(1),
            most,
            lines: Lines::default(),
        }
    }

    /// Waits for a turn; `None` at once if the line is too long. Who gives up leaves the line.
    pub(super) async fn take(&self, key: K) -> Option<Turn<K>> {
        let (turns, member) = self.join(key)?;
        // The semaphore is never closed.
        let permit = turns.acquire_owned().await.ok()?;
        Some(Turn {
            _permit: permit,
            _member: member,
        })
    }

    fn join(&self, key: K) -> Option<(Arc<Semaphore>, Member<K>)> {
        let mut lines = locked(&self.lines);
        let line = lines.entry(key.clone()).or_insert_with(|| Line {
            turns: Arc::new(Semaphore::new(self.at_a_time)),
            members: 0,
        });
        // A new line has room: `most` is not asked of it, so no empty line stays behind.
        if line.members > 0 && line.members >= self.most {
            return None;
        }
        line.members += 1;
        let member = Member {
            lines: Arc::clone(&self.lines),
            key,
        };
        Some((Arc::clone(&line.turns), member))
    }
}

fn locked<K>(lines: &Lines<K>) -> MutexGuard<'_, HashMap<K, Line>> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Being in a line.
#[derive(Debug)]
struct Member<K: Clone + Eq + Hash> {
    lines: Lines<K>,
    key: K,
}

impl<K: Clone + Eq + Hash> Drop for Member<K> {
    fn drop(&mut self) {
        let mut lines = locked(&self.lines);
        if let Some(line) = lines.get_mut(&self.key) {
            line.members -= 1;
            if line.members == 0 {
                lines.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    const SOON: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn each_line_has_its_own_turns_and_length() {
        let turns = Turns::new(2, 3);
        let first = turns.take("a").await;
        let second = turns.take("a").await;
        assert!(first.is_some() && second.is_some());
        assert!(turns.take("b").await.is_some(), "another line");
        assert!(timeout(SOON, turns.take("a")).await.is_err(), "must wait");
        let (waiting, fourth) = tokio::join!(timeout(SOON, turns.take("a")), turns.take("a"));
        assert!(waiting.is_err() && fourth.is_none(), "too long a line");
        drop(first);
        assert!(turns.take("a").await.is_some());
    }

    #[tokio::test]
    async fn a_line_that_nobody_is_in_is_forgotten() {
        let turns = Turns::new(1, 8);
        let turn = turns.take(1).await;
        assert!(timeout(SOON, turns.take(1)).await.is_err());
        assert_eq!(locked(&turns.lines).len(), 1);
        drop(turn);
        assert!(locked(&turns.lines).is_empty());
    }
}
