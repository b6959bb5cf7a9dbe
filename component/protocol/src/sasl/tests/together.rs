//! Our client against our server and verifier.

use super::*;
use crate::contract::{
    ScramSalt, TlsFacts,
    verifier::{Digest, NtlmPolicy, Refusal},
};
use crate::scram::test_vectors::hi;
use crate::smtp::base64::encode;
use crate::verifier;
use alloc::{string::String, vec::Vec};

const USER: &str = "jürgen, =2C";
const PASSWORD: &str = "Pässwörd €";
const TOKEN: &str = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==";
const SALT: &[u8] = b"sixteen octets..";
const ITERATIONS: u32 = 4096;

fn facts(first: u8) -> TlsFacts {
    TlsFacts {
        version: "TLSv1.3".into(),
        verified: true,
        server_end_point: Some((first..first + 32).collect()),
        ..TlsFacts::default()
    }
}

/// With tls-exporter too.
fn exporter(first: u8) -> TlsFacts {
    TlsFacts {
        exporter: Some((first..first + 32).collect()),
        ..facts(0)
    }
}

fn is_token(mechanism: Mechanism) -> bool {
    matches!(mechanism, Mechanism::Xoauth2 | Mechanism::Oauthbearer)
}

fn digest(mechanism: Mechanism) -> Digest {
    match mechanism {
        Mechanism::ScramSha1 | Mechanism::ScramSha1Plus => Digest::Sha1,
        _ => Digest::Sha256,
    }
}

/// The host: one user.
fn judge(
    mechanism: Mechanism,
    question: Question,
    facts: Option<&TlsFacts>,
    policy: NtlmPolicy,
) -> Answer {
    let mut signature = Vec::new();
    let right = match question {
        Question::Password(check) => check.user == USER && check.password == PASSWORD.as_bytes(),
        Question::CramMd5(check) => {
            let key = verifier::derive_cram(PASSWORD);
            let checked = verifier::cram_md5(&key, &check.challenge, &check.digest);
            check.user == USER && checked == Ok(())
        }
        Question::ScramFirst(start) => {
            assert_eq!((start.mechanism, start.user.as_str()), (mechanism, USER));
            assert_eq!(start.authorization, "");
            return Answer::Scram(ScramSalt {
                salt: SALT.into(),
                iterations: ITERATIONS,
            });
        }
        Question::ScramFinal(proof) => {
            let digest = digest(mechanism);
            let salted = hi(digest, PASSWORD, SALT, ITERATIONS);
            let keys = verifier::derive_scram(&salted, digest);
            let checked = verifier::scram(&keys, &proof.messages, &proof.proof);
            signature = checked.clone().unwrap_or_default();
            checked.is_ok()
        }
        Question::Ntlm(response) => {
            let nt = verifier::derive_nt(PASSWORD);
            response.user == USER && verifier::ntlm(&nt, &response, facts, policy) == Ok(())
        }
        Question::Token(check) => {
            let named = [check.user, check.authorization].concat();
            check.mechanism == mechanism && named == USER && check.token == TOKEN
        }
        Question::External(identity) => identity == USER,
        question => panic!("{question:?}"),
    };
    if right {
        Answer::Granted(USER.into(), signature)
    } else {
        Answer::Refused
    }
}

/// How a whole dialogue ends; `inline`: with the initial response in the command. `secret` is the
/// client's password or token, and its user in EXTERNAL.
fn dialogue(
    mechanism: Mechanism,
    secret: &str,
    inline: bool,
    facts: [Option<&TlsFacts>; 2],
    policy: NtlmPolicy,
) -> ServerStep {
    let [clients, servers] = facts;
    let context = ClientContext {
        facts: clients,
        plus_offered: server_offers(Mechanism::ScramSha256Plus, servers),
        ..CLIENT
    };
    dialogue_in(mechanism, secret, inline, &context, servers, policy)
}

fn dialogue_in(
    mechanism: Mechanism,
    secret: &str,
    inline: bool,
    context: &ClientContext<'_>,
    servers: Option<&TlsFacts>,
    policy: NtlmPolicy,
) -> ServerStep {
    let serving = ServerContext {
        facts: servers,
        plus_offered: server_offers(Mechanism::ScramSha256Plus, servers),
        ..SERVER
    };
    let (mut world, mut env) = (World::client(), World::server());
    let user = match mechanism {
        Mechanism::External => secret,
        _ => USER,
    };
    let credentials = credentials(user, "OFFICE", secret);
    let (mut client, initial) = ClientExchange::start(mechanism, &credentials, context, &mut world)
        .expect("usable credentials");
    let initial = match initial {
        Some(initial) if !inline => {
            client.withhold(initial);
            None
        }
        initial => initial,
    };
    let (mut server, mut step) =
        ServerExchange::start(mechanism, initial.as_deref(), &serving, &mut env);
    // No dialogue has more turns.
    for _ in 0..8 {
        server = parked(&server);
        let text: String = match step {
            ServerStep::Challenge(octets) => encode(&octets),
            ServerStep::Text(text) => text.into(),
            ServerStep::Ask(question) => {
                let answer = judge(mechanism, question, servers, policy);
                assert!(server.fits(&answer));
                step = server.conclude(&answer);
                continue;
            }
            ServerStep::Grant(_) => {
                assert_eq!(client.objection(), None);
                return step;
            }
            ServerStep::Refuse(_) => return step,
        };
        step = match client.challenge(text.as_bytes(), context, &mut world) {
            ClientStep::Respond(octets) => server.respond(&octets, &serving, &mut env),
            ClientStep::Derive(salt) => {
                let salted = hi(digest(mechanism), secret, &salt.salt, salt.iterations);
                let message = client.derived(&salted).expect("SaltedPassword");
                server.respond(&message, &serving, &mut env)
            }
            ClientStep::Concede { response, .. } => {
                assert!(server.has_failed());
                server.respond(&response, &serving, &mut env)
            }
            other => panic!("{other:?}"),
        };
    }
    panic!("the dialogue has no end");
}

#[test]
fn r4954_4_every_mechanism_lets_in_with_the_right_secret_alone() {
    let (tls, exporter) = (facts(0), exporter(0));
    let strict = NtlmPolicy {
        require_integrity: true,
        require_binding: true,
    };
    for mechanism in Mechanism::ALL {
        let wrong = match mechanism {
            Mechanism::Ntlm => SaslRefusal::NtlmWrong,
            _ => SaslRefusal::Wrong,
        };
        let (right, other) = match mechanism {
            Mechanism::External => (USER, "other"),
            _ if is_token(mechanism) => (TOKEN, "b3RoZXI="),
            _ => (PASSWORD, "Password"),
        };
        for facts in [None, Some(&tls), Some(&exporter)] {
            if !server_offers(mechanism, facts) {
                continue;
            }
            for inline in [false, true] {
                let both = [facts; 2];
                let ended = dialogue(mechanism, right, inline, both, strict);
                assert_eq!(ended, ServerStep::Grant(USER.into()), "{mechanism:?}");
                let ended = dialogue(mechanism, other, inline, both, strict);
                assert_eq!(ended, ServerStep::Refuse(wrong), "{mechanism:?}");
            }
        }
    }
}

#[test]
fn r9266_2_r5929_4_scram_binds_to_this_connection_alone() {
    let wrong = ServerStep::Refuse(SaslRefusal::Wrong);
    let granted = ServerStep::Grant(USER.into());
    for mechanism in [Mechanism::ScramSha1Plus, Mechanism::ScramSha256Plus] {
        let run = |clients: &TlsFacts, servers: &TlsFacts| {
            let both = [Some(clients), Some(servers)];
            dialogue(mechanism, PASSWORD, true, both, NtlmPolicy::default())
        };
        assert_eq!(run(&exporter(0), &exporter(0)), granted);
        assert_eq!(run(&exporter(1), &exporter(0)), wrong);
        // A client that knows no exporter binds to the certificate, which is taken too.
        assert_eq!(run(&facts(0), &exporter(0)), granted);
        assert_eq!(run(&facts(1), &exporter(0)), wrong);
        // A server that has not what the client binds to.
        assert_eq!(run(&exporter(0), &facts(0)), wrong);
    }
}

#[test]
fn r5802_6_a_client_that_was_told_of_no_binding_is_refused_where_there_is_one() {
    let tls = exporter(0);
    for mechanism in [Mechanism::ScramSha1, Mechanism::ScramSha256] {
        for (plus_offered, clients, expected) in [
            // Someone took the -PLUS names out of the list: `y`.
            (false, Some(&tls), ServerStep::Refuse(SaslRefusal::Wrong)),
            // It knows of them and binds all the same not, or cannot bind: `n`.
            (true, Some(&tls), ServerStep::Grant(USER.into())),
            (false, None, ServerStep::Grant(USER.into())),
        ] {
            let context = ClientContext {
                facts: clients,
                plus_offered,
                ..CLIENT
            };
            let servers = Some(&tls);
            let policy = NtlmPolicy::default();
            let ended = dialogue_in(mechanism, PASSWORD, true, &context, servers, policy);
            assert_eq!(ended, expected);
        }
        // We have no exporter, offer none, and `y` is the truth.
        let both = [Some(&tls), None];
        let ended = dialogue(mechanism, PASSWORD, true, both, NtlmPolicy::default());
        assert_eq!(ended, ServerStep::Grant(USER.into()));
    }
}

#[test]
fn nlmp_3_2_5_f_client_of_another_connection_is_refused() {
    let (ours, others) = (facts(0), facts(1));
    let wrong = ServerStep::Refuse(SaslRefusal::NtlmWrong);
    let lenient = NtlmPolicy::default();
    let run = |facts| dialogue(Mechanism::Ntlm, PASSWORD, true, facts, lenient);
    assert_eq!(run([Some(&others), Some(&ours)]), wrong);
    // TLS ends before the server, which then cannot know.
    assert_eq!(run([Some(&others), None]), ServerStep::Grant(USER.into()));
}

#[test]
fn nlmp_3_2_5_h_recorded_exchange_does_not_let_in_again() {
    // The recorded AUTHENTICATE answers SERVER_CHALLENGE; the new exchange has another.
    let mut env = World(&[9, 8, 7, 6, 5, 4, 3, 2]);
    let negotiate = vectors::negotiate();
    let (mut server, _) =
        ServerExchange::start(Mechanism::Ntlm, Some(&negotiate), &SERVER, &mut env);
    let step = server.respond(&vectors::authenticate(), &SERVER, &mut env);
    let ServerStep::Ask(Question::Ntlm(response)) = step else {
        panic!("{step:?}");
    };
    let nt = verifier::derive_nt("Password");
    let result = verifier::ntlm(&nt, &response, None, NtlmPolicy::default());
    assert_eq!(result, Err(Refusal::Wrong));
}
