//! Access tokens for servers that want OAuth 2.0 (RFC 6749) instead of a password: XOAUTH2 and
//! OAUTHBEARER (RFC 7628), as Microsoft 365 and Google ask for.

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
