//! Tokens from a token server that the test starts, from files and from commands.
//!
//! ```text
//!   server    a token server on a loopback address: what it hears, and what it says
//!   tokens    when a token is fetched, and when it is not
//!   grants    what is asked, and which files are read and written
//!   answers   bad servers
//!   command   tokens from commands
//!   login     the device flow, and the browser's
//!   bearer    what a client session sees of it
//! ```
//!
//! Time passes by hand, save where a server is slow.

mod answers;
mod bearer;
mod command;
mod grants;
mod login;
pub(crate) mod server;
mod tokens;

use super::{Grant, Options, Settings, Tokens};
use server::Server;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A clock that a test moves.
#[derive(Clone)]
struct Clock(Arc<Mutex<Instant>>);

impl Clock {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    fn pass(&self, seconds: u64) {
        *self.0.lock().unwrap() += Duration::from_secs(seconds);
    }

    fn options(&self) -> Options {
        let clock = self.clone();
        Options {
            clock: Arc::new(move || *clock.0.lock().unwrap()),
            ..Options::default()
        }
    }
}

/// A folder with a client secret and a refresh token.
struct Site {
    folder: TempDir,
}

const CLIENT_SECRET: &str = "cl1ent-s3cret";
const FIRST: &str = "refresh-1";

impl Site {
    fn new() -> Self {
        let site = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        private(&site.path("client-secret"), CLIENT_SECRET);
        private(&site.path("refresh-token"), FIRST);
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn refresh_token(&self) -> String {
        fs::read_to_string(self.path("refresh-token")).unwrap()
    }

    fn refresh(&self, server: &Server) -> Settings {
        self.refresh_at(&server.url())
    }

    fn refresh_at(&self, token_url: &str) -> Settings {
        Settings {
            user: "scanner@example.org".into(),
            grant: Grant::RefreshToken {
                token_url: token_url.into(),
                client_id: "pillarbox-client".into(),
                client_secret_file: None,
                refresh_token_file: self.path("refresh-token"),
                scope: Some("mail offline_access".into()),
            },
        }
    }

    fn client_credentials(&self, server: &Server) -> Settings {
        Settings {
            user: "scanner@example.org".into(),
            grant: Grant::ClientCredentials {
                token_url: server.url(),
                client_id: "pillarbox-client".into(),
                client_secret_file: self.path("client-secret"),
                scope: Some("https://outlook.office365.com/.default".into()),
            },
        }
    }
}

fn private(path: &Path, content: &str) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// The token now in force.
async fn secret(tokens: &Tokens) -> String {
    use secrecy::ExposeSecret;
    let token = tokens.token().await.unwrap();
    token.secret.expose_secret().to_owned()
}

/// Why there is none.
async fn failure(tokens: &Tokens) -> String {
    tokens.token().await.unwrap_err().line()
}
