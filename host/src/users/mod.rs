//! Users: who they are, and whether somebody is one of them.
//!
//! [`Users`] finds records and knows no mechanism; [`FileUsers`] is its backend of this version
//! (SQL and LDAP will stand beside it). [`Authenticator`] answers for the mechanisms with the
//! help of [`argon`] (the slow hash), [`cache`] (what was right a moment ago), [`backoff`] (slowing
//! down whoever guesses), `turns` (waiting in line), [`salt`] and [`scram`]. Nothing here knows a
//! connection, and only verifiers are kept ([`record`], [`kept`]), never a password.
//!
//! [`kind`] says which mechanism needs which verifier, [`verifiers`] makes them of a password, and
//! [`completion`] gives them to users who lack some, when they next show their password.
//! [`certificate`] is what EXTERNAL knows people by. [`refusal`] tells the log why somebody was refused.
//!
//! # Names
//! Names are compared without regard to ASCII case, after SASLprep ([`prepare`]). Several ways to
//! write one lead to the same record ([`names`]; profile NLMP-3.2.5-i).
//!
//! Elsewhere on purpose: the arithmetic of NTLM, CRAM-MD5 and SCRAM (the component's verifier,
//! passed in as a closure or as [`verifiers::Arithmetic`]), and what the mechanisms say on the wire
//! (the component's `sasl`).

pub mod argon;
pub mod authenticator;
pub mod backoff;
pub(crate) mod bounded;
pub mod cache;
pub mod certificate;
pub mod completion;
pub mod file;
pub mod kept;
pub mod kind;
pub mod names;
pub mod prepare;
pub mod record;
pub mod refusal;
pub mod salt;
pub mod scram;
pub mod senders;
mod turns;
pub mod verifiers;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use crate::config::Finding;

pub use authenticator::{Authenticator, ScramExchange, Unverified, Verdict};
pub use certificate::ClientCertificate;
pub use completion::Completion;
pub use file::FileUsers;
pub use kept::NtHash;
pub use kind::{Holding, Kind};
pub use names::Names;
pub use record::Record;
pub use scram::{ScramDigest, ScramVerifier};
pub use senders::{OwnAddresses, may_send_as};
pub use verifiers::{Arithmetic, Verifiers};

/// A store of records.
#[async_trait]
pub trait Users: Send + Sync {
    /// The record of exactly this name, in any ASCII case; `None` if there is none.
    ///
    /// # Errors
    /// If that cannot be known now: the peer is told to come again (454 4.7.0).
    async fn find(&self, name: &str) -> Result<Option<Arc<Record>>, UsersError>;

    /// What is known of this name at once: sender rights are asked for at every MAIL. A backend that
    /// is far away answers from what it last found.
    fn known(&self, name: &str) -> Option<Arc<Record>>;

    /// How many of the users have a verifier of this kind, as far as it is known at once: what no
    /// user can use is not offered (R4954-3-a).
    fn holding(&self, kind: Kind) -> Holding;

    /// The record that lists this certificate; `None` if there is none.
    ///
    /// # Errors
    /// As `find`.
    async fn of_certificate(
        &self,
        certificate: &ClientCertificate,
    ) -> Result<Option<Arc<Record>>, UsersError>;

    /// Gives the user of `verified` the verifiers that he lacks. Does nothing (false) if his password
    /// is another one by now, or the backend is not ours to write.
    ///
    /// # Errors
    /// If it cannot be written.
    async fn complete(&self, verified: &Record, verifiers: &Verifiers) -> Result<bool, UsersError>;
    /// Whether some user may not send to everybody, so that sessions have to ask about recipients.
    /// Yes, where that is not known.
    fn limits_recipients(&self) -> bool {
        true
    }
}

/// `backend = "oauth"`: nobody is known here but by a token.
#[derive(Debug, Clone, Copy)]
pub struct NoUsers;

#[async_trait]
impl Users for NoUsers {
    async fn find(&self, _: &str) -> Result<Option<Arc<Record>>, UsersError> {
        Ok(None)
    }

    fn known(&self, _: &str) -> Option<Arc<Record>> {
        None
    }

    fn holding(&self, _: Kind) -> Holding {
        Holding::All
    }

    async fn of_certificate(
        &self,
        _: &ClientCertificate,
    ) -> Result<Option<Arc<Record>>, UsersError> {
        Ok(None)
    }

    async fn complete(&self, _: &Record, _: &Verifiers) -> Result<bool, UsersError> {
        Ok(false)
    }
}

/// Why users cannot be known or changed.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// The file system would not let us read it.
    #[error("cannot read users file {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file system would not let us write it.
    #[error("cannot write users file {}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is there, but makes no sense.
    #[error("cannot use users file {}: {}", path.display(), listed(findings))]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// All that is wrong with it.
        findings: Vec<Finding>,
    },
}

fn listed(findings: &[Finding]) -> String {
    let all: Vec<String> = findings.iter().map(ToString::to_string).collect();
    all.join("; ")
}
