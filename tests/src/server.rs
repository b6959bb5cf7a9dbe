//! Plays a server transcript on anything that speaks: the library's session, the built component
//! in its sandbox, or the whole service over a socket.

use crate::escape::{Pattern, lines_fit, written};
use crate::question;
use crate::settings::{facts, settings};
use crate::transcript::{Mismatch, Step, Transcript};
use pillarbox_protocol::contract::server::{Answer, Peer, Question, Settings};
use pillarbox_protocol::contract::{Dismissal, Envelope, TlsFacts};
use pillarbox_protocol::smtp::base64;

/// How the client's octets are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feeding {
    /// All that may be sent before the next handshake, in one piece.
    AtOnce,
    /// A line, then its replies.
    ByLine,
    /// An octet at a time.
    ByOctet,
    /// By line, and wherever the session waits it is parked and revived.
    Parked,
}

/// What a player gives to the other end of the dialogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Octets of replies.
    Octets(Vec<u8>),
    /// The host is asked. The message comes with `Question::Store`.
    Question(Box<Question>, Option<Box<Message>>),
    /// A handshake is due: [`Player::secure`] is called next.
    StartTls,
    /// The session is over.
    Closed,
}

/// What is to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The envelope that came with the content.
    pub envelope: Envelope,
    /// Content, as it would be stored.
    pub content: Vec<u8>,
}

/// One connection to whatever is being tested. Errors are sentences.
pub trait Player {
    /// Begins: with `settings`, from `peer`; for implicit TLS after the handshake. `facts` are what
    /// handshakes yield.
    ///
    /// # Errors
    ///
    /// The session cannot begin.
    fn start(&mut self, settings: &Settings, peer: &Peer, facts: &TlsFacts) -> Result<(), String>;

    /// Gives octets to the session, at once or one by one. After `StartTls` or `Closed` what is
    /// left of them is dropped.
    ///
    /// # Errors
    ///
    /// The session failed, or broke the contract.
    fn send(&mut self, octets: &[u8], feeding: Feeding) -> Result<(), String>;

    /// The next thing that came, or none if the session waits for octets. A player over a socket
    /// waits a while for octets or the close.
    ///
    /// # Errors
    ///
    /// The session failed, or broke the contract.
    fn next(&mut self) -> Result<Option<Event>, String>;

    /// Answers the question of the last event.
    ///
    /// # Errors
    ///
    /// The session failed, or broke the contract.
    fn answer(&mut self, answer: Answer) -> Result<(), String>;

    /// Does the handshake that `StartTls` announced.
    ///
    /// # Errors
    ///
    /// The handshake or the session failed.
    fn secure(&mut self) -> Result<(), String>;

    /// Ends the session from the host's side.
    ///
    /// # Errors
    ///
    /// The session failed, or the player has no way to do that.
    fn dismiss(&mut self, why: Dismissal) -> Result<(), String>;

    /// Whether questions, and the message with them, can be seen. Where not, `Q:`, `A:`, `E:` and
    /// `M:` lines are taken to have happened: the transcript says what is true of the service's
    /// users and routes ([`crate::settings::ordinary`]).
    fn sees_questions(&self) -> bool;
}

/// Plays a transcript.
///
/// # Errors
///
/// Where the dialogue went another way than the file says.
pub fn play(
    transcript: &Transcript,
    player: &mut dyn Player,
    feeding: Feeding,
) -> Result<(), Mismatch> {
    let (settings, peer) = settings(transcript)?;
    let facts = facts(transcript)?;
    let first = transcript.steps.first().map_or(1, |(line, _)| *line);
    player
        .start(&settings, &peer, &facts)
        .map_err(|text| Mismatch::new(first, text))?;
    let mut stage = Stage {
        player,
        feeding,
        output: Vec::new(),
        reply: Vec::new(),
        finished: true,
        event: None,
    };
    let mut sent_until = 0;
    let mut compared_until = 0;
    for (index, (line, step)) in transcript.steps.iter().enumerate() {
        let done = match step {
            Step::ClientSays(_) if index < sent_until => Ok(()),
            Step::ClientSays(octets) if feeding == Feeding::AtOnce => {
                let (together, until) = segment(&transcript.steps, index, octets);
                sent_until = until;
                stage.send(&together)
            }
            Step::ClientSays(octets) => stage.send(octets),
            Step::ClientProves(message) => stage.prove(message),
            Step::Content(_) if index < compared_until => Ok(()),
            Step::Content(_) => {
                let lines: Vec<&str> = transcript.steps[index..]
                    .iter()
                    .map_while(|(_, step)| match step {
                        Step::Content(line) => Some(line.as_str()),
                        _ => None,
                    })
                    .collect();
                compared_until = index + lines.len();
                stage.expect_content(&lines)
            }
            other => stage.step(other),
        };
        done.map_err(|text| Mismatch::new(*line, text))?;
    }
    match transcript.steps.last() {
        Some((_, Step::Close)) | None => Ok(()),
        Some((line, _)) => stage.end().map_err(|text| Mismatch::new(*line, text)),
    }
}

/// All that the client says from here to the next point where it must wait for something else
/// than a reply, and the index of that point.
fn segment(steps: &[(usize, Step)], index: usize, first: &[u8]) -> (Vec<u8>, usize) {
    let mut together = first.to_vec();
    for (offset, (_, step)) in steps[index + 1..].iter().enumerate() {
        match step {
            Step::ClientSays(octets) => together.extend_from_slice(octets),
            Step::Tls | Step::Dismiss(_) | Step::ClientProves(_) => {
                return (together, index + 1 + offset);
            }
            _ => {}
        }
    }
    (together, steps.len())
}

/// The dialogue so far.
struct Stage<'a> {
    player: &'a mut dyn Player,
    feeding: Feeding,
    /// Replies that no line of the file has taken yet.
    output: Vec<u8>,
    /// Lines of the last reply.
    reply: Vec<Vec<u8>>,
    /// The last reply has had its last line.
    finished: bool,
    /// What came after the output.
    event: Option<Event>,
}

impl Stage<'_> {
    fn send(&mut self, octets: &[u8]) -> Result<(), String> {
        self.pull(false)?;
        if !self.output.is_empty() {
            return Err(self.unexpected());
        }
        match &self.event {
            Some(Event::Question(question, _)) => {
                Err(format!("unanswered: Q: {}", question::text(question)))
            }
            Some(Event::Closed) => Err("the session has closed".into()),
            _ => self.player.send(octets, self.feeding),
        }
    }

    /// Sends a message whose nonce is that of the last challenge, in base64.
    fn prove(&mut self, message: &str) -> Result<(), String> {
        let challenge = self.reply.last().and_then(|line| line.get(4..));
        let challenge = challenge.and_then(base64::decode).unwrap_or_default();
        let challenge = String::from_utf8_lossy(&challenge);
        let nonce = challenge
            .split(',')
            .find_map(|attribute| attribute.strip_prefix("r="))
            .ok_or("the last reply is no server-first-message")?;
        let message = message.replace("<nonce>", nonce);
        let line = base64::encode(message.as_bytes()) + "\r\n";
        self.send(line.as_bytes())
    }

    /// Takes what has come, up to an event that is not octets. With `wanted` at least a line.
    fn pull(&mut self, wanted: bool) -> Result<(), String> {
        if !self.player.sees_questions() && !wanted {
            // Over a socket nothing tells that nothing more will come; the next line will.
            return Ok(());
        }
        while self.event.is_none() && !(wanted && self.output.contains(&b'\n')) {
            match self.player.next()? {
                None => break,
                Some(Event::Octets(octets)) => self.output.extend_from_slice(&octets),
                Some(event) => self.event = Some(event),
            }
        }
        Ok(())
    }

    fn unexpected(&self) -> String {
        format!("unexpected: S: {}", written(&self.output))
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        let sees = self.player.sees_questions();
        match step {
            Step::Reply(pattern) => self.expect_reply(pattern),
            Step::Has(line) => self.expect_capability(line, true),
            Step::Lacks(keyword) => self.expect_capability(keyword, false),
            Step::Question(text) if sees => self.expect_question(text),
            Step::Answer(text) if sees => self.answer(text),
            Step::Event(text) if sees => question::envelope_has(&self.stored()?.envelope, text),
            Step::Question(_) | Step::Answer(_) | Step::Event(_) => Ok(()),
            Step::Tls => {
                if sees {
                    self.expect_event("handshake", &Event::StartTls)?;
                    self.event = None;
                }
                self.player.secure()
            }
            Step::Dismiss(why) => {
                self.pull(false)?;
                if let Some(Event::Question(..)) | None = &self.event {
                    self.player.dismiss(question::dismissal(why)?)
                } else {
                    Err(format!("came: {:?}", self.event))
                }
            }
            Step::Close => self.expect_event("close", &Event::Closed),
            other => Err(format!("not a step of the server role: {other:?}")),
        }
    }

    fn take_line(&mut self) -> Result<Vec<u8>, String> {
        self.pull(true)?;
        let Some(end) = self.output.windows(2).position(|pair| pair == b"\r\n") else {
            let came = match &self.event {
                Some(Event::Question(question, _)) => format!("Q: {}", question::text(question)),
                Some(Event::StartTls) => "a handshake".into(),
                Some(Event::Closed) => "a close".into(),
                _ => "nothing".into(),
            };
            return Err(format!("{came} came, and {}", written(&self.output)));
        };
        let line = self.output[..end].to_vec();
        self.output.drain(..end + 2);
        // RFC 5321 section 4.5.3.1.5 (R5321-4.2-b): 512 octets with CRLF, printable ASCII. A
        // challenge may be longer (RFC 4954 section 4).
        let printable = line.iter().all(|octet| (0x20..0x7f).contains(octet));
        if !printable || line.len() < 4 || (line.len() > 510 && !line.starts_with(b"334 ")) {
            return Err(format!("no reply line: {}", written(&line)));
        }
        if self.finished {
            self.reply.clear();
        } else if self.reply.first().map(|first| &first[..3]) != line.get(..3) {
            // R5321-4.2-b: the same code on each line.
            return Err(format!("another code in one reply: {}", written(&line)));
        }
        self.finished = line.get(3) != Some(&b'-');
        self.reply.push(line.clone());
        Ok(line)
    }

    fn expect_reply(&mut self, pattern: &Pattern) -> Result<(), String> {
        let line = self.take_line()?;
        if !pattern.fits(&line) {
            return Err(format!("came: S: {}", written(&line)));
        }
        // `250-text ...` covers the rest of the reply.
        while pattern.goes_on() && pattern.is_open() && !self.finished {
            self.take_line()?;
        }
        Ok(())
    }

    fn expect_capability(&self, line: &str, there: bool) -> Result<(), String> {
        let found = self.reply.iter().skip(1).any(|capability| {
            let capability = capability.get(4..).unwrap_or_default();
            if there {
                return capability == line.as_bytes();
            }
            let end = capability
                .iter()
                .position(|octet| *octet == b' ')
                .unwrap_or(capability.len());
            capability[..end].eq_ignore_ascii_case(line.as_bytes())
        });
        if found == there {
            return Ok(());
        }
        let lines: Vec<String> = self.reply.iter().map(|line| written(line)).collect();
        Err(format!("the reply was: {}", lines.join(" / ")))
    }

    fn expect_question(&mut self, text: &str) -> Result<(), String> {
        self.pull(false)?;
        if !self.output.is_empty() {
            return Err(self.unexpected());
        }
        match &self.event {
            Some(Event::Question(question, _))
                if question::fits(text, &question::text(question)) =>
            {
                Ok(())
            }
            Some(Event::Question(question, _)) => {
                Err(format!("came: Q: {}", question::text(question)))
            }
            other => Err(format!("no question came, but {other:?}")),
        }
    }

    /// The message of the open `store` question, which `E:` and `M:` lines stand before.
    fn stored(&mut self) -> Result<&Message, String> {
        self.pull(false)?;
        if !self.output.is_empty() {
            return Err(self.unexpected());
        }
        match &self.event {
            Some(Event::Question(_, Some(message))) => Ok(message),
            other => Err(format!("nothing is to be stored, but came {other:?}")),
        }
    }

    fn expect_content(&mut self, lines: &[&str]) -> Result<(), String> {
        if !self.player.sees_questions() {
            return Ok(());
        }
        let patterns = lines
            .iter()
            .map(|line| Pattern::read(line))
            .collect::<Result<Vec<_>, _>>()?;
        let content = unfold_trace(&self.stored()?.content);
        let mut found: Vec<&[u8]> = content.split_inclusive(|octet| *octet == b'\n').collect();
        for line in &mut found {
            *line = line
                .strip_suffix(b"\r\n")
                .ok_or_else(|| format!("a line without CRLF: {}", written(&content)))?;
        }
        if lines_fit(&patterns, &found) {
            return Ok(());
        }
        Err(format!("the content is: {}", written(&content)))
    }

    fn answer(&mut self, text: &str) -> Result<(), String> {
        match self.event.take() {
            Some(Event::Question(..)) => self.player.answer(question::answer(text)?),
            other => {
                self.event = other;
                Err("no question is open".into())
            }
        }
    }

    fn expect_event(&mut self, name: &str, expected: &Event) -> Result<(), String> {
        self.pull(false)?;
        if !self.output.is_empty() {
            return Err(self.unexpected());
        }
        if self.event.is_none() {
            self.event = self.player.next()?;
        }
        match &self.event {
            Some(event) if event == expected => Ok(()),
            other => Err(format!("no {name} came, but {other:?}")),
        }
    }

    fn end(&mut self) -> Result<(), String> {
        self.pull(false)?;
        match &self.event {
            _ if !self.output.is_empty() => Err(self.unexpected()),
            None => Ok(()),
            Some(other) => Err(format!("at the end came {other:?}")),
        }
    }
}

/// The content with its first field, our Received, in one line: where it is folded is free (RFC
/// 5322 section 2.2.3).
fn unfold_trace(content: &[u8]) -> Vec<u8> {
    let mut unfolded = Vec::with_capacity(content.len());
    let mut rest = content;
    while let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") {
        unfolded.extend_from_slice(&rest[..end]);
        rest = &rest[end + 2..];
        if !matches!(rest.first(), Some(b' ' | b'\t')) {
            unfolded.extend_from_slice(b"\r\n");
            break;
        }
        rest = rest.trim_ascii_start();
        unfolded.push(b' ');
    }
    unfolded.extend_from_slice(rest);
    unfolded
}
