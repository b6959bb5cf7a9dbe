//! What the system is configured to ask, and what it knows beside DNS.

use super::dns::{Dns, unanswered};
use super::hosts::HostsFile;
use super::{Exchanger, LOOKUP, Resolve, ResolveError, SetupError, ascii, literal};
use async_trait::async_trait;
use hickory_resolver::system_conf::parse_resolv_conf;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use tokio::net::lookup_host;
use tokio::time::{Instant, timeout_at};

/// resolv.conf(5).
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// What a file says, as long as it is the same file.
pub(super) struct Watched<T> {
    path: PathBuf,
    read: fn(Vec<u8>) -> T,
    current: Mutex<(Option<Stamp>, Arc<T>)>,
}

/// What tells one state of a file from another.
type Stamp = (SystemTime, u64);

impl<T> Watched<T> {
    /// A file that is not there, or cannot be read, is read as an empty one.
    pub(super) fn new(path: &Path, read: fn(Vec<u8>) -> T) -> Self {
        let stamp = stamp(path);
        let value = read(fs::read(path).unwrap_or_default());
        Self {
            path: path.to_owned(),
            read,
            current: Mutex::new((stamp, Arc::new(value))),
        }
    }

    /// What it says now.
    pub(super) fn current(&self) -> Arc<T> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = stamp(&self.path);
        if stamp != current.0 {
            let octets = fs::read(&self.path).unwrap_or_default();
            *current = (stamp, Arc::new((self.read)(octets)));
        }
        Arc::clone(&current.1)
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// The system's way to names.
pub(super) struct System {
    /// None: the file names no DNS server.
    dns: Watched<Option<Dns>>,
}

impl System {
    /// As configured now.
    pub(super) fn new() -> Result<Self, SetupError> {
        Ok(Self::at(Path::new(RESOLV_CONF)))
    }

    /// With this `resolv.conf`.
    pub(super) fn at(path: &Path) -> Self {
        Self {
            dns: Watched::new(path, |octets| {
                let (config, options) = parse_resolv_conf(octets).ok()?;
                Dns::new(config, options, HostsFile::system()).ok()
            }),
        }
    }
}

#[async_trait]
impl Resolve for System {
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, ResolveError> {
        if let Some(addresses) = literal(host) {
            return Ok(addresses);
        }
        let end = Instant::now() + LOOKUP;
        let dns = self.dns.current();
        let verdict = match &*dns {
            Some(dns) => match dns.addresses(host).await {
                Err(error @ (ResolveError::Unknown { .. } | ResolveError::Nothing { .. })) => {
                    Some(error)
                }
                // The system would ask the same servers.
                answer => return answer,
            },
            None => None,
        };
        let lookup = ascii(host).unwrap_or_else(|| host.to_owned());
        let reason = match timeout_at(end, lookup_host((lookup, 0))).await {
            Ok(Ok(places)) => {
                let addresses: Vec<IpAddr> = places.map(|place| place.ip()).collect();
                if !addresses.is_empty() {
                    return Ok(addresses);
                }
                "the system has no address for it".into()
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the system's lookup does not answer".into(),
        };
        Err(verdict.unwrap_or_else(|| unanswered(host, reason)))
    }

    async fn exchangers(&self, domain: &str) -> Result<Vec<Exchanger>, ResolveError> {
        match &*self.dns.current() {
            Some(dns) => dns.exchangers(domain).await,
            None => Err(unanswered(
                domain,
                format!("{RESOLV_CONF} names no DNS server to ask for MX records"),
            )),
        }
    }
}
