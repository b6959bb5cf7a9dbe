//! Keys that sign, and what the DNS says of them.

use std::time::Duration;

use super::finding::Findings;
use crate::command::chain;
use crate::config::Config;
use crate::dkim::{Key, ascii_domain, record};
use crate::outbound::resolve::Resolve;

/// Time for a record.
const WAIT: Duration = Duration::from_secs(30);

/// Whether each key's record is published and is the key's own (RFC 6376 section 3.6).
pub(super) async fn records(config: &Config, resolver: &dyn Resolve, findings: &mut Findings) {
    for one in &config.dkim {
        let key = match Key::load(&one.key) {
            Ok(key) => key,
            Err(error) => {
                findings.fail(
                    "dkim",
                    chain(&error),
                    "the service does not start without it",
                );
                continue;
            }
        };
        for domain in &one.domains {
            let domain = ascii_domain(domain).unwrap_or_else(|| domain.clone());
            let name = record::name(&one.selector, &domain);
            let advice = format!(
                "publish what this prints: pillarbox dkim key --domain {domain} --selector {} --out {}",
                one.selector,
                one.key.display()
            );
            let texts = match tokio::time::timeout(WAIT, resolver.texts(&name)).await {
                Ok(Ok(texts)) => texts,
                Ok(Err(error)) => {
                    findings.warn("dkim", error.to_string(), advice);
                    continue;
                }
                Err(_) => {
                    let text = format!("cannot look up {name}: no answer in time");
                    findings.warn("dkim", text, advice);
                    continue;
                }
            };
            match texts.as_slice() {
                [text] => match record::mismatch(text, &key) {
                    None => findings.ok("dkim", format!("{name} is the record of its key")),
                    Some(why) => findings.warn("dkim", format!("{name} {why}"), advice),
                },
                several => {
                    let text = format!(
                        "{name} has {} TXT records, of which verifiers take any (RFC 6376 section 3.6.2.2)",
                        several.len()
                    );
                    findings.warn("dkim", text, advice);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;
    use crate::outbound::resolve::{Exchanger, ResolveError};
    use async_trait::async_trait;
    use std::net::IpAddr;

    /// One name has these records.
    struct Published(&'static str, Vec<String>);

    #[async_trait]
    impl Resolve for Published {
        async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, ResolveError> {
            Err(ResolveError::Unknown { name: host.into() })
        }

        async fn exchangers(&self, domain: &str) -> Result<Vec<Exchanger>, ResolveError> {
            Err(ResolveError::Unknown {
                name: domain.into(),
            })
        }

        async fn texts(&self, name: &str) -> Result<Vec<String>, ResolveError> {
            if name == self.0 {
                return Ok(self.1.clone());
            }
            Err(ResolveError::Unknown { name: name.into() })
        }
    }

    #[tokio::test]
    async fn r6409_8_5_a_record_that_is_not_the_keys_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.pem");
        let key = crate::dkim::generate(&file, crate::dkim::Algorithm::Ed25519, 0).unwrap();
        let text = format!(
            "hostname = \"mail.example.org\"\n[[dkim]]\ndomain = \"example.org\"\n\
             selector = \"s1\"\nkey = \"{}\"\n",
            file.display()
        );
        let config = Config::read(&folder.path().join("p.toml"), &text)
            .config
            .unwrap();
        let own = record::text(&key);
        for (name, texts, level, says) in [
            (
                "s1._domainkey.example.org",
                vec![own.clone()],
                Level::Ok,
                "is the record",
            ),
            (
                "s2._domainkey.example.org",
                vec![own.clone()],
                Level::Warn,
                "s1._domainkey",
            ),
            (
                "s1._domainkey.example.org",
                vec!["v=DKIM1; k=ed25519; p=AAAA".to_owned()],
                Level::Warn,
                "another public key",
            ),
            (
                "s1._domainkey.example.org",
                vec![own.clone(), own.clone()],
                Level::Warn,
                "2 TXT records",
            ),
        ] {
            let mut findings = Findings::of(None);
            records(&config, &Published(name, texts), &mut findings).await;
            assert_eq!(findings.all.len(), 1);
            let found = &findings.all[0];
            assert_eq!(found.level, level, "{}", found.text);
            assert!(found.text.contains(says), "{}", found.text);
        }
    }
}
