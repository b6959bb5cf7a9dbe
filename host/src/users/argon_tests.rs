//! Who waits for whom.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use std::future::Future;
use std::task::{Context, Waker};

use super::*;

fn check(argon: &Argon, peer: &str, hash: &str) -> impl Future<Output = Result<bool, ArgonError>> {
    argon.verify(
        peer.parse().unwrap(),
        Zeroizing::new(b"secret".to_vec()),
        hash,
    )
}

#[tokio::test]
async fn one_peer_does_not_use_up_the_places_of_all() {
    let hash = Cost {
        memory: 8,
        passes: 1,
    }
    .hash(b"secret")
    .unwrap();
    // One turn, and it is taken, so that all wait; there are ten places.
    let argon = Argon::new(1, 10);
    let turn = Arc::clone(&argon.turns).try_acquire_owned().unwrap();
    let mut context = Context::from_waker(Waker::noop());
    let mut stranger: Vec<_> = (0..70)
        .map(|number| {
            // The whole network is one peer.
            let peer = format!("2001:db8:1:2::{number}");
            let hash = hash.clone();
            let argon = &argon;
            Box::pin(async move { check(argon, &peer, &hash).await })
        })
        .collect();
    let polled: Vec<_> = stranger
        .iter_mut()
        .map(|check| check.as_mut().poll(&mut context))
        .collect();
    assert_eq!(argon.waiting.load(Ordering::Relaxed), 8);
    assert!(polled[..64].iter().all(|polled| polled.is_pending()));
    for polled in &polled[64..] {
        assert!(matches!(
            polled,
            std::task::Poll::Ready(Err(ArgonError::BusyPeer { .. }))
        ));
    }
    // Somebody else finds a place, and in the end all of the line are served.
    let mut other = Box::pin(check(&argon, "192.0.2.1", &hash));
    assert!(other.as_mut().poll(&mut context).is_pending());
    assert_eq!(argon.waiting.load(Ordering::Relaxed), 9);
    drop(turn);
    stranger.truncate(64);
    let served = async {
        let mut served = 0;
        for check in stranger {
            served += u32::from(check.await.unwrap());
        }
        served
    };
    let (other, served) = tokio::join!(other, served);
    assert!(other.unwrap());
    assert_eq!(served, 64);
}
