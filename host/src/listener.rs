//! Listeners: accept, count, refuse what is too much.

use crate::connection;
use crate::service::{Ending, ListenerState, Service};
use crate::users::backoff::machine;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many connections there may be.
pub struct Admission {
    all: Arc<Semaphore>,
    most: u32,
    each: u32,
    peers: Mutex<HashMap<IpAddr, u32>>,
}

/// One connection's place; given back when it is dropped.
pub struct Place {
    admission: Arc<Admission>,
    peer: IpAddr,
    _permit: OwnedSemaphorePermit,
}

impl Admission {
    /// Room for `most` connections, `each` of one address.
    pub fn new(most: u32, each: u32) -> Arc<Self> {
        Arc::new(Self {
            all: Arc::new(Semaphore::new(most as usize)),
            most,
            each,
            peers: Mutex::new(HashMap::new()),
        })
    }

    /// A place for a connection of this peer, if there is one.
    pub fn place(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let peer = machine(peer);
        let permit = Arc::clone(&self.all).try_acquire_owned().ok()?;
        let mut peers = self.peers();
        let count = peers.entry(peer).or_insert(0);
        if *count >= self.each {
            return None;
        }
        *count += 1;
        Some(Place {
            admission: Arc::clone(self),
            peer,
            _permit: permit,
        })
    }

    /// Waits until all places are free.
    pub async fn empty(&self) {
        // The semaphore is never closed.
        let _ = self.all.acquire_many(self.most).await;
    }

    /// Connections now.
    pub fn count(&self) -> usize {
        self.most as usize - self.all.available_permits()
    }

    fn peers(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, u32>> {
        self.peers
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut peers = self.admission.peers();
        if let Some(count) = peers.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                peers.remove(&self.peer);
            }
        }
    }
}

/// Accepts connections until the service ends.
pub async fn run(
    service: Arc<Service>,
    listener: Arc<ListenerState>,
    socket: TcpListener,
    admission: Arc<Admission>,
) {
    let mut ending = service.ending();
    loop {
        let accepted = tokio::select! {
            biased;
            accepted = socket.accept() => accepted,
            _ = ending.wait_for(|ending| *ending > Ending::Running) => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Some(place) = admission.place(peer.ip()) else {
                    tracing::warn!(%peer, connections = admission.count(), "too many connections");
                    refuse(&service, &listener, stream);
                    continue;
                };
                let service = Arc::clone(&service);
                let listener = Arc::clone(&listener);
                tokio::spawn(async move {
                    connection::serve(service, listener, stream, peer).await;
                    drop(place);
                });
            }
            Err(error) => {
                // Out of descriptors, or the peer was gone already. Waiting costs nobody anything.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// R5321-3.1-c: 421 as greeting, then close; without a sandbox, so that a flood costs little.
fn refuse(service: &Service, listener: &ListenerState, stream: TcpStream) {
    if !listener.implicit {
        let text = format!(
            "421 4.7.0 {} too many connections\r\n",
            service.runtime().hostname
        );
        // A fresh socket's buffer takes a line; if not, the peer sees the close.
        let _ = stream.try_write(text.as_bytes());
    }
}

/// Binds a listener. An IPv6 wildcard takes IPv4 too.
///
/// # Errors
///
/// What happened, where, and what to do.
pub fn bind(address: SocketAddr) -> Result<std::net::TcpListener, String> {
    let socket = std::net::TcpListener::bind(address).map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::PermissionDenied => {
                "; ports below 1024 need root (with `user` in the configuration) or CAP_NET_BIND_SERVICE"
            }
            std::io::ErrorKind::AddrInUse => "; another service listens there: stop it or choose another port",
            std::io::ErrorKind::AddrNotAvailable => "; this host does not have that address",
            _ => "",
        };
        format!("cannot listen on {address}: {error}{hint}")
    })?;
    socket
        .set_nonblocking(true)
        .map_err(|error| format!("cannot listen on {address}: {error}"))?;
    // std listens with a backlog of 128; a burst of devices needs more. Calling it again raises it.
    nix::sys::socket::listen(
        &socket,
        nix::sys::socket::Backlog::new(4095).unwrap_or(nix::sys::socket::Backlog::MAXCONN),
    )
    .map_err(|error| format!("cannot listen on {address}: {error}"))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_for_each_machine() {
        let admission = Admission::new(3, 2);
        let peer: IpAddr = "192.0.2.1".parse().unwrap();
        let _first = admission.place(peer).unwrap();
        let _second = admission
            .place("::ffff:192.0.2.1".parse().unwrap())
            .unwrap();
        assert!(admission.place(peer).is_none());
        let _other = admission.place("192.0.2.2".parse().unwrap()).unwrap();
        assert!(admission.place("192.0.2.3".parse().unwrap()).is_none());
        // One machine has all of a /64.
        let admission = Admission::new(3, 1);
        let _third = admission.place("2001:db8::1".parse().unwrap()).unwrap();
        assert!(admission.place("2001:db8::2".parse().unwrap()).is_none());
        assert!(
            admission
                .place("2001:db8:0:1::2".parse().unwrap())
                .is_some()
        );
    }

    #[test]
    fn a_place_that_is_given_back_can_be_taken_again() {
        let admission = Admission::new(1, 1);
        let peer: IpAddr = "192.0.2.1".parse().unwrap();
        let first = admission.place(peer);
        assert!(first.is_some() && admission.place(peer).is_none());
        drop(first);
        assert!(admission.place(peer).is_some());
    }
}
