//! What need not be tried: whatever this server cannot take is settled before MAIL, and what it
//! takes is made into commands.

use super::{
    a_label,
    capabilities::Capabilities,
    outcome,
    parameters::{self, Circumstances},
    transfer::Transfer,
};
use crate::{
    contract::{
        ContentFacts, Envelope, Fault, ForwardPath, TlsFacts,
        client::{Outcome, Settings},
    },
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
    /// What the session was told.
    pub settings: &'a Settings,
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
    /// How the content goes.
    pub transfer: Transfer,
    /// The server reports what becomes of the message (RFC 3461 section 5.2).
    pub notifies: bool,
    /// For each recipient RCPT without CRLF, or what became of it without being tried.
    pub recipients: Vec<Result<String, Outcome>>,
}

impl Preflight<'_> {
    /// Octets that would break out of their command are the caller's fault; what the server cannot
    /// take is an outcome: of one recipient in the plan, of all of them as `Err`.
    pub fn plan(&self) -> Result<Result<Plan, Outcome>, Fault> {
        self.check_parameters()?;
        let (transfer, reverse_path) = match self.offered() {
            Ok(offered) => offered,
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
            size: self.facts.size,
            body: transfer.body,
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
            transfer,
            notifies: self.capabilities.has("DSN") && !self.is_relayed_late(),
        }))
    }

    /// What holds for all recipients.
    fn offered(&self) -> Result<(Transfer, String), Outcome> {
        self.check_size()?;
        self.check_header()?;
        let transfer =
            Transfer::choose(self.settings, self.envelope, self.facts, self.capabilities)?;
        self.check_tls()?;
        self.check_time()?;
        Ok((transfer, self.reverse_path()?))
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

    /// RFC 1870 section 6.2 (R1870-6.2).
    fn check_size(&self) -> Result<(), Outcome> {
        match self.capabilities.max_size {
            Some(most) if self.facts.size > most => {
                let text = format!("not sent: the server takes {most} octets");
                Err(outcome::refused(552, (5, 3, 4), &text))
            }
            _ => Ok(()),
        }
    }

    /// RFC 6531 section 3.2 (R6531-3.2-c).
    fn check_header(&self) -> Result<(), Outcome> {
        if self.has_international_header() && !self.capabilities.has("SMTPUTF8") {
            let text = "not sent: the header needs SMTPUTF8";
            return Err(outcome::refused(554, (5, 6, 9), text));
        }
        Ok(())
    }

    /// RFC 8689 section 4.2.1 (R8689-4.2.1); a null reverse-path goes anyway (section 5).
    fn check_tls(&self) -> Result<(), Outcome> {
        if !self.envelope.parameters.require_tls || self.envelope.reverse_path.is_empty() {
            return Ok(());
        }
        let text = if !self.tls.is_some_and(|facts| facts.verified) {
            "not sent: REQUIRETLS, and the connection has no verified TLS"
        } else if !self.settings.proven {
            "not sent: REQUIRETLS, and nothing proves that this server is meant"
        } else if !self.capabilities.has("REQUIRETLS") {
            let text = "not sent: the server lacks REQUIRETLS";
            return Err(outcome::refused(554, (5, 7, 30), text));
        } else {
            return Ok(());
        };
        Err(outcome::refused(554, (5, 7, 10), text))
    }

    /// RFC 2852 section 4.1.4, RFC 4865 section 4: what depends on the clock of the next server.
    fn check_time(&self) -> Result<(), Outcome> {
        let parameters = &self.envelope.parameters;
        if let Some(by) = &parameters.deliver_by
            && !by.notify
        {
            if by.seconds <= 0 {
                let text = "not sent: the time for delivery is over";
                return Err(outcome::refused(554, (5, 4, 7), text));
            }
            // It would be delivered when nobody wants it any more. An LMTP server delivers at once.
            if !self.capabilities.has("DELIVERBY") && !self.settings.lmtp {
                let text = "not sent: the server lacks DELIVERBY, and might deliver too late";
                return Err(outcome::refused(554, (5, 3, 3), text));
            }
        }
        if parameters.hold_for.is_some() && !self.capabilities.has("FUTURERELEASE") {
            let text = "not sent: the server lacks FUTURERELEASE, and would not hold the message";
            return Err(outcome::refused(554, (5, 3, 3), text));
        }
        Ok(())
    }

    /// RFC 2852 section 4.1.4: BY=…;N where nobody will watch the time any more.
    fn is_relayed_late(&self) -> bool {
        self.envelope.parameters.deliver_by.is_some()
            && !self.capabilities.has("DELIVERBY")
            && !self.settings.lmtp
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
