//! `[[route]]`: where messages of a domain go.

use std::path::Path;

use super::keys;
use super::names::check_domain;
use super::reader::{Section, Value, nearest};

/// Where messages of some domains go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Domains in lower case; `*` stands for all.
    pub domains: Vec<String>,
    /// `maildir:/path`, `hold` or `discard`; a Maildir path may have `{domain}` and `{local}`.
    pub deliver: String,
}

impl Route {
    /// Maildirs of every domain below the state folder.
    pub fn below(state_dir: &Path) -> Self {
        let path = state_dir.join("mail/{domain}/{local}");
        Self {
            domains: vec!["*".to_owned()],
            deliver: format!("maildir:{}", path.display()),
        }
    }

    /// Whether this route is for `domain`, in any case.
    pub fn matches(&self, domain: &str) -> bool {
        self.domains
            .iter()
            .any(|own| own == "*" || own.eq_ignore_ascii_case(domain))
    }

    pub(super) fn read_all(top: &Section<'_>) -> Vec<Self> {
        let sections = top.sections("route", &keys::ROUTE).unwrap_or_default();
        let mut earlier: Vec<(String, usize)> = Vec::new();
        let mut routes = Vec::new();
        for (index, section) in sections.iter().enumerate() {
            let domains = read_domains(section, &mut earlier, index);
            let deliver = read_deliver(section);
            refuse_later(section);
            if let (Some(domains), Some(deliver)) = (domains, deliver) {
                routes.push(Self { domains, deliver });
            }
        }
        routes
    }
}

fn read_domains(
    section: &Section<'_>,
    earlier: &mut Vec<(String, usize)>,
    index: usize,
) -> Option<Vec<String>> {
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
        return None;
    }
    let mut domains = Vec::new();
    for element in &elements {
        let Some(domain) = read_domain(element) else {
            continue;
        };
        // First match wins.
        let shadow = earlier
            .iter()
            .find(|(other, _)| *other == domain || other == "*");
        match shadow {
            Some((_, route)) if *route == index => element.warning("is listed twice"),
            Some((other, route)) => element.warning(format!(
                "never comes to this route: route[{route}] has \"{other}\" and the first match wins"
            )),
            None => {}
        }
        earlier.push((domain.clone(), index));
        domains.push(domain);
    }
    Some(domains)
}

fn read_domain(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    if text == "*" {
        return Some(text.to_owned());
    }
    if text.starts_with("*.") {
        value.error(format!(
            "\"{text}\": not in this version; name each domain, or use \"*\" for all"
        ));
        return None;
    }
    match check_domain(text) {
        Ok(()) => Some(text.to_lowercase()),
        Err(why) => {
            value.error(format!(
                "\"{text}\" {why}; use \"example.org\", or \"*\" for all"
            ));
            None
        }
    }
}

fn read_deliver(section: &Section<'_>) -> Option<String> {
    const RIGHT: &str = "use \"maildir:/var/mail/{domain}/{local}\", \"hold\" or \"discard\"";
    let Some(value) = section.value("deliver") else {
        section.error("deliver", format!("is missing; {RIGHT}"));
        return None;
    };
    let text = value.text()?;
    let (scheme, rest) = match text.split_once(':') {
        Some((scheme, rest)) => (scheme, Some(rest)),
        None => (text, None),
    };
    match (scheme, rest) {
        ("hold" | "discard", None) => Some(text.to_owned()),
        ("maildir", Some(path)) => check_maildir(&value, path).then(|| text.to_owned()),
        ("smtp" | "smtps" | "lmtp" | "mx", _) => {
            value.error(format!(
                "\"{scheme}\": not in this version; {RIGHT} meanwhile"
            ));
            None
        }
        _ => {
            let all = ["maildir", "hold", "discard", "smtp", "smtps", "lmtp", "mx"];
            let near = nearest(scheme, &all).map(|near| format!("; nearest: \"{near}\""));
            value.error(format!(
                "\"{text}\" is not known; {RIGHT}{}",
                near.unwrap_or_default()
            ));
            None
        }
    }
}

fn check_maildir(value: &Value<'_>, path: &str) -> bool {
    let mut rest = path;
    while let Some(start) = rest.find(['{', '}']) {
        let end = rest[start..].find('}').map(|end| start + end + 1);
        match end.map(|end| &rest[start..end]) {
            Some("{domain}" | "{local}") => rest = &rest[end.unwrap_or(rest.len())..],
            found => {
                let found = found.unwrap_or(&rest[start..]);
                value.error(format!(
                    "\"{found}\" in the path; only {{domain}} and {{local}} are known"
                ));
                return false;
            }
        }
    }
    if !path.starts_with('/') {
        value.error(format!(
            "\"{path}\" is not an absolute path; begin it with \"/\""
        ));
        return false;
    }
    if path.split('/').any(|part| part == "..") || path.contains('\0') {
        value.error(format!(
            "\"{path}\" must not contain \"..\"; write the path it leads to"
        ));
        return false;
    }
    true
}

fn refuse_later(section: &Section<'_>) {
    for key in ["tls", "auth"] {
        if let Some(value) = section.value(key) {
            value
                .error("is for smtp, smtps, lmtp and mx, which are not in this version; remove it");
        }
    }
    if let Some(value) = section.value("retry") {
        value.error("not in this version; the table [retry] holds for every route");
    }
}
