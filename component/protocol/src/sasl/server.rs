//! The server's side of an exchange, whatever the mechanism.

use super::{cram_md5, external, login, ntlm, oauth_server, plain, scram_server};
use crate::contract::{
    Mechanism, TlsFacts,
    server::{Answer, Question},
};
use crate::environment::Environment;
use crate::parked::{Reader, Writer};
use alloc::{string::String, vec::Vec};

/// What an exchange needs of the session.
#[derive(Debug, Clone, Copy)]
pub struct ServerContext<'a> {
    /// Fully qualified name of the service.
    pub hostname: &'a str,
    /// NetBIOS domain name.
    pub ntlm_domain: &'a str,
    /// NetBIOS computer name.
    pub ntlm_computer: &'a str,
    /// `None` without TLS.
    pub facts: Option<&'a TlsFacts>,
    /// The session offers a SCRAM mechanism with channel binding.
    pub plus_offered: bool,
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
    /// The exchange is over, and the peer has this identity: 235.
    Grant(String),
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

/// One exchange, from AUTH to its final reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerExchange {
    mechanism: Mechanism,
    state: State,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Of the mechanism: a response is awaited, or an answer that is not the end.
    CramMd5(cram_md5::Server),
    External(external::Server),
    Login(login::Server),
    Ntlm(ntlm::Server),
    Oauth(oauth_server::Server),
    Plain(plain::Server),
    Scram(scram_server::Server),
    /// The host's answer is awaited, and is the end.
    Asked,
    /// Nothing is.
    Over,
}

/// A mechanism's own state after a turn, `None` if it awaits no more than a last answer, and the
/// step.
pub(super) type Turn<S> = (Option<S>, ServerStep);

impl ServerExchange {
    /// Begins. `initial` is the decoded initial response, empty for `=` (R4954-4-e).
    pub fn start(
        mechanism: Mechanism,
        initial: Option<&[u8]>,
        context: &ServerContext<'_>,
        env: &mut dyn Environment,
    ) -> (Self, ServerStep) {
        let (state, step) = match mechanism {
            Mechanism::Login => State::after(login::Server::start(initial), State::Login),
            Mechanism::Ntlm => {
                State::after(ntlm::Server::start(initial, context, env), State::Ntlm)
            }
            Mechanism::Plain => State::after(plain::Server::start(initial), State::Plain),
            Mechanism::CramMd5 => State::after(
                cram_md5::Server::start(initial, context, env),
                State::CramMd5,
            ),
            Mechanism::ScramSha1
            | Mechanism::ScramSha1Plus
            | Mechanism::ScramSha256
            | Mechanism::ScramSha256Plus => State::after(
                scram_server::Server::start(mechanism, initial, context, env),
                State::Scram,
            ),
            Mechanism::Xoauth2 | Mechanism::Oauthbearer => State::after(
                oauth_server::Server::start(mechanism, initial),
                State::Oauth,
            ),
            Mechanism::External => State::after(external::Server::start(initial), State::External),
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
        let mechanism = self.mechanism;
        self.turn(|state| match state {
            State::CramMd5(cram) => State::after(cram.respond(response), State::CramMd5),
            State::External(external) => State::after(external.respond(response), State::External),
            State::Login(login) => State::after(login.respond(response), State::Login),
            State::Ntlm(ntlm) => State::after(ntlm.respond(response, context, env), State::Ntlm),
            State::Oauth(oauth) => State::after(oauth.respond(mechanism, response), State::Oauth),
            State::Plain(plain) => State::after(plain.respond(response), State::Plain),
            State::Scram(scram) => State::after(
                scram.respond(mechanism, response, context, env),
                State::Scram,
            ),
            // The session asks for no response here.
            State::Asked | State::Over => State::refuse(SaslRefusal::Malformed),
        })
    }

    /// Whether the open question can have this answer.
    pub fn fits(&self, answer: &Answer) -> bool {
        let wants_salt = matches!(self.state, State::Scram(scram_server::Server::Salt(_)));
        match answer {
            Answer::Scram(_) => wants_salt,
            Answer::Granted(..) => !wants_salt,
            Answer::Refused | Answer::Disabled | Answer::Unprepared | Answer::Unavailable => true,
            Answer::Accepted | Answer::Rejected(_) | Answer::Stored => false,
        }
    }

    /// The host's answer to the question. One that does not belong to it counts as `unavailable`:
    /// nobody is let in by mistake.
    pub fn conclude(&mut self, answer: &Answer) -> ServerStep {
        use oauth_server::Server as Oauth;
        use scram_server::Server as Scram;
        let mechanism = self.mechanism;
        self.turn(|state| match (state, answer) {
            (State::Scram(Scram::Salt(begun)), Answer::Scram(salt)) => {
                State::after(Scram::salted(begun, salt), State::Scram)
            }
            (State::Scram(Scram::Proof), Answer::Granted(identity, signature)) => {
                State::after(Scram::signed(mechanism, identity, signature), State::Scram)
            }
            (State::Oauth(Oauth::Asked), Answer::Refused) => {
                State::after(Oauth::refuse(mechanism), State::Oauth)
            }
            (State::Asked | State::Oauth(Oauth::Asked), Answer::Granted(identity, _)) => {
                (State::Over, ServerStep::Grant(identity.clone()))
            }
            (_, answer) => State::refuse(refusal(mechanism, answer)),
        })
    }

    /// Which mechanism this is.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// Whether the host has refused already: what is still awaited changes nothing of it.
    pub fn has_failed(&self) -> bool {
        self.state == State::Oauth(oauth_server::Server::Refused)
    }

    /// Parks the exchange, best while a response is awaited.
    pub fn write(&self, writer: &mut Writer) {
        writer.string(self.mechanism.name());
        writer.u8(match self.state {
            State::Over => OVER,
            State::Asked => ASKED,
            _ => OWN,
        });
        match &self.state {
            State::CramMd5(cram) => cram.write(writer),
            State::External(external) => external.write(writer),
            State::Login(login) => login.write(writer),
            State::Ntlm(ntlm) => ntlm.write(writer),
            State::Oauth(oauth) => oauth.write(writer),
            State::Plain(plain) => plain.write(writer),
            State::Scram(scram) => scram.write(writer),
            State::Asked | State::Over => (),
        }
    }

    /// The exchange that was parked; `None` if these octets are none.
    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mechanism = Mechanism::from_name(reader.octets()?)?;
        let state = match (reader.u8()?, mechanism) {
            (OVER, _) => State::Over,
            (ASKED, _) => State::Asked,
            (OWN, mechanism) => State::read(mechanism, reader)?,
            _ => return None,
        };
        Some(Self { mechanism, state })
    }

    /// The state is consumed; what a mechanism says next becomes the new one.
    fn turn(&mut self, next: impl FnOnce(State) -> (State, ServerStep)) -> ServerStep {
        let (state, step) = next(core::mem::replace(&mut self.state, State::Over));
        self.state = state;
        step
    }
}

/// What a parked exchange waits for: nothing, a last answer, or what its mechanism says.
const OVER: u8 = 0;
const ASKED: u8 = 1;
const OWN: u8 = 2;

/// What an answer that does not let in means (R4954-6-a, R4954-6-b, R4954-6-d).
fn refusal(mechanism: Mechanism, answer: &Answer) -> SaslRefusal {
    match answer {
        // SNTLM-2.2.1.4
        Answer::Refused if mechanism == Mechanism::Ntlm => SaslRefusal::NtlmWrong,
        Answer::Refused => SaslRefusal::Wrong,
        Answer::Disabled => SaslRefusal::Disabled,
        Answer::Unprepared => SaslRefusal::Unprepared,
        Answer::Granted(..)
        | Answer::Scram(_)
        | Answer::Unavailable
        | Answer::Accepted
        | Answer::Rejected(_)
        | Answer::Stored => SaslRefusal::Unavailable,
    }
}

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

    fn refuse(refusal: SaslRefusal) -> (Self, ServerStep) {
        (Self::Over, ServerStep::Refuse(refusal))
    }

    fn read(mechanism: Mechanism, reader: &mut Reader<'_>) -> Option<Self> {
        match mechanism {
            Mechanism::Login => login::Server::read(reader).map(Self::Login),
            Mechanism::Ntlm => ntlm::Server::read(reader).map(Self::Ntlm),
            Mechanism::Plain => plain::Server::read(reader).map(Self::Plain),
            Mechanism::CramMd5 => cram_md5::Server::read(reader).map(Self::CramMd5),
            Mechanism::ScramSha1
            | Mechanism::ScramSha1Plus
            | Mechanism::ScramSha256
            | Mechanism::ScramSha256Plus => scram_server::Server::read(reader).map(Self::Scram),
            Mechanism::Xoauth2 | Mechanism::Oauthbearer => {
                oauth_server::Server::read(reader).map(Self::Oauth)
            }
            Mechanism::External => external::Server::read(reader).map(Self::External),
        }
    }
}
