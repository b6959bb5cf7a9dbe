//! Lanes: where messages queue for one and the same place.
//!
//! A lane is a text that the relay chooses: the route's name, and the domain where each has servers
//! of its own. Recipients carry their lane so that those of one place can be claimed without those
//! of another; it is a hint, the route is looked up again at each attempt. What the relay knows of a
//! place that is in trouble lies here too, so that it survives the service and other processes see it.

use std::collections::HashMap;
use std::time::SystemTime;

use serde::Serialize;

use super::attempt::Attempt;

/// How much may be claimed, lane by lane.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Recipients of these lanes, 0 for none.
    pub lanes: HashMap<String, usize>,
    /// Recipients of each other lane.
    pub otherwise: usize,
    /// Recipients in all.
    pub total: usize,
    /// Begin with the lane after this one, so that no lane is always the last.
    pub after: String,
}

impl Wanted {
    /// Recipients of this lane that may be claimed.
    pub(super) fn room(&self, lane: &str) -> usize {
        self.lanes.get(lane).copied().unwrap_or(self.otherwise)
    }
}

/// What is wrong with a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Trouble {
    /// Its server is away; tried again by itself, soon.
    Down,
    /// Something here must be repaired; tried again when told to, and seldom by itself.
    Paused,
}

impl Trouble {
    /// As the database has it.
    pub(super) const fn code(self) -> i64 {
        match self {
            Self::Down => 0,
            Self::Paused => 1,
        }
    }

    /// From the database; damage is what needs a person.
    pub(super) const fn from_code(code: i64) -> Self {
        match code {
            0 => Self::Down,
            _ => Self::Paused,
        }
    }
}

/// A lane in trouble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneTrouble {
    /// Which.
    pub lane: String,
    /// What.
    pub trouble: Trouble,
    /// Since when.
    pub since: SystemTime,
    /// When it is tried again by itself.
    pub next_attempt: SystemTime,
    /// Attempts in a row that ended so.
    pub attempts: u32,
    /// The last of them.
    pub attempt: Attempt,
}

/// A lane with what queues in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneCount {
    /// Which.
    pub lane: String,
    /// Recipients without an attempt so far, and released ones.
    pub waiting: u64,
    /// Recipients with an attempt that runs.
    pub delivering: u64,
    /// Recipients that are tried again later.
    pub deferred: u64,
    /// Recipients that are held.
    pub held: u64,
    /// What is wrong with it, if anything is.
    pub trouble: Option<LaneTrouble>,
}
