//! Takes messages over.

use rusqlite::{Connection, ErrorCode, params};

use super::super::attempt::{Attempt, NoticeKind, Stage};
use super::super::content::Place;
use super::super::entry::State;
use super::super::error::SpoolError;
use super::super::message::{NewMessage, NewState, Notify, check_id};
use super::super::room::Room;
use super::super::sqlite::milliseconds;
use super::super::writer::Operation;
use super::{Done, json};

/// A message on its way into the database: a peer's, or a report of ours.
pub(in super::super) struct Arrival {
    message: NewMessage,
    envelope: String,
    facts: String,
    room: Room,
}

impl Arrival {
    /// Checks it, and prepares what the writer's thread need not do.
    pub(in super::super) fn new(message: NewMessage, room: Room) -> Result<Self, SpoolError> {
        check_id(&message.id)?;
        if message.content.id != message.id || message.recipients.is_empty() {
            // The caller's bug; nobody was told anything, so nothing is lost.
            return Err(SpoolError::Identifier { id: message.id });
        }
        room.check("take a message", 0)?;
        Ok(Self {
            envelope: json(&message.envelope, "an envelope")?,
            facts: json(&message.facts, "the facts of a message")?,
            message,
            room,
        })
    }

    /// For errors.
    pub(super) fn doing(&self) -> String {
        format!("append message {}", self.message.id)
    }

    /// Octets that go into the row.
    pub(super) fn octets(&self) -> usize {
        match &self.message.content.place {
            Place::Row(octets) => octets.len(),
            Place::File(_) => 0,
        }
    }

    /// Writes its rows.
    pub(super) fn insert(&self, connection: &Connection) -> Done<()> {
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
            if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) {
                return Ok(Err(SpoolError::Duplicate {
                    id: message.id.clone(),
                }));
            }
            return Err(error);
        }
        let serial = connection.last_insert_rowid();
        let parameters = &message.envelope.parameters;
        // RFC 4865 section 4 (R4865-4): counted from the acceptance.
        let hold = parameters.hold_for.map(|seconds| i64::from(seconds) * 1000);
        let hold_until = hold.map(|hold| received.saturating_add(hold));
        // RFC 2852 section 4: what comes with no time left was told of by whoever let it pass.
        let deadline = parameters.deliver_by.and_then(|by| {
            (by.seconds > 0).then(|| received.saturating_add(by.seconds.saturating_mul(1000)))
        });
        let priority = parameters.priority.unwrap_or(0);
        let mut insert = connection.prepare_cached(
            "INSERT INTO recipient (message, ordinal, mailbox, notify, orcpt_type, orcpt, state, due,
                                    lane, hold_until, priority, deadline, last_reply, attempt)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        )?;
        for (ordinal, new) in (0_i64..).zip(&message.recipients) {
            let (state, due) = match new.state {
                NewState::Waiting => (State::Waiting, Some(hold_until.unwrap_or(received))),
                NewState::Held => (State::Held, None),
                NewState::Expanded(_) => (State::Delivered, None),
            };
            let done = due.is_none() && state != State::Held;
            let expanded = match new.state {
                NewState::Expanded(count) => Some(expanded(message, count)),
                NewState::Waiting | NewState::Held => None,
            };
            let attempt = match expanded.as_ref().map(|one| json(one, "an attempt")) {
                Some(Ok(attempt)) => Some(attempt),
                Some(Err(error)) => return Ok(Err(error)),
                None => None,
            };
            let orcpt = new.recipient.orcpt.as_ref();
            insert.execute(params![
                serial,
                ordinal,
                new.recipient.mailbox,
                new.recipient.notify.map(Notify::bits),
                orcpt.map(|(kind, _)| kind),
                orcpt.map(|(_, address)| address),
                state.code(),
                due,
                new.lane,
                hold_until.filter(|_| !done),
                priority,
                deadline.filter(|_| !done),
                expanded.map(|attempt| attempt.last_reply()),
                attempt,
            ])?;
            if let Some(attempt) = attempt {
                connection
                    .prepare_cached(
                        "INSERT INTO notice (message, ordinal, kind, since, due, attempt)
                         VALUES (?1, ?2, ?3, ?4, ?4, ?5)",
                    )?
                    .execute(params![
                        serial,
                        ordinal,
                        NoticeKind::Expanded.code(),
                        received,
                        attempt
                    ])?;
            }
        }
        Ok(Ok(()))
    }

    /// After the commit: its content file stays.
    pub(super) fn keep(&mut self) {
        if let Place::File(draft) = &mut self.message.content.place {
            draft.keep();
        }
    }
}

/// What is known of an alias that became so many recipients.
fn expanded(message: &NewMessage, count: usize) -> Attempt {
    Attempt {
        stage: Stage::Local,
        text: format!("an alias of {count} recipients"),
        at: message.received,
        ..Attempt::default()
    }
}

/// Puts a message into the spool.
pub(in super::super) struct Append(pub(in super::super) Arrival);

impl Operation for Append {
    type Answer = ();

    fn doing(&self) -> String {
        self.0.doing()
    }

    fn octets(&self) -> usize {
        self.0.octets()
    }

    fn only_if_awaited(&self) -> bool {
        // Who gets no 250 sends the message again (RFC 5321 section 6.1).
        true
    }

    fn run(&mut self, connection: &Connection) -> Done<()> {
        self.0.insert(connection)
    }

    fn committed(&mut self, (): &()) {
        self.0.keep();
    }
}
