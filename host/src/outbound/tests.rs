//! The dialogue over real sockets: the built component against scripted servers.

use super::trace::{Side, Trace};
use super::{Dialogue, Login, OutboundError, Provider, Security, Target, Trust};
use crate::sandbox::client::scan;
use crate::sandbox::v0_1::client::{Credentials, Outcome, Stage, Verdict};
use crate::sandbox::v0_1::types::{
    BodyType, ContentFacts, Envelope, ForwardPath, Mechanism, Phase, ReversePathParameters,
};
use crate::sandbox::{Build, Engine, SandboxLimits};
use crate::{embedded, timeout, tls};
use async_trait::async_trait;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
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
    /// The TLS handshake, as server.
    Tls,
    /// Sends so many octets without an end of line.
    Flood(usize),
    /// Ends the connection and takes the next one.
    Next,
}
use Step::{Content, Flood, Hear, Next, Say, Tls};

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A server, its certificate, and in the end all that it heard.
struct Server {
    port: u16,
    certificate: PathBuf,
    heard: JoinHandle<Vec<String>>,
    _folder: tempfile::TempDir,
}

impl Server {
    async fn start(steps: Vec<Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = tls::self_signed("mail.example.org", folder.path()).unwrap();
        let identity = tls::Certificates::load(&certificate, &key)
            .unwrap()
            .current();
        let acceptor = TlsAcceptor::from(Arc::clone(&identity.config));
        Self {
            port,
            certificate,
            heard: tokio::spawn(play(listener, acceptor, steps)),
            _folder: folder,
        }
    }

    fn target(&self, security: Security, trust: Trust) -> Target {
        Target {
            host: "127.0.0.1".into(),
            port: self.port,
            security,
            tls_name: Some("mail.example.org".into()),
            trust: Arc::new(trust),
            hostname: Some("client.example.org".into()),
            lmtp: false,
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

async fn play(listener: TcpListener, acceptor: TlsAcceptor, steps: Vec<Step>) -> Vec<String> {
    let mut heard = Vec::new();
    let mut buffer = Vec::new();
    let mut stream: Box<dyn Stream> = Box::new(listener.accept().await.unwrap().0);
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
            Tls => match acceptor.accept(stream).await {
                Ok(secured) => stream = Box::new(secured),
                Err(error) => {
                    heard.push(format!("no TLS: {error}"));
                    return heard;
                }
            },
            Flood(octets) => {
                let _ = stream.write_all(&vec![b'2'; octets]).await;
            }
            Next => {
                drop(stream);
                buffer.clear();
                stream = Box::new(listener.accept().await.unwrap().0);
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
    let mut reader = content;
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
    async fn credentials(&self, _mechanism: Mechanism) -> Option<Credentials> {
        Some(Credentials {
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

async fn open(target: &Target, login: &Login) -> Result<Dialogue, OutboundError> {
    Dialogue::open(build(), target, login, None).await
}

async fn failure(target: &Target, login: &Login) -> (Stage, String) {
    match open(target, login).await {
        Err(OutboundError::Failed(failure)) => (failure.stage, failure.text.clone()),
        Err(error) => panic!("{error}"),
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

const EHLO: &str = "EHLO client.example.org";

#[tokio::test]
async fn each_recipient_has_its_outcome_and_several_messages_go_on_one_connection() {
    let server = Server::start(vec![
        Say("220 h ready\r\n"),
        Hear(EHLO),
        Say("250-h\r\n250-PIPELINING\r\n250 SIZE 1000000\r\n"),
        Hear("MAIL FROM:<a@example.org> SIZE=22"),
        Hear("RCPT TO:<b@example.org>"),
        Hear("RCPT TO:<c@example.org>"),
        Hear("DATA"),
        Say("250 ok\r\n250 ok\r\n550 5.1.1 no such mailbox\r\n354 go\r\n"),
        Content,
        Say("250 2.6.0 queued as 1\r\n"),
        Hear("MAIL FROM:<a@example.org>"),
        Hear("RCPT TO:<d@example.org>"),
        Hear("DATA"),
        Say("250 ok\r\n450 4.2.1 later\r\n554 no valid recipients\r\n"),
        Hear("RSET"),
        Say("250 ok\r\n"),
        Hear("QUIT"),
        Say("221 h\r\n"),
    ])
    .await;
    let target = server.target(Security::Off, Trust::anybody());
    let mut dialogue = open(&target, &Login::default()).await.unwrap();
    assert_eq!(dialogue.offer().unwrap().max_size, Some(1_000_000));
    let content = b"Subject: s\r\n\r\n.\r\n..x\r\n";
    let outcomes = submit(&mut dialogue, &["b@example.org", "c@example.org"], content).await;
    assert_eq!(
        verdicts(&outcomes),
        [(Verdict::Accepted, 250), (Verdict::Failed, 550)]
    );
    assert!(dialogue.is_ready());
    let outcomes = submit(&mut dialogue, &["d@example.org"], content).await;
    assert_eq!(verdicts(&outcomes), [(Verdict::Deferred, 450)]);
    dialogue.quit().await;
    // R5321-4.5.2-b: a dot before each dot at a line's start.
    let heard = server.heard().await;
    assert_eq!(heard[5], "Subject: s\r\n\r\n..\r\n...x\r\n.\r\n");
}

#[tokio::test]
async fn content_of_many_runs_arrives_octet_for_octet() {
    let server = Server::start(vec![
        Say("220 h\r\n"),
        Hear(EHLO),
        Say("250 h\r\n"),
        Hear("MAIL"),
        Say("250 ok\r\n"),
        Hear("RCPT"),
        Say("250 ok\r\n"),
        Hear("DATA"),
        Say("354 go\r\n"),
        Content,
        Say("250 ok\r\n"),
        Hear("QUIT"),
    ])
    .await;
    let target = server.target(Security::Off, Trust::anybody());
    let mut dialogue = open(&target, &Login::default()).await.unwrap();
    let mut content = String::from("Subject: s\r\n\r\n");
    for number in 0..40_000 {
        content.push_str(&format!(".line {number}\r\n"));
    }
    let outcomes = submit(&mut dialogue, &["b@example.org"], content.as_bytes()).await;
    assert_eq!(verdicts(&outcomes), [(Verdict::Accepted, 250)]);
    // CL-quit: no reply to QUIT changes nothing.
    dialogue.quit().await;
    let heard = server.heard().await;
    let expected = content.replace("\r\n.", "\r\n..") + ".\r\n";
    assert_eq!(heard[4].len(), expected.len());
    assert!(heard[4] == expected);
}

#[tokio::test]
async fn r3207_4_2_c_starttls_with_a_good_certificate_then_auth_and_no_secret_in_the_trace() {
    let server = Server::start(vec![
        Say("220 h\r\n"),
        Hear(EHLO),
        Say("250-h\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n"),
        Hear("STARTTLS"),
        Say("220 go\r\n"),
        Tls,
        Hear(EHLO),
        Say("250-h\r\n250 AUTH PLAIN LOGIN\r\n"),
        // RFC 4616 section 4, the first example.
        Hear("AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm"),
        Say("235 2.7.0 yes, AHRpbQB0YW5zdGFhZnRhbnN0YWFm\r\n"),
        Hear("QUIT"),
        Say("221 h\r\n"),
    ])
    .await;
    let target = server.target(Security::Required, server.pinned());
    let lines = Lines::default();
    let trace = Some(Box::new(lines.clone()) as Box<dyn Trace>);
    let login = tim(&[Mechanism::Plain]);
    let dialogue = Dialogue::open(build(), &target, &login, trace)
        .await
        .unwrap();
    let facts = dialogue.tls().unwrap();
    assert!(facts.verified);
    assert_eq!(facts.version, "TLSv1.3");
    dialogue.quit().await;
    server.heard().await;
    let lines = lines.0.lock().unwrap().clone();
    assert!(
        lines.contains(&"Client: AUTH PLAIN ***".into()),
        "{lines:?}"
    );
    assert!(
        lines.contains(&"Server: 235 2.7.0 yes, ***".into()),
        "{lines:?}"
    );
    assert!(!lines.concat().contains("AHRp"), "{lines:?}");
}

#[tokio::test]
async fn r3207_6_a_a_certificate_that_is_not_good_ends_it_before_auth_and_mail() {
    let script = || {
        vec![
            Say("220 h\r\n"),
            Hear(EHLO),
            Say("250-h\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n"),
            Hear("STARTTLS"),
            Say("220 go\r\n"),
            Tls,
        ]
    };
    // Another's certificate.
    let other = Server::start(vec![]).await;
    let server = Server::start(script()).await;
    let target = server.target(Security::Required, other.pinned());
    let (stage, text) = failure(&target, &tim(&[Mechanism::Plain])).await;
    assert_eq!(stage, Stage::Tls);
    assert!(text.contains("certificate"), "{text}");
    assert!(server.heard().await.last().unwrap().contains("no TLS"));
    // The right certificate under another name.
    let server = Server::start(script()).await;
    let mut target = server.target(Security::Required, server.pinned());
    target.tls_name = Some("other.example.org".into());
    assert_eq!(failure(&target, &Login::default()).await.0, Stage::Tls);
    server.heard().await;
}

#[tokio::test]
async fn r3207_6_a_required_tls_that_is_not_offered_gets_no_mail_whoever_is_trusted() {
    for verifies in [true, false] {
        let server = Server::start(vec![
            Say("220 h\r\n"),
            Hear(EHLO),
            Say("250-h\r\n250 AUTH PLAIN NTLM\r\n"),
            Hear("QUIT"),
            Say("221 h\r\n"),
        ])
        .await;
        let trust = if verifies {
            server.pinned()
        } else {
            Trust::anybody()
        };
        let target = server.target(Security::Required, trust);
        let login = if verifies {
            Login::default()
        } else {
            tim(&[Mechanism::Ntlm])
        };
        let (stage, text) = failure(&target, &login).await;
        assert_eq!(stage, Stage::Tls, "{text}");
        assert!(text.contains("4.7.10"), "{text}");
        assert_eq!(server.heard().await.len(), 2);
    }
}

#[tokio::test]
async fn r3207_6_b_opportunistic_tls_takes_any_certificate_and_calls_it_unverified() {
    let server = Server::start(vec![
        Say("220 h\r\n"),
        Hear(EHLO),
        Say("250-h\r\n250 STARTTLS\r\n"),
        Hear("STARTTLS"),
        Say("220 go\r\n"),
        Tls,
        Hear(EHLO),
        Say("250 h\r\n"),
        Hear("QUIT"),
        Say("221 h\r\n"),
    ])
    .await;
    let other = Server::start(vec![]).await;
    let target = server.target(Security::Opportunistic, other.pinned());
    let dialogue = open(&target, &Login::default()).await.unwrap();
    assert_eq!(dialogue.tls().map(|facts| facts.verified), Some(false));
    dialogue.quit().await;
    server.heard().await;
}

#[tokio::test]
async fn r3207_6_b_a_failed_handshake_leads_to_one_connection_without_tls_nor_clear_text() {
    let broken = || {
        vec![
            Say("220 h\r\n"),
            Hear(EHLO),
            Say("250-h\r\n250-AUTH PLAIN NTLM\r\n250 STARTTLS\r\n"),
            Hear("STARTTLS"),
            Say("220 go\r\n"),
            Next,
        ]
    };
    let mut script = broken();
    script.extend([
        Say("220 h\r\n"),
        Hear(EHLO),
        Say("250-h\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n"),
        Hear("QUIT"),
        Say("221 h\r\n"),
    ]);
    let server = Server::start(script).await;
    let target = server.target(Security::Opportunistic, Trust::anybody());
    let login = Login {
        clear_text: true,
        ..tim(&[Mechanism::Ntlm, Mechanism::Plain])
    };
    let (stage, text) = failure(&target, &login).await;
    assert_eq!(stage, Stage::Authentication);
    assert!(text.contains("we have NTLM"), "{text}");
    server.heard().await;
    // With clear-text mechanisms alone there is no second connection.
    let server = Server::start(broken()).await;
    let target = server.target(Security::Opportunistic, Trust::anybody());
    let (stage, _) = failure(&target, &tim(&[Mechanism::Plain])).await;
    assert_eq!(stage, Stage::Tls);
    server.heard.abort();
}

#[tokio::test]
async fn r3207_4_2_c_octets_in_clear_after_the_220_are_an_attack() {
    let server = Server::start(vec![
        Say("220 h\r\n"),
        Hear(EHLO),
        Say("250-h\r\n250 STARTTLS\r\n"),
        Hear("STARTTLS"),
        Say("220 go\r\n250 h\r\n"),
    ])
    .await;
    let target = server.target(Security::Opportunistic, Trust::anybody());
    let (stage, text) = failure(&target, &Login::default()).await;
    assert_eq!(stage, Stage::Tls);
    assert!(text.contains("attack"), "{text}");
    // Neither a handshake nor another word.
    assert_eq!(server.heard().await.len(), 2);
}

#[tokio::test]
async fn r8314_3_3_implicit_tls_comes_before_the_greeting() {
    let server = Server::start(vec![
        Tls,
        Say("220 h\r\n"),
        Hear(EHLO),
        Say("250-h\r\n250 AUTH LOGIN\r\n"),
        Hear("AUTH LOGIN"),
        Say("334 VXNlcm5hbWU6\r\n"),
        Hear("dGlt"),
        Say("334 UGFzc3dvcmQ6\r\n"),
        Hear("dGFuc3RhYWZ0YW5zdGFhZg=="),
        Say("235 2.7.0 yes\r\n"),
        Hear("QUIT"),
        Say("221 h\r\n"),
    ])
    .await;
    let target = server.target(Security::Implicit, server.pinned());
    let dialogue = open(&target, &tim(&[Mechanism::Login])).await.unwrap();
    dialogue.quit().await;
    server.heard().await;
}

#[tokio::test]
async fn r8314_3_3_a_server_without_tls_fails_the_handshake() {
    let server = Server::start(vec![Say("220 h ready\r\n")]).await;
    let target = server.target(Security::Implicit, server.pinned());
    assert_eq!(failure(&target, &Login::default()).await.0, Stage::Tls);
}

#[tokio::test]
async fn cl_mech_clear_the_host_judges_for_itself() {
    let server = Server::start(vec![
        Say("220 h\r\n"),
        Hear(EHLO),
        Say("250-h\r\n250 AUTH NTLM\r\n"),
        Hear("QUIT"),
        Say("221 h\r\n"),
    ])
    .await;
    let target = server.target(Security::Off, Trust::anybody());
    let login = Login {
        provider: None,
        ..tim(&[Mechanism::Ntlm, Mechanism::Plain])
    };
    let dialogue = open(&target, &login).await.unwrap();
    assert!(dialogue.may_confide(Mechanism::Ntlm).is_ok());
    assert!(dialogue.may_confide(Mechanism::Plain).is_err());
    assert!(dialogue.may_confide(Mechanism::CramMd5).is_err());
    dialogue.quit().await;
    server.heard().await;
}

#[tokio::test]
async fn cl_ambiguous_a_server_that_goes_after_the_end_of_data_may_have_it() {
    let server = Server::start(vec![
        Say("220 h\r\n"),
        Hear(EHLO),
        Say("250 h\r\n"),
        Hear("MAIL"),
        Say("250 ok\r\n"),
        Hear("RCPT"),
        Say("250 ok\r\n"),
        Hear("DATA"),
        Say("354 go\r\n"),
        Content,
        Next,
    ])
    .await;
    let target = server.target(Security::Off, Trust::anybody());
    let mut dialogue = open(&target, &Login::default()).await.unwrap();
    let outcomes = submit(&mut dialogue, &["b@example.org"], b"a: b\r\n\r\nc\r\n").await;
    assert_eq!(verdicts(&outcomes), [(Verdict::Unknown, 451)]);
    assert!(!dialogue.is_ready());
    // And what is submitted after that waits.
    let outcomes = submit(&mut dialogue, &["b@example.org"], b"a: b\r\n\r\nc\r\n").await;
    assert_eq!(verdicts(&outcomes), [(Verdict::Deferred, 451)]);
    server.heard.abort();
}

#[tokio::test]
async fn a_message_that_cannot_be_read_to_its_end_is_not_ended_for_the_server() {
    let server = Server::start(vec![
        Say("220 h\r\n"),
        Hear(EHLO),
        Say("250 h\r\n"),
        Hear("MAIL"),
        Say("250 ok\r\n"),
        Hear("RCPT"),
        Say("250 ok\r\n"),
        Hear("DATA"),
        Say("354 go\r\n"),
        Content,
    ])
    .await;
    let target = server.target(Security::Off, Trust::anybody());
    let mut dialogue = open(&target, &Login::default()).await.unwrap();
    let content = b"a: b\r\n\r\nc\r\n".repeat(10_000);
    let facts = facts(&content).await;
    let mut shorter = &content[..content.len() - 3];
    let outcomes = dialogue
        .submit(&envelope(&["b@example.org"]), &facts, &mut shorter)
        .await;
    assert_eq!(verdicts(&outcomes), [(Verdict::Deferred, 451)]);
    let failure = dialogue.failure().unwrap();
    assert!(failure.text.contains("cannot be read"), "{}", failure.text);
    drop(dialogue);
    assert!(!server.heard().await[4].ends_with("\r\n.\r\n"));
}

#[tokio::test]
async fn a_server_that_has_had_enough_is_heard_while_content_is_on_its_way() {
    let server = Server::start(vec![
        Say("220 h\r\n"),
        Hear(EHLO),
        Say("250 h\r\n"),
        Hear("MAIL"),
        Say("250 ok\r\n"),
        Hear("RCPT"),
        Say("250 ok\r\n"),
        Hear("DATA"),
        Say("354 go\r\n552 5.3.4 too large\r\n"),
    ])
    .await;
    let target = server.target(Security::Off, Trust::anybody());
    let mut dialogue = open(&target, &Login::default()).await.unwrap();
    let content = b"a: b\r\n\r\nc\r\n".repeat(100_000);
    let outcomes = submit(&mut dialogue, &["b@example.org"], &content).await;
    assert_eq!(verdicts(&outcomes), [(Verdict::Failed, 552)]);
    drop(dialogue);
    server.heard().await;
}

#[tokio::test]
async fn cl_421_between_messages_defers_the_next() {
    let server = Server::start(vec![
        Say("220 h\r\n"),
        Hear(EHLO),
        Say("250 h\r\n421 4.3.2 h shutting down\r\n"),
    ])
    .await;
    let target = server.target(Security::Off, Trust::anybody());
    match open(&target, &Login::default()).await {
        Ok(mut dialogue) => {
            let outcomes = submit(&mut dialogue, &["b@example.org"], b"a: b\r\n\r\n").await;
            assert_eq!(outcomes[0].verdict, Verdict::Deferred);
            assert!(!dialogue.is_ready());
        }
        Err(error) => assert!(error.to_string().contains("421"), "{error}"),
    }
    server.heard().await;
}

#[tokio::test]
async fn cl_reply_b_a_server_without_line_ends_is_given_up() {
    let server = Server::start(vec![Flood(1 << 20)]).await;
    let target = server.target(Security::Off, Trust::anybody());
    let (_, text) = failure(&target, &Login::default()).await;
    assert!(text.contains("4096"), "{text}");
}

#[tokio::test]
async fn who_cannot_be_connected_to_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let target = Target {
        host: "127.0.0.1".into(),
        port: address.port(),
        security: Security::Off,
        tls_name: None,
        trust: Arc::new(Trust::anybody()),
        hostname: None,
        lmtp: false,
    };
    let error = open(&target, &Login::default()).await.err().unwrap();
    assert!(error.is_temporary());
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[test]
fn r5321_4_5_3_2_the_client_waits_as_long_as_the_profile_says() {
    for (phase, seconds) in [
        (Phase::Greeting, 300),
        (Phase::Command, 300),
        (Phase::Authentication, 300),
        (Phase::DataInitiation, 120),
        (Phase::EndOfContent, 600),
        (Phase::Quit, 10),
    ] {
        assert_eq!(timeout::client_wait(phase).as_secs(), seconds, "{phase:?}");
    }
    assert_eq!(timeout::CONNECT.as_secs(), 60);
    assert_eq!(timeout::HANDSHAKE.as_secs(), 60);
    assert_eq!(timeout::CONTENT_WRITE.as_secs(), 180);
}
