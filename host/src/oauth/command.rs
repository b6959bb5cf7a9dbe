//! Tokens from a program of the administrator's.

use super::OauthError;
use super::response::{self, Granted};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use zeroize::Zeroizing;

/// Most output, in octets.
const MOST: u64 = 64 * 1024;

/// How long a command may take by default.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a command by `/bin/sh -c`, without input, and reads the token that it prints. It and all
/// that it started are killed when it takes longer than `patience`. What it says on standard error
/// may hold secrets: it is in no log and no error, but may be `shown` on ours.
pub(super) async fn run(
    command: &str,
    patience: Duration,
    shown: bool,
) -> Result<Granted, OauthError> {
    let failed = |why: String| OauthError::Command { why };
    let mut child = Command::new("/bin/sh")
        .arg("-c")
        .arg(command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(if shown {
            Stdio::inherit()
        } else {
            Stdio::null()
        })
        // A group of its own, so that what it starts can be killed with it.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(format!("cannot be run by /bin/sh: {error}")))?;
    let mut group = Group(child.id());
    let stdout = child.stdout.take();
    let done = tokio::time::timeout(patience, async {
        let printed = read(stdout).await;
        // (What is too much ends it: its pipe is closed by now.)
        (printed, child.wait().await)
    });
    let (printed, status) = done.await.map_err(|_| {
        failed(format!(
            "takes longer than {} s; all that it starts must end with it",
            patience.as_secs()
        ))
    })?;
    group.0 = None;
    let Some(printed) = printed else {
        return Err(failed("prints more than 64 KiB".into()));
    };
    let status = status.map_err(|error| failed(format!("cannot be waited for: {error}")))?;
    if !status.success() {
        let see = if shown {
            ""
        } else {
            "; `pillarbox oauth token` shows what it says"
        };
        return Err(failed(format!("fails ({status}){see}")));
    }
    response::output(&printed).map_err(failed)
}

/// All that comes, if it is not too much; then the pipe is closed.
async fn read(pipe: Option<impl AsyncRead + Unpin>) -> Option<Zeroizing<Vec<u8>>> {
    let mut octets = Zeroizing::new(Vec::with_capacity(4096));
    let mut pipe = pipe?.take(MOST + 1);
    pipe.read_to_end(&mut octets).await.ok()?;
    (octets.len() as u64 <= MOST).then_some(octets)
}

/// Processes that are killed with this value: a process and all that it started, as long as it has
/// not been waited for.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0.and_then(|id| i32::try_from(id).ok()) {
            let _ = killpg(Pid::from_raw(leader), Signal::SIGKILL);
        }
    }
}
