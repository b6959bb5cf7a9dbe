//! What a session knows in every one of its states, and the questions about it that several verbs
//! ask. What is true in one state only lives in that [`State`](super::state::State).

use super::state::State;
use crate::{
    contract::{
        Dismissal, Mechanism, Reply, TlsFacts,
        server::{Peer, Settings, TlsPolicy},
    },
    smtp::reply,
};
use alloc::{format, string::String};

/// Replies of 5yz to syntax, order or unknown commands, the last of which is a 421 (R5321-3.8-d).
pub(super) const MOST_BAD_COMMANDS: u8 = 20;
/// Failed AUTH exchanges, the last of which is a 421 (R5321-3.8-d).
pub(super) const MOST_FAILED_AUTH: u8 = 5;
/// EHLO and HELO between two stored messages. Their replies are the longest for the shortest
/// commands: without an end to them, one call could be made to answer megabytes.
pub(super) const MOST_GREETINGS: u8 = 200;
/// Reports of one session (R6409-5.2).
pub(super) const MOST_REPORTS: u8 = 20;

/// The name of EHLO or HELO.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Greeted {
    /// The first word, ASCII without controls; empty where there was none that may be logged.
    pub name: String,
    /// EHLO, not HELO.
    pub extended: bool,
}

/// What a session knows in every state.
#[derive(Debug)]
pub(super) struct Known {
    /// Fixed for the session.
    pub settings: Settings,
    /// Fixed for the session.
    pub peer: Peer,
    /// The TLS layer, if there is one.
    pub facts: Option<TlsFacts>,
    /// Who authenticated.
    pub identity: Option<String>,
    /// The name of the last EHLO or HELO since the connection or TLS began.
    pub greeted: Option<Greeted>,
    /// Transactions so far: the open one, and those that the host did not let begin, included.
    pub transactions: u32,
    /// See [`MOST_BAD_COMMANDS`].
    pub bad_commands: u8,
    /// See [`MOST_FAILED_AUTH`].
    pub failed_auth: u8,
    /// See [`MOST_GREETINGS`].
    pub greetings: u8,
    /// See [`MOST_REPORTS`].
    pub reports: u8,
    /// The rest of a line that was too long, and was answered, is skipped.
    pub skips_line: bool,
    /// A dismissal that waits for the transaction's end or for the answer to a store.
    pub ending: Option<Dismissal>,
}

impl Known {
    /// At the start of a connection, or of what the host says of it at revival.
    pub fn new(
        settings: Settings,
        peer: Peer,
        facts: Option<TlsFacts>,
        identity: Option<String>,
    ) -> Self {
        Self {
            settings,
            peer,
            facts,
            identity,
            greeted: None,
            transactions: 0,
            bad_commands: 0,
            failed_auth: 0,
            greetings: 0,
            reports: 0,
            skips_line: false,
            ending: None,
        }
    }

    /// Whether the connection is encrypted.
    pub fn has_tls(&self) -> bool {
        self.facts.is_some()
    }

    /// TLS is needed before anything else and is not there (RFC 3207 section 4).
    pub fn lacks_tls(&self) -> bool {
        self.settings.tls == TlsPolicy::Required && !self.has_tls()
    }

    /// STARTTLS would work now, as far as the listener and the connection go.
    pub fn offers_starttls(&self) -> bool {
        !self.has_tls()
            && match self.settings.tls {
                TlsPolicy::Offered | TlsPolicy::RequiredForAuth | TlsPolicy::Required => true,
                TlsPolicy::Absent | TlsPolicy::Established => false,
            }
    }

    /// The mechanism may be used on this connection as it is (R4954-4-l).
    pub fn may_use(&self, mechanism: Mechanism) -> bool {
        let is_clear_text = matches!(
            mechanism,
            Mechanism::Login | Mechanism::Plain | Mechanism::Xoauth2 | Mechanism::Oauthbearer
        );
        // `clear-text` is for PLAIN and LOGIN; a bearer token never goes without TLS.
        let is_allowed = !is_clear_text
            || (self.settings.clear_text
                && matches!(mechanism, Mechanism::Login | Mechanism::Plain));
        match self.settings.tls {
            _ if self.has_tls() => true,
            TlsPolicy::RequiredForAuth | TlsPolicy::Required | TlsPolicy::Established => false,
            TlsPolicy::Absent | TlsPolicy::Offered => is_allowed,
        }
    }

    /// What MAIL, RCPT, DATA and BDAT need before their own order: EHLO, and an identity where one is
    /// required.
    pub fn check_may_submit(&self) -> Result<(), Reply> {
        self.check_greeted()?;
        // R6409-4.3, R4954-6-e, OX-S-4.3-a; never on a listener that does not require it
        // (OX-S-4.3-b).
        if self.lacks_identity() {
            return Err(reply::authentication_required());
        }
        Ok(())
    }

    /// An identity is needed and is not there.
    pub fn lacks_identity(&self) -> bool {
        self.settings.authentication_required && self.identity.is_none()
    }

    /// RFC 5321 section 4.1.4 (R5321-4.1.4-a): EHLO or HELO comes first.
    pub fn check_greeted(&self) -> Result<(), Reply> {
        match self.greeted {
            Some(_) => Ok(()),
            None => Err(reply::out_of_order("EHLO or HELO first")),
        }
    }

    /// STARTTLS and AUTH come before MAIL (R3207-4-b, R4954-4-a).
    pub fn check_outside_transaction(state: &State) -> Result<(), Reply> {
        match state {
            State::Transaction(_) | State::Chunks(_) | State::Failed => {
                Err(reply::out_of_order("not inside a transaction"))
            }
            _ => Ok(()),
        }
    }

    /// The identifier of the next transaction's message: serial, hyphen, number.
    pub fn next_id(&mut self) -> String {
        self.transactions = self.transactions.saturating_add(1);
        format!("{}-{}", self.settings.serial, self.transactions)
    }
}
