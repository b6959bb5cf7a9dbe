//! `[[route]]`: where messages go; the first route that matches wins.
//!
//! ```text
//!   reach     for whom: domains, senders, identities, and routes that nothing reaches
//!   deliver   where to: the value of `deliver`
//!   auth      who to be there
//!   relaying  how: TLS, connections, timeouts; and what fits together
//! ```
//!
//! Here a route is what the file says, with its defaults. What becomes of it at work is
//! [`crate::route`].

mod auth;
mod deliver;
mod reach;
mod relaying;

use std::path::{Path, PathBuf};

pub use auth::{ClientMechanism, RouteAuth, Secret};
pub use deliver::Deliver;
pub use relaying::RouteTls;

use super::keys;
use super::reader::Section;
use super::retry::Retry;
use crate::deliver::Template;
use crate::outbound::{Timeouts, Transfer};
use crate::route::{Connections, DomainPattern, SenderPattern};

/// Where some messages go, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Name in the queue and in the log, unique. Default: what it delivers to, as it is written (the
    /// first of several), and a number where that is not unique.
    pub name: String,
    /// The recipient's domain is one of these. No default: a route for nobody or for everybody is
    /// never meant by accident.
    pub domains: Vec<DomainPattern>,
    /// The reverse-path is one of these. Default: empty, anybody.
    pub senders: Vec<SenderPattern>,
    /// Who submitted it is one of these. Default: empty, anybody.
    pub identities: Vec<String>,
    /// Where to.
    pub deliver: Deliver,
    /// What TLS means; an upstream of implicit TLS (`smtps`) has it whatever stands here. Default
    /// required where there are credentials to protect, opportunistic without them and for `mx`
    /// (RFC 3207), off for LMTP, which is on the same site (RFC 2033 section 5).
    pub tls: RouteTls,
    /// Name in the server's certificate. Default: the one in `deliver`.
    pub tls_name: Option<String>,
    /// PEM file of those whose certificates are good. Default: whom the system trusts.
    pub tls_authorities: Option<PathBuf>,
    /// Who to be. Default: nobody.
    pub auth: Option<RouteAuth>,
    /// `eight-bit` and `chunking`. Default: 8-bit content fails where the server lacks 8BITMIME, and
    /// DATA.
    pub transfer: Transfer,
    /// `connections`, `connections-per-destination`, `messages-per-connection` and `idle`.
    pub connections: Connections,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// When to try again: `[retry]`, with the keys that this route has of its own.
    pub retry: Retry,
}

impl Route {
    /// Maildirs of every domain below the state folder.
    pub fn below(state_dir: &Path, retry: &Retry) -> Self {
        let mail = state_dir.join("mail");
        Self {
            name: format!("maildir:{}/{{domain}}/{{local}}", mail.display()),
            domains: vec![DomainPattern::Any],
            senders: Vec::new(),
            identities: Vec::new(),
            // The folder may have braces in its name.
            deliver: Deliver::Maildir(Template::below(&mail)),
            tls: RouteTls::Off,
            tls_name: None,
            tls_authorities: None,
            auth: None,
            transfer: Transfer::default(),
            connections: Connections::default(),
            timeouts: Timeouts::default(),
            retry: retry.clone(),
        }
    }

    pub(super) fn read_all(top: &Section<'_>, base: &Path, retry: &Retry) -> Vec<Self> {
        let sections = top.sections("route", &keys::ROUTE).unwrap_or_default();
        let mut names = Names::default();
        let mut reaches = Vec::new();
        let mut routes = Vec::new();
        for (index, section) in sections.iter().enumerate() {
            let name = names.read(section, index);
            let reach = reach::Reach::read(section);
            reach::check(section, &reach, &reaches);
            let delivery = deliver::read(section);
            let ways = relaying::Ways::read(section, base, delivery.as_ref().map(|(to, _)| to));
            let retry = Retry::read(&section.section("retry", &keys::RETRY), retry);
            if let Some((deliver, written)) = delivery {
                relaying::check(section, &deliver, &ways);
                routes.push(Self {
                    name: name.unwrap_or(written),
                    domains: reach
                        .domains
                        .iter()
                        .map(|one| one.pattern.clone())
                        .collect(),
                    senders: reach.senders.clone(),
                    identities: reach.identities.clone(),
                    deliver,
                    tls: ways.tls,
                    tls_name: ways.tls_name,
                    tls_authorities: ways.tls_authorities,
                    auth: ways.auth,
                    transfer: ways.transfer,
                    connections: ways.connections,
                    timeouts: ways.timeouts,
                    retry,
                });
            }
            reaches.push(reach);
        }
        names.make_unique(&mut routes);
        routes
    }

    /// Whether a connection of this route ever has TLS.
    pub fn may_use_tls(&self) -> bool {
        self.tls != RouteTls::Off || self.deliver.is_ever_implicit()
    }

    /// Whether it must be known who is at the other end, since a connection without a good
    /// certificate is of no use.
    pub fn needs_verification(&self) -> bool {
        let credentials_need_it = self.auth.as_ref().is_some_and(|auth| {
            let shows = |mechanism: &ClientMechanism| mechanism.shows_secret();
            !auth.clear_text && auth.mechanisms.iter().any(shows)
        });
        match self.tls {
            RouteTls::Required => true,
            RouteTls::Opportunistic => credentials_need_it || self.deliver.is_ever_implicit(),
            RouteTls::Off => self.deliver.is_ever_implicit(),
        }
    }
}

/// The names that are given in the file, and by which route.
#[derive(Default)]
struct Names(Vec<(String, usize)>);

impl Names {
    fn read(&mut self, section: &Section<'_>, index: usize) -> Option<String> {
        let value = section.value("name")?;
        let text = value.text()?;
        let bad = |c: char| c.is_whitespace() || c.is_control();
        if text.is_empty() || text.chars().count() > 64 || text.contains(bad) {
            value.error(format!(
                "\"{}\" is no name: 1 to 64 characters without spaces; use \"smarthost\" or the like",
                text.escape_debug()
            ));
            return None;
        }
        match self.0.iter().find(|(name, _)| name == text) {
            Some((_, other)) => value.error(format!(
                "\"{text}\" is the name of route[{other}] already; give each its own"
            )),
            None => self.0.push((text.to_owned(), index)),
        }
        Some(text.to_owned())
    }

    /// Numbers the names that nobody gave where they are the same.
    fn make_unique(&self, routes: &mut [Route]) {
        let mut taken: Vec<String> = self.0.iter().map(|(name, _)| name.clone()).collect();
        for (index, route) in routes.iter_mut().enumerate() {
            if self.0.iter().any(|(_, named)| *named == index) {
                continue;
            }
            let written = route.name.clone();
            let mut number = 1;
            while taken.contains(&route.name) {
                number += 1;
                route.name = format!("{written}#{number}");
            }
            taken.push(route.name.clone());
        }
    }
}
