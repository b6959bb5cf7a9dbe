//! Names to addresses, and domains to mail exchangers (RFC 5321 section 5.1).

use async_trait::async_trait;
use std::net::IpAddr;

/// Why a name leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// There is no such name.
    #[error("there is no such name as {name}")]
    Unknown {
        /// The name.
        name: String,
    },
    /// The name is there and has no record of the kind.
    #[error("{name} has no {kind}")]
    Nothing {
        /// The name.
        name: String,
        /// `address` or `MX record`.
        kind: &'static str,
    },
    /// Nobody could say.
    #[error("cannot look up {name}: {reason}")]
    Unanswered {
        /// The name.
        name: String,
        /// Why.
        reason: String,
    },
}

/// An MX record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchanger {
    /// Lower is better.
    pub preference: u16,
    /// Name without the final dot, in lower case; empty: the null MX of RFC 7505.
    pub host: String,
}

/// Who knows names.
#[async_trait]
pub trait Resolve: Send + Sync {
    /// The addresses of a name, or the address that it is. Never empty.
    ///
    /// # Errors
    /// [`ResolveError`].
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, ResolveError>;

    /// The MX records of a domain, as they came. Never empty: a domain without any is
    /// [`ResolveError::Nothing`], one that is not there [`ResolveError::Unknown`].
    ///
    /// # Errors
    /// [`ResolveError`].
    async fn exchangers(&self, domain: &str) -> Result<Vec<Exchanger>, ResolveError>;
}
