//! The server role's part of the contract.

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
    /// Completes a name of one label; empty: none.
    pub local_domain: String,
    /// Nothing without a verified client certificate.
    pub certificate_required: bool,
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
#[derive(Clone, PartialEq, Eq)]
pub struct CramMd5Check {
    /// Authentication identity.
    pub user: String,
    /// The challenge, decoded.
    pub challenge: String,
    /// 32 hex digits.
    pub digest: String,
}

/// With challenge and digest passwords can be tried out: one of them is not shown.
impl core::fmt::Debug for CramMd5Check {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("CramMd5Check")
            .field("user", &self.user)
            .field("challenge", &self.challenge)
            .field("digest", &"***")
            .finish()
    }
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
#[derive(Clone, PartialEq, Eq)]
pub struct ScramProof {
    /// AuthMessage.
    pub messages: String,
    /// ClientProof.
    pub proof: Vec<u8>,
}

impl core::fmt::Debug for ScramProof {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ScramProof")
            .field("messages", &self.messages)
            .field("proof", &"***")
            .finish()
    }
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
    /// No verifier of this kind yet.
    Unprepared,
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
