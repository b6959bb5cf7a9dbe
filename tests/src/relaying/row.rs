//! One behaviour of a server, and what must come of it.

use crate::scripted::{Script, Seen};
use std::ops::RangeInclusive;

/// What becomes of a recipient while the server is as scripted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Want {
    /// Delivered.
    Delivered,
    /// In the queue, and its last reply has all of these words.
    Deferred(&'static str),
    /// Failed, and the sender got a report with this Status (RFC 3464 section 2.3.4), one of several
    /// where `|` separates them, and these words in the Diagnostic-Code (section 2.3.6), empty for
    /// whatever it says.
    Failed(&'static str, &'static str),
    /// Held, and its last reply has all of these words.
    Held(&'static str),
}

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// A mailbox whose reports can be read.
    Local,
    /// The null reverse-path.
    Null,
    /// A mailbox behind the row's own server.
    There,
}

/// What is wrong with the route's lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Its server is away.
    Down,
    /// Something here must be repaired.
    Paused,
}

/// What else must be true of what a server saw; the reason, if it is not.
pub type Check = fn(&Seen) -> Result<(), String>;

/// A row of the table.
pub struct Row {
    /// What the server does, in words.
    pub name: &'static str,
    /// The server.
    pub script: Script,
    /// The route's second server.
    pub second: Option<Script>,
    /// Further keys of the route.
    pub route: Vec<&'static str>,
    /// Keys of its `retry`.
    pub retry: &'static str,
    /// The server's name in the route instead of its address; known to DNS after the recovery.
    pub host: Option<&'static str>,
    /// Local-parts of the recipients, in their order.
    pub recipients: Vec<&'static str>,
    /// So many messages, one after the other.
    pub messages: usize,
    /// Octets of the content at least.
    pub size: usize,
    /// Octets above 127 in the body.
    pub eight_bit: bool,
    /// The content comes as quoted-printable: what it decodes to is what was submitted.
    pub converted: bool,
    /// Parameters of MAIL.
    pub mail: &'static str,
    /// Parameters of each RCPT.
    pub rcpt: &'static str,
    /// Who sends.
    pub sender: Sender,
    /// What comes of the recipients before the recovery; of those that are not named: delivered.
    pub wants: Vec<(&'static str, Want)>,
    /// What is wrong with the lane then.
    pub lane: Option<Lane>,
    /// The server left open whether it has the message: it may get it again.
    pub ambiguous: bool,
    /// Connections before the recovery.
    pub connections: RangeInclusive<usize>,
    /// Attempts of each recipient, when all is over.
    pub attempts: RangeInclusive<u64>,
    /// The sender hears of a delay first.
    pub delay_note: bool,
    /// The sender wants no report.
    pub unreported: bool,
    /// The stored content is damaged before the recovery; the recipients are held then.
    pub damage: bool,
    /// What else must be true of what the server saw; the reason, if it is not.
    pub check: Option<Check>,
}

impl Row {
    /// One small message to `a`, delivered; the rest is said below.
    pub fn new(name: &'static str, script: Script) -> Self {
        Self {
            name,
            script,
            second: None,
            route: Vec::new(),
            retry: "",
            host: None,
            recipients: vec!["a"],
            messages: 1,
            size: 0,
            eight_bit: false,
            converted: false,
            mail: "",
            rcpt: "",
            sender: Sender::Local,
            wants: Vec::new(),
            lane: None,
            ambiguous: false,
            connections: 0..=usize::MAX,
            attempts: 1..=u64::MAX,
            delay_note: false,
            unreported: false,
            damage: false,
            check: None,
        }
    }

    /// These recipients.
    #[must_use]
    pub fn to(mut self, recipients: &[&'static str]) -> Self {
        self.recipients = recipients.to_vec();
        self
    }

    /// So many messages.
    #[must_use]
    pub fn messages(mut self, messages: usize) -> Self {
        self.messages = messages;
        self
    }

    /// So many octets at least.
    #[must_use]
    pub fn size(mut self, size: usize) -> Self {
        self.size = size;
        self
    }

    /// One more key of the route.
    #[must_use]
    pub fn route(mut self, key: &'static str) -> Self {
        self.route.push(key);
        self
    }

    /// Keys of the route's `retry`.
    #[must_use]
    pub fn retry(mut self, keys: &'static str) -> Self {
        self.retry = keys;
        self
    }

    /// Another server, for when the first cannot be used.
    #[must_use]
    pub fn second(mut self, script: Script) -> Self {
        self.second = Some(script);
        self
    }

    /// A fate of these recipients.
    #[must_use]
    pub fn wants(mut self, recipients: &[&'static str], want: &Want) -> Self {
        let wants = recipients.iter().map(|one| (*one, want.clone()));
        self.wants.extend(wants);
        self
    }

    /// All recipients are deferred, with these words in their last reply.
    #[must_use]
    pub fn deferred(self, words: &'static str) -> Self {
        let all = self.recipients.clone();
        self.wants(&all, &Want::Deferred(words))
    }

    /// All recipients fail, and the report says this.
    #[must_use]
    pub fn failed(self, status: &'static str, diagnostic: &'static str) -> Self {
        let all = self.recipients.clone();
        self.wants(&all, &Want::Failed(status, diagnostic))
    }

    /// The lane is down, and everything is deferred with these words.
    #[must_use]
    pub fn down(mut self, words: &'static str) -> Self {
        self.lane = Some(Lane::Down);
        self.deferred(words)
    }

    /// The lane is paused, and everything is deferred with these words.
    #[must_use]
    pub fn paused(mut self, words: &'static str) -> Self {
        self.lane = Some(Lane::Paused);
        // A paused route is tried by itself after its longest wait.
        self.retry = "first = \"1s\", longest = \"1h\", give-up = \"1d\"";
        self.deferred(words)
    }

    /// It may be sent again though it came to its final dot.
    #[must_use]
    pub fn ambiguous(mut self) -> Self {
        self.ambiguous = true;
        self
    }

    /// So many connections before the recovery.
    #[must_use]
    pub fn connections(mut self, connections: RangeInclusive<usize>) -> Self {
        self.connections = connections;
        self
    }

    /// So many attempts in all.
    #[must_use]
    pub fn attempts(mut self, attempts: RangeInclusive<u64>) -> Self {
        self.attempts = attempts;
        self
    }

    /// Something else that must be true of what the server saw.
    #[must_use]
    pub fn check(mut self, check: Check) -> Self {
        self.check = Some(check);
        self
    }

    /// Changes what has no word of its own.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// What is expected of this recipient.
    pub fn want(&self, recipient: &str) -> &Want {
        self.wants
            .iter()
            .find(|(name, _)| *name == recipient)
            .map_or(&Want::Delivered, |(_, want)| want)
    }
}

/// Whether a text has all of these words, which `&` separates.
pub fn has_words(text: &str, words: &str) -> bool {
    let text = text.to_lowercase();
    words
        .split('&')
        .all(|word| text.contains(&word.trim().to_lowercase()))
}
