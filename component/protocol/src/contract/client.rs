//! The client role's part of the contract.

use super::*;

/// What TLS means on this connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsPolicy {
    /// Not used.
    Off,
    /// Where offered.
    Opportunistic,
    /// Needed, with a good certificate.
    Required,
    /// Implicit TLS.
    Established,
}

/// 8-bit content where the server lacks 8BITMIME.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EightBit {
    /// Fails.
    Refuse,
    /// Converted.
    Convert,
}

/// Fixed for one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Name for EHLO.
    pub hostname: String,
    /// The name that was asked for.
    pub server: String,
    /// TCP port.
    pub port: u16,
    /// What TLS means here.
    pub tls: TlsPolicy,
    /// In order of preference.
    pub mechanisms: Vec<Mechanism>,
    /// PLAIN and LOGIN without (verified) TLS.
    pub clear_text: bool,
    /// 8-bit content.
    pub eight_bit: EightBit,
    /// BDAT wherever it is offered.
    pub chunking: bool,
    /// The server's name was configured or proven.
    pub proven: bool,
    /// RFC 2033.
    pub lmtp: bool,
}

/// Who to be.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Authentication identity.
    pub user: String,
    /// NTLM domain, or empty.
    pub domain: String,
    /// NTLM workstation, or empty.
    pub workstation: String,
    /// Password or token.
    pub secret: String,
}

impl core::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .field("domain", &self.domain)
            .field("secret", &"***")
            .finish()
    }
}

/// What the server allows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Offer {
    /// SIZE.
    pub max_size: Option<u64>,
    /// RCPTMAX.
    pub max_recipients: Option<u32>,
    /// MAILMAX.
    pub max_messages: Option<u32>,
    /// EHLO keywords, upper case.
    pub extensions: Vec<String>,
}

/// What became of one recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The server is responsible.
    Accepted,
    /// Later.
    Deferred,
    /// Never.
    Failed,
    /// In another transaction.
    Again,
    /// Lost after the end of data.
    Unknown,
}

/// How one recipient was settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What became of it.
    pub verdict: Verdict,
    /// The reply that decided.
    pub reply: Option<Reply>,
    /// `reply` is the server's, not the session's.
    pub said: bool,
    /// The server sends DSNs itself.
    pub notifies: bool,
}

/// How far a session came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Before or in the greeting.
    Connect,
    /// STARTTLS or handshake.
    Tls,
    /// AUTH.
    Authentication,
    /// EHLO, MAIL, RCPT.
    Envelope,
    /// DATA and content.
    Content,
    /// After the last message.
    Ended,
}

/// How a connection ends from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Closed.
    Closed,
    /// Silent.
    Timeout,
    /// Handshake failed.
    Handshake,
}

/// Why a session failed as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Where.
    pub stage: Stage,
    /// What the server said.
    pub reply: Option<Reply>,
    /// For a person.
    pub text: String,
    /// Whether trying again can help.
    pub temporary: bool,
}

/// What the host does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Octets to the peer.
    Send(Vec<u8>),
    /// Octets to the peer, and what a trace shows instead.
    Confide(Vec<u8>, String),
    /// Handshake.
    StartTls,
    /// A mechanism has been chosen.
    Authenticate(Mechanism),
    /// PBKDF2 over the password.
    Derive(ScramSalt),
    /// `submit` may be called.
    Ready(Offer),
    /// `supply` may be called.
    Hungry,
    /// A run of what `supply` was given.
    Content(Span),
    /// The session's own octets in content.
    Insert(Vec<u8>),
    /// Next octets unseen.
    Pass(u64),
    /// The message from its first octet.
    Rewind,
    /// One recipient is settled.
    Settled(u32, Outcome),
    /// All recipients are settled.
    Done,
    /// The session failed.
    Failed(Failure),
    /// For the log.
    Report(String),
    /// Flush and close.
    Close,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Octets used of `receive`'s buffer.
    pub consumed: u32,
    /// In order.
    pub actions: Vec<Action>,
    /// What is awaited.
    pub waiting_for: Phase,
}
