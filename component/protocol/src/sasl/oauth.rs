//! What XOAUTH2 and OAUTHBEARER (RFC 7628) have in common on the client's side: one message with
//! an access token, and the error of a server that refuses it.

use super::ClientStep;
use crate::contract::client::Credentials;
use alloc::{format, string::String, vec::Vec};
use zeroize::Zeroizing;

/// Between the parts of a message, and at its end (RFC 7628 section 3.1: kvsep).
pub(super) const SEPARATOR: char = '\u{1}';

/// Characters of a server's error that are told; it is a line of JSON.
const MOST_TOLD: usize = 512;

/// The message was sent.
pub(super) struct Client {
    /// Not to be told, should the server repeat it.
    token: Zeroizing<String>,
    /// What answers an error.
    answer: &'static [u8],
}

impl Client {
    /// `message` is made from these credentials; `answer` goes to the server that refuses them.
    pub fn start(
        credentials: &Credentials,
        message: impl FnOnce(&Credentials) -> String,
        answer: &'static [u8],
    ) -> Result<(Self, Vec<u8>), &'static str> {
        // RFC 6750 section 2.1: a token has no other octets; the separator would end it.
        let token = credentials.secret.as_bytes();
        if token.is_empty() || !token.iter().all(u8::is_ascii_graphic) {
            return Err("the access token is empty or has octets that no token has");
        }
        if credentials.user.chars().any(char::is_control) {
            return Err("the user name has a control character");
        }
        let client = Self {
            token: Zeroizing::new(credentials.secret.clone()),
            answer,
        };
        Ok((client, message(credentials).into_bytes()))
    }

    /// XOA-3, R7628-3.2: a challenge after the message is the error; its answer brings the final
    /// reply. Only codes steer (CL-reply-d), so nothing is read out of it.
    pub fn challenge(self, error: &[u8]) -> ClientStep {
        ClientStep::Concede {
            response: self.answer.to_vec(),
            reason: format!(
                "the server refuses the access token: {}",
                self.told(error).trim()
            ),
        }
    }

    /// The error in one printable line, without the token.
    fn told(&self, error: &[u8]) -> String {
        if error.is_empty() {
            return "it does not say why".into();
        }
        let error = Zeroizing::new(String::from_utf8_lossy(error).into_owned());
        let masked = Zeroizing::new(error.replace(self.token.as_str(), "***"));
        masked
            .chars()
            .map(|character| match character {
                control if control.is_control() => ' ',
                other => other,
            })
            .take(MOST_TOLD)
            .collect()
    }
}
