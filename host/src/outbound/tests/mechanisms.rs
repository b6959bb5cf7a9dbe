//! Mechanisms that need the host: SCRAM, whose PBKDF2 and channel binding are its own, and tokens
//! that are renewed inside a session.

use super::Step::{Hear, Say};
use super::*;
use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio_rustls::server::TlsStream;

const ITERATIONS: u32 = 4096;
const SALT: &[u8] = b"NaCl";

/// What a SCRAM server is like.
#[derive(Clone, Copy, PartialEq)]
enum Conduct {
    /// It knows the password.
    Right,
    /// It says 235 without a signature.
    Silent,
    /// It signs with something else.
    Wrong,
}

/// What the server saw.
#[derive(Debug, PartialEq)]
struct Seen {
    /// The GS2 header.
    header: String,
    /// The client's proof and its channel binding are right.
    proven: bool,
    /// The line after the server's last.
    last: String,
}

/// The server's side of RFC 5802 section 3, on one connection with TLS from its start.
async fn scram(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    mechanism: &'static str,
    offered: &'static str,
    conduct: Conduct,
) -> Seen {
    let (socket, _) = listener.accept().await.unwrap();
    let stream = acceptor.accept(socket).await.unwrap();
    let exporter = stream
        .get_ref()
        .1
        .export_keying_material([0_u8; 32], b"EXPORTER-Channel-Binding", Some(&[]))
        .unwrap();
    let mut stream = BufReader::new(stream);
    say(&mut stream, "220 h\r\n").await;
    assert_eq!(hear(&mut stream).await, EHLO);
    say(&mut stream, &format!("250-h\r\n250 AUTH {offered}\r\n")).await;
    let line = hear(&mut stream).await;
    let first = line
        .strip_prefix(&format!("AUTH {mechanism} "))
        .unwrap_or_else(|| panic!("{line}"));
    let first = decoded(first);
    let (header, bare) = first.split_at(first.find("n=").unwrap());
    let nonce = bare.split_once(",r=").unwrap().1;
    let salt = STANDARD.encode(SALT);
    let challenge = format!("r={nonce}server,s={salt},i={ITERATIONS}");
    say(
        &mut stream,
        &format!("334 {}\r\n", STANDARD.encode(&challenge)),
    )
    .await;
    let last = decoded(&hear(&mut stream).await);
    let (without_proof, proof) = last.split_once(",p=").unwrap();

    let (algorithm, hash, of) = match mechanism.contains("256") {
        true => (
            pbkdf2::PBKDF2_HMAC_SHA256,
            hmac::HMAC_SHA256,
            &digest::SHA256,
        ),
        false => (
            pbkdf2::PBKDF2_HMAC_SHA1,
            hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            &digest::SHA1_FOR_LEGACY_USE_ONLY,
        ),
    };
    let sign = |key: &[u8], message: &str| {
        hmac::sign(&hmac::Key::new(hash, key), message.as_bytes())
            .as_ref()
            .to_vec()
    };
    let mut salted = vec![0; of.output_len()];
    let iterations = NonZeroU32::new(ITERATIONS).unwrap();
    pbkdf2::derive(
        algorithm,
        iterations,
        SALT,
        b"tanstaaftanstaaf",
        &mut salted,
    );
    let messages = format!("{bare},{challenge},{without_proof}");
    let client_key = sign(&salted, "Client Key");
    let stored_key = digest::digest(of, &client_key);
    let signature = sign(stored_key.as_ref(), &messages);
    let expected: Vec<u8> = client_key
        .iter()
        .zip(&signature)
        .map(|(a, b)| a ^ b)
        .collect();
    let mut bound = header.as_bytes().to_vec();
    if header.starts_with("p=") {
        bound.extend_from_slice(&exporter);
    }
    let binding = format!("c={},r={nonce}server", STANDARD.encode(bound));
    let proven = proof == STANDARD.encode(expected) && without_proof == binding;

    let key = match conduct {
        Conduct::Right => sign(&salted, "Server Key"),
        Conduct::Silent | Conduct::Wrong => sign(&salted, "Another Key"),
    };
    if conduct != Conduct::Silent {
        let verifier = format!("v={}", STANDARD.encode(sign(&key, &messages)));
        say(
            &mut stream,
            &format!("334 {}\r\n", STANDARD.encode(verifier)),
        )
        .await;
        let line = hear(&mut stream).await;
        if line == "*" {
            say(&mut stream, "501 5.7.0 cancelled\r\n").await;
        } else {
            assert_eq!(line, "");
        }
    }
    if conduct != Conduct::Wrong {
        say(&mut stream, "235 2.7.0 welcome\r\n").await;
    }
    let after = hear(&mut stream).await;
    say(&mut stream, "221 h\r\n").await;
    Seen {
        header: header.into(),
        proven,
        last: after,
    }
}

async fn say(stream: &mut BufReader<TlsStream<tokio::net::TcpStream>>, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
}

async fn hear(stream: &mut BufReader<TlsStream<tokio::net::TcpStream>>) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).await.unwrap();
    line.strip_suffix("\r\n").unwrap().to_owned()
}

fn decoded(text: &str) -> String {
    String::from_utf8(STANDARD.decode(text).unwrap()).unwrap()
}

/// A client with these mechanisms at such a server.
async fn meet(
    ours: &[Mechanism],
    theirs: &'static str,
    offered: &'static str,
    conduct: Conduct,
) -> (Seen, Result<(), (Stage, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = tls::self_signed("mail.example.org", folder.path()).unwrap();
    let identity = tls::Certificates::load(&certificate, &key)
        .unwrap()
        .current();
    let acceptor = TlsAcceptor::from(Arc::clone(&identity.config));
    let server = tokio::spawn(scram(listener, acceptor, theirs, offered, conduct));
    let target = Target {
        security: Security::Implicit,
        tls_name: Some("mail.example.org".into()),
        trust: Arc::new(Trust::file(&certificate).unwrap()),
        ..target(port)
    };
    let opened = match open(&target, &tim(ours)).await {
        Ok(dialogue) => {
            dialogue.quit().await;
            Ok(())
        }
        Err(unopened) => match unopened.error {
            OutboundError::Failed(failure) => Err((failure.stage, failure.text.clone())),
            error => panic!("{error}"),
        },
    };
    (soon(server).await.unwrap(), opened)
}

#[tokio::test]
async fn r5802_6_c_scram_is_bound_to_the_connection_where_the_server_can() {
    for (ours, theirs, offered, header) in [
        (
            Mechanism::ScramSha256Plus,
            "SCRAM-SHA-256-PLUS",
            "SCRAM-SHA-256 SCRAM-SHA-256-PLUS",
            "p=tls-exporter,,",
        ),
        (
            Mechanism::ScramSha1Plus,
            "SCRAM-SHA-1-PLUS",
            "SCRAM-SHA-1 SCRAM-SHA-1-PLUS",
            "p=tls-exporter,,",
        ),
        (
            Mechanism::ScramSha256,
            "SCRAM-SHA-256",
            "SCRAM-SHA-256",
            "y,,",
        ),
        (Mechanism::ScramSha1, "SCRAM-SHA-1", "SCRAM-SHA-1", "y,,"),
    ] {
        let (seen, opened) = meet(&[ours], theirs, offered, Conduct::Right).await;
        let expected = Seen {
            header: header.into(),
            proven: true,
            last: "QUIT".into(),
        };
        assert_eq!(seen, expected, "{theirs}");
        assert_eq!(opened, Ok(()), "{theirs}");
    }
}

#[tokio::test]
async fn r5802_5_d_a_server_without_the_password_gets_no_mail_and_no_password() {
    for conduct in [Conduct::Silent, Conduct::Wrong] {
        let (seen, opened) = meet(
            &[Mechanism::ScramSha256, Mechanism::Plain],
            "SCRAM-SHA-256",
            "PLAIN SCRAM-SHA-256",
            conduct,
        )
        .await;
        assert_eq!(seen.last, "QUIT");
        let (stage, text) = opened.unwrap_err();
        assert_eq!(stage, Stage::Authentication);
        assert!(text.contains("password"), "{text}");
    }
}

/// Gives `old`, and once it is refused `new`.
#[derive(Default)]
struct Tokens(AtomicBool);

#[async_trait]
impl Provider for Tokens {
    async fn credentials(&self, _: Mechanism) -> Result<Credentials, CredentialsError> {
        let refused = self.0.load(Ordering::Relaxed);
        Ok(Credentials {
            user: "u".into(),
            domain: String::new(),
            workstation: String::new(),
            secret: if refused { "new" } else { "old" }.into(),
        })
    }

    async fn refused(&self) -> bool {
        !self.0.swap(true, Ordering::Relaxed)
    }
}

#[tokio::test]
async fn xoa_3_a_token_is_renewed_once_in_the_session() {
    let bearer = |token: &str| {
        let message = format!("user=u\u{1}auth=Bearer {token}\u{1}\u{1}");
        let line = format!("AUTH XOAUTH2 {}", STANDARD.encode(message));
        &*line.leak()
    };
    let refusal = [
        // {"status":"401","schemes":"bearer","scope":"smtp"}
        Say("334 eyJzdGF0dXMiOiI0MDEiLCJzY2hlbWVzIjoiYmVhcmVyIiwic2NvcGUiOiJzbXRwIn0=\r\n"),
        Hear(""),
        Say("535 5.7.8 no\r\n"),
    ];
    let mut script = vec![
        Say("220 h\r\n"),
        Hear(EHLO),
        Say("250-h\r\n250 AUTH XOAUTH2\r\n"),
        Hear(bearer("old")),
    ];
    script.extend(refusal);
    script.extend([
        Hear(bearer("new")),
        Say("235 2.7.0 yes\r\n"),
        Hear("QUIT"),
        Say("221 h\r\n"),
    ]);
    let server = Server::start(script).await;
    let login = Login {
        mechanisms: vec![Mechanism::Xoauth2],
        clear_text: true,
        provider: Some(Arc::new(Tokens::default())),
    };
    let dialogue = open(&target(server.port), &login).await.unwrap();
    dialogue.quit().await;
    server.heard().await;
}
