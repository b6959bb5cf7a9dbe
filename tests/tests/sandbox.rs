//! What a hostile component can do: end its own session. Its neighbours, the spool and the rest of
//! the pool do not notice; its build's count of faults does.
//!
//! The component is `tests/hostile`: the first label of its hostname says how it misbehaves.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests: a panic is the test failing"
)]

use pillarbox::outbound::{
    CredentialsError, Dialogue, Login, OutboundError, Provider, Security, Target, Timeouts,
    Transfer, Trust, resolve,
};
use pillarbox::sandbox::server::ServerSession;
use pillarbox::sandbox::v0_1::client::Credentials;
use pillarbox::sandbox::v0_1::server::{Answer, Peer, Settings};
use pillarbox::sandbox::v0_1::types::Mechanism;
use pillarbox::sandbox::{Build, Engine, SandboxError, SandboxLimits};
use pillarbox_tests::hosted::{ALICE, Door, HOSTNAME, Hosted, PATIENCE, Talk};
use pillarbox_tests::hostile;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// What brings a session to the point where it misbehaves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Provocation {
    /// Any octets.
    Octets,
    /// More octets than a session may leave unconsumed.
    ManyOctets,
    /// A wait that is long enough to park the session.
    Silence,
    /// A message.
    Message,
    /// A message, where authentication is required and was not tried.
    Unauthenticated,
    /// A message of alice's.
    Authenticated,
}
use Provocation::*;

/// How the host answers it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// 421, and a fault of the build.
    Fault,
    /// The same, but the message was stored in its turn: that is told first, in the host's words.
    Stored,
    /// The message is refused, as if the rules had changed since RCPT; nobody's fault.
    Refused,
}
use Ending::*;

/// Every behaviour of the server role, what provokes it, how it ends, and what the host says of it
/// where the session alone shows it (`Form`, limits); "": it takes a connection to see it
/// (`Authority`).
const BEHAVIOURS: [(&str, Provocation, Ending, &str); 19] = [
    ("loop", Octets, Fault, "CPU time"),
    ("allocate", Octets, Fault, "memory"),
    ("trap", Octets, Fault, "unreachable"),
    ("lie-span", Message, Fault, "span"),
    ("lie-consumed", Octets, Fault, "consumed"),
    ("lie-actions", Octets, Fault, "65 actions"),
    ("lie-store", Octets, Fault, "a store without a message"),
    ("lie-again", Message, Stored, "not true of its message"),
    ("lie-grant", Unauthenticated, Fault, ""),
    ("lie-stall", ManyOctets, Fault, "left 12289 octets"),
    ("lie-answer", Octets, Fault, "without a question"),
    ("lie-reply", Octets, Fault, "no reply"),
    ("lie-id", Message, Fault, "serial"),
    ("lie-question", Authenticated, Refused, ""),
    ("lie-sender", Authenticated, Refused, ""),
    ("lie-insert", Message, Fault, "content without an envelope"),
    ("lie-pass", Message, Fault, "unseen"),
    ("lie-close", Octets, Fault, "after the end"),
    ("lie-park", Silence, Fault, "8193 octets"),
];

const CONTENT: &str = "Subject: hello\r\n\r\nfrom one who lies\r\n";

impl Provocation {
    fn door(self) -> Door {
        match self {
            Unauthenticated | Authenticated => Door::Locked,
            _ => Door::Open,
        }
    }

    /// Leads the session to its misbehaviour; what still comes then is its end.
    fn play(self, talk: &mut Talk) -> Result<(), String> {
        match self {
            Octets => return talk.send(b"EHLO client.example.org\r\n"),
            // wit/submission.wit, the loop: 12,288 at most.
            ManyOctets => return talk.send(&[b'x'; 12_289]),
            Silence => return talk.command("EHLO client.example.org", "250"),
            Message | Unauthenticated => talk.command("EHLO client.example.org", "250")?,
            Authenticated => {
                talk.command("EHLO client.example.org", "250")?;
                // NUL alice NUL secret
                talk.command("AUTH PLAIN AGFsaWNlAHNlY3JldA==", "235")?;
            }
        }
        talk.envelope(ALICE.2)?;
        talk.send(format!("{CONTENT}.\r\n").as_bytes())
    }
}

fn hosted(sandboxes: u32) -> Hosted {
    Hosted::new(hostile::component().unwrap(), sandboxes).unwrap()
}

/// The host's own words (profile: 421 4.3.0 where a session ends by its component's fault).
fn last_words() -> String {
    format!("421 4.3.0 {HOSTNAME} internal error\r\n")
}

/// Waits for a count that changes a moment after the peer has seen its close.
fn comes_to(count: impl Fn() -> u64, expected: u64) -> Result<(), String> {
    let began = Instant::now();
    while count() != expected {
        if began.elapsed() > PATIENCE {
            return Err(format!("{} instead of {expected}", count()));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// The honest session goes on where it stood, to its message's 250 and its own end.
fn go_on(mut honest: Talk, subject: &str) -> Result<(), String> {
    honest.envelope("carol@example.org")?;
    honest.command(&format!("Subject: {subject}\r\n\r\nhere I am\r\n."), "250")?;
    honest.command("QUIT", "221")?;
    match honest.rest()?.as_str() {
        "" => Ok(()),
        more => Err(format!("after QUIT came {more:?}")),
    }
}

/// One behaviour beside an honest session that began before it and ends after it.
fn beside_an_honest_session(
    hosted: &Hosted,
    honest: SocketAddr,
    (behaviour, provocation, ending): (&str, Provocation, Ending),
) -> Result<(), String> {
    let hostile = hosted.listen(&format!("{behaviour}.example.org"), provocation.door())?;
    let mut neighbour = Talk::open(honest)?;
    neighbour.command("EHLO client.example.org", "250")?;
    let faults = || hosted.build().faults.load(Ordering::Relaxed);
    let (faults_before, spooled_before) = (faults(), hosted.spooled()?.len());

    let mut talk = Talk::open(hostile)?;
    provocation.play(&mut talk)?;
    if ending == Refused {
        // The component's words for an answer that it did not expect.
        talk.expect("451")?;
        talk.command("QUIT", "221")?;
    }
    let began = Instant::now();
    let end = talk.rest()?;
    if began.elapsed() >= PATIENCE {
        return Err(format!("its end took {:?}", began.elapsed()));
    }

    go_on(neighbour, behaviour).map_err(|text| format!("the honest session: {text}"))?;
    let new_faults = u64::from(ending != Refused);
    comes_to(faults, faults_before + new_faults).map_err(|text| format!("faults: {text}"))?;

    let spooled = hosted.spooled()?;
    let expected = format!("Subject: {behaviour}\r\n\r\nhere I am\r\n");
    let (mut honest, mut others) = (0, Vec::new());
    for entry in &spooled[spooled_before..] {
        let content = hosted.content(&entry.id)?;
        if entry.reverse_path == "carol@example.org" && content == expected.as_bytes() {
            honest += 1;
        } else if entry.reverse_path == ALICE.2 && content == CONTENT.as_bytes() {
            others.push(entry.id.as_str());
        } else {
            return Err(format!("in the spool is {entry:?}"));
        }
    }
    let right = match (ending, others.as_slice()) {
        (Fault, []) => end == last_words(),
        (Stored, [id]) => end == format!("250 2.6.0 queued as {id}\r\n{}", last_words()),
        (Refused, []) => end.is_empty(),
        _ => false,
    };
    if honest != 1 || !right {
        return Err(format!(
            "{honest} honest messages and {others:?} were stored; it ended with {end:?}"
        ));
    }
    Ok(())
}

/// Far more sessions end than there are sandboxes: so each one's comes back, too.
#[test]
fn a_hostile_session_comes_to_nothing_and_its_neighbours_go_on() {
    let hosted = hosted(4);
    let honest = hosted.listen("honest.example.org", Door::Open).unwrap();
    let mut failures = Vec::new();
    for (behaviour, provocation, ending, _) in BEHAVIOURS {
        let case = (behaviour, provocation, ending);
        if let Err(wrong) = beside_an_honest_session(&hosted, honest, case) {
            failures.push(format!("{behaviour}: {wrong}"));
        }
    }
    if let Err(wrong) = comes_to(|| hosted.build().sessions.load(Ordering::Relaxed), 0) {
        failures.push(format!("sessions at the end: {wrong}"));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The dialogues above are good: an honest component stores what they bring.
#[test]
fn an_honest_session_of_the_same_build_ends_well() {
    let hosted = hosted(4);
    for (provocation, expected) in [(Message, 1), (Authenticated, 2)] {
        let address = hosted
            .listen("honest.example.org", provocation.door())
            .unwrap();
        let mut talk = Talk::open(address).unwrap();
        provocation.play(&mut talk).unwrap();
        talk.expect("250").unwrap();
        talk.command("QUIT", "221").unwrap();
        assert_eq!(talk.rest().unwrap(), "");
        assert_eq!(hosted.spooled().unwrap().len(), expected);
    }
    let spooled = hosted.spooled().unwrap();
    assert_eq!(spooled[0].identity, None);
    assert_eq!(spooled[1].identity.as_deref(), Some(ALICE.0));
    assert_eq!(hosted.build().faults.load(Ordering::Relaxed), 0);
}

#[test]
fn no_behaviour_of_the_hostile_component_goes_untested() {
    let source = include_str!("../hostile/src/behaviour.rs");
    let mut names: Vec<&str> = source
        .lines()
        .filter(|line| line.contains("\" => Self::"))
        .filter_map(|line| line.split('"').nth(1))
        .collect();
    names.retain(|name| *name != "lie-credentials"); // of the client role, below
    let tested = BEHAVIOURS.map(|(behaviour, ..)| behaviour);
    assert_eq!(names, tested);
}

#[test]
fn twenty_sessions_that_loop_do_not_stop_an_honest_one() {
    let hosted = hosted(32);
    let honest = hosted.listen("honest.example.org", Door::Open).unwrap();
    let looping = hosted.listen("loop.example.org", Door::Open).unwrap();
    let mut neighbour = Talk::open(honest).unwrap();
    neighbour.command("EHLO client.example.org", "250").unwrap();
    let mut talks: Vec<Talk> = (0..20).map(|_| Talk::open(looping).unwrap()).collect();
    for talk in &mut talks {
        Octets.play(talk).unwrap();
    }
    go_on(neighbour, "twenty").unwrap();
    for talk in talks {
        assert_eq!(talk.rest().unwrap(), last_words());
    }
    comes_to(|| hosted.build().faults.load(Ordering::Relaxed), 20).unwrap();
    assert_eq!(hosted.spooled().unwrap().len(), 1);
}

/// A session outside any service, for what the host says of it.
struct Alone {
    session: ServerSession,
}

impl Alone {
    async fn start(build: &Arc<Build>, settings: Settings) -> Result<Self, SandboxError> {
        let settings = Settings {
            serial: "s1".into(),
            authentication_required: false,
            ..settings
        };
        let peer = Peer {
            address: "192.0.2.7".into(),
            port: 50_000,
        };
        let mut session = ServerSession::start(build, settings, peer).await?;
        session.open()?;
        Ok(Self { session })
    }

    fn provoke(&mut self, provocation: Provocation) -> Result<(), SandboxError> {
        match provocation {
            Octets => self.session.receive(b"EHLO client.example.org\r\n")?,
            ManyOctets => self.session.receive(&[b'x'; 12_289])?,
            Silence => {
                self.session.park()?;
                return Ok(());
            }
            Message | Unauthenticated | Authenticated => {
                for line in [
                    "MAIL FROM:<a@example.org>",
                    "RCPT TO:<b@example.org>",
                    "DATA",
                ] {
                    self.session.receive(format!("{line}\r\n").as_bytes())?;
                }
                self.session.receive(format!("{CONTENT}.\r\n").as_bytes())?;
                self.session.settled(true);
                self.session.resume(&Answer::Stored)?
            }
        };
        Ok(())
    }
}

#[test]
fn a_hostile_session_ends_for_its_own_fault() {
    let hosted = hosted(4);
    let mut failures = Vec::new();
    for (behaviour, provocation, _, reason) in BEHAVIOURS {
        let hostname = format!("{behaviour}.example.org");
        let settings = hosted.settings(&hostname, Door::Open);
        let mut alone = hosted.wait(Alone::start(hosted.build(), settings)).unwrap();
        let came = match alone.provoke(provocation) {
            Ok(()) => String::new(),
            Err(error) => error.to_string(),
        };
        if came.is_empty() != reason.is_empty() || !came.contains(reason) {
            failures.push(format!("{behaviour}: {came:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// With time to spare it is the limit of memory that ends it, and a larger one ends it later.
#[test]
fn a_session_that_allocates_ends_at_the_memory_limit() {
    let octets = std::fs::read(hostile::component().unwrap()).unwrap();
    let hosted = hosted(1);
    for memory in [2 << 20, 8 << 20] {
        let limits = SandboxLimits {
            memory,
            sandboxes: 1,
            slice: Duration::from_secs(10),
        };
        let engine = Engine::new(limits).unwrap();
        let build = Build::load(&engine, &octets, None).unwrap();
        let settings = hosted.settings("allocate.example.org", Door::Open);
        let mut alone = hosted.wait(Alone::start(&build, settings)).unwrap();
        let Err(SandboxError::Trap(reason)) = alone.provoke(Octets) else {
            panic!("no trap at {memory} octets");
        };
        // The memory that it asked for last: more than the limit, and not by much.
        let asked: usize = reason
            .split(|c: char| !c.is_ascii_digit())
            .find_map(|digits| digits.parse().ok())
            .unwrap_or_else(|| panic!("{reason}"));
        assert!(asked > memory && asked <= 2 * memory, "{reason}");
    }
}

fn refusal(octets: &[u8]) -> String {
    let limits = SandboxLimits {
        sandboxes: 1,
        ..SandboxLimits::default()
    };
    let engine = Engine::new(limits).unwrap();
    assert!(!Build::inspect(&engine, octets).accepted);
    match Build::load(&engine, octets, None) {
        Err(SandboxError::Refused(reason)) => reason,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was accepted"),
    }
}

#[test]
fn a_component_that_imports_more_than_a_clock_and_random_octets_is_refused() {
    let text = r#"(component (import "wasi:sockets/tcp@0.2.0" (instance)))"#;
    let reason = refusal(&wat::parse_str(text).unwrap());
    assert!(reason.contains("wasi:sockets/tcp@0.2.0"), "{reason}");
    // A function that the named interface does not have; all exports are there.
    let text = r#"(component
        (import "wasi:random/random@0.2.6" (instance (export "run-command" (func))))
        (instance $nothing)
        (export "pillarbox:submission/server@0.1.0" (instance $nothing))
        (export "pillarbox:submission/client@0.1.0" (instance $nothing))
        (export "pillarbox:submission/verifier@0.1.0" (instance $nothing)))"#;
    let reason = refusal(&wat::parse_str(text).unwrap());
    assert!(reason.contains("run-command"), "{reason}");
}

#[test]
fn a_file_that_is_no_submission_component_is_refused() {
    let reason = refusal(&wat::parse_str("(component)").unwrap());
    assert!(reason.contains("pillarbox:submission/server"), "{reason}");
    let module = wat::parse_str("(module)").unwrap();
    for octets in [module.as_slice(), b"no WebAssembly at all", b""] {
        assert!(!refusal(octets).is_empty());
    }
}

/// Hands out alice's credentials and counts how often.
#[derive(Default)]
struct Counting(AtomicU32);

type Promise<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

// What `async_trait` would write.
impl Provider for Counting {
    fn credentials<'s, 'a>(
        &'s self,
        _: Mechanism,
    ) -> Promise<'a, Result<Credentials, CredentialsError>>
    where
        's: 'a,
        Self: 'a,
    {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(async {
            Ok(Credentials {
                user: ALICE.0.into(),
                domain: String::new(),
                workstation: String::new(),
                secret: ALICE.1.into(),
            })
        })
    }
}

/// Runs a client session that asks for a password at once. How it ended, how often credentials
/// were handed out, and what the server saw.
fn lie_for_credentials(hosted: &Hosted, login: Login) -> (OutboundError, u32, Vec<u8>) {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let heard = std::thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let _ = stream.write_all(b"220 mail.example.net ESMTP\r\n");
        let mut heard = vec![0; 64];
        let length = stream.read(&mut heard).unwrap_or(0);
        heard.truncate(length);
        heard
    });
    let provider = Arc::new(Counting::default());
    let target = Target {
        host: "127.0.0.1".into(),
        port,
        socket: None,
        security: Security::Off,
        tls_name: None,
        trust: Arc::new(Trust::anybody()),
        hostname: Some("lie-credentials.example.org".into()),
        lmtp: false,
        resolver: resolve::system(resolve::Word::Untrusted).unwrap(),
        timeouts: Timeouts::default(),
        transfer: Transfer::default(),
        proven: true,
    };
    let login = Login {
        provider: Some(Arc::clone(&provider) as Arc<dyn Provider>),
        ..login
    };
    let Err(unopened) = hosted.wait(Dialogue::open(hosted.build(), &target, &login, None)) else {
        panic!("the session is ready");
    };
    let heard = heard.join().unwrap();
    (unopened.error, provider.0.load(Ordering::Relaxed), heard)
}

#[test]
fn cl_mech_clear_a_client_session_gets_no_password_to_send_in_clear() {
    let hosted = hosted(1);
    // PLAIN is allowed, but not without TLS; or it is not allowed at all.
    for (mechanism, reason) in [
        (Mechanism::Plain, "without verified TLS"),
        (Mechanism::Ntlm, "not allowed"),
    ] {
        let (error, handed_out, heard) = lie_for_credentials(
            &hosted,
            Login {
                mechanisms: vec![mechanism],
                clear_text: false,
                provider: None,
            },
        );
        assert!(
            matches!(&error, OutboundError::Sandbox(SandboxError::Violation(text)) if text.contains(reason)),
            "{error}"
        );
        assert_eq!(handed_out, 0);
        assert_eq!(heard, b"");
    }
    // The component did want it, and would have given it away.
    let (_, handed_out, heard) = lie_for_credentials(
        &hosted,
        Login {
            mechanisms: vec![Mechanism::Plain],
            clear_text: true,
            provider: None,
        },
    );
    assert_eq!(handed_out, 1);
    assert_eq!(heard, b"secret\r\n");
}
