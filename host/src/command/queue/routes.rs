//! `queue routes`: where messages queue, how many, and what is wrong there.

use super::form::{clean, object};
use super::place::{Place, Trouble, block_on};
use super::why::{parts, told, trouble};
use crate::spool::{LaneCount, Spool, timestamp};
use serde::Serialize;
use std::io::{self, BufWriter, Write};

/// Arguments of `queue routes`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Only this route.
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<bool, Trouble> {
    let (_, spool) = arguments.place.open()?;
    let Some(spool) = spool else {
        return Ok(true);
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let route = arguments.route.as_deref();
    block_on(print(&spool, route, arguments.json, &mut out))?;
    Ok(true)
}

/// Prints the lanes, of one route or of all.
pub(super) async fn print(
    spool: &dyn Spool,
    route: Option<&str>,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Trouble> {
    let mut lanes = spool.lanes().await?;
    lanes.retain(|lane| {
        route.is_none_or(|route| parts(&lane.lane).0 == route || lane.lane == route)
    });
    lanes.sort_by(|one, other| one.lane.cmp(&other.lane));
    let width = lanes.iter().map(|lane| name(lane).chars().count());
    let width = width.max().unwrap_or_default();
    for lane in &lanes {
        if json {
            object(out, &Line::of(lane))?;
            continue;
        }
        write!(
            out,
            "{:width$}  waiting {}  delivering {}  deferred {}  held {}",
            name(lane),
            lane.waiting,
            lane.delivering,
            lane.deferred,
            lane.held
        )?;
        match &lane.trouble {
            Some(one) => writeln!(out, "  {}", trouble(one))?,
            None => writeln!(out)?,
        }
    }
    out.flush()?;
    Ok(())
}

fn name(lane: &LaneCount) -> String {
    match lane.lane.as_str() {
        "" => "(no route)".to_owned(),
        name => clean(name),
    }
}

/// `queue routes --json`.
#[derive(Debug, Serialize)]
struct Line<'a> {
    lane: &'a str,
    route: &'a str,
    domain: Option<&'a str>,
    waiting: u64,
    delivering: u64,
    deferred: u64,
    held: u64,
    trouble: Option<crate::spool::Trouble>,
    since: Option<String>,
    next_attempt: Option<String>,
    attempts: Option<u32>,
    why: Option<String>,
}

impl<'a> Line<'a> {
    fn of(lane: &'a LaneCount) -> Self {
        let (route, domain) = parts(&lane.lane);
        let trouble = lane.trouble.as_ref();
        Self {
            lane: &lane.lane,
            route,
            domain,
            waiting: lane.waiting,
            delivering: lane.delivering,
            deferred: lane.deferred,
            held: lane.held,
            trouble: trouble.map(|one| one.trouble),
            since: trouble.map(|one| timestamp(one.since)),
            next_attempt: trouble.map(|one| timestamp(one.next_attempt)),
            attempts: trouble.map(|one| one.attempts),
            why: trouble.map(told),
        }
    }
}
