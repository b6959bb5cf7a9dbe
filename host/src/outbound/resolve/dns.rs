//! Asking DNS servers, and what their answers mean (RFC 1035, RFC 2308).

use super::hosts::HostsFile;
use super::{
    Exchanger, LOOKUP, Resolve, ResolveError, SetupError, Word, absolute, authentic, literal,
    written,
};
use async_trait::async_trait;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use std::future::pending;
use std::net::{IpAddr, SocketAddr};
#[cfg(test)]
use std::path::Path;
use std::pin::pin;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Addresses of one family are there: the other family's answer is waited for this long. RFC 8305
/// section 3 has 50 ms, for people who look on; a message can wait for a slow server.
const OTHER_FAMILY: Duration = Duration::from_secs(1);
/// What is believed for longer than a domain's owner may like.
const MOST_POSITIVE: Duration = Duration::from_secs(3600);
const MOST_NEGATIVE: Duration = Duration::from_secs(60);
/// Answers that are remembered; one has at most some kilobytes.
const MOST_ANSWERS: u64 = 4096;
/// Addresses and MX records of one answer: TCP carries thousands.
const MOST_RECORDS: usize = 100;

/// DNS servers.
pub(super) struct Dns {
    resolver: TokioResolver,
    hosts: HostsFile,
    /// Whose word on DNSSEC counts.
    trusted: Vec<SocketAddr>,
    /// Of one lookup.
    limit: Duration,
}

impl Dns {
    /// These, and no search list.
    pub(super) fn of(servers: &[SocketAddr], word: Word) -> Result<Self, SetupError> {
        let servers = servers.iter().map(|server| {
            // RFC 7766 section 5: TCP where an answer is truncated.
            let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut way| {
                way.port = server.port();
                way
            });
            NameServerConfig::new(server.ip(), true, connections.into())
        });
        let config = ResolverConfig::from_name_servers(servers.collect());
        Self::new(config, ResolverOpts::default(), HostsFile::system(), word)
    }

    pub(super) fn new(
        config: ResolverConfig,
        mut options: ResolverOpts,
        hosts: HostsFile,
        word: Word,
    ) -> Result<Self, SetupError> {
        if config.name_servers().is_empty() {
            return Err(SetupError {
                reason: "there is no DNS server to ask: name one".into(),
            });
        }
        let port = |server: &NameServerConfig| server.connections.first().map(|way| way.port);
        let trusted = match word {
            Word::Trusted => config
                .name_servers()
                .iter()
                .filter_map(|server| Some(SocketAddr::new(server.ip, port(server)?)))
                .collect(),
            Word::Untrusted => Vec::new(),
        };
        // Our own look at the file is before it, and knows when it changes.
        options.use_hosts_file = ResolveHosts::Never;
        options.cache_size = MOST_ANSWERS;
        options.positive_max_ttl = Some(MOST_POSITIVE);
        options.negative_max_ttl = Some(MOST_NEGATIVE);
        let mut builder =
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = options;
        let resolver = builder.build().map_err(|error| SetupError {
            reason: error.to_string(),
        })?;
        Ok(Self {
            resolver,
            hosts,
            trusted,
            limit: LOOKUP,
        })
    }

    /// The same with other times, for tests.
    #[cfg(test)]
    pub(super) fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    #[cfg(test)]
    pub(super) fn options(&self) -> &ResolverOpts {
        self.resolver.options()
    }

    /// The same with another hosts file.
    #[cfg(test)]
    pub(super) fn with_hosts(mut self, path: &Path) -> Self {
        self.hosts = HostsFile::at(path);
        self
    }

    async fn limited<T>(
        &self,
        name: &str,
        lookup: impl Future<Output = Result<T, ResolveError>>,
    ) -> Result<T, ResolveError> {
        timeout(self.limit, lookup)
            .await
            .unwrap_or_else(|_| Err(unanswered(name, "the DNS servers do not answer".into())))
    }

    /// Both families at once.
    async fn both(&self, host: &str, name: Name) -> Result<Vec<IpAddr>, ResolveError> {
        let mut six = pin!(self.family(host, name.clone(), RecordType::AAAA));
        let mut four = pin!(self.family(host, name, RecordType::A));
        let (mut sixes, mut fours) = (None, None);
        let mut patience = pin!(async {
            // Begins when it is first polled, with the first addresses.
            sleep(OTHER_FAMILY).await;
        });
        while sixes.is_none() || fours.is_none() {
            let some = matches!(&sixes, Some(Ok(_))) || matches!(&fours, Some(Ok(_)));
            tokio::select! {
                answer = &mut six, if sixes.is_none() => sixes = Some(answer),
                answer = &mut four, if fours.is_none() => fours = Some(answer),
                () = &mut patience, if some => break,
                else => pending().await,
            }
        }
        join(sixes.into_iter().chain(fours))
    }

    async fn family(
        &self,
        host: &str,
        name: Name,
        kind: RecordType,
    ) -> Result<Vec<IpAddr>, ResolveError> {
        let lookup = self.resolver.lookup(name, kind).await;
        let lookup = lookup.map_err(|error| meaning(host, "address", &error))?;
        let addresses: Vec<IpAddr> = lookup
            .answers()
            .iter()
            .filter_map(|record| record.data.ip_addr())
            .take(MOST_RECORDS)
            .collect();
        some(addresses, host, "address")
    }

    async fn mail(&self, domain: &str, name: Name) -> Result<Vec<Exchanger>, ResolveError> {
        let lookup = self.resolver.lookup(name, RecordType::MX).await;
        let lookup = lookup.map_err(|error| meaning(domain, "MX record", &error))?;
        let exchangers = among(lookup.answers());
        some(exchangers, domain, "MX record")
    }

    async fn strings(&self, of: &str, name: Name) -> Result<Vec<String>, ResolveError> {
        let lookup = self.resolver.lookup(name, RecordType::TXT).await;
        let lookup = lookup.map_err(|error| meaning(of, "TXT record", &error))?;
        let texts: Vec<String> = lookup
            .answers()
            .iter()
            .filter_map(|record| match &record.data {
                RData::TXT(text) => {
                    Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned())
                }
                _ => None,
            })
            .take(MOST_RECORDS)
            .collect();
        some(texts, of, "TXT record")
    }
}

#[async_trait]
impl Resolve for Dns {
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, ResolveError> {
        if let Some(addresses) = literal(host) {
            return Ok(addresses);
        }
        let name = absolute(host).ok_or_else(|| unknown(host))?;
        if let Some(addresses) = self.hosts.addresses(&name) {
            return Ok(addresses);
        }
        // A name of one label may be short for one of the search list.
        let mut asked = name;
        asked.set_fqdn(asked.num_labels() > 1);
        self.limited(host, self.both(host, asked)).await
    }

    async fn exchangers(&self, domain: &str) -> Result<Vec<Exchanger>, ResolveError> {
        let name = absolute(domain).ok_or_else(|| unknown(domain))?;
        self.limited(domain, self.mail(domain, name)).await
    }

    async fn texts(&self, name: &str) -> Result<Vec<String>, ResolveError> {
        let asked = absolute(name).ok_or_else(|| unknown(name))?;
        self.limited(name, self.strings(name, asked)).await
    }

    async fn proven_exchangers(
        &self,
        domain: &str,
    ) -> Result<Option<Vec<Exchanger>>, ResolveError> {
        let Some(name) = absolute(domain).filter(|_| !self.trusted.is_empty()) else {
            return Ok(None);
        };
        let records = authentic::records(&self.trusted, &name, RecordType::MX);
        match timeout(self.limit, records).await {
            Ok(Ok(records)) => Ok(records.map(|records| among(&records))),
            Ok(Err(authentic::NoAnswer)) | Err(_) => Err(unanswered(
                domain,
                "no trusted name server can say which servers are proven to take its mail".into(),
            )),
        }
    }
}

/// The MX records among these.
fn among(records: &[Record]) -> Vec<Exchanger> {
    records
        .iter()
        .filter_map(|record| match &record.data {
            RData::MX(exchanger) => Some(Exchanger {
                preference: exchanger.preference,
                // RFC 7505 section 3: the root is the null MX.
                host: written(&exchanger.exchange),
            }),
            _ => None,
        })
        .take(MOST_RECORDS)
        .collect()
}

/// What two families have to say together. One that has addresses decides; else one that could not
/// say; else the name is unknown only if both say so (some servers do not know AAAA, and say that
/// there is no such name).
fn join(
    answers: impl Iterator<Item = Result<Vec<IpAddr>, ResolveError>>,
) -> Result<Vec<IpAddr>, ResolveError> {
    let mut addresses = Vec::new();
    let mut worst = None;
    for answer in answers {
        match answer {
            Ok(more) => addresses.extend(more),
            Err(error)
                if worst
                    .as_ref()
                    .is_none_or(|worst| rank(&error) > rank(worst)) =>
            {
                worst = Some(error);
            }
            Err(_) => {}
        }
    }
    match worst {
        Some(error) if addresses.is_empty() => Err(error),
        _ => Ok(addresses),
    }
}

fn rank(error: &ResolveError) -> u8 {
    match error {
        ResolveError::Unknown { .. } => 0,
        ResolveError::Nothing { .. } => 1,
        ResolveError::Unanswered { .. } => 2,
    }
}

/// RFC 2308 section 2: no such name, nothing of the kind, or no answer at all.
fn meaning(name: &str, kind: &'static str, error: &NetError) -> ResolveError {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(nothing)) => match nothing.response_code {
            ResponseCode::NXDomain => unknown(name),
            ResponseCode::NoError => ResolveError::Nothing {
                name: name.to_owned(),
                kind,
            },
            code => unanswered(name, format!("the DNS server said: {code}")),
        },
        NetError::Dns(DnsError::ResponseCode(code)) => {
            unanswered(name, format!("the DNS server said: {code}"))
        }
        NetError::Timeout => unanswered(name, "the DNS servers do not answer".into()),
        NetError::NoConnections => unanswered(name, "no DNS server can be reached".into()),
        error => unanswered(name, error.to_string()),
    }
}

fn some<T>(records: Vec<T>, name: &str, kind: &'static str) -> Result<Vec<T>, ResolveError> {
    if records.is_empty() {
        return Err(ResolveError::Nothing {
            name: name.to_owned(),
            kind,
        });
    }
    Ok(records)
}

fn unknown(name: &str) -> ResolveError {
    ResolveError::Unknown {
        name: name.to_owned(),
    }
}

pub(super) fn unanswered(name: &str, reason: String) -> ResolveError {
    ResolveError::Unanswered {
        name: name.to_owned(),
        reason,
    }
}
