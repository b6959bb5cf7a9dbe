//! Names, addresses and sockets: where a connection leads (RFC 5321 section 5.1, RFC 8305).

use super::Step::{Hear, Say};
use super::*;
use crate::outbound::resolve::{Exchanger, Resolve, ResolveError};
use std::net::IpAddr;
use tokio::net::{TcpSocket, TcpStream};

/// Says the same of every name.
struct Always(Result<Vec<IpAddr>, ResolveError>);

#[async_trait]
impl Resolve for Always {
    async fn addresses(&self, _: &str) -> Result<Vec<IpAddr>, ResolveError> {
        self.0.clone()
    }

    async fn exchangers(&self, domain: &str) -> Result<Vec<Exchanger>, ResolveError> {
        Err(ResolveError::Unknown {
            name: domain.to_owned(),
        })
    }
}

fn at(port: u16, answer: Result<Vec<IpAddr>, ResolveError>) -> Target {
    Target {
        host: "mail.example.org".into(),
        resolver: Arc::new(Always(answer)),
        ..target(port)
    }
}

fn addresses(words: &[&str]) -> Vec<IpAddr> {
    words.iter().map(|word| word.parse().unwrap()).collect()
}

fn short() -> Vec<Step> {
    vec![
        Say("220 h\r\n"),
        Hear(EHLO),
        Say("250 h\r\n"),
        Hear("QUIT"),
        Say("221 h\r\n"),
    ]
}

#[tokio::test]
async fn a_name_without_addresses_is_told_with_the_reason() {
    let error = ResolveError::Unanswered {
        name: "mail.example.org".into(),
        reason: "the DNS servers do not answer".into(),
    };
    let unopened = unopened(&at(25, Err(error.clone())), &Login::default()).await;
    assert_eq!(unopened.address, None);
    match &unopened.error {
        OutboundError::Unknown { host, source } => {
            assert_eq!((host.as_str(), source), ("mail.example.org", &error));
        }
        error => panic!("{error}"),
    }
    assert!(unopened.error.is_temporary());
    let source = std::error::Error::source(&unopened).unwrap().to_string();
    assert_eq!(
        source,
        "cannot look up mail.example.org: the DNS servers do not answer"
    );
}

#[tokio::test]
async fn r8305_5_an_address_that_swallows_everything_does_not_hold_up_a_good_one() {
    let server = Server::start(short()).await;
    // A listener whose queue is full answers nothing.
    let socket = TcpSocket::new_v4().unwrap();
    socket
        .bind(format!("127.0.0.2:{}", server.port).parse().unwrap())
        .unwrap();
    let silent = socket.listen(0).unwrap();
    let place = silent.local_addr().unwrap();
    let mut filling = Vec::new();
    for _ in 0..4 {
        filling.push(tokio::spawn(TcpStream::connect(place)));
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let target = at(server.port, Ok(addresses(&["127.0.0.2", "127.0.0.1"])));
    // Far less than the time that one address has.
    let dialogue = soon(open(&target, &Login::default())).await.unwrap();
    assert_eq!(dialogue.address(), format!("127.0.0.1:{}", server.port));
    dialogue.quit().await;
    server.heard().await;
    filling.iter().for_each(JoinHandle::abort);
}

#[tokio::test]
async fn where_nobody_listens_every_address_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let target = at(port, Ok(addresses(&["127.0.0.1", "127.0.0.3"])));
    let text = unopened(&target, &Login::default()).await.to_string();
    let expected = format!("cannot connect to mail.example.org port {port}: 127.0.0.1:{port}: ");
    assert!(text.starts_with(&expected), "{text}");
    assert!(text.contains(&format!("; 127.0.0.3:{port}: ")), "{text}");
}

#[tokio::test]
async fn r2033_lmtp_by_a_socket_of_this_machine() {
    let server = Server::at_a_socket(vec![
        Say("220 h\r\n"),
        Hear("LHLO [127.0.0.1]"),
        Say("250-h\r\n250 PIPELINING\r\n"),
        Hear("QUIT"),
        Say("221 h\r\n"),
    ]);
    let path = server.folder.path().join("door");
    let target = Target {
        socket: Some(path.clone()),
        hostname: None,
        lmtp: true,
        security: Security::Opportunistic,
        ..target(0)
    };
    let mut dialogue = open(&target, &Login::default()).await.unwrap();
    assert_eq!(dialogue.address(), path.to_str().unwrap());
    assert!(dialogue.is_alive().await);
    dialogue.quit().await;
    server.heard().await;
}

#[tokio::test]
async fn a_socket_has_no_tls_and_may_be_missing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("door");
    for security in [Security::Required, Security::Implicit] {
        let target = Target {
            socket: Some(path.clone()),
            security,
            ..target(0)
        };
        let (stage, text) = failure(&target, &Login::default()).await;
        assert_eq!(stage, Stage::Tls);
        assert!(text.contains("turn TLS off"), "{text}");
    }
    let target = Target {
        socket: Some(path.clone()),
        ..target(0)
    };
    let text = unopened(&target, &Login::default()).await.to_string();
    let expected = format!("cannot connect to {}: No such file", path.display());
    assert!(text.starts_with(&expected), "{text}");
}
