//! The calls of the contract, the states, and how a session ends.

use super::{
    authenticate::{Attempt, Choice},
    capabilities::Capabilities,
    chunks::Chunks,
    content::Feed,
    convert::{Preparation, settle_all},
    outcome,
    reply::{Reader, Taken},
    submit::{Due, Transaction},
};
use crate::{
    contract::{
        Fault, MOST_OCTETS, Phase, Reply, TlsFacts,
        client::{Action, Failure, Loss, Progress, Settings, Stage, TlsPolicy},
    },
    environment::Environment,
};
use alloc::{boxed::Box, format, string::String, vec::Vec};

/// Where a session is; each state has what is true only in it.
pub(super) enum State {
    /// Before `open`.
    Start,
    /// The greeting is due.
    Greeting,
    /// The reply to EHLO or LHLO is due.
    Ehlo,
    /// The reply to HELO is due.
    Helo,
    /// The reply to STARTTLS is due.
    StartTls,
    /// The host does the handshake.
    Handshake,
    /// The host has to say who to be.
    Choosing(Choice),
    /// A reply in an AUTH exchange is due.
    Authentication(Attempt),
    /// The host does PBKDF2 for an AUTH exchange.
    Deriving(Attempt),
    /// The reply to a cancelled exchange is due.
    Cancelled(Choice),
    /// The same, with a server that is not who it should be, for this reason.
    Distrusted(&'static str),
    /// The host may submit.
    Idle,
    /// The host supplies content that has to be converted, before MAIL.
    Preparing(Box<Preparation>),
    /// Replies to MAIL, RCPT, DATA are due.
    Envelope(Transaction),
    /// The host supplies the content.
    Content(Transaction, Feed),
    /// Replies to chunks of the content are due.
    Chunks(Transaction, Chunks),
    /// Replies to the content are due.
    EndOfContent(Transaction),
    /// The reply to content that was sent empty is due; nobody was waiting for it.
    Hollow,
    /// The reply to RSET is due.
    Reset,
    /// The reply to QUIT is due.
    Quit,
    /// Over.
    Closed,
}

/// The client role of one connection. See `wit/submission.wit` for what is called when.
pub struct Session {
    pub(super) settings: Settings,
    pub(super) state: State,
    pub(super) facts: Option<TlsFacts>,
    pub(super) capabilities: Capabilities,
    pub(super) authenticated: bool,
    /// MAIL commands so far (RFC 9422: MAILMAX).
    pub(super) messages: u32,
    reader: Reader,
}

impl Session {
    /// A session before the server's greeting.
    ///
    /// A hostname that no EHLO may carry is a fault.
    pub fn start(settings: Settings) -> Result<Self, Fault> {
        // RFC 5321 section 4.1.1.1, RFC 6531 section 3.7.1: ASCII, one word.
        if settings.hostname.is_empty() || !settings.hostname.bytes().all(|o| o.is_ascii_graphic())
        {
            return Err(Fault::new("the hostname for EHLO is not one word of ASCII"));
        }
        Ok(Self {
            settings,
            state: State::Start,
            facts: None,
            capabilities: Capabilities::default(),
            authenticated: false,
            messages: 0,
            reader: Reader::default(),
        })
    }

    /// The connection stands; with implicit TLS `secured` has been called.
    pub fn open(&mut self, _env: &mut dyn Environment) -> Result<Progress, Fault> {
        if !matches!(self.state, State::Start) {
            return Err(Fault::new("open was called twice"));
        }
        if self.settings.tls == TlsPolicy::Established && self.facts.is_none() {
            return Err(Fault::new("open was called before the TLS handshake"));
        }
        // CL-greeting: nothing is sent before the greeting.
        self.state = State::Greeting;
        Ok(self.progress(0, Vec::new()))
    }

    /// Octets from the server: unconsumed ones again, then new ones.
    pub fn receive(&mut self, octets: &[u8], env: &mut dyn Environment) -> Result<Progress, Fault> {
        if octets.len() > MOST_OCTETS {
            return Err(Fault::new("receive was given more than 65536 octets"));
        }
        if matches!(self.state, State::Start | State::Closed) {
            return Err(Fault::new("receive was called without a connection"));
        }
        let mut actions = Vec::new();
        let mut consumed = 0;
        while !matches!(self.state, State::Closed) {
            let rest = octets.get(consumed..).unwrap_or_default();
            match self.reader.take(rest) {
                Ok(Taken::More(taken)) => {
                    consumed += taken;
                    break;
                }
                Ok(Taken::Reply(taken, reply)) => {
                    consumed += taken;
                    self.replied(reply, rest.len() > taken, env, &mut actions);
                }
                Err(unreadable) => self.broken(&format!("{unreadable}"), &mut actions),
            }
        }
        self.send_commands(&mut actions);
        Ok(self.progress(consumed, actions))
    }

    /// The connection is gone, silent, or its handshake failed.
    pub fn lost(&mut self, how: Loss, _env: &mut dyn Environment) -> Result<Progress, Fault> {
        let mut actions = Vec::new();
        match self.state {
            State::Closed => return Err(Fault::new("lost was called after close")),
            // CL-quit: what happens after QUIT changes nothing.
            State::Quit => self.close(&mut actions),
            _ => {
                let text = match how {
                    Loss::Closed => "the connection was lost",
                    Loss::Timeout => "the server was silent too long",
                    Loss::Handshake => "the TLS handshake failed",
                };
                let stage = match how {
                    Loss::Handshake => Stage::Tls,
                    Loss::Closed | Loss::Timeout => self.stage(),
                };
                // CL-ambiguous: as 451 4.4.2.
                self.settle_lost(&outcome::local(451, (4, 4, 2), text), &mut actions);
                self.failed(stage, None, true, text, &mut actions);
                self.close(&mut actions);
            }
        }
        Ok(self.progress(0, actions))
    }

    /// No more messages.
    pub fn quit(&mut self, _env: &mut dyn Environment) -> Result<Progress, Fault> {
        let mut actions = Vec::new();
        match self.state {
            State::Idle | State::Choosing(_) => self.send_quit(&mut actions),
            _ => return Err(Fault::new("quit was called before ready")),
        }
        Ok(self.progress(0, actions))
    }

    /// One reply, by the state; `more`: octets came after it.
    fn replied(
        &mut self,
        reply: Reply,
        more: bool,
        env: &mut dyn Environment,
        actions: &mut Vec<Action>,
    ) {
        // CL-421: to anything.
        if reply.code == 421 && !matches!(self.state, State::Quit) {
            let text = "the server ends the session";
            self.settle_deferred(&reply, actions);
            self.failed(self.stage(), Some(reply), true, text, actions);
            return self.close(actions);
        }
        match core::mem::replace(&mut self.state, State::Closed) {
            State::Greeting => self.greeted(reply, actions),
            State::Ehlo => self.ehlo_replied(reply, actions),
            State::Helo => self.helo_replied(reply, actions),
            State::StartTls => self.starttls_replied(reply, more, actions),
            State::Authentication(attempt) => {
                self.authentication_replied(attempt, reply, env, actions);
            }
            State::Cancelled(choice) => self.cancel_replied(choice, reply, actions),
            State::Distrusted(reason) => {
                let reply = Some(reply).filter(|reply| reply.code >= 400);
                self.distrust(reason, reply, actions);
            }
            State::Envelope(transaction) => self.envelope_replied(transaction, reply, actions),
            State::EndOfContent(transaction) => self.content_replied(transaction, reply, actions),
            State::Content(transaction, _) => {
                self.content_interrupted(transaction, reply, actions);
            }
            State::Chunks(transaction, chunks) => {
                self.chunk_replied(transaction, chunks, reply, actions);
            }
            State::Hollow => self.hollow_replied(&reply, actions),
            State::Reset => self.reset_replied(reply, actions),
            State::Quit => self.close(actions),
            state @ (State::Handshake
            | State::Choosing(_)
            | State::Deriving(_)
            | State::Idle
            | State::Preparing(_)) => {
                self.state = state;
                self.broken("a reply that belongs to no command", actions);
            }
            State::Start | State::Closed => {}
        }
    }

    /// The offer, where another message may follow.
    pub(super) fn ready(&mut self, actions: &mut Vec<Action>) {
        // R9422-5: a session has no more than MAILMAX transactions.
        match self.capabilities.limits.messages {
            Some(most) if self.messages >= most => {
                let text = format!("the server takes {most} messages a session");
                self.failed(Stage::Ended, None, true, &text, actions);
                self.send_quit(actions);
            }
            _ => {
                self.state = State::Idle;
                actions.push(Action::Ready(self.capabilities.offer()));
            }
        }
    }

    /// What the server said makes the session useless: QUIT.
    pub(super) fn give_up(&mut self, failure: Failure, actions: &mut Vec<Action>) {
        actions.push(Action::Failed(failure));
        self.send_quit(actions);
    }

    /// CL-reply-b: replies and commands no longer fit; nothing that follows could be believed.
    pub(super) fn broken(&mut self, what: &str, actions: &mut Vec<Action>) {
        // CL-quit: after QUIT it does not matter.
        if matches!(self.state, State::Quit) {
            return self.close(actions);
        }
        let text = format!("the server broke the protocol: {what}");
        let stage = self.stage();
        self.settle_lost(&outcome::local(451, (4, 5, 0), &text), actions);
        self.failed(stage, None, true, &text, actions);
        self.close(actions);
    }

    pub(super) fn failed(
        &mut self,
        stage: Stage,
        reply: Option<Reply>,
        temporary: bool,
        text: &str,
        actions: &mut Vec<Action>,
    ) {
        // What was offered in the same call no longer holds.
        actions.retain(|action| {
            !matches!(
                action,
                Action::Ready(_)
                    | Action::Hungry
                    | Action::Pass(_)
                    | Action::Authenticate(_)
                    | Action::Derive(_)
            )
        });
        actions.push(Action::Failed(Failure {
            stage,
            reply,
            text: text.into(),
            temporary,
        }));
    }

    /// CL-quit.
    pub(super) fn send_quit(&mut self, actions: &mut Vec<Action>) {
        send(actions, "QUIT\r\n");
        self.state = State::Quit;
    }

    pub(super) fn close(&mut self, actions: &mut Vec<Action>) {
        actions.push(Action::Close);
        self.state = State::Closed;
    }

    /// Without a definite word of the server: deferred, or unknown once the end of data was sent
    /// (CL-ambiguous).
    fn settle_lost(&mut self, reason: &Reply, actions: &mut Vec<Action>) {
        match &mut self.state {
            State::Preparing(preparation) => {
                settle_all(
                    &preparation.envelope,
                    &outcome::lost(reason.clone()),
                    actions,
                );
            }
            State::Chunks(transaction, chunks) if chunks.is_complete() => {
                transaction.settle_rest(&outcome::unknown(reason.clone()), actions);
            }
            State::Envelope(transaction)
            | State::Content(transaction, _)
            | State::Chunks(transaction, _) => {
                transaction.settle_rest(&outcome::lost(reason.clone()), actions);
            }
            State::EndOfContent(transaction) => {
                transaction.settle_rest(&outcome::unknown(reason.clone()), actions);
            }
            _ => {}
        }
    }

    /// The server said that it is not responsible for what is unsettled.
    fn settle_deferred(&mut self, reply: &Reply, actions: &mut Vec<Action>) {
        let outcome = outcome::deferred(reply.clone());
        match &mut self.state {
            State::Preparing(preparation) => settle_all(&preparation.envelope, &outcome, actions),
            State::Envelope(transaction)
            | State::Content(transaction, _)
            | State::Chunks(transaction, _)
            | State::EndOfContent(transaction) => transaction.settle_rest(&outcome, actions),
            _ => {}
        }
    }

    fn stage(&self) -> Stage {
        match &self.state {
            State::Start | State::Greeting => Stage::Connect,
            State::StartTls | State::Handshake => Stage::Tls,
            State::Choosing(_)
            | State::Authentication(_)
            | State::Deriving(_)
            | State::Cancelled(_)
            | State::Distrusted(_) => Stage::Authentication,
            State::Ehlo | State::Helo | State::Preparing(_) | State::Envelope(_) => Stage::Envelope,
            State::Content(..) | State::Chunks(..) | State::EndOfContent(_) | State::Hollow => {
                Stage::Content
            }
            State::Idle if self.messages == 0 => Stage::Envelope,
            State::Idle | State::Reset | State::Quit | State::Closed => Stage::Ended,
        }
    }

    /// What the session waits for, by the state.
    fn phase(&self) -> Phase {
        match &self.state {
            State::Start | State::Greeting => Phase::Greeting,
            State::Ehlo | State::Helo | State::StartTls | State::Reset => Phase::Command,
            State::Authentication(_) | State::Cancelled(_) | State::Distrusted(_) => {
                Phase::Authentication
            }
            State::Handshake
            | State::Choosing(_)
            | State::Deriving(_)
            | State::Idle
            | State::Preparing(_)
            | State::Content(..) => Phase::Answer,
            State::Envelope(transaction) => match transaction.next_due() {
                Some(Due::Data) => Phase::DataInitiation,
                _ => Phase::Command,
            },
            // All of it is out: the server may work on the message (RFC 5321 section 4.5.3.2.6).
            State::Chunks(_, chunks) if chunks.is_complete() => Phase::EndOfContent,
            State::Chunks(..) => Phase::Content,
            State::EndOfContent(_) | State::Hollow => Phase::EndOfContent,
            State::Quit => Phase::Quit,
            State::Closed => Phase::Closed,
        }
    }

    pub(super) fn progress(&self, consumed: usize, actions: Vec<Action>) -> Progress {
        Progress {
            // No call takes more than 65,536 octets.
            consumed: u32::try_from(consumed).unwrap_or(u32::MAX),
            actions,
            waiting_for: self.phase(),
        }
    }
}

/// Octets to the server; joined with those that go just before.
pub(super) fn send(actions: &mut Vec<Action>, text: impl Into<String>) {
    let text = text.into();
    match actions.last_mut() {
        Some(Action::Send(octets)) => octets.extend_from_slice(text.as_bytes()),
        _ => actions.push(Action::Send(text.into_bytes())),
    }
}
