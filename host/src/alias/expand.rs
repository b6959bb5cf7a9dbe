//! From the recipients of an envelope to those of the spool: aliases are replaced by what they stand
//! for, and each recipient gets its lane.
//!
//! | the alias stands for | its parameters (RFC 3461 section 5.2.7) |
//! | --- | --- |
//! | one mailbox | go on; no report is made here |
//! | several | go on, SUCCESS aside; SUCCESS is answered by an "expanded" report from here |
//!
//! ORCPT is added where it is missing, so that reports name the address that the sender knows.

use std::collections::HashMap;

use super::Aliases;
use super::address::Address;
use crate::report::{Event, due};
use crate::route::{Delivery, Query, Routes, domain};
use crate::spool::{NewRecipient, NewState, Notify, Recipient};

/// What recipients are looked at with.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The aliases in force.
    pub aliases: &'a Aliases,
    /// The routes in force.
    pub routes: &'a Routes,
    /// Name of this host: aliases without domain are there too.
    pub hostname: &'a str,
    /// Mailbox of the reverse-path, or empty.
    pub reverse_path: &'a str,
    /// Who submitted the message.
    pub identity: Option<&'a str>,
}

impl Context<'_> {
    fn query<'q>(&'q self, mailbox: &'q str) -> Query<'q> {
        Query {
            reverse_path: self.reverse_path,
            identity: self.identity,
            mailbox,
        }
    }

    /// Whether aliases without domain are in the domain of this mailbox: it is delivered here, or is
    /// this host.
    fn is_local(&self, mailbox: &str) -> bool {
        let route = self.routes.find(&self.query(mailbox));
        domain(mailbox).eq_ignore_ascii_case(self.hostname)
            || route.is_some_and(|route| route.delivery.is_local())
    }

    /// Whether this mailbox is an alias.
    pub fn is_alias(&self, mailbox: &str) -> bool {
        self.aliases.has(mailbox, |one| self.is_local(one))
    }

    /// The recipients as the spool gets them: at least one if there was one. No mailbox that an alias
    /// stands for gets the message twice.
    pub fn recipients(&self, wanted: Vec<Recipient>) -> Vec<NewRecipient> {
        let mut all: Vec<NewRecipient> = Vec::with_capacity(wanted.len());
        // Where an address is in `all`, and whether it was given by the sender itself.
        let mut places: HashMap<String, (usize, bool)> = HashMap::new();
        let mut aliases = Vec::new();
        for recipient in wanted {
            match self
                .aliases
                .expand(&recipient.mailbox, |one| self.is_local(one))
            {
                Some(mailboxes) => aliases.push((recipient, mailboxes)),
                None => {
                    places.insert(same(&recipient.mailbox), (all.len(), true));
                    all.push(self.place(recipient));
                }
            }
        }
        for (alias, mailboxes) in aliases {
            if mailboxes.len() > 1 && due(&alias, self.reverse_path, Event::Expanded).is_some() {
                all.push(NewRecipient {
                    recipient: alias.clone(),
                    state: NewState::Expanded(mailboxes.len()),
                    lane: String::new(),
                });
            }
            let notify = match mailboxes.as_slice() {
                [_] => alias.notify,
                _ => alias.notify.map(without_success),
            };
            let orcpt = alias.orcpt.unwrap_or_else(|| original(&alias.mailbox));
            for mailbox in mailboxes {
                match places.get(&same(&mailbox)).copied() {
                    // What was said of the mailbox itself holds.
                    Some((_, true)) => {}
                    Some((place, false)) => {
                        if let Some(known) = all.get_mut(place) {
                            known.recipient.notify = both(known.recipient.notify, notify);
                        }
                    }
                    None => {
                        places.insert(same(&mailbox), (all.len(), false));
                        all.push(self.place(Recipient {
                            mailbox,
                            notify,
                            orcpt: Some(orcpt.clone()),
                        }));
                    }
                }
            }
        }
        all
    }

    fn place(&self, recipient: Recipient) -> NewRecipient {
        let route = self.routes.find(&self.query(&recipient.mailbox));
        let held = route.is_some_and(|route| matches!(route.delivery, Delivery::Hold));
        NewRecipient {
            state: if held {
                NewState::Held
            } else {
                NewState::Waiting
            },
            // Without a route since a moment ago: the relay says so at the first attempt.
            lane: route.map_or_else(String::new, |route| route.lane(&recipient.mailbox)),
            recipient,
        }
    }
}

/// The same for one and the same mailbox: here the case of a local part counts (RFC 5321 section 2.4).
fn same(mailbox: &str) -> String {
    let address = Address::of(mailbox).to_string();
    match address.rsplit_once('@') {
        Some((local, domain)) => format!("{local}@{}", domain.to_lowercase()),
        None => address,
    }
}

/// RFC 3461 section 5.2.7.3: what was asked for beside SUCCESS. Nothing is NEVER, since an absent
/// NOTIFY asks for failures.
fn without_success(notify: Notify) -> Notify {
    let rest = Notify {
        success: false,
        ..notify
    };
    match rest {
        Notify {
            failure: false,
            delay: false,
            ..
        } => Notify {
            never: true,
            ..Notify::default()
        },
        rest => rest,
    }
}

/// What two aliases ask for a mailbox that both stand for.
fn both(one: Option<Notify>, other: Option<Notify>) -> Option<Notify> {
    // RFC 3461 section 4.1: what an absent NOTIFY means.
    let absent = Notify {
        failure: true,
        delay: true,
        ..Notify::default()
    };
    if one == other {
        return one;
    }
    let (one, other) = (one.unwrap_or(absent), other.unwrap_or(absent));
    let both = Notify {
        never: one.never && other.never,
        success: one.success || other.success,
        failure: one.failure || other.failure,
        delay: one.delay || other.delay,
    };
    Some(both)
}

/// ORCPT for this mailbox (RFC 3461 sections 4.2 and 5.2.1, RFC 6533 section 3).
fn original(mailbox: &str) -> (String, String) {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(mailbox.len());
    let ascii = mailbox.is_ascii();
    for character in mailbox.chars() {
        let plain = character.is_ascii_graphic() && !matches!(character, '+' | '=');
        let plain = plain && (ascii || character != '\\');
        // Writing to a string cannot fail.
        let _ = match (plain, ascii) {
            (true, _) => write!(encoded, "{character}"),
            // RFC 3461 section 4
            (false, true) => write!(encoded, "+{:02X}", u32::from(character)),
            // RFC 6533 section 3: utf-8-addr-xtext, which goes everywhere.
            (false, false) => write!(encoded, "\\x{{{:X}}}", u32::from(character)),
        };
    }
    let kind = if ascii { "rfc822" } else { "utf-8" };
    (kind.to_owned(), encoded)
}

#[cfg(test)]
#[path = "expand_tests.rs"]
mod tests;
