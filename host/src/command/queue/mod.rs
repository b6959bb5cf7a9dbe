//! `pillarbox queue`: the messages in the spool, whether the service runs or not.
//!
//! A running service is told afterwards what has changed; the spool itself takes the change, so
//! that nothing depends on the service's mood.
//!
//! ```text
//!   place     the configuration, its spool, and what can go wrong with both
//!   filter    options that say which messages
//!   list      one line per message
//!   show      all about some
//!   why       why a recipient is waiting, in one line
//!   form      the JSON forms and words that several verbs share
//!   change    retry, hold, release, remove
//!   routes    where messages queue, and what is wrong there
//!   history   what became of recipients that are done
//! ```
//!
//! All verbs read page by page, so that memory does not grow with the queue and the first line
//! comes at once; a reader that goes away (`| head`) ends them without an error.

mod change;
mod filter;
mod form;
mod history;
mod list;
mod place;
mod routes;
mod show;
#[cfg(test)]
mod tests;
mod why;

use super::failed;
use crate::spool::Change;
use clap::Subcommand;
use place::Trouble;
use std::process::ExitCode;

/// Messages of the first page: it must be there at once.
const FIRST_PAGE: usize = 50;
/// Messages of every other page.
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
    List(list::Arguments),
    /// All that is known of messages, and why they are waiting.
    Show(show::Arguments),
    /// Try now what is waiting or deferred, and routes that are paused or down.
    Retry(change::Arguments),
    /// Keep messages, with all their recipients, until they are released.
    Hold(change::Arguments),
    /// Let held messages go.
    Release(change::Arguments),
    /// Remove messages, with all their recipients and without a report to anybody.
    Remove(change::Arguments),
    /// Where messages queue, how many, and what is wrong there.
    Routes(routes::Arguments),
    /// What became of recipients that are done, the latest first.
    History(history::Arguments),
}

/// Runs the verb.
pub fn run(arguments: &Arguments) -> ExitCode {
    let done = match &arguments.verb {
        Verb::List(arguments) => list::run(arguments),
        Verb::Show(arguments) => show::run(arguments),
        Verb::Retry(arguments) => change::run(Change::Retry, arguments),
        Verb::Hold(arguments) => change::run(Change::Hold, arguments),
        Verb::Release(arguments) => change::run(Change::Release, arguments),
        Verb::Remove(arguments) => change::run(Change::Remove, arguments),
        Verb::Routes(arguments) => routes::run(arguments),
        Verb::History(arguments) => history::run(arguments),
    };
    match done {
        Ok(true) | Err(Trouble::Nobody) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(Trouble::Usage(text)) => {
            eprintln!("error: {text}\n\nFor more information, try '--help'.");
            ExitCode::from(2)
        }
        Err(Trouble::Text(text)) => failed(text),
    }
}
