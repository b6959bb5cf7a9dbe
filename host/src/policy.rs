//! What a program of the administrator's says of a message before it is taken (RFC 6409 section 6.3).
//!
//! The message comes on its standard input, as it will be stored but for our signature. Exit status 0:
//! taken. 1: refused with 550 5.7.0 (R6409-6.3-c) and the first line that it printed. Anything else,
//! and no end in time, is trouble of ours: 451, and the client comes again.
//!
//! Only the session that brought the message waits; so many programs run at a time and no more.

use std::net::IpAddr;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStdin, Command};
use tokio::sync::Semaphore;

use crate::config;
use crate::route::program::Group;
use crate::spool::{ContentWriter, SoFar, SpoolError};

/// Programs that run at a time; others wait, and their time runs.
const MOST_AT_A_TIME: usize = 16;
/// Octets of output that are looked at; what comes after them is read and thrown away.
const MOST_OUTPUT: usize = 4096;
/// Characters of a reply's text (RFC 5321 section 4.5.3.1.5, with room for codes).
const MOST_TEXT: usize = 400;
/// What is said where the program says nothing.
const SILENT: &str = "message refused by the policy of this site";

/// Runs the program.
#[derive(Debug)]
pub struct Checker {
    command: String,
    timeout: Duration,
    turns: Semaphore,
}

/// What the program is told beside the message, in its environment.
#[derive(Debug)]
pub struct Question<'a> {
    /// `PILLARBOX_ID`: identifier of the message.
    pub id: &'a str,
    /// `PILLARBOX_SENDER`: mailbox of the reverse-path, or empty.
    pub reverse_path: &'a str,
    /// `PILLARBOX_RECIPIENTS`: how many. (A list of them may be longer than an environment.)
    pub recipients: usize,
    /// `PILLARBOX_IDENTITY`: who submits it, or empty.
    pub identity: &'a str,
    /// `PILLARBOX_PEER`: address of the peer.
    pub peer: IpAddr,
}

/// What it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opinion {
    /// Nothing against it.
    Taken,
    /// Refused, with this text for the peer.
    Refused(String),
}

/// Why it says nothing.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// No shell, or no more processes.
    #[error("the check command cannot be run by /bin/sh")]
    Start(#[source] std::io::Error),
    /// It did not end.
    #[error(
        "the check command takes longer than {} s, or waits that long for others; it and all that it starts must end by then",
        .0.as_secs()
    )]
    Slow(Duration),
    /// Neither 0 nor 1.
    #[error("the check command ends with {0}; 0 takes a message, 1 refuses it")]
    Failed(ExitStatus),
    /// Its output cannot be read, or its end not be waited for.
    #[error("the check command cannot be listened to")]
    Listen(#[source] std::io::Error),
    /// The message cannot be read.
    #[error("the message cannot be read for the check command")]
    Content(#[source] SpoolError),
}

impl Checker {
    /// The program of this configuration.
    pub fn new(settings: &config::Check) -> Self {
        Self {
            command: settings.command.clone(),
            timeout: settings.timeout,
            turns: Semaphore::new(MOST_AT_A_TIME),
        }
    }

    /// Asks about the message that was written so far.
    ///
    /// # Errors
    /// Where the program says nothing that could be told.
    pub async fn ask(
        &self,
        question: &Question<'_>,
        content: &ContentWriter,
    ) -> Result<Opinion, CheckError> {
        let content = content.so_far().map_err(CheckError::Content)?;
        tokio::time::timeout(self.timeout, self.run(question, content))
            .await
            .map_err(|_| CheckError::Slow(self.timeout))?
    }

    async fn run(&self, question: &Question<'_>, content: SoFar) -> Result<Opinion, CheckError> {
        // Nobody closes it.
        let _turn = self.turns.acquire().await.ok();
        let mut child = Command::new("/bin/sh")
            .arg("-c")
            .arg(&self.command)
            .env("PILLARBOX_ID", question.id)
            .env("PILLARBOX_SENDER", question.reverse_path)
            .env("PILLARBOX_RECIPIENTS", question.recipients.to_string())
            .env("PILLARBOX_IDENTITY", question.identity)
            .env("PILLARBOX_PEER", question.peer.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // A group of its own, so that what it starts can be killed with it.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(CheckError::Start)?;
        let mut group = Group(child.id());
        let input = child.stdin.take();
        let output = child.stdout.take();
        let read = async {
            let mut kept = Vec::new();
            let mut piece = [0; 1024];
            if let Some(mut output) = output {
                loop {
                    let read = output.read(&mut piece).await?;
                    if read == 0 {
                        break;
                    }
                    let room = MOST_OUTPUT - kept.len();
                    kept.extend_from_slice(&piece[..read.min(room)]);
                }
            }
            Ok(kept)
        };
        let ((), printed) = tokio::join!(feed(input, content), read);
        let printed = printed.map_err(CheckError::Listen)?;
        let status = child.wait().await.map_err(CheckError::Listen)?;
        group.0 = None;
        match status.code() {
            Some(0) => Ok(Opinion::Taken),
            Some(1) => Ok(Opinion::Refused(text(&printed))),
            _ => Err(CheckError::Failed(status)),
        }
    }
}

/// Gives the program the message. It need not read all of it.
async fn feed(input: Option<ChildStdin>, content: SoFar) {
    let Some(mut input) = input else { return };
    if let Some(file) = content.file {
        let mut file = tokio::fs::File::from_std(file);
        if tokio::io::copy(&mut file, &mut input).await.is_err() {
            return;
        }
    }
    let _ = input.write_all(&content.memory).await;
}

/// The first line, as a reply can have it (RFC 5321 section 4.2: `textstring`).
fn text(printed: &[u8]) -> String {
    let line = printed.split(|octet| *octet == b'\n').next();
    let text: String = String::from_utf8_lossy(line.unwrap_or_default())
        .chars()
        .map(|c| if matches!(c, ' '..='~') { c } else { ' ' })
        .take(MOST_TEXT)
        .collect();
    match text.trim() {
        "" => SILENT.to_owned(),
        text => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::{Access, Spool as _, Sqlite};
    use std::time::Instant;

    async fn ask(command: &str, octets: &[u8], timeout: Duration) -> Result<Opinion, CheckError> {
        let folder = tempfile::tempdir().unwrap();
        let spool = Sqlite::open(folder.path(), Access::Service).unwrap();
        let mut writer = spool.content("a-1");
        writer.write(octets).await.unwrap();
        let checker = Checker::new(&config::Check {
            command: command.to_owned(),
            timeout,
        });
        let question = Question {
            id: "a-1",
            reverse_path: "alice@example.org",
            recipients: 2,
            identity: "alice",
            peer: IpAddr::from([192, 0, 2, 7]),
        };
        checker.ask(&question, &writer).await
    }

    const LONG: Duration = Duration::from_secs(20);

    fn refused(text: &str) -> Opinion {
        Opinion::Refused(text.to_owned())
    }

    #[tokio::test]
    async fn r6409_6_3_c_a_program_takes_and_refuses() {
        let taken = ask("cat > /dev/null", b"A: b\r\n", LONG).await.unwrap();
        assert_eq!(taken, Opinion::Taken);
        let command = "echo 'no \u{e9} here'; echo more; exit 1";
        let opinion = ask(command, b"A: b\r\n", LONG).await.unwrap();
        assert_eq!(opinion, refused("no   here"));
        let silent = ask("exit 1", b"A: b\r\n", LONG).await.unwrap();
        assert_eq!(silent, refused(SILENT));
        let failed = ask("exit 2", b"A: b\r\n", LONG).await;
        assert!(matches!(failed, Err(CheckError::Failed(_))), "{failed:?}");
        let killed = ask("kill -9 $$", b"A: b\r\n", LONG).await;
        assert!(matches!(killed, Err(CheckError::Failed(_))), "{killed:?}");
    }

    #[tokio::test]
    async fn r6409_6_3_c_a_program_gets_the_message_and_who_sent_it() {
        let command = "wc -c | tr -d ' \\n'; \
            echo \" $PILLARBOX_ID $PILLARBOX_SENDER $PILLARBOX_RECIPIENTS $PILLARBOX_IDENTITY $PILLARBOX_PEER\"; \
            exit 1";
        for size in [0, 5, 700_000] {
            let opinion = ask(command, &vec![b'x'; size], LONG).await.unwrap();
            let expected = format!("{size} a-1 alice@example.org 2 alice 192.0.2.7");
            assert_eq!(opinion, refused(&expected));
        }
    }

    #[tokio::test]
    async fn r6409_6_3_c_a_program_need_not_read_and_may_say_much() {
        let large = vec![b'x'; 1_000_000];
        assert_eq!(ask("exit 0", &large, LONG).await.unwrap(), Opinion::Taken);
        let command = "head -c 300000 /dev/zero | tr '\\0' y; exit 1";
        let opinion = ask(command, &large, LONG).await.unwrap();
        assert_eq!(opinion, refused(&"y".repeat(MOST_TEXT)));
    }

    #[tokio::test]
    async fn r6409_5_3_a_program_that_does_not_end_is_ended() {
        let began = Instant::now();
        let slow = ask("sleep 60 & sleep 60", b"x", Duration::from_secs(1)).await;
        assert!(matches!(slow, Err(CheckError::Slow(_))), "{slow:?}");
        assert!(began.elapsed() < Duration::from_secs(10));
    }
}
