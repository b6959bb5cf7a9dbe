//! Aliases (RFC 5321 section 3.9.1, RFC 6409 section 8.7): addresses that stand for others. Expanded
//! after acceptance; the reverse-path and the header stay as they are.
//!
//! ```text
//!   address   local parts and addresses, and when two are the same
//!   file      the format of `/etc/aliases`
//!   expand    from the recipients of an envelope to those of the spool, with what RFC 3461 section
//!             5.2.7 says of reports
//! ```
//!
//! Here: the aliases themselves, and what an address stands for.

pub mod address;
pub mod expand;
pub mod file;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use address::Address;

/// One alias, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Line in the file, from 1; for a table its key is shown instead.
    pub line: usize,
    /// The alias: a local part in every domain that is delivered here, or a full address.
    pub name: Address,
    /// What it stands for: at least one. A local part alone is in the domain that was asked for.
    pub targets: Vec<Address>,
}

/// Where aliases come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Source {
    /// There are none.
    #[default]
    Nowhere,
    /// A file in the format of `/etc/aliases`, read when the service starts and when it reloads.
    File(PathBuf),
    /// The configuration.
    Table(Vec<Entry>),
}

/// Why aliases cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum AliasError {
    /// The file.
    #[error("cannot read the aliases {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What is in it.
    #[error("{}:{line}: {text}", path.display())]
    Mistake {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong, and what would be right.
        text: String,
    },
}

/// The aliases in force.
#[derive(Debug, Clone, Default)]
pub struct Aliases {
    /// By [`Address::key`].
    entries: HashMap<String, Vec<Address>>,
}

impl Aliases {
    /// These. Of two with the same name the first counts; `check` tells of the second.
    pub fn new(entries: Vec<Entry>) -> Self {
        let mut own: HashMap<String, Vec<Address>> = HashMap::new();
        for entry in entries {
            own.entry(entry.name.key()).or_insert(entry.targets);
        }
        Self { entries: own }
    }

    /// Reads them.
    ///
    /// # Errors
    /// The first of what is wrong.
    pub fn load(source: &Source) -> Result<Self, AliasError> {
        match source {
            Source::Nowhere => Ok(Self::default()),
            Source::Table(entries) => Ok(Self::new(entries.clone())),
            Source::File(path) => {
                let file = file::load(path)?;
                match file.mistakes.into_iter().next() {
                    Some((line, text)) => Err(AliasError::Mistake {
                        path: path.clone(),
                        line,
                        text,
                    }),
                    None => Ok(Self::new(file.entries)),
                }
            }
        }
    }

    /// Whether this mailbox is an alias. `is_local`: its domain is delivered here.
    pub fn has(&self, mailbox: &str, is_local: impl Fn(&str) -> bool) -> bool {
        !self.entries.is_empty() && self.targets(&Address::of(mailbox), &is_local).is_some()
    }

    /// All mailboxes that this one stands for in the end, each once; `None`: it is no alias. One that
    /// is among what it stands for is itself meant, a mailbox; any other way back is a mistake and
    /// leads nowhere, and if all do, the mailbox stands for itself.
    pub fn expand(&self, mailbox: &str, is_local: impl Fn(&str) -> bool) -> Option<Vec<String>> {
        let first = Address::of(mailbox);
        if self.entries.is_empty() || self.targets(&first, &is_local).is_none() {
            return None;
        }
        let mut found = Vec::new();
        let (mut seen, mut expanded) = (HashSet::new(), HashSet::new());
        let mut open = vec![(first, None)];
        while let Some((address, from)) = open.pop() {
            let key = address.key();
            let itself = from.as_ref() == Some(&key);
            match self.targets(&address, &is_local) {
                Some(targets) if !itself => {
                    if expanded.insert(key.clone()) {
                        // The first is the next.
                        open.extend(targets.iter().rev().map(|target| {
                            let target = target.clone().within(address.domain.as_deref());
                            (target, Some(key.clone()))
                        }));
                    }
                }
                _ => {
                    if seen.insert(key) {
                        found.push(address.to_string());
                    }
                }
            }
        }
        if found.is_empty() {
            found.push(mailbox.to_owned());
        }
        Some(found)
    }

    /// What this address leads back to itself by, if it does: the alias before the end of the circle.
    /// An alias that names itself is no circle.
    pub fn circle(&self, name: &Address, is_local: impl Fn(&str) -> bool) -> Option<String> {
        let start = name.key();
        let mut expanded = HashSet::from([start.clone()]);
        let mut open = vec![name.clone()];
        while let Some(address) = open.pop() {
            for target in self.targets(&address, &is_local).unwrap_or_default() {
                let target = target.clone().within(address.domain.as_deref());
                let key = target.key();
                if key == start && address.key() != start {
                    return Some(address.to_string());
                }
                if expanded.insert(key) {
                    open.push(target);
                }
            }
        }
        None
    }

    fn targets(&self, address: &Address, is_local: &impl Fn(&str) -> bool) -> Option<&[Address]> {
        let full = self.entries.get(&address.key());
        let bare = || {
            self.entries
                .get(&address.bare_key())
                .filter(|_| is_local(&address.to_string()))
        };
        full.or_else(bare).map(Vec::as_slice)
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
