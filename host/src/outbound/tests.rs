//! The dialogue over real sockets: the built component against scripted servers.

mod credentials;
mod hostile;
mod mechanisms;
mod places;
mod security;
mod submission;
mod transfer;

use super::trace::{Side, Trace};
use super::{
    CredentialsError, Dialogue, Login, OutboundError, Provider, Security, Target, Timeouts,
    Transfer, Trust, Unopened, resolve,
};
use crate::sandbox::client::scan;
use crate::sandbox::v0_1::client::{Credentials, Outcome, Stage, Verdict};
use crate::sandbox::v0_1::types::{
    BodyType, ContentFacts, Envelope, ForwardPath, Mechanism, ReversePathParameters,
};
use crate::sandbox::{Build, Engine, SandboxLimits};
use crate::{embedded, tls};
use async_trait::async_trait;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What a scripted server does next.
enum Step {
    /// Sends these lines.
    Say(&'static str),
    /// Reads a line that must begin so.
    Hear(&'static str),
    /// Reads up to the end of data.
    Content,
    /// Reads so many octets.
    Octets(usize),
    /// The TLS handshake, as server.
    Tls,
    /// Notes the name that the client gave in the handshake.
    Sni,
    /// Sends so many octets without an end of line.
    Flood(usize),
    /// Sends this again and again, with a pause of so many milliseconds, for as long as it is
    /// taken.
    Drip(&'static str, u64),
    /// Waits for octets, whatever they are.
    Any,
    /// Neither reads nor writes until told.
    Wait(Arc<Notify>),
    /// Ends the connection, though octets may be unread.
    Cut,
    /// Ends the connection and takes the next one.
    Next,
}
use Step::{Any, Content, Cut, Drip, Flood, Hear, Next, Octets, Say, Sni, Tls, Wait};

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Where a server listens.
enum Door {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Door {
    async fn accept(&self) -> Box<dyn Stream> {
        match self {
            Self::Tcp(listener) => Box::new(listener.accept().await.unwrap().0),
            Self::Unix(listener) => Box::new(listener.accept().await.unwrap().0),
        }
    }
}

/// A server, its certificate, and in the end all that it heard.
struct Server {
    port: u16,
    certificate: PathBuf,
    heard: JoinHandle<Vec<String>>,
    folder: TempDir,
}

impl Server {
    async fn start(steps: Vec<Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        Self::behind(
            Door::Tcp(listener),
            port,
            tempfile::tempdir().unwrap(),
            steps,
        )
    }

    /// At the socket `door` in its folder.
    fn at_a_socket(steps: Vec<Step>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("door")).unwrap();
        Self::behind(Door::Unix(listener), 0, folder, steps)
    }

    fn behind(door: Door, port: u16, folder: TempDir, steps: Vec<Step>) -> Self {
        let (certificate, key) = tls::self_signed("mail.example.org", folder.path()).unwrap();
        let identity = tls::Certificates::load(&certificate, &key)
            .unwrap()
            .current();
        let acceptor = TlsAcceptor::from(Arc::clone(&identity.config));
        Self {
            port,
            certificate,
            heard: tokio::spawn(play(door, acceptor, steps)),
            folder,
        }
    }

    fn target(&self, security: Security, trust: Trust) -> Target {
        Target {
            security,
            tls_name: Some("mail.example.org".into()),
            trust: Arc::new(trust),
            ..target(self.port)
        }
    }

    fn pinned(&self) -> Trust {
        Trust::file(&self.certificate).unwrap()
    }

    async fn heard(self) -> Vec<String> {
        tokio::time::timeout(Duration::from_secs(20), self.heard)
            .await
            .unwrap()
            .unwrap()
    }
}

/// A server of this machine, in clear.
fn target(port: u16) -> Target {
    Target {
        host: "127.0.0.1".into(),
        port,
        socket: None,
        security: Security::Off,
        tls_name: None,
        trust: Arc::new(Trust::anybody()),
        hostname: Some("client.example.org".into()),
        lmtp: false,
        transfer: Transfer::default(),
        proven: true,
        resolver: resolve::system(resolve::Word::Untrusted).unwrap(),
        timeouts: Timeouts::default(),
    }
}

async fn play(door: Door, acceptor: TlsAcceptor, steps: Vec<Step>) -> Vec<String> {
    let mut heard = Vec::new();
    let mut buffer = Vec::new();
    let mut sni = None;
    let mut stream = door.accept().await;
    for step in steps {
        match step {
            Say(text) => {
                let _ = stream.write_all(text.as_bytes()).await;
                let _ = stream.flush().await;
            }
            Hear(expected) => {
                let line = read_to(&mut stream, &mut buffer, b"\r\n").await;
                assert!(line.starts_with(expected), "{line:?}, not {expected:?}");
                heard.push(line.trim_end().to_owned());
            }
            Content => heard.push(read_to(&mut stream, &mut buffer, b"\r\n.\r\n").await),
            Octets(count) => {
                while buffer.len() < count {
                    let mut room = [0; 4096];
                    let length = stream.read(&mut room).await.unwrap();
                    assert!(length > 0, "{} of {count} octets", buffer.len());
                    buffer.extend_from_slice(&room[..length]);
                }
                let octets: Vec<u8> = buffer.drain(..count).collect();
                heard.push(String::from_utf8_lossy(&octets).into_owned());
            }
            Tls => match acceptor.accept(stream).await {
                Ok(secured) => {
                    sni = secured.get_ref().1.server_name().map(str::to_owned);
                    stream = Box::new(secured);
                }
                Err(error) => {
                    heard.push(format!("no TLS: {error}"));
                    return heard;
                }
            },
            Flood(octets) => {
                let _ = stream.write_all(&vec![b'2'; octets]).await;
            }
            Sni => heard.push(sni.clone().unwrap_or_default()),
            Drip(text, pause) => {
                while stream.write_all(text.as_bytes()).await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
            }
            Any => {
                let _ = stream.read(&mut [0; 4096]).await;
            }
            Wait(told) => told.notified().await,
            Cut => return heard,
            Next => {
                drop(stream);
                buffer.clear();
                stream = door.accept().await;
            }
        }
    }
    // Whatever else the client says.
    let _ = stream.read_to_end(&mut buffer).await;
    if !buffer.is_empty() {
        heard.push(String::from_utf8_lossy(&buffer).into_owned());
    }
    heard
}

async fn read_to(stream: &mut Box<dyn Stream>, buffer: &mut Vec<u8>, end: &[u8]) -> String {
    loop {
        if let Some(at) = buffer.windows(end.len()).position(|window| window == end) {
            let line: Vec<u8> = buffer.drain(..at + end.len()).collect();
            return String::from_utf8(line).unwrap();
        }
        let mut room = [0; 4096];
        match stream.read(&mut room).await {
            Ok(0) | Err(_) => return String::from_utf8_lossy(&std::mem::take(buffer)).into_owned(),
            Ok(length) => buffer.extend_from_slice(&room[..length]),
        }
    }
}

fn build() -> &'static Arc<Build> {
    static BUILD: OnceLock<Arc<Build>> = OnceLock::new();
    BUILD.get_or_init(|| {
        let engine = Engine::new(SandboxLimits {
            sandboxes: 32,
            slice: Duration::from_millis(500),
            ..SandboxLimits::default()
        });
        embedded::load(&engine.unwrap(), None, None).unwrap()
    })
}

fn envelope(recipients: &[&str]) -> Envelope {
    Envelope {
        id: "test-1".into(),
        reverse_path: "a@example.org".into(),
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
        forward_paths: recipients
            .iter()
            .map(|mailbox| ForwardPath {
                mailbox: (*mailbox).into(),
                notify: None,
                orcpt: None,
            })
            .collect(),
        protocol: String::new(),
        greeted: String::new(),
    }
}

async fn facts(content: &[u8]) -> ContentFacts {
    scan(build(), content).await.unwrap()
}

async fn submit(dialogue: &mut Dialogue, recipients: &[&str], content: &[u8]) -> Vec<Outcome> {
    let facts = facts(content).await;
    let mut reader = std::io::Cursor::new(content);
    dialogue
        .submit(&envelope(recipients), &facts, &mut reader)
        .await
}

fn verdicts(outcomes: &[Outcome]) -> Vec<(Verdict, u16)> {
    outcomes
        .iter()
        .map(|outcome| {
            let code = outcome.reply.as_ref().map_or(0, |reply| reply.code);
            (outcome.verdict, code)
        })
        .collect()
}

struct Tim;

#[async_trait]
impl Provider for Tim {
    async fn credentials(&self, _: Mechanism) -> Result<Credentials, CredentialsError> {
        Ok(Credentials {
            user: "tim".into(),
            domain: String::new(),
            workstation: String::new(),
            secret: "tanstaaftanstaaf".into(),
        })
    }
}

fn tim(mechanisms: &[Mechanism]) -> Login {
    Login {
        mechanisms: mechanisms.to_vec(),
        clear_text: false,
        provider: Some(Arc::new(Tim)),
    }
}

async fn open(target: &Target, login: &Login) -> Result<Dialogue, Unopened> {
    Dialogue::open(build(), target, login, None).await
}

async fn failure(target: &Target, login: &Login) -> (Stage, String) {
    match unopened(target, login).await.error {
        OutboundError::Failed(failure) => (failure.stage, failure.text.clone()),
        error => panic!("{error}"),
    }
}

async fn unopened(target: &Target, login: &Login) -> Unopened {
    match open(target, login).await {
        Err(unopened) => unopened,
        Ok(_) => panic!("the server takes messages"),
    }
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Trace for Lines {
    fn line(&mut self, side: Side, text: &str) {
        self.0.lock().unwrap().push(format!("{side:?}: {text}"));
    }
}

/// What must not take longer than anybody's patience, though others of its times are longer.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what)
        .await
        .expect("it takes too long")
}

const EHLO: &str = "EHLO client.example.org";
