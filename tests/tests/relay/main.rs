//! What the relay makes of servers that are slow, silent, mad or hostile: one service, a route for
//! each behaviour, all side by side (`src/relaying` says how a row is played).
//!
//! ```text
//!   ends            servers that close, reset or fall silent, moment by moment
//!   nonsense        what is no reply, or no reply to this
//!   words           odd but lawful replies, 421 and 4yz at each moment
//!   refusals        5yz, for all or for some, and the reports
//!   extensions      what EHLO promises, and lies
//!   authentication  AUTH and TLS: what is wrong between us and a configured server
//!   places          servers that are away, several upstreams, limits of a session, giving up
//!   lmtp            a reply for each recipient
//! ```
//!
//! `ROW=word` plays only rows with that word in their names; `KEEP=1` keeps the service's folder.

mod authentication;
mod ends;
mod extensions;
mod lmtp;
mod nonsense;
mod places;
mod refusals;
mod words;

use pillarbox_tests::relaying::row::Lane;
use pillarbox_tests::relaying::service::{Plan, Service};
use pillarbox_tests::relaying::{Row, Stage};
use pillarbox_tests::scripted::names::Names;
use pillarbox_tests::scripted::{Authority, Seen, Server};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

/// Far above what a service with a hundred deliveries needs, far below what the floods sent.
const MOST_MEMORY: u64 = 700 << 20;

fn rows(authority: &Authority) -> Result<Vec<Row>, String> {
    let mut rows = ends::rows();
    rows.extend(nonsense::rows());
    rows.extend(words::rows());
    rows.extend(refusals::rows());
    rows.extend(extensions::rows());
    rows.extend(authentication::rows(authority)?);
    rows.extend(places::rows());
    rows.extend(lmtp::rows());
    Ok(rows)
}

#[test]
fn the_table_has_enough_rows_and_each_has_its_name() {
    let authority = Authority::new().expect("an authority");
    let rows = rows(&authority).expect("the rows");
    let names: BTreeSet<&str> = rows.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), rows.len(), "two rows have one name");
    assert!(rows.len() >= 60, "only {} rows", rows.len());
}

#[test]
fn cl_rows_each_behaviour_of_a_server_has_its_outcome() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let failures = runtime.block_on(play()).expect("the service runs");
    assert!(failures.is_empty(), "\n{}", failures.join("\n\n"));
}

/// Plays all; what failed, with what the servers saw.
async fn play() -> Result<Vec<String>, String> {
    let authority = Authority::new()?;
    let mut rows = rows(&authority)?;
    if let Ok(word) = std::env::var("ROW") {
        rows.retain(|row| row.name.contains(&word));
    }
    let pauses = rows.iter().any(|row| row.lane == Some(Lane::Paused));
    let names = Names::default();
    let address = names.serve().await.map_err(|error| error.to_string())?;
    let mut plan = Plan::new(address)?;
    std::fs::write(plan.folder.path().join("ca.pem"), authority.pem())
        .map_err(|error| error.to_string())?;
    let mut cast = Vec::new();
    for (number, row) in (1..).zip(rows) {
        let route = format!("b{number:03}");
        let servers = engage(&row, &route, &mut plan).await?;
        cast.push((route, row, servers));
    }
    let service = Arc::new(Mutex::new(Service::start(plan)?));
    let stage = Stage::new(Arc::clone(&service), names);
    let played = cast.into_iter().map(|(route, row, servers)| {
        let stage = stage.clone();
        tokio::spawn(async move {
            let result = stage.play(&route, &row, &servers).await;
            (route, row.name, result, servers)
        })
    });
    let mut failures = Vec::new();
    let mut table = Vec::new();
    for play in played.collect::<Vec<_>>() {
        let (route, name, result, servers) = play.await.map_err(|error| error.to_string())?;
        match result {
            Ok(summary) => table.push(format!("ok     {route} {name}: {summary}")),
            Err(wrong) => {
                table.push(format!("FAILED {route} {name}: {wrong}"));
                let seen: Vec<_> = servers
                    .iter()
                    .map(|server| dialogue(&server.seen()))
                    .collect();
                failures.push(format!("{route} {name}: {wrong}\n{}", seen.join("\n---\n")));
            }
        }
    }
    let mut service = service.lock().unwrap_or_else(PoisonError::into_inner);
    match service.most_memory() {
        Some(memory) if memory <= MOST_MEMORY => {
            table.push(format!("the service had {} MiB at most", memory >> 20));
        }
        Some(memory) => failures.push(format!("the service had {} MiB", memory >> 20)),
        None => failures.push("the service has ended by itself".into()),
    }
    if pauses && service.told().is_empty() {
        failures.push("the alarm command was never run".into());
    }
    table.push(format!(
        "{} rows, {} failed",
        table.len() - 1,
        failures.len()
    ));
    // Past the test's own capture: the table is wanted when all is well, too.
    let _ = writeln!(std::io::stderr(), "{}", table.join("\n"));
    if !failures.is_empty() {
        let log = service.log();
        let start = log.len().saturating_sub(6_000);
        let tail: String = log.chars().skip(start).collect();
        let _ = writeln!(std::io::stderr(), "the end of the service's log:\n{tail}");
    }
    if std::env::var_os("KEEP").is_some() {
        let _ = writeln!(std::io::stderr(), "kept: {}", service.keep().display());
    }
    Ok(failures)
}

/// Starts a row's servers, and adds its route.
async fn engage(row: &Row, route: &str, plan: &mut Plan) -> Result<Vec<Server>, String> {
    let mut servers = Vec::new();
    let mut deliver = Vec::new();
    for script in [Some(&row.script), row.second.as_ref()]
        .into_iter()
        .flatten()
    {
        let scheme = match (script.lmtp, script.implicit) {
            (true, _) => "lmtp",
            (false, true) => "smtps",
            (false, false) => "smtp",
        };
        let server = Server::start(script.clone())
            .await
            .map_err(|error| format!("cannot start a server: {error}"))?;
        let address = server.address();
        let host = row
            .host
            .map_or_else(|| address.ip().to_string(), str::to_owned);
        deliver.push(format!("\"{scheme}://{host}:{}\"", address.port()));
        servers.push(server);
    }
    let deliver = match deliver.as_slice() {
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    };
    let folder = plan.folder.path().display().to_string();
    let keys: Vec<String> = row
        .route
        .iter()
        .map(|key| key.replace("{folder}", &folder))
        .collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    plan.add(route, &deliver, &keys, row.retry);
    Ok(servers)
}

fn dialogue(seen: &Seen) -> String {
    format!(
        "{} connections, {} contents, {} cut short\n{}",
        seen.connections,
        seen.contents.len(),
        seen.cut_short.len(),
        seen.lines.join("\n")
    )
}
