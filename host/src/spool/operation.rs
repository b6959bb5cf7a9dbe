//! What the writer does to the database: append, claim, settle, and the verbs of the queue.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::Change;
use super::attempt::Outcome;
use super::content::{Folder, Place};
use super::entry::State;
use super::error::SpoolError;
use super::message::{Claimed, Message, NewMessage, NewState};
use super::room::Room;
use super::row;
use super::sqlite::milliseconds;
use super::writer::Operation;

type Done<T> = rusqlite::Result<Result<T, SpoolError>>;

/// Puts a message into the spool.
pub(super) struct Append {
    message: NewMessage,
    envelope: String,
    facts: String,
    room: Room,
}

impl Append {
    /// Prepares what the writer's thread need not do.
    pub(super) fn new(message: NewMessage, room: Room) -> Result<Self, SpoolError> {
        let json =
            |error| SpoolError::io("write an envelope as JSON", std::io::Error::other(error));
        Ok(Self {
            envelope: serde_json::to_string(&message.envelope).map_err(json)?,
            facts: serde_json::to_string(&message.facts).map_err(json)?,
            message,
            room,
        })
    }
}

impl Operation for Append {
    type Answer = ();

    fn doing(&self) -> String {
        format!("append message {}", self.message.id)
    }

    fn octets(&self) -> usize {
        match &self.message.content.place {
            Place::Row(octets) => octets.len(),
            Place::File(_) => 0,
        }
    }

    fn only_if_awaited(&self) -> bool {
        // Who gets no 250 sends the message again (RFC 5321 section 6.1).
        true
    }

    fn run(&mut self, connection: &Connection) -> Done<()> {
        // Many may have found room at the same moment, and one after the other they do not.
        if let Err(full) = self.room.check(&self.doing(), self.octets() as u64) {
            return Ok(Err(full));
        }
        let message = &self.message;
        let received = milliseconds(message.received);
        let content = match &message.content.place {
            Place::Row(octets) => Some(octets.as_slice()),
            Place::File(_) => None,
        };
        let inserted = connection
            .prepare_cached(
                "INSERT INTO message (id, received, reverse_path, identity, peer, message_id, envelope,
                                      facts, size, digest, content)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?
            .execute(params![
                message.id,
                received,
                message.envelope.reverse_path,
                message.identity,
                message.peer.to_string(),
                message.message_id,
                self.envelope,
                self.facts,
                i64::try_from(message.content.size).unwrap_or(i64::MAX),
                message.content.digest.as_slice(),
                content,
            ]);
        if let Err(error) = inserted {
            // The identifier's index is the only constraint that can fail.
            if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) {
                return Ok(Err(SpoolError::Duplicate {
                    id: message.id.clone(),
                }));
            }
            return Err(error);
        }
        let serial = connection.last_insert_rowid();
        let hold = i64::from(message.envelope.parameters.hold_for.unwrap_or(0)) * 1000;
        let mut insert = connection.prepare_cached(
            "INSERT INTO recipient (message, ordinal, mailbox, notify, orcpt_type, orcpt, state, due)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?;
        for (ordinal, new) in (0_i64..).zip(&message.recipients) {
            // RFC 4865 section 3: not before the hold has passed.
            let (state, due) = match new.state {
                NewState::Waiting => (State::Waiting, Some(received.saturating_add(hold))),
                NewState::Held => (State::Held, None),
            };
            let orcpt = new.recipient.orcpt.as_ref();
            insert.execute(params![
                serial,
                ordinal,
                new.recipient.mailbox,
                new.recipient.notify.map(super::Notify::bits),
                orcpt.map(|(kind, _)| kind),
                orcpt.map(|(_, address)| address),
                state.code(),
                due,
            ])?;
        }
        Ok(Ok(()))
    }

    fn committed(&mut self, (): &()) {
        if let Place::File(draft) = &mut self.message.content.place {
            draft.keep();
        }
    }
}

/// Takes recipients that are due, with a lease on each.
pub(super) struct Claim {
    pub(super) limit: usize,
    pub(super) now: i64,
    pub(super) until: i64,
    pub(super) owner: i64,
}

/// What a claim found.
pub(super) struct Found {
    pub(super) claimed: Vec<Claimed>,
    damaged: Vec<(String, String)>,
}

impl Operation for Claim {
    type Answer = Found;

    fn doing(&self) -> String {
        "claim due recipients".to_owned()
    }

    fn run(&mut self, connection: &Connection) -> Done<Found> {
        let mut found = Found {
            claimed: Vec::new(),
            damaged: Vec::new(),
        };
        let mut messages: HashMap<i64, Option<Arc<Message>>> = HashMap::new();
        let mut due = connection.prepare_cached(
            "SELECT message, ordinal, mailbox, notify, orcpt_type, orcpt, attempts FROM recipient
             WHERE due <= ?1 ORDER BY due LIMIT ?2",
        )?;
        let due: Vec<_> = due
            .query_map(
                params![self.now, i64::try_from(self.limit).unwrap_or(i64::MAX)],
                |row| Ok((row.get(0)?, row::due(row))),
            )?
            .collect::<rusqlite::Result<_>>()?;
        let mut lease = connection.prepare_cached(
            "UPDATE recipient SET state = ?1, due = ?2, owner = ?3, attempts = attempts + 1
             WHERE message = ?4 AND ordinal = ?5",
        )?;
        for (serial, due) in due {
            let message = match messages.get(&serial) {
                Some(message) => message.clone(),
                None => {
                    let message = message_of(connection, serial, &mut found.damaged)?;
                    messages.insert(serial, message.clone());
                    message
                }
            };
            let Some(message) = message else { continue };
            match due {
                Ok(due) => {
                    lease.execute(params![
                        State::Delivering.code(),
                        self.until,
                        self.owner,
                        serial,
                        due.ordinal
                    ])?;
                    found.claimed.push(Claimed {
                        message,
                        ordinal: due.ordinal,
                        recipient: due.recipient,
                        attempts: due.attempts.saturating_add(1),
                        lane: String::new(),
                        delay_told: false,
                    });
                }
                Err(reason) => {
                    set_aside(connection, serial, &reason)?;
                    messages.insert(serial, None);
                    found.claimed.retain(|one| one.message.id != message.id);
                    found.damaged.push((message.id.clone(), reason));
                }
            }
        }
        Ok(Ok(found))
    }

    fn committed(&mut self, found: &Found) {
        for (id, reason) in &found.damaged {
            report(id, reason);
        }
    }
}

/// The message of a due recipient, unless it is damaged and was set aside.
fn message_of(
    connection: &Connection,
    serial: i64,
    damaged: &mut Vec<(String, String)>,
) -> rusqlite::Result<Option<Arc<Message>>> {
    let (id, reason) = match row::message(connection, serial)? {
        Ok(message) => return Ok(Some(Arc::new(message))),
        Err(damage) => damage,
    };
    set_aside(connection, serial, &reason)?;
    damaged.push((id, reason));
    Ok(None)
}

/// Records what came of one attempt.
pub(super) struct Settle {
    pub(super) id: String,
    pub(super) ordinal: u32,
    pub(super) outcome: Outcome,
    pub(super) folder: Folder,
}

impl Operation for Settle {
    /// The content file that is of no more use.
    type Answer = Option<PathBuf>;

    fn doing(&self) -> String {
        format!("settle recipient {} of message {}", self.ordinal, self.id)
    }

    fn run(&mut self, connection: &Connection) -> Done<Option<PathBuf>> {
        // A message that was removed meanwhile stays removed.
        let Some((serial, inline)) = locate(connection, &self.id)? else {
            return Ok(Ok(None));
        };
        match &self.outcome {
            Outcome::Delivered => {
                let others: bool = connection
                    .prepare_cached(
                        "SELECT EXISTS (SELECT 1 FROM recipient
                                        WHERE message = ?1 AND ordinal <> ?2 AND state <> 4)",
                    )?
                    .query_row(params![serial, self.ordinal], |row| row.get(0))?;
                if !others {
                    remove(connection, serial)?;
                    return Ok(if inline {
                        Ok(None)
                    } else {
                        self.folder.file(&self.id).map(Some)
                    });
                }
                connection
                    .prepare_cached(
                        "UPDATE recipient SET state = 4, due = NULL, owner = NULL, last_reply = NULL
                         WHERE message = ?1 AND ordinal = ?2",
                    )?
                    .execute(params![serial, self.ordinal])?;
            }
            Outcome::Deferred { next_attempt } => {
                let reply = "";
                // Somebody may have held it meanwhile: then it stays held, with the newer reply.
                connection
                    .prepare_cached(
                        "UPDATE recipient SET last_reply = ?3, owner = NULL,
                                due = CASE state WHEN 1 THEN ?4 ELSE due END,
                                state = CASE state WHEN 1 THEN 2 ELSE state END
                         WHERE message = ?1 AND ordinal = ?2 AND state <> 4",
                    )?
                    .execute(params![
                        serial,
                        self.ordinal,
                        reply,
                        milliseconds(*next_attempt)
                    ])?;
            }
            Outcome::Failed | Outcome::Held => {
                let reply = "";
                connection
                    .prepare_cached(
                        "UPDATE recipient SET state = 3, due = NULL, owner = NULL, last_reply = ?3
                         WHERE message = ?1 AND ordinal = ?2 AND state <> 4",
                    )?
                    .execute(params![serial, self.ordinal, reply])?;
            }
        }
        Ok(Ok(None))
    }

    fn committed(&mut self, file: &Option<PathBuf>) {
        file.iter().for_each(discard);
    }
}

/// Carries out a verb of the queue.
pub(super) struct Alter {
    pub(super) change: Change,
    pub(super) ids: Vec<String>,
    pub(super) now: i64,
    pub(super) folder: Folder,
}

/// What a verb of the queue met.
#[derive(Default)]
pub(super) struct Altered {
    pub(super) missing: Vec<String>,
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
            let Some((serial, inline)) = locate(connection, id)? else {
                altered.missing.push(id.clone());
                continue;
            };
            let statement = match self.change {
                Change::Hold => {
                    "UPDATE recipient SET state = 3, due = ?2, owner = NULL
                     WHERE message = ?1 AND state IN (0, 1, 2)"
                }
                Change::Release => {
                    "UPDATE recipient SET state = 0, due = ?2 WHERE message = ?1 AND state = 3"
                }
                // One that is running is not begun a second time.
                Change::Retry => {
                    "UPDATE recipient SET due = ?2 WHERE message = ?1 AND state IN (0, 2)"
                }
                Change::Remove => {
                    remove(connection, serial)?;
                    if !inline && let Ok(file) = self.folder.file(id) {
                        altered.files.push(file);
                    }
                    continue;
                }
            };
            let due = (self.change != Change::Hold).then_some(self.now);
            connection
                .prepare_cached(statement)?
                .execute(params![serial, due])?;
        }
        Ok(Ok(altered))
    }

    fn committed(&mut self, altered: &Altered) {
        altered.files.iter().for_each(discard);
    }
}

/// Sets a damaged message aside.
pub(super) struct Quarantine {
    pub(super) id: String,
    pub(super) reason: String,
}

impl Operation for Quarantine {
    /// Whether there was something to set aside.
    type Answer = bool;

    fn doing(&self) -> String {
        format!("set aside message {}", self.id)
    }

    fn run(&mut self, connection: &Connection) -> Done<bool> {
        match locate(connection, &self.id)? {
            Some((serial, _)) => set_aside(connection, serial, &self.reason).map(Ok),
            None => Ok(Ok(false)),
        }
    }

    fn committed(&mut self, changed: &bool) {
        if *changed {
            report(&self.id, &self.reason);
        }
    }
}

/// Holds all recipients of a message that are not delivered, with the reason as their reply.
/// Whether that was not so before.
pub(super) fn set_aside(
    connection: &Connection,
    serial: i64,
    reason: &str,
) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "UPDATE recipient SET state = 3, due = NULL, owner = NULL, last_reply = ?2
             WHERE message = ?1 AND state <> 4 AND (state <> 3 OR last_reply IS NOT ?2)",
        )?
        .execute(params![serial, reason])
        .map(|changed| changed > 0)
}

/// Tells the operator of damage.
pub(super) fn report(id: &str, reason: &str) {
    tracing::error!(%id, %reason, "a damaged message was set aside: its recipients are held");
}

/// Number of the message's row, and whether its content is in it.
fn locate(connection: &Connection, id: &str) -> rusqlite::Result<Option<(i64, bool)>> {
    connection
        .prepare_cached("SELECT serial, content IS NOT NULL FROM message WHERE id = ?1")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

fn remove(connection: &Connection, serial: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM recipient WHERE message = ?1")?
        .execute([serial])?;
    connection
        .prepare_cached("DELETE FROM message WHERE serial = ?1")?
        .execute([serial])?;
    Ok(())
}

/// Removes a content file whose row is gone. What fails here is done at the next start.
fn discard(file: &PathBuf) {
    if let Err(error) = std::fs::remove_file(file)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(file = %file.display(), %error, "cannot remove a content file");
    }
}
