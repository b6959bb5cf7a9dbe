//! The listener of a scripted server.

use super::script::Script;
use super::seen::Seen;
use super::session;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Notify;

/// A server; ends with the runtime.
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) script: Script,
    pub(super) address: SocketAddr,
    pub(super) recovered: AtomicBool,
    pub(super) standing: AtomicUsize,
    recovery: Notify,
    seen: Mutex<Seen>,
}

impl Shared {
    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the script is still in force.
    pub(super) fn is_ill(&self) -> bool {
        self.script.incurable || !self.recovered.load(Ordering::SeqCst)
    }
}

impl Server {
    /// Listens on a port of 127.0.0.1, unless it is absent at first: then the port is only taken.
    pub async fn start(script: Script) -> std::io::Result<Self> {
        // Bound and not listening: connections are refused, and nobody else gets the port.
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let absent = script.absent;
        let shared = Arc::new(Shared {
            script,
            address: socket.local_addr()?,
            recovered: AtomicBool::new(false),
            standing: AtomicUsize::new(0),
            recovery: Notify::new(),
            seen: Mutex::default(),
        });
        let server = Self { shared };
        if absent {
            let later = server.clone();
            tokio::spawn(async move {
                later.shared.recovery.notified().await;
                if let Ok(listener) = socket.listen(128) {
                    later.accept(listener).await;
                }
            });
        } else {
            tokio::spawn(server.clone().accept(socket.listen(128)?));
        }
        Ok(server)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// From now on it is a good server.
    pub fn recover(&self) {
        self.shared.recovered.store(true, Ordering::SeqCst);
        self.shared.recovery.notify_one();
    }

    /// What it has seen so far.
    pub fn seen(&self) -> Seen {
        self.shared.seen().clone()
    }

    async fn accept(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let number = {
                let standing = self.shared.standing.fetch_add(1, Ordering::SeqCst) + 1;
                let mut seen = self.shared.seen();
                seen.connections += 1;
                seen.most_connections = seen.most_connections.max(standing);
                seen.mails.push(0);
                let number = seen.connections;
                seen.note(number, "-", b"(connected)");
                number
            };
            let shared = Arc::clone(&self.shared);
            tokio::spawn(async move {
                let _ = stream.set_nodelay(true);
                let how = session::run(&shared, number, stream).await;
                shared.standing.fetch_sub(1, Ordering::SeqCst);
                shared
                    .seen()
                    .note(number, "-", format!("({how})").as_bytes());
            });
        }
    }
}
