//! The client's side of an exchange, whatever the mechanism.

use super::{cram_md5, external, login, ntlm_client, oauthbearer, plain, scram_client, xoauth2};
use crate::contract::{Mechanism, ScramSalt, TlsFacts, client::Credentials, verifier::Digest};
use crate::environment::Environment;
use crate::smtp::base64;
use alloc::{string::String, vec::Vec};
use core::fmt;
use zeroize::Zeroizing;

/// What an exchange needs of the session.
#[derive(Debug, Clone, Copy)]
pub struct ClientContext<'a> {
    /// The name that was asked for.
    pub server: &'a str,
    /// TCP port.
    pub port: u16,
    /// `None` without TLS.
    pub facts: Option<&'a TlsFacts>,
    /// The server offers a SCRAM mechanism with channel binding.
    pub plus_offered: bool,
}

/// What comes next.
#[derive(Clone, PartialEq, Eq)]
pub enum ClientStep {
    /// This line, in base64. It may hold a password: it is for `confide`, not for a trace.
    Respond(Vec<u8>),
    /// The server refuses, and said why inside the exchange: this line brings its final reply.
    Concede {
        /// As with `Respond`.
        response: Vec<u8>,
        /// For a person. No secrets.
        reason: String,
    },
    /// PBKDF2 over the password with this; its result goes to `derived`.
    Derive(ScramSalt),
    /// The line `*`; the exchange failed for this reason.
    Cancel(&'static str),
    /// The line `*`, and nothing else is tried: the server is not who it should be.
    Distrust(&'static str),
}

impl fmt::Debug for ClientStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Respond(_) => f.debug_tuple("Respond").field(&"***").finish(),
            Self::Concede { reason, .. } => f.debug_tuple("Concede").field(reason).finish(),
            Self::Derive(salt) => f.debug_tuple("Derive").field(salt).finish(),
            Self::Cancel(reason) => f.debug_tuple("Cancel").field(reason).finish(),
            Self::Distrust(reason) => f.debug_tuple("Distrust").field(reason).finish(),
        }
    }
}

/// One exchange, from AUTH to its final reply. What it holds of the credentials is wiped when it
/// is dropped.
pub struct ClientExchange {
    mechanism: Mechanism,
    /// The initial response, held back till the server asks for it.
    withheld: Option<Zeroizing<Vec<u8>>>,
    /// The server may know an older form of the mechanism alone.
    is_dated: bool,
    state: State,
}

enum State {
    CramMd5(cram_md5::Client),
    Login(login::Client),
    Ntlm(ntlm_client::Client),
    Oauthbearer(oauthbearer::Client),
    Scram(scram_client::Client),
    Xoauth2(xoauth2::Client),
    /// All has been said: a further 334 is a mistake.
    Complete,
}

/// A mechanism's own state after a turn, `None` if it has nothing more to say, and the step.
pub(super) type Turn<S> = (Option<S>, ClientStep);

impl ClientExchange {
    /// Begins; gives the initial response, not in base64, for mechanisms that have one. An error
    /// says why this mechanism can do nothing with these credentials.
    pub fn start(
        mechanism: Mechanism,
        credentials: &Credentials,
        context: &ClientContext<'_>,
        env: &mut dyn Environment,
    ) -> Result<(Self, Option<Vec<u8>>), &'static str> {
        let mut scram = |hash, plus| {
            scram_client::Client::start(hash, plus, credentials, context, env)
                .map(|(client, message)| (State::Scram(client), Some(message)))
        };
        let (state, initial) = match mechanism {
            // XLOGIN-2-d: no inline user.
            Mechanism::Login => (State::Login(login::Client::start(credentials)), None),
            Mechanism::Ntlm => {
                let (client, negotiate) = ntlm_client::Client::start(credentials);
                (State::Ntlm(client), Some(negotiate))
            }
            Mechanism::Plain => (State::Complete, Some(plain::message(credentials)?)),
            Mechanism::Xoauth2 => {
                let (client, message) = xoauth2::Client::start(credentials)?;
                (State::Xoauth2(client), Some(message))
            }
            Mechanism::Oauthbearer => {
                let (client, message) = oauthbearer::Client::start(credentials, context)?;
                (State::Oauthbearer(client), Some(message))
            }
            // R4954-4-f: the server is first.
            Mechanism::CramMd5 => (State::CramMd5(cram_md5::Client::start(credentials)), None),
            Mechanism::External => (State::Complete, Some(external::message(credentials)?)),
            Mechanism::ScramSha1 => scram(Digest::Sha1, false)?,
            Mechanism::ScramSha1Plus => scram(Digest::Sha1, true)?,
            Mechanism::ScramSha256 => scram(Digest::Sha256, false)?,
            Mechanism::ScramSha256Plus => scram(Digest::Sha256, true)?,
        };
        let exchange = Self {
            mechanism,
            withheld: None,
            is_dated: false,
            state,
        };
        Ok((exchange, initial))
    }

    /// The initial response was not sent with the command, which it would have made too long
    /// (R4954-4-n): it answers the next challenge.
    pub fn withhold(&mut self, initial: Vec<u8>) {
        // NTLM sends its NEGOTIATE again on its own (SNTLM-2.2.1.2-c).
        if self.mechanism != Mechanism::Ntlm {
            self.withheld = Some(Zeroizing::new(initial));
        }
    }

    /// A 334 with this text after the space, as it came.
    pub fn challenge(
        &mut self,
        text: &[u8],
        context: &ClientContext<'_>,
        env: &mut dyn Environment,
    ) -> ClientStep {
        // CL-reply-a: trailing white space is tolerated.
        let text = text.trim_ascii_end();
        let state = core::mem::replace(&mut self.state, State::Complete);
        if let State::Ntlm(ntlm) = state {
            // SNTLM-cancel: servers of NTLMv1 never send TargetInfo, and some of NTLMv2 do not.
            self.is_dated = ntlm_client::lacks_target_info(text);
            let (next, step) = ntlm.challenge(text, context, env);
            self.state = next.map_or(State::Complete, State::Ntlm);
            return step;
        }
        // R4954-4-d, CL-challenge: the other mechanisms have base64 only.
        let Some(octets) = base64::decode(text) else {
            return ClientStep::Cancel("challenge is not base64");
        };
        if let Some(initial) = self.withheld.take() {
            self.state = state;
            return ClientStep::Respond(initial.to_vec());
        }
        match state {
            State::Login(login) => {
                let (next, step) = login.challenge();
                self.state = next.map_or(State::Complete, State::Login);
                step
            }
            State::CramMd5(cram_md5) => cram_md5.challenge(&octets),
            State::Scram(mut scram) => {
                let step = scram.challenge(&octets);
                self.state = State::Scram(scram);
                step
            }
            State::Oauthbearer(oauthbearer) => oauthbearer.challenge(&octets),
            State::Xoauth2(xoauth2) => xoauth2.challenge(&octets),
            // CL-challenge, XLOGIN-2-d. NTLM was above.
            State::Ntlm(_) | State::Complete => {
                ClientStep::Cancel("challenge after the last response")
            }
        }
    }

    /// What PBKDF2 gave for the `Derive` of the last challenge; the next line, in base64. `None`:
    /// nothing was asked for, or the result has not the length of the mechanism's hash.
    pub fn derived(&mut self, salted: &[u8]) -> Option<Vec<u8>> {
        match &mut self.state {
            State::Scram(scram) => scram.derived(salted),
            _ => None,
        }
    }

    /// Whether a refusal may mean that the server did not understand us, rather than that the
    /// credentials are wrong.
    pub fn is_dated(&self) -> bool {
        self.is_dated
    }

    /// Why 235 is no success, if it is none.
    pub fn objection(&self) -> Option<&'static str> {
        match (self.mechanism, &self.state) {
            (_, State::Scram(scram)) if scram.is_proven() => None,
            // R5802-5-d.
            (
                Mechanism::ScramSha1
                | Mechanism::ScramSha1Plus
                | Mechanism::ScramSha256
                | Mechanism::ScramSha256Plus,
                _,
            ) => Some("the server did not prove that it knows the password"),
            _ => None,
        }
    }

    /// Which mechanism this is.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }
}

impl fmt::Debug for ClientExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientExchange")
            .field("mechanism", &self.mechanism)
            .finish_non_exhaustive()
    }
}
