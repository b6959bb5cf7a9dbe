//! What an operator wants to be tried now.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// Lanes that are down or paused and are to be tried now. Many wishes may become one.
#[derive(Debug, Default)]
pub struct Resume {
    wanted: Mutex<Lanes>,
    asked: Notify,
}

/// Which of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lanes {
    /// These.
    These(BTreeSet<String>),
    /// All.
    All,
}

impl Default for Lanes {
    fn default() -> Self {
        Self::These(BTreeSet::new())
    }
}

impl Lanes {
    /// Whether this one is among them.
    pub fn contains(&self, lane: &str) -> bool {
        match self {
            Self::These(lanes) => lanes.contains(lane),
            Self::All => true,
        }
    }
}

impl Resume {
    /// All are to be tried.
    pub fn all(&self) {
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner) = Lanes::All;
        self.asked.notify_one();
    }

    /// This one is to be tried.
    pub fn lane(&self, lane: &str) {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Lanes::These(lanes) = &mut *wanted {
            lanes.insert(lane.to_owned());
        }
        drop(wanted);
        self.asked.notify_one();
    }

    /// Ready once somebody asked.
    pub(super) async fn asked(&self) {
        self.asked.notified().await;
    }

    /// What was asked for since the last time.
    pub(super) fn take(&self) -> Lanes {
        std::mem::take(&mut *self.wanted.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn wishes_add_up_until_they_are_taken() {
        let resume = Resume::default();
        resume.lane("a");
        resume.lane("b c");
        resume.asked().await;
        let lanes = resume.take();
        assert!(lanes.contains("a") && lanes.contains("b c") && !lanes.contains("b"));
        resume.all();
        resume.lane("a");
        assert_eq!(resume.take(), Lanes::All);
        assert_eq!(resume.take(), Lanes::default());
    }
}
