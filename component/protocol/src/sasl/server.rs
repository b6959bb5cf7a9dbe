//! The server's side of an exchange, whatever the mechanism.

use super::{Known, login, ntlm, plain};
use crate::contract::{
    Mechanism,
    server::{Answer, Question},
};
use crate::environment::Environment;
use crate::parked::{Reader, Writer};
use alloc::{string::String, vec::Vec};

/// What an exchange needs of the session's settings.
#[derive(Debug, Clone, Copy)]
pub struct ServerContext<'a> {
    /// Fully qualified name of the service.
    pub hostname: &'a str,
    /// NetBIOS domain name.
    pub ntlm_domain: &'a str,
    /// NetBIOS computer name.
    pub ntlm_computer: &'a str,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerStep {
    /// 334 with this, in base64 (R4954-4-b); then a response.
    Challenge(Vec<u8>),
    /// 334 with this text, as it is (SNTLM-2.2.1.2); then a response.
    Text(&'static str),
    /// The host judges; its answer goes to `conclude`.
    Ask(Question),
    /// The exchange is over.
    Refuse(SaslRefusal),
}

/// Why an exchange failed; the session has the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaslRefusal {
    /// A message cannot be read, or is out of order: 501 5.5.2.
    Malformed,
    /// Wrong credentials: 535 5.7.8.
    Wrong,
    /// The same for NTLM (SNTLM-2.2.1.4): 535 5.7.3.
    NtlmWrong,
    /// NTLMv1 or LM (R4954-6-c): 534 5.7.9.
    TooWeak,
    /// The server is first in this mechanism (R4954-4-f): 501 5.7.0.
    InitialResponseNotAllowed,
    /// Right credentials of a disabled account (R5248-2.4): 525 5.7.13.
    Disabled,
    /// The user has no verifier of this kind yet (R4954-6-d): 432 4.7.12.
    Unprepared,
    /// The host cannot know just now (R4954-6-b): 454 4.7.0.
    Unavailable,
}

/// What the host's answer made of the exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerConclusion {
    /// 235: the peer has this identity.
    Granted(String),
    /// As after any other event.
    Step(ServerStep),
}

/// One exchange, from AUTH to its final reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerExchange {
    mechanism: Mechanism,
    state: State,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// A response is awaited.
    Login(login::Server),
    Ntlm(ntlm::Server),
    Plain(plain::Server),
    /// The host's answer is awaited.
    Asked,
    /// Nothing is.
    Over,
}

/// A mechanism's own state after a turn, `None` if it awaits no response, and the step.
pub(super) type Turn<S> = (Option<S>, ServerStep);

impl ServerExchange {
    /// Begins. `initial` is the decoded initial response, empty for `=` (R4954-4-e). Of a
    /// mechanism that [`super::supports`] denies comes `Unavailable`.
    pub fn start(
        mechanism: Mechanism,
        initial: Option<&[u8]>,
        context: &ServerContext<'_>,
        env: &mut dyn Environment,
    ) -> (Self, ServerStep) {
        let (state, step) = match Known::of(mechanism) {
            Some(Known::Login) => State::after(login::Server::start(initial), State::Login),
            Some(Known::Ntlm) => {
                State::after(ntlm::Server::start(initial, context, env), State::Ntlm)
            }
            Some(Known::Plain) => State::after(plain::Server::start(initial), State::Plain),
            None => (State::Over, ServerStep::Refuse(SaslRefusal::Unavailable)),
        };
        (Self { mechanism, state }, step)
    }

    /// The decoded response to the last challenge.
    pub fn respond(
        &mut self,
        response: &[u8],
        context: &ServerContext<'_>,
        env: &mut dyn Environment,
    ) -> ServerStep {
        let (state, step) = match core::mem::replace(&mut self.state, State::Over) {
            State::Login(login) => State::after(login.respond(response), State::Login),
            State::Ntlm(ntlm) => State::after(ntlm.respond(response, context, env), State::Ntlm),
            State::Plain(plain) => State::after(plain.respond(response), State::Plain),
            // The session asks for no response here.
            State::Asked | State::Over => (State::Over, ServerStep::Refuse(SaslRefusal::Malformed)),
        };
        self.state = state;
        step
    }

    /// The host's answer to the question. One that does not belong to it counts as `unavailable`:
    /// nobody is let in by mistake.
    pub fn conclude(&mut self, answer: &Answer) -> ServerConclusion {
        let asked = core::mem::replace(&mut self.state, State::Over) == State::Asked;
        let refusal = match answer {
            Answer::Granted(identity, _) if asked => {
                return ServerConclusion::Granted(identity.clone());
            }
            // SNTLM-2.2.1.4, R4954-6-a.
            Answer::Refused if self.mechanism == Mechanism::Ntlm => SaslRefusal::NtlmWrong,
            Answer::Refused => SaslRefusal::Wrong,
            Answer::Disabled => SaslRefusal::Disabled,
            Answer::Unprepared => SaslRefusal::Unprepared,
            Answer::Granted(..)
            | Answer::Scram(_)
            | Answer::Unavailable
            | Answer::Accepted
            | Answer::Rejected(_)
            | Answer::Stored => SaslRefusal::Unavailable,
        };
        ServerConclusion::Step(ServerStep::Refuse(refusal))
    }

    /// Which mechanism this is.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// Parks the exchange, best while a response is awaited.
    pub fn write(&self, writer: &mut Writer) {
        match &self.state {
            State::Login(login) => {
                writer.u8(LOGIN);
                login.write(writer);
            }
            State::Ntlm(ntlm) => {
                writer.u8(NTLM);
                ntlm.write(writer);
            }
            State::Plain(plain) => {
                writer.u8(PLAIN);
                plain.write(writer);
            }
            State::Asked => {
                writer.u8(ASKED);
                writer.string(self.mechanism.name());
            }
            State::Over => {
                writer.u8(OVER);
                writer.string(self.mechanism.name());
            }
        }
    }

    /// The exchange that was parked; `None` if these octets are none.
    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let of = |known: Known, state| Self {
            mechanism: known.mechanism(),
            state,
        };
        let named = |name: &[u8], state| {
            Mechanism::from_name(name).map(|mechanism| Self { mechanism, state })
        };
        match reader.u8()? {
            LOGIN => login::Server::read(reader).map(|s| of(Known::Login, State::Login(s))),
            NTLM => ntlm::Server::read(reader).map(|s| of(Known::Ntlm, State::Ntlm(s))),
            PLAIN => plain::Server::read(reader).map(|s| of(Known::Plain, State::Plain(s))),
            ASKED => named(reader.octets()?, State::Asked),
            OVER => named(reader.octets()?, State::Over),
            _ => None,
        }
    }
}

const LOGIN: u8 = 1;
const NTLM: u8 = 2;
const PLAIN: u8 = 3;
const ASKED: u8 = 4;
const OVER: u8 = 5;

impl State {
    /// The state after a mechanism's turn.
    fn after<S>((next, step): Turn<S>, state: impl FnOnce(S) -> Self) -> (Self, ServerStep) {
        let state = match (next, &step) {
            (Some(next), _) => state(next),
            (None, ServerStep::Ask(_)) => Self::Asked,
            (None, _) => Self::Over,
        };
        (state, step)
    }
}
