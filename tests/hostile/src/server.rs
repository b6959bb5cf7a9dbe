//! The server role: honest as far as a test needs it, and then not.
//!
//! Honest is: EHLO, AUTH PLAIN (with whatever response; the question is always alice's), MAIL,
//! RCPT, DATA, QUIT; a line at a time, content without dot-stuffing.

use crate::behaviour::Behaviour;
use crate::bindings::exports::pillarbox::submission::server as wit;
use crate::bindings::pillarbox::submission::types::{
    BodyType, ContentFacts, Dismissal, Envelope, Fault, ForwardPath, Mechanism, Phase,
    ReversePathParameters, Span, TlsFacts,
};
use crate::export::Component;
use alloc::{format, string::String, vec, vec::Vec};
use core::cell::RefCell;

/// A session.
pub(crate) struct Session {
    behaviour: Behaviour,
    hostname: String,
    serial: String,
    required: bool,
    tls: wit::TlsPolicy,
    transactions: u32,
    identity: bool,
    reverse_path: String,
    forward_paths: Vec<String>,
    /// DATA was answered with 354.
    content: bool,
}

/// The resource behind `server.session`.
pub(crate) struct Resource(RefCell<Session>);

impl wit::Guest for Component {
    type Session = Resource;
}

fn progress(consumed: usize, actions: Vec<wit::Action>) -> wit::Progress {
    wit::Progress {
        consumed: u32::try_from(consumed).unwrap_or(u32::MAX),
        actions,
        envelope: None,
        question: None,
        waiting_for: Phase::Command,
    }
}

fn say(line: &str) -> wit::Action {
    wit::Action::Send(format!("{line}\r\n").into_bytes())
}

impl Session {
    fn line(&mut self, octets: &[u8]) -> wit::Progress {
        let Some(end) = octets.windows(2).position(|pair| pair == b"\r\n") else {
            return progress(0, Vec::new());
        };
        let consumed = end + 2;
        let line = String::from_utf8_lossy(&octets[..end]);
        let upper = line.to_ascii_uppercase();
        let argument = || {
            let start = line.find('<').map_or(line.len(), |at| at + 1);
            String::from(line[start..].split('>').next().unwrap_or_default())
        };
        let mut waiting_for = Phase::Command;
        let reply = match upper.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => {
                return progress(
                    consumed,
                    vec![
                        say(&format!("250-{} greets you", self.hostname)),
                        say("250 AUTH PLAIN"),
                    ],
                );
            }
            "AUTH" => return self.password(consumed),
            "MAIL" if self.required && !self.identity && self.behaviour != Behaviour::Grant => {
                "530 5.7.0 authentication required"
            }
            "MAIL" => {
                self.reverse_path = argument();
                "250 2.1.0 sender ok"
            }
            "RCPT" => {
                self.forward_paths.push(argument());
                "250 2.1.5 recipient ok"
            }
            "DATA" => {
                self.content = true;
                waiting_for = Phase::Content;
                "354 end with CRLF.CRLF"
            }
            "QUIT" => {
                let farewell = say(&format!("221 2.0.0 {} closing", self.hostname));
                let mut last = progress(consumed, vec![farewell, wit::Action::Close]);
                last.waiting_for = Phase::Closed;
                return last;
            }
            _ => "250 2.0.0 ok",
        };
        wit::Progress {
            waiting_for,
            ..progress(consumed, vec![say(reply)])
        }
    }

    fn password(&self, consumed: usize) -> wit::Progress {
        wit::Progress {
            question: Some(wit::Question::Password(wit::PasswordCheck {
                authorization: String::new(),
                user: "alice".into(),
                password: b"secret".to_vec(),
            })),
            waiting_for: Phase::Answer,
            ..progress(consumed, Vec::new())
        }
    }

    fn message(&mut self, octets: &[u8]) -> wit::Progress {
        let Some(end) = octets.windows(5).position(|five| five == b"\r\n.\r\n") else {
            return wit::Progress {
                waiting_for: Phase::Content,
                ..progress(0, Vec::new())
            };
        };
        self.content = false;
        self.transactions += 1;
        let length = u32::try_from(end + 2).unwrap_or(u32::MAX);
        let span = Span {
            offset: 0,
            length: match self.behaviour {
                Behaviour::Span => u32::MAX,
                _ => length,
            },
        };
        let action = match self.behaviour {
            Behaviour::Pass => wit::Action::Pass(u64::MAX),
            _ => wit::Action::Content(span),
        };
        wit::Progress {
            envelope: match self.behaviour {
                Behaviour::Insert => None,
                _ => Some(self.envelope()),
            },
            question: Some(store(u64::from(length))),
            waiting_for: Phase::Answer,
            ..progress(end + 5, vec![action])
        }
    }

    fn envelope(&mut self) -> Envelope {
        let mut mailboxes = core::mem::take(&mut self.forward_paths);
        if self.behaviour == Behaviour::Question {
            mailboxes.push("mallory@elsewhere.example".into());
        }
        Envelope {
            id: match self.behaviour {
                Behaviour::Identifier => format!("other-{}", self.transactions),
                _ => format!("{}-{}", self.serial, self.transactions),
            },
            reverse_path: match self.behaviour {
                Behaviour::Sender => "mallory@elsewhere.example".into(),
                _ => core::mem::take(&mut self.reverse_path),
            },
            parameters: ReversePathParameters {
                body: BodyType::SevenBit,
                size: None,
                smtputf8: false,
                ret: None,
                envid: None,
                auth: None,
                require_tls: false,
                hold_for: None,
                deliver_by: None,
                priority: None,
            },
            forward_paths: mailboxes
                .into_iter()
                .map(|mailbox| ForwardPath {
                    mailbox,
                    notify: None,
                    orcpt: None,
                })
                .collect(),
            protocol: "ESMTP".into(),
            greeted: "client.example.org".into(),
        }
    }

    /// What the behaviour does instead of reading a command.
    fn misbehave(&mut self, octets: &[u8]) -> Option<wit::Progress> {
        let given = octets.len();
        Some(match self.behaviour {
            Behaviour::Loop => loop {
                core::hint::black_box(given);
            },
            Behaviour::Allocate => {
                let mut held: Vec<Vec<u8>> = Vec::new();
                loop {
                    held.push(core::hint::black_box(vec![1; 65_536]));
                }
            }
            Behaviour::Trap => core::arch::wasm32::unreachable(),
            Behaviour::Consumed => progress(given + 1, Vec::new()),
            Behaviour::Actions => progress(given, (0..65).map(|_| say("250 ok")).collect()),
            Behaviour::Store => wit::Progress {
                question: Some(store(0)),
                waiting_for: Phase::Answer,
                ..progress(given, Vec::new())
            },
            Behaviour::Stall => progress(0, Vec::new()),
            Behaviour::Answer => wit::Progress {
                waiting_for: Phase::Answer,
                ..progress(0, Vec::new())
            },
            Behaviour::Reply => progress(given, vec![say("hello there")]),
            Behaviour::Close => progress(given, vec![wit::Action::Close, say("250 ok")]),
            _ => return None,
        })
    }
}

fn store(size: u64) -> wit::Question {
    wit::Question::Store(ContentFacts {
        size,
        header_eight_bit: false,
        body_eight_bit: false,
        binary: false,
        bare: false,
        signed: false,
        message_id: String::new(),
        tls_waived: false,
        authors: Vec::new(),
    })
}

impl wit::GuestSession for Resource {
    fn start(settings: wit::Settings, _: wit::Peer) -> Result<wit::Session, Fault> {
        // The imports are used, so that the build's import list is the ordinary one.
        let _ = wasi::clocks::wall_clock::now();
        let _ = wasi::random::random::get_random_u64();
        let _ = settings.mechanisms.contains(&Mechanism::Plain);
        Ok(wit::Session::new(Self(RefCell::new(Session {
            behaviour: Behaviour::of(&settings.hostname),
            hostname: settings.hostname,
            serial: settings.serial,
            required: settings.authentication_required,
            tls: settings.tls,
            transactions: 0,
            identity: false,
            reverse_path: String::new(),
            forward_paths: Vec::new(),
            content: false,
        }))))
    }

    fn open(&self) -> Result<wit::Progress, Fault> {
        let greeting = say(&format!("220 {} ESMTP ready", self.0.borrow().hostname));
        Ok(progress(0, vec![greeting]))
    }

    fn receive(&self, octets: Vec<u8>) -> Result<wit::Progress, Fault> {
        let mut session = self.0.borrow_mut();
        if let Some(lie) = session.misbehave(&octets) {
            return Ok(lie);
        }
        Ok(if session.content {
            session.message(&octets)
        } else {
            session.line(&octets)
        })
    }

    fn resume(&self, answer: wit::Answer) -> Result<wit::Progress, Fault> {
        let mut session = self.0.borrow_mut();
        let reply = match answer {
            wit::Answer::Granted(_) => {
                session.identity = true;
                "235 2.7.0 authentication successful"
            }
            wit::Answer::Stored if session.behaviour == Behaviour::Again => {
                return Ok(wit::Progress {
                    question: Some(store(0)),
                    waiting_for: Phase::Answer,
                    ..progress(0, Vec::new())
                });
            }
            wit::Answer::Stored => "250 2.6.0 queued",
            wit::Answer::Refused => "535 5.7.8 authentication failed",
            _ => "451 4.3.0 local error, try again",
        };
        Ok(progress(0, vec![say(reply)]))
    }

    fn secured(&self, _: TlsFacts) -> Result<wit::Progress, Fault> {
        let waiting_for = match self.0.borrow().tls {
            wit::TlsPolicy::Established => Phase::Greeting,
            _ => Phase::Command,
        };
        Ok(wit::Progress {
            waiting_for,
            ..progress(0, Vec::new())
        })
    }

    fn dismiss(&self, _: Dismissal) -> Result<wit::Progress, Fault> {
        let hostname = self.0.borrow().hostname.clone();
        let reply = say(&format!("421 4.3.2 {hostname} shutting down"));
        Ok(wit::Progress {
            waiting_for: Phase::Closed,
            ..progress(0, vec![reply, wit::Action::Close])
        })
    }

    fn park(&self) -> Option<Vec<u8>> {
        (self.0.borrow().behaviour == Behaviour::Park).then(|| vec![0; 8_193])
    }

    fn revive(
        _: wit::Settings,
        _: wit::Peer,
        _: Option<TlsFacts>,
        _: Option<String>,
        _: Vec<u8>,
    ) -> Result<wit::Session, Fault> {
        Err(Fault {
            text: "this build parks nothing".into(),
        })
    }
}
