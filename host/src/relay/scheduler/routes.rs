//! Routes that change while messages queue for them.

use std::sync::Arc;
use std::time::SystemTime;

use super::super::local::NO_ROUTE;
use super::super::{Event, Shared, with_causes};
use super::{Scheduler, belongs};
use crate::spool::{Claimed, LaneTrouble, SpoolError};

impl Scheduler {
    /// A changed route applies to mail that is queued already, and may be the repair.
    pub(super) fn look_at_routes(&mut self) {
        let routes = (self.shared.relay.routes)();
        if !Arc::ptr_eq(&routes, &self.routes) {
            self.routes = routes;
            self.routes_changed();
            self.unswept = true;
        }
        if self.unswept && !self.sweeping {
            (self.unswept, self.sweeping) = (false, true);
            let shared = Arc::clone(&self.shared);
            self.chores.spawn(async move {
                let swept = sweep(&shared).await;
                if let Err(error) = &swept {
                    let error = with_causes(error);
                    tracing::error!(error, "cannot compare lanes with routes; tried again");
                }
                shared.tell(Event::Swept(swept.is_ok()));
            });
        }
    }

    /// Lanes in memory: those without a route go, and what nobody carries yet is sorted anew.
    fn routes_changed(&mut self) {
        let now = SystemTime::now();
        let mut waiting: Vec<Claimed> = Vec::new();
        self.shared.lanes().retain(|name, lane| {
            let mut inner = lane.lock();
            let route = belongs(&self.routes, name);
            match route {
                Some(route) => {
                    inner.route = Arc::clone(route);
                    inner.health.reloaded(now);
                }
                None if inner.health.is_ours() => {
                    self.shared.forgotten().insert(name.clone(), now);
                }
                None => {}
            }
            drop(inner);
            let jobs = if route.is_some() {
                lane.drain()
            } else {
                lane.close()
            };
            waiting.extend(jobs.into_iter().flat_map(|job| job.recipients));
            route.is_some()
        });
        self.permits
            .retain(|name| self.routes.all().iter().any(|route| route.name == name));
        self.shared.relay.alarm.clear(NO_ROUTE);
        self.assign(waiting);
    }
}

/// What waits in the spool for routes that are gone or lead elsewhere is looked at now.
async fn sweep(shared: &Shared) -> Result<(), SpoolError> {
    for count in shared.relay.spool.lanes().await? {
        // As they are by now: they may have changed once more.
        if belongs(&(shared.relay.routes)(), &count.lane).is_none() {
            forget_lane(shared, &count.lane, count.trouble.as_ref()).await?;
        }
    }
    Ok(())
}

/// Its route is gone: what waited for it is looked at now.
pub(super) async fn forget_lane(
    shared: &Shared,
    lane: &str,
    trouble: Option<&LaneTrouble>,
) -> Result<(), SpoolError> {
    if trouble.is_some_and(|trouble| trouble.ours) {
        shared
            .forgotten()
            .insert(lane.to_owned(), SystemTime::now());
    }
    shared.relay.spool.trouble(lane, None).await?;
    if shared.relay.spool.expedite(lane).await? > 0 {
        shared.tell(Event::Expedited);
    }
    Ok(())
}
