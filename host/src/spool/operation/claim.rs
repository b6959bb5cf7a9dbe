//! Hands out recipients that are due, lane by lane.
//!
//! Table `lane` says of each lane that nothing in it is due earlier than a certain time. It is small:
//! a claim looks through it, and only into lanes that have room and something due, however much
//! queues in the others.
//!
//! Within a lane higher priorities (RFC 6710) go first, of each the longest due. So that nothing waits
//! for ever behind what is more urgent, a quarter of each lane's room goes by time alone.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, ToSql, params};

use super::super::entry::State;
use super::super::lane::Wanted;
use super::super::message::{Claimed, Message};
use super::super::row;
use super::super::writer::Operation;
use super::{Done, report, set_aside};

/// Lanes with something due, from the one after this.
pub(in super::super) const LANES_AFTER: &str =
    "SELECT name FROM lane WHERE name > ?1 AND due <= ?2 ORDER BY name";
/// Lanes with something due, from the first to this.
pub(in super::super) const LANES_TO: &str =
    "SELECT name FROM lane WHERE name <= ?1 AND due <= ?2 ORDER BY name";
/// When the first of a lane is due.
pub(in super::super) const FIRST_DUE: &str = "SELECT due FROM recipient INDEXED BY recipient_due
     WHERE lane = ?1 AND due IS NOT NULL ORDER BY due LIMIT 1";
/// What is due in one lane, the longest due first.
pub(in super::super) const DUE: &str =
    "SELECT message, ordinal, mailbox, notify, orcpt_type, orcpt, attempts, lane, delay_told, deadline
     FROM recipient INDEXED BY recipient_due
     WHERE lane = ?1 AND due <= ?2 ORDER BY due LIMIT ?3";
/// The same without what has a priority of its own.
const DUE_PLAIN: &str =
    "SELECT message, ordinal, mailbox, notify, orcpt_type, orcpt, attempts, lane, delay_told, deadline
     FROM recipient INDEXED BY recipient_due
     WHERE lane = ?1 AND due <= ?2 AND priority = 0 ORDER BY due LIMIT ?3";
/// The same of one priority.
pub(in super::super) const DUE_OF_PRIORITY: &str =
    "SELECT message, ordinal, mailbox, notify, orcpt_type, orcpt, attempts, lane, delay_told, deadline
     FROM recipient INDEXED BY recipient_priority
     WHERE lane = ?1 AND due <= ?2 AND priority = ?4 AND priority <> 0 ORDER BY due LIMIT ?3";
/// The next lower priority in a lane.
pub(in super::super) const LOWER: &str =
    "SELECT priority FROM recipient INDEXED BY recipient_priority
     WHERE lane = ?1 AND priority < ?2 AND priority <> 0 AND due IS NOT NULL
     ORDER BY priority DESC LIMIT 1";

/// What else is due in the same lane of one message. The signs keep the search to the primary key.
pub(in super::super) const REST: &str =
    "SELECT message, ordinal, mailbox, notify, orcpt_type, orcpt, attempts, lane, delay_told,
            deadline
     FROM recipient
     WHERE message = ?1 AND +lane = ?2 AND +due <= ?3 ORDER BY ordinal LIMIT ?4";

/// Takes recipients that are due, with a lease on each.
pub(in super::super) struct Claim {
    pub(in super::super) wanted: Wanted,
    pub(in super::super) now: i64,
    pub(in super::super) until: i64,
    pub(in super::super) owner: i64,
}

/// What a claim found.
#[derive(Default)]
pub(in super::super) struct Found {
    pub(in super::super) claimed: Vec<Claimed>,
    damaged: Vec<(String, String)>,
    /// Messages by their serials; `None`: damaged.
    messages: HashMap<i64, Option<Arc<Message>>>,
    /// Recipients by the place of their route among those that are wanted.
    routes: HashMap<usize, usize>,
}

impl Operation for Claim {
    type Answer = Found;

    fn doing(&self) -> String {
        "claim due recipients".to_owned()
    }

    fn run(&mut self, connection: &Connection) -> Done<Found> {
        let mut found = Found::default();
        if self.wanted.otherwise == 0 {
            for lane in self.named() {
                self.take(connection, lane.as_bytes(), &mut found)?;
            }
        } else {
            // Round, so that no lane is always the last.
            self.scan(connection, LANES_AFTER, &mut found)?;
            self.scan(connection, LANES_TO, &mut found)?;
        }
        Ok(Ok(found))
    }

    fn committed(&mut self, found: &Found) {
        for (id, reason) in &found.damaged {
            report(id, reason);
        }
    }
}

impl Claim {
    /// Lanes with room where no other has any, from the one after `after`.
    fn named(&self) -> Vec<&str> {
        let wanted = &self.wanted;
        let mut lanes: Vec<&str> = wanted
            .lanes
            .iter()
            .filter(|(_, room)| **room > 0)
            .map(|(lane, _)| lane.as_str())
            .collect();
        lanes.sort_unstable();
        let before = lanes.partition_point(|lane| *lane <= wanted.after.as_str());
        lanes.rotate_left(before);
        lanes
    }

    /// Goes through some of the lanes, until it has all that is wanted.
    fn scan(
        &self,
        connection: &Connection,
        lanes: &str,
        found: &mut Found,
    ) -> rusqlite::Result<()> {
        let mut lanes = connection.prepare_cached(lanes)?;
        let mut rows = lanes.query(params![self.wanted.after, self.now])?;
        let mut taken = Vec::new();
        while found.claimed.len() < self.wanted.total
            && let Some(row) = rows.next()?
        {
            let lane = row.get_ref(0)?.as_bytes()?;
            if self.take(connection, lane, found)? {
                taken.push(lane.to_vec());
            }
        }
        drop(rows);
        // Not while the table is being read.
        for lane in taken {
            move_up(connection, &lane)?;
        }
        Ok(())
    }

    /// Takes what is due in one lane, as far as there is room. Whether there was room.
    fn take(
        &self,
        connection: &Connection,
        lane: &[u8],
        found: &mut Found,
    ) -> rusqlite::Result<bool> {
        let before = found.claimed.len();
        let name = String::from_utf8_lossy(lane);
        let route = self.wanted.route(&name);
        let of_route = route.map_or(usize::MAX, |(index, room)| {
            room.saturating_sub(found.routes.get(&index).copied().unwrap_or(0))
        });
        let most = of_route.min(self.wanted.total.saturating_sub(before));
        let room = self.wanted.room(&name).min(most);
        let mut last = None;
        loop {
            let room = (before + room).saturating_sub(found.claimed.len());
            let damaged = found.damaged.len();
            if room > 0 {
                last = self.take_once(connection, lane, room, found)?;
            }
            // Only what is damaged leaves room for others, and it is not due any more.
            if found.damaged.len() == damaged {
                break;
            }
        }
        // One message, one transaction, if its other recipients do not go too far beyond the room.
        if let Some(serial) = last {
            let most = (before + most).saturating_sub(found.claimed.len());
            self.take_rest(connection, lane, serial, most, found)?;
        }
        let taken = found.claimed.len().saturating_sub(before);
        if let Some((index, _)) = route {
            *found.routes.entry(index).or_default() += taken;
        }
        Ok(room > 0 || taken > 0)
    }

    /// Takes up to `room` recipients. Returns the message of the last one if there may be more.
    fn take_once(
        &self,
        connection: &Connection,
        lane: &[u8],
        room: usize,
        found: &mut Found,
    ) -> rusqlite::Result<Option<i64>> {
        let lane = Octets(lane);
        let most = |room: usize| i64::try_from(room).unwrap_or(i64::MAX);
        let end = found.claimed.len().saturating_add(room);
        let priorities = priorities(connection, &lane)?;
        if priorities.is_empty() {
            let due = select(connection, DUE, params![lane, self.now, most(room)])?;
            let last = due.last().map(|(serial, _)| *serial);
            let more = due.len() >= room;
            self.lease(connection, due, found)?;
            return Ok(last.filter(|_| more));
        }
        let by_time = params![lane, self.now, most(share_of_time(room))];
        let due = select(connection, DUE, by_time)?;
        let mut last = due.last().map(|(serial, _)| *serial);
        self.lease(connection, due, found)?;
        for priority in priorities {
            let room = most(end.saturating_sub(found.claimed.len()));
            if room == 0 {
                break;
            }
            let due = if priority == 0 {
                select(connection, DUE_PLAIN, params![lane, self.now, room])?
            } else {
                let those = params![lane, self.now, room, priority];
                select(connection, DUE_OF_PRIORITY, those)?
            };
            last = due.last().map(|(serial, _)| *serial).or(last);
            self.lease(connection, due, found)?;
        }
        Ok(last.filter(|_| found.claimed.len() >= end))
    }

    /// Takes up to `room` more recipients of a message.
    fn take_rest(
        &self,
        connection: &Connection,
        lane: &[u8],
        serial: i64,
        room: usize,
        found: &mut Found,
    ) -> rusqlite::Result<()> {
        let limit = i64::try_from(room).unwrap_or(i64::MAX);
        let rest = params![serial, Octets(lane), self.now, limit];
        let due = select(connection, REST, rest)?;
        self.lease(connection, due, found)
    }

    /// Takes these.
    fn lease(
        &self,
        connection: &Connection,
        due: Vec<Numbered>,
        found: &mut Found,
    ) -> rusqlite::Result<()> {
        let mut lease = connection.prepare_cached(
            "UPDATE recipient SET state = ?1, due = ?2, owner = ?3, attempts = attempts + 1
             WHERE message = ?4 AND ordinal = ?5",
        )?;
        for (serial, due) in due {
            let Some(message) = found.message(connection, serial)? else {
                continue;
            };
            match due {
                Ok(due) => {
                    let ordinal = due.ordinal;
                    let state = State::Delivering.code();
                    lease.execute(params![state, self.until, self.owner, serial, ordinal])?;
                    let attempts = due.attempts.saturating_add(1);
                    found.claimed.push(due.of(message, attempts));
                }
                Err(reason) => {
                    set_aside(connection, serial, &reason)?;
                    found.messages.insert(serial, None);
                    found.claimed.retain(|one| one.message.id != message.id);
                    found.damaged.push((message.id.clone(), reason));
                }
            }
        }
        Ok(())
    }
}

impl Found {
    /// The message of a due recipient, unless it is damaged; then it is set aside.
    fn message(
        &mut self,
        connection: &Connection,
        serial: i64,
    ) -> rusqlite::Result<Option<Arc<Message>>> {
        if let Some(known) = self.messages.get(&serial) {
            return Ok(known.clone());
        }
        let message = match row::message(connection, serial)? {
            Ok(message) => Some(Arc::new(message)),
            Err(damage) => {
                set_aside(connection, serial, &damage.1)?;
                self.damaged.push(damage);
                None
            }
        };
        self.messages.insert(serial, message.clone());
        Ok(message)
    }
}

/// What part of a lane's room goes by time, whatever is more urgent: a quarter. Of what four does not
/// divide, chance decides, so that a lane with room for one is no exception.
fn share_of_time(room: usize) -> usize {
    room / 4 + usize::from(rand::random_range(0..4) < room % 4)
}

/// The priorities that are in a lane, the highest first, 0 among them; none if 0 is the only one.
fn priorities(connection: &Connection, lane: &Octets<'_>) -> rusqlite::Result<Vec<i64>> {
    let mut lower = connection.prepare_cached(LOWER)?;
    let mut priorities: Vec<i64> = Vec::new();
    let mut below = i64::MAX;
    while let Some(priority) = lower
        .query_row(params![lane, below], |row| row.get::<_, i64>(0))
        .optional()?
    {
        if priority < 0 && below > 0 {
            priorities.push(0);
        }
        priorities.push(priority);
        below = priority;
    }
    if below > 0 && below != i64::MAX {
        priorities.push(0);
    }
    Ok(priorities)
}

/// A recipient with its message's serial.
type Numbered = (i64, Result<row::Due, String>);

/// What a statement finds.
fn select(
    connection: &Connection,
    statement: &str,
    values: &[&dyn ToSql],
) -> rusqlite::Result<Vec<Numbered>> {
    connection
        .prepare_cached(statement)?
        .query_map(values, |row| Ok((row.get(0)?, row::due(row))))?
        .collect()
}

/// Writes when the first of a lane is due, now that this is known.
fn move_up(connection: &Connection, lane: &[u8]) -> rusqlite::Result<()> {
    let due: Option<i64> = connection
        .prepare_cached(FIRST_DUE)?
        .query_row([Octets(lane)], |row| row.get(0))
        .optional()?;
    match due {
        Some(due) => connection
            .prepare_cached("UPDATE lane SET due = ?2 WHERE name = ?1")?
            .execute(params![Octets(lane), due]),
        None => connection
            .prepare_cached("DELETE FROM lane WHERE name = ?1")?
            .execute([Octets(lane)]),
    }
    .map(|_| ())
}

/// Text as it lies in the database: a damaged name must not stop the scan.
struct Octets<'a>(&'a [u8]);

impl ToSql for Octets<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0)))
    }
}
