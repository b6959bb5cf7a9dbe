//! A host in memory for tests: it keeps the loop contract's side of the loop, checks the
//! session's side after each call, and plays dialogues.
//!
//! ```text
//! C: a line from the client (CRLF is added; \r \n \0 \xNN are octets; neighbours are pipelined)
//! C| the same without CRLF
//! S: a line from the server
//! Q: a question to the host           A: its answer
//! T: the handshake, at last           X: the connection is closed
//! D: a dismissal                      M: a message is complete, with its recipients
//! R: a report (checked only in scripts that have some)
//! ```

use super::Session;
use crate::{
    contract::{
        Dismissal, Envelope, MOST_ACTIONS, MOST_LINE, MOST_OCTETS, MOST_PARKED, Mechanism, Phase,
        Reply, TlsFacts,
        server::{
            Action, Admission, Answer, BareLf, Extensions, Peer, Progress, Question, Settings,
            TlsPolicy,
        },
    },
    environment::{Fixed, Moment},
};
use alloc::collections::VecDeque;
use std::{format, string::String, string::ToString, vec, vec::Vec};

/// A listener as most tests want it: everything that there is, no question but the needed ones.
pub fn settings() -> Settings {
    Settings {
        hostname: "mail.example.org".into(),
        serial: "s1".into(),
        admission: Admission::Welcome,
        tls: TlsPolicy::Offered,
        mechanisms: vec![Mechanism::Ntlm, Mechanism::Login, Mechanism::Plain],
        clear_text: true,
        authentication_required: false,
        extensions: Extensions {
            smtputf8: true,
            ..Extensions::default()
        },
        max_message_size: 100_000,
        max_recipients: 100,
        max_hold: 0,
        min_deliver_by: 0,
        ntlm_domain: "EXAMPLE".into(),
        ntlm_computer: "MAIL".into(),
        ask_sender: false,
        ask_recipient: false,
        add_date: true,
        add_message_id: true,
        add_sender: false,
        check_header_domains: false,
        keep_bcc: false,
        bare_lf: BareLf::Reject,
        legacy_auth_line: false,
        local_domain: "".into(),
        certificate_required: false,
    }
}

/// The client of all tests.
pub fn peer() -> Peer {
    Peer {
        address: "192.0.2.7".into(),
        port: 40_000,
    }
}

/// What TLS 1.3 looks like.
pub fn facts() -> TlsFacts {
    TlsFacts {
        version: "TLSv1.3".into(),
        cipher: "TLS_AES_256_GCM_SHA384".into(),
        ..TlsFacts::default()
    }
}

/// Octets to the peer in one call at most: a host takes more for an attack by its component.
const MOST_SENT: usize = 1 << 20;

/// What the outside sees of a session, the same for every way to cut its input.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "a test has few of them")]
pub enum Event {
    /// Octets to the peer; neighbours are one.
    Sent(Vec<u8>),
    /// A question, and the message if it is about to be stored.
    Asked(Question, Option<(Envelope, Vec<u8>)>),
    /// STARTTLS: no octets are read.
    StartTls,
    /// The handshake is done.
    Secured,
    /// The end.
    Closed,
}

/// The host's side of one connection.
pub struct Host {
    session: Session,
    settings: Settings,
    facts: Option<TlsFacts>,
    identity: Option<String>,
    env: Fixed,
    buffer: Vec<u8>,
    content: Option<(Envelope, Vec<u8>)>,
    /// Parks and revives the session before every call where that is possible.
    pub parks: bool,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// What was reported.
    pub reports: Vec<String>,
    /// The open question.
    pub question: Option<Question>,
    /// What the session last said it waits for.
    pub phase: Phase,
}

impl Host {
    /// A session that was started.
    pub fn new(settings: &Settings) -> Self {
        Self {
            session: Session::start(settings.clone(), peer()).unwrap(),
            settings: settings.clone(),
            facts: None,
            identity: None,
            env: Fixed {
                // 2025-01-02 03:04:05 UTC
                moment: Moment {
                    seconds: 1_735_787_045,
                    nanoseconds: 0,
                },
                next: 0,
            },
            buffer: Vec::new(),
            content: None,
            parks: false,
            events: Vec::new(),
            reports: Vec::new(),
            question: None,
            phase: Phase::Greeting,
        }
    }

    /// The greeting, after the handshake where TLS is implicit.
    pub fn open(&mut self) {
        if self.settings.tls == TlsPolicy::Established {
            self.handshake();
        }
        self.park();
        let progress = self.session.open(&mut self.env).unwrap();
        self.carry_out(progress);
    }

    /// The handshake is done.
    pub fn handshake(&mut self) {
        self.park();
        self.buffer.clear();
        self.facts = Some(facts());
        self.events.push(Event::Secured);
        let progress = self.session.secured(facts(), &mut self.env).unwrap();
        self.carry_out(progress);
    }

    /// Octets from the client; nothing happens to them once the session is over, or if they come
    /// in clear before the handshake.
    pub fn feed(&mut self, octets: &[u8]) {
        if !self.is_reading() {
            return;
        }
        self.buffer.extend_from_slice(octets);
        if self.question.is_none() {
            self.receive();
        }
    }

    /// The answer to the open question.
    pub fn answer(&mut self, answer: Answer) {
        if let Answer::Granted(identity, _) = &answer {
            self.identity = Some(identity.clone());
        }
        assert!(self.question.take().is_some(), "an answer without question");
        let progress = self.session.resume(answer, &mut self.env).unwrap();
        self.carry_out(progress);
        if self.question.is_none() && self.is_reading() && !self.buffer.is_empty() {
            self.receive();
        }
    }

    /// The host's own end.
    pub fn dismiss(&mut self, why: Dismissal) {
        let question = self.question.clone();
        let progress = self.session.dismiss(why, &mut self.env).unwrap();
        self.carry_out(progress);
        self.question = question;
    }

    /// Whether octets are still wanted.
    pub fn is_reading(&self) -> bool {
        !matches!(self.events.last(), Some(Event::Closed | Event::StartTls))
    }

    fn receive(&mut self) {
        loop {
            self.park();
            let end = self.buffer.len().min(MOST_OCTETS);
            let is_all = end == self.buffer.len();
            let given = self.buffer[..end].to_vec();
            let progress = self.session.receive(&given, &mut self.env).unwrap();
            let consumed = progress.consumed as usize;
            assert!(consumed <= end, "more consumed than given");
            let asks = progress.question.is_some();
            assert!(asks || end - consumed < MOST_LINE, "too much left");
            self.buffer.drain(..consumed);
            self.carry_out_of(progress, &given[..consumed]);
            if is_all || asks || !self.is_reading() {
                break;
            }
        }
    }

    fn park(&mut self) {
        if !self.parks {
            return;
        }
        if let Some(parked) = self.session.park() {
            assert!(parked.len() <= MOST_PARKED);
            self.session = Session::revive(
                self.settings.clone(),
                peer(),
                self.facts.clone(),
                self.identity.clone(),
                &parked,
            )
            .unwrap();
        }
    }

    fn carry_out(&mut self, progress: Progress) {
        assert_eq!(progress.consumed, 0);
        self.carry_out_of(progress, &[]);
    }

    fn carry_out_of(&mut self, progress: Progress, buffer: &[u8]) {
        assert!(progress.actions.len() <= MOST_ACTIONS);
        assert_eq!(
            progress.question.is_some() || self.question.is_some(),
            progress.waiting_for == Phase::Answer
        );
        let sent: usize = progress
            .actions
            .iter()
            .map(|action| match action {
                Action::Send(octets) => octets.len(),
                _ => 0,
            })
            .sum();
        assert!(sent <= MOST_SENT, "{sent} octets in one call");
        self.phase = progress.waiting_for;
        let mut envelope = progress.envelope;
        for action in progress.actions {
            assert!(self.is_reading(), "nothing comes after the last action");
            match action {
                Action::Send(octets) => match self.events.last_mut() {
                    Some(Event::Sent(before)) => before.extend(octets),
                    _ => self.events.push(Event::Sent(octets)),
                },
                Action::StartTls => self.events.push(Event::StartTls),
                Action::Close => self.events.push(Event::Closed),
                Action::Report(text) => self.reports.push(text),
                Action::Abandon => {
                    assert!(self.content.take().is_some(), "nothing to abandon");
                }
                Action::Content(span) => {
                    let start = span.offset as usize;
                    let octets = &buffer[start..start + span.length as usize];
                    self.append(&mut envelope, octets);
                }
                Action::Insert(octets) => self.append(&mut envelope, &octets),
                Action::Pass(_) => panic!("no content passes unseen yet"),
            }
        }
        assert_eq!(envelope, None, "an envelope without content");
        if let Some(question) = progress.question {
            let message = match question {
                Question::Store(_) => Some(self.content.take().expect("content before store")),
                _ => None,
            };
            self.events.push(Event::Asked(question.clone(), message));
            self.question = Some(question);
        }
    }

    fn append(&mut self, envelope: &mut Option<Envelope>, octets: &[u8]) {
        if self.content.is_none() {
            self.content = envelope.take().map(|envelope| (envelope, Vec::new()));
        }
        let (_, content) = self.content.as_mut().expect("an envelope before content");
        content.extend_from_slice(octets);
    }
}

/// How a script's octets reach the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    AtOnce,
    ByLine,
    ByOctet,
}

/// What came of a script.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Played {
    /// Messages that were to be stored.
    pub messages: Vec<(Envelope, Vec<u8>)>,
    /// Reports.
    pub reports: Vec<String>,
}

/// Plays a dialogue at once, by line and by octet, parked wherever possible and not: all with one
/// outcome (R5321-2.3.8-e).
pub fn play(settings: &Settings, script: &str) -> Played {
    let first = play_at(settings, script, Pace::AtOnce, false);
    for pace in [Pace::AtOnce, Pace::ByLine, Pace::ByOctet] {
        for parks in [false, true] {
            let again = play_at(settings, script, pace, parks);
            assert_eq!(again, first, "{pace:?}, parked: {parks}");
        }
    }
    first
}

fn play_at(settings: &Settings, script: &str, pace: Pace, parks: bool) -> Played {
    let mut lines: VecDeque<&str> = script
        .lines()
        .map(str::trim_start)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    let checks_reports = lines.iter().any(|line| line.starts_with("R:"));
    let mut host = Host::new(settings);
    host.parks = parks;
    host.open();
    let mut checked = Checked::default();
    while let Some(line) = lines.front().copied() {
        checked.against(&mut host, &mut lines, checks_reports, pace, parks);
        if lines.front().copied() != Some(line) {
            continue;
        }
        let (kind, text) = line.split_at(2);
        let text = text.strip_prefix(' ').unwrap_or(text);
        match kind {
            "C:" | "C|" => {
                for octets in client_lines(&mut lines, pace) {
                    host.feed(&octets);
                    checked.against(&mut host, &mut lines, checks_reports, pace, parks);
                }
            }
            "A:" => {
                lines.pop_front();
                host.answer(answer(text));
            }
            "T:" => {
                lines.pop_front();
                host.handshake();
            }
            "D:" => {
                lines.pop_front();
                host.dismiss(dismissal(text));
            }
            _ => panic!("{pace:?}, parked: {parks}: expected {line:?}, nothing came"),
        }
    }
    checked.against(&mut host, &mut lines, checks_reports, pace, parks);
    assert_eq!(host.question, None, "a question is left open");
    Played {
        messages: checked.messages,
        reports: host.reports,
    }
}

/// The next octets of the client: all neighbouring lines, or cut finer.
fn client_lines(lines: &mut VecDeque<&str>, pace: Pace) -> Vec<Vec<u8>> {
    let mut octets = Vec::new();
    let mut pieces = Vec::new();
    while let Some(line) = lines.front().filter(|line| line.starts_with('C')) {
        let text = &line[2..];
        octets.extend(unescaped(text.strip_prefix(' ').unwrap_or(text)));
        if line.starts_with("C:") {
            octets.extend(b"\r\n");
        }
        lines.pop_front();
        if pace == Pace::ByLine {
            pieces.push(core::mem::take(&mut octets));
        }
    }
    match pace {
        Pace::AtOnce => vec![octets],
        Pace::ByLine => pieces,
        Pace::ByOctet => octets.into_iter().map(|octet| vec![octet]).collect(),
    }
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        if octet != b'\\' {
            octets.push(octet);
            continue;
        }
        match rest.next() {
            Some(b'r') => octets.push(b'\r'),
            Some(b'n') => octets.push(b'\n'),
            Some(b'0') => octets.push(0),
            Some(b'x') => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                let digits = core::str::from_utf8(&digits).unwrap();
                octets.push(u8::from_str_radix(digits, 16).unwrap());
            }
            other => octets.push(other.unwrap()),
        }
    }
    octets
}

/// How far a script's expectations were met.
#[derive(Default)]
struct Checked {
    messages: Vec<(Envelope, Vec<u8>)>,
    events: usize,
    sent: usize,
    reports: usize,
}

impl Checked {
    /// Compares what came since the last look with the script's next lines.
    fn against(
        &mut self,
        host: &mut Host,
        lines: &mut VecDeque<&str>,
        checks_reports: bool,
        pace: Pace,
        parks: bool,
    ) {
        let mut came = Vec::new();
        while self.events < host.events.len() {
            match &host.events[self.events] {
                Event::Sent(octets) => {
                    let text = String::from_utf8(octets[self.sent..].to_vec()).unwrap();
                    came.extend(
                        text.split_terminator("\r\n")
                            .map(|line| format!("S: {line}")),
                    );
                    self.sent = octets.len();
                    // More may be joined to the last one later.
                    if self.events + 1 == host.events.len() {
                        break;
                    }
                }
                Event::Asked(question, message) => {
                    if let Some((envelope, content)) = message {
                        let to: Vec<&str> = envelope
                            .forward_paths
                            .iter()
                            .map(|path| path.mailbox.as_str())
                            .collect();
                        came.push(format!(
                            "M: {} {} <{}> {}",
                            envelope.id,
                            envelope.protocol,
                            envelope.reverse_path,
                            to.join(" ")
                        ));
                        self.messages.push((envelope.clone(), content.clone()));
                    }
                    came.push(format!("Q: {}", asked(question)));
                }
                Event::StartTls | Event::Secured => (),
                Event::Closed => came.push("X:".into()),
            }
            self.events += 1;
            self.sent = 0;
        }
        while checks_reports && self.reports < host.reports.len() {
            came.push(format!("R: {}", host.reports[self.reports]));
            self.reports += 1;
        }
        for line in came {
            // What is said of a message is optional, as are reports.
            if line.starts_with("M:") && lines.front().is_none_or(|next| !next.starts_with("M:")) {
                continue;
            }
            // A pipelined client has more to say than was fed: the expectations come after it.
            let next = lines.iter().position(|next| !next.starts_with('C'));
            let expected = next.and_then(|next| lines.remove(next));
            let text = expected.map(|text| text.trim_end().to_string());
            assert_eq!(
                Some(line.trim_end()),
                text.as_deref(),
                "{pace:?}, parked: {parks}; came first, then expected"
            );
        }
    }
}

fn asked(question: &Question) -> String {
    match question {
        Question::Password(check) => {
            let password = String::from_utf8_lossy(&check.password);
            let name = match check.authorization.as_str() {
                "" => check.user.clone(),
                authorization => format!("{} as {authorization}", check.user),
            };
            format!("password {name} {password}")
        }
        Question::Ntlm(response) => format!("ntlm {}\\{}", response.domain, response.user),
        Question::Sender(mailbox, _) => format!("sender <{mailbox}>"),
        Question::Recipient(path) => format!("recipient <{}>", path.mailbox),
        Question::Store(_) => "store".into(),
        Question::CramMd5(check) => format!("cram-md5 {}", check.user),
        Question::ScramFirst(start) => format!("scram-first {}", start.user),
        Question::ScramFinal(_) => "scram-final".into(),
        Question::Token(check) => format!("token {}", check.token),
        Question::External(identity) => format!("external {identity}"),
    }
}

/// `granted alice`, `rejected 550 5.1.1 no such mailbox`, `stored`…
pub fn answer(text: &str) -> Answer {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    match word {
        "granted" => Answer::Granted(rest.into(), Vec::new()),
        "refused" => Answer::Refused,
        "disabled" => Answer::Disabled,
        "unprepared" => Answer::Unprepared,
        "unavailable" => Answer::Unavailable,
        "accepted" => Answer::Accepted,
        "stored" => Answer::Stored,
        "rejected" => {
            let mut parts = rest.splitn(3, ' ');
            let code = parts.next().unwrap().parse().unwrap();
            let status: Vec<u16> = parts
                .next()
                .unwrap()
                .split('.')
                .map(|number| number.parse().unwrap())
                .collect();
            Answer::Rejected(Reply {
                code,
                status: Some((u8::try_from(status[0]).unwrap(), status[1], status[2])),
                lines: vec![parts.next().unwrap().into()],
            })
        }
        _ => panic!("no such answer: {text}"),
    }
}

fn dismissal(text: &str) -> Dismissal {
    match text {
        "timeout" => Dismissal::Timeout,
        "shutdown" => Dismissal::Shutdown,
        "overload" => Dismissal::Overload,
        "fault" => Dismissal::Fault,
        _ => panic!("no such dismissal: {text}"),
    }
}
