//! The client role: asks for a password in clear where it is to lie, else refuses.

use crate::behaviour::Behaviour;
use crate::bindings::exports::pillarbox::submission::client as wit;
use crate::bindings::pillarbox::submission::types::{
    ContentFacts, Envelope, Fault, Mechanism, Phase, TlsFacts,
};
use crate::export::Component;
use alloc::{vec, vec::Vec};

/// The resource behind `client.session`.
pub(crate) struct Resource;

/// The resource behind `client.scanner`.
pub(crate) struct ScannerResource;

impl wit::Guest for Component {
    type Session = Resource;
    type Scanner = ScannerResource;
}

fn out_of_turn() -> Result<wit::Progress, Fault> {
    Err(Fault {
        text: "this build has no client role".into(),
    })
}

impl wit::GuestSession for Resource {
    fn start(settings: wit::Settings) -> Result<wit::Session, Fault> {
        match Behaviour::of(&settings.hostname) {
            Behaviour::Credentials => Ok(wit::Session::new(Self)),
            _ => Err(Fault {
                text: "this build has no client role".into(),
            }),
        }
    }

    fn open(&self) -> Result<wit::Progress, Fault> {
        Ok(wit::Progress {
            consumed: 0,
            actions: vec![wit::Action::Authenticate(Mechanism::Plain)],
            waiting_for: Phase::Answer,
        })
    }

    fn receive(&self, _: Vec<u8>) -> Result<wit::Progress, Fault> {
        out_of_turn()
    }

    fn secured(&self, _: TlsFacts) -> Result<wit::Progress, Fault> {
        out_of_turn()
    }

    fn authenticate(&self, credentials: Option<wit::Credentials>) -> Result<wit::Progress, Fault> {
        let secret = credentials.map_or_else(Vec::new, |all| all.secret.into_bytes());
        Ok(wit::Progress {
            consumed: 0,
            actions: vec![wit::Action::Send([secret.as_slice(), b"\r\n"].concat())],
            waiting_for: Phase::Authentication,
        })
    }

    fn derived(&self, _: Vec<u8>) -> Result<wit::Progress, Fault> {
        out_of_turn()
    }

    fn submit(&self, _: Envelope, _: ContentFacts) -> Result<wit::Progress, Fault> {
        out_of_turn()
    }

    fn supply(&self, _: Vec<u8>, _: bool) -> Result<wit::Progress, Fault> {
        out_of_turn()
    }

    fn lost(&self, _: wit::Loss) -> Result<wit::Progress, Fault> {
        out_of_turn()
    }

    fn quit(&self) -> Result<wit::Progress, Fault> {
        out_of_turn()
    }
}

impl wit::GuestScanner for ScannerResource {
    fn new() -> Self {
        Self
    }

    fn take(&self, _: Vec<u8>) {}

    fn finish(&self) -> ContentFacts {
        ContentFacts {
            size: 0,
            header_eight_bit: false,
            body_eight_bit: false,
            binary: false,
            bare: false,
            signed: false,
            message_id: "".into(),
            tls_waived: false,
            authors: Vec::new(),
        }
    }
}
