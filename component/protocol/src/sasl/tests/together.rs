//! Our client against our server and verifier.

use super::*;
use crate::contract::{
    TlsFacts,
    verifier::{NtlmPolicy, Refusal},
};
use crate::smtp::base64::encode;
use crate::verifier;
use alloc::{string::String, vec::Vec};

const USER: &str = "jürgen";
const PASSWORD: &str = "Pässwörd €";

fn facts(first: u8) -> TlsFacts {
    TlsFacts {
        server_end_point: Some((first..first + 32).collect()),
        ..TlsFacts::default()
    }
}

/// The host: one user.
fn judge(question: Question, facts: Option<&TlsFacts>, policy: NtlmPolicy) -> Answer {
    let right = match question {
        Question::Password(check) => check.user == USER && check.password == PASSWORD.as_bytes(),
        Question::Ntlm(response) => {
            let nt = verifier::derive_nt(PASSWORD);
            response.user == USER && verifier::ntlm(&nt, &response, facts, policy) == Ok(())
        }
        question => panic!("{question:?}"),
    };
    if right {
        Answer::Granted(USER.into(), Vec::new())
    } else {
        Answer::Refused
    }
}

/// How a whole dialogue ends; `inline`: with the initial response in the command.
fn dialogue(
    mechanism: Mechanism,
    password: &str,
    inline: bool,
    facts: [Option<&TlsFacts>; 2],
    policy: NtlmPolicy,
) -> ServerStep {
    let [clients, servers] = facts;
    let context = ClientContext {
        facts: clients,
        ..CLIENT
    };
    let mut world = World::client();
    let credentials = credentials(USER, "OFFICE", password);
    let (mut client, initial) =
        ClientExchange::start(mechanism, &credentials, &context, &mut world)
            .expect("usable credentials");
    let initial = match initial {
        Some(initial) if !inline => {
            client.withhold(initial);
            None
        }
        initial => initial,
    };
    let (mut server, mut step) = start(mechanism, initial.as_deref());
    // No dialogue has more turns.
    for _ in 0..4 {
        server = parked(&server);
        let text: String = match step {
            ServerStep::Challenge(octets) => encode(&octets),
            ServerStep::Text(text) => text.into(),
            ServerStep::Ask(question) => {
                return server.conclude(&judge(question, servers, policy));
            }
            ServerStep::Grant(_) | ServerStep::Refuse(_) => return step,
        };
        step = match client.challenge(text.as_bytes(), &context, &mut world) {
            ClientStep::Respond(octets) => respond(&mut server, &octets),
            other => panic!("{other:?}"),
        };
    }
    panic!("the dialogue has no end");
}

#[test]
fn r4954_4_every_mechanism_lets_in_with_the_right_password_alone() {
    let tls = facts(0);
    let strict = NtlmPolicy {
        require_integrity: true,
        require_binding: true,
    };
    let mechanisms = [
        (Mechanism::Login, SaslRefusal::Wrong),
        (Mechanism::Plain, SaslRefusal::Wrong),
        (Mechanism::Ntlm, SaslRefusal::NtlmWrong),
    ];
    for (mechanism, wrong) in mechanisms {
        for facts in [None, Some(&tls)] {
            for inline in [false, true] {
                let both = [facts; 2];
                let right = dialogue(mechanism, PASSWORD, inline, both, strict);
                assert_eq!(right, ServerStep::Grant(USER.into()), "{mechanism:?}");
                let other = dialogue(mechanism, "Password", inline, both, strict);
                let refused = ServerStep::Refuse(wrong);
                assert_eq!(other, refused, "{mechanism:?}");
            }
        }
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
