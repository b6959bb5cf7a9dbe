//! Names to addresses, and domains to mail exchangers (RFC 5321 section 5.1).
//!
//! ```text
//!   authentic  asking what counts only if DNSSEC proves it
//!   dns      asking DNS servers, and what their answers mean
//!   hosts    the system's file of names
//!   system   what the system is configured to ask, and what it knows beside DNS
//!   watched  a file that may change
//! ```
//!
//! A lookup takes 20 s at most. Answers are remembered as long as they allow, but no longer than
//! an hour, and that there is none no longer than a minute: who repairs DNS wants to see mail move.
//!
//! Not here: which exchanger is tried first, and what a null MX means (`relay`).

mod authentic;
mod dns;
mod hosts;
mod system;
#[cfg(test)]
mod tests;
mod watched;

use async_trait::async_trait;
use hickory_resolver::proto::rr::Name;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// The time of one lookup, whatever must be asked for it.
const LOOKUP: Duration = Duration::from_secs(20);

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
        /// `address`, `MX record` or `TXT record`.
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

    /// The TXT records of a name, the strings of each joined. Never empty, like `exchangers`. Only for
    /// who looks: nothing that delivers mail asks.
    ///
    /// # Errors
    /// [`ResolveError`].
    async fn texts(&self, name: &str) -> Result<Vec<String>, ResolveError> {
        Err(ResolveError::Unanswered {
            name: name.to_owned(),
            reason: "nobody is asked for TXT records".to_owned(),
        })
    }

    /// The MX records of a domain, as far as DNSSEC proves them; none if it proves that there are none.
    /// `None`: it proves nothing, or nobody is asked whose word on that counts.
    ///
    /// # Errors
    /// Nobody answers just now, or can say.
    async fn proven_exchangers(
        &self,
        domain: &str,
    ) -> Result<Option<Vec<Exchanger>>, ResolveError> {
        // Who knows nothing of DNSSEC proves nothing.
        let _ = domain;
        Ok(None)
    }
}

/// Why names cannot be looked up at all.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up name resolution: {reason}")]
pub struct SetupError {
    reason: String,
}

/// What the word of DNS servers is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// They check DNSSEC, and nobody can come between: what they call authentic is.
    Trusted,
    /// An answer is an answer.
    Untrusted,
}

/// As the system does: its hosts file, the DNS servers of `/etc/resolv.conf`, and last its own
/// lookup (mDNS and whatever else `/etc/nsswitch.conf` names). Both files are read again when they
/// change. Without DNS servers in that file names are left to the system's lookup, and MX records
/// cannot be had.
///
/// # Errors
///
/// [`SetupError`].
pub fn system(word: Word) -> Result<Arc<dyn Resolve>, SetupError> {
    Ok(Arc::new(system::System::new(word)?))
}

/// These DNS servers and the system's hosts file, nothing else.
///
/// # Errors
///
/// [`SetupError`], also where there is no server.
pub fn servers(servers: &[SocketAddr], word: Word) -> Result<Arc<dyn Resolve>, SetupError> {
    Ok(Arc::new(dns::Dns::of(servers, word)?))
}

/// The address that a name is, where it is one.
fn literal(host: &str) -> Option<Vec<IpAddr>> {
    host.parse().ok().map(|address| vec![address])
}

/// A name as DNS and TLS have it: A-labels (RFC 5891 section 4.4) in lower case, without the final
/// dot. `None`: no such name can be.
pub(crate) fn ascii(name: &str) -> Option<String> {
    absolute(name).map(|name| written(&name))
}

/// The same, as DNS is asked for it.
fn absolute(name: &str) -> Option<Name> {
    // Names with `_` are in use, though not for hosts (RFC 952); they have no U-labels.
    let mut name = Name::from_str_relaxed(name).ok()?;
    name.set_fqdn(true);
    (!name.is_root()).then_some(name)
}

/// A name in lower case, without the final dot.
fn written(name: &Name) -> String {
    let name = name.to_lowercase().to_ascii();
    name.strip_suffix('.').unwrap_or(&name).to_owned()
}
