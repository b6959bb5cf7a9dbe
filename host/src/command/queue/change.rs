//! `queue retry`, `hold`, `release` and `remove`. They change whole messages, with all their
//! recipients.

use super::filter::Queued;
use super::form::{messages, missing, object};
use super::place::{Place, Trouble, block_on};
use super::{FIRST_PAGE, PAGE};
use crate::control::{self, Request};
use crate::relay::Lanes;
use crate::spool::{Change, Entry, Filter, Spool, SpoolError, State};
use std::collections::BTreeSet;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::path::Path;
use std::time::SystemTime;

/// Arguments of the verbs that change something.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Identifiers, unless options say which.
    ids: Vec<String>,
    /// Every message in the spool.
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// Only say what would be changed.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask before many messages are removed. Nobody is asked if standard input is no
    /// terminal.
    #[arg(long)]
    yes: bool,
    /// One JSON object a line: `id`, `found`, `changed`, and `dry_run`.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    queued: Queued,
}

/// Which messages.
#[derive(Debug)]
pub(super) enum Which {
    /// These.
    Ids(Vec<String>),
    /// Those that the filter lets through.
    Matching(Box<Filter>),
}

/// What is done with them, and how it is told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Task {
    /// The verb.
    pub(super) change: Change,
    /// Nothing is done.
    pub(super) dry_run: bool,
    /// As JSON.
    pub(super) json: bool,
}

/// What came of it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Done {
    /// Messages that were changed, or would be.
    pub(super) changed: u64,
    /// Identifiers of no message.
    pub(super) absent: u64,
}

pub(super) fn run(change: Change, arguments: &Arguments) -> Result<bool, Trouble> {
    let which = which(arguments)?;
    let (config, spool) = arguments.place.open()?;
    let task = Task {
        change,
        dry_run: arguments.dry_run,
        json: arguments.json,
    };
    let mut out = Teller::new(BufWriter::new(io::stdout().lock()));
    let Some(spool) = spool else {
        let Which::Ids(ids) = which else {
            out.total(&task, 0)?;
            return Ok(true);
        };
        for id in &ids {
            out.one(&task, id, None)?;
        }
        return out.flush().map(|()| ids.is_empty());
    };
    if let Which::Matching(filter) = &which
        && change == Change::Remove
        && !(arguments.yes || arguments.dry_run)
        && io::stdin().is_terminal()
    {
        confirm(block_on(count(&spool, filter))?)?;
    }
    let mut done = Done::default();
    let result = block_on(carry_out(&spool, &task, &which, &mut out, &mut done));
    // Also if only some could be changed.
    if !task.dry_run {
        tell(&config.state_dir, change, &which, &spool)?;
    }
    result?;
    out.total(&task, done.changed)?;
    Ok(done.absent == 0)
}

fn which(arguments: &Arguments) -> Result<Which, Trouble> {
    let given = arguments.queued.is_given();
    match (arguments.ids.is_empty(), given, arguments.all) {
        (false, false, _) => Ok(Which::Ids(arguments.ids.clone())),
        (true, true, false) | (true, false, true) => Ok(Which::Matching(Box::new(
            arguments.queued.filter(SystemTime::now()),
        ))),
        (true, false, false) => Err(Trouble::Usage(
            "say which messages: identifiers, options such as --recipient, or --all".to_owned(),
        )),
        _ => Err(Trouble::Usage(
            "identifiers, options such as --recipient, and --all exclude each other".to_owned(),
        )),
    }
}

/// Messages that the filter lets through.
async fn count(spool: &dyn Spool, filter: &Filter) -> Result<u64, Trouble> {
    let (mut after, mut count) = (None, 0);
    loop {
        let page = spool.list(filter, after, PAGE).await?;
        count += page.len() as u64;
        if page.len() < PAGE {
            return Ok(count);
        }
        after = page.last().map(|entry| entry.cursor);
    }
}

/// Asks whoever sits at the terminal.
fn confirm(count: u64) -> Result<(), Trouble> {
    if count == 0 {
        return Ok(());
    }
    eprint!(
        "remove {}, with all their recipients and without a report to anybody? [y/N] ",
        messages(count)
    );
    let mut answer = String::new();
    io::stdin()
        .read_line(&mut answer)
        .map_err(|error| Trouble::Text(format!("cannot read the answer: {error}")))?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Trouble::Text("nothing was removed".to_owned())),
    }
}

/// Changes them, page by page. `done` counts what is done even if it does not come to an end.
pub(super) async fn carry_out(
    spool: &dyn Spool,
    task: &Task,
    which: &Which,
    out: &mut Teller<'_>,
    done: &mut Done,
) -> Result<(), Trouble> {
    match which {
        Which::Ids(ids) => {
            for ids in ids.chunks(PAGE) {
                let mut known = Vec::new();
                for id in ids {
                    let state = match spool.show(id).await {
                        Ok(detail) => Some(detail.entry),
                        Err(SpoolError::NotFound { .. }) => None,
                        Err(error) => return Err(error.into()),
                    };
                    known.push((id.clone(), state));
                }
                page(spool, task, known, out, done).await?;
            }
            Ok(())
        }
        Which::Matching(filter) => {
            let (mut after, mut size) = (None, FIRST_PAGE);
            loop {
                let entries = spool.list(filter, after, size).await?;
                let last = entries.len() < size;
                after = entries.last().map(|entry| entry.cursor);
                let known = entries
                    .into_iter()
                    .filter(|entry| concerns(task.change, entry))
                    .map(|entry| (entry.id.clone(), Some(entry)))
                    .collect();
                page(spool, task, known, out, done).await?;
                if last {
                    return Ok(());
                }
                size = PAGE;
            }
        }
    }
}

async fn page(
    spool: &dyn Spool,
    task: &Task,
    known: Vec<(String, Option<Entry>)>,
    out: &mut Teller<'_>,
    done: &mut Done,
) -> Result<(), Trouble> {
    let present: Vec<String> = known
        .iter()
        .filter(|(_, entry)| entry.is_some())
        .map(|(id, _)| id.clone())
        .collect();
    let absent = if task.dry_run || present.is_empty() {
        Vec::new()
    } else {
        spool.change(task.change, &present).await?
    };
    for (id, entry) in &known {
        let entry = entry.as_ref().filter(|_| !absent.contains(id));
        match entry {
            Some(entry) if concerns(task.change, entry) => done.changed += 1,
            Some(_) => {}
            None => done.absent += 1,
        }
        out.one(task, id, entry)?;
    }
    out.flush()
}

/// Whether the verb changes anything of this message.
fn concerns(change: Change, entry: &Entry) -> bool {
    let any = |states: &[State]| {
        let mut recipients = entry.recipients.iter();
        recipients.any(|recipient| states.contains(&recipient.state))
    };
    match change {
        Change::Remove => true,
        Change::Hold => any(&[State::Waiting, State::Delivering, State::Deferred]),
        Change::Release => any(&[State::Held]),
        // A message whose recipients are all done is there for its report, which may be stuck.
        Change::Retry => {
            any(&[State::Waiting, State::Deferred])
                || matches!(entry.state, State::Delivered | State::Failed)
        }
    }
}

/// Tells a running service. Who names messages wants the lanes to be tried where these wait, and no
/// others: those may be paused for a good reason.
pub(super) fn tell(
    state_dir: &Path,
    change: Change,
    which: &Which,
    spool: &dyn Spool,
) -> Result<(), Trouble> {
    let ask = |request| control::ask(state_dir, request).map_err(Trouble::Text);
    match change {
        Change::Hold | Change::Remove => ask(Request::Changed).map(|_| ()),
        Change::Release => ask(Request::Wake).map(|_| ()),
        Change::Retry => {
            let lanes = match which {
                Which::Ids(ids) => Lanes::These(block_on(lanes_of(spool, ids))?),
                Which::Matching(_) => Lanes::All,
            };
            let told = match &lanes {
                Lanes::These(lanes) => control::resume(state_dir, lanes).map_err(Trouble::Text)?,
                Lanes::All => ask(Request::Resume)?,
            };
            if told {
                return Ok(());
            }
            // Nobody runs that could forget the trouble: the next service is to try at once.
            block_on(async {
                for lane in spool.lanes().await? {
                    if lane.trouble.is_some() && lanes.contains(&lane.lane) {
                        spool.trouble(&lane.lane, None).await?;
                    }
                }
                Ok(())
            })
        }
    }
}

/// Where recipients of these messages wait.
async fn lanes_of(spool: &dyn Spool, ids: &[String]) -> Result<BTreeSet<String>, Trouble> {
    let mut lanes = BTreeSet::new();
    for id in ids {
        match spool.show(id).await {
            Ok(detail) => lanes.extend(
                detail
                    .entry
                    .recipients
                    .into_iter()
                    // Also what the service was quicker to begin with.
                    .filter(|one| {
                        matches!(
                            one.state,
                            State::Waiting | State::Deferred | State::Delivering
                        )
                    })
                    .map(|one| one.lane),
            ),
            Err(SpoolError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // Without a route there is nothing to try.
    lanes.remove("");
    Ok(lanes)
}

/// Says what is done. Whoever reads it may go away: the work goes on.
pub(super) struct Teller<'a> {
    out: Option<Box<dyn Write + 'a>>,
}

impl<'a> Teller<'a> {
    pub(super) fn new(out: impl Write + 'a) -> Self {
        Self {
            out: Some(Box::new(out)),
        }
    }

    fn say(&mut self, what: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Trouble> {
        let Some(out) = &mut self.out else {
            return Ok(());
        };
        match what(out.as_mut()).map_err(Trouble::from) {
            Err(Trouble::Nobody) => {
                self.out = None;
                Ok(())
            }
            said => said,
        }
    }

    fn flush(&mut self) -> Result<(), Trouble> {
        self.say(|out| out.flush())
    }

    /// What came of one message; `None`: there is none.
    fn one(&mut self, task: &Task, id: &str, entry: Option<&Entry>) -> Result<(), Trouble> {
        let concerned = entry.is_some_and(|entry| concerns(task.change, entry));
        if task.json {
            let mut object_of = serde_json::json!({
                "id": id,
                "found": entry.is_some(),
                "changed": concerned && !task.dry_run,
            });
            if task.dry_run {
                object_of["dry_run"] = true.into();
                object_of["would_change"] = concerned.into();
            }
            return self.say(|out| object(out, &object_of));
        }
        match entry {
            None => {
                self.flush()?;
                missing(id);
                Ok(())
            }
            Some(entry) => self.say(|out| {
                let name = task.change.name();
                match (concerned, task.dry_run) {
                    (true, false) => writeln!(out, "{name}: {id}"),
                    (true, true) => writeln!(out, "would {name}: {id}"),
                    (false, _) => {
                        writeln!(out, "nothing to {name}: {id} is {}", entry.state.name())
                    }
                }
            }),
        }
    }

    /// The count at the end.
    pub(super) fn total(&mut self, task: &Task, changed: u64) -> Result<(), Trouble> {
        if !task.json {
            let past = match task.change {
                Change::Hold => "held",
                Change::Release => "released",
                Change::Remove => "removed",
                Change::Retry => "retried",
            };
            let would = if task.dry_run { "would be " } else { "" };
            self.say(|out| writeln!(out, "{} {would}{past}", messages(changed)))?;
        }
        self.flush()
    }
}
