//! A client session in its sandbox, and the scanner of content that came from elsewhere.

use super::engine::begin_call;
use super::imports::State;
use super::v0_1::client::{Action, Credentials, Guest, Loss, Progress, Settings};
use super::v0_1::types::{ContentFacts, Envelope, Fault, TlsFacts};
use super::{Build, SandboxError};
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::Store;
use wasmtime::component::ResourceAny;

/// `wit/submission.wit`: at most 64 actions a call, save `settled`.
const MOST_ACTIONS: usize = 64;
/// What a session may leave unconsumed: one line.
const MOST_LINE: usize = 12_288;

/// One outbound connection's session.
pub struct ClientSession {
    store: Store<State>,
    bindings: Guest,
    session: ResourceAny,
    recipients: usize,
    settled: Vec<bool>,
    _slot: OwnedSemaphorePermit,
}

type Called = wasmtime::Result<Result<Progress, Fault>>;

impl ClientSession {
    /// A session before the server's greeting. Waits for a place in the pool.
    ///
    /// # Errors
    ///
    /// [`SandboxError`] where the component traps or refuses the settings.
    pub async fn start(build: &Arc<Build>, settings: &Settings) -> Result<Self, SandboxError> {
        let slot = build.engine.slot().await?;
        let (mut store, bindings) = build.client()?;
        let session = bindings
            .session()
            .call_start(&mut store, settings)
            .map_err(|error| SandboxError::trap(&error))?
            .map_err(|fault| SandboxError::fault(&fault))?;
        Ok(Self {
            store,
            bindings,
            session,
            recipients: 0,
            settled: Vec::new(),
            _slot: slot,
        })
    }

    /// The connection stands.
    ///
    /// # Errors
    ///
    /// [`SandboxError`]; the session is then over. So with all calls below.
    pub fn open(&mut self) -> Result<Progress, SandboxError> {
        self.call(0, 0, |bindings, store, session| {
            bindings.session().call_open(store, session)
        })
    }

    /// Octets from the server.
    ///
    /// # Errors
    ///
    /// [`SandboxError`].
    pub fn receive(&mut self, octets: &[u8]) -> Result<Progress, SandboxError> {
        self.call(octets.len(), 0, |bindings, store, session| {
            bindings.session().call_receive(store, session, octets)
        })
    }

    /// The TLS handshake is done.
    ///
    /// # Errors
    ///
    /// [`SandboxError`].
    pub fn secured(&mut self, facts: &TlsFacts) -> Result<Progress, SandboxError> {
        self.call(0, 0, |bindings, store, session| {
            bindings.session().call_secured(store, session, facts)
        })
    }

    /// Who to be.
    ///
    /// # Errors
    ///
    /// [`SandboxError`].
    pub fn authenticate(
        &mut self,
        credentials: Option<&Credentials>,
    ) -> Result<Progress, SandboxError> {
        self.call(0, 0, |bindings, store, session| {
            bindings
                .session()
                .call_authenticate(store, session, credentials)
        })
    }

    /// What `derive` asked for.
    ///
    /// # Errors
    ///
    /// [`SandboxError`].
    pub fn derived(&mut self, salted: &[u8]) -> Result<Progress, SandboxError> {
        self.call(0, 0, |bindings, store, session| {
            bindings.session().call_derived(store, session, salted)
        })
    }

    /// The next message.
    ///
    /// # Errors
    ///
    /// [`SandboxError`].
    pub fn submit(
        &mut self,
        envelope: &Envelope,
        facts: &ContentFacts,
    ) -> Result<Progress, SandboxError> {
        self.recipients = envelope.forward_paths.len();
        self.settled = vec![false; self.recipients];
        self.call(0, 0, |bindings, store, session| {
            bindings
                .session()
                .call_submit(store, session, envelope, facts)
        })
    }

    /// The next run of the message.
    ///
    /// # Errors
    ///
    /// [`SandboxError`].
    pub fn supply(&mut self, octets: &[u8], last: bool) -> Result<Progress, SandboxError> {
        self.call(0, octets.len(), |bindings, store, session| {
            bindings.session().call_supply(store, session, octets, last)
        })
    }

    /// The connection is gone.
    ///
    /// # Errors
    ///
    /// [`SandboxError`].
    pub fn lost(&mut self, how: Loss) -> Result<Progress, SandboxError> {
        self.call(0, 0, |bindings, store, session| {
            bindings.session().call_lost(store, session, how)
        })
    }

    /// No more messages.
    ///
    /// # Errors
    ///
    /// [`SandboxError`].
    pub fn quit(&mut self) -> Result<Progress, SandboxError> {
        self.call(0, 0, |bindings, store, session| {
            bindings.session().call_quit(store, session)
        })
    }

    fn call(
        &mut self,
        given: usize,
        supplied: usize,
        call: impl FnOnce(&Guest, &mut Store<State>, ResourceAny) -> Called,
    ) -> Result<Progress, SandboxError> {
        begin_call(&mut self.store);
        let progress = call(&self.bindings, &mut self.store, self.session)
            .map_err(|error| SandboxError::trap(&error))?
            .map_err(|fault| SandboxError::fault(&fault))?;
        self.check(given, supplied, &progress)
            .map_err(SandboxError::Violation)?;
        Ok(progress)
    }

    /// The form of a client session's answers.
    fn check(&mut self, given: usize, supplied: usize, progress: &Progress) -> Result<(), String> {
        let consumed = progress.consumed as usize;
        let closes = matches!(progress.actions.last(), Some(Action::Close));
        if consumed > given || (!closes && given - consumed > MOST_LINE) {
            return Err(format!("consumed {consumed} of {given} octets"));
        }
        let mut others = 0;
        for action in &progress.actions {
            match action {
                Action::Settled((index, _)) => {
                    match self.settled.get_mut(*index as usize) {
                        Some(settled) if !*settled => *settled = true,
                        Some(_) => return Err("a recipient settled twice".into()),
                        None => return Err("a recipient that is none settled".into()),
                    }
                    continue;
                }
                Action::Content(span) => {
                    let end = span.offset as usize + span.length as usize;
                    if end > supplied {
                        return Err(format!("a span that ends at {end} of {supplied} octets"));
                    }
                }
                Action::Pass(_) | Action::Rewind if !self.settled.contains(&false) => {
                    return Err("content without a message".into());
                }
                Action::Done if self.settled.contains(&false) => {
                    return Err("done, but a recipient is not settled".into());
                }
                _ => {}
            }
            others += 1;
        }
        if others > MOST_ACTIONS {
            return Err(format!("{others} actions in one call"));
        }
        Ok(())
    }
}

/// The facts of content, gathered by the component.
///
/// # Errors
///
/// [`SandboxError`] where the component traps.
pub async fn scan(build: &Arc<Build>, content: &[u8]) -> Result<ContentFacts, SandboxError> {
    let _slot = build.engine.slot().await?;
    let trap = |error: wasmtime::Error| SandboxError::trap(&error);
    let (mut store, interface) = build.client()?;
    let scanner = interface.scanner();
    let resource = scanner.call_constructor(&mut store).map_err(trap)?;
    for run in content.chunks(65_536) {
        begin_call(&mut store);
        scanner.call_take(&mut store, resource, run).map_err(trap)?;
    }
    begin_call(&mut store);
    scanner.call_finish(&mut store, resource).map_err(trap)
}
