//! Reports that are owed: paid, or put off.

use std::path::PathBuf;

use rusqlite::{Connection, params};

use super::super::attempt::NoticeKind;
use super::super::content::Folder;
use super::super::writer::Operation;
use super::{Arrival, Done, discard, locate, remove_if_done};

/// Takes over a report and forgets the notices that it pays.
pub(in super::super) struct Reported {
    pub(in super::super) id: String,
    pub(in super::super) notices: Vec<(u32, NoticeKind)>,
    pub(in super::super) report: Option<Arrival>,
    pub(in super::super) folder: Folder,
}

/// What came of it.
#[derive(Default)]
pub(in super::super) struct Paid {
    /// The report was taken over.
    kept: bool,
    /// The content file of the message, if that is gone.
    file: Option<PathBuf>,
}

impl Operation for Reported {
    type Answer = Paid;

    fn doing(&self) -> String {
        match &self.report {
            Some(report) => report.doing(),
            None => format!("forget the reports that are owed for message {}", self.id),
        }
    }

    fn octets(&self) -> usize {
        self.report.as_ref().map_or(0, Arrival::octets)
    }

    fn run(&mut self, connection: &Connection) -> Done<Paid> {
        let mut paid = Paid::default();
        // What was removed meanwhile goes without a report.
        let Some(located) = locate(connection, &self.id)? else {
            return Ok(Ok(paid));
        };
        let mut forgotten = 0;
        for (ordinal, kind) in &self.notices {
            forgotten += connection
                .prepare_cached(
                    "DELETE FROM notice WHERE message = ?1 AND ordinal = ?2 AND kind = ?3",
                )?
                .execute(params![located.serial, ordinal, kind.code()])?;
        }
        // Nor is one made a second time.
        if forgotten > 0
            && let Some(report) = &self.report
        {
            if let Err(error) = report.insert(connection)? {
                return Ok(Err(error));
            }
            paid.kept = true;
        }
        paid.file = remove_if_done(connection, &self.id, &located, &self.folder)?;
        Ok(Ok(paid))
    }

    fn committed(&mut self, paid: &Paid) {
        if paid.kept
            && let Some(report) = &mut self.report
        {
            report.keep();
        }
        paid.file.iter().for_each(discard);
    }
}

/// Leaves the notices of a message alone for a while.
pub(in super::super) struct PutOff {
    pub(in super::super) id: String,
    pub(in super::super) until: i64,
}

impl Operation for PutOff {
    type Answer = ();

    fn doing(&self) -> String {
        format!("put off the reports that are owed for message {}", self.id)
    }

    fn run(&mut self, connection: &Connection) -> Done<()> {
        connection
            .prepare_cached(
                "UPDATE notice SET due = ?2
                 WHERE message = (SELECT serial FROM message WHERE id = ?1)",
            )?
            .execute(params![self.id, self.until])
            .map(|_| Ok(()))
    }
}

/// Leaves the notices of a damaged message alone until somebody asks for them.
pub(in super::super) struct Shelve {
    pub(in super::super) serial: i64,
    pub(in super::super) id: String,
    pub(in super::super) reason: String,
}

impl Operation for Shelve {
    /// Whether there were any.
    type Answer = bool;

    fn doing(&self) -> String {
        format!("put off the reports that are owed for message {}", self.id)
    }

    fn run(&mut self, connection: &Connection) -> Done<bool> {
        connection
            .prepare_cached("UPDATE notice SET due = NULL WHERE message = ?1 AND due IS NOT NULL")?
            .execute([self.serial])
            .map(|changed| Ok(changed > 0))
    }

    fn committed(&mut self, changed: &bool) {
        if *changed {
            tracing::error!(
                id = %self.id,
                reason = %self.reason,
                "a damaged message owes a report that cannot be made"
            );
        }
    }
}
