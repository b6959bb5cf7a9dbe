//! THE loop: what the session wants next, until it is ready for a message or over.
//!
//! ```text
//!            +-- Octets -------- hear --------+
//!            +-- Handshake ----- secure ------+
//!   wants ---+-- Credentials --- authenticate-+--> carry out the actions --> wants
//!            +-- Derivation ---- derive ------+
//!            +-- Run ----------- feed --------+
//!   later -- pass, before anything that it wants
//!            +-- Message, Nothing: back to the caller
//! ```

use super::action::Piece;
use super::authenticate::Authentication;
use super::feed::{Content, Source};
use super::trace::Scribe;
use super::wire::Wire;
use super::{Login, Target};
use crate::sandbox::SandboxError;
use crate::sandbox::client::ClientSession;
use crate::sandbox::v0_1::client::{Failure, Loss, Offer, Outcome, Stage, Verdict};
use crate::sandbox::v0_1::types::{
    ContentFacts, Envelope, Mechanism, Phase, Reply, ScramSalt, TlsFacts,
};
use std::collections::VecDeque;
use tokio::time::Instant;

/// What the session wants next.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Wants {
    /// Octets from the server, in this phase.
    Octets(Phase),
    /// The TLS handshake.
    Handshake,
    /// Who to be.
    Credentials(Mechanism),
    /// PBKDF2 over the password.
    Derivation(ScramSalt),
    /// The next run of the message.
    Run,
    /// A message, or the end.
    Message,
    /// Nothing: it is over.
    Nothing,
}

/// One outbound connection with its session.
pub struct Dialogue {
    pub(super) session: ClientSession,
    pub(super) wire: Wire,
    /// Where the wire leads.
    pub(super) address: String,
    /// What came from the server and was not consumed, at most 64 KiB.
    pub(super) buffer: Vec<u8>,
    /// The session has answered since the buffer was last offered.
    pub(super) offer_again: bool,
    pub(super) target: Target,
    pub(super) login: Login,
    pub(super) scribe: Scribe,
    pub(super) wants: Wants,
    /// When the session last did something; a server that drips must not hold it for ever.
    pub(super) stirred: Instant,
    /// When it has to be open, or the present transaction over.
    pub(super) ends: Instant,
    /// The host's own TLS state.
    pub(super) tls: Option<TlsFacts>,
    /// A handshake failed: where TLS is opportunistic, it may go without (R3207-6-b).
    pub(super) handshake_failed: bool,
    /// Octets in clear came where TLS had to begin (R3207-4.2-c).
    pub(super) injected: bool,
    /// A handshake broke off, and nothing was said of the certificate.
    pub(super) interrupted: bool,
    /// What the host knows of the next loss.
    pub(super) detail: Option<String>,
    pub(super) offer: Option<Offer>,
    pub(super) failure: Option<Box<Failure>>,
    /// Of the message being submitted, by index in its envelope.
    pub(super) outcomes: Vec<Option<Outcome>>,
    /// The end of the message has been given to the session, or to the server.
    pub(super) supplied: bool,
    /// The message is to be read from its first octet.
    pub(super) rewind: bool,
    /// How often it was.
    pub(super) rewinds: u32,
    /// What goes to the server before anything else, in order.
    pub(super) later: VecDeque<Piece>,
    /// Content goes past the session, and has not all gone.
    pub(super) passing: bool,
    pub(super) authentication: Authentication,
}

impl Dialogue {
    /// Whether a message may be submitted.
    pub fn is_ready(&self) -> bool {
        self.wants == Wants::Message
    }

    /// What the server allows, as it last said.
    pub fn offer(&self) -> Option<&Offer> {
        self.offer.as_ref()
    }

    /// Why the session failed, if it has.
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_deref()
    }

    /// The address that took the connection, and the port: `192.0.2.1:25`, `[2001:db8::1]:25`; or
    /// the path of the socket.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The TLS layer, if there is one.
    pub fn tls(&self) -> Option<&TlsFacts> {
        self.tls.as_ref()
    }

    /// Submits one message; `content` must have as many octets as `facts` say. One outcome per
    /// recipient, in the envelope's order. Afterwards [`is_ready`](Self::is_ready) says whether
    /// another message may follow, else [`failure`](Self::failure) why not.
    pub async fn submit(
        &mut self,
        envelope: &Envelope,
        facts: &ContentFacts,
        content: &mut dyn Source,
    ) -> Vec<Outcome> {
        self.outcomes = vec![None; envelope.forward_paths.len()];
        self.supplied = false;
        self.rewind = false;
        self.rewinds = 0;
        self.ends = Instant::now() + self.target.timeouts.transaction(facts.size);
        let content = Content::new(content, facts.size);
        if let Err(error) = self.transact(envelope, facts, content).await {
            self.give_up(&error).await;
        }
        let text = match &self.failure {
            Some(failure) => failure.text.clone(),
            None => "the session ended and does not say why".into(),
        };
        // CL-ambiguous: after the end of data the server may have it.
        let verdict = if self.supplied {
            Verdict::Unknown
        } else {
            Verdict::Deferred
        };
        std::mem::take(&mut self.outcomes)
            .into_iter()
            .map(|outcome| {
                outcome.unwrap_or_else(|| Outcome {
                    verdict,
                    reply: Some(Reply {
                        code: 451,
                        status: Some((4, 4, 2)),
                        lines: vec![text.clone()],
                    }),
                    said: false,
                    notifies: false,
                })
            })
            .collect()
    }

    async fn transact(
        &mut self,
        envelope: &Envelope,
        facts: &ContentFacts,
        content: Content<'_>,
    ) -> Result<(), SandboxError> {
        // Between messages the server may have ended the session.
        self.overhear().await?;
        if !self.is_ready() {
            return self.advance(None).await;
        }
        let progress = self.session.submit(envelope, facts)?;
        self.offer_again = true;
        self.carry_out(progress, &[]).await?;
        self.advance(Some(content)).await
    }

    /// Whether a message may still be submitted, after a time without one: a server that closed the
    /// connection or said 421 meanwhile is noticed. Does not wait.
    pub async fn is_alive(&mut self) -> bool {
        // What the network has for us is known to who lets it be looked at.
        tokio::task::yield_now().await;
        if let Err(error) = self.overhear().await {
            self.give_up(&error).await;
        }
        if !self.is_ready() && self.wants != Wants::Nothing {
            self.wire.close().await;
            self.wants = Wants::Nothing;
        }
        self.is_ready()
    }

    /// Ends the session with QUIT (CL-quit: no reply within its time changes nothing).
    pub async fn quit(mut self) {
        self.ends = Instant::now() + self.target.timeouts.transaction(0);
        if self.is_ready() {
            let _ = self.say_quit().await;
        }
        self.wire.close().await;
        self.scribe.ended();
    }

    async fn say_quit(&mut self) -> Result<(), SandboxError> {
        let progress = self.session.quit()?;
        self.carry_out(progress, &[]).await?;
        self.advance(None).await
    }

    /// The loop.
    pub(super) async fn advance(
        &mut self,
        mut content: Option<Content<'_>>,
    ) -> Result<(), SandboxError> {
        loop {
            if !self.later.is_empty() {
                match &mut content {
                    Some(content) => self.pass(content).await?,
                    None => return Err(SandboxError::violation("content without a message")),
                }
                continue;
            }
            match self.wants.clone() {
                Wants::Octets(phase) => self.hear(phase).await?,
                Wants::Handshake => self.secure().await?,
                Wants::Credentials(mechanism) => self.authenticate(mechanism).await?,
                Wants::Derivation(salt) => self.derive(salt).await?,
                Wants::Run => match &mut content {
                    Some(content) => self.feed(content).await?,
                    None => return Err(SandboxError::violation("content without a message")),
                },
                Wants::Message | Wants::Nothing => return Ok(()),
            }
        }
    }

    /// The connection is gone: the session settles what is unsettled.
    pub(super) async fn lose(&mut self, how: Loss) -> Result<(), SandboxError> {
        self.wire = Wire::Gone;
        self.buffer.clear();
        self.later.clear();
        let progress = self.session.lost(how)?;
        self.carry_out_last(progress).await?;
        self.wants = Wants::Nothing;
        Ok(())
    }

    /// The component failed us.
    async fn give_up(&mut self, error: &SandboxError) {
        self.later.clear();
        tracing::error!(server = self.target.host, %error, "a client session ended");
        self.wire.close().await;
        self.wants = Wants::Nothing;
        let stage = if self.supplied {
            Stage::Content
        } else {
            Stage::Envelope
        };
        self.fail(stage, &error.to_string());
    }

    pub(super) fn fail(&mut self, stage: Stage, text: &str) {
        self.scribe.note(text);
        self.failure.get_or_insert(Box::new(Failure {
            stage,
            reply: None,
            text: text.to_owned(),
            temporary: true,
        }));
    }
}
