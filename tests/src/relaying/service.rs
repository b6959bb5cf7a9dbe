//! `pillarbox serve` with a route for each row.

use super::queue::text;
use crate::service::binary;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long the service may take to begin.
const PATIENCE: Duration = Duration::from_secs(30);

/// Short, so that a silent server does not hold up the test; each is a wait of its own.
const TIMEOUTS: &str = "timeouts = { connect = \"2s\", handshake = \"2s\", command = \"2s\", \
                        data = \"2s\", content = \"2s\", end-of-data = \"2s\", quit = \"1s\" }";

/// What a configuration needs.
pub struct Plan {
    /// Its folder.
    pub folder: TempDir,
    /// Where names are looked up.
    pub names: SocketAddr,
    /// `[[route]]` tables.
    pub routes: String,
}

impl Plan {
    /// No route yet.
    pub fn new(names: SocketAddr) -> Result<Self, String> {
        let folder = TempDir::new().map_err(|error| format!("cannot make a folder: {error}"))?;
        Ok(Self {
            folder,
            names,
            routes: String::new(),
        })
    }

    /// One more route.
    pub fn add(&mut self, name: &str, deliver: &str, keys: &[&str], retry: &str) {
        let retry = match retry {
            "" => "first = \"3s\", longest = \"4s\", give-up = \"1h\"",
            own => own,
        };
        self.routes.push_str(&format!(
            "[[route]]\nname = \"{name}\"\ndomains = [\"{name}.test\"]\ndeliver = {deliver}\n\
             {TIMEOUTS}\nretry = {{ {retry} }}\n{}\n\n",
            keys.join("\n")
        ));
    }

    fn text(&self, listener: SocketAddr) -> String {
        let folder = self.folder.path().display();
        let names = self.names;
        let routes = &self.routes;
        // What the command gets, and how, is not what is tested: all of it is kept, a file each.
        format!(
            "hostname = \"relay.test\"\nstate-dir = \"{folder}/state\"\n\n\
             [dns]\nservers = [\"{names}\"]\n\n\
             [alarm]\ncommand = '''{{ env; cat; }} > $(mktemp {folder}/alarms/XXXXXXXX)'''\n\n\
             [log]\nformat = \"json\"\nlevel = \"info\"\n\n\
             [limits]\nconnections-per-peer = 10000\n\n\
             [[listener]]\naddress = \"{listener}\"\ntls = \"none\"\nauth = \"off\"\n\
             networks = [\"127.0.0.0/8\"]\n\n{routes}\
             [[route]]\nname = \"senders\"\ndomains = [\"sender.test\"]\n\
             deliver = \"maildir:{folder}/mail/{{domain}}/{{local}}\"\n"
        )
    }
}

/// A running service; ended when dropped.
pub struct Service {
    child: Child,
    folder: TempDir,
    /// Where it takes messages.
    pub address: SocketAddr,
    /// The program.
    pub program: PathBuf,
}

impl Service {
    /// Starts it.
    pub fn start(plan: Plan) -> Result<Self, String> {
        let failed = |what: &str, error: std::io::Error| format!("cannot {what}: {error}");
        let listener = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|socket| socket.local_addr())
            .map_err(|error| failed("find a free port", error))?;
        let folder = plan.folder.path();
        std::fs::create_dir_all(folder.join("alarms"))
            .map_err(|error| failed("make a folder", error))?;
        let config = folder.join("pillarbox.toml");
        std::fs::write(&config, plan.text(listener))
            .map_err(|error| failed("write the configuration", error))?;
        let log = std::fs::File::create(folder.join("log"))
            .map_err(|error| failed("make a log", error))?;
        let program = binary();
        let child = Command::new(&program)
            .args(["serve", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| failed("start the service", error))?;
        let mut service = Self {
            child,
            folder: plan.folder,
            address: listener,
            program,
        };
        let end = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect(listener).is_err() {
            let over = service.child.try_wait().ok().flatten();
            if over.is_some() || Instant::now() > end {
                let log = service.log();
                let start: String = log.chars().take(3_000).collect();
                return Err(format!("the service does not start:\n{start}"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(service)
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its configuration.
    pub fn config(&self) -> PathBuf {
        self.folder().join("pillarbox.toml")
    }

    /// What it logged.
    pub fn log(&self) -> String {
        let log = std::fs::read(self.folder().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// The alarms that were raised about a route, as they stand in the log: the command is told many
    /// together.
    pub fn alarms(&self, route: &str) -> Vec<String> {
        self.log()
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|line| line["message"] == "alarm")
            .map(|line| format!("{}: {}", text(&line, "subject"), text(&line, "text")))
            .filter(|alarm| alarm.contains(route))
            .collect()
    }

    /// What the alarm command was told.
    pub fn told(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.folder().join("alarms"));
        files
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|file| std::fs::read_to_string(file.path()).ok())
            .collect()
    }

    /// The Maildir files of a sender.
    pub fn mail(&self, local_part: &str) -> Vec<Vec<u8>> {
        let folder = self.folder().join("mail/sender.test").join(local_part);
        std::fs::read_dir(folder.join("new"))
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|file| std::fs::read(file.path()).ok())
            .collect()
    }

    /// The most memory it ever had, in octets, and whether it still runs.
    pub fn most_memory(&mut self) -> Option<u64> {
        if self.child.try_wait().ok()?.is_some() {
            return None;
        }
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
        let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kilobytes * 1024)
    }

    /// Keeps the folder when the service ends.
    pub fn keep(&mut self) -> PathBuf {
        self.folder.disable_cleanup(true);
        self.folder().to_owned()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
