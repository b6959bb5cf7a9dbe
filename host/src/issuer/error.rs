//! Why nobody can tell whether a token is good, and what to do about it.

use std::path::PathBuf;

use crate::oauth::OauthError;
use crate::users::UsersError;

/// Why nobody can tell whether a token is good. No secret is in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssuerError {
    /// The issuer, or what it is asked with, cannot be used.
    #[error(transparent)]
    Ask(#[from] OauthError),
    /// A file of keys cannot be read.
    #[error("cannot read the keys of an issuer from {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Keys make no sense.
    #[error("cannot use the keys of {place}: {why}")]
    Keys {
        /// A file or an address.
        place: String,
        /// What is wrong.
        why: String,
    },
    /// The issuer says nothing useful about itself.
    #[error("cannot use what {url} says: {why}")]
    Discovery {
        /// Its address.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// There are no keys yet, or they are gone; the log has said why.
    #[error("there are no keys of the issuer {0} yet; the log says why they cannot be had")]
    NoKeys(String),
    /// Too many want to ask.
    #[error("too many tokens are being asked about; this one was not")]
    Busy,
    /// The users cannot be known.
    #[error(transparent)]
    Users(#[from] UsersError),
    /// Our own task was lost.
    #[error("a request to an issuer was broken off")]
    Lost,
}

impl IssuerError {
    /// An error and its causes on one line.
    pub fn line(&self) -> String {
        if let Self::Ask(error) = self {
            return error.line();
        }
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        crate::oauth::error::printable(&text, 1_000)
    }
}
