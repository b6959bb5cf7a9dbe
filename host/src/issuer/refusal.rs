//! Why a token is not good: for the log, never for the peer (R4954-6-a).

use crate::oauth::error::printable;

/// Longest text out of a token in a log, in characters.
const MOST_TOLD: usize = 100;

/// Why a token is not good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the token cannot be read, or is signed by an algorithm that nobody knows here")]
    Malformed,
    #[error("the token's issuer \"{}\" has no [[auth.issuer]]", printable(.0, MOST_TOLD))]
    UnknownIssuer(String),
    #[error("the token's algorithm {0:?} is not among those of its issuer")]
    Algorithm(jsonwebtoken::Algorithm),
    /// RFC 7515 section 4.1.11.
    #[error("the token's header has parameters that must be understood, and are not")]
    Critical,
    /// RFC 8725 section 3.11.
    #[error("the token is of another type than an access token")]
    Type,
    #[error("the token's key is none of its issuer's")]
    UnknownKey,
    #[error("the token's signature is wrong")]
    Signature,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not good yet; compare the clocks")]
    Early,
    #[error("the token is for another audience")]
    Audience,
    #[error("the token is from another issuer")]
    Issuer,
    #[error("the token lacks {0}, or it makes no sense")]
    Claim(&'static str),
    /// RFC 8705 section 3, RFC 9449 section 6: it is no bearer token.
    #[error("the token is bound to a key of its client, and this is no way to show that key")]
    Bound,
    /// RFC 7662 section 2.2.
    #[error("the token's issuer says that it is not active")]
    Inactive,
    #[error("the token lacks the scope \"{0}\"")]
    Scope(String),
    #[error("the token was given to the client \"{}\", which is not among clients", printable(.0, MOST_TOLD))]
    Client(String),
    #[error("the token has none of the claims that name the user (user-claims)")]
    Nameless,
    #[error("the token is of somebody who has no account here")]
    Stranger,
    #[error("the token is of \"{}\", and may not be used for another", printable(.0, MOST_TOLD))]
    Other(String),
}

impl Refusal {
    /// Whether only time is wrong with a token of an issuer: its holder is no guesser.
    pub(super) fn is_of_genuine(&self) -> bool {
        matches!(self, Self::Expired | Self::Early)
    }
}
