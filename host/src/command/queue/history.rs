//! `queue history`: what became of recipients that are done, the latest first.

use super::filter::Options;
use super::form::{clean, object, path, span};
use super::place::{Place, Trouble, block_on};
use super::{FIRST_PAGE, PAGE};
use crate::spool::{End, Filter, Past, Spool, timestamp};
use clap::ValueEnum;
use serde::Serialize;
use std::io::{self, BufWriter, Write};
use std::time::SystemTime;

/// Arguments of `queue history`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Identifier of one message.
    id: Option<String>,
    /// Recipients at most.
    #[arg(long, value_name = "COUNT")]
    limit: Option<u64>,
    /// Only those that ended so.
    #[arg(long, value_enum)]
    end: Option<Only>,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    options: Options,
}

/// Ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Only {
    /// Delivered here, or to the next server.
    Delivered,
    /// Failed for good.
    Failed,
    /// Removed by an operator.
    Removed,
}

impl From<Only> for End {
    fn from(only: Only) -> Self {
        match only {
            Only::Delivered => Self::Delivered,
            Only::Failed => Self::Failed,
            Only::Removed => Self::Removed,
        }
    }
}

/// Which recipients, and how many.
#[derive(Debug, Default)]
pub(super) struct Wanted<'a> {
    pub(super) filter: Filter,
    pub(super) route: Option<&'a str>,
    pub(super) end: Option<End>,
    pub(super) limit: Option<u64>,
}

pub(super) fn run(arguments: &Arguments) -> Result<bool, Trouble> {
    let (_, spool) = arguments.place.open()?;
    let Some(spool) = spool else {
        return Ok(true);
    };
    let wanted = Wanted {
        filter: Filter {
            id: arguments.id.clone(),
            ..arguments.options.filter(SystemTime::now())
        },
        route: arguments.options.route(),
        end: arguments.end.map(End::from),
        limit: arguments.limit,
    };
    let mut out = BufWriter::new(io::stdout().lock());
    block_on(print(&spool, &wanted, arguments.json, &mut out))?;
    Ok(true)
}

/// Prints them, page by page.
pub(super) async fn print(
    spool: &dyn Spool,
    wanted: &Wanted<'_>,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Trouble> {
    let mut left = wanted.limit.unwrap_or(u64::MAX);
    let (mut after, mut size) = (None, FIRST_PAGE);
    while left > 0 {
        let page = spool.history(&wanted.filter, after, size).await?;
        for past in page.iter().filter(|past| wanted.includes(past)) {
            if left == 0 {
                break;
            }
            left -= 1;
            if json {
                object(out, &Line::of(past))?;
            } else {
                writeln!(out, "{}", columns(past))?;
            }
        }
        out.flush()?;
        if page.len() < size {
            break;
        }
        after = page.last().map(|past| past.cursor);
        size = PAGE;
    }
    Ok(())
}

impl Wanted<'_> {
    /// What the spool does not look at.
    fn includes(&self, past: &Past) -> bool {
        let route = past.attempt.as_ref().map(|attempt| attempt.route.as_str());
        self.end.is_none_or(|end| end == past.end)
            && self.route.is_none_or(|wanted| route == Some(wanted))
    }
}

/// Time, identifier, Message-ID, reverse-path, mailbox, end, relay, TLS, delay, reply.
fn columns(past: &Past) -> String {
    let attempt = past.attempt.as_ref();
    let or_none = |text: Option<&str>| match text {
        Some(text) if !text.is_empty() => clean(text),
        _ => "-".to_owned(),
    };
    let said = attempt.map(|attempt| attempt.last_reply());
    let mut line = format!(
        "{}  {}  {}  {} -> {}  {:9}  {}  {}  {}",
        timestamp(past.at),
        past.id,
        or_none(Some(&past.message_id)),
        path(&past.reverse_path),
        path(&past.mailbox),
        name(past.end),
        or_none(attempt.and_then(|one| one.address.as_deref().or(one.remote.as_deref()))),
        or_none(attempt.and_then(|one| one.tls.as_deref())),
        span(past.delay),
    );
    if let Some(said) = said.filter(|said| !said.is_empty()) {
        line.push_str("  ");
        line.push_str(&said);
    }
    line
}

fn name(end: End) -> &'static str {
    match end {
        End::Delivered => "delivered",
        End::Failed => "failed",
        End::Removed => "removed",
    }
}

/// `queue history --json`.
#[derive(Debug, Serialize)]
struct Line<'a> {
    time: String,
    id: &'a str,
    message_id: &'a str,
    reverse_path: &'a str,
    identity: Option<&'a str>,
    mailbox: &'a str,
    end: End,
    attempts: u32,
    /// Seconds.
    delay: f64,
    size: u64,
    route: Option<&'a str>,
    remote: Option<&'a str>,
    address: Option<&'a str>,
    tls: Option<&'a str>,
    stage: Option<&'static str>,
    reply: Option<String>,
    text: Option<&'a str>,
}

impl<'a> Line<'a> {
    fn of(past: &'a Past) -> Self {
        let attempt = past.attempt.as_ref();
        Self {
            time: timestamp(past.at),
            id: &past.id,
            message_id: &past.message_id,
            reverse_path: &past.reverse_path,
            identity: past.identity.as_deref(),
            mailbox: &past.mailbox,
            end: past.end,
            attempts: past.attempts,
            delay: past.delay.as_secs_f64(),
            size: past.size,
            route: attempt.map(|one| one.route.as_str()),
            remote: attempt.and_then(|one| one.remote.as_deref()),
            address: attempt.and_then(|one| one.address.as_deref()),
            tls: attempt.and_then(|one| one.tls.as_deref()),
            stage: attempt.map(|one| one.stage.name()),
            reply: attempt
                .filter(|one| one.reply.is_some())
                .map(|one| one.last_reply()),
            text: attempt
                .map(|one| one.text.as_str())
                .filter(|text| !text.is_empty()),
        }
    }
}
