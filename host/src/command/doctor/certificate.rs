//! What there is to say of a certificate: for whom, by whom, for how long.

use std::time::{SystemTime, UNIX_EPOCH};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

/// Seconds of a day.
const DAY: i64 = 86_400;
/// Names that are shown.
const MOST_NAMES: usize = 6;

/// A certificate, as far as people ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    /// For whom.
    pub(super) names: Vec<String>,
    /// By whom.
    pub(super) issuer: String,
    /// Days that it is still good; negative: it is out of date.
    pub(super) days: i64,
}

impl Facts {
    /// Of this DER; `None`: it cannot be read.
    pub(super) fn read(der: &[u8], now: SystemTime) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let now = now
            .duration_since(UNIX_EPOCH)
            .map_or(0, |span| i64::try_from(span.as_secs()).unwrap_or(i64::MAX));
        let names = match certificate.subject_alternative_name() {
            // RFC 6125 section 6.4.4: the subject counts only where there are no such names, and
            // for us not even then; but it helps a person.
            Ok(Some(extension)) => extension
                .value
                .general_names
                .iter()
                .filter_map(|name| match name {
                    GeneralName::DNSName(name) => Some((*name).to_owned()),
                    GeneralName::IPAddress(octets) => address(octets),
                    _ => None,
                })
                .collect(),
            _ => vec![certificate.subject().to_string()],
        };
        let issuer = certificate.issuer();
        let issuer = if certificate.issuer() == certificate.subject() {
            "itself".to_owned()
        } else {
            let mut common = issuer.iter_common_name().chain(issuer.iter_organization());
            common
                .find_map(|name| name.as_str().ok())
                .map_or_else(|| issuer.to_string(), str::to_owned)
        };
        Some(Self {
            names,
            issuer,
            days: (certificate.validity().not_after.timestamp() - now).div_euclid(DAY),
        })
    }

    /// `certificate for mail.example.org by Example CA, 63 days left`.
    pub(super) fn told(&self) -> String {
        let names = match self.names.split_at_checked(MOST_NAMES) {
            Some((first, rest)) if !rest.is_empty() => {
                format!("{} and {} more", first.join(", "), rest.len())
            }
            _ => self.names.join(", "),
        };
        let left = match self.days {
            days if days < 0 => format!("out of date for {} days", -days),
            // RFC 5280 section 4.1.2.5: 9999 stands for no end; self-signed ones come near.
            days if days > 36_500 => "for ever".to_owned(),
            days => format!("{days} days left"),
        };
        format!("certificate for {names} by {}, {left}", self.issuer)
    }
}

fn address(octets: &[u8]) -> Option<String> {
    if let Ok(four) = <[u8; 4]>::try_from(octets) {
        return Some(std::net::Ipv4Addr::from(four).to_string());
    }
    <[u8; 16]>::try_from(octets)
        .ok()
        .map(|sixteen| std::net::Ipv6Addr::from(sixteen).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_certificate_is_told_in_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, _) = crate::tls::self_signed("mail.example.org", folder.path()).unwrap();
        let chain = crate::tls::read_chain(&certificate).unwrap();
        let now = SystemTime::now();
        let facts = Facts::read(&chain[0], now).unwrap();
        assert_eq!(facts.names, ["mail.example.org"]);
        assert_eq!(facts.issuer, "itself");
        assert!(facts.days > 30, "{facts:?}");
        let later = now + Duration::from_secs(86_400 * 1_000_000);
        let old = Facts::read(&chain[0], later).unwrap();
        assert!(
            old.days < 0 && old.told().contains("out of date"),
            "{old:?}"
        );
        assert_eq!(Facts::read(b"no certificate", now), None);
    }

    #[test]
    fn many_names_are_cut_short() {
        let facts = Facts {
            names: (0..9).map(|n| format!("{n}.example.org")).collect(),
            issuer: "Example CA".into(),
            days: 3,
        };
        let told = facts.told();
        assert!(
            told.ends_with("5.example.org and 3 more by Example CA, 3 days left"),
            "{told}"
        );
    }
}
