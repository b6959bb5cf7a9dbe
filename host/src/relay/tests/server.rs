//! A server that does as it should, save where a test says otherwise, and routes that lead to it.

use std::net::IpAddr;
use std::sync::OnceLock;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::*;
use crate::embedded;
use crate::outbound::{Login, Security, Timeouts, Trust};
use crate::route::{Connections, Endpoint, Hops, NextHop, Upstream};
use crate::sandbox::{Engine, SandboxLimits};

/// What the server makes of a line.
pub(super) enum Answer {
    /// What it should.
    Usual,
    /// This instead.
    Say(&'static str),
    /// What it should, once there is leave for it.
    With(Arc<Semaphore>),
}

/// What to make of a line of a connection, which is counted from 0. The greeting is an answer to the
/// empty line, the reply after the content one to the dot.
type Script = dyn Fn(usize, &str) -> Answer + Send + Sync;

/// A running server.
pub(super) struct Server {
    pub(super) port: u16,
    heard: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(super) async fn start(
        script: impl Fn(usize, &str) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let script: Arc<Script> = Arc::new(script);
        let heard = Arc::default();
        let log = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            let mut served = tokio::task::JoinSet::new();
            for number in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let (script, log) = (Arc::clone(&script), Arc::clone(&log));
                served.spawn(async move {
                    // The client may be gone at any time.
                    let _ = serve(stream, number, &*script, &log).await;
                });
            }
        });
        Self { port, heard, task }
    }

    /// Lines that begin so, of all connections in their order.
    pub(super) fn heard(&self, start: &str) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        let such = heard.iter().filter(|line| line.starts_with(start));
        such.cloned().collect()
    }

    /// Waits until so many lines that begin so were heard.
    pub(super) async fn hears(&self, start: &str, number: usize) {
        for _ in 0..1000 {
            if self.heard(start).len() >= number {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{number} {start}: {:?}", self.heard.lock().unwrap());
    }
}

async fn serve(
    stream: TcpStream,
    number: usize,
    script: &Script,
    log: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let (mut line, mut content) = (String::new(), false);
    loop {
        if !content || line == "." {
            log.lock().unwrap().push(match line.as_str() {
                "" => "connection".to_owned(),
                line => line.to_owned(),
            });
            let usual = match line.get(..4).unwrap_or(&line) {
                "" => "220 peer.test ESMTP",
                "DATA" => "354 go on",
                "QUIT" => "221 2.0.0 bye",
                _ => "250 2.0.0 ok",
            };
            let said = match script(number, &line) {
                Answer::Usual => usual,
                Answer::Say(said) => said,
                Answer::With(leave) => {
                    leave.acquire().await.unwrap().forget();
                    usual
                }
            };
            write.write_all(format!("{said}\r\n").as_bytes()).await?;
            content = said.starts_with("354");
            if said.starts_with("221") || said.starts_with("421") {
                return Ok(());
            }
        }
        match lines.next_line().await? {
            Some(next) => line = next,
            None => return Ok(()),
        }
    }
}

/// The component's build.
pub(super) fn build() -> Arc<Build> {
    static BUILD: OnceLock<Arc<Build>> = OnceLock::new();
    let load = || {
        let engine = Engine::new(SandboxLimits::default()).unwrap();
        embedded::load(&engine, None, None).unwrap()
    };
    Arc::clone(BUILD.get_or_init(load))
}

/// Every name is this machine's, and every domain has a server.
pub(super) struct Everybody;

#[async_trait]
impl Resolve for Everybody {
    async fn addresses(&self, _: &str) -> Result<Vec<IpAddr>, ResolveError> {
        Ok(vec![IpAddr::from([127, 0, 0, 1])])
    }

    async fn exchangers(&self, domain: &str) -> Result<Vec<Exchanger>, ResolveError> {
        Ok(vec![Exchanger {
            preference: 10,
            host: format!("mx.{domain}"),
        }])
    }
}

/// A route to these servers.
fn route(name: &str, pattern: &str, hops: Hops, connections: usize) -> Route {
    Route {
        name: name.to_owned(),
        domains: vec![pattern.parse().unwrap()],
        senders: Vec::new(),
        identities: Vec::new(),
        delivery: Delivery::Relay(Arc::new(NextHop {
            hops,
            security: Security::Off,
            tls_name: None,
            trust: Arc::new(Trust::anybody()),
            login: Login::default(),
            tokens: None,
            transfer: crate::outbound::Transfer::default(),
            connections: Connections {
                most: connections,
                // Nobody waits for that here.
                idle: Duration::from_secs(3600),
                ..Connections::default()
            },
            timeouts: Timeouts::default(),
        })),
        retry: Retry::default(),
    }
}

/// A route to a configured server.
pub(super) fn configured(name: &str, pattern: &str, port: u16, connections: usize) -> Route {
    let endpoint = Endpoint::Host {
        host: "peer.test".to_owned(),
        port,
    };
    let upstream = Upstream {
        endpoint,
        implicit: false,
        lmtp: false,
    };
    let hops = Hops::Configured(vec![upstream]);
    route(name, pattern, hops, connections)
}

/// A route to the server that every domain has.
pub(super) fn mx(name: &str, pattern: &str, port: u16, connections: usize) -> Route {
    route(name, pattern, Hops::Mx { port }, connections)
}
