//! The built component's sessions, each in an instance of the real sandbox.
//!
//! What the host checks of every answer (its form, the CPU-time slice, the memory limit) is
//! checked here too: an error of these sessions is what the host would log before its 421.

use crate::client::{ClientSession, ClientSessions};
use crate::convert::Convert;
use crate::driver::{ServerSession, ServerSessions};
use pillarbox::embedded::COMPONENT;
use pillarbox::sandbox::v0_1::server::{Progress as WitProgress, Question as WitQuestion};
use pillarbox::sandbox::{Build, Engine, SandboxError, SandboxLimits, client, server};
use pillarbox_protocol::contract::client as client_contract;
use pillarbox_protocol::contract::server::{Answer, Peer, Progress, Settings};
use pillarbox_protocol::contract::{ContentFacts, Dismissal, Envelope, TlsFacts};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// The embedded component, compiled, in a pool of a few sandboxes.
///
/// # Errors
///
/// The sandbox cannot be set up, or the host refuses its own component.
pub fn build() -> Result<Arc<Build>, String> {
    let limits = SandboxLimits {
        sandboxes: 8,
        ..SandboxLimits::default()
    };
    let engine = Engine::new(limits).map_err(text)?;
    Build::load(&engine, COMPONENT, None).map_err(text)
}

#[allow(clippy::needless_pass_by_value, reason = "shape of map_err")]
fn text(error: SandboxError) -> String {
    error.to_string()
}

/// Makes sessions of one build, one at a time.
pub struct Sandboxed {
    build: Arc<Build>,
    runtime: Runtime,
    /// The host's session keeps what it parked; between `park` and `revive` it waits here.
    parked: Rc<RefCell<Option<server::ServerSession>>>,
}

impl Sandboxed {
    /// Sessions of this build.
    ///
    /// # Errors
    ///
    /// There is no runtime to wait for a sandbox with.
    pub fn new(build: &Arc<Build>) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .map_err(|error| format!("cannot start: {error}"))?;
        Ok(Self {
            build: Arc::clone(build),
            runtime,
            parked: Rc::default(),
        })
    }

    fn server(&self, session: server::ServerSession) -> SandboxedServer {
        SandboxedServer {
            session: Some(session),
            parked: Rc::clone(&self.parked),
            storing: false,
        }
    }
}

impl ServerSessions for Sandboxed {
    type Session = SandboxedServer;

    fn start(&mut self, settings: &Settings, peer: &Peer) -> Result<Self::Session, String> {
        let (settings, peer) = (settings.clone().convert(), peer.clone().convert());
        self.runtime
            .block_on(server::ServerSession::start(&self.build, settings, peer))
            .map(|session| self.server(session))
            .map_err(text)
    }

    /// Settings, peer and parked octets are with the session that was parked.
    fn revive(
        &mut self,
        _: &Settings,
        _: &Peer,
        facts: Option<TlsFacts>,
        identity: Option<String>,
        _: &[u8],
    ) -> Result<Self::Session, String> {
        let parked = self.parked.borrow_mut().take();
        let mut session = parked.ok_or("no session is parked")?;
        self.runtime
            .block_on(session.revive(facts.convert().as_ref(), identity.as_deref()))
            .map_err(text)?;
        Ok(self.server(session))
    }
}

/// A server session in its sandbox.
pub struct SandboxedServer {
    session: Option<server::ServerSession>,
    parked: Rc<RefCell<Option<server::ServerSession>>>,
    /// The open question is a store.
    storing: bool,
}

impl SandboxedServer {
    fn call(
        &mut self,
        call: impl FnOnce(&mut server::ServerSession) -> Result<WitProgress, SandboxError>,
    ) -> Result<Progress, String> {
        let session = self.session.as_mut().ok_or("the session is parked")?;
        let progress = call(session).map_err(text)?;
        self.storing = matches!(progress.question, Some(WitQuestion::Store(_)));
        Ok(progress.convert())
    }
}

impl ServerSession for SandboxedServer {
    fn open(&mut self) -> Result<Progress, String> {
        self.call(server::ServerSession::open)
    }

    fn receive(&mut self, octets: &[u8]) -> Result<Progress, String> {
        self.call(|session| session.receive(octets))
    }

    fn resume(&mut self, answer: Answer) -> Result<Progress, String> {
        let settles = self.storing;
        self.call(|session| {
            if settles {
                session.settled(answer == Answer::Stored);
            }
            session.resume(&answer.convert())
        })
    }

    fn secured(&mut self, facts: TlsFacts) -> Result<Progress, String> {
        self.call(|session| session.secured(&facts.convert()))
    }

    fn dismiss(&mut self, why: Dismissal) -> Result<Progress, String> {
        self.call(|session| session.dismiss(why.convert()))
    }

    /// The octets stay with the host's session; their form is checked there.
    fn park(&mut self) -> Result<Option<Vec<u8>>, String> {
        let session = self.session.as_mut().ok_or("the session is parked")?;
        if !session.park().map_err(text)? {
            return Ok(None);
        }
        *self.parked.borrow_mut() = self.session.take();
        Ok(Some(Vec::new()))
    }
}

impl ClientSessions for Sandboxed {
    type Session = SandboxedClient;

    fn start(&mut self, settings: &client_contract::Settings) -> Result<Self::Session, String> {
        let settings = settings.clone().convert();
        self.runtime
            .block_on(client::ClientSession::start(&self.build, &settings))
            .map(SandboxedClient)
            .map_err(text)
    }
}

/// A client session in its sandbox.
pub struct SandboxedClient(client::ClientSession);

type ClientCalled = Result<client_contract::Progress, String>;

impl SandboxedClient {
    fn call(
        &mut self,
        call: impl FnOnce(
            &mut client::ClientSession,
        ) -> Result<pillarbox::sandbox::v0_1::client::Progress, SandboxError>,
    ) -> ClientCalled {
        call(&mut self.0).map(Convert::convert).map_err(text)
    }
}

impl ClientSession for SandboxedClient {
    fn open(&mut self) -> ClientCalled {
        self.call(client::ClientSession::open)
    }

    fn receive(&mut self, octets: &[u8]) -> ClientCalled {
        self.call(|session| session.receive(octets))
    }

    fn secured(&mut self, facts: TlsFacts) -> ClientCalled {
        self.call(|session| session.secured(&facts.convert()))
    }

    fn authenticate(&mut self, credentials: Option<client_contract::Credentials>) -> ClientCalled {
        self.call(|session| session.authenticate(credentials.convert().as_ref()))
    }

    fn submit(&mut self, envelope: Envelope, facts: ContentFacts) -> ClientCalled {
        self.call(|session| session.submit(&envelope.convert(), &facts.convert()))
    }

    fn supply(&mut self, octets: &[u8], last: bool) -> ClientCalled {
        self.call(|session| session.supply(octets, last))
    }

    fn lost(&mut self, how: client_contract::Loss) -> ClientCalled {
        self.call(|session| session.lost(how.convert()))
    }

    fn quit(&mut self) -> ClientCalled {
        self.call(client::ClientSession::quit)
    }
}
