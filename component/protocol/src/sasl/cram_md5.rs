//! CRAM-MD5 (RFC 2195): HMAC-MD5 of the server's challenge, with the password as key.

use super::ClientStep;
use super::server::{SaslRefusal, ServerContext, ServerStep, Turn};
use crate::contract::{
    client::Credentials,
    server::{CramMd5Check, Question},
};
use crate::environment::Environment;
use crate::ntlm::crypto::hmac_md5;
use crate::parked::{Reader, Writer};
use alloc::{format, string::String};
use core::fmt::Write as _;
use zeroize::Zeroizing;

/// Hexadecimal digits of HMAC-MD5.
const DIGEST: usize = 32;

/// This challenge was sent, and its response is awaited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    challenge: String,
}

impl Server {
    /// R2195-2-a: a new challenge in the form of a message identifier.
    pub fn start(
        initial: Option<&[u8]>,
        context: &ServerContext<'_>,
        env: &mut dyn Environment,
    ) -> Turn<Self> {
        // RFC 4954 section 4 (R4954-4-f): the server is first, and an empty response is one too.
        if initial.is_some() {
            let refusal = SaslRefusal::InitialResponseNotAllowed;
            return (None, ServerStep::Refuse(refusal));
        }
        let mut random = [0; 16];
        env.random(&mut random);
        let (random, hostname) = (u128::from_le_bytes(random), context.hostname);
        let challenge = format!("<{random}.{}@{hostname}>", env.now().seconds);
        let step = ServerStep::Challenge(challenge.clone().into_bytes());
        (Some(Self { challenge }), step)
    }

    /// RFC 2195 section 2: user, space, digest.
    pub fn respond(self, response: &[u8]) -> Turn<Self> {
        let step = match parse(response) {
            None => ServerStep::Refuse(SaslRefusal::Malformed),
            // R4954-4-o: nobody has an empty name.
            Some(("", _)) => ServerStep::Refuse(SaslRefusal::Wrong),
            Some((user, digest)) => ServerStep::Ask(Question::CramMd5(CramMd5Check {
                user: user.into(),
                challenge: self.challenge,
                digest: digest.into(),
            })),
        };
        (None, step)
    }

    pub fn write(&self, writer: &mut Writer) {
        writer.string(&self.challenge);
    }

    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let challenge = reader.string()?;
        Some(Self { challenge })
    }
}

/// R2195-2-a: split at the last space, so that names may have some; the digest in any case.
fn parse(response: &[u8]) -> Option<(&str, &str)> {
    let (user, digest) = core::str::from_utf8(response).ok()?.rsplit_once(' ')?;
    let is_digest = digest.len() == DIGEST && digest.bytes().all(|octet| octet.is_ascii_hexdigit());
    is_digest.then_some((user, digest))
}

/// The client awaits the challenge: the server is first.
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
