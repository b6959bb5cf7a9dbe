//! Routes, and deliveries that end on this machine.
//!
//! A route says what happens to the mailboxes of some domains; the first that matches wins. The
//! list is looked at when a recipient is accepted (no route: 550 5.7.1) and again at every attempt,
//! so a changed route applies to mail that is queued already.
//!
//! `template` makes a folder's name of a mailbox, `maildir` writes into it, `return_path` is the one
//! change that final delivery makes to content (RFC 5321 section 4.4). Not here: when (`relay`).

mod maildir;
mod return_path;
mod template;

use std::str::FromStr;

pub use maildir::{MaildirError, Maildirs};
pub use template::{Template, TemplateError};

/// What happens to the recipients of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// `maildir:/var/mail/{domain}/{local}`: written into a Maildir.
    Maildir(Template),
    /// `hold`: kept in the spool until somebody releases or removes it.
    Hold,
    /// `discard`: accepted, and gone.
    Discard,
}

impl Delivery {
    /// The scheme of the configuration, for logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Maildir(_) => "maildir",
            Self::Hold => "hold",
            Self::Discard => "discard",
        }
    }

    /// Whether the mailbox is on this machine: such recipients need no identity (R6409-3.3).
    pub fn is_local(&self) -> bool {
        match self {
            Self::Maildir(_) | Self::Hold => true,
            Self::Discard => false,
        }
    }
}

/// Why a `deliver` value of the configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// Planned.
    #[error("delivery by {scheme} does not exist yet; there are maildir:, hold and discard")]
    Later {
        /// What was asked for.
        scheme: String,
    },
    /// Never heard of.
    #[error("{value:?} is no delivery; there are maildir:FOLDER, hold and discard")]
    Unknown {
        /// What was asked for.
        value: String,
    },
    /// The folder of `maildir:`.
    #[error("the folder of maildir: {0}")]
    Template(#[from] TemplateError),
}

impl FromStr for Delivery {
    type Err = DeliveryError;

    fn from_str(value: &str) -> Result<Self, DeliveryError> {
        let (scheme, rest) = match value.split_once(':') {
            Some((scheme, rest)) => (scheme, Some(rest)),
            None => (value, None),
        };
        match (scheme, rest) {
            ("maildir", Some(folder)) => Ok(Self::Maildir(folder.parse()?)),
            ("hold", None) => Ok(Self::Hold),
            ("discard", None) => Ok(Self::Discard),
            ("smtp" | "smtps" | "lmtp" | "mx", _) => Err(DeliveryError::Later {
                scheme: scheme.to_owned(),
            }),
            _ => Err(DeliveryError::Unknown {
                value: value.to_owned(),
            }),
        }
    }
}

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
pub struct DomainPatternError {
    /// As it was written.
    pub pattern: String,
}

impl FromStr for DomainPattern {
    type Err = DomainPatternError;

    fn from_str(pattern: &str) -> Result<Self, DomainPatternError> {
        let lower = pattern.to_lowercase();
        if lower == "*" {
            return Ok(Self::Any);
        }
        let (below, domain) = match lower.strip_prefix("*.") {
            Some(domain) => (true, domain),
            None => (false, lower.as_str()),
        };
        let bad = |one: char| one == '*' || one == '@' || one.is_whitespace() || one.is_control();
        // An address literal may have empty parts: [IPv6:::1].
        let labels = domain.starts_with('[') || domain.split('.').all(|label| !label.is_empty());
        if domain.contains(bad) || !labels {
            return Err(DomainPatternError {
                pattern: pattern.to_owned(),
            });
        }
        Ok(if below {
            Self::Below(format!(".{domain}"))
        } else {
            Self::Exactly(lower)
        })
    }
}

impl DomainPattern {
    /// Whether this lower-case domain is meant.
    fn matches(&self, domain: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Below(suffix) => domain.len() > suffix.len() && domain.ends_with(suffix.as_str()),
            Self::Exactly(exactly) => domain == exactly,
        }
    }
}

/// One `[[route]]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Any of these.
    pub domains: Vec<DomainPattern>,
    /// What happens.
    pub delivery: Delivery,
}

/// Position of the first route for this mailbox.
pub fn route(routes: &[Route], mailbox: &str) -> Option<usize> {
    // RFC 5321 section 2.4: domains are the same in any case.
    let domain = split(mailbox).1.to_lowercase();
    routes
        .iter()
        .position(|route| route.domains.iter().any(|one| one.matches(&domain)))
}

/// Local-part and domain of a mailbox. Only a quoted local-part can have an `@` of its own, so the
/// last one counts (RFC 5321 section 4.1.2).
fn split(mailbox: &str) -> (&str, &str) {
    mailbox.rsplit_once('@').unwrap_or((mailbox, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(patterns: &[&[&str]]) -> Vec<Route> {
        patterns
            .iter()
            .map(|domains| Route {
                domains: domains.iter().map(|one| one.parse().unwrap()).collect(),
                delivery: Delivery::Discard,
            })
            .collect()
    }

    #[test]
    fn the_first_matching_route_wins() {
        let routes = routes(&[
            &["example.org", "[192.0.2.1]"],
            &["*.Example.org"],
            &["special.example.org", "*"],
        ]);
        for (mailbox, expected) in [
            ("a@example.org", 0),
            ("a@EXAMPLE.org", 0),
            ("a@[192.0.2.1]", 0),
            ("a@b.example.org", 1),
            ("a@special.example.ORG", 1),
            ("a@badexample.org", 2),
            ("a@example.org.net", 2),
            ("\"a@example.org\"@example.net", 2),
            ("a", 2),
        ] {
            assert_eq!(route(&routes, mailbox), Some(expected), "{mailbox}");
        }
        assert_eq!(route(&routes[..2], "a@example.net"), None);
        assert_eq!(route(&routes[1..2], "a@.example.org"), None);
        assert_eq!(route(&[], "a@example.net"), None);
    }

    #[test]
    fn patterns_that_match_nothing_are_refused() {
        for pattern in [
            "", "*.", "*foo", "a*.org", "a..b", ".org", "org.", "a b", "a@b", "**",
        ] {
            assert!(pattern.parse::<DomainPattern>().is_err(), "{pattern:?}");
        }
        assert!("[IPv6:2001:db8::1]".parse::<DomainPattern>().is_ok());
    }

    #[test]
    fn deliveries_are_read_from_the_configuration() {
        assert_eq!("hold".parse(), Ok(Delivery::Hold));
        assert_eq!("discard".parse(), Ok(Delivery::Discard));
        let maildir: Delivery = "maildir:/var/mail/{domain}/{local}".parse().unwrap();
        assert_eq!(maildir.name(), "maildir");
        for later in ["smtp://relay.example.net:587", "mx", "lmtp:/run/lmtp"] {
            let error = later.parse::<Delivery>().unwrap_err();
            assert!(error.to_string().contains("does not exist yet"), "{error}");
        }
        for unknown in ["", "maildir", "Hold", "hold:", "mbox:/x", "discard:x"] {
            let error = unknown.parse::<Delivery>();
            assert!(
                matches!(error, Err(DeliveryError::Unknown { .. })),
                "{unknown}"
            );
        }
        assert!(matches!(
            "maildir:relative".parse::<Delivery>(),
            Err(DeliveryError::Template(_))
        ));
    }
}
