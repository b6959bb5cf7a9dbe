//! `[[dkim]]`: keys that sign what is submitted (RFC 6376; RFC 6409 section 8.5).

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::keys;
use super::names::check_domain;
use super::reader::{Section, Value};

/// Most time that a signature may hold: longer says nothing (RFC 6376 section 3.5, `x=`).
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// One key and what it signs. Whether the file can be read is not known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dkim {
    /// Domains of authors that it signs for, and the `d=` of these signatures. At least one.
    pub domains: Vec<String>,
    /// It signs for authors of all domains below, too, unless those have keys of their own. Default
    /// false: DMARC may be told to take that for a stranger's signature (RFC 7489 section 3.1.1).
    pub subdomains: bool,
    /// `s=`: the name of the key below `_domainkey`.
    pub selector: String,
    /// File of the private key; its kind decides the algorithm.
    pub key: PathBuf,
    /// `i=`, who takes responsibility. Default `None`: the domain.
    pub identity: Option<String>,
    /// How long a signature holds. Default `None`: for ever, since mail may lie in a queue for days
    /// and in a mailbox for years.
    pub expire: Option<Duration>,
}

impl Dkim {
    pub(super) fn read_all(top: &Section<'_>, base: &Path) -> Vec<Self> {
        let sections = top.sections("dkim", &keys::DKIM).unwrap_or_default();
        let mut all: Vec<Self> = Vec::new();
        for section in &sections {
            let Some(one) = Self::read(section, base) else {
                continue;
            };
            let twice = all.iter().find(|other| {
                other.selector.eq_ignore_ascii_case(&one.selector)
                    && other.domains.iter().any(|domain| {
                        let same = |own: &String| own.eq_ignore_ascii_case(domain);
                        one.domains.iter().any(same)
                    })
            });
            if twice.is_some() {
                section.error(
                    "selector",
                    format!(
                        "\"{}\" is another key of the same domain already; each needs a selector of its own",
                        one.selector
                    ),
                );
            }
            all.push(one);
        }
        all
    }

    fn read(section: &Section<'_>, base: &Path) -> Option<Self> {
        let missing = |key: &str, right: &str| {
            section.error(key, format!("is missing; {right}"));
        };
        let domains: Option<Vec<String>> = match section.value("domain") {
            None => {
                missing("domain", "write domain = \"example.org\"");
                None
            }
            Some(value) if value.is_list() => {
                let elements = value.list().unwrap_or_default();
                if elements.is_empty() {
                    value.error("is empty; name at least one domain");
                }
                Some(elements.iter().filter_map(read_domain).collect())
            }
            Some(value) => read_domain(&value).map(|domain| vec![domain]),
        };
        let selector = match section.value("selector") {
            None => {
                missing("selector", "write selector = \"mail\"");
                None
            }
            Some(value) => read_selector(&value),
        };
        let key = match section.value("key") {
            None => {
                missing(
                    "key",
                    "make one with `pillarbox dkim key`, and name its file",
                );
                None
            }
            Some(value) => value.file(base),
        };
        let domains = domains?;
        let identity = section
            .value("identity")
            .and_then(|value| read_identity(&value, &domains));
        Some(Self {
            subdomains: section
                .value("subdomains")
                .and_then(|value| value.boolean())
                .unwrap_or(false),
            identity,
            expire: section
                .value("expire")
                .and_then(|value| value.duration(Duration::from_secs(3600)..=LONGEST)),
            selector: selector?,
            key: key?,
            domains,
        })
    }
}

fn read_domain(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    let good = check_domain(text).is_ok() && text.contains('.');
    if !good {
        value.error(format!(
            "\"{text}\" is no domain of mail; use \"example.org\" (subdomains = true for all below it)"
        ));
    }
    good.then(|| text.to_owned())
}

/// RFC 6376 section 3.1: labels with dots between them.
fn read_selector(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    let good = check_domain(text).is_ok() && text.is_ascii();
    if !good {
        value.error(format!(
            "\"{text}\" is no selector; use letters, digits and inner hyphens, as in \"mail2026\""
        ));
    }
    good.then(|| text.to_owned())
}

/// RFC 6376 section 3.5: `i=` is in the domain of `d=` or below it.
fn read_identity(value: &Value<'_>, domains: &[String]) -> Option<String> {
    let text = value.text()?;
    let (local, domain) = text.rsplit_once('@').unwrap_or(("", ""));
    let plain = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/?^_`{|}~.".contains(c);
    let lower = domain.to_ascii_lowercase();
    let within = |own: &String| {
        let own = own.to_ascii_lowercase();
        lower == own
            || lower
                .strip_suffix(&own)
                .is_some_and(|rest| rest.ends_with('.'))
    };
    let good = local.chars().all(plain)
        && text.is_ascii()
        && check_domain(domain).is_ok()
        && domains.iter().all(within);
    if !good {
        value.error(format!(
            "\"{text}\" is no identity in the domain; use \"@{0}\" or \"news@{0}\"",
            domains.first().map_or("example.org", String::as_str)
        ));
    }
    good.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use std::path::Path;
    use std::time::Duration;

    fn read(text: &str) -> Result<Vec<super::Dkim>, Vec<String>> {
        let text = format!("hostname = \"mail.example.org\"\n{text}");
        let loaded = Config::read(Path::new("/etc/pillarbox/p.toml"), &text);
        match loaded.config {
            Some(config) => Ok(config.dkim),
            None => Err(loaded.findings.iter().map(ToString::to_string).collect()),
        }
    }

    #[test]
    fn r6409_8_5_a_key_has_a_domain_a_selector_and_a_file() {
        let all = read(
            "[[dkim]]\ndomain = \"example.org\"\nselector = \"s1\"\nkey = \"s1.pem\"\n\
             [[dkim]]\ndomain = [\"example.org\", \"example.net\"]\nselector = \"s2\"\n\
             key = \"/k/s2.pem\"\nsubdomains = true\nexpire = \"7d\"\n",
        )
        .unwrap();
        assert_eq!(all[0].domains, ["example.org"]);
        assert_eq!(all[0].key, Path::new("/etc/pillarbox/s1.pem"));
        assert!(!all[0].subdomains && all[0].expire.is_none() && all[0].identity.is_none());
        assert_eq!(all[1].domains, ["example.org", "example.net"]);
        assert!(all[1].subdomains);
        assert_eq!(all[1].expire, Some(Duration::from_secs(7 * 24 * 3600)));
    }

    #[test]
    fn r6409_8_5_what_cannot_sign_is_an_error() {
        let key = "selector = \"s\"\nkey = \"k\"\n";
        for (text, says) in [
            (
                "[[dkim]]\nselector = \"s\"\nkey = \"k\"\n".to_owned(),
                "domain: is missing",
            ),
            (
                "[[dkim]]\ndomain = \"a.b\"\nkey = \"k\"\n".to_owned(),
                "selector: is missing",
            ),
            (
                "[[dkim]]\ndomain = \"a.b\"\nselector = \"s\"\n".to_owned(),
                "key: is missing",
            ),
            (
                format!("[[dkim]]\ndomain = \"localhost\"\n{key}"),
                "is no domain",
            ),
            (format!("[[dkim]]\ndomain = []\n{key}"), "is empty"),
            (
                format!("[[dkim]]\ndomain = \"*.a.b\"\n{key}"),
                "is no domain",
            ),
            (
                "[[dkim]]\ndomain = \"a.b\"\nselector = \"s_1\"\nkey = \"k\"\n".to_owned(),
                "is no selector",
            ),
            (
                format!("[[dkim]]\ndomain = \"a.b\"\n{key}identity = \"@c.d\"\n"),
                "is no identity",
            ),
            (
                format!("[[dkim]]\ndomain = \"a.b\"\n{key}identity = \"xa.b\"\n"),
                "is no identity",
            ),
            (
                format!("[[dkim]]\ndomain = \"a.b\"\n{key}identity = \"@xa.b\"\n"),
                "is no identity",
            ),
            (
                format!(
                    "[[dkim]]\ndomain = \"a.b\"\n{key}[[dkim]]\ndomain = [\"c.d\", \"A.B\"]\n{key}"
                ),
                "another key of the same domain",
            ),
        ] {
            let findings = read(&text).unwrap_err();
            assert!(
                findings.iter().any(|one| one.contains(says)),
                "{text}: {findings:?}"
            );
        }
        for identity in ["@a.b", "news@a.b", "@x.A.b"] {
            let text = format!("[[dkim]]\ndomain = \"a.b\"\n{key}identity = \"{identity}\"\n");
            assert_eq!(read(&text).unwrap()[0].identity.as_deref(), Some(identity));
        }
    }
}
