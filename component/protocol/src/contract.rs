//! The contract of `wit/submission.wit` as plain Rust types.
//!
//! Names and meanings are those of the WIT file, which documents each item; the binding in the
//! component crate converts between the two. Sessions speak these types, so that they can be
//! tested, fuzzed and measured natively.

pub mod client;
pub mod server;
pub mod verifier;

use alloc::{string::String, vec::Vec};

/// Octets that a call may pass to `receive` or `supply` at most.
pub const MOST_OCTETS: usize = 65_536;
/// Actions of one progress at most (a client's `Settled` not counted).
pub const MOST_ACTIONS: usize = 64;
/// Octets of a parked session at most.
pub const MOST_PARKED: usize = 8_192;
/// Mailboxes of From that the facts name at most.
pub const MOST_AUTHORS: usize = 16;
/// Octets that a session may leave unconsumed without a question at most (RFC 4954 section 4).
pub const MOST_LINE: usize = 12_288;

/// Part of the buffer that was passed to the call being answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Octets from the start of the buffer.
    pub offset: u32,
    /// Octets.
    pub length: u32,
}

/// A reply (RFC 5321 section 4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Reply code, 200 to 599.
    pub code: u16,
    /// Enhanced status code (RFC 3463).
    pub status: Option<(u8, u16, u16)>,
    /// Text of each line, without codes and CRLF.
    pub lines: Vec<String>,
}

/// BODY parameter (RFC 6152, RFC 3030).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BodyType {
    /// 7BIT, also when absent.
    #[default]
    SevenBit,
    /// 8BITMIME.
    EightBitMime,
    /// BINARYMIME.
    BinaryMime,
}

/// RET parameter (RFC 3461 section 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DsnReturn {
    /// FULL.
    Full,
    /// HDRS.
    Headers,
}

/// BY parameter (RFC 2852).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliverBy {
    /// Seconds from the MAIL command.
    pub seconds: i64,
    /// Mode N instead of R.
    pub notify: bool,
    /// Trace modifier.
    pub trace: bool,
}

/// Parameters of MAIL.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReversePathParameters {
    /// BODY.
    pub body: BodyType,
    /// SIZE, octets.
    pub size: Option<u64>,
    /// SMTPUTF8.
    pub smtputf8: bool,
    /// RET.
    pub ret: Option<DsnReturn>,
    /// ENVID as it came, in xtext.
    pub envid: Option<String>,
    /// AUTH, decoded; empty for `<>`.
    pub auth: Option<String>,
    /// REQUIRETLS.
    pub require_tls: bool,
    /// HOLDFOR or HOLDUNTIL as seconds from now.
    pub hold_for: Option<u32>,
    /// BY.
    pub deliver_by: Option<DeliverBy>,
    /// MT-PRIORITY.
    pub priority: Option<i8>,
}

/// NOTIFY parameter (RFC 3461 section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Notify {
    /// NEVER, alone.
    pub never: bool,
    /// SUCCESS.
    pub success: bool,
    /// FAILURE.
    pub failure: bool,
    /// DELAY.
    pub delay: bool,
}

/// One recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardPath {
    /// Mailbox with the least quoting.
    pub mailbox: String,
    /// NOTIFY, if given.
    pub notify: Option<Notify>,
    /// ORCPT: address type, and address as it came.
    pub orcpt: Option<(String, String)>,
}

/// The envelope of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Serial, hyphen, number of the transaction.
    pub id: String,
    /// Mailbox, or empty.
    pub reverse_path: String,
    /// What MAIL asked for.
    pub parameters: ReversePathParameters,
    /// Accepted recipients in order.
    pub forward_paths: Vec<ForwardPath>,
    /// "with" keyword (RFC 3848, RFC 6531).
    pub protocol: String,
    /// EHLO or HELO name as it may be logged, or empty.
    pub greeted: String,
}

/// What is known of content once it has passed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContentFacts {
    /// Octets after dot removal and repairs.
    pub size: u64,
    /// The header section has octets above 127.
    pub header_eight_bit: bool,
    /// The body has octets above 127.
    pub body_eight_bit: bool,
    /// NUL, or lines over 998 octets.
    pub binary: bool,
    /// Bare CR or bare LF.
    pub bare: bool,
    /// Must not be converted.
    pub signed: bool,
    /// Message-ID with brackets, or empty.
    pub message_id: String,
    /// `TLS-Required: No`.
    pub tls_waived: bool,
    /// Mailboxes of From, the first [`MOST_AUTHORS`].
    pub authors: Vec<String>,
}

/// SASL mechanisms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mechanism {
    /// [MS-XLOGIN].
    Login,
    /// [MS-SMTPNTLM].
    Ntlm,
    /// RFC 4616.
    Plain,
    /// RFC 2195.
    CramMd5,
    /// RFC 5802.
    ScramSha1,
    /// RFC 5802, bound.
    ScramSha1Plus,
    /// RFC 7677.
    ScramSha256,
    /// RFC 7677, bound.
    ScramSha256Plus,
    /// XOAUTH2.
    Xoauth2,
    /// RFC 7628.
    Oauthbearer,
    /// RFC 4422 appendix A.
    External,
}

impl Mechanism {
    /// Registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Login => "LOGIN",
            Self::Ntlm => "NTLM",
            Self::Plain => "PLAIN",
            Self::CramMd5 => "CRAM-MD5",
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::ScramSha1Plus => "SCRAM-SHA-1-PLUS",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::Xoauth2 => "XOAUTH2",
            Self::Oauthbearer => "OAUTHBEARER",
            Self::External => "EXTERNAL",
        }
    }

    /// The mechanism of this name, in any case (RFC 4422 section 3.1).
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|mechanism| name.eq_ignore_ascii_case(mechanism.name().as_bytes()))
    }

    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Login,
        Self::Ntlm,
        Self::Plain,
        Self::CramMd5,
        Self::ScramSha1,
        Self::ScramSha1Plus,
        Self::ScramSha256,
        Self::ScramSha256Plus,
        Self::Xoauth2,
        Self::Oauthbearer,
        Self::External,
    ];
}

/// The three [MS-NLMP] messages and what was parsed out of them.
#[derive(Clone, PartialEq, Eq)]
pub struct NtlmResponse {
    /// User as sent.
    pub user: String,
    /// Domain as sent; may be empty.
    pub domain: String,
    /// Workstation as sent.
    pub workstation: String,
    /// 8 octets.
    pub server_challenge: Vec<u8>,
    /// NtChallengeResponse.
    pub nt_response: Vec<u8>,
    /// NEGOTIATE_MESSAGE.
    pub negotiate: Vec<u8>,
    /// CHALLENGE_MESSAGE.
    pub challenge: Vec<u8>,
    /// AUTHENTICATE_MESSAGE.
    pub authenticate: Vec<u8>,
}

/// With challenge and response passwords can be tried out: who it is about is shown alone.
impl core::fmt::Debug for NtlmResponse {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("NtlmResponse")
            .field("user", &self.user)
            .field("domain", &self.domain)
            .field("workstation", &self.workstation)
            .finish_non_exhaustive()
    }
}

/// Salt and iterations (RFC 5802 section 5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScramSalt {
    /// Salt.
    pub salt: Vec<u8>,
    /// 4096 or more.
    pub iterations: u32,
}

/// What the host knows of the TLS layer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsFacts {
    /// `TLSv1.3`.
    pub version: String,
    /// Registered name of the cipher suite.
    pub cipher: String,
    /// The peer's certificate is good.
    pub verified: bool,
    /// tls-server-end-point.
    pub server_end_point: Option<Vec<u8>>,
    /// tls-exporter.
    pub exporter: Option<Vec<u8>>,
}

/// What the session waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// `open`, or the greeting.
    Greeting,
    /// A command, or the reply to one.
    Command,
    /// A line of an AUTH exchange.
    Authentication,
    /// The 354.
    DataInitiation,
    /// Content.
    Content,
    /// The reply to the end of data.
    EndOfContent,
    /// The host.
    Answer,
    /// The reply to QUIT.
    Quit,
    /// Nothing.
    Closed,
}

/// Why the host ends a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dismissal {
    /// The peer was silent.
    Timeout,
    /// The service ends.
    Shutdown,
    /// Too many connections.
    Overload,
    /// The host's own trouble.
    Fault,
}

/// The caller broke the loop's rules, or settings make no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Fault {
    /// For the log.
    pub text: String,
}

impl Fault {
    /// A fault with this text.
    pub fn new(text: &str) -> Self {
        Self { text: text.into() }
    }
}
