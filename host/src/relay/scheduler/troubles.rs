//! Lanes in trouble: what an earlier service knew of them, when they are asked again, and who says
//! that they are to be.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use super::super::health::{Health, Obstacle};
use super::super::lane::Lane;
use super::super::resume::Lanes;
use super::super::{Event, with_causes};
use super::routes::forget_lane;
use super::{Scheduler, belongs};
use crate::route::Delivery;
use crate::spool::Attempt;
use crate::spool::attempt::Stage;

impl Scheduler {
    /// What the service before this one knew of its lanes.
    pub(super) async fn restore(&mut self) {
        let now = SystemTime::now();
        let lanes = match self.shared.relay.spool.lanes().await {
            Ok(lanes) => lanes,
            Err(error) => {
                let error = with_causes(&error);
                tracing::error!(error, "cannot read how lanes do");
                return;
            }
        };
        let mut forgotten = Vec::new();
        for count in lanes {
            let Some(trouble) = count.trouble else {
                continue;
            };
            match belongs(&self.routes, &count.lane) {
                Some(route) => {
                    tracing::warn!(lane = count.lane, "waiting: {}", trouble.attempt.why());
                    let health = Health::restored(trouble, now);
                    let stalled = self.shared.stalled_after;
                    let lane = Lane::new(count.lane.clone(), Arc::clone(route), health, stalled);
                    self.shared.lanes().insert(count.lane, Arc::new(lane));
                }
                None => forgotten.push(trouble),
            }
        }
        let shared = Arc::clone(&self.shared);
        self.chores.spawn(async move {
            for trouble in forgotten {
                let lane = &trouble.lane;
                if let Err(error) = forget_lane(&shared, lane, Some(&trouble)).await {
                    let error = with_causes(&error);
                    tracing::error!(lane, error, "cannot forget a lane without a route");
                }
            }
        });
    }

    /// Asks servers again whose time has come: with a connection, if something waits for it; where
    /// that tells nothing, with the next message.
    pub(super) fn look_at_troubles(&mut self) {
        let now = SystemTime::now();
        let mut due = Vec::new();
        for lane in self.shared.lanes().values() {
            let mut inner = lane.lock();
            if inner.health.is_due(now) && !inner.probing {
                let probed = matches!(&inner.route.delivery,
                    Delivery::Relay(next_hop) if next_hop.is_configured())
                    && inner.health.is_probed();
                inner.probing = probed;
                due.push((Arc::clone(lane), probed));
            }
        }
        let mut asked = Vec::new();
        for (lane, probed) in due {
            if probed {
                asked.push(lane);
            } else {
                let change = lane.lock().health.give_chance();
                self.changed(&lane, change);
            }
        }
        if asked.is_empty() {
            return;
        }
        let shared = Arc::clone(&self.shared);
        self.chores.spawn(async move {
            for lane in asked {
                match shared.relay.spool.queues(&lane.name).await {
                    Ok(waits) => shared.tell(Event::Looked(lane, waits)),
                    Err(error) => {
                        let error = with_causes(&error);
                        tracing::error!(lane = lane.name, error, "cannot look into a lane");
                        lane.lock().probing = false;
                    }
                }
            }
        });
    }

    /// Whether something waits in a lane that is to be probed.
    pub(super) fn looked(&mut self, lane: &Arc<Lane>, waits: bool) {
        let probe = {
            let inner = lane.lock();
            match &inner.route.delivery {
                Delivery::Relay(next_hop)
                    if waits
                        && !inner.closed
                        && next_hop.is_configured()
                        && inner.health.is_probed() =>
                {
                    Some((Arc::clone(&inner.route), Arc::clone(next_hop)))
                }
                _ => None,
            }
        };
        match probe {
            Some((route, next_hop)) => {
                let worker = self.worker(lane, None);
                self.tasks.spawn(worker.probe(route, next_hop));
            }
            // Its next message asks.
            None => {
                let mut inner = lane.lock();
                inner.probing = false;
                let change = inner.health.give_chance();
                drop(inner);
                self.changed(lane, change);
            }
        }
    }

    /// An operator says: now.
    pub(super) fn resume(&mut self, lanes: &Lanes) {
        let now = SystemTime::now();
        for (name, lane) in self.shared.lanes().iter() {
            if lanes.contains(name) {
                lane.lock().health.resume(now);
            }
        }
        self.look_at_troubles();
        self.ask();
    }

    /// Deliveries that do not end: what waits behind them should say so.
    pub(super) fn look_at_stuck(&mut self) {
        let now = SystemTime::now();
        for lane in self.stuck() {
            let (change, reason) = {
                let mut inner = lane.lock();
                let attempt = Attempt {
                    route: inner.route.name.clone(),
                    stage: Stage::Local,
                    status: Some((4, 3, 0)),
                    text: match inner.workers.len() {
                        0 => "deliveries to other domains of its route have not ended; is the disk there?".to_owned(),
                        number => format!(
                            "{number} earlier deliveries have not ended; is the disk there?"
                        ),
                    },
                    at: now,
                    ..Attempt::default()
                };
                let longest = inner.route.retry.longest;
                let health = &mut inner.health;
                let change = health.obstructed(Obstacle::Away, &attempt, now, now, longest);
                (change, health.reason())
            };
            self.changed(&lane, change);
            let Some(reason) = reason else { continue };
            for job in lane.drain() {
                self.put_off(&lane, job, reason.clone());
            }
        }
    }

    /// Lanes in which nothing moves: every place has a delivery that does not end, or there is none
    /// left because the route's places all have such.
    fn stuck(&mut self) -> Vec<Arc<Lane>> {
        let stalled_after = self.shared.stalled_after;
        let lanes: Vec<Arc<Lane>> = self.shared.lanes().values().map(Arc::clone).collect();
        // Workers of each local route, and those of them that are stalled.
        let mut routes: HashMap<String, (usize, usize)> = HashMap::new();
        for lane in &lanes {
            let inner = lane.lock();
            if inner.is_local() {
                let (all, stalled) = routes.entry(inner.route.name.clone()).or_default();
                *all += inner.workers.len();
                *stalled += inner.stalled(stalled_after);
            }
        }
        let permits = &mut self.permits;
        lanes
            .into_iter()
            .filter(|lane| {
                if lane.is_stuck() {
                    return true;
                }
                let inner = lane.lock();
                inner.is_local()
                    && inner.workers.is_empty()
                    && !inner.jobs.is_empty()
                    && inner.health.is_well()
                    && routes
                        .get(&inner.route.name)
                        .is_some_and(|(all, stalled)| all == stalled)
                    && permits.is_exhausted(&inner.route)
            })
            .collect()
    }
}
