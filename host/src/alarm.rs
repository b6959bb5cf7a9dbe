//! Alarms: what a person must look at, told once.
//!
//! An alarm has a subject, which is raised until it is cleared. It is logged at error level, and told
//! to a command of the administrator's (`[alarm]`), which may send a text message or a mail by
//! another way: mail may be just what does not work. The command runs seldom, however much goes
//! wrong at once: one at a time, one a minute, and what came meanwhile is told together.

use std::collections::HashSet;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};

/// Time from one command to the next.
const EVERY: Duration = Duration::from_secs(60);
/// Time that a command has.
const TIME_LIMIT: Duration = Duration::from_secs(30);
/// Alarms that are told together by name. Of the others only the number is told.
const MOST_PENDING: usize = 100;
/// Subjects that are known to be raised. Further ones are told each time.
const MOST_RAISED: usize = 10_000;
/// Most octets of a text in the environment, of which a system has little; it is whole on standard
/// input.
const MOST_ENVIRONMENT: usize = 16 * 1024;

/// Tells people.
pub trait Alarm: Send + Sync {
    /// Something is wrong. Told once for a subject, until it is cleared. Never blocks.
    fn raise(&self, subject: &str, text: &str);

    /// It is no longer so. Does nothing if it was not raised.
    fn clear(&self, subject: &str);
}

/// The log, and a command.
pub struct Alarms {
    command: ArcSwapOption<String>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    raised: HashSet<String>,
    pending: Vec<(String, String)>,
    /// Those that did not fit.
    more: usize,
}

impl Alarms {
    /// With this command, or the log alone. [`run`](Self::run) must run for the command to.
    pub fn new(command: Option<String>) -> Arc<Self> {
        Arc::new(Self {
            command: ArcSwapOption::from(command.map(Arc::new)),
            state: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// Puts another command in force.
    pub fn set_command(&self, command: Option<String>) {
        self.command.store(command.map(Arc::new));
    }

    /// Subjects that are raised, in their order.
    pub fn raised(&self) -> Vec<String> {
        let mut raised: Vec<String> = self.state().raised.iter().cloned().collect();
        raised.sort();
        raised
    }

    /// Runs the command for what is raised, until `shutdown` is ready; a command that runs then is
    /// killed.
    pub async fn run(&self, shutdown: impl Future<Output = ()>) {
        tokio::select! {
            () = shutdown => {}
            () = self.tell(EVERY, TIME_LIMIT) => {}
        }
    }

    async fn tell(&self, every: Duration, limit: Duration) {
        loop {
            let Some((subject, text)) = self.take() else {
                self.changed.notified().await;
                continue;
            };
            let began = Instant::now();
            if let Some(command) = self.command.load_full() {
                command_of(&command, &subject, &text, limit).await;
            }
            sleep_until(began + every).await;
        }
    }

    /// What is to be told now.
    fn take(&self) -> Option<(String, String)> {
        let mut state = self.state();
        let more = std::mem::take(&mut state.more);
        let mut pending = std::mem::take(&mut state.pending);
        if pending.len() + more <= 1 {
            return pending.pop();
        }
        let subject = format!("{} alarms", pending.len() + more);
        let mut text: String = pending
            .iter()
            .map(|(subject, text)| format!("{subject}: {text}\n"))
            .collect();
        if more > 0 {
            text.push_str(&format!("and {more} more, which are in the log\n"));
        }
        Some((subject, text))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // No code that could panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Alarm for Alarms {
    fn raise(&self, subject: &str, text: &str) {
        let mut state = self.state();
        if state.raised.contains(subject) {
            return;
        }
        if state.raised.len() < MOST_RAISED {
            state.raised.insert(subject.to_owned());
        }
        tracing::error!(subject, text, "alarm");
        if self.command.load().is_some() {
            if state.pending.len() < MOST_PENDING {
                state.pending.push((subject.to_owned(), text.to_owned()));
            } else {
                state.more += 1;
            }
            self.changed.notify_one();
        }
    }

    fn clear(&self, subject: &str) {
        let mut state = self.state();
        if state.raised.remove(subject) {
            // What is over before it was told need not wake anybody.
            state.pending.retain(|(pending, _)| pending != subject);
            tracing::info!(subject, "this alarm is over");
        }
    }
}

/// Runs the command, whose failures go to the log: there is nobody else to tell.
async fn command_of(command: &str, subject: &str, text: &str, limit: Duration) {
    let spawned = Command::new("/bin/sh")
        .arg("-c")
        .arg(command)
        .env("PILLARBOX_ALARM", for_environment(subject))
        .env("PILLARBOX_ALARM_TEXT", for_environment(text))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    let child = match spawned {
        Ok(child) => child,
        Err(error) => {
            tracing::error!(subject, %error, "cannot run the alarm command");
            return;
        }
    };
    let mut group = Group(child);
    match timeout(limit, fed(&mut group.0, text)).await {
        Ok(Ok(status)) if status.success() => {}
        Ok(Ok(status)) => tracing::error!(subject, %status, "the alarm command failed"),
        Ok(Err(error)) => tracing::error!(subject, %error, "cannot wait for the alarm command"),
        Err(_) => {
            tracing::error!(subject, "the alarm command took too long and was killed");
            drop(group);
        }
    }
}

/// Gives the text, and waits for the end. A command need not read.
async fn fed(child: &mut Child, text: &str) -> std::io::Result<std::process::ExitStatus> {
    let stdin = child.stdin.take();
    let write = async move {
        if let Some(mut stdin) = stdin {
            let _ = stdin.write_all(text.as_bytes()).await;
        }
    };
    let (status, ()) = tokio::join!(child.wait(), write);
    status
}

/// A command with all that it started, which ends with this.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // Without a number it was waited for, and that number may be somebody else's.
        if let Some(id) = self.0.id().and_then(|id| i32::try_from(id).ok()) {
            let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
        }
    }
}

/// A value without NUL, of a length that the system takes.
fn for_environment(text: &str) -> String {
    let end = text.floor_char_boundary(MOST_ENVIRONMENT);
    text[..end].replace('\0', "?")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(alarms: &Alarms) -> Option<(String, String)> {
        alarms.take()
    }

    fn told(subject: &str, text: &str) -> Option<(String, String)> {
        Some((subject.to_owned(), text.to_owned()))
    }

    #[test]
    fn a_subject_is_told_once_until_it_is_cleared() {
        let alarms = Alarms::new(Some("true".into()));
        alarms.raise("a", "first");
        assert_eq!(pending(&alarms), told("a", "first"));
        alarms.raise("a", "second");
        assert_eq!(pending(&alarms), None);
        assert_eq!(alarms.raised(), ["a"]);
        alarms.clear("a");
        alarms.clear("b");
        alarms.raise("a", "third");
        assert_eq!(pending(&alarms), told("a", "third"));
    }

    #[test]
    fn what_is_over_before_it_was_told_is_not_told() {
        let alarms = Alarms::new(Some("true".into()));
        alarms.raise("a", "first");
        alarms.clear("a");
        assert_eq!(pending(&alarms), None);
    }

    #[test]
    fn many_are_told_together() {
        let alarms = Alarms::new(Some("true".into()));
        alarms.raise("a", "one");
        alarms.raise("b", "two");
        assert_eq!(pending(&alarms), told("2 alarms", "a: one\nb: two\n"));
        for number in 0..150 {
            alarms.raise(&format!("c{number}"), "three");
        }
        let (subject, text) = pending(&alarms).unwrap();
        assert_eq!(subject, "150 alarms");
        assert_eq!(text.lines().count(), 101);
        assert!(text.ends_with("and 50 more, which are in the log\n"));
    }

    #[test]
    fn without_a_command_nothing_waits() {
        let alarms = Alarms::new(None);
        alarms.raise("a", "one");
        assert_eq!(pending(&alarms), None);
        assert_eq!(alarms.raised(), ["a"]);
    }

    #[tokio::test]
    async fn the_command_gets_subject_and_text() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("told");
        let command = format!(
            "{{ printf '%s|%s|' \"$PILLARBOX_ALARM\" \"$PILLARBOX_ALARM_TEXT\"; cat; }} > '{}'",
            file.display()
        );
        command_of(&command, "a \"b\" $(c)", "line\nline\0", TIME_LIMIT).await;
        let told = std::fs::read(&file).unwrap();
        assert_eq!(told, b"a \"b\" $(c)|line\nline?|line\nline\0");
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_killed_with_what_it_started() {
        let began = Instant::now();
        // More than a pipe holds, and nobody reads it.
        let text = "x".repeat(1_000_000);
        command_of(
            "sleep 60 & sleep 60",
            "a",
            &text,
            Duration::from_millis(200),
        )
        .await;
        assert!(began.elapsed() < Duration::from_secs(20));
    }

    #[tokio::test]
    async fn commands_come_one_at_a_time_and_seldom() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("told");
        let command = format!(
            "printf '%s\\n' \"$PILLARBOX_ALARM\" >> '{}'",
            file.display()
        );
        let alarms = Alarms::new(Some(command));
        let telling = {
            let alarms = Arc::clone(&alarms);
            tokio::spawn(async move { alarms.tell(Duration::from_secs(2), TIME_LIMIT).await })
        };
        let lines = || std::fs::read_to_string(&file).unwrap_or_default();
        let wait = |expected: &'static str| {
            let lines = &lines;
            async move {
                for _ in 0..500 {
                    if lines() == expected {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                panic!("{:?} instead of {expected:?}", lines());
            }
        };
        alarms.raise("a", "one");
        wait("a\n").await;
        alarms.raise("b", "two");
        alarms.raise("c", "three");
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(lines(), "a\n", "it is not yet time");
        wait("a\n2 alarms\n").await;
        telling.abort();
    }
}
