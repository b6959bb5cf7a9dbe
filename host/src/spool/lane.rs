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
    /// Recipients of all lanes of a route together, by its name; the first that fits counts. Without
    /// this a route with a thousand lanes would leave nothing for the others.
    pub routes: Vec<(String, usize)>,
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

    /// Which of `routes` a lane is of, and its room.
    pub(super) fn route(&self, lane: &str) -> Option<(usize, usize)> {
        self.routes
            .iter()
            .enumerate()
            .find(|(_, (name, _))| is_of(lane, name))
            .map(|(index, (_, room))| (index, *room))
    }
}

/// Whether a lane is one of the route of this name.
pub fn is_of(lane: &str, route: &str) -> bool {
    lane.strip_prefix(route)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
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
    /// As the database has it, with whether it is ours to repair.
    pub(super) const fn code(self, ours: bool) -> i64 {
        match (self, ours) {
            (Self::Down, false) => 0,
            (Self::Paused, _) => 1,
            (Self::Down, true) => 2,
        }
    }

    /// From the database; damage is what needs a person.
    pub(super) const fn from_code(code: i64) -> (Self, bool) {
        match code {
            0 => (Self::Down, false),
            2 => (Self::Down, true),
            _ => (Self::Paused, true),
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
    /// Whether it is ours to repair, as all is that pauses: then nothing that waits is given up.
    pub ours: bool,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_trouble_is_the_same_after_the_database() {
        use Trouble::{Down, Paused};
        for kind in [(Down, false), (Down, true), (Paused, true)] {
            assert_eq!(Trouble::from_code(kind.0.code(kind.1)), kind);
        }
        assert_eq!(Trouble::from_code(7), (Paused, true));
    }

    #[test]
    fn a_lane_is_of_the_first_route_whose_name_it_has() {
        let wanted = Wanted {
            routes: vec![("mx".into(), 3), ("mx example.org".into(), 5)],
            ..Wanted::default()
        };
        assert_eq!(wanted.route("mx"), Some((0, 3)));
        assert_eq!(wanted.route("mx example.org"), Some((0, 3)));
        assert_eq!(wanted.route("mxs"), None);
        assert_eq!(wanted.route(""), None);
    }
}
