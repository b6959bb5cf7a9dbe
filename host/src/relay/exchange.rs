//! Which servers a domain's messages go to, and in which order (RFC 5321 section 5.1).
//!
//! Pure, save for the questions to DNS.

use rand::seq::SliceRandom as _;

use crate::outbound::resolve::{Exchanger, Resolve, ResolveError};
use crate::spool::attempt::Status;

/// Servers of one attempt at most: a domain with a hundred records is not asked a hundred times.
const MOST_EXCHANGERS: usize = 10;

/// Why a domain has no server to go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NoExchanger {
    /// Enhanced status code; its class says whether it may pass.
    pub(super) status: Status,
    /// For a person.
    pub(super) text: String,
}

impl NoExchanger {
    fn new(status: Status, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
        }
    }

    /// Whether it will never work.
    pub(super) fn is_final(&self) -> bool {
        self.status.0 == 5
    }
}

/// The servers of a domain, in the order in which they are tried.
pub(super) async fn exchangers(
    resolver: &dyn Resolve,
    domain: &str,
    hostname: &str,
) -> Result<Vec<String>, NoExchanger> {
    // RFC 5321 section 4.1.3: a literal is its own server.
    if let Some(literal) = literal(domain) {
        return literal.map(|address| vec![address]);
    }
    match resolver.exchangers(domain).await {
        Ok(found) => order(found, domain, hostname),
        // R5321-5.1: without MX records, and only then, the domain itself.
        Err(ResolveError::Nothing { .. }) => match resolver.addresses(domain).await {
            Ok(_) => Ok(vec![domain.to_owned()]),
            Err(error) => Err(unresolved(domain, &error)),
        },
        Err(error) => Err(unresolved(domain, &error)),
    }
}

/// The servers of a domain whose names DNSSEC proves (RFC 8689 section 4.2.1).
pub(super) async fn proven(
    resolver: &dyn Resolve,
    domain: &str,
    hostname: &str,
) -> Result<Vec<String>, NoExchanger> {
    if let Some(literal) = literal(domain) {
        return literal.map(|address| vec![address]);
    }
    match resolver.proven_exchangers(domain).await {
        // R5321-5.1, and that there are none is proven too.
        Ok(Some(found)) if found.is_empty() => match resolver.addresses(domain).await {
            Ok(_) => Ok(vec![domain.to_owned()]),
            Err(error) => Err(unresolved(domain, &error)),
        },
        Ok(Some(found)) => order(found, domain, hostname),
        Err(error) => Err(unresolved(domain, &error)),
        Ok(None) => Err(NoExchanger::new(
            (5, 7, 10),
            format!(
                "REQUIRETLS, and nothing proves which servers take mail for {domain}: its MX records \
                 are not signed, or no name server is trusted that checks them ([dns] trusted)"
            ),
        )),
    }
}

fn literal(domain: &str) -> Option<Result<String, NoExchanger>> {
    let inner = domain.strip_prefix('[')?.strip_suffix(']')?;
    let address = match inner.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => inner
            .get(5..)
            .and_then(|rest| rest.parse::<std::net::Ipv6Addr>().ok())
            .map(|address| address.to_string()),
        _ => inner
            .parse::<std::net::Ipv4Addr>()
            .ok()
            .map(|address| address.to_string()),
    };
    Some(address.ok_or_else(|| {
        NoExchanger::new((5, 1, 2), format!("{domain} is no address of a known kind"))
    }))
}

fn unresolved(domain: &str, error: &ResolveError) -> NoExchanger {
    match error {
        // RFC 3463: 5.1.2 bad destination system address.
        ResolveError::Unknown { .. } => {
            NoExchanger::new((5, 1, 2), format!("there is no domain {domain} in DNS"))
        }
        // RFC 3463: 5.4.4 unable to route.
        ResolveError::Nothing { .. } => NoExchanger::new(
            (5, 4, 4),
            format!("{domain} has neither an MX record nor an address in DNS"),
        ),
        ResolveError::Unanswered { .. } => NoExchanger::new((4, 4, 3), error.to_string()),
    }
}

/// The order of RFC 5321 section 5.1: by preference, equal ones by chance; not to ourselves, nor to
/// those that are no better than we are.
fn order(
    mut found: Vec<Exchanger>,
    domain: &str,
    hostname: &str,
) -> Result<Vec<String>, NoExchanger> {
    // RFC 7505 section 3 (R7505-3): a null MX is alone. Beside others it is a mistake of theirs.
    if found.iter().all(|one| one.host.is_empty()) {
        return Err(NoExchanger::new(
            (5, 1, 10),
            format!("{domain} takes no mail: it has a null MX record"),
        ));
    }
    found.retain(|one| !one.host.is_empty());
    let own = found
        .iter()
        .filter(|one| one.host.eq_ignore_ascii_case(hostname))
        .map(|one| one.preference)
        .min();
    if let Some(own) = own {
        found.retain(|one| one.preference < own);
        if found.is_empty() {
            return Err(NoExchanger::new(
                (5, 4, 6),
                format!(
                    "the MX records of {domain} lead back to {hostname}, which has no route of its own for it"
                ),
            ));
        }
    }
    found.shuffle(&mut rand::rng());
    found.sort_by_key(|one| one.preference);
    let mut hosts: Vec<String> = Vec::new();
    for one in found {
        if !hosts.contains(&one.host) {
            hosts.push(one.host);
        }
    }
    hosts.truncate(MOST_EXCHANGERS);
    Ok(hosts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use std::net::IpAddr;

    fn records(records: &[(u16, &str)]) -> Vec<Exchanger> {
        records
            .iter()
            .map(|(preference, host)| Exchanger {
                preference: *preference,
                host: (*host).to_owned(),
            })
            .collect()
    }

    fn ordered(records_: &[(u16, &str)]) -> Result<Vec<String>, (u8, u16, u16)> {
        order(records(records_), "example.org", "us.example.net").map_err(|error| error.status)
    }

    #[test]
    fn r5321_5_1_exchangers_go_by_preference_and_equal_ones_by_chance() {
        let mut firsts = std::collections::HashSet::new();
        for _ in 0..200 {
            let hosts = ordered(&[(20, "c"), (10, "a"), (10, "b"), (20, "a")]).unwrap();
            assert_eq!(hosts.len(), 3);
            assert_eq!(hosts[2], "c");
            firsts.insert(hosts[0].clone());
        }
        assert_eq!(firsts.len(), 2, "{firsts:?}");
    }

    #[test]
    fn r7505_3_a_null_mx_takes_no_mail() {
        assert_eq!(ordered(&[(0, "")]), Err((5, 1, 10)));
        assert_eq!(ordered(&[(0, ""), (5, "a")]), Ok(vec!["a".to_owned()]));
    }

    #[test]
    fn r5321_5_1_we_are_never_our_own_next_hop() {
        assert_eq!(ordered(&[(10, "US.example.net")]), Err((5, 4, 6)));
        assert_eq!(
            ordered(&[(10, "us.example.net"), (10, "a"), (20, "b")]),
            Err((5, 4, 6))
        );
        assert_eq!(
            ordered(&[(5, "a"), (10, "us.example.net"), (20, "b")]),
            Ok(vec!["a".to_owned()])
        );
    }

    #[test]
    fn a_hundred_records_are_not_a_hundred_attempts() {
        let many: Vec<(u16, String)> = (0..100).map(|n| (n, format!("h{n}"))).collect();
        let many: Vec<(u16, &str)> = many.iter().map(|(n, host)| (*n, host.as_str())).collect();
        assert_eq!(ordered(&many).map(|hosts| hosts.len()), Ok(MOST_EXCHANGERS));
    }

    struct Dns {
        mx: Result<Vec<Exchanger>, ResolveError>,
        address: Result<Vec<IpAddr>, ResolveError>,
    }

    #[async_trait]
    impl Resolve for Dns {
        async fn addresses(&self, _: &str) -> Result<Vec<IpAddr>, ResolveError> {
            self.address.clone()
        }
        async fn exchangers(&self, _: &str) -> Result<Vec<Exchanger>, ResolveError> {
            self.mx.clone()
        }
    }

    fn unknown() -> ResolveError {
        ResolveError::Unknown {
            name: "example.org".into(),
        }
    }

    fn nothing() -> ResolveError {
        ResolveError::Nothing {
            name: "example.org".into(),
            kind: "MX record",
        }
    }

    fn unanswered() -> ResolveError {
        ResolveError::Unanswered {
            name: "example.org".into(),
            reason: "SERVFAIL".into(),
        }
    }

    #[tokio::test]
    async fn r5321_5_1_the_domain_itself_only_without_mx_records() {
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let itself = Ok(vec!["example.org".to_owned()]);
        for (mx, addresses, expected) in [
            (Err(nothing()), Ok(vec![address]), itself),
            (Err(nothing()), Err(nothing()), Err((5, 4, 4))),
            (Err(nothing()), Err(unknown()), Err((5, 1, 2))),
            (Err(nothing()), Err(unanswered()), Err((4, 4, 3))),
            (Err(unknown()), Ok(vec![address]), Err((5, 1, 2))),
            (Err(unanswered()), Ok(vec![address]), Err((4, 4, 3))),
            (
                Ok(records(&[(1, "mx")])),
                Err(unknown()),
                Ok(vec!["mx".to_owned()]),
            ),
        ] {
            let dns = Dns {
                mx,
                address: addresses,
            };
            let found = exchangers(&dns, "example.org", "us").await;
            assert_eq!(found.map_err(|error| error.status), expected);
        }
    }

    #[tokio::test]
    async fn a_literal_is_its_own_server() {
        let dns = Dns {
            mx: Err(unknown()),
            address: Err(unknown()),
        };
        for (domain, expected) in [
            ("[192.0.2.1]", Some("192.0.2.1")),
            ("[IPv6:2001:db8::1]", Some("2001:db8::1")),
            ("[x]", None),
            ("[Ipv9:1]", None),
            ("[é]", None),
        ] {
            let found = exchangers(&dns, domain, "us").await;
            assert_eq!(found.ok(), expected.map(|one| vec![one.to_owned()]));
        }
    }
}
