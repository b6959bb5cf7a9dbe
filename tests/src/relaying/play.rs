//! One row, from its submission to its last check. `check` looks at contents, reports and attempts.

mod check;

use super::queue::{Fate, Queue, Snapshot};
pub use super::report::Told;
use super::row::{Lane, Row, Sender, Want, has_words};
use super::service::Service;
use super::submit::submit;
use crate::scripted::names::Names;
use crate::scripted::{Seen, Server};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{RwLock, Semaphore, watch};
use tokio::time::Instant;

/// How long each act may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long nothing must happen while a lane is paused.
const PAUSE: Duration = Duration::from_secs(4);
/// Connections until a lane is paused: three tries, and one that was begun meanwhile.
const TRIES: usize = 4;
/// Rows that submit at a time.
const SUBMITTING: usize = 16;

/// What all rows share.
#[derive(Clone)]
pub struct Stage {
    service: Arc<Mutex<Service>>,
    address: SocketAddr,
    folder: PathBuf,
    queue: Queue,
    watch: watch::Receiver<Result<Arc<Snapshot>, String>>,
    names: Names,
    submitting: Arc<Semaphore>,
    /// Held for reading until a paused route was seen to be left alone, and for writing by whoever
    /// retries: that sets all routes going.
    quiet: Arc<RwLock<()>>,
}

impl Stage {
    /// Around a running service.
    pub fn new(service: Arc<Mutex<Service>>, names: Names) -> Self {
        let (address, folder, queue) = {
            let service = service.lock().unwrap_or_else(PoisonError::into_inner);
            let queue = Queue {
                program: service.program.clone(),
                config: service.config(),
            };
            (service.address, service.folder().to_owned(), queue)
        };
        Self {
            service,
            address,
            folder,
            watch: queue.clone().watch(),
            queue,
            names,
            submitting: Arc::new(Semaphore::new(SUBMITTING)),
            quiet: Arc::default(),
        }
    }

    /// Plays a row; what was seen, in a line, or what is wrong.
    pub async fn play(&self, route: &str, row: &Row, servers: &[Server]) -> Result<String, String> {
        Play {
            stage: self,
            route,
            row,
            servers,
            ids: Vec::new(),
            contents: Vec::new(),
        }
        .acts()
        .await
    }

    fn service<T>(&self, ask: impl FnOnce(&Service) -> T) -> T {
        ask(&self.service.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until a condition holds for what the queue says; its last complaint, if it never does.
    async fn wait(
        &self,
        what: &str,
        mut complaint: impl FnMut(&Snapshot) -> Option<String>,
    ) -> Result<Arc<Snapshot>, String> {
        let end = Instant::now() + PATIENCE;
        let mut watch = self.watch.clone();
        loop {
            // A look that began after the call.
            for _ in 0..2 {
                watch.changed().await.map_err(|error| error.to_string())?;
            }
            let snapshot = watch.borrow_and_update().clone()?;
            match complaint(&snapshot) {
                None => return Ok(snapshot),
                Some(complaint) if Instant::now() > end => {
                    return Err(format!("{what}: {complaint}"));
                }
                Some(_) => {}
            }
        }
    }
}

struct Play<'a> {
    stage: &'a Stage,
    route: &'a str,
    row: &'a Row,
    servers: &'a [Server],
    ids: Vec<String>,
    contents: Vec<Vec<u8>>,
}

impl Play<'_> {
    async fn acts(mut self) -> Result<String, String> {
        let quiet = match self.row.lane {
            Some(Lane::Paused) => Some(self.stage.quiet.read().await),
            _ => None,
        };
        self.submit().await?;
        self.stage
            .wait("with the server as scripted", |snapshot| {
                self.first_act(snapshot)
            })
            .await?;
        if let Some(lane) = self.row.lane {
            self.lane(lane).await?;
        }
        drop(quiet);
        let connections = self.seen().iter().map(|seen| seen.connections).sum();
        if !self.row.connections.contains(&connections) {
            let range = &self.row.connections;
            return Err(format!("{connections} connections, not {range:?}"));
        }
        if self.row.delay_note {
            self.reports("delayed", &self.row.recipients).await?;
        }
        if self.row.damage {
            damage(&self.stage.folder.join("state"), &self.message_id(0))?;
        }
        self.recover().await?;
        let end = self
            .stage
            .wait("after the recovery", |snapshot| self.second_act(snapshot))
            .await?;
        self.check_contents()?;
        self.check_reports().await?;
        self.check_attempts(&end)?;
        if let (Some(check), Some(seen)) = (self.row.check, self.seen().first()) {
            check(seen)?;
        }
        Ok(self.summary(connections, &end))
    }

    fn reverse_path(&self) -> String {
        match self.row.sender {
            Sender::Local => format!("{}@sender.test", self.route),
            Sender::Null => String::new(),
            Sender::There => format!("s@{}.test", self.route),
        }
    }

    fn mailbox(&self, local_part: &str) -> String {
        format!("{local_part}@{}.test", self.route)
    }

    fn message_id(&self, message: usize) -> String {
        format!("<{}.{message}@sender.test>", self.route)
    }

    async fn submit(&mut self) -> Result<(), String> {
        let submitting = Arc::clone(&self.stage.submitting);
        let _turn = submitting
            .acquire()
            .await
            .map_err(|error| error.to_string())?;
        let recipients: Vec<String> = self
            .row
            .recipients
            .iter()
            .map(|one| self.mailbox(one))
            .collect();
        for message in 0..self.row.messages {
            let content = self.content(message);
            let id = submit(
                self.stage.address,
                &self.reverse_path(),
                self.row.mail,
                &recipients,
                self.row.rcpt,
                &content,
            )
            .await?;
            self.ids.push(id);
            self.contents.push(content);
        }
        Ok(())
    }

    /// With what is easily damaged: lines of dots, long lines, trailing blanks.
    fn content(&self, message: usize) -> Vec<u8> {
        let mut text = format!(
            "From: <x@sender.test>\r\nTo: <a@{}.test>\r\nSubject: {}\r\n\
             Date: Wed, 25 Nov 2026 03:04:05 +0000\r\nMessage-ID: {}\r\n\r\n\
             .\r\n..\r\n.a dot first\r\ntrailing blanks  \r\n{}\r\n",
            self.route,
            self.row.name,
            self.message_id(message),
            "x".repeat(990)
        );
        if self.row.eight_bit {
            text.push_str("Gr\u{fc}\u{df}e\r\n");
        }
        let line = format!("{}\r\n", "0123456789".repeat(7));
        while text.len() < self.row.size {
            text.push_str(&line);
        }
        text.push_str("the end\r\n");
        text.into_bytes()
    }

    /// Every recipient of every message.
    fn each(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.ids.iter().flat_map(|id| {
            let recipients = self.row.recipients.iter();
            recipients.map(move |recipient| (id.as_str(), *recipient))
        })
    }

    fn fate(&self, snapshot: &Snapshot, id: &str, recipient: &str) -> Result<Fate, String> {
        snapshot
            .fate(id, &self.mailbox(recipient))
            .ok_or_else(|| format!("{recipient} of {id} is nowhere"))
    }

    fn first_act(&self, snapshot: &Snapshot) -> Option<String> {
        let mut each = self.each();
        each.find_map(|(id, recipient)| {
            let fate = match self.fate(snapshot, id, recipient) {
                Ok(fate) => fate,
                Err(nowhere) => return Some(nowhere),
            };
            let state = fate.state.as_str();
            let good = match self.row.want(recipient) {
                Want::Delivered => state == "delivered",
                Want::Failed(..) => state == "failed",
                Want::Held(words) => state == "held" && has_words(&fate.last_reply, words),
                Want::Deferred(words) => {
                    matches!(state, "deferred" | "delivering" | "waiting")
                        && !fate.last_reply.is_empty()
                        && has_words(&fate.last_reply, words)
                }
            };
            let want = self.row.want(recipient);
            (!good).then(|| format!("{recipient} is {fate:?}, not {want:?}"))
        })
    }

    fn second_act(&self, snapshot: &Snapshot) -> Option<String> {
        let mut each = self.each();
        each.find_map(|(id, recipient)| {
            let fate = match self.fate(snapshot, id, recipient) {
                Ok(fate) => fate,
                Err(nowhere) => return Some(nowhere),
            };
            let want = match self.row.want(recipient) {
                Want::Deferred(_) if self.row.damage => "held",
                Want::Delivered | Want::Deferred(_) => "delivered",
                Want::Failed(..) => "failed",
                Want::Held(_) => "held",
            };
            let ends = snapshot.ends(id, &self.mailbox(recipient));
            if fate.state != want {
                Some(format!("{recipient} is {fate:?}, not {want}"))
            } else if ends != usize::from(want != "held") {
                Some(format!("{recipient} is {ends} times in the history"))
            } else {
                None
            }
        })
    }

    /// CL-route: a paused lane is left alone, and one alarm says so.
    async fn lane(&self, lane: Lane) -> Result<(), String> {
        let name = match lane {
            Lane::Down => "down",
            Lane::Paused => "paused",
        };
        self.stage
            .wait("the lane", |snapshot| {
                let so = snapshot.is_in_trouble(self.route, name);
                (!so).then(|| format!("it is not {name}: {:?}", snapshot.routes))
            })
            .await?;
        if lane == Lane::Down {
            return Ok(());
        }
        let before: usize = self.seen().iter().map(|seen| seen.connections).sum();
        tokio::time::sleep(PAUSE).await;
        let after: usize = self.seen().iter().map(|seen| seen.connections).sum();
        if after != before || after > TRIES * self.servers.len() {
            return Err(format!(
                "{before}, then {after} connections to a paused server"
            ));
        }
        let alarms = self.stage.service(|service| service.alarms(self.route));
        if alarms.len() != 1 {
            return Err(format!("{} alarms: {alarms:?}", alarms.len()));
        }
        Ok(())
    }

    async fn recover(&self) -> Result<(), String> {
        for server in self.servers {
            server.recover();
        }
        if let Some(host) = self.row.host {
            self.stage.names.add(host);
        }
        let paused = match &*self.stage.watch.borrow() {
            Ok(snapshot) => snapshot.is_in_trouble(self.route, "paused"),
            Err(_) => false,
        };
        if paused {
            let mut arguments = vec!["retry"];
            arguments.extend(self.ids.iter().map(String::as_str));
            let _alone = self.stage.quiet.write().await;
            match self.stage.queue.run(&arguments).await {
                // Another row's retry set this route going too, and all of it is delivered.
                Err(error) if !error.contains("there is no message") => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn seen(&self) -> Vec<Seen> {
        self.servers.iter().map(Server::seen).collect()
    }

    fn summary(&self, connections: usize, end: &Snapshot) -> String {
        let fates: Vec<String> = self
            .row
            .recipients
            .iter()
            .map(|recipient| {
                let fate = match self.row.want(recipient) {
                    Want::Delivered => "delivered".to_owned(),
                    Want::Deferred(_) if self.row.damage => "deferred, held".to_owned(),
                    Want::Deferred(_) => "deferred, delivered".to_owned(),
                    Want::Failed(status, _) => format!("failed {status}"),
                    Want::Held(_) => "held".to_owned(),
                };
                let attempts = self
                    .ids
                    .iter()
                    .filter_map(|id| self.fate(end, id, recipient).ok())
                    .map(|fate| fate.attempts)
                    .max();
                format!("{recipient} {fate} after {}", attempts.unwrap_or_default())
            })
            .collect();
        let all: usize = self.seen().iter().map(|seen| seen.connections).sum();
        format!(
            "{}; {connections} connections, then {all}",
            fates.join(", ")
        )
    }
}

/// Changes an octet in the middle of the stored file that has these words near its start.
fn damage(folder: &Path, words: &str) -> Result<(), String> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).map_err(|error| error.to_string())?;
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            // The database has the words too, and is not to be damaged here.
            let is_database = |name: &str| name.contains("sqlite") || name.contains(".db");
            if path
                .file_name()
                .and_then(|name| name.to_str())
                .is_none_or(is_database)
            {
                continue;
            }
            let Ok(mut octets) = std::fs::read(&path) else {
                continue;
            };
            let start = &octets[..octets.len().min(4096)];
            if octets.starts_with(b"SQLite") || !String::from_utf8_lossy(start).contains(words) {
                continue;
            }
            let middle = octets.len() / 2;
            octets[middle] ^= 1;
            return std::fs::write(&path, octets).map_err(|error| error.to_string());
        }
    }
    Err(format!("no stored file has {words}"))
}
