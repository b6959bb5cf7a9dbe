//! The client role against the server role in memory: what one sends, the other understands.

use super::driver;
use crate::{
    client,
    contract::{
        ContentFacts, Envelope, Mechanism, Notify, ScramSalt, TlsFacts,
        client::{Action, Credentials, Outcome, TlsPolicy, Verdict},
        server as contract,
        verifier::{Digest, NtlmPolicy},
    },
    environment::Fixed,
    scram::test_vectors::hi,
    server, verifier,
};
use alloc::{collections::VecDeque, format, string::String, vec, vec::Vec};

/// What the two came to.
#[derive(Debug, Default)]
struct Pair {
    /// Messages that the server stored.
    stored: Vec<(Envelope, Vec<u8>)>,
    /// What the client said of the recipients.
    outcomes: Vec<(u32, Outcome)>,
    /// What the client said of the session.
    failures: Vec<String>,
    /// Who the server takes the client for.
    identity: String,
}

/// Of both ends; `first` is the first octet of the channel bindings.
fn facts_from(first: u8) -> TlsFacts {
    TlsFacts {
        server_end_point: Some((first..first + 32).collect()),
        exporter: Some((first..first + 32).collect()),
        ..facts()
    }
}

fn facts() -> TlsFacts {
    TlsFacts {
        version: "TLSv1.3".into(),
        cipher: "TLS_AES_256_GCM_SHA384".into(),
        verified: true,
        server_end_point: Some((0..32).collect()),
        exporter: None,
    }
}

fn server_settings(mechanism: Option<Mechanism>) -> contract::Settings {
    contract::Settings {
        hostname: "mail.example.org".into(),
        serial: "s1".into(),
        admission: contract::Admission::Welcome,
        tls: contract::TlsPolicy::Required,
        mechanisms: mechanism.into_iter().collect(),
        clear_text: false,
        authentication_required: mechanism.is_some(),
        extensions: contract::Extensions {
            smtputf8: true,
            ..contract::Extensions::default()
        },
        max_message_size: 100_000,
        max_recipients: 100,
        max_hold: 0,
        min_deliver_by: 0,
        ntlm_domain: "EXAMPLE".into(),
        ntlm_computer: "MAIL".into(),
        ask_sender: false,
        ask_recipient: false,
        add_date: false,
        add_message_id: false,
        add_sender: false,
        check_header_domains: false,
        keep_bcc: false,
        bare_lf: contract::BareLf::Reject,
        legacy_auth_line: true,
        local_domain: "".into(),
        certificate_required: false,
    }
}

/// What a SCRAM server keeps beside the keys.
fn salt() -> ScramSalt {
    ScramSalt {
        salt: b"salt".to_vec(),
        iterations: 4096,
    }
}

fn digest(mechanism: Mechanism) -> Digest {
    match mechanism {
        Mechanism::ScramSha1 | Mechanism::ScramSha1Plus => Digest::Sha1,
        _ => Digest::Sha256,
    }
}

/// One submission of `content` by user `User` with password `Password`, in calls of at most
/// `size` octets.
fn submit(
    mechanism: Option<Mechanism>,
    secret: &str,
    envelope: &Envelope,
    facts_of_content: &ContentFacts,
    content: &[u8],
    size: usize,
) -> Pair {
    let both = [facts(), facts()];
    submit_over(
        both,
        mechanism,
        secret,
        envelope,
        facts_of_content,
        content,
        size,
    )
}

/// The same, over the TLS that the two ends see.
fn submit_over(
    [clients, servers]: [TlsFacts; 2],
    mechanism: Option<Mechanism>,
    secret: &str,
    envelope: &Envelope,
    facts_of_content: &ContentFacts,
    content: &[u8],
    size: usize,
) -> Pair {
    let mut pair = Pair::default();
    let mut settings = driver::settings();
    settings.tls = TlsPolicy::Required;
    settings.mechanisms = mechanism.into_iter().collect();
    let mut client = client::Session::start(settings).unwrap();
    let mut server = Server::start(mechanism, servers);
    let mut env = Fixed::default();
    let mut to_client = server.open();
    let mut progress = client.open(&mut env).unwrap();
    let (mut buffer, mut rest, mut supplied) = (Vec::new(), content, &content[..0]);
    let mut submitted = false;
    loop {
        buffer.drain(..progress.consumed as usize);
        let mut next = None;
        for action in progress.actions {
            match action {
                Action::Send(octets) | Action::Confide(octets, _) | Action::Insert(octets) => {
                    for piece in octets.chunks(size) {
                        to_client.extend(server.receive(piece, &mut pair));
                    }
                }
                Action::Content(span) => {
                    let octets = &supplied[span.offset as usize..][..span.length as usize];
                    for piece in octets.chunks(size) {
                        to_client.extend(server.receive(piece, &mut pair));
                    }
                }
                Action::Settled(index, outcome) => pair.outcomes.push((index, outcome)),
                Action::Failed(failure) => pair.failures.push(failure.text),
                Action::Close => return pair,
                other => next = Some(other),
            }
        }
        progress = match next {
            Some(Action::StartTls) => {
                server.secured();
                client.secured(clients.clone(), &mut env).unwrap()
            }
            Some(Action::Derive(salt)) => {
                let digest = digest(mechanism.unwrap());
                let salted = hi(digest, secret, &salt.salt, salt.iterations);
                client.derived(&salted, &mut env).unwrap()
            }
            Some(Action::Authenticate(_)) => {
                let credentials = Credentials {
                    user: "User".into(),
                    domain: "Domain".into(),
                    workstation: "COPIER".into(),
                    secret: secret.into(),
                };
                client.authenticate(Some(credentials), &mut env).unwrap()
            }
            Some(Action::Ready(_)) if submitted => client.quit(&mut env).unwrap(),
            Some(Action::Ready(_)) => {
                submitted = true;
                client
                    .submit(envelope.clone(), facts_of_content.clone(), &mut env)
                    .unwrap()
            }
            Some(Action::Hungry) => {
                let (now, later) = rest.split_at(size.min(rest.len()));
                (supplied, rest) = (now, later);
                client.supply(now, later.is_empty(), &mut env).unwrap()
            }
            _ => {
                let length = size.min(to_client.len());
                assert!(length > 0, "the server is silent: {pair:?}");
                buffer.extend(to_client.drain(..length));
                client.receive(&buffer, &mut env).unwrap()
            }
        };
    }
}

/// The server's host.
struct Server {
    session: server::Session,
    env: Fixed,
    buffer: Vec<u8>,
    content: Option<(Envelope, Vec<u8>)>,
    facts: TlsFacts,
    /// Of the SCRAM exchange.
    user: String,
    mechanism: Option<Mechanism>,
}

impl Server {
    fn start(mechanism: Option<Mechanism>, facts: TlsFacts) -> Self {
        let peer = contract::Peer {
            address: "192.0.2.7".into(),
            port: 40_000,
        };
        Self {
            session: server::Session::start(server_settings(mechanism), peer).unwrap(),
            env: Fixed::default(),
            buffer: vec![],
            content: None,
            facts,
            user: String::new(),
            mechanism,
        }
    }

    fn open(&mut self) -> VecDeque<u8> {
        let progress = self.session.open(&mut self.env).unwrap();
        self.carry_out(progress, &mut Pair::default()).into()
    }

    fn secured(&mut self) {
        self.buffer.clear();
        self.session
            .secured(self.facts.clone(), &mut self.env)
            .unwrap();
    }

    fn receive(&mut self, octets: &[u8], pair: &mut Pair) -> Vec<u8> {
        self.buffer.extend_from_slice(octets);
        let progress = self.session.receive(&self.buffer, &mut self.env).unwrap();
        self.carry_out(progress, pair)
    }

    /// Replies; questions are answered.
    fn carry_out(&mut self, mut progress: contract::Progress, pair: &mut Pair) -> Vec<u8> {
        let mut replies = Vec::new();
        loop {
            if let Some(envelope) = progress.envelope.take() {
                self.content = Some((envelope, vec![]));
            }
            for action in progress.actions {
                let octets = match action {
                    contract::Action::Send(octets) => {
                        replies.extend(octets);
                        continue;
                    }
                    contract::Action::Content(span) => {
                        self.buffer[span.offset as usize..][..span.length as usize].to_vec()
                    }
                    contract::Action::Insert(octets) => octets,
                    _ => continue,
                };
                if let Some((_, content)) = &mut self.content {
                    content.extend(octets);
                }
            }
            self.buffer.drain(..progress.consumed as usize);
            progress = if let Some(question) = progress.question {
                let answer = self.answer(question, pair);
                self.session.resume(answer, &mut self.env).unwrap()
            } else if progress.consumed > 0 && !self.buffer.is_empty() {
                self.session.receive(&self.buffer, &mut self.env).unwrap()
            } else {
                return replies;
            };
        }
    }

    fn answer(&mut self, question: contract::Question, pair: &mut Pair) -> contract::Answer {
        let mut signature = vec![];
        let granted = match question {
            contract::Question::CramMd5(check) => {
                let key = verifier::derive_cram("Password");
                let checked = verifier::cram_md5(&key, &check.challenge, &check.digest);
                checked.is_ok().then_some(check.user)
            }
            contract::Question::ScramFirst(start) => {
                assert_eq!(Some(start.mechanism), self.mechanism);
                self.user = start.user;
                return contract::Answer::Scram(salt());
            }
            contract::Question::ScramFinal(proof) => {
                let digest = digest(self.mechanism.unwrap());
                let salted = hi(digest, "Password", &salt().salt, salt().iterations);
                let keys = verifier::derive_scram(&salted, digest);
                verifier::scram(&keys, &proof.messages, &proof.proof)
                    .ok()
                    .map(|signed| {
                        signature = signed;
                        self.user.clone()
                    })
            }
            contract::Question::Token(check) => {
                let user = [check.user, check.authorization].concat();
                (check.token == "Password").then_some(user)
            }
            // Who this is the certificate says.
            contract::Question::External(identity) => (identity == "User").then_some(identity),
            contract::Question::Password(check) => {
                (check.user == "User" && check.password == b"Password").then_some(check.user)
            }
            contract::Question::Ntlm(response) => {
                let policy = NtlmPolicy {
                    require_integrity: true,
                    require_binding: true,
                };
                let nt = verifier::derive_nt("Password");
                let checked = verifier::ntlm(&nt, &response, Some(&self.facts), policy);
                checked.is_ok().then_some(response.user)
            }
            contract::Question::Store(_) => {
                pair.stored.extend(self.content.take());
                return contract::Answer::Stored;
            }
            other => panic!("{other:?}"),
        };
        match granted {
            Some(identity) => {
                pair.identity.clone_from(&identity);
                contract::Answer::Granted(identity, signature)
            }
            None => contract::Answer::Refused,
        }
    }
}

const CONTENT: &[u8] = b"From: a@example.org\r\nDate: Thu, 2 Jan 2025 03:04:05 +0000\r\n\
    Message-ID: <1@example.org>\r\nSubject: dots\r\n\r\n.one\r\n..two\r\n.\r\nend";

#[test]
fn ox_c_3_3_b_every_mechanism_submits_to_our_own_server() {
    for mechanism in Mechanism::ALL {
        for size in [1, 5, 65_536] {
            let mut envelope = driver::envelope("a@example.org", "b@example.org,c@example.net");
            envelope.parameters.envid = Some("Q+2B1".into());
            envelope.forward_paths[1].notify = Some(Notify {
                never: true,
                ..Notify::default()
            });
            envelope.forward_paths[1].orcpt = Some(("rfc822".into(), "C+2Bx@example.net".into()));
            let facts = ContentFacts {
                size: CONTENT.len() as u64,
                ..ContentFacts::default()
            };
            let both = [facts_from(0), facts_from(0)];
            let mechanism = Some(mechanism);
            let pair = submit_over(
                both, mechanism, "Password", &envelope, &facts, CONTENT, size,
            );
            assert_eq!(pair.identity, "User");
            assert!(pair.failures.is_empty(), "{:?}", pair.failures);
            let verdicts: Vec<_> = pair
                .outcomes
                .iter()
                .map(|(index, o)| (*index, o.verdict))
                .collect();
            assert_eq!(verdicts, [(0, Verdict::Accepted), (1, Verdict::Accepted)]);
            let [(stored, content)] = &pair.stored[..] else {
                panic!("{:?}", pair.stored);
            };
            assert_eq!(stored.reverse_path, "a@example.org");
            assert_eq!(stored.forward_paths, envelope.forward_paths);
            assert_eq!(stored.parameters.envid, envelope.parameters.envid);
            assert_eq!(stored.parameters.size, Some(CONTENT.len() as u64));
            assert_eq!(stored.protocol, "ESMTPSA");
            // The trace field, then the content as it was, with the CRLF that it lacked.
            assert!(content.starts_with(b"Received: "));
            assert!(content.ends_with(&[CONTENT, b"\r\n"].concat()));
        }
    }
}

#[test]
fn r9266_2_who_is_between_two_connections_gets_nothing() {
    let envelope = driver::envelope("a@example.org", "b@example.org");
    for mechanism in [Mechanism::ScramSha1Plus, Mechanism::ScramSha256Plus] {
        let pair = submit_over(
            [facts_from(0), facts_from(1)],
            Some(mechanism),
            "Password",
            &envelope,
            &ContentFacts::default(),
            CONTENT,
            65_536,
        );
        assert_eq!(pair.failures.len(), 1, "{:?}", pair.failures);
        assert!(pair.stored.is_empty() && pair.identity.is_empty());
    }
}

#[test]
fn cl_mech_next_a_wrong_password_is_tried_once() {
    for mechanism in [
        Mechanism::Plain,
        Mechanism::Login,
        Mechanism::Ntlm,
        Mechanism::CramMd5,
        Mechanism::ScramSha1,
        Mechanism::ScramSha256,
    ] {
        let envelope = driver::envelope("a@example.org", "b@example.org");
        let pair = submit(
            Some(mechanism),
            "wrong",
            &envelope,
            &ContentFacts::default(),
            CONTENT,
            65_536,
        );
        assert_eq!(
            pair.failures,
            ["authentication was refused"],
            "{mechanism:?}"
        );
        assert!(pair.stored.is_empty() && pair.identity.is_empty());
    }
}

#[test]
fn r2920_3_1_a_a_hundred_recipients_and_one_too_many() {
    let mailboxes: Vec<String> = (0..101)
        .map(|number| format!("b{number}@example.org"))
        .collect();
    let envelope = driver::envelope("", &mailboxes.join(","));
    let pair = submit(
        None,
        "",
        &envelope,
        &ContentFacts::default(),
        CONTENT,
        1_000,
    );
    assert_eq!(
        pair.stored[0].0.forward_paths,
        envelope.forward_paths[..100]
    );
    // R9422-4: the server says RCPTMAX, so that the last one is not even tried.
    assert_eq!(pair.outcomes[0].0, 100);
    assert_eq!(pair.outcomes[0].1.verdict, Verdict::Again);
    assert_eq!(pair.outcomes.len(), 101);
}
