//! For whom a route is: `domains`, `senders` and `identities`, and whether anybody reaches it.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::config::names::check_domain;
use crate::config::reader::{Section, Value};
use crate::route::{DomainPattern, SenderPattern};

/// For whom a route is.
pub(super) struct Reach {
    pub(super) domains: Vec<Domain>,
    /// Empty: anybody.
    pub(super) senders: Vec<SenderPattern>,
    /// Empty: anybody.
    pub(super) identities: Vec<String>,
    /// A list was there but wrong, so that nothing can be said about the routes below.
    broken: bool,
}

/// One of the domains, as it is and as it is written.
pub(super) struct Domain {
    pub(super) pattern: DomainPattern,
    written: String,
    /// Position in the list.
    index: usize,
}

impl Reach {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let domains = read_domains(section);
        let senders = read_list(section, "senders", "anybody", read_sender);
        let identities = read_list(section, "identities", "anybody", |value| {
            let text = value.words("a user's name, as in the users file")?;
            Some(text.to_owned())
        });
        Self {
            broken: senders.is_none() || identities.is_none(),
            domains: domains.unwrap_or_default(),
            senders: senders.unwrap_or_default(),
            identities: identities.unwrap_or_default(),
        }
    }

    /// Whether all that `other` is for, its domain aside, is here too.
    fn is_for_all_of(&self, other: &Self) -> bool {
        let same = |one: &String| {
            self.identities
                .iter()
                .any(|own| own.eq_ignore_ascii_case(one))
        };
        let identities = self.identities.is_empty()
            || (!other.identities.is_empty() && other.identities.iter().all(same));
        let senders = self.is_for_every_sender()
            || (!other.senders.is_empty()
                && other
                    .senders
                    .iter()
                    .all(|one| self.senders.iter().any(|own| own.covers(one))));
        !self.broken && !other.broken && senders && identities
    }

    fn is_for_every_sender(&self) -> bool {
        let any = SenderPattern::Domain(DomainPattern::Any);
        self.senders.is_empty()
            || (self.senders.contains(&any) && self.senders.contains(&SenderPattern::Null))
    }
}

/// Warns about domains that never come to this route: first match wins.
pub(super) fn check(section: &Section<'_>, own: &Reach, earlier: &[Reach]) {
    let Some(value) = section.value("domains").filter(Value::is_list) else {
        return;
    };
    let elements = value.list().unwrap_or_default();
    for (position, domain) in own.domains.iter().enumerate() {
        let Some(element) = elements.get(domain.index) else {
            continue;
        };
        let covers = |other: &&Domain| other.pattern.covers(&domain.pattern);
        if let Some(other) = own.domains[..position].iter().find(covers) {
            element.warning(if other.pattern == domain.pattern {
                "is listed twice".to_owned()
            } else {
                format!("\"{}\" has it already", other.written)
            });
            continue;
        }
        let shadow = earlier.iter().enumerate().find_map(|(route, reach)| {
            let other = reach.domains.iter().find(covers)?;
            reach.is_for_all_of(own).then_some((route, other))
        });
        if let Some((route, other)) = shadow {
            element.warning(format!(
                "never comes to this route: route[{route}] has \"{}\" and the first match wins",
                other.written
            ));
        }
    }
}

fn read_domains(section: &Section<'_>) -> Option<Vec<Domain>> {
    let Some(value) = section.value("domains") else {
        section.error(
            "domains",
            "is missing; name them, or use domains = [\"*\"] for all",
        );
        return None;
    };
    let elements = value.list()?;
    if elements.is_empty() {
        value.error("is empty; name a domain, or use [\"*\"] for all");
    }
    let read = |(index, element): (usize, &Value<'_>)| {
        let text = element.text()?;
        match domain_pattern(text) {
            Ok(pattern) => Some(Domain {
                pattern,
                written: text.to_owned(),
                index,
            }),
            Err(why) => {
                element.error(format!(
                    "\"{}\" {why}; use \"example.org\", \"*.example.org\" for all below it, or \"*\" \
                     for all",
                    text.escape_debug()
                ));
                None
            }
        }
    };
    Some(elements.iter().enumerate().filter_map(read).collect())
}

/// A list of what a route is for besides domains: absent is empty, wrong is `None`.
fn read_list<T>(
    section: &Section<'_>,
    key: &'static str,
    everybody: &str,
    read: impl Fn(&Value<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let Some(value) = section.value(key) else {
        return Some(Vec::new());
    };
    let elements = value.list()?;
    if elements.is_empty() {
        value.error(format!(
            "is empty: the route would be for nobody; leave the key out for {everybody}"
        ));
        return None;
    }
    // All of them, so that all mistakes are found.
    let good: Vec<T> = elements.iter().filter_map(read).collect();
    (good.len() == elements.len()).then_some(good)
}

fn read_sender(value: &Value<'_>) -> Option<SenderPattern> {
    let text = value.text()?;
    match sender_pattern(text) {
        Ok(pattern) => Some(pattern),
        Err(why) => {
            value.error(format!(
                "\"{}\" {why}; use \"alice@example.org\", \"example.org\", \"*.example.org\", or \
                 \"<>\" for reports",
                text.escape_debug()
            ));
            None
        }
    }
}

fn sender_pattern(text: &str) -> Result<SenderPattern, &'static str> {
    const NONE: &str = "is no mailbox and no domain";
    match text.rsplit_once('@') {
        Some(("", _)) => return Err("has no local-part"),
        Some((_, domain)) if domain.contains('*') => {
            return Err("must be a mailbox, or a domain without @");
        }
        Some((local, domain)) => {
            if local.contains(char::is_control) {
                return Err(NONE);
            }
            domain_pattern(domain)?;
        }
        None if text == "<>" => {}
        None => drop(domain_pattern(text)?),
    }
    text.parse().map_err(|_| NONE)
}

/// A pattern that means something, or what is wrong with it.
fn domain_pattern(text: &str) -> Result<DomainPattern, &'static str> {
    const NONE: &str = "is no domain";
    if let Some(literal) = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        // RFC 5321 section 4.1.3
        let six = literal
            .get(..5)
            .filter(|tag| tag.eq_ignore_ascii_case("IPv6:"))
            .and_then(|tag| literal.get(tag.len()..));
        let good = match six {
            Some(six) => six.parse::<Ipv6Addr>().is_ok(),
            None => literal.parse::<Ipv4Addr>().is_ok(),
        };
        if !good {
            return Err("is no address literal, such as [192.0.2.1] or [IPv6:2001:db8::1]");
        }
    } else if text != "*" {
        check_domain(text.strip_prefix("*.").unwrap_or(text))?;
    }
    text.parse().map_err(|_| NONE)
}
