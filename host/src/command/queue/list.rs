//! `queue list`: one line per message.

use super::filter::Queued;
use super::form::{Line, object, path};
use super::place::{Place, Trouble, block_on};
use super::why::{Troubles, why};
use super::{FIRST_PAGE, PAGE};
use crate::spool::{Entry, Filter, Spool, timestamp};
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::time::SystemTime;

/// Arguments of `queue list`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    /// Why each is waiting, as the last column. On a terminal it is there without this option.
    #[arg(long, conflicts_with = "json")]
    why: bool,
    #[command(flatten)]
    queued: Queued,
}

/// How a message is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A JSON object.
    Json,
    /// Columns.
    Columns,
    /// Columns, and why it is waiting.
    Why,
}

pub(super) fn run(arguments: &Arguments) -> Result<bool, Trouble> {
    let (_, spool) = arguments.place.open()?;
    let Some(spool) = spool else {
        return Ok(true);
    };
    let form = match (arguments.json, arguments.why) {
        (true, _) => Form::Json,
        (false, true) => Form::Why,
        (false, false) if io::stdout().is_terminal() => Form::Why,
        (false, false) => Form::Columns,
    };
    let filter = arguments.queued.filter(SystemTime::now());
    let mut out = BufWriter::new(io::stdout().lock());
    block_on(print(&spool, &filter, form, &mut out))?;
    Ok(true)
}

/// Prints all that the filter lets through, page by page.
pub(super) async fn print(
    spool: &dyn Spool,
    filter: &Filter,
    form: Form,
    out: &mut dyn Write,
) -> Result<(), Trouble> {
    let troubles = match form {
        Form::Columns => Troubles::default(),
        Form::Json | Form::Why => Troubles::of(spool.lanes().await?),
    };
    let (mut after, mut size) = (None, FIRST_PAGE);
    loop {
        let page = spool.list(filter, after, size).await?;
        let now = SystemTime::now();
        for entry in &page {
            match form {
                Form::Json => object(out, &Line::new(entry, &troubles, now))?,
                Form::Columns => writeln!(out, "{}", columns(entry))?,
                Form::Why => match reason(entry, &troubles, now) {
                    Some(reason) => writeln!(out, "{}  {reason}", columns(entry))?,
                    None => writeln!(out, "{}", columns(entry))?,
                },
            }
        }
        out.flush()?;
        if page.len() < size {
            return Ok(());
        }
        after = page.last().map(|entry| entry.cursor);
        size = PAGE;
    }
}

fn columns(entry: &Entry) -> String {
    format!(
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

/// Why the message as a whole is where it is: what the first recipient in the message's own state
/// has to say.
fn reason(entry: &Entry, troubles: &Troubles, now: SystemTime) -> Option<String> {
    entry
        .recipients
        .iter()
        .filter(|recipient| recipient.state == entry.state)
        .find_map(|recipient| why(recipient, troubles, now))
}
