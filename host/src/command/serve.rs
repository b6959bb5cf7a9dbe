//! `pillarbox serve`: from a configuration to a running service, and to its orderly end.

use super::failed;
use crate::config::{Config, Finding};
use crate::listener::{self, Admission};
use crate::oauth::Registry;
use crate::outgoing::Outgoing;
use crate::sandbox::verifier::Verifier;
use crate::sandbox::{Engine, SandboxLimits};
use crate::service::{Ending, ListenerState, Runtime, Service};
use crate::spool::{Access, Spool, Sqlite};
use crate::tls::{self, Certificates};
use crate::users::{Authenticator, FileUsers, Names, Users};
use crate::{control, embedded, log};
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

/// How long transactions that have begun may go on after SIGTERM. Service managers wait 90 s
/// before they kill.
const DRAIN: Duration = Duration::from_secs(30);
/// How long connections have for their last 421.
const LAST: Duration = Duration::from_secs(5);
/// How long attempts have from the beginning of the end. A server that has a message may need a while
/// for the reply to it, and without that it gets the message twice (RFC 1047); those
/// that have one take seconds. Less than the 60 s after which our unit kills.
const RELAY: Duration = Duration::from_secs(50);
/// How long they have in any case, though somebody is in a hurry.
const RELAY_AT_LEAST: Duration = Duration::from_secs(5);
/// How often the certificate's files are looked at.
const CERTIFICATES: Duration = Duration::from_secs(5);

/// Arguments of `serve`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The configuration.
    #[arg(long, default_value = crate::config::USUAL_PLACE)]
    config: PathBuf,
}

/// Runs the service to its end.
pub fn run(arguments: &Arguments) -> ExitCode {
    let config = match load(&arguments.config) {
        Ok(config) => config,
        Err(status) => return status,
    };
    log::start(&config.log);
    match start(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(error),
    }
}

fn load(path: &Path) -> Result<Config, ExitCode> {
    let loaded = Config::load(path);
    for finding in &loaded.findings {
        let level = if finding.is_error() {
            "error"
        } else {
            "warning"
        };
        eprintln!("{level}: {finding}");
    }
    loaded.config.ok_or_else(|| {
        failed(format!(
            "{} cannot be used; the lines above say why",
            path.display()
        ))
    })
}

/// A service that has been set up and not yet begun to accept.
pub(crate) struct Prepared {
    pub(crate) config: Config,
    pub(crate) sockets: Vec<std::net::TcpListener>,
}

fn start(config: Config) -> Result<(), String> {
    raise_descriptors(config.limits.connections);
    let prepared = prepare(config)?;
    become_user(&prepared.config)?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))?
        .block_on(serve(prepared, |_| {}, std::future::pending()))
}

/// What needs the rights of whoever started us: ports and the state folder.
pub(crate) fn prepare(config: Config) -> Result<Prepared, String> {
    let sockets = config
        .listeners
        .iter()
        .map(|listener| listener::bind(listener.address))
        .collect::<Result<Vec<_>, _>>()?;
    if !config.state_dir.exists() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&config.state_dir)
            .map_err(|error| {
                format!(
                    "cannot make the state folder {}: {error}; make it, or name another as state-dir",
                    config.state_dir.display()
                )
            })?;
        if let Some(user) = account(&config)? {
            chown(
                &config.state_dir,
                Some(user.uid.as_raw()),
                Some(user.gid.as_raw()),
            )
            .map_err(|error| format!("cannot give {} away: {error}", config.state_dir.display()))?;
        }
    }
    Ok(Prepared { config, sockets })
}

fn account(config: &Config) -> Result<Option<nix::unistd::User>, String> {
    let Some(name) = &config.user else {
        return Ok(None);
    };
    match nix::unistd::User::from_name(name) {
        Ok(Some(user)) => Ok(Some(user)),
        Ok(None) => Err(format!(
            "there is no account {name} (`user` in {}); make it: useradd --system {name}",
            config.file.display()
        )),
        Err(error) => Err(format!("cannot look up the account {name}: {error}")),
    }
}

/// Drops privileges for good.
fn become_user(config: &Config) -> Result<(), String> {
    let Some(user) = account(config)? else {
        return Ok(());
    };
    if nix::unistd::geteuid() == user.uid {
        return Ok(());
    }
    let failed = |error: nix::Error| format!("cannot become {}: {error}; only root can", user.name);
    let name = std::ffi::CString::new(user.name.clone())
        .map_err(|_| format!("{} is no account name", user.name))?;
    nix::unistd::initgroups(&name, user.gid).map_err(failed)?;
    nix::unistd::setgid(user.gid).map_err(failed)?;
    nix::unistd::setuid(user.uid).map_err(failed)?;
    Ok(())
}

/// A connection takes one descriptor; a message on its way may take two more.
fn raise_descriptors(connections: u32) {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let wanted = u64::from(connections) * 2 + 256;
        if soft < wanted && setrlimit(Resource::RLIMIT_NOFILE, wanted.min(hard), hard).is_ok() {
            let reached = wanted.min(hard);
            if reached < u64::from(connections) + 128 {
                tracing::warn!(
                    descriptors = reached,
                    connections,
                    "fewer file descriptors than connections; raise the limit (LimitNOFILE=)"
                );
            }
        }
    }
}

fn users(config: &Config) -> Result<(Arc<dyn Users>, Arc<Authenticator>), String> {
    let users: Arc<dyn Users> = Arc::new(FileUsers::new(&config.auth.path));
    let authenticator = Authenticator::new(Arc::clone(&users), Names::of(config))
        .map_err(|error| error.to_string())?;
    Ok((users, Arc::new(authenticator)))
}

fn certificates(config: &Config) -> Result<Certificates, String> {
    let (certificate, key) = match &config.tls {
        Some(files) => (files.certificate.clone(), files.key.clone()),
        None => {
            let pair = tls::self_signed(&config.hostname, &config.state_dir.join("tls"))
                .map_err(|error| error.to_string())?;
            tracing::info!(certificate = %pair.0.display(), "using a self-signed certificate");
            pair
        }
    };
    Certificates::load(&certificate, &key).map_err(|error| error.to_string())
}

/// Serves until SIGTERM, SIGINT or `end`; then drains. `ready` is told the listeners' addresses.
pub(crate) async fn serve(
    prepared: Prepared,
    ready: impl FnOnce(&[SocketAddr]),
    end: impl Future<Output = ()>,
) -> Result<(), String> {
    let Prepared { config, sockets } = prepared;
    let engine = Engine::new(SandboxLimits {
        memory: usize::try_from(config.limits.session_memory).unwrap_or(usize::MAX),
        sandboxes: config.limits.sandboxes,
        slice: config.limits.session_slice,
    })
    .map_err(|error| error.to_string())?;
    let cache = config.state_dir.join("code");
    let build = embedded::load(&engine, config.component.path.as_deref(), Some(&cache))
        .map_err(|error| error.to_string())?;
    let spool: Arc<dyn Spool> = Arc::new(
        Sqlite::open(&config.state_dir, Access::Service)
            .map_err(|error| crate::command::chain(&error))?,
    );
    let (user_store, authenticator) = users(&config)?;
    let tokens = Arc::new(Registry::new());
    let runtime = Runtime::new(&config, user_store, authenticator, &tokens)?;
    let wake = Arc::new(Notify::new());
    let service = Arc::new(Service::new(
        runtime,
        Arc::clone(&spool),
        Arc::clone(&wake),
        Arc::clone(&build),
        Arc::new(Verifier::new(Arc::clone(&build))),
        Arc::new(certificates(&config)?),
        tokens,
    ));
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        build = build.digest,
        hostname = config.hostname,
        "starting"
    );

    let reload = Arc::new(Notify::new());
    let control = control::bind(&config.state_dir)?;
    tokio::spawn(control::run(
        control,
        Arc::clone(&service),
        Arc::clone(&reload),
    ));
    let outgoing = Outgoing::new(&config)?;
    let mut relay = outgoing.start(&service);
    let admission = Admission::new(
        config.limits.connections,
        config.limits.connections_per_peer,
    );
    let mut addresses = Vec::new();
    for (listener, socket) in config.listeners.iter().zip(sockets) {
        let address = socket.local_addr().map_err(|error| error.to_string())?;
        let socket =
            tokio::net::TcpListener::from_std(socket).map_err(|error| error.to_string())?;
        tokio::spawn(listener::run(
            Arc::clone(&service),
            Arc::new(ListenerState::new(&config, listener)),
            socket,
            Arc::clone(&admission),
        ));
        let kind = match listener.tls {
            crate::config::ListenerTls::None => "none",
            crate::config::ListenerTls::Starttls => "starttls",
            crate::config::ListenerTls::Implicit => "implicit",
        };
        println!("listening {address} ({kind})");
        addresses.push(address);
    }
    // Scripts wait for these lines on a pipe.
    let _ = std::io::stdout().flush();
    ready(&addresses);

    tokio::select! {
        steered = steer(&config, &service, &outgoing, &reload) => steered?,
        () = end => {}
        // A service that delivers nothing must not look alive.
        ended = &mut relay => {
            tracing::error!(error = ?ended.err(), "the relay ended by itself");
            return Err("the relay ended by itself; see the log".into());
        }
    }
    service.end(Ending::Draining);
    let mut relay_end = tokio::time::Instant::now() + RELAY;
    tracing::info!(connections = admission.count(), "ending");
    let mut again = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    tokio::select! {
        () = admission.empty() => {}
        () = tokio::time::sleep(DRAIN) => {}
        _ = again.recv() => {
            tracing::warn!("told twice to end");
            relay_end = tokio::time::Instant::now();
        }
    }
    // What is still open is told 421 now; a store that has begun gets its answer.
    service.end(Ending::Over);
    if tokio::time::timeout(LAST, admission.empty()).await.is_err() {
        tracing::warn!(
            connections = admission.count(),
            "connections were still open at the end"
        );
    }
    let relay_end = relay_end.max(tokio::time::Instant::now() + RELAY_AT_LEAST);
    let attempts_ended = tokio::select! {
        _ = &mut relay => true,
        () = tokio::time::sleep_until(relay_end) => false,
        _ = again.recv() => false,
    };
    if !attempts_ended {
        tracing::warn!("attempts were cut short at the end; the next service repeats them");
    }
    let _ = std::fs::remove_file(control::path(&config.state_dir));
    Ok(())
}

/// Signals and reloads, until the service is told to end.
async fn steer(
    config: &Config,
    service: &Arc<Service>,
    outgoing: &Outgoing,
    reload: &Notify,
) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot wait for signals: {error}");
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(failed)?;
    let mut look = tokio::time::interval(CERTIFICATES);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hangup.recv() => reload_all(config, service, outgoing),
            () = reload.notified() => reload_all(config, service, outgoing),
            _ = look.tick() => refresh_certificates(service),
        }
    }
}

fn refresh_certificates(service: &Service) {
    match service.certificates().refresh() {
        Ok(true) => tracing::info!("new certificate in force"),
        Ok(false) => {}
        Err(error) => {
            tracing::error!(%error, "the new certificate cannot be used; the old one stays in force")
        }
    }
}

/// SIGHUP: configuration and certificates. What is wrong is logged, and then the old one stays.
fn reload_all(config: &Config, service: &Arc<Service>, outgoing: &Outgoing) {
    refresh_certificates(service);
    let loaded = Config::load(&config.file);
    for finding in &loaded.findings {
        report(finding);
    }
    let Some(new) = loaded.config else {
        tracing::error!("the configuration cannot be used; the old one stays in force");
        return;
    };
    let kept = (new.auth == config.auth && new.hostname == config.hostname)
        .then(|| service.runtime())
        .map(|runtime| {
            (
                Arc::clone(&runtime.users),
                Arc::clone(&runtime.authenticator),
            )
        });
    // What is remembered of passwords and guesses outlives a reload that does not concern it.
    let replaced = kept
        .map_or_else(|| users(&new), Ok)
        .and_then(|(users, authenticator)| {
            Runtime::new(&new, users, authenticator, &service.tokens)
        });
    match replaced {
        Ok(runtime) => {
            service.set_runtime(runtime);
            outgoing.reload(&new);
            service.tokens.retry();
        }
        Err(error) => {
            tracing::error!(
                error,
                "the configuration cannot be used; the old one stays in force"
            );
            return;
        }
    }
    reload_component(&new, service);
    for (key, same) in [
        ("hostname", new.hostname == config.hostname),
        ("state-dir", new.state_dir == config.state_dir),
        ("user", new.user == config.user),
        ("limits", new.limits == config.limits),
        ("listener", new.listeners == config.listeners),
        ("tls", new.tls == config.tls),
        ("dns", new.dns == config.dns),
        ("log", new.log == config.log),
        (
            "submission",
            (new.submission.add_date, new.submission.add_message_id)
                == (config.submission.add_date, config.submission.add_message_id),
        ),
        (
            "auth",
            (&new.auth.ntlm_domain, &new.auth.ntlm_computer)
                == (&config.auth.ntlm_domain, &config.auth.ntlm_computer),
        ),
    ] {
        if !same {
            tracing::warn!(key, "changed; takes effect at the next start");
        }
    }
    tracing::info!("configuration reloaded");
}

/// New connections get the component that is configured now; sessions that run keep theirs.
fn reload_component(config: &Config, service: &Service) {
    let old = service.build();
    let cache = config.state_dir.join("code");
    // Compiling takes a while, on a thread that may block.
    let loaded = tokio::task::block_in_place(|| {
        embedded::load(&old.engine, config.component.path.as_deref(), Some(&cache))
    });
    match loaded {
        Ok(build) if build.digest == old.digest => {}
        Ok(build) => {
            tracing::info!(
                build = build.digest,
                old = old.digest,
                "new component in force"
            );
            service.set_build(build);
        }
        Err(error) => {
            tracing::error!(%error, build = old.digest, "the component cannot be used; the old one stays in force");
        }
    }
}

fn report(finding: &Finding) {
    if finding.is_error() {
        tracing::error!(%finding, "configuration");
    } else {
        tracing::warn!(%finding, "configuration");
    }
}
