//! `aliases`: a file in the format of `/etc/aliases`, or a table (RFC 6409 section 8.7).

use std::path::Path;

use super::reader::{Section, Value};
use crate::alias::{Entry, Source, address::Address, file};

/// Where the aliases come from. What is in a file is read later: whoever edits it reloads the service
/// without touching the configuration.
pub(super) fn read(top: &Section<'_>, base: &Path) -> Source {
    let Some(value) = top.value("aliases") else {
        return Source::Nowhere;
    };
    if value.is_text() {
        return value.file(base).map_or(Source::Nowhere, Source::File);
    }
    let Some(entries) = value.entries() else {
        return Source::Nowhere;
    };
    let entries = entries
        .iter()
        .filter_map(|(name, value)| {
            let targets = targets(value)?;
            match file::target(name) {
                Ok(name) => Some(Entry {
                    line: value.line(),
                    name,
                    targets,
                }),
                Err(why) => {
                    value.error(why);
                    None
                }
            }
        })
        .collect();
    Source::Table(entries)
}

/// One address, or several.
fn targets(value: &Value<'_>) -> Option<Vec<Address>> {
    let several = value.is_list();
    let elements = if several {
        value.list()?
    } else {
        vec![value.clone()]
    };
    if elements.is_empty() {
        value.error("is empty: the alias stands for nobody; name an address");
    }
    let mut targets = Vec::new();
    for element in elements {
        let text = element.text()?;
        match file::target(text) {
            Ok(target) => targets.push(target),
            Err(why) if text.contains(',') && !several => {
                element.error(format!("{why}; write several as a list: [\"a\", \"b\"]"));
            }
            Err(why) => element.error(why),
        }
    }
    (!targets.is_empty()).then_some(targets)
}
