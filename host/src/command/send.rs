//! `pillarbox send`, and the same as `sendmail`: one message, submitted with the component's
//! client session.
//!
//! ```text
//!   server      where to go, and what TLS means there
//!   login       who to be
//!   mailbox     addresses, as far as arguments must be checked before connecting
//!   message     a local file as content: line ends
//!   header      what `sendmail -t` reads and removes
//!   hand_over   the dialogue, or several
//!   report      outcomes for people, programs and exit statuses
//!   options     the options of `sendmail`
//!   sendmail    the program of that name
//! ```
//!
//! All arguments and files are read and checked before anybody is connected to (OX-C-4.1).

mod hand_over;
mod header;
mod login;
mod mailbox;
mod message;
mod options;
mod report;
mod sendmail;
mod server;

pub use sendmail::sendmail;

use super::failed;
use clap::ValueEnum;
use hand_over::{Dsn, Envelope, Order, Wishes};
use std::path::PathBuf;
use std::process::ExitCode;

/// Wrong usage.
const USAGE: u8 = 2;

/// Arguments of `send`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    server: server::Options,
    #[command(flatten)]
    login: login::Options,
    /// Reverse-path; empty for the null reverse-path.
    #[arg(long, value_name = "MAILBOX")]
    from: String,
    /// Recipients: several, or repeated.
    #[arg(long, value_name = "MAILBOX", required = true, num_args = 1..)]
    to: Vec<String>,
    /// Name for EHLO. Default: this system's name if it is fully qualified, else the address
    /// literal of this end of the connection.
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
    /// When the sender wants to hear what became of it (RFC 3461).
    #[arg(long, value_name = "success,failure,delay|never", value_parser = report::notify)]
    notify: Option<crate::sandbox::v0_1::types::Notify>,
    /// How much of the message a failure report carries (RFC 3461).
    #[arg(long)]
    ret: Option<Ret>,
    /// Envelope identifier, repeated in reports about this message (RFC 3461).
    #[arg(long, value_name = "ID")]
    envid: Option<String>,
    /// Every server on the way must use TLS with a verified certificate, or the message comes back
    /// (REQUIRETLS, RFC 8689).
    #[arg(long)]
    require_tls: bool,
    /// Priority from -9 to 9, where the server offers MT-PRIORITY (RFC 6710).
    #[arg(long, value_name = "N", allow_hyphen_values = true,
          value_parser = clap::value_parser!(i8).range(-9..=9))]
    priority: Option<i8>,
    /// The server is to hold the message for so many seconds (FUTURERELEASE, RFC 4865); one that
    /// cannot is not sent it.
    #[arg(long, value_name = "SECONDS",
          value_parser = clap::value_parser!(u32).range(1..=999_999_999))]
    hold_for: Option<u32>,
    /// The file is binary content and goes bit for bit, its line ends too (BINARYMIME, RFC 3030).
    #[arg(long)]
    binary: bool,
    /// Show the dialogue on standard error, without secrets.
    #[arg(long)]
    trace: bool,
    /// One JSON object per recipient on standard output.
    #[arg(long)]
    json: bool,
    /// The message, header section first; standard input without it. Line ends may be CRLF or LF.
    file: Option<PathBuf>,
}

/// RET parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Ret {
    /// The whole message.
    Full,
    /// Its header section.
    Hdrs,
}

/// Why nothing was submitted.
pub(super) enum Refusal {
    /// The arguments.
    Usage(String),
    /// The world.
    Failed(String),
}

/// Runs the verb.
pub fn run(arguments: &Arguments) -> ExitCode {
    let (order, content) = match prepare(arguments) {
        Ok(prepared) => prepared,
        Err(Refusal::Usage(text)) => {
            eprintln!("pillarbox: {text}");
            return ExitCode::from(USAGE);
        }
        Err(Refusal::Failed(text)) => return failed(text),
    };
    if !order.target.trust.verifies() && order.target.security != crate::outbound::Security::Off {
        eprintln!("pillarbox: warning: {}", server::UNVERIFIED);
    }
    let report = match hand_over::hand_over(&order, &content) {
        Ok(report) => report,
        Err(text) => return failed(text),
    };
    if let Err(error) = report.print(arguments.json) {
        return failed(format!("cannot write: {error}"));
    }
    report.explain(&order, "pillarbox");
    ExitCode::from(u8::from(!report.all_accepted()))
}

fn prepare(arguments: &Arguments) -> Result<(Order, Vec<u8>), Refusal> {
    let (recipients, file) = recipients_and_file(arguments);
    for recipient in &recipients {
        mailbox::check(recipient)
            .map_err(|what| Refusal::Usage(format!("--to {recipient}: {what}")))?;
    }
    let reverse_path = mailbox::reverse_path(&arguments.from)
        .map_err(|what| Refusal::Usage(format!("--from {}: {what}", arguments.from)))?;
    let hostname = match &arguments.hostname {
        Some(name) => Some(mailbox::greeting_name(name).map_err(Refusal::Usage)?),
        None => mailbox::system_name(),
    };
    let dsn = Dsn {
        notify: arguments.notify,
        ret: arguments.ret,
        envid: arguments
            .envid
            .as_deref()
            .map(report::envid)
            .transpose()
            .map_err(|what| Refusal::Usage(format!("--envid: {what}")))?,
    };
    let order = Order {
        target: arguments.server.target(hostname)?,
        login: arguments.login.login()?,
        envelope: Envelope {
            reverse_path,
            recipients,
            dsn,
            wishes: Wishes {
                require_tls: arguments.require_tls,
                priority: arguments.priority,
                hold_for: arguments.hold_for,
                binary: arguments.binary,
            },
        },
        trace: arguments.trace,
    };
    let octets = message::read(file.as_deref()).map_err(Refusal::Failed)?;
    if arguments.binary {
        return Ok((order, octets));
    }
    let content = message::to_crlf(&octets)
        .map_err(|error| Refusal::Failed(format!("{}: {error}", named(file.as_ref()))))?;
    Ok((order, content))
}

fn named(file: Option<&PathBuf>) -> String {
    file.map_or_else(
        || "standard input".into(),
        |file| file.display().to_string(),
    )
}

/// `--to A B FILE`: the last word is the file if it cannot be a mailbox.
fn recipients_and_file(arguments: &Arguments) -> (Vec<String>, Option<PathBuf>) {
    let mut recipients = arguments.to.clone();
    let mut file = arguments.file.clone();
    if file.is_none()
        && recipients.len() > 1
        && let Some(last) = recipients.pop_if(|last| mailbox::is_no_mailbox(last))
    {
        file = Some(last.into());
    }
    (recipients, file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory as _, FromArgMatches as _, Parser};

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn parse(words: &str) -> Result<Arguments, clap::Error> {
        let matches = Line::command()
            .try_get_matches_from(std::iter::once("send").chain(words.split_whitespace()))?;
        Line::from_arg_matches(&matches).map(|line| line.arguments)
    }

    const SERVER: &str = "--server mail.example.org --from a@example.org";

    #[test]
    fn the_word_after_the_recipients_is_the_file() {
        let names =
            |words: &str| recipients_and_file(&parse(&format!("{SERVER} {words}")).unwrap());
        let (to, file) = names("--to b@example.org c@example.org note.eml");
        assert_eq!(to, ["b@example.org", "c@example.org"]);
        assert_eq!(file, Some("note.eml".into()));
        let (to, file) = names("note.eml --to b@example.org --to Postmaster");
        assert_eq!(to, ["b@example.org", "Postmaster"]);
        assert_eq!(file, Some("note.eml".into()));
        let (to, file) = names("--to b@example.org c@example.org");
        assert_eq!((to.len(), file), (2, None));
        let (to, file) = names("--to b@example.org -- x@y");
        assert_eq!((to.len(), file), (1, Some("x@y".into())));
    }

    #[test]
    fn ox_c_4_1_bad_arguments_are_an_error_before_connecting() {
        for (words, part) in [
            ("--to nobody", "nobody"),
            ("--to a@b --hostname printer", "printer"),
            ("--to a@b --user u", "--password-file"),
            ("--to a@b --auth plain", "--user"),
            ("--to a@b --tls-ca /none/ca.pem", "/none/ca.pem"),
            ("--to a@b --tls off --tls-unverified", "--tls"),
        ] {
            let arguments = parse(&format!("{SERVER} {words}")).unwrap();
            match prepare(&arguments) {
                Err(Refusal::Usage(text) | Refusal::Failed(text)) => {
                    assert!(text.contains(part), "{words}: {text}");
                }
                Ok(_) => panic!("{words}"),
            }
        }
        assert!(parse("--server h --from a@b").is_err());
        assert!(parse(&format!("{SERVER} --to a@b --notify never,delay")).is_err());
        assert!(parse(&format!("{SERVER} --to a@b --auth scram")).is_err());
        assert!(parse(&format!("{SERVER} --to a@b --auth NTLM")).is_ok());
        assert!(parse(&format!("{SERVER} --to a@b --priority 10")).is_err());
        assert!(parse(&format!("{SERVER} --to a@b --hold-for 0")).is_err());
        assert!(parse(&format!("{SERVER} --to a@b --eight-bit maybe")).is_err());
    }

    #[test]
    fn what_is_asked_of_the_server_reaches_the_envelope() {
        let scratch = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(scratch.path(), b"\0\n\r").unwrap();
        let words = format!(
            "{SERVER} --tls off --to a@b --require-tls --priority -3 --hold-for 60 --binary \
             --eight-bit convert --chunking -- {}",
            scratch.path().display()
        );
        let Ok((order, content)) = prepare(&parse(&words).unwrap()) else {
            panic!("{words}");
        };
        assert_eq!(
            order.envelope.wishes,
            Wishes {
                require_tls: true,
                priority: Some(-3),
                hold_for: Some(60),
                binary: true
            }
        );
        assert!(order.target.transfer.convert && order.target.transfer.chunking);
        // Bit for bit.
        assert_eq!(content, b"\0\n\r");
    }
}
