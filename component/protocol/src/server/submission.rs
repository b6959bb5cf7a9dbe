//! Repairs of the header section (RFC 6409 section 8).
//!
//! Added fields stand first, right below our Received (R6409-8-c); all other fields keep their
//! order and, where no rule names them, their octets (R6409-8.8).
//!
//! Not here: the Received field (`trace`), and what is looked for beforehand (`header`).

use super::content::{ContentDefect, Rules};
use super::header::{Survey, is_blind, is_signed_field, names_mailbox};
use crate::content::{
    address::addr_spec,
    facts::MOST_LINE,
    header::{Field, fields, folded},
    message_id::message_id,
};
use crate::environment::Environment;
use crate::smtp::date;
use alloc::{format, string::String, vec::Vec};

/// The repaired fields of `section`, which is without the empty line that ends it.
///
/// # Errors
/// What cannot be repaired (R6409-8-a).
pub fn repaired(
    section: &[u8],
    rules: &Rules,
    env: &mut dyn Environment,
) -> Result<Vec<u8>, ContentDefect> {
    let survey = Survey::of(section, rules.keep_bcc)?;
    // R6409-4.2-c: all fields are examined.
    if rules.check_header_domains
        && let Some(name) = survey.unqualified
    {
        return Err(ContentDefect::NotQualified(name));
    }
    let mut repair = Repair {
        section,
        rules,
        survey,
        out: Vec::with_capacity(section.len() + 256),
        altered: false,
    };
    let replaced = repair.add(env)?;
    repair.copy(replaced);
    // R6409-5.1-b.
    match repair.survey.bad_address {
        Some(name) if repair.altered => Err(ContentDefect::BadAddress(name)),
        _ => Ok(repair.out),
    }
}

/// Fields of the section that give way to added ones.
#[derive(Debug, Clone, Copy, Default)]
struct Replaced {
    sender: bool,
    date: bool,
    message_id: bool,
}

struct Repair<'a> {
    section: &'a [u8],
    rules: &'a Rules,
    survey: Survey<'a>,
    out: Vec<u8>,
    /// Something besides trace fields is not as it came.
    altered: bool,
}

impl Repair<'_> {
    fn add(&mut self, env: &mut dyn Environment) -> Result<Replaced, ContentDefect> {
        let rules = self.rules;
        let replaced = Replaced {
            date: rules.add_date && self.needs("Date", self.survey.date, date::is_valid),
            message_id: rules.add_message_id
                && self.needs("Message-ID", self.survey.message_id, |body| {
                    message_id(body).is_some()
                }),
            sender: false,
        };
        if replaced.date {
            self.field("Date", &date::date_time(rules.now));
        }
        // R6409-8-b.
        if self.survey.from.is_none() {
            if rules.reverse_path.is_empty() {
                return Err(ContentDefect::NoFrom);
            }
            self.field("From", &rules.reverse_path);
        }
        let sender = self.needed_sender();
        if let Some(sender) = &sender {
            self.field("Sender", sender);
        }
        if replaced.message_id {
            self.field("Message-ID", &unique_identifier(rules, env));
        }
        Ok(Replaced {
            sender: sender.is_some(),
            ..replaced
        })
    }

    /// R6409-8.2-a, R6409-8.2-b, R6409-8.3: it is missing or invalid, and no DKIM signature covers
    /// it or its absence (R6409-8-c).
    fn needs(&self, name: &str, field: Option<Field<'_>>, valid: impl Fn(&[u8]) -> bool) -> bool {
        let good = field.is_some_and(|field| valid(field.body()));
        let fixed = self.survey.is_signed && is_signed_field(self.section, name);
        !good && !fixed
    }

    /// R6409-8.1-a, R6409-8.1-b: the identity, where it is a mailbox and neither From nor Sender
    /// has it. One that is not ASCII would make an ASCII header need SMTPUTF8.
    fn needed_sender(&self) -> Option<String> {
        if !self.rules.add_sender || self.survey.is_signed {
            return None;
        }
        let identity = self
            .rules
            .identity
            .as_ref()
            .filter(|identity| identity.is_ascii())?;
        let mailbox = addr_spec(identity).filter(|mailbox| mailbox.is_qualified())?;
        let in_from = match &self.survey.from {
            Some(from) => names_mailbox(from, &mailbox),
            None => addr_spec(&self.rules.reverse_path).is_some_and(|from| from.is_same(&mailbox)),
        };
        let in_sender = self
            .survey
            .sender
            .as_ref()
            .is_some_and(|sender| names_mailbox(sender, &mailbox));
        (!in_from && !in_sender).then(|| identity.clone())
    }

    fn field(&mut self, name: &str, body: &str) {
        self.out
            .extend_from_slice(format!("{name}: {body}\r\n").as_bytes());
        self.altered = true;
    }

    /// All other fields.
    fn copy(&mut self, replaced: Replaced) {
        let (mut to, mut cc) = (0, 0);
        for field in fields(self.section).flatten() {
            // R6409-8-e.
            let removed = is_blind(&field) && !self.rules.keep_bcc
                || replaced.date && field.is("Date")
                || replaced.message_id && field.is("Message-ID")
                || replaced.sender && field.is("Sender");
            if removed {
                self.altered = true;
                continue;
            }
            // R5321-4.4-e: a trace field that only final delivery adds.
            if field.is("Return-Path") {
                continue;
            }
            // R6409-8-b.
            if self.survey.is_signed {
                self.out.extend_from_slice(field.raw());
            } else if self.survey.to > 1 && field.is("To") {
                self.merge("To", &field, &mut to);
            } else if self.survey.cc > 1 && field.is("Cc") {
                self.merge("Cc", &field, &mut cc);
            } else {
                self.copy_folded(field.raw());
            }
        }
    }

    /// Where the first of several fields of one name stands, all their addresses; `seen` counts.
    fn merge(&mut self, name: &str, first: &Field<'_>, seen: &mut u32) {
        *seen += 1;
        if *seen > 1 {
            return;
        }
        self.altered = true;
        let mut merged = first.name().to_vec();
        merged.push(b':');
        let mut any = false;
        for field in fields(self.section)
            .flatten()
            .filter(|field| field.is(name))
        {
            let body = without_commas(field.body());
            if body.is_empty() {
                continue;
            }
            merged.extend_from_slice(if any { b",\r\n " } else { b" " });
            merged.extend_from_slice(body);
            any = true;
        }
        merged.extend_from_slice(b"\r\n");
        self.copy_folded(&merged);
    }

    /// R6409-8-b: lines over 998 octets.
    fn copy_folded(&mut self, field: &[u8]) {
        match folded(field, MOST_LINE) {
            Some(folded) => {
                self.out.extend_from_slice(&folded);
                self.altered = true;
            }
            None => self.out.extend_from_slice(field),
        }
    }
}

/// An address list without the empty elements at its two ends.
fn without_commas(list: &[u8]) -> &[u8] {
    let is_text = |octet: &u8| !matches!(octet, b',' | b' ' | b'\t' | b'\r' | b'\n');
    match (
        list.iter().position(is_text),
        list.iter().rposition(is_text),
    ) {
        (Some(start), Some(end)) => &list[start..=end],
        _ => b"",
    }
}

/// R6409-8.3: the message's identifier is unique on this host; the random part keeps it so when
/// serials begin anew.
fn unique_identifier(rules: &Rules, env: &mut dyn Environment) -> String {
    let mut random = [0; 8];
    env.random(&mut random);
    format!(
        "<{}.{:016x}@{}>",
        rules.id,
        u64::from_be_bytes(random),
        rules.hostname
    )
}

#[cfg(test)]
mod tests;
