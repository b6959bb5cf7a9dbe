//! Plays a dialogue against a session and compares what it does, line by line.
//!
//! ```text
//!   H: what the host calls        S: a line of the server
//!   C: a line to the server       D: a line of content on the wire
//!   E: another action             P: what the session waits for
//!   X: what the last C line was, where a trace shows `***`
//! ```
//!
//! Lines that begin with C, D and E must be exactly what the session did since the last H or S;
//! reports are left out where the dialogue does not expect one. P may stand anywhere.

use crate::{
    client::Session,
    contract::{
        ContentFacts, Envelope, Fault, ForwardPath, MOST_ACTIONS, Mechanism, Phase, Reply,
        ReversePathParameters, ScramSalt, TlsFacts,
        client::{Action, Credentials, EightBit, Loss, Outcome, Progress, Settings, TlsPolicy},
        verifier::Digest,
    },
    environment::Fixed,
    scram::test_vectors::hi,
};
use alloc::{
    collections::VecDeque,
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};

/// How octets are cut into calls.
#[derive(Debug, Clone, Copy)]
pub enum Split {
    /// As much as there is.
    Whole,
    /// Pieces of so many octets.
    Pieces(usize),
}

/// Plays it whole, by octet, and in pieces of 2, 7 and 100.
pub fn play(dialogue: &str) {
    for split in [1, 2, 7, 100].map(Split::Pieces) {
        play_split(dialogue, split);
    }
    play_split(dialogue, Split::Whole);
}

/// Plays it once.
pub fn play_split(dialogue: &str, split: Split) {
    let mut driver = Driver::new(split);
    for (number, line) in dialogue.lines().enumerate() {
        let line = line.trim_start();
        let at = || format!("line {}: {line} ({split:?})\n{dialogue}", number + 1);
        match line.split_at_checked(2) {
            None => assert!(line.is_empty(), "{}", at()),
            Some(("S:", text)) => {
                driver.nothing_left(&at());
                driver
                    .server
                    .push_str(text.strip_prefix(' ').unwrap_or(text));
                driver.server.push_str("\r\n");
            }
            Some((kind, text)) => {
                driver.deliver();
                match kind {
                    "H:" => {
                        driver.nothing_left(&at());
                        driver.call(text.trim());
                    }
                    "X:" => assert_eq!(driver.confided.as_str(), text.trim(), "{}", at()),
                    "P:" => assert_eq!(format!("{:?}", driver.phase), text.trim(), "{}", at()),
                    "C:" | "D:" | "E:" => {
                        let done = driver.next_done(line.starts_with("E: report"));
                        assert_eq!(done.as_deref(), Some(line), "{}", at());
                    }
                    _ => panic!("{}", at()),
                }
            }
        }
    }
    driver.deliver();
    driver.nothing_left(&format!("the end ({split:?})\n{dialogue}"));
}

/// Settings of most dialogues.
pub fn settings() -> Settings {
    Settings {
        hostname: "client.example.org".into(),
        server: "mail.example.org".into(),
        port: 587,
        tls: TlsPolicy::Off,
        mechanisms: vec![],
        clear_text: false,
        eight_bit: EightBit::Refuse,
        chunking: false,
        proven: true,
        lmtp: false,
    }
}

/// An envelope with these mailboxes; recipients separated by commas.
pub fn envelope(reverse_path: &str, forward_paths: &str) -> Envelope {
    Envelope {
        id: "s-1".into(),
        reverse_path: reverse_path.into(),
        parameters: ReversePathParameters::default(),
        forward_paths: forward_paths
            .split(',')
            .map(|mailbox| ForwardPath {
                mailbox: mailbox.into(),
                notify: None,
                orcpt: None,
            })
            .collect(),
        protocol: "ESMTP".into(),
        greeted: String::new(),
    }
}

/// Up to `ready`, with these EHLO keywords (one a line, `S: ` before each).
pub fn ready(settings: &str, keywords: &[&str], then: &str) -> String {
    let verb = if settings.contains("lmtp") {
        "LHLO"
    } else {
        "EHLO"
    };
    let keywords: String = keywords
        .iter()
        .map(|word| format!("S: 250-{word}\n"))
        .collect();
    format!(
        "
        H: start {settings}
        H: open
        S: 220 here
        C: {verb} client.example.org
        S: 250-here
        {keywords}S: 250 HELP
        E: ready
        {then}
    "
    )
}

/// A session that was greeted so and is ready, if these octets make it so.
pub fn session_with(octets: &[u8]) -> (Session, Fixed) {
    let mut env = Fixed::default();
    let mut session = Session::start(settings()).unwrap();
    session.open(&mut env).unwrap();
    session.receive(octets, &mut env).unwrap();
    (session, env)
}

struct Driver {
    split: Split,
    settings: Settings,
    session: Session,
    env: Fixed,
    /// Octets of the server that were not delivered.
    server: String,
    /// What the session left unconsumed.
    buffer: Vec<u8>,
    /// What the session did, as lines of the dialogue.
    done: VecDeque<String>,
    /// Octets to the server without an end of line yet: prefix and octets.
    wire: (&'static str, Vec<u8>),
    phase: Phase,
    /// The octets of the last confided line, without CRLF.
    confided: String,
    /// What PBKDF2 was asked for.
    salt: Option<ScramSalt>,
}

impl Driver {
    fn new(split: Split) -> Self {
        Self {
            split,
            settings: settings(),
            session: Session::start(settings()).unwrap(),
            env: Fixed::default(),
            server: String::new(),
            buffer: Vec::new(),
            done: VecDeque::new(),
            wire: ("C", Vec::new()),
            phase: Phase::Greeting,
            confided: String::new(),
            salt: None,
        }
    }

    fn nothing_left(&mut self, at: &str) {
        assert_eq!(self.next_done(false), None, "{at}");
        assert!(self.wire.1.is_empty(), "{:?} {at}", self.wire);
    }

    fn next_done(&mut self, with_reports: bool) -> Option<String> {
        while let Some(line) = self.done.pop_front() {
            if with_reports || !line.starts_with("E: report") {
                return Some(line);
            }
        }
        None
    }

    /// What the server said goes to the session, with what it left before.
    fn deliver(&mut self) {
        let octets = core::mem::take(&mut self.server).into_bytes();
        let piece = match self.split {
            Split::Whole => octets.len().max(1),
            Split::Pieces(piece) => piece,
        };
        for piece in octets.chunks(piece) {
            if self.phase == Phase::Closed {
                return;
            }
            self.buffer.extend_from_slice(piece);
            let progress = self.session.receive(&self.buffer, &mut self.env);
            let consumed = self.take(progress, &[]);
            self.buffer.drain(..consumed);
        }
    }

    fn call(&mut self, call: &str) {
        let (name, rest) = call.split_once(' ').unwrap_or((call, ""));
        let progress = match name {
            "start" => {
                self.configure(rest);
                self.session = Session::start(self.settings.clone()).unwrap();
                return;
            }
            "open" => self.session.open(&mut self.env),
            "secured" => {
                self.buffer.clear();
                let facts = TlsFacts {
                    version: "TLSv1.3".into(),
                    verified: rest.starts_with("verified"),
                    exporter: rest.ends_with("bound").then(|| (0..32).collect()),
                    ..TlsFacts::default()
                };
                self.session.secured(facts, &mut self.env)
            }
            "authenticate" => {
                let credentials = rest.split_once(' ').map(|(user, secret)| Credentials {
                    user: user.into(),
                    domain: String::new(),
                    workstation: String::new(),
                    secret: secret.into(),
                });
                self.session.authenticate(credentials, &mut self.env)
            }
            "derived" => {
                let (hash, password) = rest.split_once(' ').unwrap_or((rest, ""));
                let hash = match hash {
                    "sha1" => Digest::Sha1,
                    _ => Digest::Sha256,
                };
                let salt = self.salt.take().expect("PBKDF2 was asked for");
                let salted = hi(hash, password, &salt.salt, salt.iterations);
                self.session.derived(&salted, &mut self.env)
            }
            "submit" => {
                let (envelope, facts) = submission(rest);
                self.session.submit(envelope, facts, &mut self.env)
            }
            "supply" => return self.supply(rest, false),
            "last" => return self.supply(rest, true),
            "lost" => {
                let how = match rest {
                    "closed" => Loss::Closed,
                    "timeout" => Loss::Timeout,
                    _ => Loss::Handshake,
                };
                self.session.lost(how, &mut self.env)
            }
            "quit" => self.session.quit(&mut self.env),
            _ => panic!("unknown call {call}"),
        };
        self.take(progress, &[]);
    }

    fn configure(&mut self, words: &str) {
        for word in words.split_whitespace() {
            match word.split_once('=').unwrap_or((word, "")) {
                ("tls", "opportunistic") => self.settings.tls = TlsPolicy::Opportunistic,
                ("tls", "required") => self.settings.tls = TlsPolicy::Required,
                ("tls", "established") => self.settings.tls = TlsPolicy::Established,
                ("auth", names) => {
                    let names = names.split(',').map(str::as_bytes);
                    self.settings.mechanisms = names.filter_map(Mechanism::from_name).collect();
                }
                ("clear", _) => self.settings.clear_text = true,
                ("lmtp", _) => self.settings.lmtp = true,
                _ => panic!("unknown setting {word}"),
            }
        }
    }

    /// `text` with `\r`, `\n` and `\0` written out.
    fn supply(&mut self, text: &str, last: bool) {
        let text = text.replace("\\r", "\r").replace("\\n", "\n");
        let octets = text.as_bytes();
        let piece = match self.split {
            Split::Whole => octets.len().max(1),
            Split::Pieces(piece) => piece,
        };
        let mut pieces: VecDeque<&[u8]> = octets.chunks(piece).collect();
        if pieces.is_empty() {
            pieces.push_back(&[]);
        }
        while let Some(piece) = pieces.pop_front() {
            let end = pieces.is_empty();
            let progress = self.session.supply(piece, last && end, &mut self.env);
            self.take(progress, piece);
            if !end {
                // The pieces are one run of the dialogue.
                assert_eq!(self.done.pop_back().as_deref(), Some("E: hungry"));
            }
        }
    }

    /// Notes what the session did and checks what every progress must keep to.
    fn take(&mut self, progress: Result<Progress, Fault>, supplied: &[u8]) -> usize {
        let progress = match progress {
            Ok(progress) => progress,
            Err(fault) => {
                self.done.push_back(format!("E: fault {fault}"));
                return 0;
            }
        };
        let counted = |action: &&Action| !matches!(action, Action::Settled(..));
        assert!(progress.actions.iter().filter(counted).count() <= MOST_ACTIONS);
        for action in progress.actions {
            self.note(action, supplied);
        }
        self.phase = progress.waiting_for;
        progress.consumed as usize
    }

    fn note(&mut self, action: Action, supplied: &[u8]) {
        match action {
            Action::Send(octets) => self.wired("C", &octets),
            Action::Confide(octets, shown) => {
                assert!(octets.ends_with(b"\r\n"));
                self.done.push_back(format!("C: {shown}"));
                self.confided = String::from_utf8_lossy(&octets).trim_end().to_string();
            }
            Action::Content(span) => {
                let start = span.offset as usize;
                self.wired("D", &supplied[start..start + span.length as usize]);
            }
            Action::Insert(octets) => self.wired("D", &octets),
            Action::StartTls => self.done.push_back("E: start-tls".into()),
            Action::Authenticate(mechanism) => {
                self.done
                    .push_back(format!("E: authenticate {}", mechanism.name()));
            }
            Action::Ready(_) => self.done.push_back("E: ready".into()),
            Action::Hungry => self.done.push_back("E: hungry".into()),
            Action::Settled(index, outcome) => {
                self.done
                    .push_back(format!("E: settled {index} {}", shown(&outcome)));
            }
            Action::Done => self.done.push_back("E: done".into()),
            Action::Failed(failure) => {
                let when = if failure.temporary {
                    "temporary"
                } else {
                    "permanent"
                };
                let reply = failure.reply.as_ref().map(code).unwrap_or_default();
                let text = format!("E: failed {:?} {when} {reply}", failure.stage);
                self.done.push_back(text.trim_end().to_string());
            }
            Action::Report(text) => self.done.push_back(format!("E: report {text}")),
            Action::Close => self.done.push_back("E: close".into()),
            Action::Derive(salt) => {
                self.done
                    .push_back(format!("E: derive {}", salt.iterations));
                self.salt = Some(salt);
            }
            Action::Pass(_) | Action::Rewind => panic!("{action:?}"),
        }
    }

    fn wired(&mut self, prefix: &'static str, octets: &[u8]) {
        assert!(self.wire.1.is_empty() || self.wire.0 == prefix);
        self.wire.0 = prefix;
        self.wire.1.extend_from_slice(octets);
        while let Some(end) = memchr::memmem::find(&self.wire.1, b"\r\n") {
            let line = String::from_utf8_lossy(&self.wire.1[..end]).into_owned();
            self.done
                .push_back(format!("{prefix}: {line}").trim_end().to_string());
            self.wire.1.drain(..end + 2);
        }
    }
}

/// `accepted 250 2.6.0 notifies`
fn shown(outcome: &Outcome) -> String {
    let verdict = format!("{:?}", outcome.verdict).to_lowercase();
    let reply = outcome.reply.as_ref().map(code).unwrap_or_default();
    let notifies = if outcome.notifies { "notifies" } else { "" };
    let words = [verdict.as_str(), reply.as_str(), notifies];
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// `550 5.1.1`
fn code(reply: &Reply) -> String {
    match reply.status {
        Some((class, subject, detail)) => format!("{} {class}.{subject}.{detail}", reply.code),
        None => reply.code.to_string(),
    }
}

/// `a@example.org b@example.org,c@example.org size=10 8bit …`; `<>` for the null reverse-path.
fn submission(words: &str) -> (Envelope, ContentFacts) {
    let mut words = words.split(' ');
    let (from, to) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let mut envelope = envelope(if from == "<>" { "" } else { from }, to);
    let mut facts = ContentFacts::default();
    for word in words {
        match word.split_once('=').unwrap_or((word, "")) {
            ("size", size) => facts.size = size.parse().unwrap(),
            ("8bit", _) => facts.body_eight_bit = true,
            ("8bit-header", _) => facts.header_eight_bit = true,
            ("bare", _) => facts.bare = true,
            ("binary", _) => facts.binary = true,
            ("smtputf8", _) => envelope.parameters.smtputf8 = true,
            ("requiretls", _) => envelope.parameters.require_tls = true,
            ("auth", value) => envelope.parameters.auth = Some(value.into()),
            _ => panic!("unknown word {word}"),
        }
    }
    (envelope, facts)
}
