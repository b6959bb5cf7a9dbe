//! `queue show`: all that is known of some messages, and why they are waiting.

use super::filter::Queued;
use super::form::{Line, missing, object, path};
use super::place::{Place, Trouble, block_on};
use super::why::{Troubles, why};
use super::{FIRST_PAGE, PAGE};
use crate::outbound::trace::printable;
use crate::spool::{ContentFacts, Detail, EntryRecipient, Envelope, Spool, SpoolError, timestamp};
use serde::Serialize;
use std::io::{self, BufWriter, Write};
use std::net::IpAddr;
use std::time::SystemTime;

/// Arguments of `queue show`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Identifiers, unless options say which.
    ids: Vec<String>,
    /// One JSON object a line.
    #[arg(long, conflicts_with = "content")]
    json: bool,
    /// The message itself, octet for octet, and nothing else.
    #[arg(long)]
    content: bool,
    #[command(flatten)]
    queued: Queued,
}

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// All that is known, for people.
    Text,
    /// All that is known, as a JSON object.
    Json,
    /// The message itself.
    Content,
}

pub(super) fn run(arguments: &Arguments) -> Result<bool, Trouble> {
    let given = arguments.queued.is_given();
    if arguments.ids.is_empty() != given {
        return Err(Trouble::Usage(
            "say which messages: identifiers, or options such as --recipient".to_owned(),
        ));
    }
    let (_, spool) = arguments.place.open()?;
    let Some(spool) = spool else {
        arguments.ids.iter().for_each(|id| missing(id));
        return Ok(given);
    };
    let form = match (arguments.json, arguments.content) {
        (true, _) => Form::Json,
        (_, true) => Form::Content,
        _ => Form::Text,
    };
    let mut out = BufWriter::new(io::stdout().lock());
    block_on(async {
        let troubles = match form {
            Form::Content => Troubles::default(),
            Form::Json | Form::Text => Troubles::of(spool.lanes().await?),
        };
        if !given {
            return print(&spool, &arguments.ids, form, &troubles, &mut out).await;
        }
        let filter = arguments.queued.filter(SystemTime::now());
        let (mut after, mut size, mut all) = (None, FIRST_PAGE, true);
        loop {
            let page = spool.list(&filter, after, size).await?;
            let ids: Vec<String> = page.iter().map(|entry| entry.id.clone()).collect();
            all &= print(&spool, &ids, form, &troubles, &mut out).await?;
            if page.len() < size {
                return Ok(all);
            }
            after = page.last().map(|entry| entry.cursor);
            size = PAGE;
        }
    })
}

/// Prints these messages; whether all of them could be shown.
pub(super) async fn print(
    spool: &dyn Spool,
    ids: &[String],
    form: Form,
    troubles: &Troubles,
    out: &mut dyn Write,
) -> Result<bool, Trouble> {
    let mut all = true;
    for id in ids {
        match one(spool, id, form, troubles, out).await {
            Ok(()) => {}
            Err(Trouble::Text(text)) => {
                // What was shown so far comes before what is said of this one.
                out.flush()?;
                eprintln!("pillarbox: {text}");
                all = false;
            }
            Err(other) => return Err(other),
        }
    }
    out.flush()?;
    Ok(all)
}

async fn one(
    spool: &dyn Spool,
    id: &str,
    form: Form,
    troubles: &Troubles,
    out: &mut dyn Write,
) -> Result<(), Trouble> {
    if form == Form::Content {
        let mut reader = spool.read_content(id).await?;
        while let Some(octets) = reader.next().await? {
            out.write_all(&octets)?;
        }
        return Ok(());
    }
    let detail = match spool.show(id).await {
        Err(SpoolError::NotFound { .. }) => {
            return Err(Trouble::Text(format!(
                "there is no message {id} in the spool; pillarbox queue history {id} says what \
                 became of it"
            )));
        }
        shown => shown?,
    };
    let now = SystemTime::now();
    match form {
        Form::Json => object(
            out,
            &Shown {
                line: Line::new(&detail.entry, troubles, now),
                peer: detail.peer,
                message_id: &detail.message_id,
                envelope: detail.envelope.as_ref(),
                facts: detail.facts,
            },
        )?,
        Form::Text | Form::Content => describe(out, &detail, troubles, now)?,
    }
    Ok(())
}

/// `queue show --json`.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    line: Line<'a>,
    peer: Option<IpAddr>,
    message_id: &'a str,
    envelope: Option<&'a Envelope>,
    facts: Option<ContentFacts>,
}

fn describe(
    out: &mut dyn Write,
    detail: &Detail,
    troubles: &Troubles,
    now: SystemTime,
) -> io::Result<()> {
    let entry = &detail.entry;
    writeln!(out, "id            {}", entry.id)?;
    writeln!(out, "state         {}", entry.state.name())?;
    writeln!(out, "reverse-path  {}", path(&entry.reverse_path))?;
    let identity = entry.identity.as_deref().unwrap_or("(none)");
    writeln!(out, "identity      {}", printable(identity))?;
    if let Some(peer) = detail.peer {
        writeln!(out, "peer          {peer}")?;
    }
    if let Some(envelope) = &detail.envelope {
        writeln!(out, "protocol      {}", printable(&envelope.protocol))?;
    }
    writeln!(out, "received      {}", timestamp(entry.received))?;
    writeln!(out, "size          {} octets", entry.size)?;
    writeln!(out, "message-id    {}", printable(&detail.message_id))?;
    for recipient in &entry.recipients {
        writeln!(
            out,
            "recipient     {}",
            recipient_line(recipient, troubles, now)
        )?;
    }
    writeln!(out)
}

fn recipient_line(recipient: &EntryRecipient, troubles: &Troubles, now: SystemTime) -> String {
    let mut line = format!(
        "{} {}, attempts {}",
        path(&recipient.mailbox),
        recipient.state.name(),
        recipient.attempts
    );
    if recipient.priority != 0 {
        line.push_str(&format!(", priority {}", recipient.priority));
    }
    if let Some(deadline) = recipient.deadline {
        line.push_str(&format!(", to be delivered by {}", timestamp(deadline)));
    }
    match why(recipient, troubles, now) {
        Some(why) => format!("{line}: {why}"),
        None => line,
    }
}
