//! The client's side of an exchange, whatever the mechanism.

use super::{Known, login, ntlm_client, plain};
use crate::contract::{Mechanism, TlsFacts, client::Credentials};
use crate::environment::Environment;
use crate::smtp::base64;
use alloc::vec::Vec;
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
}

/// What comes next.
#[derive(Clone, PartialEq, Eq)]
pub enum ClientStep {
    /// This line, in base64. It may hold a password: it is for `confide`, not for a trace.
    Respond(Vec<u8>),
    /// The line `*`; the exchange failed for this reason.
    Cancel(&'static str),
}

impl fmt::Debug for ClientStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Respond(_) => f.debug_tuple("Respond").field(&"***").finish(),
            Self::Cancel(reason) => f.debug_tuple("Cancel").field(reason).finish(),
        }
    }
}

/// One exchange, from AUTH to its final reply. What it holds of the credentials is wiped when it
/// is dropped.
pub struct ClientExchange {
    mechanism: Mechanism,
    state: State,
}

enum State {
    /// The initial response, held back till the server asks for it.
    Withheld(Zeroizing<Vec<u8>>),
    Login(login::Client),
    Ntlm(ntlm_client::Client),
    /// All has been said: a further 334 is a mistake.
    Complete,
}

/// A mechanism's own state after a turn, `None` if it has nothing more to say, and the step.
pub(super) type Turn<S> = (Option<S>, ClientStep);

impl ClientExchange {
    /// Begins; gives the initial response, not in base64, for mechanisms that have one. A
    /// mechanism that [`super::supports`] denies has none, and cancels at once.
    pub fn start(
        mechanism: Mechanism,
        credentials: &Credentials,
        _context: &ClientContext<'_>,
        _env: &mut dyn Environment,
    ) -> (Self, Option<Vec<u8>>) {
        let (state, initial) = match Known::of(mechanism) {
            // XLOGIN-2-d: no inline user.
            Some(Known::Login) => (State::Login(login::Client::start(credentials)), None),
            Some(Known::Ntlm) => {
                let (client, negotiate) = ntlm_client::Client::start(credentials);
                (State::Ntlm(client), Some(negotiate))
            }
            Some(Known::Plain) => (State::Complete, Some(plain::message(credentials))),
            None => (State::Complete, None),
        };
        (Self { mechanism, state }, initial)
    }

    /// The initial response was not sent with the command, which it would have made too long
    /// (R4954-4-n): it answers the next challenge.
    pub fn withhold(&mut self, initial: Vec<u8>) {
        // NTLM sends its NEGOTIATE again on its own (SNTLM-2.2.1.2-c).
        if matches!(self.state, State::Complete) {
            self.state = State::Withheld(Zeroizing::new(initial));
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
        let (state, step) = match core::mem::replace(&mut self.state, State::Complete) {
            State::Ntlm(ntlm) => {
                let (next, step) = ntlm.challenge(text, context, env);
                (next.map(State::Ntlm), step)
            }
            // R4954-4-d, CL-challenge: the other mechanisms have base64 only.
            _ if base64::decode(text).is_none() => {
                (None, ClientStep::Cancel("challenge is not base64"))
            }
            State::Login(login) => {
                let (next, step) = login.challenge();
                (next.map(State::Login), step)
            }
            State::Withheld(initial) => (None, ClientStep::Respond(initial.to_vec())),
            // CL-challenge, XLOGIN-2-d.
            State::Complete => (
                None,
                ClientStep::Cancel("challenge after the last response"),
            ),
        };
        self.state = state.unwrap_or(State::Complete);
        step
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
