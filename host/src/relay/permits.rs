//! Workers that the lanes of one route have together, and who wants one of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::route::{Delivery, Hops, Route};

/// Most workers of one route to Maildirs, so that a dead disk leaves room for others.
const MOST_OF_LOCAL_ROUTE: usize = 100;

/// Shares of routes whose lanes have a limit in common, by name.
#[derive(Default)]
pub(super) struct Permits {
    shares: HashMap<String, Arc<Share>>,
}

struct Share {
    most: usize,
    places: Arc<Semaphore>,
    /// A lane without a worker waits for one.
    wanted: AtomicBool,
}

/// Leave for one more worker.
pub(super) enum Leave {
    /// Kept by the worker as long as it lives; `None`: the lane is the route, and knows its limit.
    Granted(Option<Permit>),
    /// The route has enough.
    Refused,
}

/// Leave that was granted.
pub(super) struct Permit {
    share: Arc<Share>,
    _place: OwnedSemaphorePermit,
}

impl Permit {
    /// Whether another lane of the route waits for a worker and there is none left: who has carried
    /// his share, or has nothing to carry, makes room.
    pub(super) fn is_wanted(&self) -> bool {
        self.share.wanted.load(Ordering::Relaxed)
    }
}

/// Workers that all lanes of this route may have together; `None`: the lane is the route.
fn most(route: &Route) -> Option<usize> {
    match &route.delivery {
        Delivery::Relay(next_hop) => match next_hop.hops {
            Hops::Configured(_) => None,
            Hops::Mx { .. } => Some(next_hop.connections.most),
        },
        _ => Some(MOST_OF_LOCAL_ROUTE),
    }
}

impl Permits {
    fn share(&mut self, route: &Route) -> Option<&Arc<Share>> {
        let most = most(route)?;
        let new = || {
            Arc::new(Share {
                most,
                places: Arc::new(Semaphore::new(most)),
                wanted: AtomicBool::new(false),
            })
        };
        let share = self.shares.entry(route.name.clone()).or_insert_with(new);
        // Workers with leave of the old one end in time.
        if share.most != most {
            *share = new();
        }
        Some(share)
    }

    /// Leave for one more worker of this route.
    pub(super) fn ask(&mut self, route: &Route) -> Leave {
        let Some(share) = self.share(route) else {
            return Leave::Granted(None);
        };
        match Arc::clone(&share.places).try_acquire_owned() {
            Ok(place) => Leave::Granted(Some(Permit {
                share: Arc::clone(share),
                _place: place,
            })),
            Err(_) => Leave::Refused,
        }
    }

    /// Whether all leave of this route is granted.
    pub(super) fn is_exhausted(&mut self, route: &Route) -> bool {
        self.share(route)
            .is_some_and(|share| share.places.available_permits() == 0)
    }

    /// Lanes without a worker wait for one in these routes, and in no others.
    pub(super) fn set_wanted(&self, wanted: impl Fn(&str) -> bool) {
        for (name, share) in &self.shares {
            share.wanted.store(wanted(name), Ordering::Relaxed);
        }
    }

    /// Forgets routes that are gone.
    pub(super) fn retain(&mut self, known: impl Fn(&str) -> bool) {
        self.shares.retain(|name, _| known(name));
    }
}
