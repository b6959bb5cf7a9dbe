//! A server session in its sandbox.

use super::engine::begin_call;
use super::form::{Call, Form};
use super::imports::State;
use super::v0_1::server::{Answer, Guest, Peer, Progress, Settings};
use super::v0_1::types::Fault;
use super::v0_1::types::{Dismissal, TlsFacts};
use super::{Build, SandboxError};
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::Store;
use wasmtime::component::ResourceAny;

/// One connection's session: its instance, and what its answers have been so far.
pub struct ServerSession {
    build: Arc<Build>,
    settings: Settings,
    peer: Peer,
    form: Form,
    instance: Option<Instance>,
    parked: Vec<u8>,
}

struct Instance {
    store: Store<State>,
    bindings: Guest,
    session: ResourceAny,
    _slot: OwnedSemaphorePermit,
}

/// `wit/submission.wit`, `park`.
const MOST_PARKED: usize = 8192;

type Called<T> = wasmtime::Result<Result<T, Fault>>;

fn flatten<T>(called: Called<T>) -> Result<T, SandboxError> {
    match called {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(fault)) => Err(SandboxError::fault(&fault)),
        Err(error) => Err(SandboxError::trap(&error)),
    }
}

impl ServerSession {
    /// A session before its greeting. Waits for a place in the pool.
    ///
    /// # Errors
    ///
    /// [`SandboxError`] where the component traps or refuses the settings.
    pub async fn start(
        build: &Arc<Build>,
        settings: Settings,
        peer: Peer,
    ) -> Result<Self, SandboxError> {
        let slot = build.engine.slot().await?;
        let (mut store, bindings) = build.server()?;
        let session = flatten(bindings.session().call_start(&mut store, &settings, &peer))?;
        Ok(Self {
            build: Arc::clone(build),
            form: Form::new(&settings),
            settings,
            peer,
            instance: Some(Instance {
                store,
                bindings,
                session,
                _slot: slot,
            }),
            parked: Vec::new(),
        })
    }

    /// The build that this session runs on.
    pub fn build(&self) -> &Arc<Build> {
        &self.build
    }

    /// What was asked of the session at its start.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether a message's content is on its way.
    pub fn in_content(&self) -> bool {
        self.form.in_content()
    }

    /// The open message was stored, or not: what the answer to `store` is going to say.
    pub fn settled(&mut self, stored: bool) {
        self.form.settled(stored);
    }

    /// Gives the sandbox back for good: the session is over, its last words may take a while.
    pub fn release(&mut self) {
        self.instance = None;
    }

    /// The greeting.
    ///
    /// # Errors
    ///
    /// [`SandboxError`]; the session is then over.
    pub fn open(&mut self) -> Result<Progress, SandboxError> {
        self.call(Call::Other, |bindings, store, session| {
            bindings.session().call_open(store, session)
        })
    }

    /// Octets from the peer.
    ///
    /// # Errors
    ///
    /// [`SandboxError`]; the session is then over.
    pub fn receive(&mut self, octets: &[u8]) -> Result<Progress, SandboxError> {
        self.call(Call::Receive(octets.len()), |bindings, store, session| {
            bindings.session().call_receive(store, session, octets)
        })
    }

    /// The answer to the open question.
    ///
    /// # Errors
    ///
    /// [`SandboxError`]; the session is then over.
    pub fn resume(&mut self, answer: &Answer) -> Result<Progress, SandboxError> {
        self.call(Call::Resume, |bindings, store, session| {
            bindings.session().call_resume(store, session, answer)
        })
    }

    /// The TLS handshake is done.
    ///
    /// # Errors
    ///
    /// [`SandboxError`]; the session is then over.
    pub fn secured(&mut self, facts: &TlsFacts) -> Result<Progress, SandboxError> {
        self.call(Call::Other, |bindings, store, session| {
            bindings.session().call_secured(store, session, facts)
        })
    }

    /// 421 with the matching code.
    ///
    /// # Errors
    ///
    /// [`SandboxError`]; the session is then over.
    pub fn dismiss(&mut self, why: Dismissal) -> Result<Progress, SandboxError> {
        self.call(Call::Dismiss, |bindings, store, session| {
            bindings.session().call_dismiss(store, session, why)
        })
    }

    /// Gives the sandbox back and keeps what the session knows, if it can be parked now.
    ///
    /// # Errors
    ///
    /// [`SandboxError`]; the session is then over.
    pub fn park(&mut self) -> Result<bool, SandboxError> {
        let Some(instance) = &mut self.instance else {
            return Ok(true);
        };
        begin_call(&mut instance.store);
        let parked = instance
            .bindings
            .session()
            .call_park(&mut instance.store, instance.session)
            .map_err(|error| SandboxError::trap(&error))?;
        let Some(parked) = parked else {
            return Ok(false);
        };
        if parked.len() > MOST_PARKED {
            return Err(SandboxError::violation(format!(
                "{} octets of parked session",
                parked.len()
            )));
        }
        self.parked = parked;
        self.instance = None;
        Ok(true)
    }

    /// Whether the session holds no sandbox.
    pub fn is_parked(&self) -> bool {
        self.instance.is_none()
    }

    /// A sandbox again. Waits for a place in the pool. TLS facts and identity are the host's.
    ///
    /// # Errors
    ///
    /// [`SandboxError`]; the session is then over.
    pub async fn revive(
        &mut self,
        facts: Option<&TlsFacts>,
        identity: Option<&str>,
    ) -> Result<(), SandboxError> {
        if self.instance.is_some() {
            return Ok(());
        }
        let slot = self.build.engine.slot().await?;
        let (mut store, bindings) = self.build.server()?;
        let session = flatten(bindings.session().call_revive(
            &mut store,
            &self.settings,
            &self.peer,
            facts,
            identity,
            &self.parked,
        ))?;
        self.parked = Vec::new();
        self.instance = Some(Instance {
            store,
            bindings,
            session,
            _slot: slot,
        });
        Ok(())
    }

    fn call(
        &mut self,
        kind: Call,
        call: impl FnOnce(&Guest, &mut Store<State>, ResourceAny) -> Called<Progress>,
    ) -> Result<Progress, SandboxError> {
        let Some(instance) = &mut self.instance else {
            return Err(SandboxError::Engine("the session is parked".into()));
        };
        begin_call(&mut instance.store);
        let progress = flatten(call(
            &instance.bindings,
            &mut instance.store,
            instance.session,
        ))?;
        self.form
            .check(kind, &progress)
            .map_err(SandboxError::Violation)?;
        Ok(progress)
    }
}
