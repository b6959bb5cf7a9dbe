//! What `pillarbox queue` says, looked at again and again.

use serde_json::Value;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::process::Command;
use tokio::sync::watch;

/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(250);

/// All that was said at one moment.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// `queue list --json`.
    pub queue: Vec<Value>,
    /// `queue history --json`.
    pub history: Vec<Value>,
    /// `queue routes --json`.
    pub routes: Vec<Value>,
}

/// What is known of one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fate {
    /// A state of the queue, or how it ended.
    pub state: String,
    /// What the last attempt brought.
    pub last_reply: String,
    /// Attempts.
    pub attempts: u64,
}

impl Snapshot {
    /// What is known of a recipient of a message. The history goes before: a message may wait in
    /// the queue for its report only.
    pub fn fate(&self, id: &str, mailbox: &str) -> Option<Fate> {
        let past = self
            .history
            .iter()
            .find(|past| text(past, "id") == id && text(past, "mailbox") == mailbox);
        if let Some(past) = past {
            return Some(Fate {
                state: text(past, "end").to_owned(),
                last_reply: past.to_string(),
                attempts: number(past, "attempts"),
            });
        }
        let entry = self.queue.iter().find(|entry| text(entry, "id") == id)?;
        let recipient = entry["recipients"]
            .as_array()?
            .iter()
            .find(|recipient| text(recipient, "mailbox") == mailbox)?;
        Some(Fate {
            state: text(recipient, "state").to_owned(),
            last_reply: text(recipient, "last_reply").to_owned(),
            attempts: number(recipient, "attempts"),
        })
    }

    /// How often a recipient is in the history: once, when all is over.
    pub fn ends(&self, id: &str, mailbox: &str) -> usize {
        self.history
            .iter()
            .filter(|past| text(past, "id") == id && text(past, "mailbox") == mailbox)
            .count()
    }

    /// Whether the lane of a route is in this trouble.
    pub fn is_in_trouble(&self, route: &str, trouble: &str) -> bool {
        let route = format!("\"{route}\"");
        let trouble = format!("\"{trouble}\"");
        self.routes.iter().any(|lane| {
            let lane = lane.to_string();
            lane.contains(&route) && lane.contains(&trouble)
        })
    }
}

/// A string of an object, or the empty one.
pub fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_default()
}

/// The command line of one service.
#[derive(Clone)]
pub struct Queue {
    /// The program.
    pub program: PathBuf,
    /// The configuration.
    pub config: PathBuf,
}

impl Queue {
    /// Runs a verb; its standard output.
    pub async fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new(&self.program)
            .arg("queue")
            .args(arguments)
            .arg("--config")
            .arg(&self.config)
            .stdin(Stdio::null())
            .output()
            .await
            .map_err(|error| format!("cannot run queue {arguments:?}: {error}"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("queue {arguments:?}: {}: {said}", output.status));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    async fn objects(&self, arguments: &[&str]) -> Result<Vec<Value>, String> {
        let lines = self.run(arguments).await?;
        lines
            .lines()
            .map(|line| serde_json::from_str(line).map_err(|error| format!("{line}: {error}")))
            .collect()
    }

    /// Looks once. The queue first: what leaves it meanwhile is in the history.
    pub async fn look(&self) -> Result<Snapshot, String> {
        Ok(Snapshot {
            queue: self.objects(&["list", "--json"]).await?,
            history: self.objects(&["history", "--json"]).await?,
            routes: self.objects(&["routes", "--json"]).await?,
        })
    }

    /// Looks until nobody listens.
    pub fn watch(self) -> watch::Receiver<Result<Arc<Snapshot>, String>> {
        let (to, from) = watch::channel(Ok(Arc::new(Snapshot::default())));
        tokio::spawn(async move {
            while to.send(self.look().await.map(Arc::new)).is_ok() {
                tokio::time::sleep(INTERVAL).await;
            }
        });
        from
    }
}
