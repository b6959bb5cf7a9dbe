//! Bad servers: the error names what to do and no secret; time and memory are bounded.

use super::server::{Answer, Server, error};
use super::{CLIENT_SECRET, Clock, FIRST, Options, Site, Tokens, failure};
use crate::oauth::endpoint::Patience;
use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

async fn told(answer: impl Fn() -> Answer + Send + Sync + 'static) -> String {
    let server = Server::new(move |_, _| answer());
    let site = Site::new();
    failure(&Tokens::new(site.refresh(&server))).await
}

#[tokio::test]
async fn rfc_6749_section_5_2_errors_say_what_to_do() {
    for (word, advice) in [
        ("invalid_grant", "pillarbox oauth login"),
        ("invalid_client", "client-id and client-secret-file"),
        ("invalid_scope", "check scope"),
        ("invalid_request", "token-url"),
        ("unauthorized_client", "allow this grant"),
        ("unsupported_grant_type", "another grant"),
    ] {
        let text = told(move || error(400, word)).await;
        assert!(text.contains(word) && text.contains(advice), "{text}");
        assert!(!text.contains('\n'), "{text}");
    }
}

#[tokio::test]
async fn a_secret_that_the_server_repeats_is_hidden() {
    let text = told(|| {
        let json =
            format!(r#"{{"error":"invalid_grant","error_description":"{FIRST} is\r\nnot good"}}"#);
        Answer::Json(400, json)
    })
    .await;
    assert!(text.contains("(*** is not good)"), "{text}");

    let server = Server::new(|_, request| {
        let secret = request.field("client_secret").unwrap_or("no secret");
        Answer::Json(
            401,
            format!(r#"{{"error":"invalid_client","error_description":"not {secret}"}}"#),
        )
    });
    let site = Site::new();
    let text = failure(&Tokens::new(site.client_credentials(&server))).await;
    assert!(
        text.contains("(not ***)") && !text.contains(CLIENT_SECRET),
        "{text}"
    );
}

#[tokio::test]
async fn answers_without_sense() {
    for (answer, said) in [
        ("HTTP/1.1 500 Oh\r\n\r\nsorry", "answers 500"),
        ("HTTP/1.1 404 Oh\r\n\r\n<html>", "check its address"),
        ("HTTP/1.1 200 OK\r\n\r\n<html>", "is no JSON"),
        ("HTTP/1.1 200 OK\r\n\r\n", "is no JSON"),
        ("HTTP/1.1 204 OK\r\n\r\n", "is no JSON"),
        ("HTTP/1.1 200 OK\r\n\r\n{}", "lacks a proper access_token"),
        (
            "HTTP/1.1 200 OK\r\n\r\n{\"error\":\"invalid_grant\"}",
            "refuses with invalid_grant",
        ),
        ("HTTP/1.1 200 OK\r\n\r\n[]", "lacks a proper access_token"),
        (
            "HTTP/1.1 200 OK\r\n\r\n{\"access_token\":\"a\\u0001b\"}",
            "no token has",
        ),
        ("220 mail.example.org ESMTP\r\n", "cannot ask"),
        ("", "cannot ask"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",
            "cannot ask",
        ),
    ] {
        let text = told(move || Answer::Raw(answer.into())).await;
        assert!(text.contains(said), "{answer:?}: {text}");
    }
}

#[tokio::test]
async fn an_endless_response_is_not_read_to_its_end() {
    let text = told(|| Answer::Endless).await;
    assert!(text.contains("cannot ask"), "{text}");
    let text = told(|| {
        let mut head = b"HTTP/1.1 200 OK\r\n".to_vec();
        head.extend(std::iter::repeat_n(b"X-Y: z\r\n", 20_000).flatten());
        Answer::Raw(head)
    })
    .await;
    assert!(text.contains("cannot ask"), "{text}");
}

#[tokio::test]
async fn a_redirect_is_told_and_not_followed() {
    let elsewhere = Server::new(|_, _| super::server::granted("T"));
    for status in [301, 302, 303, 307, 308] {
        let to = elsewhere.url();
        let text = told(move || {
            let head = format!("HTTP/1.1 {status} Moved\r\nLocation: {to}\r\n\r\n");
            Answer::Raw(head.into())
        })
        .await;
        assert!(text.contains(&elsewhere.url()), "{status}: {text}");
    }
    assert_eq!(elsewhere.count(), 0);
}

#[tokio::test]
async fn a_slow_server_is_not_waited_for() {
    let patience = Patience {
        connect: Duration::from_millis(200),
        all: Duration::from_millis(200),
    };
    let server = Server::new(|_, _| Answer::Silence(Duration::from_secs(20)));
    let site = Site::new();
    let options = Options {
        patience,
        ..Options::default()
    };
    let began = Instant::now();
    let text = failure(&Tokens::with(site.refresh(&server), options)).await;
    assert!(text.contains("cannot ask"), "{text}");
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn nobody_listens() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/token", free.local_addr().unwrap());
    drop(free);
    let site = Site::new();
    let text = failure(&Tokens::new(site.refresh_at(&url))).await;
    assert!(
        text.contains("cannot ask the token server http://127.0.0.1"),
        "{text}"
    );
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_ends_it() {
    let key = rcgen::generate_simple_self_signed(vec!["127.0.0.1".into()]).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![key.cert.der().clone()],
            rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap(),
        )
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/token", listener.local_addr().unwrap());
    let peer = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut session = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        let mut tls = rustls::Stream::new(&mut session, &mut stream);
        // The handshake happens here, and fails.
        tls.write_all(b"HTTP/1.1 200 OK\r\n\r\n").is_err()
    });
    let site = Site::new();
    let clock = Clock::new();
    let tokens = Tokens::with(site.refresh_at(&url), clock.options());
    let text = failure(&tokens).await;
    assert!(text.contains("certificate"), "{text}");
    assert!(peer.join().unwrap());
}
