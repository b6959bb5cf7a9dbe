//! The addresses of a name, side by side (RFC 5321 section 5.1; RFC 8305 in spirit), or a socket of
//! this machine.

use super::wire::Wire;
use super::{OutboundError, Target};
use std::collections::VecDeque;
use std::fmt::Display;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

/// RFC 8305 section 5: the time until the next address is tried beside the one before.
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(250);
/// Addresses that are tried (OURS): a name may have hundreds, and its owner's patience is not ours.
/// The last one begins within 5 s, so all of it ends 5 s after the time of one connection.
const MOST_ADDRESSES: usize = 20;

/// A connection, and what is to be said of it.
pub(super) struct Connected {
    pub(super) wire: Wire,
    /// Of the other end.
    pub(super) address: String,
    /// The address literal of our end.
    pub(super) literal: String,
}

/// A connection to the first address that takes it.
pub(super) async fn connect(target: &Target) -> Result<Connected, OutboundError> {
    if let Some(path) = &target.socket {
        return connect_socket(path, target.timeouts.connect).await;
    }
    let host = target.host.as_str();
    let addresses =
        target
            .resolver
            .addresses(host)
            .await
            .map_err(|source| OutboundError::Unknown {
                host: host.to_owned(),
                source,
            })?;
    let failed = |reasons: String| OutboundError::Connect {
        host: host.to_owned(),
        port: target.port,
        reasons,
    };
    let places: Vec<SocketAddr> = interleave(addresses)
        .into_iter()
        .take(MOST_ADDRESSES)
        .map(|address| SocketAddr::new(address, target.port))
        .collect();
    let (address, socket) = race(&places, target.timeouts.connect, TcpStream::connect)
        .await
        .map_err(|reasons| failed(told(&reasons)))?;
    // Commands are written whole; waiting for more to send only costs time.
    let _ = socket.set_nodelay(true);
    let local = socket
        .local_addr()
        .map_err(|error| failed(error.to_string()))?;
    Ok(Connected {
        wire: Wire::Clear(socket),
        address: address.to_string(),
        literal: literal(local),
    })
}

async fn connect_socket(path: &Path, within: Duration) -> Result<Connected, OutboundError> {
    let socket = timeout(within, UnixStream::connect(path))
        .await
        .unwrap_or_else(|_| Err(too_late(within)))
        .map_err(|error| OutboundError::Connect {
            host: path.display().to_string(),
            port: 0,
            reasons: error.to_string(),
        })?;
    Ok(Connected {
        wire: Wire::Unix(socket),
        address: path.display().to_string(),
        // It has no address; RFC 5321 section 4.1.1.1 wants one.
        literal: "[127.0.0.1]".into(),
    })
}

/// RFC 8305 section 4: families in turn, IPv6 first, each in the order that it came in; each
/// address once.
fn interleave(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let (mut six, mut four): (VecDeque<IpAddr>, VecDeque<IpAddr>) =
        addresses.into_iter().partition(IpAddr::is_ipv6);
    let mut order = Vec::with_capacity(six.len() + four.len());
    while !six.is_empty() || !four.is_empty() {
        for address in [six.pop_front(), four.pop_front()].into_iter().flatten() {
            if !order.contains(&address) {
                order.push(address);
            }
        }
    }
    order
}

/// RFC 8305 section 5: connects to the addresses in their order, the next one beside those before
/// it after [`BETWEEN_ATTEMPTS`], or at once where one failed. The first that succeeds is it; the
/// others are given up.
async fn race<T, F>(
    places: &[SocketAddr],
    within: Duration,
    connect: impl Fn(SocketAddr) -> F,
) -> Result<(SocketAddr, T), Vec<(SocketAddr, io::Error)>>
where
    T: Send + 'static,
    F: Future<Output = io::Result<T>> + Send + 'static,
{
    let mut waiting = places.iter().copied();
    let mut running = JoinSet::new();
    let mut reasons = Vec::new();
    let mut next = waiting.next();
    let mut due = Instant::now();
    loop {
        tokio::select! {
            () = sleep_until(due), if next.is_some() => {
                if let Some(place) = next {
                    let attempt = timeout(within, connect(place));
                    running.spawn(async move {
                        let ended = attempt.await.unwrap_or_else(|_| Err(too_late(within)));
                        (place, ended)
                    });
                }
                next = waiting.next();
                due = Instant::now() + BETWEEN_ATTEMPTS;
            }
            Some(ended) = running.join_next() => match ended {
                Ok((place, Ok(connection))) => return Ok((place, connection)),
                Ok((place, Err(error))) => {
                    reasons.push((place, error));
                    due = Instant::now();
                }
                // A task of ours that panicked: its address has no connection.
                Err(_) => due = Instant::now(),
            },
            else => return Err(reasons),
        }
    }
}

fn too_late(within: Duration) -> io::Error {
    let text = format!("no answer within {within:?}");
    io::Error::new(io::ErrorKind::TimedOut, text)
}

fn told<P: Display>(reasons: &[(P, io::Error)]) -> String {
    if reasons.is_empty() {
        return "the name has no address".into();
    }
    let reasons: Vec<String> = reasons
        .iter()
        .map(|(place, error)| format!("{place}: {error}"))
        .collect();
    reasons.join("; ")
}

/// The address literal of our end (RFC 5321 section 4.1.3).
fn literal(local: SocketAddr) -> String {
    match local.ip().to_canonical() {
        IpAddr::V4(address) => format!("[{address}]"),
        IpAddr::V6(address) => format!("[IPv6:{address}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;
    use std::sync::{Arc, Mutex};

    #[test]
    fn cl_ehlo_name_is_a_literal_of_our_address() {
        for (address, expected) in [
            ("192.0.2.1:25", "[192.0.2.1]"),
            ("[2001:db8::1]:25", "[IPv6:2001:db8::1]"),
            ("[::ffff:192.0.2.1]:25", "[192.0.2.1]"),
        ] {
            assert_eq!(literal(address.parse().unwrap()), expected);
        }
    }

    fn addresses(words: &str) -> Vec<IpAddr> {
        words
            .split_whitespace()
            .map(|word| word.parse().unwrap())
            .collect()
    }

    #[test]
    fn r8305_4_families_take_turns_and_ipv6_is_first() {
        for (came, order) in [
            ("", ""),
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1 2001:db8::1", "2001:db8::1 192.0.2.1"),
            (
                "192.0.2.3 192.0.2.1 192.0.2.2 2001:db8::2 2001:db8::1",
                "2001:db8::2 192.0.2.3 2001:db8::1 192.0.2.1 192.0.2.2",
            ),
            ("192.0.2.1 192.0.2.1", "192.0.2.1"),
        ] {
            assert_eq!(interleave(addresses(came)), addresses(order), "{came}");
        }
    }

    proptest! {
        #[test]
        fn each_address_is_in_the_order_once(
            came in proptest::collection::vec(any::<IpAddr>(), 0..20),
        ) {
            let mut order = interleave(came.clone());
            let mut all = came;
            order.sort();
            all.sort();
            all.dedup();
            prop_assert_eq!(order, all);
        }
    }

    /// What a made-up network does with a connection: after so many milliseconds it stands, or not.
    type Network = HashMap<SocketAddr, (u64, bool)>;
    /// Which address was tried when, in milliseconds.
    type Log = Vec<(SocketAddr, u128)>;

    fn place(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], 25))
    }

    /// Addresses 1, 2, 3 ... behave so. What became of it, when, and what was tried.
    async fn raced(behaviour: &[(u64, bool)]) -> (Result<SocketAddr, Vec<SocketAddr>>, u128, Log) {
        let network: Network = (1..).map(place).zip(behaviour.iter().copied()).collect();
        let mut places: Vec<SocketAddr> = network.keys().copied().collect();
        places.sort();
        let log = Arc::new(Mutex::new(Log::new()));
        let start = Instant::now();
        let tried = Arc::clone(&log);
        let ended = race(&places, Duration::from_secs(10), move |place| {
            tried
                .lock()
                .unwrap()
                .push((place, start.elapsed().as_millis()));
            let (after, stands) = network[&place];
            async move {
                tokio::time::sleep(Duration::from_millis(after)).await;
                if stands {
                    Ok(())
                } else {
                    Err(io::ErrorKind::ConnectionRefused.into())
                }
            }
        })
        .await;
        let ended = ended
            .map(|(place, ())| place)
            .map_err(|reasons| reasons.into_iter().map(|(place, _)| place).collect());
        let log = log.lock().unwrap().clone();
        (ended, start.elapsed().as_millis(), log)
    }

    #[tokio::test(start_paused = true)]
    async fn r8305_5_a_silent_address_delays_the_next_by_a_quarter_of_a_second() {
        let (ended, after, log) = raced(&[(60_000, true), (60_000, true), (20, true)]).await;
        assert_eq!(ended, Ok(place(3)));
        assert_eq!(log, [(place(1), 0), (place(2), 250), (place(3), 500)]);
        // The clock counts whole milliseconds, rounded up.
        assert!((520..530).contains(&after), "{after}");
    }

    #[tokio::test(start_paused = true)]
    async fn r8305_5_after_a_failure_the_next_begins_at_once() {
        let (ended, _, log) = raced(&[(5, false), (1_000, true), (5, true)]).await;
        assert_eq!(ended, Ok(place(3)));
        let (second, third) = (log[1].1, log[2].1);
        assert!((5..10).contains(&second), "{second}");
        assert!((second + 250..second + 260).contains(&third), "{third}");
        // One that is slow and was first wins if it is sooner.
        let (ended, ..) = raced(&[(300, true), (1_000, true)]).await;
        assert_eq!(ended, Ok(place(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn where_no_address_takes_it_all_are_told_and_the_time_is_bounded() {
        let (ended, after, _) = raced(&[(60_000, true), (10, false), (60_000, true)]).await;
        assert_eq!(ended, Err(vec![place(2), place(1), place(3)]));
        assert!((10_000..10_600).contains(&after), "{after}");
        let (ended, ..) = raced(&[]).await;
        assert_eq!(ended, Err(vec![]));
        let reasons = [
            (place(1), too_late(Duration::from_secs(60))),
            (place(2), io::ErrorKind::ConnectionRefused.into()),
        ];
        assert_eq!(
            told(&reasons),
            "192.0.2.1:25: no answer within 60s; 192.0.2.2:25: connection refused"
        );
    }
}
