//! What is kept of a password, and which mechanisms are checked with it.

use crate::config::Mechanism;

/// One way to keep something that a password can be checked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// argon2id, for LOGIN and PLAIN.
    Password,
    /// The NT hash, for NTLM ([MS-NLMP] section 3.3.1).
    Nt,
    /// The two inner states of HMAC-MD5, for CRAM-MD5 (RFC 2195 section 4).
    CramMd5,
    /// Salt, iterations and keys, for SCRAM-SHA-1 (RFC 5802 section 3).
    ScramSha1,
    /// The same for SCRAM-SHA-256 (RFC 7677).
    ScramSha256,
}

impl Kind {
    /// All of them, in the order of the users file.
    pub const ALL: [Self; 5] = [
        Self::Password,
        Self::Nt,
        Self::CramMd5,
        Self::ScramSha1,
        Self::ScramSha256,
    ];

    /// What `mechanism` needs; `None`: nothing that is made of a password.
    pub fn of(mechanism: Mechanism) -> Option<Self> {
        match mechanism {
            Mechanism::Login | Mechanism::Plain => Some(Self::Password),
            Mechanism::Ntlm => Some(Self::Nt),
            Mechanism::CramMd5 => Some(Self::CramMd5),
            Mechanism::ScramSha1 | Mechanism::ScramSha1Plus => Some(Self::ScramSha1),
            Mechanism::ScramSha256 | Mechanism::ScramSha256Plus => Some(Self::ScramSha256),
            Mechanism::External | Mechanism::Oauthbearer | Mechanism::Xoauth2 => None,
        }
    }

    /// What it is.
    pub fn what(self) -> &'static str {
        match self {
            Self::Password => "argon2id hash",
            Self::Nt => "NT hash",
            Self::CramMd5 => "HMAC-MD5 states",
            Self::ScramSha1 | Self::ScramSha256 => "SCRAM keys",
        }
    }

    /// Which mechanisms it is for, for a sentence.
    pub fn mechanisms(self) -> &'static str {
        match self {
            Self::Password => "LOGIN and PLAIN",
            Self::Nt => "NTLM",
            Self::CramMd5 => "CRAM-MD5",
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::ScramSha256 => "SCRAM-SHA-256",
        }
    }

    /// The same as the configuration writes them.
    pub fn keywords(self) -> &'static str {
        match self {
            Self::Password => "login plain",
            Self::Nt => "ntlm",
            Self::CramMd5 => "cram-md5",
            Self::ScramSha1 => "scram-sha-1",
            Self::ScramSha256 => "scram-sha-256",
        }
    }
}

/// How many of the users who can log in have a verifier of some kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holding {
    /// There are users, and none of them.
    Nobody,
    /// Some of them.
    Some,
    /// All of them; also where there are no users, or it is not known.
    All,
}
