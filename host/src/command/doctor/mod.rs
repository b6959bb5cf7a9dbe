//! `pillarbox doctor`: whether mail can go, route by route, and what to do if not. Connects to each
//! server as a delivery would, and says QUIT without a message.
//!
//! ```text
//!   host         this host: name, certificate, spool
//!   dkim         keys that sign, and what the DNS says of them
//!   route        one route: configuration, credentials, queue, servers
//!   server       one server at one address: connection, TLS, login, offer
//!   watch        what is seen of a dialogue
//!   certificate  for whom, by whom, for how long
//!   advice       a failure to a sentence: what to do
//!   finding      what a check found, and how it is shown
//! ```
//!
//! Elsewhere on purpose: what the configuration's file says (`config`, `check`).

mod advice;
mod certificate;
mod dkim;
mod finding;
mod host;
mod route;
mod server;
#[cfg(test)]
mod tests;
mod watch;

use super::failed;
use crate::config::{Config, USUAL_PLACE};
use crate::embedded;
use crate::oauth::Registry;
use crate::outbound::resolve::{self, Resolve};
use crate::route::{Route, Routes};
use crate::sandbox::{Engine, SandboxLimits};
use finding::{Findings, show};
use server::Context;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Routes that are looked at side by side.
const AT_ONCE: usize = 8;

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = USUAL_PLACE)]
    config: PathBuf,
    /// Only these routes.
    #[arg(long = "route", value_name = "NAME")]
    routes: Vec<String>,
    /// Somebody to whom mail should go; routes by MX are tried for this domain.
    #[arg(long, value_name = "MAILBOX")]
    to: Vec<String>,
    /// Show the dialogues on standard error, without secrets.
    #[arg(long)]
    trace: bool,
    /// One JSON object a check and line.
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub fn run(arguments: &Arguments) -> ExitCode {
    if let Some(bad) = arguments.to.iter().find(|to| !to.contains('@')) {
        eprintln!("error: --to {bad}: is no mailbox; write somebody@example.net");
        return ExitCode::from(2);
    }
    let runtime = match super::small_runtime() {
        Ok(runtime) => runtime,
        Err(error) => return failed(error),
    };
    let mut out = io::stdout().lock();
    match runtime.block_on(examine(arguments, &mut out)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::from(1),
        Err(error) => failed(format!("cannot write: {error}")),
    }
}

/// Looks at everything; whether nothing failed.
async fn examine(arguments: &Arguments, out: &mut dyn Write) -> io::Result<bool> {
    let mut own = Findings::of(None);
    let prepared = prepare(arguments, &mut own).await;
    show("this host", &own, arguments.json, out)?;
    let mut good = !own.failed();
    let Some((context, routes, lanes)) = prepared else {
        return Ok(false);
    };
    let (context, lanes) = (Arc::new(context), Arc::new(lanes));
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let running: Vec<_> = routes
        .into_iter()
        .map(|route| {
            let (context, lanes) = (Arc::clone(&context), Arc::clone(&lanes));
            let (permits, to) = (Arc::clone(&permits), arguments.to.clone());
            let looked_at = Arc::clone(&route);
            let task = tokio::spawn(async move {
                let _permit = permits.acquire().await;
                route::examine(&context, &looked_at, &to, &lanes).await
            });
            (route, task)
        })
        .collect();
    for (route, task) in running {
        let findings = task.await.map_err(io::Error::other)?;
        let heading = format!("route {} ({})", route.name, route::destination(&route));
        show(&heading, &findings, arguments.json, out)?;
        good &= !findings.failed();
    }
    Ok(good)
}

type Prepared = (Context, Vec<Arc<Route>>, Vec<crate::spool::LaneCount>);

/// This host, and what the routes need; `None`: nothing more can be looked at.
async fn prepare(arguments: &Arguments, findings: &mut Findings) -> Option<Prepared> {
    let loaded = Config::load(&arguments.config);
    host::configuration(&loaded, findings);
    let config = loaded.config.as_ref()?;
    let resolver = match resolver(config) {
        Ok(resolver) => resolver,
        Err(why) => {
            findings.fail(
                "dns",
                why,
                "look at /etc/resolv.conf, or at servers in [dns]",
            );
            return None;
        }
    };
    host::hostname(config, resolver.as_ref(), findings).await;
    host::certificate(config, findings);
    dkim::records(config, resolver.as_ref(), findings).await;
    let lanes = host::spool(config, findings).await;
    let routes = match crate::route::build(config, &Registry::new()) {
        Ok(routes) => routes,
        Err(why) => {
            findings.fail("routes", why, "correct the [[route]]");
            return None;
        }
    };
    host::recipients(&routes, &arguments.to, findings);
    let chosen = choose(&routes, &arguments.routes, findings)?;
    let build = Engine::new(SandboxLimits {
        sandboxes: AT_ONCE as u32,
        ..SandboxLimits::default()
    })
    .and_then(|engine| embedded::load(&engine, config.component.path.as_deref(), None));
    let build = match build {
        Ok(build) => build,
        Err(error) => {
            let advice = "correct path in [component], or leave it out";
            findings.fail("component", error.to_string(), advice);
            return None;
        }
    };
    let context = Context {
        build,
        hostname: config.hostname.clone(),
        message_size: config.limits.message_size,
        trace: arguments.trace,
        resolver,
    };
    Some((context, chosen, lanes))
}

fn resolver(config: &Config) -> Result<Arc<dyn Resolve>, String> {
    let made = if config.dns.servers.is_empty() {
        resolve::system(config.dns.word())
    } else {
        resolve::servers(&config.dns.servers, config.dns.word())
    };
    made.map_err(|error| super::chain(&error))
}

/// The routes of these names, or all.
fn choose(routes: &Routes, names: &[String], findings: &mut Findings) -> Option<Vec<Arc<Route>>> {
    if names.is_empty() {
        return Some(routes.all().to_vec());
    }
    let mut chosen = Vec::new();
    for name in names {
        match routes.all().iter().find(|route| route.name == *name) {
            Some(route) => chosen.push(Arc::clone(route)),
            None => {
                let all: Vec<&str> = routes.all().iter().map(|one| one.name.as_str()).collect();
                let advice = format!("the routes are: {}", all.join(", "));
                findings.fail("routes", format!("there is no route {name}"), advice);
                return None;
            }
        }
    }
    Some(chosen)
}
