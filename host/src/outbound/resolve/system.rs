//! What the system is configured to ask, and what it knows beside DNS.

use super::dns::{Dns, unanswered};
use super::hosts::HostsFile;
use super::watched::Watched;
use super::{Exchanger, LOOKUP, Resolve, ResolveError, SetupError, Word, ascii, literal};
use async_trait::async_trait;
use hickory_resolver::system_conf::parse_resolv_conf;
use std::net::IpAddr;
use std::path::Path;
use tokio::net::lookup_host;
use tokio::time::{Instant, timeout_at};

/// resolv.conf(5).
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// The system's way to names.
pub(super) struct System {
    /// None: the file names no DNS server.
    dns: Watched<Option<Dns>>,
}

impl System {
    /// As configured now.
    pub(super) fn new(word: Word) -> Result<Self, SetupError> {
        Ok(Self::at(Path::new(RESOLV_CONF), word))
    }

    /// With this `resolv.conf`.
    pub(super) fn at(path: &Path, word: Word) -> Self {
        let read: fn(Vec<u8>) -> Option<Dns> = match word {
            Word::Trusted => |octets| read(octets, Word::Trusted),
            Word::Untrusted => |octets| read(octets, Word::Untrusted),
        };
        Self {
            dns: Watched::new(path, read),
        }
    }
}

fn read(octets: Vec<u8>, word: Word) -> Option<Dns> {
    let (config, options) = parse_resolv_conf(octets).ok()?;
    Dns::new(config, options, HostsFile::system(), word).ok()
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
        let mut lookup = ascii(host).unwrap_or_else(|| host.to_owned());
        // Else the search list of resolv.conf would make another name of one that DNS does not know.
        // (Names of one label are meant for it, and those below .local are not DNS's.)
        if dns.is_some() && lookup.contains('.') && !lookup.ends_with(".local") {
            lookup.push('.');
        }
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

    async fn texts(&self, name: &str) -> Result<Vec<String>, ResolveError> {
        match &*self.dns.current() {
            Some(dns) => dns.texts(name).await,
            None => Err(unanswered(
                name,
                format!("{RESOLV_CONF} names no DNS server to ask for TXT records"),
            )),
        }
    }

    async fn proven_exchangers(
        &self,
        domain: &str,
    ) -> Result<Option<Vec<Exchanger>>, ResolveError> {
        match &*self.dns.current() {
            Some(dns) => dns.proven_exchangers(domain).await,
            None => Ok(None),
        }
    }
}
