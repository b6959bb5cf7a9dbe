//! Dialogues of mechanisms in memory.

mod client;
mod login_plain;
mod ntlm;
mod oauth;
mod server;
mod together;

use super::*;
use crate::contract::ScramSalt;
use crate::contract::client::Credentials;
use crate::contract::server::{Answer, PasswordCheck, Question};
use crate::environment::{Environment, Moment};
use crate::ntlm::test_vectors as vectors;
use crate::parked::{Reader, Writer};

pub(super) const SERVER: ServerContext<'_> = ServerContext {
    hostname: "mail.example.org",
    ntlm_domain: "Domain",
    ntlm_computer: "MAIL",
    facts: None,
    plus_offered: false,
};

pub(super) const CLIENT: ClientContext<'_> = ClientContext {
    server: "mail.example.org",
    port: 587,
    facts: None,
    plus_offered: false,
};

/// The time of our own NTLM vector, and randomness of choice.
struct World(&'static [u8]);

impl World {
    fn server() -> Self {
        Self(&vectors::SERVER_CHALLENGE)
    }

    fn client() -> Self {
        Self(&[0xAA; 8])
    }
}

impl Environment for World {
    fn now(&mut self) -> Moment {
        // FILETIME 0x01d9000000000000.
        Moment {
            seconds: 1_669_292_798,
            nanoseconds: 414_028_800,
        }
    }

    fn random(&mut self, octets: &mut [u8]) {
        for (octet, random) in octets.iter_mut().zip(self.0.iter().cycle()) {
            *octet = *random;
        }
    }
}

fn start(mechanism: Mechanism, initial: Option<&[u8]>) -> (ServerExchange, ServerStep) {
    ServerExchange::start(mechanism, initial, &SERVER, &mut World::server())
}

fn respond(exchange: &mut ServerExchange, response: &[u8]) -> ServerStep {
    exchange.respond(response, &SERVER, &mut World::server())
}

/// The exchange again, out of its parked octets; and no shorter octets are one.
fn parked(exchange: &ServerExchange) -> ServerExchange {
    let mut writer = Writer::new();
    exchange.write(&mut writer);
    let octets = writer.finish();
    for length in 0..octets.len() {
        assert_eq!(
            ServerExchange::read(&mut Reader::new(&octets[..length])),
            None
        );
    }
    let mut reader = Reader::new(&octets);
    let revived = ServerExchange::read(&mut reader).expect("an exchange");
    assert!(reader.is_finished());
    assert_eq!(&revived, exchange);
    revived
}

fn password(authorization: &str, user: &str, password: &[u8]) -> ServerStep {
    ServerStep::Ask(Question::Password(PasswordCheck {
        authorization: authorization.into(),
        user: user.into(),
        password: password.to_vec(),
    }))
}

pub(super) fn credentials(user: &str, domain: &str, secret: &str) -> Credentials {
    Credentials {
        user: user.into(),
        domain: domain.into(),
        workstation: "COPIER".into(),
        secret: secret.into(),
    }
}

#[test]
fn r4954_6_answers_become_refusals() {
    use crate::contract::Reply;
    let refused = |refusal| ServerStep::Refuse(refusal);
    let conclude = |mechanism, initial: &[u8], answer| {
        let (mut exchange, step) = start(mechanism, Some(initial));
        if !matches!(step, ServerStep::Ask(_)) {
            respond(&mut exchange, &vectors::authenticate());
        }
        parked(&exchange).conclude(&answer)
    };
    let reply = Reply {
        code: 550,
        status: None,
        lines: alloc::vec!["no".into()],
    };
    let salt = ScramSalt {
        salt: alloc::vec![1],
        iterations: 4096,
    };
    for (mechanism, initial, wrong) in [
        (Mechanism::Plain, b"\0a\0b".to_vec(), SaslRefusal::Wrong),
        (
            Mechanism::Ntlm,
            vectors::negotiate(),
            SaslRefusal::NtlmWrong,
        ),
    ] {
        let granted = Answer::Granted("alice".into(), alloc::vec![]);
        assert_eq!(
            conclude(mechanism, &initial, granted),
            ServerStep::Grant("alice".into())
        );
        for (answer, refusal) in [
            (Answer::Refused, wrong),
            (Answer::Disabled, SaslRefusal::Disabled),
            (Answer::Unprepared, SaslRefusal::Unprepared),
            (Answer::Unavailable, SaslRefusal::Unavailable),
            (Answer::Accepted, SaslRefusal::Unavailable),
            (Answer::Stored, SaslRefusal::Unavailable),
            (Answer::Rejected(reply.clone()), SaslRefusal::Unavailable),
            (Answer::Scram(salt.clone()), SaslRefusal::Unavailable),
        ] {
            assert_eq!(conclude(mechanism, &initial, answer), refused(refusal));
        }
    }
}

#[test]
fn r4954_6_grant_without_a_question_lets_nobody_in() {
    let grant = Answer::Granted("alice".into(), alloc::vec![]);
    let unavailable = ServerStep::Refuse(SaslRefusal::Unavailable);
    let (mut exchange, _) = start(Mechanism::Login, Some(b"alice"));
    assert_eq!(exchange.conclude(&grant), unavailable);
    // An answer ends the exchange: a second one does nothing.
    let (mut exchange, _) = start(Mechanism::Plain, Some(b"\0a\0b"));
    exchange.conclude(&Answer::Refused);
    assert_eq!(exchange.conclude(&grant), unavailable);
}

proptest::proptest! {
    #[test]
    fn r4954_4_arbitrary_responses_never_panic(
        which in 0_usize..11,
        tls in proptest::prelude::any::<bool>(),
        lines in proptest::collection::vec(
            proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80), 0..4),
    ) {
        let mechanism = Mechanism::ALL[which];
        let facts = TlsFacts {
            exporter: Some(alloc::vec![1; 32]),
            ..TlsFacts::default()
        };
        let serving = ServerContext {
            facts: tls.then_some(&facts),
            ..SERVER
        };
        let mut env = World::server();
        let (mut exchange, _) = ServerExchange::start(mechanism, None, &serving, &mut env);
        for line in &lines {
            exchange = parked(&exchange);
            if let ServerStep::Ask(question) = exchange.respond(line, &serving, &mut env) {
                exchange.conclude(&match question {
                    Question::ScramFirst(_) => Answer::Scram(ScramSalt {
                        salt: alloc::vec![1],
                        iterations: 4096,
                    }),
                    _ => Answer::Refused,
                });
            }
        }
        let mut world = World::client();
        let credentials = credentials("a", "", "b");
        let context = ClientContext {
            facts: Some(&facts),
            ..CLIENT
        };
        let (mut exchange, _) =
            ClientExchange::start(mechanism, &credentials, &context, &mut world)
                .expect("usable credentials");
        for line in &lines {
            exchange.challenge(line, &context, &mut world);
            let encoded = crate::smtp::base64::encode(line);
            exchange.challenge(encoded.as_bytes(), &context, &mut world);
        }
    }

    #[test]
    fn parked_arbitrary_octets_never_panic(
        octets in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80),
        which in 0_usize..11,
        state in 0_u8..4,
        tag in 0_u8..6,
    ) {
        let mut writer = Writer::new();
        writer.string(Mechanism::ALL[which].name());
        let octets = [writer.finish(), alloc::vec![state, tag], octets].concat();
        if let Some(mut exchange) = ServerExchange::read(&mut Reader::new(&octets)) {
            respond(&mut exchange, &octets);
        }
    }
}
