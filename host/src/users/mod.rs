//! Users: who they are, and whether somebody is one of them.
//!
//! [`Users`] finds records and knows no mechanism; [`FileUsers`] is its backend of this version
//! (SQL and LDAP will stand beside it). [`Authenticator`] answers for PLAIN, LOGIN and NTLM with the
//! help of [`argon`] (the slow hash), [`cache`] (what was right a moment ago), [`backoff`] (slowing
//! down whoever guesses) and `turns` (waiting in line). Nothing here knows a connection, and only verifiers are kept, never a
//! password.
//!
//! # Names
//! Names are compared without regard to ASCII case. Several ways to write one lead to the same
//! record ([`names`]; profile NLMP-3.2.5-i).
//!
//! Elsewhere on purpose: NTLM arithmetic (the component's verifier, passed in as a closure), and
//! what the mechanisms say on the wire (the component's `sasl`).

pub mod argon;
pub mod authenticator;
pub mod backoff;
pub(crate) mod bounded;
pub mod cache;
pub mod file;
pub mod names;
pub mod record;
pub mod refusal;
pub mod senders;
mod turns;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use crate::config::Finding;

pub use authenticator::{Authenticator, Unverified, Verdict};
pub use file::FileUsers;
pub use names::Names;
pub use record::{NtHash, Record};
pub use senders::{OwnAddresses, may_send_as};

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
