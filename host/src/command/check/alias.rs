//! Aliases: whether their file can be read, and where they lead.

use std::collections::HashMap;

use super::{account::Account, readable};
use crate::alias::{AliasError, Aliases, Entry, Source, address::Address, file};
use crate::config::{Config, Deliver, Finding, Level, Loaded};
use crate::route::domain;

/// Most mailboxes that one alias may stand for without a word.
const MANY: usize = 1000;

/// Checks the aliases.
pub(super) fn examine(
    loaded: &Loaded,
    config: &Config,
    account: Option<&Account>,
    findings: &mut Vec<Finding>,
) {
    let (entries, place): (Vec<Entry>, Place<'_>) = match &config.aliases {
        Source::Nowhere => return,
        Source::Table(entries) => (entries.clone(), Place::Table(loaded)),
        Source::File(path) => {
            let file = match file::load(path) {
                Ok(file) => file,
                Err(error) => {
                    findings.push(loaded.finding(Level::Error, "aliases", unreadable(&error)));
                    return;
                }
            };
            if let Some(account) = account {
                readable(loaded, account, "aliases", path, findings);
            }
            let place = Place::File(path);
            let mistakes = file.mistakes.into_iter();
            findings
                .extend(mistakes.map(|(line, text)| place.finding(Level::Error, line, "", text)));
            (file.entries, place)
        }
    };
    let aliases = Aliases::new(entries.clone());
    let is_local = |mailbox: &str| is_local(config, mailbox);
    let mut seen: HashMap<String, usize> = HashMap::new();
    for entry in &entries {
        let name = entry.name.to_string();
        let mut found = |level, text: String| {
            findings.push(place.finding(level, entry.line, &name, text));
        };
        if let Some(first) = seen.insert(entry.name.key(), entry.line) {
            let text = format!("{name} is an alias in line {first} already, which counts");
            found(Level::Warning, text);
            continue;
        }
        // One without a domain is looked at where every host has some.
        let asked = if entry.name.is_full() {
            name.clone()
        } else {
            format!("{name}@{}", config.hostname)
        };
        if let Some(last) = aliases.circle(&Address::of(&asked), is_local) {
            let text = format!(
                "{name} leads back to itself by way of {last}; whatever comes to it only goes round"
            );
            found(Level::Error, text);
            continue;
        }
        let all = aliases.expand(&asked, is_local).unwrap_or_default();
        if all.len() > MANY {
            let text = format!("{name} stands for {} mailboxes", all.len());
            found(Level::Warning, text);
        }
        // A bare target is where the alias was asked for, and an alias is asked for where there is a
        // route.
        let lost: Vec<&str> = all
            .iter()
            .filter(|one| !is_local(one) && !is_routed(config, one))
            .map(String::as_str)
            .collect();
        if !lost.is_empty() {
            let text = format!(
                "{name} leads to {}, for which there is no [[route]]",
                super::listed(&lost)
            );
            found(Level::Warning, text);
        }
    }
}

/// Where aliases stand.
enum Place<'a> {
    Table(&'a Loaded),
    File(&'a std::path::Path),
}

impl Place<'_> {
    fn finding(&self, level: Level, line: usize, name: &str, text: String) -> Finding {
        match self {
            Self::Table(loaded) => Finding {
                line: Some(line),
                ..loaded.finding(level, &format!("aliases.{name}"), text)
            },
            Self::File(path) => Finding {
                line: Some(line),
                ..Finding::new(level, path, "", text)
            },
        }
    }
}

fn unreadable(error: &AliasError) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    format!("{error}: {}", cause.unwrap_or_default())
}

/// Whether the domain is delivered here, or is this host.
fn is_local(config: &Config, mailbox: &str) -> bool {
    domain(mailbox).eq_ignore_ascii_case(&config.hostname)
        || route(config, mailbox).is_some_and(|deliver| match deliver {
            Deliver::Maildir(_) | Deliver::Hold => true,
            Deliver::Servers(servers) => servers.iter().any(|server| server.lmtp),
            Deliver::Discard | Deliver::Mx { .. } => false,
        })
}

fn is_routed(config: &Config, mailbox: &str) -> bool {
    route(config, mailbox).is_some()
}

/// Of the first route for the domain, whoever sends.
fn route(config: &Config, mailbox: &str) -> Option<Deliver> {
    let domain = domain(mailbox).to_lowercase();
    config
        .routes_or_default()
        .into_iter()
        .find(|route| route.domains.iter().any(|pattern| pattern.matches(&domain)))
        .map(|route| route.deliver)
}
