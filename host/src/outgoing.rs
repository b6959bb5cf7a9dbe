//! All that a running service does with what it accepted: the relay, the reports to senders, the
//! alarms, and the history that is forgotten in time.

use crate::alarm::{Alarm, Alarms};
use crate::config::Config;
use crate::deliver::Maildirs;
use crate::outbound::resolve::{self, Resolve};
use crate::relay::{self, Relay, Retry, Signals};
use crate::report::{self, Reporter, Reports};
use crate::service::{Ending, Service};
use crate::spool::Spool;
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// How often history is looked through for what is old enough to be forgotten.
const FORGET: Duration = Duration::from_secs(600);
/// Recipients that are forgotten in one transaction.
const FORGET_AT_A_TIME: usize = 1000;

/// What the outgoing side needs of a configuration, and what a reload changes of it.
pub struct Outgoing {
    resolver: Arc<dyn Resolve>,
    alarms: Arc<Alarms>,
    reporter: Arc<ArcSwap<Reporter>>,
    history: Arc<ArcSwap<Option<Duration>>>,
    hostname: String,
    retry: Retry,
}

impl Outgoing {
    /// The outgoing side of this configuration.
    ///
    /// # Errors
    ///
    /// Name servers that cannot be used.
    pub fn new(config: &Config) -> Result<Self, String> {
        let resolver = if config.dns.servers.is_empty() {
            resolve::system(config.dns.word())
        } else {
            resolve::servers(&config.dns.servers, config.dns.word())
        };
        Ok(Self {
            resolver: resolver.map_err(|error| crate::command::chain(&error))?,
            alarms: Alarms::new(config.alarm.command.clone()),
            reporter: Arc::new(ArcSwap::from_pointee(reporter(config))),
            history: Arc::new(ArcSwap::from_pointee(config.history)),
            hostname: config.hostname.clone(),
            retry: Retry::from(&config.retry),
        })
    }

    /// Puts in force what a reload may change.
    pub fn reload(&self, config: &Config) {
        self.alarms.set_command(config.alarm.command.clone());
        self.reporter.store(Arc::new(reporter(config)));
        self.history.store(Arc::new(config.history));
    }

    /// Begins, until the service ends. The task that is returned is the relay's.
    pub fn start(&self, service: &Arc<Service>) -> JoinHandle<()> {
        let reports = Arc::new(Notify::new());
        self.start_reports(service, Arc::clone(&reports));
        let alarms = Arc::clone(&self.alarms);
        let ends = ending(service);
        tokio::spawn(async move { alarms.run(ends).await });
        tokio::spawn(forget(
            Arc::clone(&service.spool),
            Arc::clone(&self.history),
            ending(service),
        ));
        let signals = Signals {
            wake: Arc::clone(&service.wake),
            resume: Arc::clone(&service.resume),
            changed: Arc::clone(&service.changed),
        };
        tokio::spawn(relay::run(
            self.relay(service, reports),
            signals,
            ending(service),
        ))
    }

    fn relay(&self, service: &Arc<Service>, reports: Arc<Notify>) -> Relay {
        let (routes, builds) = (Arc::clone(service), Arc::clone(service));
        Relay {
            spool: Arc::clone(&service.spool),
            routes: Arc::new(move || Arc::clone(&routes.runtime().routes)),
            maildirs: Maildirs::new(&self.hostname),
            build: Arc::new(move || builds.build()),
            resolver: Arc::clone(&self.resolver),
            hostname: self.hostname.clone(),
            retry: self.retry,
            alarm: Arc::clone(&self.alarms) as Arc<dyn Alarm>,
            reports,
        }
    }

    fn start_reports(&self, service: &Arc<Service>, due: Arc<Notify>) {
        let (routes, aliases) = (Arc::clone(service), Arc::clone(service));
        let signers = Arc::clone(service);
        let reporter = Arc::clone(&self.reporter);
        let reports = Reports {
            spool: Arc::clone(&service.spool),
            routes: Arc::new(move || Arc::clone(&routes.runtime().routes)),
            aliases: Arc::new(move || Arc::clone(&aliases.runtime().aliases)),
            reporter: Arc::new(move || reporter.load_full()),
            signers: Arc::new(move || Arc::clone(&signers.runtime().signers)),
            alarm: Arc::clone(&self.alarms) as Arc<dyn Alarm>,
        };
        let wake = Arc::clone(&service.wake);
        tokio::spawn(report::run(reports, due, wake, ending(service)));
    }
}

/// Ready when the service ends.
fn ending(service: &Service) -> impl Future<Output = ()> + Send + use<> {
    let mut ending = service.ending();
    async move {
        // An error means that the service is gone: the end as well.
        let _ = ending.wait_for(|ending| *ending > Ending::Running).await;
    }
}

fn reporter(config: &Config) -> Reporter {
    Reporter {
        hostname: config.hostname.clone(),
        from: config.report.from.clone(),
        full_limit: config.report.full_limit,
        copies: config.report.copy_postmaster,
    }
}

/// Forgets what is old enough, a little at a time: accepting mail goes before.
async fn forget(
    spool: Arc<dyn Spool>,
    history: Arc<ArcSwap<Option<Duration>>>,
    shutdown: impl Future<Output = ()>,
) {
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let before = SystemTime::now()
            .checked_sub(history.load().unwrap_or(Duration::ZERO))
            .unwrap_or(SystemTime::UNIX_EPOCH);
        let wait = match spool.forget(before, FORGET_AT_A_TIME).await {
            Ok(forgotten) if forgotten >= FORGET_AT_A_TIME as u64 => Duration::from_millis(100),
            Ok(_) => FORGET,
            Err(error) => {
                let error = crate::command::chain(&error);
                tracing::error!(error, "cannot forget old history");
                FORGET
            }
        };
        tokio::select! {
            () = &mut shutdown => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}
