//! AUTH: which mechanism, the exchange, and what a refusal leads to (RFC 4954).
//!
//! ```text
//!   Choosing -> authenticate(credentials) -> Authentication -> 235 -> Idle
//!      ^                                        |    |
//!      |  500 to 504, 523, 534, 538             |    +-> `*` -> Cancelled -+
//!      +----------------------------------------+--------------------------+
//! ```
//!
//! With SCRAM the host does PBKDF2 (Deriving), and a server that cannot prove that it knows the
//! password ends the session (Distrusted): another mechanism might tell it.

use super::{
    outcome,
    session::{Session, State, send},
};
use crate::{
    contract::{
        Fault, Mechanism, Reply,
        client::{Action, Credentials, Failure, Progress, Stage},
    },
    environment::Environment,
    sasl::{self, ClientContext, ClientExchange, ClientStep},
    smtp::base64,
};
use alloc::{collections::VecDeque, format, string::String, vec::Vec};

/// Octets of a command at most, CRLF included (RFC 4954 section 4, RFC 5321 section 4.5.3.1.4).
const MOST_COMMAND: usize = 512;

/// The SCRAM mechanisms with channel binding, each with its sibling without.
const BOUND: [(Mechanism, Mechanism); 2] = [
    (Mechanism::ScramSha256Plus, Mechanism::ScramSha256),
    (Mechanism::ScramSha1Plus, Mechanism::ScramSha1),
];

/// The mechanisms that are left, in the order of preference; the first is being tried.
pub(super) struct Choice {
    left: VecDeque<Mechanism>,
    /// The reply that refused the last one.
    last: Option<Reply>,
    /// What is known of the refusal besides its reply.
    why: Option<String>,
    /// A second token has been asked for.
    renewed: bool,
}

impl Choice {
    /// A mechanism was refused, or could not be used.
    fn has_failed(&self) -> bool {
        self.last.is_some() || self.why.is_some()
    }
}

/// One exchange.
pub(super) struct Attempt {
    choice: Choice,
    exchange: ClientExchange,
}

impl Session {
    /// Asks who to be for the first mechanism that configuration, server and TLS allow; without
    /// configured mechanisms nobody (OX-C-3.3-a).
    pub(super) fn begin_authentication(&mut self, actions: &mut Vec<Action>) {
        if self.settings.mechanisms.is_empty() {
            return self.ready(actions);
        }
        if !self.capabilities.has("AUTH") {
            let text = "the server does not offer AUTH";
            self.failed(Stage::Authentication, None, false, text, actions);
            return self.send_quit(actions);
        }
        let mut left = VecDeque::new();
        let mut unfit = Vec::new();
        for &mechanism in &self.settings.mechanisms {
            if left.contains(&mechanism) || !self.capabilities.has_mechanism(mechanism) {
                continue;
            }
            match self.needs(mechanism) {
                None => left.push_back(mechanism),
                Some(what) => unfit.push(format!("{} needs {what}", mechanism.name())),
            }
        }
        if left.is_empty() {
            // CL-mech-order: both lists are named.
            let ours: Vec<&str> = self.settings.mechanisms.iter().map(|m| m.name()).collect();
            let mut text = format!(
                "no common mechanism: the server offers {}; we have {}",
                self.capabilities.mechanisms(),
                ours.join(" ")
            );
            for what in unfit {
                text.push_str("; ");
                text.push_str(&what);
            }
            self.failed(Stage::Authentication, None, false, &text, actions);
            return self.send_quit(actions);
        }
        bound_first(&mut left);
        let choice = Choice {
            left,
            last: None,
            why: None,
            renewed: false,
        };
        self.choose(choice, actions);
    }

    /// What a mechanism needs that is missing. CL-mech-clear and CL-mech-verified: whoever is at
    /// the other end gets the secret itself.
    fn needs(&self, mechanism: Mechanism) -> Option<&'static str> {
        let shows_secret =
            is_token(mechanism) || matches!(mechanism, Mechanism::Login | Mechanism::Plain);
        let verified = self.facts.as_ref().is_some_and(|facts| facts.verified);
        if shows_secret && !verified && !self.settings.clear_text {
            return Some("verified TLS");
        }
        sasl::client_needs(mechanism, self.facts.as_ref())
    }

    fn choose(&mut self, choice: Choice, actions: &mut Vec<Action>) {
        match choice.left.front() {
            Some(&mechanism) => {
                actions.push(Action::Authenticate(mechanism));
                self.state = State::Choosing(choice);
            }
            None => self.refused(choice, "every common mechanism was refused", actions),
        }
    }

    /// Who to be; none: do without, or fail where a mechanism was refused before.
    pub fn authenticate(
        &mut self,
        credentials: Option<Credentials>,
        env: &mut dyn Environment,
    ) -> Result<Progress, Fault> {
        let mut actions = Vec::new();
        let choice = match core::mem::replace(&mut self.state, State::Closed) {
            State::Choosing(choice) => choice,
            state => {
                self.state = state;
                return Err(Fault::new(
                    "authenticate was called without being asked for",
                ));
            }
        };
        match (choice.left.front(), credentials) {
            (Some(&mechanism), Some(credentials)) => {
                self.send_auth(mechanism, &credentials, choice, env, &mut actions);
            }
            _ if choice.has_failed() => {
                self.refused(choice, "no credentials for another try", &mut actions);
            }
            _ => self.ready(&mut actions),
        }
        Ok(self.progress(0, actions))
    }

    /// What `derive` asked for.
    pub fn derived(
        &mut self,
        salted: &[u8],
        _env: &mut dyn Environment,
    ) -> Result<Progress, Fault> {
        let mut actions = Vec::new();
        let mut attempt = match core::mem::replace(&mut self.state, State::Closed) {
            State::Deriving(attempt) => attempt,
            state => {
                self.state = state;
                return Err(Fault::new("derived was called without being asked for"));
            }
        };
        let Some(response) = attempt.exchange.derived(salted) else {
            self.state = State::Deriving(attempt);
            return Err(Fault::new("derived was given a result of the wrong length"));
        };
        self.respond(attempt, &response, &mut actions);
        Ok(self.progress(0, actions))
    }

    /// RFC 4954 section 4.
    fn send_auth(
        &mut self,
        mechanism: Mechanism,
        credentials: &Credentials,
        mut choice: Choice,
        env: &mut dyn Environment,
        actions: &mut Vec<Action>,
    ) {
        let begun = ClientExchange::start(mechanism, credentials, &self.context(), env);
        let (mut exchange, initial) = match begun {
            Ok(begun) => begun,
            Err(reason) => {
                let text = format!("AUTH {} was not tried: {reason}", mechanism.name());
                actions.push(Action::Report(text.clone()));
                choice.why = Some(text);
                choice.left.pop_front();
                return self.choose(choice, actions);
            }
        };
        let command = format!("AUTH {}", mechanism.name());
        let response = initial.as_deref().map(|initial| match initial {
            // The empty initial response is `=`.
            [] => String::from("="),
            initial => base64::encode(initial),
        });
        let room = MOST_COMMAND - command.len() - " \r\n".len();
        match (response, initial) {
            (Some(response), _) if response.len() <= room => actions.push(Action::Confide(
                format!("{command} {response}\r\n").into_bytes(),
                // CL-secrets
                format!("{command} ***"),
            )),
            (_, Some(initial)) => {
                // R4954-4-n: too long for a command, it follows the empty challenge.
                exchange.withhold(initial);
                send(actions, format!("{command}\r\n"));
            }
            (_, None) => send(actions, format!("{command}\r\n")),
        }
        self.state = State::Authentication(Attempt { choice, exchange });
    }

    pub(super) fn authentication_replied(
        &mut self,
        mut attempt: Attempt,
        reply: Reply,
        env: &mut dyn Environment,
        actions: &mut Vec<Action>,
    ) {
        match reply.code {
            334 => {
                let text = reply.lines.last().map(String::as_bytes).unwrap_or_default();
                let step = attempt.exchange.challenge(text, &self.context(), env);
                match step {
                    ClientStep::Respond(response) => {
                        self.respond(attempt, &response, actions);
                    }
                    ClientStep::Concede { response, reason } => {
                        let name = attempt.exchange.mechanism().name();
                        actions.push(Action::Report(format!("AUTH {name}: {reason}")));
                        attempt.choice.why = Some(reason);
                        self.respond(attempt, &response, actions);
                    }
                    ClientStep::Cancel(reason) => {
                        // CL-challenge: the reply to it is read.
                        let name = attempt.exchange.mechanism().name();
                        actions.push(Action::Report(format!("AUTH {name} cancelled: {reason}")));
                        send(actions, "*\r\n");
                        self.state = State::Cancelled(attempt.choice);
                    }
                    ClientStep::Derive(salt) => {
                        actions.push(Action::Derive(salt));
                        self.state = State::Deriving(attempt);
                    }
                    ClientStep::Distrust(reason) => {
                        send(actions, "*\r\n");
                        self.state = State::Distrusted(reason);
                    }
                }
            }
            200..=299 => match attempt.exchange.objection() {
                Some(reason) => self.distrust(reason, None, actions),
                None => {
                    // R4954-4-j: no security layer, so nothing starts anew.
                    self.authenticated = true;
                    self.ready(actions);
                }
            },
            300..=399 => {
                self.state = State::Authentication(attempt);
                self.broken("AUTH needs 334", actions);
            }
            // CL-mech-next: the mechanism was refused, not who we are.
            500..=504 | 523 | 534 | 538 => {
                let name = attempt.exchange.mechanism().name();
                actions.push(outcome::report(&format!("AUTH {name}"), &reply));
                self.next(attempt.choice, reply, actions);
            }
            // XOA-3: tokens grow old before their time; a new one is asked for once.
            535 if is_token(attempt.exchange.mechanism()) && !attempt.choice.renewed => {
                let name = attempt.exchange.mechanism().name();
                actions.push(outcome::report(&format!("AUTH {name}"), &reply));
                attempt.choice.renewed = true;
                attempt.choice.last = Some(reply);
                self.choose(attempt.choice, actions);
            }
            // SNTLM-cancel: Exim's `spa` and its like know NTLMv1 alone and say 535 to NTLMv2.
            535 if attempt.exchange.is_dated() && attempt.choice.left.len() > 1 => {
                let name = attempt.exchange.mechanism().name();
                actions.push(outcome::report(&format!("AUTH {name}"), &reply));
                self.next(attempt.choice, reply, actions);
            }
            // CL-mech-next: another mechanism would be refused too, and may lock the account out.
            _ => {
                attempt.choice.last = Some(reply);
                self.refused(attempt.choice, "authentication was refused", actions);
            }
        }
    }

    fn respond(&mut self, attempt: Attempt, response: &[u8], actions: &mut Vec<Action>) {
        let line = format!("{}\r\n", base64::encode(response));
        // CL-secrets: never a response line.
        actions.push(Action::Confide(line.into_bytes(), "***".into()));
        self.state = State::Authentication(attempt);
    }

    /// CL-mech-next: after a cancelled exchange as after a refused mechanism.
    pub(super) fn cancel_replied(
        &mut self,
        choice: Choice,
        reply: Reply,
        actions: &mut Vec<Action>,
    ) {
        if reply.code < 400 {
            self.state = State::Cancelled(choice);
            return self.broken("a cancelled exchange needs 501", actions);
        }
        self.next(choice, reply, actions);
    }

    /// R5802-5-d: whatever else the server says, this session is over. No other mechanism is
    /// tried: it might tell an impostor the password.
    pub(super) fn distrust(
        &mut self,
        reason: &str,
        reply: Option<Reply>,
        actions: &mut Vec<Action>,
    ) {
        self.failed(Stage::Authentication, reply, false, reason, actions);
        self.send_quit(actions);
    }

    fn next(&mut self, mut choice: Choice, reply: Reply, actions: &mut Vec<Action>) {
        choice.left.pop_front();
        choice.last = Some(reply);
        choice.why = None;
        choice.renewed = false;
        self.choose(choice, actions);
    }

    /// `text` where nothing more is known.
    fn refused(&mut self, choice: Choice, text: &str, actions: &mut Vec<Action>) {
        let reply = choice.last;
        let failure = Failure {
            stage: Stage::Authentication,
            temporary: reply.as_ref().is_some_and(|reply| reply.code / 100 == 4),
            reply,
            text: choice.why.unwrap_or_else(|| text.into()),
        };
        self.give_up(failure, actions);
    }

    fn context(&self) -> ClientContext<'_> {
        ClientContext {
            server: &self.settings.server,
            port: self.settings.port,
            facts: self.facts.as_ref(),
            plus_offered: BOUND
                .iter()
                .any(|(bound, _)| self.capabilities.has_mechanism(*bound)),
        }
    }
}

/// Mechanisms whose secret is an access token.
fn is_token(mechanism: Mechanism) -> bool {
    matches!(mechanism, Mechanism::Xoauth2 | Mechanism::Oauthbearer)
}

/// RFC 5802 section 6 (R5802-6-c): who can bind does, whatever the order.
fn bound_first(mechanisms: &mut VecDeque<Mechanism>) {
    for (bound, plain) in BOUND {
        let place = |wanted| mechanisms.iter().position(|listed| *listed == wanted);
        if let (Some(bound), Some(plain)) = (place(bound), place(plain))
            && plain < bound
        {
            mechanisms.swap(bound, plain);
        }
    }
}
