//! Why there is no token, and what to do about it.

use std::io;
use std::path::PathBuf;

/// Why there is no token. No secret is in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OauthError {
    /// A file of a secret cannot be read.
    #[error("cannot read the {what} from {}{advice}", file.display())]
    Read {
        /// What is in it.
        what: &'static str,
        /// The file.
        file: PathBuf,
        /// What to do, if anybody knows.
        advice: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A file of a secret holds no secret.
    #[error("cannot use the {what} in {}: {why}", file.display())]
    Content {
        /// What is in it.
        what: &'static str,
        /// The file.
        file: PathBuf,
        /// What is wrong, and what to do.
        why: &'static str,
    },
    /// A file of a secret cannot be written.
    #[error("cannot write the {what} to {}; the account needs a folder it can write to", file.display())]
    Write {
        /// What is in it.
        what: &'static str,
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The address of a token server is none to send secrets to.
    #[error("cannot use the address \"{url}\" of a token server: {why}")]
    Url {
        /// The address.
        url: String,
        /// What is wrong, and what to do.
        why: &'static str,
    },
    /// The token server cannot be asked.
    #[error("cannot ask the token server {url}{advice}")]
    Unreachable {
        /// Its address.
        url: String,
        /// What to do, if anybody knows.
        advice: &'static str,
        /// Why.
        source: Box<ureq::Error>,
    },
    /// The token server sends us elsewhere, and secrets are not sent after it.
    #[error(
        "the token server {url} redirects to {location}; if that is right, configure the address \
         it leads to"
    )]
    Redirect {
        /// Its address.
        url: String,
        /// Where to.
        location: String,
    },
    /// The token server's answer is no token response.
    #[error("the token server {url} answers {status} and {why}")]
    Answer {
        /// Its address.
        url: String,
        /// HTTP status.
        status: u16,
        /// What is wrong with it.
        why: String,
    },
    /// An error response (RFC 6749 section 5.2).
    #[error("the token server {url} refuses with {error}{description}{advice}")]
    Refused {
        /// Its address.
        url: String,
        /// The `error` of the response.
        error: String,
        /// Its `error_description` in parentheses, or empty.
        description: String,
        /// What to do, if anybody knows.
        advice: String,
    },
    /// The token command failed.
    #[error("the token command {why}")]
    Command {
        /// How.
        why: String,
    },
    /// A first refresh token could not be had.
    #[error("{0}")]
    Login(String),
    /// Our own task was lost.
    #[error("the fetch of a token was broken off")]
    Lost,
}

impl OauthError {
    /// An error and its causes on one line.
    pub fn line(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        printable(&text, MOST_LINE)
    }

    /// Whether it is this error response of the token server.
    pub(super) fn is(&self, word: &str) -> bool {
        matches!(self, Self::Refused { error, .. } if error == word)
    }
}

/// Longest error for a person, in characters.
const MOST_LINE: usize = 1_000;

/// Foreign text on one line, of at most `most` characters: nobody's control characters reach a
/// terminal or a log.
pub fn printable(text: &str, most: usize) -> String {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    let line = words.join(" ");
    match line.char_indices().nth(most) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}
