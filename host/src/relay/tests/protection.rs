//! REQUIRETLS and `TLS-Required: No` (RFC 8689), with servers that speak TLS, or do not.

use std::net::IpAddr;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::outbound::{Security, Trust};
use crate::route::NextHop;
use crate::tls;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A server that offers these in clear, and those under TLS.
struct Peer {
    port: u16,
    folder: tempfile::TempDir,
    heard: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Peer {
    async fn start(in_clear: &'static str, under_tls: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = tls::self_signed("mail.example.org", folder.path()).unwrap();
        let identity = tls::Certificates::load(&certificate, &key)
            .unwrap()
            .current();
        let acceptor = TlsAcceptor::from(Arc::clone(&identity.config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::default();
        let log = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            let mut served = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, log) = (acceptor.clone(), Arc::clone(&log));
                served.spawn(async move {
                    // The client may be gone at any time.
                    let _ = serve(Box::new(stream), &acceptor, [in_clear, under_tls], &log).await;
                });
            }
        });
        Self {
            port,
            folder,
            heard,
            task,
        }
    }

    /// The route to it, by its configured name or by MX records.
    fn route(&self, pattern: &str, mx: bool, security: Security) -> Route {
        let mut route = if mx {
            server::mx("route", pattern, self.port, 3)
        } else {
            server::configured("route", pattern, self.port, 3)
        };
        let Delivery::Relay(next_hop) = &route.delivery else {
            panic!("a relay")
        };
        let certificate = self.folder.path().join("certificate.pem");
        let certificate = match certificate.exists() {
            true => certificate,
            false => pem(self.folder.path()),
        };
        route.delivery = Delivery::Relay(Arc::new(NextHop {
            security,
            tls_name: Some("mail.example.org".into()),
            trust: Arc::new(Trust::file(&certificate).unwrap()),
            ..NextHop::clone(next_hop)
        }));
        route
    }

    fn mails(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        let mails = heard.iter().filter(|line| line.contains("MAIL FROM"));
        mails.cloned().collect()
    }
}

/// The certificate that was made there.
fn pem(folder: &Path) -> PathBuf {
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|one| one.unwrap().path());
    let holds = |file: &PathBuf| {
        std::fs::read_to_string(file).is_ok_and(|text| text.contains("BEGIN CERTIFICATE"))
    };
    files.filter(|file| file.is_file()).find(holds).unwrap()
}

async fn serve(
    mut stream: Box<dyn Stream>,
    acceptor: &TlsAcceptor,
    offers: [&str; 2],
    log: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut secured = false;
    stream.write_all(b"220 peer.test ESMTP\r\n").await?;
    loop {
        let line = line(&mut stream).await?;
        let mark = if secured { "tls" } else { "clear" };
        log.lock().unwrap().push(format!("{mark} {line}"));
        let reply = match line.get(..4).unwrap_or_default() {
            "EHLO" => {
                let mut reply = String::from("250-peer.test\r\n");
                for keyword in offers[usize::from(secured)].split_whitespace() {
                    reply.push_str(&format!("250-{keyword}\r\n"));
                }
                reply + "250 PIPELINING\r\n"
            }
            "STAR" => {
                stream.write_all(b"220 go\r\n").await?;
                stream = Box::new(acceptor.accept(stream).await?);
                secured = true;
                continue;
            }
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                while self::line(&mut stream).await? != "." {}
                "250 2.0.0 taken\r\n".to_owned()
            }
            "QUIT" => return stream.write_all(b"221 2.0.0 bye\r\n").await,
            _ => "250 2.0.0 ok\r\n".to_owned(),
        };
        stream.write_all(reply.as_bytes()).await?;
    }
}

async fn line(stream: &mut Box<dyn Stream>) -> std::io::Result<String> {
    let mut line = Vec::new();
    loop {
        match stream.read_u8().await? {
            b'\n' => break,
            octet => line.push(octet),
        }
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

#[derive(Default, Clone, Copy)]
struct Wish {
    tagged: bool,
    waived: bool,
    null: bool,
}

const USUAL: Wish = Wish {
    tagged: false,
    waived: false,
    null: false,
};
const TAGGED: Wish = Wish {
    tagged: true,
    ..USUAL
};
const WAIVED: Wish = Wish {
    waived: true,
    ..USUAL
};

async fn send(scene: &Scene, id: &str, wish: Wish) {
    let mailboxes = ["bob@example.net"];
    let mut new = message(&*scene.spool, id, &mailboxes, b"To: x\r\n\r\nbody\r\n").await;
    new.envelope.parameters.require_tls = wish.tagged;
    new.facts.tls_waived = wish.waived;
    if wish.null {
        new.envelope.reverse_path = String::new();
    }
    scene.spool.append(new).await.unwrap();
    scene.signals.wake.notify_one();
}

/// What became of them: identifier, state and reply of what is left; the others were delivered.
async fn left(scene: &Scene, waiting: usize) -> Vec<(String, State, String)> {
    let settled = |all: &[Entry]| {
        let open = [State::Waiting, State::Delivering];
        all.iter().all(|one| !open.contains(&one.state)) && all.len() == waiting
    };
    let entries = scene.until("settled", settled).await;
    let told = |mut entry: Entry| {
        let one = entry.recipients.remove(0);
        (entry.id, one.state, one.last_reply.unwrap_or_default())
    };
    entries.into_iter().map(told).collect()
}

#[tokio::test]
async fn r8689_4_2_1_a_tagged_message_goes_under_verified_tls_to_who_promises_the_same() {
    let scene = Scene::new();
    let peer = Peer::start("STARTTLS", "REQUIRETLS").await;
    // The route itself would do without.
    scene.routes(vec![peer.route("*", false, Security::Off)]);
    let service = scene.start_with_servers(scene.spool.clone());
    send(&scene, "a-1", USUAL).await;
    left(&scene, 0).await;
    send(&scene, "a-2", TAGGED).await;
    left(&scene, 0).await;
    service.stop().await;
    assert_eq!(
        peer.mails(),
        [
            "clear MAIL FROM:<alice@example.org>",
            "tls MAIL FROM:<alice@example.org> REQUIRETLS"
        ]
    );
}

#[tokio::test]
async fn r8689_4_2_1_without_requiretls_it_fails_with_5_7_30_and_others_go_on() {
    let scene = Scene::new();
    let peer = Peer::start("STARTTLS", "SIZE").await;
    scene.routes(vec![peer.route("*", false, Security::Required)]);
    let service = scene.start_with_servers(scene.spool.clone());
    for (id, wish) in [("a-1", USUAL), ("a-2", TAGGED), ("a-3", USUAL)] {
        send(&scene, id, wish).await;
    }
    let left = left(&scene, 1).await;
    service.stop().await;
    let (id, state, reply) = &left[0];
    assert_eq!((id.as_str(), *state), ("a-2", State::Failed));
    assert!(reply.contains("does not offer"), "{reply}");
    let attempt = scene.entries().await[0].recipients[0].attempt.clone();
    assert_eq!(attempt.unwrap().status, Some((5, 7, 30)));
    assert_eq!(peer.mails().len(), 2);
    assert!(scene.alarm.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn r8689_4_2_1_without_tls_it_fails_with_5_7_10_and_others_go_on() {
    let scene = Scene::new();
    let peer = Peer::start("HELP", "").await;
    scene.routes(vec![peer.route("*", false, Security::Opportunistic)]);
    let service = scene.start_with_servers(scene.spool.clone());
    let report = Wish {
        null: true,
        ..TAGGED
    };
    // R8689-5: a report goes, whatever the server lacks.
    for (id, wish) in [("a-1", TAGGED), ("a-2", USUAL), ("a-3", report)] {
        send(&scene, id, wish).await;
    }
    let left = left(&scene, 1).await;
    service.stop().await;
    assert_eq!((left[0].0.as_str(), left[0].1), ("a-1", State::Failed));
    let attempt = scene.entries().await[0].recipients[0].attempt.clone();
    assert_eq!(attempt.unwrap().status, Some((5, 7, 10)));
    let mut mails = peer.mails();
    mails.sort();
    assert_eq!(
        mails,
        ["clear MAIL FROM:<>", "clear MAIL FROM:<alice@example.org>"]
    );
}

/// DNS that proves what it says, if so.
struct Dns(bool);

#[async_trait]
impl Resolve for Dns {
    async fn addresses(&self, _: &str) -> Result<Vec<IpAddr>, ResolveError> {
        Ok(vec![IpAddr::from([127, 0, 0, 1])])
    }

    async fn exchangers(&self, domain: &str) -> Result<Vec<Exchanger>, ResolveError> {
        Ok(vec![Exchanger {
            preference: 10,
            host: format!("mx.{domain}"),
        }])
    }

    async fn proven_exchangers(
        &self,
        domain: &str,
    ) -> Result<Option<Vec<Exchanger>>, ResolveError> {
        match self.0 {
            true => self.exchangers(domain).await.map(Some),
            false => Ok(None),
        }
    }
}

#[tokio::test]
async fn r8689_4_2_1_a_name_from_mx_records_must_be_proven() {
    for proven in [true, false] {
        let scene = Scene::new();
        let peer = Peer::start("STARTTLS", "REQUIRETLS").await;
        scene.routes(vec![peer.route("*", true, Security::Opportunistic)]);
        let relay = Relay {
            resolver: Arc::new(Dns(proven)),
            ..scene.relay_to_servers(scene.spool.clone())
        };
        let service = scene.start_relay(relay, STALLED);
        send(&scene, "a-1", TAGGED).await;
        let left = left(&scene, usize::from(!proven)).await;
        send(&scene, "a-2", USUAL).await;
        scene.until("sent", |all| all.len() == left.len()).await;
        service.stop().await;
        if proven {
            assert_eq!(
                peer.mails()[0],
                "tls MAIL FROM:<alice@example.org> REQUIRETLS"
            );
        } else {
            assert_eq!(left[0].1, State::Failed);
            assert!(left[0].2.contains("[dns] trusted"), "{left:?}");
            assert_eq!(peer.mails(), ["tls MAIL FROM:<alice@example.org>"]);
        }
    }
}

#[tokio::test]
async fn r8689_3_a_waiver_gets_a_message_through_that_tls_would_keep() {
    let scene = Scene::new();
    let peer = Peer::start("HELP", "").await;
    scene.routes(vec![peer.route("*", false, Security::Required)]);
    let service = scene.start_with_servers(scene.spool.clone());
    send(&scene, "a-1", WAIVED).await;
    left(&scene, 0).await;
    // With the tag the field is ignored.
    let both = Wish {
        tagged: true,
        ..WAIVED
    };
    send(&scene, "a-2", both).await;
    assert_eq!(left(&scene, 1).await[0].1, State::Failed);
    send(&scene, "a-3", USUAL).await;
    let rest = left(&scene, 2).await;
    service.stop().await;
    assert_eq!(rest[1].1, State::Deferred);
    assert_eq!(peer.mails(), ["clear MAIL FROM:<alice@example.org>"]);
}
