//! Access tokens for servers that want OAuth 2.0 (RFC 6749) instead of a password: XOAUTH2 and
//! OAUTHBEARER (RFC 7628), as Microsoft 365 and Google ask for.
//!
//! ```text
//!   route -> Registry -> Tokens --- is there a good one? ------------------------> XOAUTH2
//!                               \-- else one fetch: grant -> command or endpoint --^
//! ```
//!
//! ```text
//!   tokens        the token in force: when it is fetched, by whom, and what a refusal means
//!   provider      the same as what a client session asks for its credentials
//!   registry      one `Tokens` for all routes that would fetch the same token
//!   grant         what is asked for a token (RFC 6749 sections 4.4 and 6), and a command's part
//!   refresh       the refresh token: read, spent and replaced by one process at a time
//!   command       tokens from a program
//!   endpoint      HTTP to a token server: limits, TLS, client authentication, no redirects
//!   form          its requests
//!   response      its responses (RFC 6749 sections 5.1 and 5.2)
//!   device        a first refresh token by the device authorization grant (RFC 8628)
//!   code          the same by an authorization code and a browser (RFC 8252, RFC 7636)
//!   vendor        the addresses that Microsoft and Google document
//!   secret_file   files that hold a secret
//!   error         why there is no token
//! ```
//!
//! No secret is in a log, an error or a `Debug`. Not here: the two mechanisms (the component), and
//! what becomes of a route whose token is refused twice (`relay`).

pub mod code;
mod command;
pub mod device;
pub mod endpoint;
pub(crate) mod error;
pub(crate) mod form;
mod grant;
mod provider;
mod refresh;
mod registry;
mod response;
pub mod secret_file;
#[cfg(test)]
pub(crate) mod tests;
mod tokens;
pub mod vendor;

pub use error::OauthError;
pub use provider::Bearer;
pub use registry::Registry;
pub use tokens::{Options, Token, Tokens};

use std::path::PathBuf;

/// Who to be, and how to come by a token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Settings {
    /// The mailbox to authenticate as.
    pub user: String,
    /// Where tokens come from.
    pub grant: Grant,
}

/// Where tokens come from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Grant {
    /// The standard output of this command: the token alone, or the JSON of a token response. Run
    /// by `/bin/sh -c`.
    Command(String),
    /// A refresh token, which the token server may replace (RFC 6749 section 6).
    RefreshToken {
        /// Token endpoint.
        token_url: String,
        /// Client identifier.
        client_id: String,
        /// File of the client secret; public clients have none.
        client_secret_file: Option<PathBuf>,
        /// File of the refresh token; a new one is written into it.
        refresh_token_file: PathBuf,
        /// Scopes, with spaces between them.
        scope: Option<String>,
    },
    /// The client's own credentials (RFC 6749 section 4.4).
    ClientCredentials {
        /// Token endpoint.
        token_url: String,
        /// Client identifier.
        client_id: String,
        /// File of the client secret.
        client_secret_file: PathBuf,
        /// Scopes, with spaces between them.
        scope: Option<String>,
    },
}

impl std::fmt::Display for Grant {
    /// Where tokens come from, for a person.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            // Its arguments may be nobody's business.
            Self::Command(_) => f.write_str("the token command"),
            Self::RefreshToken {
                token_url,
                refresh_token_file,
                ..
            } => write!(
                f,
                "{token_url} (refresh token in {})",
                refresh_token_file.display()
            ),
            Self::ClientCredentials {
                token_url,
                client_id,
                ..
            } => write!(f, "{token_url} (client credentials of {client_id})"),
        }
    }
}
