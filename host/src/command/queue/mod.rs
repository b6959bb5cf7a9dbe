//! `pillarbox queue`: the messages in the spool, whether the service runs or not.
//!
//! A running service is told afterwards that something may be due; the spool itself takes the
//! change, so that nothing depends on the service's mood.

use super::{chain, failed, small_runtime};
use crate::config::Config;
use crate::control;
use crate::spool::{
    Access, Change, Detail, Entry, Filter, Spool, SpoolError, Sqlite, State, timestamp,
};
use clap::{Subcommand, ValueEnum};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Messages of one page: the list streams.
const PAGE: usize = 500;

/// Arguments of `queue`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// One line per message, in order of arrival.
    List {
        #[command(flatten)]
        place: Place,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
        /// Only messages in this state.
        #[arg(long, value_enum)]
        state: Option<Only>,
        /// Only what this identity submitted.
        #[arg(long)]
        identity: Option<String>,
    },
    /// All that is known of messages.
    Show {
        #[command(flatten)]
        place: Place,
        /// Identifiers.
        #[arg(required = true)]
        ids: Vec<String>,
        /// One JSON object a line.
        #[arg(long, conflicts_with = "content")]
        json: bool,
        /// The message itself, octet for octet, and nothing else.
        #[arg(long)]
        content: bool,
    },
    /// Try now what is waiting or deferred.
    Retry(Steer),
    /// Keep messages until they are released.
    Hold(Steer),
    /// Let held messages go.
    Release(Steer),
    /// Remove messages, without a report to anybody.
    Remove(Steer),
}

#[derive(Debug, clap::Args)]
struct Steer {
    #[command(flatten)]
    place: Place,
    /// Identifiers.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<String>,
    /// Every message in the spool.
    #[arg(long)]
    all: bool,
    /// One JSON object a line: `id` and `found`.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Place {
    /// The configuration.
    #[arg(long, default_value = crate::config::USUAL_PLACE)]
    config: PathBuf,
}

/// States that a message in the queue can have.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Only {
    Waiting,
    Delivering,
    Deferred,
    Held,
}

impl From<Only> for State {
    fn from(only: Only) -> Self {
        match only {
            Only::Waiting => Self::Waiting,
            Only::Delivering => Self::Delivering,
            Only::Deferred => Self::Deferred,
            Only::Held => Self::Held,
        }
    }
}

/// What went wrong, as one line.
enum Trouble {
    /// A reader that went away (`| head`) is none.
    Nobody,
    Text(String),
}

impl From<SpoolError> for Trouble {
    fn from(error: SpoolError) -> Self {
        Self::Text(chain(&error))
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::Nobody
        } else {
            Self::Text(format!("cannot write: {error}"))
        }
    }
}

impl From<serde_json::Error> for Trouble {
    fn from(error: serde_json::Error) -> Self {
        io::Error::from(error).into()
    }
}

/// Runs the verb.
pub fn run(arguments: &Arguments) -> ExitCode {
    let done = match &arguments.verb {
        Verb::List {
            place,
            json,
            state,
            identity,
        } => {
            let filter = Filter {
                state: state.map(State::from),
                identity: identity.clone(),
                ..Filter::default()
            };
            list(&place.config, &filter, *json)
        }
        Verb::Show {
            place,
            ids,
            json,
            content,
        } => show(&place.config, ids, *json, *content),
        Verb::Retry(steer) => change(Change::Retry, steer),
        Verb::Hold(steer) => change(Change::Hold, steer),
        Verb::Release(steer) => change(Change::Release, steer),
        Verb::Remove(steer) => change(Change::Remove, steer),
    };
    match done {
        Ok(true) | Err(Trouble::Nobody) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(Trouble::Text(text)) => failed(text),
    }
}

/// The spool of this configuration; `None` where no service has run yet, which is an empty queue.
fn open(config: &Path) -> Result<(Config, Option<Sqlite>), Trouble> {
    let loaded = Config::load(config);
    let errors: Vec<String> = loaded.errors().map(ToString::to_string).collect();
    let Some(config) = loaded.config else {
        return Err(Trouble::Text(format!(
            "the configuration cannot be used:\n{}",
            errors.join("\n")
        )));
    };
    match Sqlite::open(&config.state_dir, Access::Tool) {
        Ok(spool) => Ok((config, Some(spool))),
        Err(SpoolError::Absent { .. }) => Ok((config, None)),
        Err(error) => Err(error.into()),
    }
}

fn block_on<T>(future: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    small_runtime()
        .map_err(|error| Trouble::Text(error.to_string()))?
        .block_on(future)
}

fn list(config: &Path, filter: &Filter, json: bool) -> Result<bool, Trouble> {
    let (_, spool) = open(config)?;
    let Some(spool) = spool else {
        return Ok(true);
    };
    let mut out = BufWriter::new(io::stdout().lock());
    block_on(async {
        let mut after = None;
        loop {
            let page = spool.list(filter, after, PAGE).await?;
            for entry in &page {
                if json {
                    serde_json::to_writer(&mut out, entry)?;
                    writeln!(out)?;
                } else {
                    line(&mut out, entry)?;
                }
            }
            after = page.last().map(|entry| entry.cursor);
            if page.len() < PAGE {
                out.flush()?;
                return Ok(true);
            }
        }
    })
}

fn line(out: &mut impl Write, entry: &Entry) -> io::Result<()> {
    writeln!(
        out,
        "{}  {:10}  {:>10}  {}  {} -> {}",
        entry.id,
        entry.state.name(),
        entry.size,
        timestamp(entry.received),
        path(&entry.reverse_path),
        match entry.recipients.as_slice() {
            [one] => path(&one.mailbox),
            [first, others @ ..] => format!("{} and {} more", path(&first.mailbox), others.len()),
            [] => String::new(),
        }
    )
}

fn path(mailbox: &str) -> String {
    format!("<{mailbox}>")
}

fn show(config: &Path, ids: &[String], json: bool, content: bool) -> Result<bool, Trouble> {
    let (_, spool) = open(config)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut all = true;
    for id in ids {
        let Some(spool) = &spool else {
            missing(id);
            all = false;
            continue;
        };
        let shown: Result<(), Trouble> = block_on(async {
            if content {
                let mut reader = spool.read_content(id).await?;
                while let Some(octets) = reader.next().await? {
                    out.write_all(&octets)?;
                }
            } else {
                let detail = spool.show(id).await?;
                if json {
                    serde_json::to_writer(&mut out, &detail)?;
                    writeln!(out)?;
                } else {
                    describe(&mut out, &detail)?;
                }
            }
            Ok(())
        });
        match shown {
            Ok(()) => {}
            Err(Trouble::Text(text)) => {
                out.flush()?;
                eprintln!("pillarbox: {text}");
                all = false;
            }
            Err(nobody) => return Err(nobody),
        }
    }
    out.flush()?;
    Ok(all)
}

fn describe(out: &mut impl Write, detail: &Detail) -> io::Result<()> {
    let entry = &detail.entry;
    writeln!(out, "id            {}", entry.id)?;
    writeln!(out, "state         {}", entry.state.name())?;
    writeln!(out, "reverse-path  {}", path(&entry.reverse_path))?;
    writeln!(
        out,
        "identity      {}",
        entry.identity.as_deref().unwrap_or("(none)")
    )?;
    if let Some(peer) = detail.peer {
        writeln!(out, "peer          {peer}")?;
    }
    if let Some(envelope) = &detail.envelope {
        writeln!(out, "protocol      {}", envelope.protocol)?;
    }
    writeln!(out, "received      {}", timestamp(entry.received))?;
    writeln!(out, "size          {} octets", entry.size)?;
    writeln!(out, "message-id    {}", detail.message_id)?;
    for recipient in &entry.recipients {
        write!(
            out,
            "recipient     {} {}, attempts {}",
            path(&recipient.mailbox),
            recipient.state.name(),
            recipient.attempts
        )?;
        if let Some(next) = recipient.next_attempt {
            write!(out, ", next {}", timestamp(next))?;
        }
        if let Some(reply) = &recipient.last_reply {
            write!(out, ": {reply}")?;
        }
        writeln!(out)?;
    }
    writeln!(out)
}

fn missing(id: &str) {
    eprintln!("pillarbox: there is no message {id} in the spool");
}

fn change(change: Change, steer: &Steer) -> Result<bool, Trouble> {
    let (config, spool) = open(&steer.place.config)?;
    let Some(spool) = spool else {
        for id in &steer.ids {
            missing(id);
        }
        return Ok(steer.all);
    };
    let absent = block_on(async {
        if !steer.all {
            return report(
                change,
                steer,
                &steer.ids,
                spool.change(change, &steer.ids).await?,
            );
        }
        let mut after = None;
        loop {
            let page = spool.list(&Filter::default(), after, PAGE).await?;
            let ids: Vec<String> = page.iter().map(|entry| entry.id.clone()).collect();
            if !ids.is_empty() {
                let absent = spool.change(change, &ids).await?;
                report(change, steer, &ids, absent)?;
            }
            after = page.last().map(|entry| entry.cursor);
            if page.len() < PAGE {
                return Ok(0);
            }
        }
    })?;
    if matches!(change, Change::Release | Change::Retry) {
        control::ask(&config.state_dir, control::Request::Wake).map_err(Trouble::Text)?;
    }
    Ok(absent == 0)
}

/// Says what was done; how many were not there.
fn report(
    change: Change,
    steer: &Steer,
    ids: &[String],
    absent: Vec<String>,
) -> Result<usize, Trouble> {
    let mut out = BufWriter::new(io::stdout().lock());
    for id in ids {
        let found = !absent.contains(id);
        if steer.json {
            serde_json::to_writer(&mut out, &serde_json::json!({ "id": id, "found": found }))?;
            writeln!(out)?;
        } else if found {
            writeln!(out, "{}: {id}", change.name())?;
        } else {
            missing(id);
        }
    }
    out.flush()?;
    Ok(absent.len())
}
