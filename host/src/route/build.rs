//! The routes of a configuration: files of authorities are read, and those who know passwords and
//! tokens are made.

use std::error::Error;
use std::sync::Arc;

use super::password::Password;
use super::{Delivery, Hops, NextHop, Route, Routes};
use crate::config::{self, ClientMechanism, Config, Deliver, RouteAuth, RouteTls, Secret};
use crate::oauth::{self, Registry, Tokens};
use crate::outbound::{Login, Provider, Security, Trust};
use crate::relay::Retry;
use crate::sandbox::v0_1::types::Mechanism;

/// The routes of this configuration, or of its default. `tokens` outlives reloads, so that routes
/// made anew go on with the tokens of the old ones; build the new ones before the old are dropped.
///
/// # Errors
///
/// A sentence about a route that cannot be used: its authorities cannot be read, or the system has
/// none and the route needs them.
pub fn build(config: &Config, tokens: &Registry) -> Result<Routes, String> {
    let mut system = System::default();
    config
        .routes_or_default()
        .iter()
        .map(|route| {
            let delivery = match &route.deliver {
                Deliver::Maildir(template) => Delivery::Maildir(template.clone()),
                Deliver::Hold => Delivery::Hold,
                Deliver::Discard => Delivery::Discard,
                Deliver::Servers(servers) => {
                    let hops = Hops::Configured(servers.clone());
                    next_hop(route, hops, &mut system, tokens)?
                }
                Deliver::Mx { port } => {
                    next_hop(route, Hops::Mx { port: *port }, &mut system, tokens)?
                }
            };
            Ok(Route {
                name: route.name.clone(),
                domains: route.domains.clone(),
                senders: route.senders.clone(),
                identities: route.identities.clone(),
                delivery,
                retry: Retry::from(&route.retry),
            })
        })
        .collect::<Result<_, String>>()
        .map(Routes::new)
}

impl From<&config::Retry> for Retry {
    fn from(retry: &config::Retry) -> Self {
        Self {
            first: retry.first,
            longest: retry.longest,
            give_up: retry.give_up,
            delay_note: retry.delay_note,
        }
    }
}

fn next_hop(
    route: &config::Route,
    hops: Hops,
    system: &mut System,
    tokens: &Registry,
) -> Result<Delivery, String> {
    let security = match route.tls {
        _ if route.deliver.is_implicit() => Security::Implicit,
        RouteTls::Required => Security::Required,
        RouteTls::Opportunistic => Security::Opportunistic,
        RouteTls::Off => Security::Off,
    };
    let (login, tokens) = match &route.auth {
        Some(auth) => login(auth, tokens),
        None => (Login::default(), None),
    };
    Ok(Delivery::Relay(Arc::new(NextHop {
        hops,
        security,
        tls_name: route.tls_name.clone(),
        trust: trust(route, system)
            .map_err(|why| format!("route {} cannot be used: {why}", route.name))?,
        login,
        tokens,
        transfer: route.transfer,
        connections: route.connections,
        timeouts: route.timeouts,
    })))
}

/// Whose certificates are good.
fn trust(route: &config::Route, system: &mut System) -> Result<Arc<Trust>, String> {
    if !route.may_use_tls() {
        return Ok(Arc::new(Trust::anybody()));
    }
    if let Some(file) = &route.tls_authorities {
        return match Trust::file(file) {
            Ok(trust) => Ok(Arc::new(trust)),
            Err(error) => Err(format!("tls-authorities: {}", chain(&error))),
        };
    }
    match system.trust() {
        Ok(trust) => Ok(trust),
        Err(why) if route.needs_verification() => Err(format!(
            "{why}; install them (ca-certificates), or name a file in tls-authorities"
        )),
        // Any certificate is good enough.
        Err(_) => Ok(Arc::new(Trust::anybody())),
    }
}

/// The authorities of the system, loaded when the first route wants them.
#[derive(Default)]
struct System(Option<Result<Arc<Trust>, String>>);

impl System {
    fn trust(&mut self) -> Result<Arc<Trust>, String> {
        let load = || match Trust::platform() {
            Ok(trust) => Ok(Arc::new(trust)),
            Err(error) => Err(chain(&error)),
        };
        self.0.get_or_insert_with(load).clone()
    }
}

fn login(auth: &RouteAuth, registry: &Registry) -> (Login, Option<Arc<Tokens>>) {
    let (user, domain) = (auth.user.as_str(), auth.domain.as_str());
    let mut tokens = None;
    let provider: Option<Arc<dyn Provider>> = match &auth.secret {
        Secret::PasswordFile(path) => Some(Arc::new(Password::file(user, domain, path.clone()))),
        Secret::PasswordCommand(command) => {
            Some(Arc::new(Password::command(user, domain, command)))
        }
        Secret::Token(grant) => {
            let settings = oauth::Settings {
                user: user.to_owned(),
                grant: grant.clone(),
            };
            tokens = Some(registry.tokens(&settings));
            None
        }
    };
    let login = Login {
        mechanisms: auth.mechanisms.iter().map(|own| wire(*own)).collect(),
        clear_text: auth.clear_text,
        provider,
    };
    (login, tokens)
}

fn wire(mechanism: ClientMechanism) -> Mechanism {
    match mechanism {
        ClientMechanism::Xoauth2 => Mechanism::Xoauth2,
        ClientMechanism::Oauthbearer => Mechanism::Oauthbearer,
        ClientMechanism::ScramSha256Plus => Mechanism::ScramSha256Plus,
        ClientMechanism::ScramSha1Plus => Mechanism::ScramSha1Plus,
        ClientMechanism::ScramSha256 => Mechanism::ScramSha256,
        ClientMechanism::ScramSha1 => Mechanism::ScramSha1,
        ClientMechanism::Ntlm => Mechanism::Ntlm,
        ClientMechanism::CramMd5 => Mechanism::CramMd5,
        ClientMechanism::Plain => Mechanism::Plain,
        ClientMechanism::Login => Mechanism::Login,
    }
}

/// An error and its causes, each said once.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
#[path = "build_tests.rs"]
mod tests;
