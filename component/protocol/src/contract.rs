//! The contract of `wit/submission.wit` as plain Rust types.
//!
//! Names and meanings are those of the WIT file, which documents each item; the binding in the
//! component crate converts between the two. Sessions speak these types, so that they can be
//! tested, fuzzed and measured natively.

use alloc::{string::String, vec::Vec};

/// Octets that a call may pass to `receive` or `supply` at most.
pub const MOST_OCTETS: usize = 65_536;
/// Actions of one progress at most (a client's `Settled` not counted).
pub const MOST_ACTIONS: usize = 64;
/// Octets of a parked session at most.
pub const MOST_PARKED: usize = 8_192;
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
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// The server role's part of the contract.
pub mod server {
    use super::*;

    /// What TLS means on this listener.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum TlsPolicy {
        /// No STARTTLS.
        Absent,
        /// STARTTLS offered.
        Offered,
        /// Needed before AUTH.
        RequiredForAuth,
        /// Needed before anything else.
        Required,
        /// Implicit TLS.
        Established,
    }

    /// Whether this peer may use the service.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Admission {
        /// 220.
        Welcome,
        /// 554.
        Unwanted,
    }

    /// What a bare LF is.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum BareLf {
        /// Refused.
        Reject,
        /// An end of line.
        Convert,
    }

    /// Extensions that can be switched off.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct Extensions {
        /// CHUNKING (RFC 3030).
        pub chunking: bool,
        /// BINARYMIME (RFC 3030).
        pub binarymime: bool,
        /// SMTPUTF8 (RFC 6531).
        pub smtputf8: bool,
        /// REQUIRETLS (RFC 8689).
        pub requiretls: bool,
        /// FUTURERELEASE (RFC 4865).
        pub futurerelease: bool,
        /// DELIVERBY (RFC 2852).
        pub deliverby: bool,
        /// MT-PRIORITY (RFC 6710).
        pub mt_priority: bool,
    }

    /// Fixed for one session.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Settings {
        /// Fully qualified name of the service.
        pub hostname: String,
        /// Unique per connection.
        pub serial: String,
        /// Whether the peer may submit.
        pub admission: Admission,
        /// What TLS means here.
        pub tls: TlsPolicy,
        /// What AUTH may offer, in order.
        pub mechanisms: Vec<Mechanism>,
        /// PLAIN and LOGIN without TLS.
        pub clear_text: bool,
        /// MAIL without an identity gets 530.
        pub authentication_required: bool,
        /// What EHLO may list beyond the fixed ones.
        pub extensions: Extensions,
        /// Octets; 0: no limit.
        pub max_message_size: u64,
        /// Recipients of one message.
        pub max_recipients: u32,
        /// Seconds.
        pub max_hold: u32,
        /// Seconds.
        pub min_deliver_by: u32,
        /// NetBIOS domain name.
        pub ntlm_domain: String,
        /// NetBIOS computer name.
        pub ntlm_computer: String,
        /// Ask about every sender.
        pub ask_sender: bool,
        /// Ask about every recipient.
        pub ask_recipient: bool,
        /// RFC 6409 section 8.2.
        pub add_date: bool,
        /// RFC 6409 section 8.3.
        pub add_message_id: bool,
        /// RFC 6409 section 8.1.
        pub add_sender: bool,
        /// RFC 6409 section 4.2.
        pub check_header_domains: bool,
        /// Leave Bcc in the message.
        pub keep_bcc: bool,
        /// What a bare LF is.
        pub bare_lf: BareLf,
        /// `AUTH=` beside `AUTH ` in EHLO.
        pub legacy_auth_line: bool,
    }

    /// The other end.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Peer {
        /// IP address in text form.
        pub address: String,
        /// TCP port.
        pub port: u16,
    }

    /// PLAIN and LOGIN.
    #[derive(Clone, PartialEq, Eq)]
    pub struct PasswordCheck {
        /// Authorization identity; empty: the user.
        pub authorization: String,
        /// Authentication identity.
        pub user: String,
        /// Opaque.
        pub password: Vec<u8>,
    }

    impl core::fmt::Debug for PasswordCheck {
        fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            f.debug_struct("PasswordCheck")
                .field("authorization", &self.authorization)
                .field("user", &self.user)
                .field("password", &"***")
                .finish()
        }
    }

    /// CRAM-MD5.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct CramMd5Check {
        /// Authentication identity.
        pub user: String,
        /// The challenge, decoded.
        pub challenge: String,
        /// 32 hex digits.
        pub digest: String,
    }

    /// SCRAM client-first.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct ScramStart {
        /// Which of the four.
        pub mechanism: Mechanism,
        /// Authorization identity; empty: the user.
        pub authorization: String,
        /// Authentication identity.
        pub user: String,
    }

    /// SCRAM client-final.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct ScramProof {
        /// AuthMessage.
        pub messages: String,
        /// ClientProof.
        pub proof: Vec<u8>,
    }

    /// XOAUTH2 and OAUTHBEARER.
    #[derive(Clone, PartialEq, Eq)]
    pub struct TokenCheck {
        /// Which of the two.
        pub mechanism: Mechanism,
        /// Authorization identity; empty: the token's own.
        pub authorization: String,
        /// User named beside the token, or empty.
        pub user: String,
        /// The bearer token.
        pub token: String,
    }

    impl core::fmt::Debug for TokenCheck {
        fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            f.debug_struct("TokenCheck")
                .field("mechanism", &self.mechanism)
                .field("authorization", &self.authorization)
                .field("user", &self.user)
                .field("token", &"***")
                .finish()
        }
    }

    /// What the host judges.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum Question {
        /// PLAIN, LOGIN.
        Password(PasswordCheck),
        /// CRAM-MD5.
        CramMd5(CramMd5Check),
        /// SCRAM, first.
        ScramFirst(ScramStart),
        /// SCRAM, final.
        ScramFinal(ScramProof),
        /// NTLM.
        Ntlm(NtlmResponse),
        /// OAuth.
        Token(TokenCheck),
        /// EXTERNAL.
        External(String),
        /// May this reverse-path be used?
        Sender(String, ReversePathParameters),
        /// May this recipient be reached?
        Recipient(ForwardPath),
        /// Make the message durable.
        Store(ContentFacts),
    }

    /// The host's answer.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum Answer {
        /// Identity, and SCRAM signature or empty.
        Granted(String, Vec<u8>),
        /// Wrong credentials.
        Refused,
        /// Disabled account.
        Disabled,
        /// Salt and iterations.
        Scram(ScramSalt),
        /// Cannot know now.
        Unavailable,
        /// Yes.
        Accepted,
        /// No.
        Rejected(Reply),
        /// Durable.
        Stored,
    }

    /// What the host does next.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum Action {
        /// Octets to the peer.
        Send(Vec<u8>),
        /// Handshake.
        StartTls,
        /// Content: a run of the caller's buffer.
        Content(Span),
        /// Content: the session's own octets.
        Insert(Vec<u8>),
        /// Content: next octets unseen.
        Pass(u64),
        /// Drop the content.
        Abandon,
        /// For the log.
        Report(String),
        /// Flush and close.
        Close,
    }

    /// What came of a call.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Progress {
        /// Octets used.
        pub consumed: u32,
        /// At most 64.
        pub actions: Vec<Action>,
        /// Content begins with this call's content actions.
        pub envelope: Option<Envelope>,
        /// After all actions.
        pub question: Option<Question>,
        /// What is awaited.
        pub waiting_for: Phase,
    }
}

/// The client role's part of the contract.
pub mod client {
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
}

/// The verifier's part of the contract.
pub mod verifier {
    use super::*;

    /// Hash of a SCRAM mechanism.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Digest {
        /// SHA-1.
        Sha1,
        /// SHA-256.
        Sha256,
    }

    /// Why a proof does not do.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Refusal {
        /// Does not match.
        Wrong,
        /// Cannot be read.
        Malformed,
        /// NTLMv1 or LM.
        Downgraded,
        /// Anonymous.
        Anonymous,
        /// Channel binding.
        Binding,
        /// MIC.
        Integrity,
    }

    /// What is demanded of an NTLM client.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct NtlmPolicy {
        /// A MIC must be there.
        pub require_integrity: bool,
        /// Under TLS a binding must be there.
        pub require_binding: bool,
    }

    /// What a SCRAM server keeps.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct ScramKeys {
        /// Which hash.
        pub digest: Digest,
        /// StoredKey.
        pub stored_key: Vec<u8>,
        /// ServerKey.
        pub server_key: Vec<u8>,
    }
}
