//! Passwords for the next server: from a file, or from a command.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Mutex;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::program;
use crate::outbound::{CredentialsError, Provider};
use crate::sandbox::v0_1::client::Credentials;
use crate::sandbox::v0_1::types::Mechanism;

/// Octets of a password. A mistaken file is not read whole.
const MOST: usize = 4_096;

/// How long a command may take. It may ask another machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long the password of a command is good for: connections are made often, passwords seldom.
const KEPT: Duration = Duration::from_secs(300);

/// How long nobody runs a command that failed: all that waited for it would wait as long again.
const FAILURE_KEPT: Duration = Duration::from_secs(10);

/// One account with a password.
pub(super) struct Password {
    user: String,
    domain: String,
    source: Source,
}

enum Source {
    /// Read at each use, so that a new password needs no reload.
    File(PathBuf),
    Command {
        command: String,
        patience: Duration,
        /// The last result, and until when it is good.
        kept: Mutex<Option<(Result<SecretString, String>, Instant)>>,
    },
}

impl Password {
    /// The password is in this file, alone.
    pub(super) fn file(user: &str, domain: &str, path: PathBuf) -> Self {
        Self::new(user, domain, Source::File(path))
    }

    /// This command prints the password.
    pub(super) fn command(user: &str, domain: &str, command: &str) -> Self {
        let source = Source::Command {
            command: command.to_owned(),
            patience: PATIENCE,
            kept: Mutex::new(None),
        };
        Self::new(user, domain, source)
    }

    fn new(user: &str, domain: &str, source: Source) -> Self {
        Self {
            user: user.to_owned(),
            domain: domain.to_owned(),
            source,
        }
    }

    async fn secret(&self) -> Result<SecretString, String> {
        match &self.source {
            Source::File(path) => {
                let path = path.clone();
                tokio::task::spawn_blocking(move || read(&path))
                    .await
                    .map_err(|error| format!("cannot read password-file: {error}"))?
            }
            Source::Command {
                command,
                patience,
                kept,
            } => {
                // Whoever comes meanwhile waits, and gets the same.
                let mut kept = kept.lock().await;
                if let Some((result, until)) = &*kept
                    && Instant::now() < *until
                {
                    return result.clone();
                }
                let result = run(command, *patience).await;
                let good = if result.is_ok() { KEPT } else { FAILURE_KEPT };
                *kept = Some((result.clone(), Instant::now() + good));
                result
            }
        }
    }
}

#[async_trait]
impl Provider for Password {
    async fn credentials(&self, mechanism: Mechanism) -> Result<Credentials, CredentialsError> {
        let secret = self.secret().await.map_err(|text| CredentialsError {
            text: format!("no password for {}: {text}", self.user),
        })?;
        // [MS-NLMP] has user and domain apart; people write them together.
        let (domain, user) = match self.user.split_once('\\') {
            Some((domain, user)) if mechanism == Mechanism::Ntlm && self.domain.is_empty() => {
                (domain, user)
            }
            _ => (self.domain.as_str(), self.user.as_str()),
        };
        Ok(Credentials {
            user: user.to_owned(),
            domain: domain.to_owned(),
            workstation: String::new(),
            secret: secret.expose_secret().to_owned(),
        })
    }

    /// The next connection asks the command again. This one does not: a wrong password said twice
    /// locks accounts out.
    async fn refused(&self) -> bool {
        if let Source::Command { kept, .. } = &self.source {
            *kept.lock().await = None;
        }
        false
    }
}

/// The password in a file that not everybody can read.
pub(crate) fn read(path: &Path) -> Result<SecretString, String> {
    let shown = path.display();
    let failed = |error: io::Error| format!("cannot read password-file {shown}: {error}");
    let metadata = fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(format!("password-file {shown} is no file"));
    }
    if metadata.permissions().mode() & 0o007 != 0 {
        return Err(format!(
            "everybody on this host can read password-file {shown}: change the password, then run \
             chmod 600 {shown}"
        ));
    }
    let mut octets = Zeroizing::new(Vec::with_capacity(MOST + 1));
    let limit = u64::try_from(MOST).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut octets))
        .map_err(failed)?;
    alone(&octets).map_err(|why| format!("password-file {shown} {why}"))
}

async fn run(command: &str, patience: Duration) -> Result<SecretString, String> {
    let octets = program::output(command, patience, MOST)
        .await
        .map_err(|error| format!("password-command {error}"))?;
    alone(&octets).map_err(|why| format!("password-command prints what {why}"))
}

/// One line, without its end.
fn alone(octets: &[u8]) -> Result<SecretString, String> {
    let line = octets.strip_suffix(b"\n").unwrap_or(octets);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if octets.len() > MOST {
        return Err(format!(
            "has more than {MOST} octets; it must be the password alone"
        ));
    }
    match std::str::from_utf8(line) {
        Ok("") => Err("is empty; it must be the password".to_owned()),
        Ok(text) if text.contains(char::is_control) => {
            Err("has several lines; it must be the password alone".to_owned())
        }
        Ok(text) => Ok(SecretString::from(text)),
        Err(_) => Err("is no text; it must be the password in UTF-8".to_owned()),
    }
}

#[cfg(test)]
#[path = "password_tests.rs"]
mod tests;
