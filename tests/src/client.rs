//! Plays a client transcript: `S:` lines are the scripted server, `C:` lines are what the client
//! session under test must send.
//!
//! Events (`E:`), in the order in which they must come; their order among the `C:` lines is free:
//!
//! ```text
//! E: ready                          E: authenticate MECHANISM
//! E: settled INDEX VERDICT REPLY    (notifies, if the server sends DSNs itself)
//! E: done                           E: failed STAGE temporary|permanent REPLY or text
//! ```

use crate::driver::facts;
use crate::escape::{Pattern, octets, written};
use crate::transcript::{Mismatch, Step, Transcript};
use pillarbox_protocol::contract::client::{
    Action, Credentials, EightBit, Loss, Outcome, Progress, Settings, Stage, TlsPolicy, Verdict,
};
use pillarbox_protocol::contract::{
    BodyType, ContentFacts, DeliverBy, DsnReturn, Envelope, ForwardPath, MOST_ACTIONS, Mechanism,
    Notify, Reply, ReversePathParameters, TlsFacts,
};
use std::collections::VecDeque;

/// The `session` resource of the `client` interface, wherever it runs. Errors are what the host
/// would log.
#[allow(
    clippy::missing_errors_doc,
    reason = "each fails with the session's fault"
)]
pub trait ClientSession {
    /// `open`.
    fn open(&mut self) -> Result<Progress, String>;
    /// `receive`.
    fn receive(&mut self, octets: &[u8]) -> Result<Progress, String>;
    /// `secured`.
    fn secured(&mut self, facts: TlsFacts) -> Result<Progress, String>;
    /// `authenticate`.
    fn authenticate(&mut self, credentials: Option<Credentials>) -> Result<Progress, String>;
    /// `submit`.
    fn submit(&mut self, envelope: Envelope, facts: ContentFacts) -> Result<Progress, String>;
    /// `supply`.
    fn supply(&mut self, octets: &[u8], last: bool) -> Result<Progress, String>;
    /// `lost`.
    fn lost(&mut self, how: Loss) -> Result<Progress, String>;
    /// `quit`.
    fn quit(&mut self) -> Result<Progress, String>;
}

/// Where client sessions come from.
pub trait ClientSessions {
    /// The session it makes.
    type Session: ClientSession;
    /// `start`.
    ///
    /// # Errors
    ///
    /// The session cannot begin.
    fn start(&mut self, settings: &Settings) -> Result<Self::Session, String>;
}

/// How the server's octets are cut, and how much content `supply` gets at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cutting {
    /// Replies that stand together come together; the content is one piece.
    Together,
    /// A line at a time; content by lines.
    ByLine,
    /// An octet at a time, both ways.
    ByOctet,
}

/// Plays a transcript.
///
/// # Errors
///
/// Where the dialogue went another way than the file says.
pub fn play<S: ClientSessions>(
    transcript: &Transcript,
    sessions: &mut S,
    cutting: Cutting,
) -> Result<(), Mismatch> {
    let (settings, credentials, verified) = settings(transcript)?;
    let first = transcript.steps.first().map_or(1, |(line, _)| *line);
    let session = sessions
        .start(&settings)
        .map_err(|text| Mismatch::new(first, text))?;
    let mut stage = Dialogue {
        session,
        cutting,
        credentials,
        verified,
        input: Vec::new(),
        output: Vec::new(),
        shown: String::new(),
        events: VecDeque::new(),
        content: Vec::new(),
        message: Vec::new(),
        supply: Vec::new(),
        handshake: false,
        closed: false,
    };
    stage
        .begin(settings.tls == TlsPolicy::Established)
        .map_err(|text| Mismatch::new(first, text))?;
    let mut said_until = 0;
    for (index, (line, step)) in transcript.steps.iter().enumerate() {
        let done = match step {
            Step::ServerSays(_) if index < said_until => Ok(()),
            Step::ServerSays(octets) if cutting == Cutting::Together => {
                let (together, until) = group(&transcript.steps, index, octets);
                said_until = until;
                stage.hear(&together)
            }
            Step::ServerSays(octets) => stage.hear(octets),
            other => stage.step(other),
        };
        done.map_err(|text| Mismatch::new(*line, text))?;
    }
    let last = transcript.steps.last().map_or(1, |(line, _)| *line);
    stage.end().map_err(|text| Mismatch::new(last, text))
}

/// What the server says from here until the client must act.
fn group(steps: &[(usize, Step)], index: usize, first: &[u8]) -> (Vec<u8>, usize) {
    let mut together = first.to_vec();
    for (offset, (_, step)) in steps[index + 1..].iter().enumerate() {
        match step {
            Step::ServerSays(octets) => together.extend_from_slice(octets),
            Step::Event(_) => {}
            _ => return (together, index + 1 + offset),
        }
    }
    (together, steps.len())
}

fn settings(transcript: &Transcript) -> Result<(Settings, Option<Credentials>, bool), Mismatch> {
    let mut settings = Settings {
        hostname: "client.example.org".into(),
        server: "mail.example.net".into(),
        port: 587,
        tls: TlsPolicy::Off,
        mechanisms: Vec::new(),
        clear_text: false,
        eight_bit: EightBit::Refuse,
        chunking: false,
        proven: true,
        lmtp: false,
    };
    let mut credentials = None;
    let mut verified = true;
    for (line, key, value) in &transcript.settings {
        let wrong = || Mismatch::new(*line, format!("{key} does not take {value}"));
        let yes = || match value.as_str() {
            "yes" => Ok(true),
            "no" => Ok(false),
            _ => Err(wrong()),
        };
        match key.as_str() {
            "hostname" => settings.hostname = value.clone(),
            "tls" => {
                settings.tls = match value.as_str() {
                    "off" => TlsPolicy::Off,
                    "opportunistic" => TlsPolicy::Opportunistic,
                    "required" => TlsPolicy::Required,
                    "established" => TlsPolicy::Established,
                    _ => return Err(wrong()),
                }
            }
            "mechanisms" => {
                settings.mechanisms = value
                    .split(' ')
                    .map(|name| Mechanism::from_name(name.as_bytes()).ok_or_else(wrong))
                    .collect::<Result<_, _>>()?;
            }
            "clear-text" => settings.clear_text = yes()?,
            "lmtp" => settings.lmtp = yes()?,
            "chunking" => settings.chunking = yes()?,
            "proven" => settings.proven = yes()?,
            "eight-bit" => {
                settings.eight_bit = match value.as_str() {
                    "refuse" => EightBit::Refuse,
                    "convert" => EightBit::Convert,
                    _ => return Err(wrong()),
                }
            }
            "verified" => verified = yes()?,
            "credentials" => {
                let (user, secret) = value.split_once(' ').ok_or_else(wrong)?;
                credentials = Some(Credentials {
                    user: user.into(),
                    domain: String::new(),
                    workstation: String::new(),
                    secret: secret.into(),
                });
            }
            _ => return Err(Mismatch::new(*line, format!("unknown setting {key}"))),
        }
    }
    Ok((settings, credentials, verified))
}

/// The dialogue so far.
struct Dialogue<S> {
    session: S,
    cutting: Cutting,
    credentials: Option<Credentials>,
    verified: bool,
    /// The server's octets that were not consumed.
    input: Vec<u8>,
    /// The client's octets that no line of the file has taken yet.
    output: Vec<u8>,
    /// What a trace shows for the last confided octets.
    shown: String,
    events: VecDeque<String>,
    /// The message that the next `SUBMIT` hands over.
    content: Vec<u8>,
    /// The message being sent.
    message: Vec<u8>,
    /// What is left of it.
    supply: Vec<u8>,
    handshake: bool,
    closed: bool,
}

impl<S: ClientSession> Dialogue<S> {
    fn begin(&mut self, established: bool) -> Result<(), String> {
        if established {
            self.secure()?;
        }
        let progress = self.session.open()?;
        self.carry_out(progress, &[])
    }

    fn secure(&mut self) -> Result<(), String> {
        let facts = TlsFacts {
            verified: self.verified,
            ..facts()
        };
        let progress = self.session.secured(facts)?;
        self.carry_out(progress, &[])
    }

    fn hear(&mut self, octets: &[u8]) -> Result<(), String> {
        if !self.output.is_empty() {
            return Err(self.unexpected());
        }
        if self.closed {
            return Err("the client has closed".into());
        }
        let size = match self.cutting {
            Cutting::ByOctet => 1,
            Cutting::Together | Cutting::ByLine => octets.len().max(1),
        };
        for piece in octets.chunks(size) {
            self.input.extend_from_slice(piece);
            self.offer()?;
        }
        Ok(())
    }

    fn offer(&mut self) -> Result<(), String> {
        while !self.input.is_empty() && !self.handshake && !self.closed {
            let buffer = self.input.clone();
            let progress = self.session.receive(&buffer)?;
            let consumed = progress.consumed as usize;
            if consumed > buffer.len() {
                return Err(format!("{consumed} of {} octets consumed", buffer.len()));
            }
            self.input.drain(..consumed);
            self.carry_out(progress, &[])?;
            if consumed == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Carries out what a call gave, and what comes of that; `given` is what `supply` was given.
    fn carry_out(&mut self, progress: Progress, given: &[u8]) -> Result<(), String> {
        let mut next = self.carry_out_one(progress, given)?;
        while let Some((progress, given)) = next {
            next = self.carry_out_one(progress, &given)?;
        }
        Ok(())
    }

    /// The progress that it led to, and what was supplied for it.
    fn carry_out_one(
        &mut self,
        progress: Progress,
        given: &[u8],
    ) -> Result<Option<(Progress, Vec<u8>)>, String> {
        let others = progress
            .actions
            .iter()
            .filter(|action| !matches!(action, Action::Settled(..)))
            .count();
        if others > MOST_ACTIONS {
            return Err(format!("{others} actions"));
        }
        let mut hungry = false;
        let mut asked = false;
        for action in progress.actions {
            match action {
                Action::Send(octets) | Action::Insert(octets) => {
                    self.output.extend_from_slice(&octets);
                }
                Action::Confide(octets, shown) => {
                    self.output.extend_from_slice(&octets);
                    self.shown = shown;
                }
                Action::Content(span) => {
                    let start = span.offset as usize;
                    let piece = given
                        .get(start..start + span.length as usize)
                        .ok_or("a span outside what supply was given")?;
                    self.output.extend_from_slice(piece);
                }
                Action::Authenticate(mechanism) => {
                    self.events
                        .push_back(format!("authenticate {}", mechanism.name()));
                    asked = true;
                }
                Action::Hungry => hungry = true,
                Action::Pass(length) => {
                    let length = usize::try_from(length)
                        .ok()
                        .filter(|length| *length <= self.supply.len())
                        .ok_or("more content passes than there is")?;
                    self.output.extend(self.supply.drain(..length));
                }
                Action::Rewind => self.supply.clone_from(&self.message),
                Action::Ready(_) => self.events.push_back("ready".into()),
                Action::Settled(index, outcome) => self.events.push_back(settled(index, &outcome)),
                Action::Done => self.events.push_back("done".into()),
                Action::Failed(failure) => self.events.push_back(format!(
                    "failed {} {} {}",
                    stage_name(failure.stage),
                    if failure.temporary {
                        "temporary"
                    } else {
                        "permanent"
                    },
                    failure.reply.as_ref().map_or(failure.text, reply_text),
                )),
                Action::StartTls => self.handshake = true,
                Action::Close => self.closed = true,
                Action::Report(_) => {}
                Action::Derive(_) => return Err("PBKDF2 in a transcript".into()),
            }
        }
        if asked {
            let progress = self.session.authenticate(self.credentials.clone())?;
            return Ok(Some((progress, Vec::new())));
        }
        if hungry {
            return self.feed().map(Some);
        }
        Ok(None)
    }

    fn feed(&mut self) -> Result<(Progress, Vec<u8>), String> {
        let size = match self.cutting {
            Cutting::Together => self.supply.len(),
            Cutting::ByLine => self
                .supply
                .iter()
                .position(|octet| *octet == b'\n')
                .map_or(self.supply.len(), |end| end + 1),
            Cutting::ByOctet => self.supply.len().min(1),
        };
        let piece: Vec<u8> = self.supply.drain(..size).collect();
        let last = self.supply.is_empty();
        let progress = self.session.supply(&piece, last)?;
        Ok((progress, piece))
    }

    fn unexpected(&self) -> String {
        format!("unexpected: C: {}", written(&self.output))
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Command(pattern) => self.expect_line(pattern),
            Step::Octets(octets) => self.expect_octets(octets),
            Step::Trace(shown) if *shown == self.shown => Ok(()),
            Step::Trace(_) => Err(format!("a trace shows: {}", self.shown)),
            Step::Event(expected) => self.expect_event(expected),
            Step::Content(line) => {
                self.content.extend_from_slice(&octets(line)?);
                Ok(())
            }
            Step::Submit(envelope) => self.submit(envelope),
            Step::Tls if self.handshake => {
                self.handshake = false;
                self.secure()?;
                self.offer()
            }
            Step::Tls => Err("no handshake is due".into()),
            Step::Lost(how) => {
                let how = match how.as_str() {
                    "closed" => Loss::Closed,
                    "timeout" => Loss::Timeout,
                    "handshake" => Loss::Handshake,
                    _ => return Err(format!("no loss: {how}")),
                };
                let progress = self.session.lost(how)?;
                self.carry_out(progress, &[])
            }
            Step::Quit => {
                let progress = self.session.quit()?;
                self.carry_out(progress, &[])
            }
            Step::Close if !self.output.is_empty() => Err(self.unexpected()),
            Step::Close if self.closed => Ok(()),
            Step::Close => Err("the client does not close".into()),
            other => Err(format!("not a step of the client role: {other:?}")),
        }
    }

    fn expect_line(&mut self, pattern: &Pattern) -> Result<(), String> {
        let end = self.output.windows(2).position(|pair| pair == b"\r\n");
        let Some(end) = end else {
            return Err(format!(
                "no line came, but {:?} and {}",
                self.events,
                written(&self.output)
            ));
        };
        let line = self.output[..end].to_vec();
        self.output.drain(..end + 2);
        if pattern.fits(&line) {
            Ok(())
        } else {
            Err(format!("came: C: {}", written(&line)))
        }
    }

    fn expect_octets(&mut self, octets: &[u8]) -> Result<(), String> {
        if !self.output.starts_with(octets) {
            return Err(self.unexpected());
        }
        self.output.drain(..octets.len());
        Ok(())
    }

    fn expect_event(&mut self, expected: &str) -> Result<(), String> {
        let came = self
            .events
            .pop_front()
            .ok_or_else(|| format!("nothing came, and {}", written(&self.output)))?;
        if Pattern::read(expected)?.fits(came.as_bytes()) {
            Ok(())
        } else {
            Err(format!("came: E: {came}"))
        }
    }

    fn submit(&mut self, text: &str) -> Result<(), String> {
        self.message = std::mem::take(&mut self.content);
        self.supply.clone_from(&self.message);
        let facts = content_facts(&self.message);
        let progress = self.session.submit(envelope(text)?, facts)?;
        self.carry_out(progress, &[])
    }

    fn end(&self) -> Result<(), String> {
        if !self.output.is_empty() {
            return Err(self.unexpected());
        }
        match self.events.front() {
            Some(event) => Err(format!("unexpected: E: {event}")),
            None => Ok(()),
        }
    }
}

fn settled(index: u32, outcome: &Outcome) -> String {
    let verdict = match outcome.verdict {
        Verdict::Accepted => "accepted",
        Verdict::Deferred => "deferred",
        Verdict::Failed => "failed",
        Verdict::Again => "again",
        Verdict::Unknown => "unknown",
    };
    let notifies = if outcome.notifies { " notifies" } else { "" };
    let reply = outcome.reply.as_ref().map(reply_text).unwrap_or_default();
    format!("settled {index} {verdict}{notifies} {reply}")
        .trim_end()
        .into()
}

fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Connect => "connect",
        Stage::Tls => "tls",
        Stage::Authentication => "authentication",
        Stage::Envelope => "envelope",
        Stage::Content => "content",
        Stage::Ended => "ended",
    }
}

fn reply_text(reply: &Reply) -> String {
    let status = reply
        .status
        .map(|(class, subject, detail)| format!(" {class}.{subject}.{detail}"))
        .unwrap_or_default();
    format!("{}{status} {}", reply.code, reply.lines.join(" / "))
}

/// The facts that matter for sending, computed on their own.
fn content_facts(content: &[u8]) -> ContentFacts {
    let body = content
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .map_or(content.len(), |end| end + 4);
    ContentFacts {
        size: content.len() as u64,
        header_eight_bit: content[..body].iter().any(|octet| *octet > 127),
        body_eight_bit: content[body..].iter().any(|octet| *octet > 127),
        bare: content.iter().enumerate().any(|(at, octet)| match octet {
            b'\r' => content.get(at + 1) != Some(&b'\n'),
            b'\n' => at == 0 || content[at - 1] != b'\r',
            _ => false,
        }),
        binary: content.contains(&0)
            || content
                .split(|octet| *octet == b'\n')
                .any(|line| line.len() > 999),
        signed: content.starts_with(b"DKIM-Signature:"),
        ..ContentFacts::default()
    }
}

/// `SENDER [KEY=VALUE …] -> RECIPIENT [notify=…] [orcpt=…], …`
fn envelope(text: &str) -> Result<Envelope, String> {
    let (sender, recipients) = text.split_once(" -> ").ok_or("SUBMIT needs an arrow")?;
    let mut words = sender.split(' ');
    let reverse_path = match words.next() {
        Some("<>") | None => String::new(),
        Some(mailbox) => mailbox.into(),
    };
    let mut parameters = ReversePathParameters::default();
    for word in words {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match (key, value) {
            ("body", "8BITMIME") => parameters.body = BodyType::EightBitMime,
            ("body", "BINARYMIME") => parameters.body = BodyType::BinaryMime,
            ("requiretls", "") => parameters.require_tls = true,
            ("priority", _) => {
                parameters.priority = Some(value.parse().map_err(|_| format!("{word}?"))?);
            }
            ("holdfor", _) => {
                parameters.hold_for = Some(value.parse().map_err(|_| format!("{word}?"))?);
            }
            ("by", _) => parameters.deliver_by = Some(deliver_by(value)?),
            ("smtputf8", "") => parameters.smtputf8 = true,
            ("ret", "FULL") => parameters.ret = Some(DsnReturn::Full),
            ("ret", "HDRS") => parameters.ret = Some(DsnReturn::Headers),
            ("envid", _) => parameters.envid = Some(value.into()),
            ("auth", "<>") => parameters.auth = Some(String::new()),
            ("auth", _) => parameters.auth = Some(value.into()),
            _ => return Err(format!("unknown parameter {word}")),
        }
    }
    Ok(Envelope {
        id: "t1-1".into(),
        reverse_path,
        parameters,
        forward_paths: recipients
            .split(", ")
            .map(forward_path)
            .collect::<Result<_, _>>()?,
        protocol: "ESMTP".into(),
        greeted: String::new(),
    })
}

/// `SECONDS;N` or `SECONDS;R`, and `T` for a trace.
fn deliver_by(text: &str) -> Result<DeliverBy, String> {
    let (seconds, mode) = text.split_once(';').ok_or("by needs a mode")?;
    Ok(DeliverBy {
        seconds: seconds.parse().map_err(|_| format!("by={text}?"))?,
        notify: mode.starts_with('N'),
        trace: mode.ends_with('T'),
    })
}

fn forward_path(text: &str) -> Result<ForwardPath, String> {
    let mut words = text.split(' ');
    let mut path = ForwardPath {
        mailbox: words.next().unwrap_or_default().into(),
        notify: None,
        orcpt: None,
    };
    for word in words {
        match word.split_once('=') {
            Some(("notify", names)) => {
                let has = |name: &str| names.split(',').any(|one| one == name);
                path.notify = Some(Notify {
                    never: has("NEVER"),
                    success: has("SUCCESS"),
                    failure: has("FAILURE"),
                    delay: has("DELAY"),
                });
            }
            Some(("orcpt", value)) => {
                let (kind, address) = value.split_once(';').ok_or("ORCPT needs a semicolon")?;
                path.orcpt = Some((kind.into(), address.into()));
            }
            _ => return Err(format!("unknown parameter {word}")),
        }
    }
    Ok(path)
}
