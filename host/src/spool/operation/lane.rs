//! Lanes in trouble, and what happens when that is over.

use rusqlite::{Connection, params};

use super::super::error::SpoolError;
use super::super::lane::LaneTrouble;
use super::super::sqlite::milliseconds;
use super::super::writer::Operation;
use super::{Done, json};

/// Makes some deferred recipients of a lane due.
pub(in super::super) struct Expedite {
    pub(in super::super) lane: String,
    pub(in super::super) now: i64,
    pub(in super::super) limit: usize,
}

impl Operation for Expedite {
    /// How many.
    type Answer = usize;

    fn doing(&self) -> String {
        format!("make recipients of lane {:?} due", self.lane)
    }

    fn run(&mut self, connection: &Connection) -> Done<usize> {
        connection
            .prepare_cached(
                "UPDATE recipient SET due = ?2 WHERE (message, ordinal) IN
                   (SELECT message, ordinal FROM recipient INDEXED BY recipient_due
                    WHERE lane = ?1 AND due > ?2 AND state = 2 ORDER BY due LIMIT ?3)",
            )?
            .execute(params![
                self.lane,
                self.now,
                i64::try_from(self.limit).unwrap_or(i64::MAX)
            ])
            .map(Ok)
    }
}

/// Records what is wrong with a lane, or that nothing is.
pub(in super::super) struct SetTrouble {
    lane: String,
    trouble: Option<(LaneTrouble, String)>,
}

impl SetTrouble {
    /// Prepares what the writer's thread need not do.
    pub(in super::super) fn new(
        lane: &str,
        trouble: Option<LaneTrouble>,
    ) -> Result<Self, SpoolError> {
        let trouble = match trouble {
            Some(trouble) => {
                let attempt = json(&trouble.attempt, "an attempt")?;
                Some((trouble, attempt))
            }
            None => None,
        };
        Ok(Self {
            lane: lane.to_owned(),
            trouble,
        })
    }
}

impl Operation for SetTrouble {
    type Answer = ();

    fn doing(&self) -> String {
        format!("record the trouble of lane {:?}", self.lane)
    }

    fn run(&mut self, connection: &Connection) -> Done<()> {
        let done = match &self.trouble {
            None => connection
                .prepare_cached("DELETE FROM trouble WHERE lane = ?1")?
                .execute([&self.lane]),
            Some((trouble, attempt)) => connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO trouble (lane, kind, since, due, attempts, attempt)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![
                    self.lane,
                    trouble.trouble.code(trouble.ours),
                    milliseconds(trouble.since),
                    milliseconds(trouble.next_attempt),
                    trouble.attempts,
                    attempt,
                ]),
        };
        done.map(|_| Ok(()))
    }
}
