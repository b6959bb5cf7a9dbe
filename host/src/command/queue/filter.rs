//! Options that say which messages.

use crate::spool::{Filter, State};
use clap::ValueEnum;
use std::time::{Duration, SystemTime};

/// Options that the queue and its history have in common. A message must fulfil all of them; what
/// concerns recipients must hold for one and the same recipient.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Which messages")]
pub(super) struct Options {
    /// From this mailbox; with @example.org from any of this domain; <> is the null reverse-path.
    #[arg(long, value_name = "MAILBOX")]
    sender: Option<String>,
    /// To this mailbox.
    #[arg(long, value_name = "MAILBOX")]
    recipient: Option<String>,
    /// To a mailbox of this domain.
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<String>,
    /// Submitted by this identity.
    #[arg(long, value_name = "NAME")]
    identity: Option<String>,
    /// Accepted longer ago than this: 90s, 2h, 3d. In the history: ended.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    older: Option<Duration>,
    /// Accepted less long ago than this. In the history: ended.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    newer: Option<Duration>,
    /// The last reply has this text in it.
    #[arg(long, value_name = "TEXT")]
    reply: Option<String>,
    /// Goes over this route.
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    /// The Message-ID has this in it.
    #[arg(long, value_name = "TEXT")]
    message_id: Option<String>,
}

/// Options that say which messages of the queue.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Which messages")]
pub(super) struct Queued {
    #[command(flatten)]
    options: Options,
    /// A recipient is in this state.
    #[arg(long, value_enum)]
    state: Option<Only>,
}

/// States that a recipient in the queue can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Only {
    /// No attempt so far.
    Waiting,
    /// An attempt is running.
    Delivering,
    /// Tried again later.
    Deferred,
    /// Not tried before it is released.
    Held,
    /// Done; a report to the sender is still to be made.
    Delivered,
    /// Never delivered; a report to the sender is still to be made.
    Failed,
}

impl From<Only> for State {
    fn from(only: Only) -> Self {
        match only {
            Only::Waiting => Self::Waiting,
            Only::Delivering => Self::Delivering,
            Only::Deferred => Self::Deferred,
            Only::Held => Self::Held,
            Only::Delivered => Self::Delivered,
            Only::Failed => Self::Failed,
        }
    }
}

impl Options {
    /// As the spool takes it.
    pub(super) fn filter(&self, now: SystemTime) -> Filter {
        // Further back than time goes: nothing is older, everything is newer.
        let ago = |span: Duration| now.checked_sub(span).unwrap_or(SystemTime::UNIX_EPOCH);
        Filter {
            sender: self.sender.as_deref().map(bare),
            recipient: self.recipient.as_deref().map(bare),
            domain: self
                .domain
                .as_ref()
                .map(|domain| domain.strip_prefix('@').unwrap_or(domain).to_owned()),
            identity: self.identity.clone(),
            before: self.older.map(ago),
            since: self.newer.map(ago),
            reply: self.reply.clone(),
            route: self.route.clone(),
            message_id: self.message_id.clone(),
            ..Filter::default()
        }
    }

    /// The route that is asked for.
    pub(super) fn route(&self) -> Option<&str> {
        self.route.as_deref()
    }
}

impl Queued {
    /// As the spool takes it.
    pub(super) fn filter(&self, now: SystemTime) -> Filter {
        Filter {
            state: self.state.map(State::from),
            ..self.options.filter(now)
        }
    }

    /// Whether any option was given.
    pub(super) fn is_given(&self) -> bool {
        self.filter(SystemTime::UNIX_EPOCH) != Filter::default()
    }
}

/// A mailbox without the angle brackets that logs and lists show it in.
fn bare(mailbox: &str) -> String {
    mailbox
        .strip_prefix('<')
        .and_then(|rest| rest.strip_suffix('>'))
        .unwrap_or(mailbox)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        queued: Queued,
    }

    fn read(arguments: &[&str]) -> Queued {
        Line::try_parse_from(std::iter::once(&"queue").chain(arguments))
            .unwrap()
            .queued
    }

    #[test]
    fn every_option_comes_to_the_spool() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let queued = read(&[
            "--sender=<>",
            "--recipient=<bob@example.net>",
            "--domain=@example.net",
            "--identity=alice",
            "--older=2h",
            "--newer=1d",
            "--state=held",
            "--reply=disk full",
            "--route=smarthost",
            "--message-id=4f2c",
        ]);
        let expected = Filter {
            state: Some(State::Held),
            identity: Some("alice".into()),
            sender: Some(String::new()),
            recipient: Some("bob@example.net".into()),
            domain: Some("example.net".into()),
            before: Some(now - Duration::from_secs(2 * 3600)),
            since: Some(now - Duration::from_secs(24 * 3600)),
            reply: Some("disk full".into()),
            route: Some("smarthost".into()),
            message_id: Some("4f2c".into()),
            id: None,
        };
        assert_eq!(queued.filter(now), expected);
        assert!(queued.is_given());
    }

    #[test]
    fn nothing_given_is_everything() {
        assert!(!read(&[]).is_given());
        assert!(read(&["--older=100000years"]).is_given());
        assert!(Line::try_parse_from(["queue", "--older=2"]).is_err());
        assert!(Line::try_parse_from(["queue", "--state=gone"]).is_err());
    }
}
