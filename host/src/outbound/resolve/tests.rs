//! Lookups against a DNS server of the test's own (RFC 1035, RFC 2308, RFC 7505).

use super::dns::Dns;
use super::system::System;
use super::*;
use hickory_resolver::proto::op::{Message, Query, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, MX, SOA};
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use std::fs;
use std::sync::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};

/// What the server does when it is asked.
#[derive(Clone)]
enum Says {
    /// These records, with their owners.
    Records(Vec<(&'static str, RData)>),
    /// The same, but by UDP only that there is more.
    Truncated(Vec<(&'static str, RData)>),
    /// Nothing of the kind (NODATA).
    Nothing,
    /// This response code.
    Code(ResponseCode),
    /// It keeps silent.
    Silence,
}
use Says::{Code, Nothing, Records, Silence, Truncated};

type Zone = Vec<(&'static str, RecordType, Says)>;

/// Transport, name and type of a question.
type Question = (&'static str, String, RecordType);

/// A DNS server of the loopback interface.
struct Server {
    address: SocketAddr,
    /// What was asked: by UDP or TCP, name, type.
    asked: Arc<Mutex<Vec<Question>>>,
}

impl Server {
    async fn start(zone: Zone) -> Self {
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            // The port may be another's for TCP.
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
                break (udp, tcp);
            }
        };
        let server = Self {
            address: udp.local_addr().unwrap(),
            asked: Arc::default(),
        };
        let zone = Arc::new(zone);
        let (same, asked) = (Arc::clone(&zone), Arc::clone(&server.asked));
        tokio::spawn(async move {
            let mut room = [0; 4096];
            while let Ok((length, from)) = udp.recv_from(&mut room).await {
                if let Some(answer) = answer(&same, &asked, "UDP", &room[..length]) {
                    udp.send_to(&answer, from).await.unwrap();
                }
            }
        });
        let asked = Arc::clone(&server.asked);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = tcp.accept().await {
                while let Ok(length) = stream.read_u16().await {
                    let mut query = vec![0; length.into()];
                    stream.read_exact(&mut query).await.unwrap();
                    let Some(answer) = answer(&zone, &asked, "TCP", &query) else {
                        continue;
                    };
                    let length = u16::try_from(answer.len()).unwrap();
                    stream.write_u16(length).await.unwrap();
                    stream.write_all(&answer).await.unwrap();
                }
            }
        });
        server
    }

    /// Who asks it, and knows no hosts file.
    fn dns(&self) -> Dns {
        Dns::of(&[self.address], Word::Trusted)
            .unwrap()
            .with_hosts("/nonexistent/hosts".as_ref())
    }

    fn asked(&self) -> Vec<(&'static str, String, RecordType)> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(
    zone: &Zone,
    asked: &Mutex<Vec<(&'static str, String, RecordType)>>,
    way: &'static str,
    octets: &[u8],
) -> Option<Vec<u8>> {
    let request = Message::from_vec(octets).unwrap();
    let query = request.queries[0].clone();
    let name = query.name().to_ascii().to_lowercase();
    let kind = query.query_type();
    asked.lock().unwrap().push((way, name.clone(), kind));
    let says = zone
        .iter()
        .find(|(owner, asked, _)| *owner == name && *asked == kind)
        .map_or(Code(ResponseCode::NXDomain), |(.., says)| says.clone());
    let mut response = Message::response(request.metadata.id, request.metadata.op_code);
    response.metadata.recursion_desired = true;
    response.metadata.recursion_available = true;
    // RFC 6840 section 5.7: it is told to who asks for it, here for all but what says otherwise.
    response.metadata.authentic_data =
        request.metadata.authentic_data && !name.contains("unsigned");
    response.add_query(query.clone());
    match says {
        Truncated(_) if way == "UDP" => response.metadata.truncation = true,
        Records(records) | Truncated(records) => {
            response.add_answers(
                records
                    .into_iter()
                    .map(|(owner, data)| Record::from_rdata(owner.parse().unwrap(), 86_400, data)),
            );
        }
        Nothing => {
            response.add_authority(soa(&query));
        }
        Code(code) => {
            response.metadata.response_code = code;
            if code == ResponseCode::NXDomain {
                response.add_authority(soa(&query));
            }
        }
        Silence => return None,
    }
    Some(response.to_vec().unwrap())
}

/// RFC 2308 section 3: without it a negative answer is not to be remembered.
fn soa(query: &Query) -> Record {
    let name: Name = "example.org.".parse().unwrap();
    let soa = SOA::new(name.clone(), name, 1, 3600, 600, 86_400, 86_400);
    let zone = query.name().trim_to(2);
    Record::from_rdata(zone, 86_400, RData::SOA(soa))
}

fn a(address: &str) -> RData {
    RData::A(A(address.parse().unwrap()))
}

fn aaaa(address: &str) -> RData {
    RData::AAAA(AAAA(address.parse().unwrap()))
}

fn mx(preference: u16, host: &str) -> RData {
    RData::MX(MX::new(preference, host.parse().unwrap()))
}

fn exchanger(preference: u16, host: &str) -> Exchanger {
    Exchanger {
        preference,
        host: host.into(),
    }
}

fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

fn unknown(name: &str) -> ResolveError {
    ResolveError::Unknown { name: name.into() }
}

fn nothing(name: &str, kind: &'static str) -> ResolveError {
    ResolveError::Nothing {
        name: name.into(),
        kind,
    }
}

fn reason(error: ResolveError) -> String {
    match error {
        ResolveError::Unanswered { reason, .. } => reason,
        error => panic!("{error}"),
    }
}

#[tokio::test]
async fn r5321_5_1_mx_records_come_as_they_are_and_an_alias_is_followed() {
    let server = Server::start(vec![
        (
            "example.org.",
            RecordType::MX,
            Records(vec![
                ("example.org.", mx(20, "Backup.Example.NET.")),
                ("example.org.", mx(10, "mail.example.org.")),
            ]),
        ),
        (
            "alias.example.org.",
            RecordType::MX,
            Records(vec![
                (
                    "alias.example.org.",
                    RData::CNAME(CNAME("example.org.".parse().unwrap())),
                ),
                ("example.org.", mx(10, "mail.example.org.")),
            ]),
        ),
    ])
    .await;
    let dns = server.dns();
    assert_eq!(
        dns.exchangers("example.org").await,
        Ok(vec![
            exchanger(20, "backup.example.net"),
            exchanger(10, "mail.example.org")
        ])
    );
    assert_eq!(
        dns.exchangers("alias.Example.org.").await,
        Ok(vec![exchanger(10, "mail.example.org")])
    );
}

#[tokio::test]
async fn r7505_3_the_null_mx_has_an_empty_host() {
    let server = Server::start(vec![(
        "example.org.",
        RecordType::MX,
        Records(vec![("example.org.", mx(0, "."))]),
    )])
    .await;
    let exchangers = server.dns().exchangers("example.org").await;
    assert_eq!(exchangers, Ok(vec![exchanger(0, "")]));
}

#[tokio::test]
async fn r2308_2_no_such_name_nothing_of_the_kind_and_no_answer_are_told_apart() {
    let refusing = |name, code| (name, RecordType::MX, Code(code));
    let server = Server::start(vec![
        ("empty.example.org.", RecordType::MX, Nothing),
        ("silent.example.org.", RecordType::MX, Silence),
        refusing("broken.example.org.", ResponseCode::ServFail),
        refusing("closed.example.org.", ResponseCode::Refused),
        ("empty.example.org.", RecordType::A, Nothing),
        ("empty.example.org.", RecordType::AAAA, Nothing),
    ])
    .await;
    let dns = server.dns().within(Duration::from_millis(1500));
    assert_eq!(
        dns.exchangers("nobody.example.org").await,
        Err(unknown("nobody.example.org"))
    );
    assert_eq!(
        dns.exchangers("empty.example.org").await,
        Err(nothing("empty.example.org", "MX record"))
    );
    assert_eq!(
        dns.addresses("nobody.example.org").await,
        Err(unknown("nobody.example.org"))
    );
    assert_eq!(
        dns.addresses("empty.example.org").await,
        Err(nothing("empty.example.org", "address"))
    );
    for (name, part) in [
        ("silent.example.org", "do not answer"),
        ("broken.example.org", "Server Failure"),
        ("closed.example.org", "Query Refused"),
    ] {
        let reason = reason(dns.exchangers(name).await.unwrap_err());
        assert!(reason.contains(part), "{name}: {reason}");
    }
}

#[tokio::test]
async fn both_families_are_asked_and_one_of_them_is_enough() {
    let six = || Records(vec![("h.example.org.", aaaa("2001:db8::1"))]);
    let four = || Records(vec![("h.example.org.", a("192.0.2.1"))]);
    for (sixes, fours, expected) in [
        (six(), four(), vec!["2001:db8::1", "192.0.2.1"]),
        (six(), Nothing, vec!["2001:db8::1"]),
        (Nothing, four(), vec!["192.0.2.1"]),
        // Servers that do not know AAAA.
        (Code(ResponseCode::NXDomain), four(), vec!["192.0.2.1"]),
        (Code(ResponseCode::ServFail), four(), vec!["192.0.2.1"]),
        (Silence, four(), vec!["192.0.2.1"]),
    ] {
        let server = Server::start(vec![
            ("h.example.org.", RecordType::AAAA, sixes),
            ("h.example.org.", RecordType::A, fours),
        ])
        .await;
        let addresses = server.dns().addresses("h.example.org").await;
        assert_eq!(addresses, Ok(expected.into_iter().map(ip).collect()));
    }
    for (sixes, fours, known) in [
        (Code(ResponseCode::NXDomain), Nothing, true),
        (Nothing, Code(ResponseCode::ServFail), false),
        (
            Code(ResponseCode::ServFail),
            Code(ResponseCode::NXDomain),
            false,
        ),
    ] {
        let server = Server::start(vec![
            ("h.example.org.", RecordType::AAAA, sixes),
            ("h.example.org.", RecordType::A, fours),
        ])
        .await;
        let error = server.dns().addresses("h.example.org").await.unwrap_err();
        match (error, known) {
            (ResolveError::Nothing { .. }, true) | (ResolveError::Unanswered { .. }, false) => {}
            (error, _) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn an_alias_of_a_host_is_followed_whether_the_server_does_or_not() {
    let alias = || RData::CNAME(CNAME("h.example.org.".parse().unwrap()));
    let server = Server::start(vec![
        (
            "whole.example.org.",
            RecordType::A,
            Records(vec![
                ("whole.example.org.", alias()),
                ("h.example.org.", a("192.0.2.1")),
            ]),
        ),
        ("whole.example.org.", RecordType::AAAA, Nothing),
        (
            "part.example.org.",
            RecordType::A,
            Records(vec![("part.example.org.", alias())]),
        ),
        ("part.example.org.", RecordType::AAAA, Nothing),
        (
            "h.example.org.",
            RecordType::A,
            Records(vec![("h.example.org.", a("192.0.2.2"))]),
        ),
    ])
    .await;
    let dns = server.dns();
    let addresses = dns.addresses("part.example.org").await;
    assert_eq!(addresses, Ok(vec![ip("192.0.2.2")]));
    let addresses = dns.addresses("whole.example.org").await;
    assert_eq!(addresses, Ok(vec![ip("192.0.2.1")]));
}

#[tokio::test]
async fn r7766_5_a_truncated_answer_is_had_by_tcp() {
    let many: Vec<_> = (0..60)
        .map(|number| ("example.org.", mx(number, "mail.example.org.")))
        .collect();
    let server = Server::start(vec![("example.org.", RecordType::MX, Truncated(many))]).await;
    let exchangers = server.dns().exchangers("example.org").await.unwrap();
    assert_eq!(exchangers.len(), 60);
    let ways: Vec<_> = server.asked().iter().map(|(way, ..)| *way).collect();
    assert_eq!(ways, ["UDP", "TCP"]);
}

#[tokio::test]
async fn r5891_4_4_names_are_asked_for_as_a_labels_and_addresses_not_at_all() {
    // RFC 5891 has no example of a whole name; this is the one of RFC 3492's introduction to
    // its encoding: "bücher" is "bcher-kva".
    let server = Server::start(vec![(
        "xn--bcher-kva.example.",
        RecordType::MX,
        Records(vec![(
            "xn--bcher-kva.example.",
            mx(10, "mail.example.org."),
        )]),
    )])
    .await;
    let dns = server.dns();
    let exchangers = dns.exchangers("Bücher.example").await;
    assert_eq!(exchangers, Ok(vec![exchanger(10, "mail.example.org")]));
    assert_eq!(server.asked().len(), 1);
    for address in ["192.0.2.1", "2001:db8::1"] {
        assert_eq!(dns.addresses(address).await, Ok(vec![ip(address)]));
    }
    // What can be no name is asked of nobody.
    let long = format!("{}.example", "x".repeat(64));
    for name in ["", ".", "a..b", long.as_str()] {
        assert_eq!(dns.addresses(name).await, Err(unknown(name)));
        assert_eq!(dns.exchangers(name).await, Err(unknown(name)));
    }
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn names_for_tls_are_a_labels_without_the_final_dot() {
    assert_eq!(
        ascii("Bücher.example.").as_deref(),
        Some("xn--bcher-kva.example")
    );
    assert_eq!(
        ascii("Mail.Example.ORG").as_deref(),
        Some("mail.example.org")
    );
    assert_eq!(ascii("my_host.example").as_deref(), Some("my_host.example"));
    assert_eq!(ascii("a..b"), None);
}

#[tokio::test]
async fn answers_are_remembered_for_an_hour_and_their_absence_for_a_minute() {
    let server = Server::start(vec![
        (
            "example.org.",
            RecordType::MX,
            Records(vec![("example.org.", mx(10, "mail.example.org."))]),
        ),
        ("empty.example.org.", RecordType::MX, Nothing),
    ])
    .await;
    let dns = server.dns();
    for _ in 0..3 {
        assert!(dns.exchangers("example.org").await.is_ok());
        assert!(dns.exchangers("empty.example.org").await.is_err());
    }
    assert_eq!(server.asked().len(), 2);
    let options = dns.options();
    assert_eq!(options.positive_max_ttl, Some(Duration::from_secs(3600)));
    assert_eq!(options.negative_max_ttl, Some(Duration::from_secs(60)));
}

#[tokio::test]
async fn the_hosts_file_is_before_dns_and_read_again_when_it_changes() {
    let server = Server::start(vec![]).await;
    let folder = tempfile::tempdir().unwrap();
    let hosts = folder.path().join("hosts");
    fs::write(&hosts, "192.0.2.7 Smarthost smarthost.example.org # ours\n").unwrap();
    let dns = server.dns().with_hosts(&hosts);
    for name in [
        "smarthost",
        "smarthost.example.org",
        "SMARTHOST.example.org.",
    ] {
        assert_eq!(
            dns.addresses(name).await,
            Ok(vec![ip("192.0.2.7")]),
            "{name}"
        );
    }
    assert!(server.asked().is_empty());
    fs::write(
        &hosts,
        "192.0.2.8 smarthost\n2001:db8::8 smarthost\nnonsense line\n",
    )
    .unwrap();
    assert_eq!(
        dns.addresses("smarthost").await,
        Ok(vec![ip("2001:db8::8"), ip("192.0.2.8")])
    );
    assert_eq!(
        dns.addresses("smarthost.example.org").await,
        Err(unknown("smarthost.example.org"))
    );
}

#[tokio::test]
async fn without_servers_in_resolv_conf_addresses_are_left_to_the_system() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("resolv.conf");
    for text in [None, Some(""), Some("search example.org\n")] {
        match text {
            Some(text) => fs::write(&path, text).unwrap(),
            None => assert!(!path.exists()),
        }
        let system = System::at(&path, Word::Untrusted);
        assert_eq!(
            system.addresses("192.0.2.1").await,
            Ok(vec![ip("192.0.2.1")])
        );
        let addresses = system.addresses("localhost").await.unwrap();
        assert!(addresses.iter().all(IpAddr::is_loopback), "{addresses:?}");
        let reason = reason(system.exchangers("example.org").await.unwrap_err());
        assert!(reason.contains("no DNS server"), "{reason}");
    }
}

#[test]
fn servers_must_be_named() {
    assert!(servers(&[], Word::Untrusted).is_err());
    assert!(servers(&["192.0.2.53:53".parse().unwrap()], Word::Untrusted).is_ok());
    assert!(system(Word::Trusted).is_ok());
}

#[tokio::test]
async fn r8689_4_2_1_only_what_a_trusted_server_calls_authentic_is_proven() {
    let server = Server::start(vec![
        (
            "signed.example.",
            RecordType::MX,
            Records(vec![
                ("signed.example.", mx(20, "B.example.")),
                ("signed.example.", mx(10, "a.example.")),
            ]),
        ),
        (
            "large.example.",
            RecordType::MX,
            Truncated(vec![("large.example.", mx(10, "a.example."))]),
        ),
        (
            "unsigned.example.",
            RecordType::MX,
            Records(vec![("unsigned.example.", mx(10, "a.example."))]),
        ),
        ("none.example.", RecordType::MX, Nothing),
        (
            "null.example.",
            RecordType::MX,
            Records(vec![("null.example.", mx(0, "."))]),
        ),
        (
            "forged.example.",
            RecordType::MX,
            Code(ResponseCode::ServFail),
        ),
    ])
    .await;
    let dns = server.dns();
    for (domain, expected) in [
        (
            "signed.example",
            Some(vec![exchanger(20, "b.example"), exchanger(10, "a.example")]),
        ),
        ("large.example", Some(vec![exchanger(10, "a.example")])),
        ("unsigned.example", None),
        ("none.example", Some(vec![])),
        ("null.example", Some(vec![exchanger(0, "")])),
        ("not a name", None),
    ] {
        let found = dns.proven_exchangers(domain).await.unwrap();
        assert_eq!(found, expected, "{domain}");
    }
    // Who cannot say is asked again later: that is no proof of anything.
    let found = dns.proven_exchangers("forged.example").await;
    assert!(
        matches!(found, Err(ResolveError::Unanswered { .. })),
        "{found:?}"
    );
    // Whose word does not count is not even asked.
    let asked = server.asked().len();
    let untrusted = Dns::of(&[server.address], Word::Untrusted).unwrap();
    let found = untrusted.proven_exchangers("signed.example").await;
    assert_eq!(found.unwrap(), None);
    assert_eq!(server.asked().len(), asked);
}
