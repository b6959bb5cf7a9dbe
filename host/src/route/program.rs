//! Programs of the administrator's that print a secret.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use zeroize::Zeroizing;

/// Why a program gave nothing. What it says on standard error is not repeated: it may be the secret.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProgramError {
    /// No shell, or no more processes.
    #[error("cannot be run by /bin/sh: {0}")]
    Start(#[source] io::Error),
    /// It did not end.
    #[error("takes longer than {} s; it and all that it starts must end by then", .0.as_secs())]
    Slow(Duration),
    /// It does not look like a secret.
    #[error("prints more than {0} octets; it must print the secret alone")]
    Long(usize),
    /// It says itself that it failed.
    #[error("fails ({0}); run it by hand, as the account of the service, to see why")]
    Failed(ExitStatus),
    /// Its output cannot be read.
    #[error("cannot be listened to: {0}")]
    Read(#[source] io::Error),
}

/// Standard output of a command that `/bin/sh -c` runs, without input. It and all that it started
/// are killed when it takes longer than `patience`, and when nobody waits for it any more.
pub(super) async fn output(
    command: &str,
    patience: Duration,
    most: usize,
) -> Result<Zeroizing<Vec<u8>>, ProgramError> {
    let mut child = Command::new("/bin/sh")
        .arg("-c")
        .arg(command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // A group of its own, so that what it starts can be killed with it.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(ProgramError::Start)?;
    let mut group = Group(child.id());
    let pipe = child.stdout.take();
    let ended = tokio::time::timeout(patience, async {
        // Room for all of it: what grows moves, and leaves its octets behind.
        let mut octets = Zeroizing::new(Vec::with_capacity(most + 1));
        if let Some(pipe) = pipe {
            let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
            pipe.take(limit).read_to_end(&mut octets).await?;
        }
        if octets.len() > most {
            return Ok(None);
        }
        Ok(Some((octets, child.wait().await?)))
    });
    let ended = ended.await.map_err(|_| ProgramError::Slow(patience))?;
    let (octets, status) = ended
        .map_err(ProgramError::Read)?
        .ok_or(ProgramError::Long(most))?;
    group.0 = None;
    if status.success() {
        Ok(octets)
    } else {
        Err(ProgramError::Failed(status))
    }
}

/// Processes that are killed with this value: one and all that it started, as long as it has not
/// been waited for.
pub(crate) struct Group(pub(crate) Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0.and_then(|id| i32::try_from(id).ok()) {
            // It may have ended by itself meanwhile.
            let _ = killpg(Pid::from_raw(leader), Signal::SIGKILL);
        }
    }
}
