//! The `client` interface.

use crate::bindings::exports::pillarbox::submission::client as wit;
use crate::bindings::pillarbox::submission::types::{ContentFacts, Envelope, Fault, TlsFacts};
use crate::convert::{Convert, cases, fields};
use crate::export::Component;
use crate::runtime::Imports;
use alloc::vec::Vec;
use core::cell::RefCell;
use pillarbox_protocol::client::Session;
use pillarbox_protocol::content::scanner::Scanner;
use pillarbox_protocol::contract::client as own;

cases!(
    wit::TlsPolicy,
    own::TlsPolicy,
    Off,
    Opportunistic,
    Required,
    Established
);
cases!(wit::EightBit, own::EightBit, Refuse, Convert);
fields!(
    wit::Settings,
    own::Settings,
    moved {
        hostname,
        server,
        port,
        clear_text,
        chunking,
        proven,
        lmtp
    },
    converted {
        tls,
        mechanisms,
        eight_bit
    }
);
fields!(
    wit::Credentials,
    own::Credentials,
    moved {
        user,
        domain,
        workstation,
        secret
    },
    converted {}
);
fields!(
    wit::Offer,
    own::Offer,
    moved {
        max_size,
        max_recipients,
        max_messages,
        extensions
    },
    converted {}
);
cases!(
    wit::Verdict,
    own::Verdict,
    Accepted,
    Deferred,
    Failed,
    Again,
    Unknown
);
fields!(
    wit::Outcome,
    own::Outcome,
    moved { said, notifies },
    converted { verdict, reply }
);
cases!(
    wit::Stage,
    own::Stage,
    Connect,
    Tls,
    Authentication,
    Envelope,
    Content,
    Ended
);
cases!(wit::Loss, own::Loss, Closed, Timeout, Handshake);
fields!(
    wit::Failure,
    own::Failure,
    moved { text, temporary },
    converted { stage, reply }
);

impl Convert<wit::Action> for own::Action {
    fn convert(self) -> wit::Action {
        match self {
            Self::Send(octets) => wit::Action::Send(octets),
            Self::Confide(octets, shown) => wit::Action::Confide((octets, shown)),
            Self::StartTls => wit::Action::StartTls,
            Self::Authenticate(mechanism) => wit::Action::Authenticate(mechanism.convert()),
            Self::Derive(salt) => wit::Action::Derive(salt.convert()),
            Self::Ready(offer) => wit::Action::Ready(offer.convert()),
            Self::Hungry => wit::Action::Hungry,
            Self::Content(span) => wit::Action::Content(span.convert()),
            Self::Insert(octets) => wit::Action::Insert(octets),
            Self::Pass(length) => wit::Action::Pass(length),
            Self::Rewind => wit::Action::Rewind,
            Self::Settled(index, outcome) => wit::Action::Settled((index, outcome.convert())),
            Self::Done => wit::Action::Done,
            Self::Failed(failure) => wit::Action::Failed(failure.convert()),
            Self::Report(text) => wit::Action::Report(text),
            Self::Close => wit::Action::Close,
        }
    }
}

impl Convert<wit::Progress> for own::Progress {
    fn convert(self) -> wit::Progress {
        wit::Progress {
            consumed: self.consumed,
            actions: self.actions.convert(),
            waiting_for: self.waiting_for.convert(),
        }
    }
}

/// The resource behind `client.session`.
pub(crate) struct Resource(RefCell<Session>);

/// The resource behind `client.scanner`.
pub(crate) struct ScannerResource(RefCell<Scanner>);

fn progress(
    result: Result<own::Progress, pillarbox_protocol::contract::Fault>,
) -> Result<wit::Progress, Fault> {
    result.map(Convert::convert).map_err(Convert::convert)
}

impl wit::Guest for Component {
    type Session = Resource;
    type Scanner = ScannerResource;
}

impl wit::GuestSession for Resource {
    fn start(settings: wit::Settings) -> Result<wit::Session, Fault> {
        Session::start(settings.convert())
            .map(|session| wit::Session::new(Self(RefCell::new(session))))
            .map_err(Convert::convert)
    }

    fn open(&self) -> Result<wit::Progress, Fault> {
        progress(self.0.borrow_mut().open(&mut Imports))
    }

    fn receive(&self, octets: Vec<u8>) -> Result<wit::Progress, Fault> {
        progress(self.0.borrow_mut().receive(&octets, &mut Imports))
    }

    fn secured(&self, facts: TlsFacts) -> Result<wit::Progress, Fault> {
        progress(self.0.borrow_mut().secured(facts.convert(), &mut Imports))
    }

    fn authenticate(&self, credentials: Option<wit::Credentials>) -> Result<wit::Progress, Fault> {
        progress(
            self.0
                .borrow_mut()
                .authenticate(credentials.convert(), &mut Imports),
        )
    }

    fn derived(&self, salted: Vec<u8>) -> Result<wit::Progress, Fault> {
        progress(self.0.borrow_mut().derived(&salted, &mut Imports))
    }

    fn submit(&self, envelope: Envelope, facts: ContentFacts) -> Result<wit::Progress, Fault> {
        progress(
            self.0
                .borrow_mut()
                .submit(envelope.convert(), facts.convert(), &mut Imports),
        )
    }

    fn supply(&self, octets: Vec<u8>, last: bool) -> Result<wit::Progress, Fault> {
        progress(self.0.borrow_mut().supply(&octets, last, &mut Imports))
    }

    fn lost(&self, how: wit::Loss) -> Result<wit::Progress, Fault> {
        progress(self.0.borrow_mut().lost(how.convert(), &mut Imports))
    }

    fn quit(&self) -> Result<wit::Progress, Fault> {
        progress(self.0.borrow_mut().quit(&mut Imports))
    }
}

impl wit::GuestScanner for ScannerResource {
    fn new() -> Self {
        Self(RefCell::new(Scanner::new()))
    }

    fn take(&self, octets: Vec<u8>) {
        self.0.borrow_mut().take(&octets);
    }

    fn finish(&self) -> ContentFacts {
        self.0.replace(Scanner::new()).finish().convert()
    }
}
