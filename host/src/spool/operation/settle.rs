//! Records what came of attempts.

use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension, params};

use super::super::attempt::{NoticeKind, Outcome, Settlement};
use super::super::content::Folder;
use super::super::entry::State;
use super::super::error::SpoolError;
use super::super::history::End;
use super::super::sqlite::milliseconds;
use super::super::writer::Operation;
use super::past::ended;
use super::{Done, Located, discard, json, locate, remove_if_done};

/// Records what came of attempts for recipients of one message.
pub(in super::super) struct Settle {
    id: String,
    settlements: Vec<Prepared>,
    now: i64,
    folder: Folder,
}

/// A settlement with its columns.
struct Prepared {
    settlement: Settlement,
    attempt: String,
    last_reply: String,
}

/// A recipient as it is before.
struct Before {
    state: Option<State>,
    due: Option<i64>,
    attempts: i64,
}

impl Settle {
    /// Prepares what the writer's thread need not do.
    pub(in super::super) fn new(
        id: &str,
        settlements: Vec<Settlement>,
        now: i64,
        folder: Folder,
    ) -> Result<Self, SpoolError> {
        let prepare = |settlement: Settlement| {
            Ok(Prepared {
                attempt: json(&settlement.attempt, "an attempt")?,
                last_reply: settlement.attempt.last_reply(),
                settlement,
            })
        };
        Ok(Self {
            id: id.to_owned(),
            settlements: settlements
                .into_iter()
                .map(prepare)
                .collect::<Result<_, SpoolError>>()?,
            now,
            folder,
        })
    }

    fn settle(
        &self,
        connection: &Connection,
        located: &Located,
        prepared: &Prepared,
    ) -> rusqlite::Result<()> {
        let settlement = &prepared.settlement;
        let place = (located.serial, settlement.ordinal);
        let Some(before) = before(connection, place)? else {
            return Ok(());
        };
        if settlement.outcome == Outcome::Unchanged {
            return self.only_tell(connection, place, before.state, prepared);
        }
        let (state, due) = match (before.state, settlement.outcome) {
            // Done is done, whatever an attempt says that took longer.
            (Some(State::Delivered | State::Failed), _) => return Ok(()),
            (_, Outcome::Delivered) => (State::Delivered, None),
            // Somebody held it meanwhile: so it stays, with the newer reply.
            (Some(State::Held), _) => (State::Held, None),
            (_, Outcome::Failed) => (State::Failed, None),
            (_, Outcome::Held) => (State::Held, None),
            // Somebody released it meanwhile: so it stays due.
            (Some(state @ (State::Waiting | State::Deferred)), _) => (state, before.due),
            (_, Outcome::Deferred { next_attempt }) => {
                (State::Deferred, Some(milliseconds(next_attempt)))
            }
            // Dealt with above.
            (_, Outcome::Unchanged) => return Ok(()),
        };
        // The claim counted it.
        let uncounted = i64::from(!settlement.counted);
        let attempts = before.attempts.saturating_sub(uncounted).max(0);
        // Who holds it decides when the sender hears of it.
        let notices = match before.state {
            Some(State::Held) if state == State::Held => &[],
            _ => settlement.notices.as_slice(),
        };
        connection
            .prepare_cached(
                "UPDATE recipient
                 SET state = ?3, due = ?4, owner = NULL, attempts = ?5, last_reply = ?6, lane = ?7,
                     attempt = ?8, delay_told = max(delay_told, ?9),
                     deadline = iif(?10, NULL, deadline)
                 WHERE message = ?1 AND ordinal = ?2",
            )?
            .execute(params![
                place.0,
                place.1,
                state.code(),
                due,
                attempts,
                prepared.last_reply,
                settlement.lane,
                prepared.attempt,
                notices.contains(&NoticeKind::Delayed),
                // Held meanwhile: what is due at the deadline is dealt with after the release.
                (settlement.overdue && state != State::Held)
                    || matches!(state, State::Delivered | State::Failed),
            ])?;
        self.owe(connection, place, notices, prepared)?;
        match state {
            State::Delivered => ended(connection, place, End::Delivered, self.now),
            State::Failed => ended(connection, place, End::Failed, self.now),
            _ => Ok(()),
        }
    }

    /// Nothing happened to the recipient, and its sender is to know that.
    fn only_tell(
        &self,
        connection: &Connection,
        place: (i64, u32),
        state: Option<State>,
        prepared: &Prepared,
    ) -> rusqlite::Result<()> {
        if !matches!(state, Some(State::Waiting | State::Deferred)) {
            return Ok(());
        }
        let notices = prepared.settlement.notices.as_slice();
        connection
            .prepare_cached(
                "UPDATE recipient
                 SET delay_told = max(delay_told, ?3), deadline = iif(?4, NULL, deadline)
                 WHERE message = ?1 AND ordinal = ?2",
            )?
            .execute(params![
                place.0,
                place.1,
                notices.contains(&NoticeKind::Delayed),
                prepared.settlement.overdue,
            ])?;
        self.owe(connection, place, notices, prepared)
    }

    /// Writes which reports are owed.
    fn owe(
        &self,
        connection: &Connection,
        place: (i64, u32),
        notices: &[NoticeKind],
        prepared: &Prepared,
    ) -> rusqlite::Result<()> {
        for kind in notices {
            connection
                .prepare_cached(
                    "INSERT INTO notice (message, ordinal, kind, since, due, attempt)
                     VALUES (?1, ?2, ?3, ?4, ?4, ?5) ON CONFLICT DO NOTHING",
                )?
                .execute(params![
                    place.0,
                    place.1,
                    kind.code(),
                    self.now,
                    prepared.attempt
                ])?;
        }
        Ok(())
    }
}

impl Operation for Settle {
    /// The content file that is of no more use.
    type Answer = Option<PathBuf>;

    fn doing(&self) -> String {
        format!("settle recipients of message {}", self.id)
    }

    fn run(&mut self, connection: &Connection) -> Done<Option<PathBuf>> {
        // A message that was removed meanwhile stays removed.
        let Some(located) = locate(connection, &self.id)? else {
            return Ok(Ok(None));
        };
        for prepared in &self.settlements {
            self.settle(connection, &located, prepared)?;
        }
        remove_if_done(connection, &self.id, &located, &self.folder).map(Ok)
    }

    fn committed(&mut self, file: &Option<PathBuf>) {
        file.iter().for_each(discard);
    }
}

fn before(connection: &Connection, place: (i64, u32)) -> rusqlite::Result<Option<Before>> {
    connection
        .prepare_cached(
            "SELECT state, due, attempts FROM recipient WHERE message = ?1 AND ordinal = ?2",
        )?
        .query_row(params![place.0, place.1], |row| {
            Ok(Before {
                state: State::from_code(row.get(0)?),
                due: row.get(1)?,
                attempts: row.get(2)?,
            })
        })
        .optional()
}
