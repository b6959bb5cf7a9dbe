//! From nothing to a server that takes messages, and what may follow where that fails.
//!
//! ```text
//!   attempt --> ready
//!      +------> the handshake failed, TLS is opportunistic --> attempt without TLS (R3207-6-b)
//!      +------> a token was refused, a new one may be better --> attempt with that
//! ```

use super::authenticate::Authentication;
use super::connect::{Connected, connect};
use super::dialogue::{Dialogue, Wants};
use super::trace::{Scribe, Trace};
use super::{Login, OutboundError, Security, Target, Unopened};
use crate::sandbox::client::ClientSession;
use crate::sandbox::v0_1::client::{EightBit, Failure, Settings, Stage, TlsPolicy};
use crate::sandbox::v0_1::types::Phase;
use crate::sandbox::{Build, SandboxError};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::time::Instant;

/// An attempt that came to nothing, and what may follow.
struct Broken {
    unopened: Unopened,
    scribe: Scribe,
    /// The handshake failed, and nobody is to blame.
    handshake: bool,
    /// The server refused the credentials, and new ones may be better.
    renewable: bool,
}

impl Broken {
    /// Before there was a connection.
    fn early(error: OutboundError, scribe: Scribe) -> Self {
        Self {
            unopened: Unopened {
                error,
                address: None,
                tls: None,
                injected: false,
                interrupted: false,
            },
            scribe,
            handshake: false,
            renewable: false,
        }
    }
}

impl Dialogue {
    /// Connects, and goes on until the server takes messages.
    ///
    /// # Errors
    ///
    /// [`Unopened`]; the connection is then closed.
    pub async fn open(
        build: &Arc<Build>,
        target: &Target,
        login: &Login,
        trace: Option<Box<dyn Trace>>,
    ) -> Result<Self, Unopened> {
        let mut target = target.clone();
        if target.socket.is_some() {
            match target.security {
                Security::Off => {}
                Security::Opportunistic => target.security = Security::Off,
                Security::Required | Security::Implicit => return Err(no_tls_over_a_socket()),
            }
        }
        let scribe = Scribe::new(trace);
        let mut broken = match Self::attempt(build, target.clone(), login.clone(), scribe).await {
            Ok(dialogue) => return Ok(dialogue),
            Err(broken) => broken,
        };
        let (login, next) = if broken.renewable {
            (login.clone(), "once more with a new token")
        } else if target.security == Security::Opportunistic
            && broken.handshake
            // R3207-6-b: never with clear-text mechanisms.
            && let Some(login) = login.without_clear_text()
        {
            target.security = Security::Off;
            (login, "once more without TLS")
        } else {
            return Err(broken.unopened);
        };
        let note = format!("{}; {next}", broken.unopened);
        broken.scribe.note(&note);
        tracing::info!(server = target.host, "{note}");
        Self::attempt(build, target, login, broken.scribe)
            .await
            .map_err(|broken| broken.unopened)
    }

    async fn attempt(
        build: &Arc<Build>,
        target: Target,
        login: Login,
        scribe: Scribe,
    ) -> Result<Self, Broken> {
        let mut dialogue = match Self::connected(build, target, login).await {
            Ok(dialogue) => dialogue,
            Err(error) => return Err(Broken::early(error, scribe)),
        };
        dialogue.scribe = scribe;
        let begun = dialogue.begin().await;
        if begun.is_ok() && dialogue.is_ready() {
            return Ok(dialogue);
        }
        dialogue.wire.close().await;
        dialogue.scribe.ended();
        let renewable = dialogue.ask_whether_renewable().await;
        let missing = dialogue.authentication.missing.take();
        let error = match (begun, missing, dialogue.failure.take()) {
            (Err(error), ..) => error.into(),
            (Ok(()), Some(missing), _) => OutboundError::Credentials(missing),
            (Ok(()), None, Some(failure)) => OutboundError::Failed(failure),
            (Ok(()), None, None) => {
                SandboxError::violation("the session ended and does not say why").into()
            }
        };
        Err(Broken {
            unopened: Unopened {
                error,
                address: Some(dialogue.address),
                tls: dialogue.tls,
                injected: dialogue.injected,
                interrupted: dialogue.interrupted,
            },
            handshake: dialogue.handshake_failed,
            renewable,
            scribe: dialogue.scribe,
        })
    }

    async fn connected(
        build: &Arc<Build>,
        target: Target,
        login: Login,
    ) -> Result<Self, OutboundError> {
        let Connected {
            wire,
            address,
            literal,
        } = connect(&target).await?;
        let ends = Instant::now() + target.timeouts.transaction(0);
        let settings = Settings {
            // CL-ehlo-name
            hostname: target.hostname.clone().unwrap_or(literal),
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
            eight_bit: if target.transfer.convert {
                EightBit::Convert
            } else {
                EightBit::Refuse
            },
            chunking: target.transfer.chunking,
            proven: target.proven,
            lmtp: target.lmtp,
        };
        Ok(Self {
            session: ClientSession::start(build, &settings).await?,
            wire,
            address,
            buffer: Vec::new(),
            offer_again: false,
            target,
            login,
            scribe: Scribe::new(None),
            wants: Wants::Octets(Phase::Greeting),
            stirred: Instant::now(),
            ends,
            tls: None,
            handshake_failed: false,
            injected: false,
            interrupted: false,
            detail: None,
            offer: None,
            failure: None,
            outcomes: Vec::new(),
            supplied: false,
            rewind: false,
            rewinds: 0,
            later: VecDeque::new(),
            passing: false,
            authentication: Authentication::default(),
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
}

fn no_tls_over_a_socket() -> Unopened {
    let failure = Failure {
        stage: Stage::Tls,
        reply: None,
        text: "TLS is required, and a socket of this machine has none: turn TLS off for it".into(),
        temporary: true,
    };
    Unopened {
        error: OutboundError::Failed(Box::new(failure)),
        address: None,
        tls: None,
        injected: false,
        interrupted: false,
    }
}
