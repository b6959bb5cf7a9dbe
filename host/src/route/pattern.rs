//! Which domains and senders a route is for.

use crate::outbound::resolve::ascii;
use std::str::FromStr;

/// Which domains a route is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DomainPattern {
    /// `*`: all.
    Any,
    /// `*.example.org`: all below, itself not. Kept as `.example.org`.
    Below(String),
    /// `example.org` or `[192.0.2.1]`: this one.
    Exactly(String),
}

/// A pattern that matches nothing anybody could mean.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pattern:?} is no domain: write example.org, *.example.org or *")]
pub struct PatternError {
    /// As it was written.
    pub pattern: String,
}

impl FromStr for DomainPattern {
    type Err = PatternError;

    fn from_str(pattern: &str) -> Result<Self, PatternError> {
        let lower = pattern.to_lowercase();
        if lower == "*" {
            return Ok(Self::Any);
        }
        let (below, domain) = match lower.strip_prefix("*.") {
            Some(domain) => (true, domain),
            None => (false, lower.as_str()),
        };
        let bad = |one: char| "*@<>".contains(one) || one.is_whitespace() || one.is_control();
        // An address literal may have empty parts: [IPv6:::1].
        let labels = domain.starts_with('[') || domain.split('.').all(|label| !label.is_empty());
        if domain.contains(bad) || !labels {
            return Err(PatternError {
                pattern: pattern.to_owned(),
            });
        }
        let domain = canonical(domain);
        Ok(if below {
            Self::Below(format!(".{domain}"))
        } else {
            Self::Exactly(domain)
        })
    }
}

/// A domain as domains are compared: lower case, A-labels (RFC 5891 section 4.4): what somebody
/// writes with other letters is the same domain.
pub(super) fn canonical(domain: &str) -> String {
    let lower = domain.to_lowercase();
    if lower.is_ascii() {
        return lower;
    }
    ascii(&lower).unwrap_or(lower)
}

/// A mailbox likewise; local-parts in lower case too, since these patterns are people's.
fn canonical_mailbox(mailbox: &str) -> String {
    match mailbox.rsplit_once('@') {
        Some((local, domain)) => format!("{}@{}", local.to_lowercase(), canonical(domain)),
        None => mailbox.to_lowercase(),
    }
}

impl DomainPattern {
    /// Whether this [`canonical`] domain is meant.
    pub fn matches(&self, domain: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Below(suffix) => domain.len() > suffix.len() && domain.ends_with(suffix.as_str()),
            Self::Exactly(exactly) => domain == exactly,
        }
    }

    /// Whether all that `other` matches is matched here too.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (_, Self::Any) => false,
            (Self::Below(suffix), Self::Below(other)) => other.ends_with(suffix.as_str()),
            (_, Self::Exactly(domain)) => self.matches(domain),
            (Self::Exactly(_), Self::Below(_)) => false,
        }
    }
}

/// Which reverse-paths a route is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SenderPattern {
    /// `<>`: the null reverse-path.
    Null,
    /// `alice@example.org`: this mailbox, kept as [`canonical_mailbox`] has it.
    Mailbox(String),
    /// `example.org`, `*.example.org` or `*`: mailboxes of these domains; never the null one.
    Domain(DomainPattern),
}

impl FromStr for SenderPattern {
    type Err = PatternError;

    fn from_str(pattern: &str) -> Result<Self, PatternError> {
        if pattern == "<>" {
            return Ok(Self::Null);
        }
        match pattern.rsplit_once('@') {
            None => pattern.parse().map(Self::Domain),
            Some((local, domain)) => match domain.parse()? {
                DomainPattern::Exactly(_) if !local.is_empty() => {
                    Ok(Self::Mailbox(canonical_mailbox(pattern)))
                }
                _ => Err(PatternError {
                    pattern: pattern.to_owned(),
                }),
            },
        }
    }
}

impl SenderPattern {
    /// Whether this reverse-path, a mailbox or empty, is meant.
    pub fn matches(&self, reverse_path: &str) -> bool {
        match self {
            Self::Null => reverse_path.is_empty(),
            Self::Mailbox(mailbox) => canonical_mailbox(reverse_path) == *mailbox,
            Self::Domain(pattern) => {
                !reverse_path.is_empty() && pattern.matches(&canonical(super::domain(reverse_path)))
            }
        }
    }

    /// Whether all that `other` matches is matched here too.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Domain(pattern), Self::Domain(other)) => pattern.covers(other),
            (_, Self::Mailbox(mailbox)) => self.matches(mailbox),
            _ => self == other,
        }
    }
}
