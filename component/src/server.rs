//! The `server` interface.

use crate::bindings::exports::pillarbox::submission::server as wit;
use crate::bindings::pillarbox::submission::types::{Dismissal, Fault, TlsFacts};
use crate::convert::{Convert, cases, fields};
use crate::export::Component;
use crate::runtime::Imports;
use alloc::{string::String, vec::Vec};
use core::cell::RefCell;
use pillarbox_protocol::contract::server as own;
use pillarbox_protocol::server::Session;

cases!(
    wit::TlsPolicy,
    own::TlsPolicy,
    Absent,
    Offered,
    RequiredForAuth,
    Required,
    Established
);
cases!(wit::Admission, own::Admission, Welcome, Unwanted);
cases!(wit::BareLf, own::BareLf, Reject, Convert);
fields!(wit::Peer, own::Peer, moved { address, port }, converted {});
fields!(
    wit::PasswordCheck,
    own::PasswordCheck,
    moved {
        authorization,
        user,
        password
    },
    converted {}
);
fields!(
    wit::CramMd5Check,
    own::CramMd5Check,
    moved {
        user,
        challenge,
        digest
    },
    converted {}
);
fields!(
    wit::ScramStart,
    own::ScramStart,
    moved {
        authorization,
        user
    },
    converted { mechanism }
);
fields!(
    wit::ScramProof,
    own::ScramProof,
    moved { messages, proof },
    converted {}
);
fields!(
    wit::TokenCheck,
    own::TokenCheck,
    moved {
        authorization,
        user,
        token
    },
    converted { mechanism }
);
fields!(
    wit::Settings,
    own::Settings,
    moved {
        hostname,
        serial,
        clear_text,
        authentication_required,
        max_message_size,
        max_recipients,
        max_hold,
        min_deliver_by,
        ntlm_domain,
        ntlm_computer,
        ask_sender,
        ask_recipient,
        add_date,
        add_message_id,
        add_sender,
        check_header_domains,
        keep_bcc,
        legacy_auth_line,
        local_domain,
        certificate_required
    },
    converted {
        admission,
        tls,
        mechanisms,
        extensions,
        bare_lf
    }
);

impl Convert<own::Extensions> for wit::Extensions {
    fn convert(self) -> own::Extensions {
        own::Extensions {
            chunking: self.contains(Self::CHUNKING),
            binarymime: self.contains(Self::BINARYMIME),
            smtputf8: self.contains(Self::SMTPUTF8),
            requiretls: self.contains(Self::REQUIRETLS),
            futurerelease: self.contains(Self::FUTURERELEASE),
            deliverby: self.contains(Self::DELIVERBY),
            mt_priority: self.contains(Self::MT_PRIORITY),
        }
    }
}

impl Convert<wit::Extensions> for own::Extensions {
    fn convert(self) -> wit::Extensions {
        let mut extensions = wit::Extensions::empty();
        extensions.set(wit::Extensions::CHUNKING, self.chunking);
        extensions.set(wit::Extensions::BINARYMIME, self.binarymime);
        extensions.set(wit::Extensions::SMTPUTF8, self.smtputf8);
        extensions.set(wit::Extensions::REQUIRETLS, self.requiretls);
        extensions.set(wit::Extensions::FUTURERELEASE, self.futurerelease);
        extensions.set(wit::Extensions::DELIVERBY, self.deliverby);
        extensions.set(wit::Extensions::MT_PRIORITY, self.mt_priority);
        extensions
    }
}

impl Convert<wit::Question> for own::Question {
    fn convert(self) -> wit::Question {
        match self {
            Self::Password(check) => wit::Question::Password(check.convert()),
            Self::CramMd5(check) => wit::Question::CramMd5(check.convert()),
            Self::ScramFirst(start) => wit::Question::ScramFirst(start.convert()),
            Self::ScramFinal(proof) => wit::Question::ScramFinal(proof.convert()),
            Self::Ntlm(response) => wit::Question::Ntlm(response.convert()),
            Self::Token(check) => wit::Question::Token(check.convert()),
            Self::External(identity) => wit::Question::External(identity),
            Self::Sender(reverse_path, parameters) => {
                wit::Question::Sender((reverse_path, parameters.convert()))
            }
            Self::Recipient(forward_path) => wit::Question::Recipient(forward_path.convert()),
            Self::Store(facts) => wit::Question::Store(facts.convert()),
        }
    }
}

impl Convert<own::Answer> for wit::Answer {
    fn convert(self) -> own::Answer {
        match self {
            Self::Granted((identity, signature)) => own::Answer::Granted(identity, signature),
            Self::Refused => own::Answer::Refused,
            Self::Disabled => own::Answer::Disabled,
            Self::Unprepared => own::Answer::Unprepared,
            Self::Scram(salt) => own::Answer::Scram(salt.convert()),
            Self::Unavailable => own::Answer::Unavailable,
            Self::Accepted => own::Answer::Accepted,
            Self::Rejected(reply) => own::Answer::Rejected(reply.convert()),
            Self::Stored => own::Answer::Stored,
        }
    }
}

impl Convert<wit::Action> for own::Action {
    fn convert(self) -> wit::Action {
        match self {
            Self::Send(octets) => wit::Action::Send(octets),
            Self::StartTls => wit::Action::StartTls,
            Self::Content(span) => wit::Action::Content(span.convert()),
            Self::Insert(octets) => wit::Action::Insert(octets),
            Self::Pass(length) => wit::Action::Pass(length),
            Self::Abandon => wit::Action::Abandon,
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
            envelope: self.envelope.convert(),
            question: self.question.convert(),
            waiting_for: self.waiting_for.convert(),
        }
    }
}

/// The resource behind `server.session`.
pub(crate) struct Resource(RefCell<Session>);

impl Resource {
    fn wrap(
        result: Result<Session, pillarbox_protocol::contract::Fault>,
    ) -> Result<wit::Session, Fault> {
        result
            .map(|session| wit::Session::new(Self(RefCell::new(session))))
            .map_err(Convert::convert)
    }
}

fn progress(
    result: Result<own::Progress, pillarbox_protocol::contract::Fault>,
) -> Result<wit::Progress, Fault> {
    result.map(Convert::convert).map_err(Convert::convert)
}

impl wit::Guest for Component {
    type Session = Resource;
}

impl wit::GuestSession for Resource {
    fn start(settings: wit::Settings, peer: wit::Peer) -> Result<wit::Session, Fault> {
        Self::wrap(Session::start(settings.convert(), peer.convert()))
    }

    fn open(&self) -> Result<wit::Progress, Fault> {
        progress(self.0.borrow_mut().open(&mut Imports))
    }

    fn receive(&self, octets: Vec<u8>) -> Result<wit::Progress, Fault> {
        progress(self.0.borrow_mut().receive(&octets, &mut Imports))
    }

    fn resume(&self, answer: wit::Answer) -> Result<wit::Progress, Fault> {
        progress(self.0.borrow_mut().resume(answer.convert(), &mut Imports))
    }

    fn secured(&self, facts: TlsFacts) -> Result<wit::Progress, Fault> {
        progress(self.0.borrow_mut().secured(facts.convert(), &mut Imports))
    }

    fn dismiss(&self, why: Dismissal) -> Result<wit::Progress, Fault> {
        progress(self.0.borrow_mut().dismiss(why.convert(), &mut Imports))
    }

    fn park(&self) -> Option<Vec<u8>> {
        self.0.borrow().park()
    }

    fn revive(
        settings: wit::Settings,
        peer: wit::Peer,
        facts: Option<TlsFacts>,
        identity: Option<String>,
        parked: Vec<u8>,
    ) -> Result<wit::Session, Fault> {
        Self::wrap(Session::revive(
            settings.convert(),
            peer.convert(),
            facts.convert(),
            identity,
            &parked,
        ))
    }
}
