//! A [`Player`] over a server session: the loop of `wit/submission.wit` in memory, with the rules
//! that a host holds a session to.

use crate::server::{Event, Feeding, Message, Player};
use pillarbox_protocol::contract::server::{Action, Answer, Peer, Progress, Question, Settings};
use pillarbox_protocol::contract::{
    Dismissal, Envelope, MOST_ACTIONS, MOST_LINE, MOST_OCTETS, MOST_PARKED, Phase, TlsFacts,
};
use std::collections::VecDeque;

/// The `session` resource of the `server` interface, wherever it runs. Errors are what the host
/// would log: a fault, a trap, a breach of the contract.
pub trait ServerSession {
    /// `open`.
    ///
    /// # Errors
    ///
    /// The session failed.
    fn open(&mut self) -> Result<Progress, String>;
    /// `receive`.
    ///
    /// # Errors
    ///
    /// The session failed.
    fn receive(&mut self, octets: &[u8]) -> Result<Progress, String>;
    /// `resume`.
    ///
    /// # Errors
    ///
    /// The session failed.
    fn resume(&mut self, answer: Answer) -> Result<Progress, String>;
    /// `secured`.
    ///
    /// # Errors
    ///
    /// The session failed.
    fn secured(&mut self, facts: TlsFacts) -> Result<Progress, String>;
    /// `dismiss`.
    ///
    /// # Errors
    ///
    /// The session failed.
    fn dismiss(&mut self, why: Dismissal) -> Result<Progress, String>;
    /// `park`.
    ///
    /// # Errors
    ///
    /// The session failed.
    fn park(&mut self) -> Result<Option<Vec<u8>>, String>;
}

/// Where sessions come from.
pub trait ServerSessions {
    /// The session it makes.
    type Session: ServerSession;
    /// `start`.
    ///
    /// # Errors
    ///
    /// The session cannot begin.
    fn start(&mut self, settings: &Settings, peer: &Peer) -> Result<Self::Session, String>;
    /// `revive`, in a fresh instance.
    ///
    /// # Errors
    ///
    /// The session cannot come back.
    fn revive(
        &mut self,
        settings: &Settings,
        peer: &Peer,
        facts: Option<TlsFacts>,
        identity: Option<String>,
        parked: &[u8],
    ) -> Result<Self::Session, String>;
}

/// What every handshake of a transcript yields that does not say otherwise.
pub fn facts() -> TlsFacts {
    TlsFacts {
        version: "TLSv1.3".into(),
        cipher: "TLS_AES_256_GCM_SHA384".into(),
        verified: false,
        server_end_point: Some((0..32).collect()),
        exporter: Some((0..32).collect()),
    }
}

/// A session and all that a host keeps for it.
pub struct Driver<S: ServerSessions> {
    sessions: S,
    session: Option<S::Session>,
    origin: Option<(Settings, Peer)>,
    facts: Option<TlsFacts>,
    identity: Option<String>,
    /// What handshakes yield.
    handshake: TlsFacts,
    /// Octets that were not consumed.
    buffer: Vec<u8>,
    events: VecDeque<Event>,
    asked: bool,
    /// A handshake is due, or the session is over: octets that still come are dropped.
    deaf: bool,
    parks: bool,
    message: Option<Message>,
}

impl<S: ServerSessions> Driver<S> {
    /// No session yet.
    pub fn new(sessions: S) -> Self {
        Self {
            sessions,
            session: None,
            origin: None,
            facts: None,
            identity: None,
            handshake: facts(),
            buffer: Vec::new(),
            events: VecDeque::new(),
            asked: false,
            deaf: false,
            parks: false,
            message: None,
        }
    }

    fn session(&mut self) -> Result<&mut S::Session, String> {
        self.session
            .as_mut()
            .ok_or_else(|| "no session was started".into())
    }

    /// Carries out what a call gave; its buffer was the first `given` octets of ours.
    fn carry_out(&mut self, progress: Progress, given: usize) -> Result<(), String> {
        let consumed = progress.consumed as usize;
        if consumed > given {
            return Err(format!("{consumed} of {given} octets consumed"));
        }
        if progress.actions.len() > MOST_ACTIONS {
            return Err(format!("{} actions", progress.actions.len()));
        }
        let asks = progress.question.is_some() || self.asked;
        if asks != (progress.waiting_for == Phase::Answer) {
            return Err("waiting for an answer and a question belong together".into());
        }
        if let Some(envelope) = progress.envelope {
            self.begin(envelope)?;
        }
        let count = progress.actions.len();
        for (index, action) in progress.actions.into_iter().enumerate() {
            if matches!(action, Action::StartTls | Action::Close) && index + 1 != count {
                return Err("start-tls and close come last".into());
            }
            self.act(action, given)?;
        }
        self.buffer.drain(..consumed);
        if let Some(question) = progress.question {
            self.ask(question)?;
        }
        Ok(())
    }

    fn begin(&mut self, envelope: Envelope) -> Result<(), String> {
        if envelope.forward_paths.is_empty() {
            return Err("an envelope without a recipient".into());
        }
        self.message = Some(Message {
            envelope,
            content: Vec::new(),
        });
        Ok(())
    }

    fn act(&mut self, action: Action, given: usize) -> Result<(), String> {
        match action {
            Action::Send(octets) => match self.events.back_mut() {
                Some(Event::Octets(before)) => before.extend_from_slice(&octets),
                _ => self.events.push_back(Event::Octets(octets)),
            },
            Action::StartTls => {
                self.deaf = true;
                self.events.push_back(Event::StartTls);
            }
            Action::Close => {
                self.deaf = true;
                self.events.push_back(Event::Closed);
            }
            Action::Content(span) => {
                let start = span.offset as usize;
                let end = start + span.length as usize;
                if end > given {
                    return Err(format!("span {start}..{end} of {given} octets"));
                }
                let piece = self.buffer[start..end].to_vec();
                self.content()?.extend_from_slice(&piece);
            }
            Action::Insert(octets) => self.content()?.extend_from_slice(&octets),
            Action::Pass(_) => return Err("pass, where nothing is binary".into()),
            Action::Abandon => self.message = None,
            Action::Report(_) => {}
        }
        Ok(())
    }

    fn content(&mut self) -> Result<&mut Vec<u8>, String> {
        self.message
            .as_mut()
            .map(|message| &mut message.content)
            .ok_or_else(|| "content without an envelope".into())
    }

    fn ask(&mut self, question: Question) -> Result<(), String> {
        let message = match &question {
            Question::Store(facts) => {
                let message = self.message.take().ok_or("store without an envelope")?;
                if facts.size != message.content.len() as u64 {
                    return Err(format!(
                        "facts say {} octets, content has {}",
                        facts.size,
                        message.content.len()
                    ));
                }
                Some(Box::new(message))
            }
            _ => None,
        };
        self.asked = true;
        self.events
            .push_back(Event::Question(Box::new(question), message));
        Ok(())
    }

    /// Offers the buffer until the session wants more octets, an answer, or nothing.
    fn offer(&mut self) -> Result<(), String> {
        while !self.buffer.is_empty() && !self.asked && !self.deaf {
            let given = self.buffer.len().min(MOST_OCTETS);
            let buffer = self.buffer[..given].to_vec();
            let progress = self.session()?.receive(&buffer)?;
            let used = progress.consumed as usize;
            self.carry_out(progress, given)?;
            if used == 0 && !self.asked && !self.deaf {
                if self.buffer.len() > MOST_LINE {
                    return Err(format!("{} octets left unconsumed", self.buffer.len()));
                }
                break;
            }
        }
        if self.deaf {
            self.buffer.clear();
        }
        if self.parks && !self.asked && !self.deaf {
            self.park_and_revive()?;
        }
        Ok(())
    }

    fn park_and_revive(&mut self) -> Result<(), String> {
        let Some(parked) = self.session()?.park()? else {
            return Ok(());
        };
        if parked.len() > MOST_PARKED {
            return Err(format!("parked as {} octets", parked.len()));
        }
        let (settings, peer) = self.origin.as_ref().ok_or("no session was started")?;
        self.session = Some(self.sessions.revive(
            settings,
            peer,
            self.facts.clone(),
            self.identity.clone(),
            &parked,
        )?);
        Ok(())
    }
}

impl<S: ServerSessions> Player for Driver<S> {
    fn start(&mut self, settings: &Settings, peer: &Peer, facts: &TlsFacts) -> Result<(), String> {
        use pillarbox_protocol::contract::server::TlsPolicy;
        self.origin = Some((settings.clone(), peer.clone()));
        self.handshake = facts.clone();
        self.session = Some(self.sessions.start(settings, peer)?);
        if settings.tls == TlsPolicy::Established {
            self.facts = Some(facts.clone());
            let progress = self.session()?.secured(facts.clone())?;
            self.carry_out(progress, 0)?;
        }
        let progress = self.session()?.open()?;
        self.carry_out(progress, 0)
    }

    fn send(&mut self, octets: &[u8], feeding: Feeding) -> Result<(), String> {
        self.parks = feeding == Feeding::Parked;
        let size = match feeding {
            Feeding::ByOctet => 1,
            _ => octets.len().max(1),
        };
        for piece in octets.chunks(size) {
            if self.deaf {
                return Ok(());
            }
            self.buffer.extend_from_slice(piece);
            self.offer()?;
        }
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Event>, String> {
        Ok(self.events.pop_front())
    }

    fn answer(&mut self, answer: Answer) -> Result<(), String> {
        if let Answer::Granted(identity, _) = &answer {
            self.identity = Some(identity.clone());
        }
        self.asked = false;
        let progress = self.session()?.resume(answer)?;
        self.carry_out(progress, 0)?;
        self.offer()
    }

    fn secure(&mut self) -> Result<(), String> {
        self.deaf = false;
        let facts = self.handshake.clone();
        self.facts = Some(facts.clone());
        let progress = self.session()?.secured(facts)?;
        self.carry_out(progress, 0)?;
        self.offer()
    }

    fn dismiss(&mut self, why: Dismissal) -> Result<(), String> {
        let progress = self.session()?.dismiss(why)?;
        self.carry_out(progress, 0)
    }

    fn sees_questions(&self) -> bool {
        true
    }
}
