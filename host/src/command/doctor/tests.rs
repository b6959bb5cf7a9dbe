//! The checks against servers that run in the test.

use super::finding::{Findings, Level};
use super::route::examine;
use super::server::Context;
use crate::command::component::small_engine;
use crate::outbound::resolve::{Exchanger, Resolve, ResolveError};
use crate::outbound::{CredentialsError, Login, Provider, Security, Timeouts, Trust};
use crate::relay::Retry;
use crate::route::{
    Connections, Delivery, DomainPattern, Endpoint, Hops, NextHop, Route, Upstream,
};
use crate::sandbox::v0_1::client::Credentials;
use crate::sandbox::v0_1::types::Mechanism;
use crate::{embedded, tls};
use async_trait::async_trait;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What a server does with AUTH and says to EHLO.
#[derive(Debug, Clone, Copy)]
struct Script {
    greeting: &'static str,
    starttls: bool,
    extensions: &'static str,
    login: &'static str,
}

const GOOD: Script = Script {
    greeting: "220 mail.example.org ESMTP",
    starttls: true,
    extensions: "250-8BITMIME\r\n250 SIZE 1000000\r\n",
    login: "235 2.7.0 welcome\r\n",
};

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A server and its certificate.
struct Server {
    port: u16,
    certificate: PathBuf,
    _folder: tempfile::TempDir,
}

impl Server {
    async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = tls::self_signed("mail.example.org", folder.path()).unwrap();
        let identity = tls::Certificates::load(&certificate, &key)
            .unwrap()
            .current();
        let acceptor = TlsAcceptor::from(Arc::clone(&identity.config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(session(Box::new(stream), acceptor.clone(), script));
            }
        });
        Self {
            port,
            certificate,
            _folder: folder,
        }
    }

    fn hop(&self) -> NextHop {
        NextHop {
            hops: Hops::Configured(vec![upstream("localhost", self.port)]),
            security: Security::Required,
            tls_name: Some("mail.example.org".into()),
            trust: Arc::new(Trust::file(&self.certificate).unwrap()),
            login: Login {
                mechanisms: vec![Mechanism::Plain],
                clear_text: false,
                provider: Some(Arc::new(Alice)),
            },
            tokens: None,
            transfer: crate::outbound::Transfer::default(),
            connections: Connections::default(),
            timeouts: Timeouts::default(),
        }
    }
}

async fn session(mut stream: Box<dyn Stream>, acceptor: TlsAcceptor, script: Script) {
    let mut clear = true;
    let _ = say(&mut stream, &format!("{}\r\n", script.greeting)).await;
    while let Some(line) = hear(&mut stream).await {
        let reply = match line.split(' ').next() {
            Some("EHLO") if clear && script.starttls => {
                format!(
                    "250-mail.example.org\r\n250-STARTTLS\r\n{}",
                    script.extensions
                )
            }
            Some("EHLO") => {
                format!(
                    "250-mail.example.org\r\n250-AUTH PLAIN\r\n{}",
                    script.extensions
                )
            }
            Some("STARTTLS") => "220 go\r\n".to_owned(),
            Some("AUTH") => script.login.to_owned(),
            Some("QUIT") => "221 bye\r\n".to_owned(),
            _ => "500 what?\r\n".to_owned(),
        };
        if say(&mut stream, &reply).await.is_err() {
            return;
        }
        if line == "STARTTLS" {
            let Ok(secured) = acceptor.accept(stream).await else {
                return;
            };
            stream = Box::new(secured);
            clear = false;
        }
    }
}

async fn say(stream: &mut Box<dyn Stream>, text: &str) -> std::io::Result<()> {
    stream.write_all(text.as_bytes()).await?;
    stream.flush().await
}

async fn hear(stream: &mut Box<dyn Stream>) -> Option<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(line).unwrap().trim_end().to_owned())
}

struct Alice;

#[async_trait]
impl Provider for Alice {
    async fn credentials(&self, _: Mechanism) -> Result<Credentials, CredentialsError> {
        Ok(Credentials {
            user: "alice".into(),
            domain: String::new(),
            workstation: String::new(),
            secret: "s3cret".into(),
        })
    }
}

/// `localhost` and `mx.example.net` are here, `null.example.net` takes no mail.
struct Names;

#[async_trait]
impl Resolve for Names {
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, ResolveError> {
        match host {
            "localhost" | "mx.example.net" => Ok(vec![[127, 0, 0, 1].into()]),
            "both.example.net" => Ok(vec![[127, 0, 0, 1].into(), [127, 0, 0, 9].into()]),
            _ => Err(ResolveError::Unknown { name: host.into() }),
        }
    }

    async fn exchangers(&self, domain: &str) -> Result<Vec<Exchanger>, ResolveError> {
        let host = match domain {
            "example.net" => "mx.example.net",
            "null.example.net" => "",
            _ => {
                return Err(ResolveError::Unknown {
                    name: domain.into(),
                });
            }
        };
        Ok(vec![Exchanger {
            preference: 10,
            host: host.into(),
        }])
    }
}

fn upstream(host: &str, port: u16) -> Upstream {
    Upstream {
        endpoint: Endpoint::Host {
            host: host.into(),
            port,
        },
        implicit: false,
        lmtp: false,
    }
}

fn route(hop: NextHop) -> Route {
    Route {
        name: "smarthost".into(),
        domains: vec![DomainPattern::Any],
        senders: Vec::new(),
        identities: Vec::new(),
        delivery: Delivery::Relay(Arc::new(hop)),
        retry: Retry::default(),
    }
}

async fn examined(hop: NextHop, to: &[&str]) -> Findings {
    let context = Context {
        build: embedded::load(&small_engine().unwrap(), None, None).unwrap(),
        hostname: "client.example.org".into(),
        message_size: 500_000,
        trace: false,
        resolver: Arc::new(Names),
    };
    let to: Vec<String> = to.iter().map(|to| (*to).to_owned()).collect();
    examine(&context, &route(hop), &to, &[]).await
}

/// Check and level of each finding.
fn levels(findings: &Findings) -> Vec<(&'static str, Level)> {
    findings
        .all
        .iter()
        .map(|one| (one.check, one.level))
        .collect()
}

fn text<'a>(findings: &'a Findings, check: &str) -> &'a str {
    let found = findings.all.iter().find(|one| one.check == check);
    found.map_or("", |one| one.text.as_str())
}

fn advice<'a>(findings: &'a Findings, check: &str) -> &'a str {
    let found = findings.all.iter().find(|one| one.check == check);
    found
        .and_then(|one| one.advice.as_deref())
        .unwrap_or_default()
}

#[tokio::test]
async fn a_good_server_passes_every_check() {
    let server = Server::start(GOOD).await;
    let findings = examined(server.hop(), &[]).await;
    let expected = [
        ("configuration", Level::Ok),
        ("credentials", Level::Ok),
        ("address", Level::Ok),
        ("connect", Level::Ok),
        ("tls", Level::Ok),
        ("login", Level::Ok),
        ("offer", Level::Ok),
    ];
    assert_eq!(levels(&findings), expected, "{findings:?}");
    assert_eq!(text(&findings, "address"), "localhost is 127.0.0.1");
    assert!(text(&findings, "connect").ends_with("says 220 mail.example.org ESMTP"));
    let tls = text(&findings, "tls");
    assert!(
        tls.starts_with("TLSv1.3, ") && tls.ends_with(", verified"),
        "{tls}"
    );
    assert!(
        tls.contains("certificate for mail.example.org by itself"),
        "{tls}"
    );
    assert!(text(&findings, "login").ends_with("takes it with PLAIN"));
    assert!(text(&findings, "offer").contains("messages up to 1000000 octets"));
}

#[tokio::test]
async fn each_fault_is_named_where_it_is_and_says_what_to_do() {
    let refused = Script {
        login: "535 5.7.8 no\r\n",
        ..GOOD
    };
    let server = Server::start(refused).await;
    let findings = examined(server.hop(), &[]).await;
    assert!(findings.failed());
    assert_eq!(
        levels(&findings).last(),
        Some(&("login", Level::Fail)),
        "{findings:?}"
    );
    assert!(text(&findings, "login").contains("535 5.7.8 no"));
    assert!(advice(&findings, "login").contains("password"));
    assert!(text(&findings, "tls").ends_with("verified"));

    let findings = examined(
        NextHop {
            tls_name: Some("other.example.org".into()),
            ..server.hop()
        },
        &[],
    )
    .await;
    assert_eq!(
        levels(&findings).last(),
        Some(&("tls", Level::Fail)),
        "{findings:?}"
    );
    assert!(text(&findings, "tls").contains("certificate for mail.example.org"));
    assert!(
        advice(&findings, "tls").contains("tls-name"),
        "{findings:?}"
    );

    let other = Server::start(GOOD).await;
    let findings = examined(
        NextHop {
            trust: Arc::new(Trust::file(&other.certificate).unwrap()),
            ..server.hop()
        },
        &[],
    )
    .await;
    assert!(
        advice(&findings, "tls").contains("tls-authorities"),
        "{findings:?}"
    );

    let plain = Script {
        starttls: false,
        ..GOOD
    };
    let findings = examined(Server::start(plain).await.hop(), &[]).await;
    assert!(
        advice(&findings, "tls").contains("no TLS on this port"),
        "{findings:?}"
    );

    let unwelcome = Script {
        greeting: "554 5.7.1 go away",
        ..GOOD
    };
    let findings = examined(Server::start(unwelcome).await.hop(), &[]).await;
    assert!(
        advice(&findings, "connect").contains("block list"),
        "{findings:?}"
    );
}

#[tokio::test]
async fn names_and_ports_that_lead_nowhere_are_told() {
    let server = Server::start(GOOD).await;
    let elsewhere = |host: &str, port| NextHop {
        hops: Hops::Configured(vec![upstream(host, port)]),
        ..server.hop()
    };
    let findings = examined(elsewhere("nowhere.example.net", 587), &[]).await;
    assert!(findings.failed());
    assert!(
        advice(&findings, "address").contains("deliver"),
        "{findings:?}"
    );
    // Nobody listens where somebody did a moment ago.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let findings = examined(elsewhere("localhost", port), &[]).await;
    assert!(findings.failed());
    assert!(
        advice(&findings, "connect").contains("nothing listens"),
        "{findings:?}"
    );
    // One of two addresses suffices.
    let findings = examined(elsewhere("both.example.net", server.port), &[]).await;
    assert!(!findings.failed(), "{findings:?}");
    assert!(
        levels(&findings).contains(&("connect", Level::Warn)),
        "{findings:?}"
    );
}

#[tokio::test]
async fn a_smaller_limit_and_a_wrong_clock_are_worth_a_word() {
    let small = Script {
        greeting: "220 mail.example.org ESMTP Wed, 1 Jan 2020 00:00:00 +0000",
        extensions: "250 SIZE 1000\r\n",
        ..GOOD
    };
    let findings = examined(Server::start(small).await.hop(), &[]).await;
    assert!(!findings.failed(), "{findings:?}");
    assert!(
        advice(&findings, "offer").contains("message-size = 1000"),
        "{findings:?}"
    );
    assert!(advice(&findings, "clock").contains("clock"), "{findings:?}");
}

#[tokio::test]
async fn exchangers_are_tried_for_the_domains_that_are_named() {
    let server = Server::start(GOOD).await;
    let mx = || NextHop {
        hops: Hops::Mx { port: server.port },
        security: Security::Opportunistic,
        login: Login::default(),
        ..server.hop()
    };
    let findings = examined(mx(), &[]).await;
    assert_eq!(
        levels(&findings).last(),
        Some(&("mx", Level::Skip)),
        "{findings:?}"
    );
    let findings = examined(mx(), &["bob@Example.NET", "eve@example.net"]).await;
    assert!(!findings.failed(), "{findings:?}");
    assert_eq!(text(&findings, "mx"), "example.net: mx.example.net (10)");
    assert_eq!(text(&findings, "login"), "none is configured");
    let findings = examined(mx(), &["bob@null.example.net"]).await;
    assert!(text(&findings, "mx").contains("null"), "{findings:?}");
    let findings = examined(mx(), &["bob@nowhere.example.net"]).await;
    assert!(
        advice(&findings, "mx").contains("recipient"),
        "{findings:?}"
    );
}

/// Has none.
struct Nobody;

#[async_trait]
impl Provider for Nobody {
    async fn credentials(&self, _: Mechanism) -> Result<Credentials, CredentialsError> {
        Err(CredentialsError {
            text: "cannot read the password's file".into(),
        })
    }
}

#[tokio::test]
async fn without_credentials_nobody_connects() {
    let server = Server::start(GOOD).await;
    let hop = server.hop();
    let hop = NextHop {
        login: Login {
            provider: Some(Arc::new(Nobody)),
            ..hop.login.clone()
        },
        ..hop
    };
    let findings = examined(hop, &[]).await;
    assert_eq!(
        levels(&findings).last(),
        Some(&("credentials", Level::Fail))
    );
    assert_eq!(
        text(&findings, "credentials"),
        "cannot read the password's file"
    );
}
