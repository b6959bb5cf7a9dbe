//! This host: its name, its certificate, its spool.

use super::certificate::Facts;
use super::finding::Findings;
use crate::command::chain;
use crate::command::check::account::Account;
use crate::config::{Config, Listener, ListenerTls, Loaded};
use crate::control::{self, Request};
use crate::outbound::resolve::Resolve;
use crate::route::{Query, Routes};
use crate::spool::{Access, LaneCount, Spool as _, SpoolError, Sqlite};
use crate::tls::read_chain;
use std::time::{Duration, SystemTime};

/// Time for a name.
const WAIT: Duration = Duration::from_secs(30);
/// Renewals come at a third of a certificate's life, and short ones live for 45 days.
const SOON: i64 = 14;

/// What `check` finds in the file.
pub(super) fn configuration(loaded: &Loaded, findings: &mut Findings) {
    for finding in &loaded.findings {
        if finding.is_error() {
            findings.fail("configuration", finding.to_string(), "");
        } else {
            findings.warn("configuration", finding.to_string(), "");
        }
    }
    if loaded.findings.is_empty() {
        findings.ok("configuration", "can be used");
    }
}

/// Others look this name up, and some refuse who has none.
pub(super) async fn hostname(config: &Config, resolver: &dyn Resolve, findings: &mut Findings) {
    let name = &config.hostname;
    match tokio::time::timeout(WAIT, resolver.addresses(name)).await {
        Ok(Ok(addresses)) => {
            let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            findings.ok("hostname", format!("{name} is {}", list.join(", ")));
        }
        Ok(Err(error)) => findings.warn(
            "hostname",
            error.to_string(),
            "clients cannot find this host by that name, and other servers may refuse it: publish \
             its address in DNS, or correct hostname",
        ),
        Err(_) => findings.warn(
            "hostname",
            format!("cannot look up {name}: no answer in time"),
            "look at /etc/resolv.conf, or at servers in [dns]",
        ),
    }
}

/// Its own certificate.
pub(super) fn certificate(config: &Config, findings: &mut Findings) {
    let tls = |listener: &Listener| listener.tls != ListenerTls::None;
    let Some(files) = &config.tls else {
        if !config.listeners.iter().any(tls) {
            findings.skip("certificate", "no listener has TLS");
            return;
        }
        findings.warn(
            "certificate",
            "a self-signed one, which clients do not trust",
            "name certificate and key in [tls]",
        );
        return;
    };
    let file = files.certificate.display();
    let chain = match read_chain(&files.certificate) {
        Ok(chain) => chain,
        Err(error) => {
            let advice = "correct certificate in [tls]; pillarbox check says more";
            findings.fail("certificate", chain(&error), advice);
            return;
        }
    };
    let facts = chain
        .first()
        .and_then(|own| Facts::read(own, SystemTime::now()));
    match facts {
        None => findings.fail(
            "certificate",
            format!("{file} cannot be read"),
            "name a PEM file in [tls]; pillarbox check says more",
        ),
        Some(facts) if facts.days < 0 => {
            findings.fail("certificate", facts.told(), "renew it, or set the clock");
        }
        Some(facts) if facts.days < SOON => {
            findings.warn("certificate", facts.told(), "renew it");
        }
        Some(facts) => findings.ok("certificate", facts.told()),
    }
}

/// Whether the spool can be written, and has room. Returns what queues in it.
pub(super) async fn spool(config: &Config, findings: &mut Findings) -> Vec<LaneCount> {
    let folder = config.state_dir.join("spool");
    match Account::of(config.user.as_deref()) {
        Ok(account) => {
            if let Err(why) = account.may_fill(&folder) {
                findings.fail("spool", why, "");
            }
        }
        Err(why) => findings.fail("spool", why, ""),
    }
    let spool = match Sqlite::open(&config.state_dir, Access::Tool) {
        Ok(spool) => spool,
        Err(SpoolError::Absent { .. }) => {
            findings.skip("spool", "no service has run here yet");
            return Vec::new();
        }
        Err(error) => {
            findings.fail(
                "spool",
                chain(&error),
                "pillarbox must run as the service's account",
            );
            return Vec::new();
        }
    };
    let place = folder.display();
    // A limit of 0 is none.
    let octets = config.limits.message_size.max(1);
    match spool.room(octets) {
        Ok(()) => findings.ok("spool", format!("{place} has room")),
        Err(error) => findings.fail(
            "spool",
            chain(&error),
            "new messages get 452 until there is room: delete what is not needed on that disk",
        ),
    }
    match control::ask(&config.state_dir, Request::Ping) {
        Ok(true) => findings.ok("service", "runs"),
        Ok(false) => findings.skip("service", "does not run, or not as this account"),
        Err(error) => findings.warn(
            "service",
            error,
            "run pillarbox doctor as the service's account",
        ),
    }
    match spool.lanes().await {
        Ok(lanes) => lanes,
        Err(error) => {
            findings.fail("spool", chain(&error), "");
            Vec::new()
        }
    }
}

/// Which way each of these mailboxes goes.
pub(super) fn recipients(routes: &Routes, to: &[String], findings: &mut Findings) {
    for mailbox in to {
        let query = Query {
            reverse_path: "",
            identity: None,
            mailbox,
        };
        match routes.find(&query) {
            Some(route) => findings.ok(
                "recipient",
                format!("<{mailbox}> goes over route {}", route.name),
            ),
            None => findings.fail(
                "recipient",
                format!("<{mailbox}> has no route, if its sender has none of his own: 550 5.7.1"),
                "add a [[route]] for its domain, or for \"*\"",
            ),
        }
    }
}
