//! The routes of a configuration.

use super::{Delivery, Route, Routes};
use crate::config::Config;
use crate::relay::Retry;

/// The routes of this configuration, or of its default.
///
/// # Errors
///
/// A route that cannot be used; `check` finds it first.
pub fn build(config: &Config) -> Result<Routes, String> {
    let retry = Retry {
        first: config.retry.first,
        longest: config.retry.longest,
        give_up: config.retry.give_up,
        ..Retry::default()
    };
    let routes = config.routes_or_default();
    routes
        .iter()
        .map(|route| {
            let delivery = match route.deliver.split_once(':') {
                Some(("maildir", folder)) => {
                    Delivery::Maildir(folder.parse().map_err(|error| {
                        format!("route {}: the folder of maildir: {error}", route.deliver)
                    })?)
                }
                None if route.deliver == "hold" => Delivery::Hold,
                None if route.deliver == "discard" => Delivery::Discard,
                _ => return Err(format!("route {}: unknown", route.deliver)),
            };
            Ok(Route {
                name: route.deliver.clone(),
                domains: route
                    .domains
                    .iter()
                    .map(|pattern| pattern.parse().map_err(|error| format!("route: {error}")))
                    .collect::<Result<_, String>>()?,
                senders: Vec::new(),
                identities: Vec::new(),
                delivery,
                retry,
            })
        })
        .collect::<Result<_, String>>()
        .map(Routes::new)
}
