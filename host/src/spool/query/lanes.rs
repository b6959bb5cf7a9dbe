//! What queues where.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::super::lane::{LaneCount, LaneTrouble, Trouble};
use super::super::row;
use super::super::sqlite::time;

/// What is due some time, by lane: all from an index.
pub(in super::super) const QUEUED: &str =
    "SELECT lane, sum(state = 0), sum(state = 1 AND due > ?1),
            sum(state = 2 OR (state = 1 AND due <= ?1))
     FROM recipient INDEXED BY recipient_due WHERE due IS NOT NULL GROUP BY lane";
/// What is held, by lane.
pub(in super::super) const HELD: &str =
    "SELECT lane, count(*) FROM recipient INDEXED BY recipient_held WHERE state = 3 GROUP BY lane";
/// Whether anything queues in a lane.
pub(in super::super) const QUEUES: &str =
    "SELECT EXISTS (SELECT 1 FROM recipient INDEXED BY recipient_due
                    WHERE lane = ?1 AND due IS NOT NULL AND (state IN (0, 2) OR due <= ?2))";

/// All lanes with something in them, or with trouble.
pub(in super::super) fn lanes(
    connection: &Connection,
    now: i64,
) -> rusqlite::Result<Vec<LaneCount>> {
    let mut lanes: BTreeMap<String, LaneCount> = BTreeMap::new();
    let mut queued = connection.prepare_cached(QUEUED)?;
    let mut rows = queued.query([now])?;
    while let Some(row) = rows.next()? {
        let count = of(&mut lanes, row::text(row, 0)?);
        count.waiting += number(row.get(1)?);
        count.delivering += number(row.get(2)?);
        count.deferred += number(row.get(3)?);
    }
    let mut held = connection.prepare_cached(HELD)?;
    let mut rows = held.query([])?;
    while let Some(row) = rows.next()? {
        of(&mut lanes, row::text(row, 0)?).held += number(row.get(1)?);
    }
    let mut trouble = connection
        .prepare_cached("SELECT lane, kind, since, due, attempts, attempt FROM trouble")?;
    let mut rows = trouble.query([])?;
    while let Some(row) = rows.next()? {
        let count = of(&mut lanes, row::text(row, 0)?);
        let (trouble, ours) = Trouble::from_code(row.get(1)?);
        count.trouble = Some(LaneTrouble {
            lane: count.lane.clone(),
            trouble,
            since: time(row.get(2)?),
            next_attempt: time(row.get(3)?),
            attempts: row.get(4)?,
            attempt: row::attempt(row, 5)?.unwrap_or_default(),
            ours,
        });
    }
    Ok(lanes.into_values().collect())
}

/// Whether anything that is waiting or deferred queues in this lane.
pub(in super::super) fn queues(
    connection: &Connection,
    lane: &str,
    now: i64,
) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(QUEUES)?
        .query_row(params![lane, now], |row| row.get(0))
}

fn of(lanes: &mut BTreeMap<String, LaneCount>, lane: Option<String>) -> &mut LaneCount {
    let lane = lane.unwrap_or_default();
    lanes.entry(lane.clone()).or_insert_with(|| LaneCount {
        lane,
        waiting: 0,
        delivering: 0,
        deferred: 0,
        held: 0,
        trouble: None,
    })
}

fn number(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}
