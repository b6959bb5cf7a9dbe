//! THE loop: what the session wants next, until it is ready for a message or over.
//!
//! ```text
//!            +-- Octets -------- hear --------+
//!            +-- Handshake ----- secure ------+
//!   wants ---+-- Credentials --- authenticate-+--> carry out the actions --> wants
//!            +-- Run ----------- feed --------+
//!            +-- Message, Nothing: back to the caller
//! ```

use super::connect::{connect, literal};
use super::feed::Content;
use super::trace::{Scribe, Trace};
use super::wire::Wire;
use super::{Login, OutboundError, Security, Target};
use crate::sandbox::client::ClientSession;
use crate::sandbox::v0_1::client::{
    EightBit, Failure, Loss, Offer, Outcome, Settings, Stage, TlsPolicy, Verdict,
};
use crate::sandbox::v0_1::types::{ContentFacts, Envelope, Mechanism, Phase, Reply, TlsFacts};
use crate::sandbox::{Build, SandboxError};
use std::sync::Arc;
use tokio::io::AsyncRead;
use tokio::time::Instant;

/// Exchanges of one connection: each mechanism once, and tokens twice.
const MOST_EXCHANGES: u32 = 16;

/// What the session wants next.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Wants {
    /// Octets from the server, in this phase.
    Octets(Phase),
    /// The TLS handshake.
    Handshake,
    /// Who to be.
    Credentials(Mechanism),
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
    /// The host's own TLS state.
    pub(super) tls: Option<TlsFacts>,
    /// A handshake failed: where TLS is opportunistic, it may go without (R3207-6-b).
    pub(super) handshake_failed: bool,
    /// What the host knows of the next loss.
    pub(super) detail: Option<String>,
    pub(super) offer: Option<Offer>,
    pub(super) failure: Option<Box<Failure>>,
    /// Of the message being submitted, by index in its envelope.
    pub(super) outcomes: Vec<Option<Outcome>>,
    /// The end of the message has been given to the session.
    pub(super) supplied: bool,
    exchanges: u32,
}

/// An attempt that came to nothing, and whether one without TLS may follow.
struct Broken {
    error: OutboundError,
    scribe: Scribe,
    handshake: bool,
}

impl Dialogue {
    /// Connects, and goes on until the server takes messages.
    ///
    /// # Errors
    ///
    /// [`OutboundError`]; the connection is then closed.
    pub async fn open(
        build: &Arc<Build>,
        target: &Target,
        login: &Login,
        trace: Option<Box<dyn Trace>>,
    ) -> Result<Self, OutboundError> {
        let scribe = Scribe::new(trace);
        let mut broken = match Self::attempt(build, target.clone(), login.clone(), scribe).await {
            Ok(dialogue) => return Ok(dialogue),
            Err(broken) => broken,
        };
        // R3207-6-b: one new connection without TLS, never with clear-text mechanisms.
        if target.security == Security::Opportunistic
            && broken.handshake
            && let Some(login) = login.without_clear_text()
        {
            let note = format!("{}; once more without TLS", broken.error);
            broken.scribe.note(&note);
            tracing::info!(server = target.host, "{note}");
            let target = Target {
                security: Security::Off,
                ..target.clone()
            };
            return Self::attempt(build, target, login, broken.scribe)
                .await
                .map_err(|broken| broken.error);
        }
        Err(broken.error)
    }

    async fn attempt(
        build: &Arc<Build>,
        target: Target,
        login: Login,
        scribe: Scribe,
    ) -> Result<Self, Broken> {
        let mut dialogue = match Self::connected(build, target, login).await {
            Ok(dialogue) => dialogue,
            Err(error) => {
                return Err(Broken {
                    error,
                    scribe,
                    handshake: false,
                });
            }
        };
        dialogue.scribe = scribe;
        let begun = dialogue.begin().await;
        if begun.is_ok() && dialogue.is_ready() {
            return Ok(dialogue);
        }
        dialogue.wire.close().await;
        dialogue.scribe.ended();
        let error = match (begun, dialogue.failure.take()) {
            (Err(error), _) => error.into(),
            (Ok(()), Some(failure)) => OutboundError::Failed(failure),
            (Ok(()), None) => {
                SandboxError::violation("the session ended and does not say why").into()
            }
        };
        Err(Broken {
            error,
            handshake: dialogue.handshake_failed,
            scribe: dialogue.scribe,
        })
    }

    async fn connected(
        build: &Arc<Build>,
        target: Target,
        login: Login,
    ) -> Result<Self, OutboundError> {
        let socket = connect(&target).await?;
        // CL-ehlo-name
        let hostname = match (&target.hostname, socket.local_addr()) {
            (Some(hostname), _) => hostname.clone(),
            (None, Ok(local)) => literal(local),
            (None, Err(error)) => {
                return Err(OutboundError::Connect {
                    host: target.host,
                    port: target.port,
                    reasons: error.to_string(),
                });
            }
        };
        let settings = Settings {
            hostname,
            server: target.host.clone(),
            port: target.port,
            tls: match target.security {
                Security::Off => TlsPolicy::Off,
                // Of whom no good certificate is asked, TLS is: `insist` sees to it.
                Security::Required if !target.trust.verifies() => TlsPolicy::Opportunistic,
                Security::Opportunistic => TlsPolicy::Opportunistic,
                Security::Required => TlsPolicy::Required,
                Security::Implicit => TlsPolicy::Established,
            },
            mechanisms: login.mechanisms.clone(),
            clear_text: login.clear_text,
            eight_bit: EightBit::Refuse,
            lmtp: target.lmtp,
        };
        Ok(Self {
            session: ClientSession::start(build, &settings).await?,
            wire: Wire::Clear(socket),
            buffer: Vec::new(),
            offer_again: false,
            target,
            login,
            scribe: Scribe::new(None),
            wants: Wants::Octets(Phase::Greeting),
            stirred: Instant::now(),
            tls: None,
            handshake_failed: false,
            detail: None,
            offer: None,
            failure: None,
            outcomes: Vec::new(),
            supplied: false,
            exchanges: 0,
        })
    }

    async fn begin(&mut self) -> Result<(), SandboxError> {
        if self.target.security == Security::Implicit && !self.secure_first().await? {
            return self.advance(None).await;
        }
        let progress = self.session.open()?;
        self.carry_out(progress, &[]).await?;
        self.advance(None).await
    }

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
        content: &mut (dyn AsyncRead + Send + Unpin),
    ) -> Vec<Outcome> {
        self.outcomes = vec![None; envelope.forward_paths.len()];
        self.supplied = false;
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

    /// Ends the session with QUIT (CL-quit: no reply within its time changes nothing).
    pub async fn quit(mut self) {
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
    async fn advance(&mut self, mut content: Option<Content<'_>>) -> Result<(), SandboxError> {
        loop {
            match self.wants.clone() {
                Wants::Octets(phase) => self.hear(phase).await?,
                Wants::Handshake => self.secure().await?,
                Wants::Credentials(mechanism) => self.authenticate(mechanism).await?,
                Wants::Run => match &mut content {
                    Some(content) => self.feed(content).await?,
                    None => return Err(SandboxError::violation("content without a message")),
                },
                Wants::Message | Wants::Nothing => return Ok(()),
            }
        }
    }

    async fn authenticate(&mut self, mechanism: Mechanism) -> Result<(), SandboxError> {
        if !self.insist().await? {
            return Ok(());
        }
        self.exchanges += 1;
        if self.exchanges > MOST_EXCHANGES {
            return Err(SandboxError::violation(
                "it asks for credentials again and again",
            ));
        }
        self.may_confide(mechanism)?;
        let credentials = match &self.login.provider {
            Some(provider) => provider.credentials(mechanism).await,
            None => None,
        };
        let progress = self.session.authenticate(credentials.as_ref())?;
        self.offer_again = true;
        self.carry_out(progress, &[]).await
    }

    /// Where TLS is required there is TLS before any credentials and any message, whatever the
    /// session thinks (R3207-6-a). `false`: there is none, and the session is over.
    pub(super) async fn insist(&mut self) -> Result<bool, SandboxError> {
        let needed = match self.target.security {
            Security::Off | Security::Opportunistic => return Ok(true),
            Security::Required | Security::Implicit => self.target.trust.verifies(),
        };
        match &self.tls {
            Some(facts) if facts.verified || !needed => return Ok(true),
            _ => {}
        }
        self.fail(
            Stage::Tls,
            "TLS is required, and the server does not offer STARTTLS (4.7.10)",
        );
        let quit = self.session.quit()?;
        self.wants = Wants::Octets(Phase::Quit);
        self.carry_out_last(quit).await?;
        Ok(false)
    }

    /// The connection is gone: the session settles what is unsettled.
    pub(super) async fn lose(&mut self, how: Loss) -> Result<(), SandboxError> {
        self.wire = Wire::Gone;
        self.buffer.clear();
        let progress = self.session.lost(how)?;
        self.carry_out_last(progress).await?;
        self.wants = Wants::Nothing;
        Ok(())
    }

    /// The component failed us.
    async fn give_up(&mut self, error: &SandboxError) {
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
