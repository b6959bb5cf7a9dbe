//! The library's own sessions, outside any sandbox.

use crate::client::{ClientSession, ClientSessions};
use crate::driver::{ServerSession, ServerSessions};
use pillarbox_protocol::contract::server::{Answer, Peer, Progress, Settings};
use pillarbox_protocol::contract::{
    ContentFacts, Dismissal, Envelope, Fault, TlsFacts, client as client_contract,
};
use pillarbox_protocol::environment::{Fixed, Moment};
use pillarbox_protocol::{client, server};

/// Makes sessions that live in this process, at a fixed time.
#[derive(Debug, Default, Clone, Copy)]
pub struct Native;

/// One of them, with its environment.
pub struct NativeSession<S> {
    session: S,
    environment: Fixed,
}

impl<S> NativeSession<S> {
    fn new(session: S) -> Self {
        Self {
            session,
            environment: Fixed {
                // 2026-01-02T03:04:05Z
                moment: Moment {
                    seconds: 1_767_323_045,
                    nanoseconds: 0,
                },
                next: 0,
            },
        }
    }
}

#[allow(clippy::needless_pass_by_value, reason = "shape of map_err")]
fn text(fault: Fault) -> String {
    fault.text
}

impl ServerSessions for Native {
    type Session = NativeSession<server::Session>;

    fn start(&mut self, settings: &Settings, peer: &Peer) -> Result<Self::Session, String> {
        server::Session::start(settings.clone(), peer.clone())
            .map(NativeSession::new)
            .map_err(text)
    }

    fn revive(
        &mut self,
        settings: &Settings,
        peer: &Peer,
        facts: Option<TlsFacts>,
        identity: Option<String>,
        parked: &[u8],
    ) -> Result<Self::Session, String> {
        server::Session::revive(settings.clone(), peer.clone(), facts, identity, parked)
            .map(NativeSession::new)
            .map_err(text)
    }
}

impl ServerSession for NativeSession<server::Session> {
    fn open(&mut self) -> Result<Progress, String> {
        self.session.open(&mut self.environment).map_err(text)
    }

    fn receive(&mut self, octets: &[u8]) -> Result<Progress, String> {
        self.session
            .receive(octets, &mut self.environment)
            .map_err(text)
    }

    fn resume(&mut self, answer: Answer) -> Result<Progress, String> {
        self.session
            .resume(answer, &mut self.environment)
            .map_err(text)
    }

    fn secured(&mut self, facts: TlsFacts) -> Result<Progress, String> {
        self.session
            .secured(facts, &mut self.environment)
            .map_err(text)
    }

    fn dismiss(&mut self, why: Dismissal) -> Result<Progress, String> {
        self.session
            .dismiss(why, &mut self.environment)
            .map_err(text)
    }

    fn park(&mut self) -> Result<Option<Vec<u8>>, String> {
        Ok(self.session.park())
    }
}

impl ClientSessions for Native {
    type Session = NativeSession<client::Session>;

    fn start(&mut self, settings: &client_contract::Settings) -> Result<Self::Session, String> {
        client::Session::start(settings.clone())
            .map(NativeSession::new)
            .map_err(text)
    }
}

impl ClientSession for NativeSession<client::Session> {
    fn open(&mut self) -> Result<client_contract::Progress, String> {
        self.session.open(&mut self.environment).map_err(text)
    }

    fn receive(&mut self, octets: &[u8]) -> Result<client_contract::Progress, String> {
        self.session
            .receive(octets, &mut self.environment)
            .map_err(text)
    }

    fn secured(&mut self, facts: TlsFacts) -> Result<client_contract::Progress, String> {
        self.session
            .secured(facts, &mut self.environment)
            .map_err(text)
    }

    fn authenticate(
        &mut self,
        credentials: Option<client_contract::Credentials>,
    ) -> Result<client_contract::Progress, String> {
        self.session
            .authenticate(credentials, &mut self.environment)
            .map_err(text)
    }

    fn submit(
        &mut self,
        envelope: Envelope,
        facts: ContentFacts,
    ) -> Result<client_contract::Progress, String> {
        self.session
            .submit(envelope, facts, &mut self.environment)
            .map_err(text)
    }

    fn supply(&mut self, octets: &[u8], last: bool) -> Result<client_contract::Progress, String> {
        self.session
            .supply(octets, last, &mut self.environment)
            .map_err(text)
    }

    fn lost(&mut self, how: client_contract::Loss) -> Result<client_contract::Progress, String> {
        self.session.lost(how, &mut self.environment).map_err(text)
    }

    fn quit(&mut self) -> Result<client_contract::Progress, String> {
        self.session.quit(&mut self.environment).map_err(text)
    }
}
