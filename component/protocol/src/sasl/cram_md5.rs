//! CRAM-MD5 (RFC 2195): HMAC-MD5 of the server's challenge, with the password as key.

use super::ClientStep;
use crate::contract::client::Credentials;
use crate::ntlm::crypto::hmac_md5;
use alloc::string::String;
use core::fmt::Write as _;
use zeroize::Zeroizing;

/// The challenge is awaited: the server is first.
pub(super) struct Client {
    user: String,
    password: Zeroizing<String>,
}

impl Client {
    pub fn start(credentials: &Credentials) -> Self {
        Self {
            user: credentials.user.clone(),
            password: Zeroizing::new(credentials.secret.clone()),
        }
    }

    /// RFC 2195 section 2: user, space, digest.
    pub fn challenge(self, challenge: &[u8]) -> ClientStep {
        if challenge.is_empty() {
            return ClientStep::Cancel("cram-md5 challenge is empty");
        }
        let digest = hmac_md5(self.password.as_bytes(), &[challenge]);
        let mut response = self.user;
        response.push(' ');
        for octet in digest {
            // Writing to a string does not fail.
            let _ = write!(response, "{octet:02x}");
        }
        ClientStep::Respond(response.into_bytes())
    }
}
