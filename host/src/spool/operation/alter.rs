//! The verbs of the queue.

use std::path::PathBuf;

use rusqlite::{Connection, ToSql, params};

use super::super::Change;
use super::super::content::Folder;
use super::super::writer::Operation;
use super::{Done, discard, locate, past, remove};

/// Carries out a verb of the queue.
pub(in super::super) struct Alter {
    pub(in super::super) change: Change,
    pub(in super::super) ids: Vec<String>,
    pub(in super::super) now: i64,
    pub(in super::super) folder: Folder,
}

/// What a verb of the queue met.
#[derive(Default)]
pub(in super::super) struct Altered {
    pub(in super::super) missing: Vec<String>,
    files: Vec<PathBuf>,
}

impl Operation for Alter {
    type Answer = Altered;

    fn doing(&self) -> String {
        format!("{} messages", self.change.name())
    }

    fn run(&mut self, connection: &Connection) -> Done<Altered> {
        let mut altered = Altered::default();
        for id in &self.ids {
            let Some(located) = locate(connection, id)? else {
                altered.missing.push(id.clone());
                continue;
            };
            let now = params![located.serial, self.now];
            let change = |statement: &str, values: &[&dyn ToSql]| {
                connection.prepare_cached(statement)?.execute(values)
            };
            match self.change {
                Change::Hold => {
                    change(
                        "UPDATE recipient SET state = 3, due = NULL, owner = NULL
                         WHERE message = ?1 AND state IN (0, 1, 2)",
                        params![located.serial],
                    )?;
                }
                Change::Release => {
                    // What waits for nothing but the time that its sender gave.
                    change(
                        "UPDATE recipient SET due = ?2, hold_until = NULL
                         WHERE message = ?1 AND state = 0 AND hold_until > ?2",
                        now,
                    )?;
                    // What was held here, and was to be held by its sender's wish, is that still.
                    change(
                        "UPDATE recipient SET state = 0, due = max(?2, coalesce(hold_until, ?2))
                         WHERE message = ?1 AND state = 3",
                        now,
                    )?;
                }
                // One that is running is not begun a second time.
                Change::Retry => {
                    change(
                        "UPDATE recipient SET due = ?2
                         WHERE message = ?1 AND state IN (0, 2)
                           AND (hold_until IS NULL OR hold_until <= ?2)",
                        now,
                    )?;
                    change(
                        "UPDATE notice SET due = ?2
                         WHERE message = ?1 AND (due IS NULL OR due > ?2)",
                        now,
                    )?;
                }
                Change::Remove => {
                    past::removed(connection, located.serial, self.now)?;
                    let file = remove(connection, id, &located, &self.folder)?;
                    altered.files.extend(file);
                }
            }
        }
        Ok(Ok(altered))
    }

    fn committed(&mut self, altered: &Altered) {
        altered.files.iter().for_each(discard);
    }
}
