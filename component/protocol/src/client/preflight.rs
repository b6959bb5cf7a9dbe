//! What need not be tried: whatever this server cannot take is settled before MAIL, and what it
//! takes is made into commands.

use super::{
    a_label,
    capabilities::Capabilities,
    outcome,
    parameters::{self, Circumstances},
};
use crate::{
    contract::{ContentFacts, Envelope, Fault, ForwardPath, TlsFacts, client::Outcome},
    smtp::{domain::Domain, mailbox::Mailbox, xtext},
};
use alloc::{
    collections::BTreeSet,
    format,
    string::{String, ToString},
    vec::Vec,
};

/// A message and all that decides how it is offered to this server.
pub struct Preflight<'a> {
    /// The envelope.
    pub envelope: &'a Envelope,
    /// Facts of the content.
    pub facts: &'a ContentFacts,
    /// What the server can do.
    pub capabilities: &'a Capabilities,
    /// The connection's TLS layer.
    pub tls: Option<&'a TlsFacts>,
    /// We have authenticated.
    pub authenticated: bool,
}

/// The commands of one transaction.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    /// MAIL, without CRLF.
    pub mail: String,
    /// For each recipient RCPT without CRLF, or what became of it without being tried.
    pub recipients: Vec<Result<String, Outcome>>,
}

impl Preflight<'_> {
    /// Octets that would break out of their command are the caller's fault; what the server cannot
    /// take is an outcome: of one recipient in the plan, of all of them as `Err`.
    pub fn plan(&self) -> Result<Result<Plan, Outcome>, Fault> {
        self.check_parameters()?;
        let refused = self.content_refused().or_else(|| self.tls_refused());
        let reverse_path = match refused.map_or_else(|| self.reverse_path(), Err) {
            Ok(path) => path,
            Err(outcome) => return Ok(Err(outcome)),
        };
        let paths = self.forward_paths();
        // R6531-3.2-c: the parameter only where something needs it.
        let smtputf8 = self.capabilities.has("SMTPUTF8")
            && (self.has_international_header()
                || !reverse_path.is_ascii()
                || paths.iter().flatten().any(|path| !path.is_ascii()));
        let circumstances = Circumstances {
            capabilities: self.capabilities,
            facts: self.facts,
            smtputf8,
            authenticated: self.authenticated,
        };
        let recipients = core::iter::zip(paths, &self.envelope.forward_paths)
            .map(|(path, recipient)| {
                path.map(|path| parameters::rcpt(&path, recipient, self.capabilities, smtputf8))
            })
            .collect();
        Ok(Ok(Plan {
            mail: parameters::mail(&reverse_path, &self.envelope.parameters, &circumstances),
            recipients,
        }))
    }

    /// ENVID and ORCPT are sent as they came (R3461-5.2.1), so they must be words.
    fn check_parameters(&self) -> Result<(), Fault> {
        if self.envelope.forward_paths.is_empty() {
            return Err(Fault::new("the envelope has no recipient"));
        }
        if let Some(envid) = &self.envelope.parameters.envid
            && xtext::decode(envid.as_bytes()).is_none()
        {
            return Err(Fault::new("ENVID is not xtext"));
        }
        let is_word = |text: &str| !text.chars().any(|c| c.is_ascii_control() || c == ' ');
        for recipient in &self.envelope.forward_paths {
            if let Some((address_type, address)) = &recipient.orcpt
                && !(is_word(address_type) && is_word(address))
            {
                return Err(Fault::new("ORCPT is not one word"));
            }
        }
        Ok(())
    }

    fn content_refused(&self) -> Option<Outcome> {
        let facts = self.facts;
        // RFC 5321 section 2.3.8 (R5321-2.3.8-d).
        if facts.bare {
            let text = "not sent: bare CR or LF in the content";
            return Some(outcome::refused(554, (5, 6, 0), text));
        }
        // RFC 1870 section 6.2 (R1870-6.2).
        if let Some(most) = self.capabilities.max_size
            && facts.size > most
        {
            let text = format!("not sent: the server takes {most} octets");
            return Some(outcome::refused(552, (5, 3, 4), &text));
        }
        // RFC 3030 section 3 (R3030-3-b): DATA carries neither NUL nor endless lines.
        if facts.binary {
            let text = "not sent: the content is binary";
            return Some(outcome::refused(554, (5, 6, 1), text));
        }
        // RFC 6531 section 3.2 (R6531-3.2-c).
        if self.has_international_header() && !self.capabilities.has("SMTPUTF8") {
            let text = "not sent: the header needs SMTPUTF8";
            return Some(outcome::refused(554, (5, 6, 9), text));
        }
        // RFC 6152 section 3 (R6152-3-c, CL-8bit).
        if (facts.header_eight_bit || facts.body_eight_bit) && !self.capabilities.has("8BITMIME") {
            let text = "not sent: the content needs 8BITMIME";
            return Some(outcome::refused(554, (5, 6, 3), text));
        }
        None
    }

    /// RFC 8689 section 4.2.1 (R8689-4.2.1); a null reverse-path goes anyway (section 5).
    fn tls_refused(&self) -> Option<Outcome> {
        if !self.envelope.parameters.require_tls || self.envelope.reverse_path.is_empty() {
            return None;
        }
        if !self.tls.is_some_and(|facts| facts.verified) {
            let text = "not sent: REQUIRETLS, and the connection has no verified TLS";
            return Some(outcome::refused(554, (5, 7, 10), text));
        }
        if !self.capabilities.has("REQUIRETLS") {
            let text = "not sent: the server lacks REQUIRETLS";
            return Some(outcome::refused(554, (5, 7, 30), text));
        }
        None
    }

    /// R6531-3.2-c: a raw 8-bit header that came without SMTPUTF8 is merely 8-bit content.
    fn has_international_header(&self) -> bool {
        self.envelope.parameters.smtputf8 && self.facts.header_eight_bit
    }

    fn reverse_path(&self) -> Result<String, Outcome> {
        // RFC 5321 section 4.5.5 (R5321-4.5.5-b): null stays null.
        if self.envelope.reverse_path.is_empty() {
            return Ok(String::new());
        }
        self.path(&self.envelope.reverse_path, (501, (5, 1, 7)), 550)
            .map(|(path, _)| path)
    }

    fn forward_paths(&self) -> Vec<Result<String, Outcome>> {
        let limits = self.capabilities.limits;
        let most = limits.recipients.map_or(usize::MAX, |most| most as usize);
        let most_domains = limits.domains.map_or(usize::MAX, |most| most as usize);
        let mut tried = 0;
        let mut domains = BTreeSet::new();
        let mut one = |recipient: &ForwardPath| {
            let (path, domain) = self.path(&recipient.mailbox, (501, (5, 1, 3)), 553)?;
            // R9422-5: what is over a limit waits for another transaction.
            let over =
                tried >= most || (domains.len() >= most_domains && !domains.contains(&domain));
            if over {
                return Err(outcome::again(None));
            }
            tried += 1;
            domains.insert(domain);
            Ok(path)
        };
        self.envelope.forward_paths.iter().map(&mut one).collect()
    }

    /// The mailbox as this server can take it, and its domain.
    fn path(
        &self,
        mailbox: &str,
        (code, status): (u16, (u8, u16, u16)),
        international: u16,
    ) -> Result<(String, String), Outcome> {
        let Some(mailbox) = Mailbox::parse(mailbox.as_bytes()) else {
            return Err(outcome::refused(
                code,
                status,
                "not sent: bad address syntax",
            ));
        };
        let domain = mailbox.domain().to_string().to_lowercase();
        if mailbox.is_ascii() || self.capabilities.has("SMTPUTF8") {
            // R5321-4.1.2-b: prints with the least quoting.
            return Ok((mailbox.to_string(), domain));
        }
        // CL-utf8: the domain alone can be written in ASCII.
        if mailbox.local_part().is_ascii()
            && let Domain::Name(name) = mailbox.domain()
            && let Some(ascii) = a_label::domain(name)
            && let Some(local_part) = mailbox.to_string().strip_suffix(name.as_str())
        {
            return Ok((format!("{local_part}{ascii}"), domain));
        }
        // RFC 6531 section 3.5 (R6531-3.2-c).
        let text = "not sent: the address needs SMTPUTF8";
        Err(outcome::refused(international, (5, 6, 7), text))
    }
}
