//! The control socket: how the command line tells a running service that something has changed.
//!
//! `state-dir/control.sock`, mode 0600, and the peer's credentials are checked besides: the
//! service's own account and root. One line in, one line out.

use crate::service::{Ending, Service};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;

/// Octets of a request at most: a lane has the name of a route and a domain.
const MOST: u64 = 1024;
/// Lanes that are asked for one by one; where there are more, all are.
const MOST_LANES: usize = 32;

/// What the command line can ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Messages may be due: look again.
    Wake,
    /// Try lanes that are paused or down again, now.
    Resume,
    /// Messages were held or removed: attempts that run with them stop.
    Changed,
    /// Read configuration and certificates again.
    Reload,
    /// Is anybody there?
    Ping,
}

impl Request {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Wake, "wake"),
        (Self::Resume, "resume"),
        (Self::Changed, "changed"),
        (Self::Reload, "reload"),
        (Self::Ping, "ping"),
    ];

    fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(request, _)| *request == self)
            .map_or("", |(_, name)| name)
    }

    /// The lane of `resume LANE`.
    fn lane(line: &str) -> Option<&str> {
        let line = line.strip_suffix('\n').unwrap_or(line);
        line.strip_prefix("resume ").filter(|lane| !lane.is_empty())
    }

    fn read(line: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(_, name)| *name == line.trim())
            .map(|(request, _)| *request)
    }
}

/// Where the socket of this state folder is.
pub fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("control.sock")
}

/// Makes the socket, replacing one that a dead service left. The caller holds the spool's lock, so
/// there is no other service of this state folder.
///
/// # Errors
///
/// The path and the cause.
pub fn bind(state_dir: &Path) -> Result<UnixListener, String> {
    let path = path(state_dir);
    let failed = |error: std::io::Error| format!("cannot make {}: {error}", path.display());
    if path.exists() {
        std::fs::remove_file(&path).map_err(failed)?;
    }
    let socket = UnixListener::bind(&path).map_err(failed)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(socket)
}

/// Serves requests until the service ends.
pub async fn run(socket: UnixListener, service: Arc<Service>, reload: Arc<Notify>) {
    let mut ending = service.ending();
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            _ = ending.wait_for(|ending| *ending > Ending::Running) => return,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (service, reload) = (Arc::clone(&service), Arc::clone(&reload));
        tokio::spawn(async move {
            let served =
                tokio::time::timeout(Duration::from_secs(10), answer(stream, &service, &reload));
            if let Ok(Err(error)) = served.await {
                tracing::warn!(%error, "control request failed");
            }
        });
    }
}

async fn answer(stream: UnixStream, service: &Service, reload: &Notify) -> std::io::Result<()> {
    let peer = getsockopt(&stream, PeerCredentials)?;
    let own = nix::unistd::geteuid().as_raw();
    let (read, mut write) = stream.into_split();
    if peer.uid() != own && peer.uid() != 0 {
        return write
            .write_all(b"refused: not the service's account\n")
            .await;
    }
    let mut line = String::new();
    tokio::io::BufReader::new(read.take(MOST))
        .read_line(&mut line)
        .await?;
    if let Some(lane) = Request::lane(&line) {
        service.tokens.retry();
        service.resume.lane(lane);
        service.wake.notify_one();
        return write.write_all(b"done\n").await;
    }
    let answer = match Request::read(&line) {
        Some(Request::Wake) => {
            service.wake.notify_one();
            "done\n"
        }
        Some(Request::Resume) => {
            service.tokens.retry();
            service.resume.all();
            // What waits for them is due as well.
            service.wake.notify_one();
            "done\n"
        }
        Some(Request::Changed) => {
            service.changed.notify_one();
            "done\n"
        }
        Some(Request::Reload) => {
            reload.notify_one();
            "done\n"
        }
        Some(Request::Ping) => "done\n",
        None => "refused: unknown request\n",
    };
    write.write_all(answer.as_bytes()).await
}

/// Asks a running service; `false` where none runs.
///
/// # Errors
///
/// What a running service answered instead of doing it.
pub fn ask(state_dir: &Path, request: Request) -> Result<bool, String> {
    ask_line(state_dir, request.name())
}

/// Asks a running service to try these lanes again, now; `false` where none runs.
///
/// # Errors
///
/// What a running service answered instead of doing it.
pub fn resume(state_dir: &Path, lanes: &BTreeSet<String>) -> Result<bool, String> {
    let fits = |lane: &String| {
        lane.len() + 16 < usize::try_from(MOST).unwrap_or(0) && !lane.contains(['\r', '\n'])
    };
    if lanes.len() > MOST_LANES || !lanes.iter().all(fits) {
        return ask(state_dir, Request::Resume);
    }
    for lane in lanes {
        if !ask_line(state_dir, &format!("resume {lane}"))? {
            return Ok(false);
        }
    }
    // Also without a lane: reports may be due.
    ask(state_dir, Request::Wake)
}

fn ask_line(state_dir: &Path, line: &str) -> Result<bool, String> {
    let path = path(state_dir);
    let Ok(mut stream) = std::os::unix::net::UnixStream::connect(&path) else {
        return Ok(false);
    };
    let failed = |error: std::io::Error| format!("cannot use {}: {error}", path.display());
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .map_err(failed)?;
    stream
        .write_all(format!("{line}\n").as_bytes())
        .map_err(failed)?;
    let mut answer = String::new();
    BufReader::new(stream)
        .read_line(&mut answer)
        .map_err(failed)?;
    match answer.trim() {
        "done" => Ok(true),
        other => Err(format!("the service answers: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_names_of_their_own() {
        for (request, name) in Request::ALL {
            assert_eq!(Request::read(&format!("{name}\n")), Some(request));
            assert_eq!(request.name(), name);
        }
        assert_eq!(Request::read("shutdown\n"), None);
        assert_eq!(
            Request::lane("resume mx example.org\n"),
            Some("mx example.org")
        );
        assert_eq!(Request::lane("resume \n"), None);
        assert_eq!(Request::lane("resume\n"), None);
    }

    #[test]
    fn without_a_service_nobody_answers() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(ask(folder.path(), Request::Ping), Ok(false));
    }
}
