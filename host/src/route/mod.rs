//! Routes: what happens to the recipients of a message. Pure values; the first that matches wins.
//!
//! The list is looked at when a recipient is accepted (no route: 550 5.7.1) and again at every
//! attempt, so a changed route applies to mail that is queued already.
//!
//! ```text
//!   pattern    which domains and senders a route is for
//!   next_hop   what a server is that messages go to
//!   build      the routes of a configuration
//!   password   passwords for next servers, from files and commands
//!   program    runs such a command
//! ```
//!
//! Not here: how the configuration is read (`config`), how a message gets there (`relay`,
//! `outbound`, `deliver`), access tokens (`oauth`).

mod build;
mod next_hop;
mod password;
mod pattern;
pub(crate) mod program;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use build::build;
pub use next_hop::{Connections, Endpoint, Hops, NextHop, Upstream};
pub(crate) use password::read as read_password;
pub use pattern::{DomainPattern, PatternError, SenderPattern};

use crate::deliver::Template;
use crate::relay::Retry;

/// What happens to the recipients of a route.
#[derive(Debug, Clone)]
pub enum Delivery {
    /// `maildir:/var/mail/{domain}/{local}`: written into a Maildir.
    Maildir(Template),
    /// `hold`: kept in the spool until somebody releases or removes it.
    Hold,
    /// `discard`: accepted, and gone.
    Discard,
    /// `smtp://`, `smtps://`, `lmtp:`, `mx`: handed to another server.
    Relay(Arc<NextHop>),
}

impl Delivery {
    /// Whether the mailbox is on this machine or behind it: such recipients need no identity
    /// (R6409-3.3).
    pub fn is_local(&self) -> bool {
        match self {
            Self::Maildir(_) | Self::Hold => true,
            Self::Discard => false,
            Self::Relay(next_hop) => next_hop.is_lmtp(),
        }
    }
}

/// One `[[route]]` of the configuration.
#[derive(Debug, Clone)]
pub struct Route {
    /// Name, unique: as configured, or what it delivers to.
    pub name: String,
    /// The recipient's domain is one of these.
    pub domains: Vec<DomainPattern>,
    /// The reverse-path is one of these; empty: anybody.
    pub senders: Vec<SenderPattern>,
    /// The identity is one of these, in any ASCII case; empty: anybody.
    pub identities: Vec<String>,
    /// What happens.
    pub delivery: Delivery,
    /// When to try again.
    pub retry: Retry,
}

/// One recipient of one message, as far as routes look at it.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// Mailbox of the reverse-path, or empty.
    pub reverse_path: &'a str,
    /// Who submitted it.
    pub identity: Option<&'a str>,
    /// Mailbox of the forward-path.
    pub mailbox: &'a str,
}

/// The routes of one configuration.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    routes: Vec<Arc<Route>>,
}

impl Routes {
    /// These, in this order.
    pub fn new(routes: Vec<Route>) -> Self {
        Self {
            routes: routes.into_iter().map(Arc::new).collect(),
        }
    }

    /// All of them, in their order.
    pub fn all(&self) -> &[Arc<Route>] {
        &self.routes
    }

    /// The first that matches.
    pub fn find(&self, query: &Query<'_>) -> Option<&Arc<Route>> {
        // RFC 5321 section 2.4: domains are the same in any case.
        let domain = pattern::canonical(domain(query.mailbox));
        self.routes
            .iter()
            .find(|route| route.is_for(query, &domain))
    }

    /// Whether every recipient of everybody is accepted, so that nobody need ask.
    pub fn takes_everybody(&self) -> bool {
        self.routes.iter().all(|route| route.delivery.is_local())
            && self.routes.iter().any(|route| {
                route.domains.contains(&DomainPattern::Any)
                    && route.senders.is_empty()
                    && route.identities.is_empty()
            })
    }
}

impl Route {
    fn is_for(&self, query: &Query<'_>, domain: &str) -> bool {
        let identity = |own: &String| {
            query
                .identity
                .is_some_and(|identity| own.eq_ignore_ascii_case(identity))
        };
        self.domains.iter().any(|pattern| pattern.matches(domain))
            && (self.senders.is_empty()
                || self
                    .senders
                    .iter()
                    .any(|pattern| pattern.matches(query.reverse_path)))
            && (self.identities.is_empty() || self.identities.iter().any(identity))
    }

    /// Where this route's messages for a mailbox queue: with all others of the route, or with those
    /// of the same domain where each domain has a place of its own.
    pub fn lane(&self, mailbox: &str) -> String {
        match &self.delivery {
            Delivery::Hold | Delivery::Discard => self.name.clone(),
            Delivery::Relay(next_hop) if matches!(next_hop.hops, Hops::Configured(_)) => {
                self.name.clone()
            }
            Delivery::Maildir(_) | Delivery::Relay(_) => {
                format!("{} {}", self.name, pattern::canonical(domain(mailbox)))
            }
        }
    }
}

/// Domain of a mailbox. Only a quoted local-part can have an `@` of its own, so the last one counts
/// (RFC 5321 section 4.1.2).
pub fn domain(mailbox: &str) -> &str {
    mailbox.rsplit_once('@').map_or("", |(_, domain)| domain)
}
