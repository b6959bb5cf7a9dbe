//! SCRAM, the server's side, message by message.

use super::super::tests::SERVER;
use super::*;
use crate::contract::server::Answer;
use crate::sasl::ServerExchange;
use crate::scram::test_vectors::{VECTORS, Vector, decode};
use proptest::prelude::*;
use std::vec;

fn mechanism(vector: &Vector) -> Mechanism {
    match (vector.hash, vector.binding.is_empty()) {
        (Hash::Sha1, true) => Mechanism::ScramSha1,
        (Hash::Sha1, false) => Mechanism::ScramSha1Plus,
        (Hash::Sha256, true) => Mechanism::ScramSha256,
        (Hash::Sha256, false) => Mechanism::ScramSha256Plus,
    }
}

fn facts(vector: &Vector) -> Option<TlsFacts> {
    (!vector.binding.is_empty()).then(|| TlsFacts {
        version: "TLSv1.3".into(),
        exporter: Some(vector.binding.to_vec()),
        ..TlsFacts::default()
    })
}

fn context(facts: Option<&TlsFacts>) -> ServerContext<'_> {
    ServerContext {
        facts,
        plus_offered: facts.is_some(),
        ..SERVER
    }
}

fn env() -> crate::environment::Fixed {
    crate::environment::Fixed::default()
}

fn salt(vector: &Vector) -> ScramSalt {
    ScramSalt {
        salt: decode(vector.salt),
        iterations: 4096,
    }
}

/// The server after this client-first-message, with our part of the vector's nonce.
fn first_of(vector: &Vector, message: &str) -> Turn<Server> {
    let facts = facts(vector);
    let own = &vector.nonce[vector.client_nonce.len()..];
    let context = context(facts.as_ref());
    Server::first(mechanism(vector), message.as_bytes(), &context, own)
}

/// The server after client-first-message and the host's salt.
fn challenged(vector: &Vector) -> Server {
    let message = format!("{}n=user,r={}", vector.gs2, vector.client_nonce);
    let (Some(Server::Salt(begun)), step) = first_of(vector, &message) else {
        panic!("no question");
    };
    let expected = ScramStart {
        mechanism: mechanism(vector),
        authorization: String::new(),
        user: "user".into(),
    };
    assert_eq!(step, ServerStep::Ask(Question::ScramFirst(expected)));
    let (next, step) = Server::salted(begun, &salt(vector));
    let expected = format!("r={},s={},i=4096", vector.nonce, vector.salt);
    assert_eq!(step, ServerStep::Challenge(expected.into_bytes()));
    next.expect("client-final-message is awaited")
}

fn bound(vector: &Vector) -> String {
    base64::encode(&[vector.gs2.as_bytes(), vector.binding].concat())
}

fn last(vector: &Vector, server: Server, message: &str) -> Turn<Server> {
    let facts = facts(vector);
    let context = context(facts.as_ref());
    server.respond(mechanism(vector), message.as_bytes(), &context, &mut env())
}

#[test]
fn r5802_5_c_r7677_3_vectors_message_by_message() {
    for vector in &VECTORS {
        let (nonce, bound, client) = (vector.nonce, bound(vector), vector.client_nonce);
        let message = format!("c={bound},r={nonce},p={}", vector.proof);
        let (next, step) = last(vector, challenged(vector), &message);
        let salt = vector.salt;
        let expected = ScramProof {
            messages: format!("n=user,r={client},r={nonce},s={salt},i=4096,c={bound},r={nonce}"),
            proof: decode(vector.proof),
        };
        assert_eq!(step, ServerStep::Ask(Question::ScramFinal(expected)));
        assert_eq!(next, Some(Server::Proof));
        let (next, step) = Server::signed(mechanism(vector), "user", &decode(vector.signature));
        let expected = format!("v={}", vector.signature);
        assert_eq!(step, ServerStep::Challenge(expected.into_bytes()));
        let (next, step) = last(vector, next.expect("an empty response is awaited"), "");
        assert_eq!(step, ServerStep::Grant("user".into()));
        assert_eq!(next, None);
    }
}

#[test]
fn r5802_5_a_other_first_messages_are_wrong() {
    let (vector, plus) = (&VECTORS[1], &VECTORS[2]);
    let refused = (None, ServerStep::Refuse(SaslRefusal::Wrong));
    for message in [
        "",
        "n",
        "n,,",
        "n,,n=user",
        "n,,n=user,r=",
        "n,,r=x,n=user",
        "n,,n=,r=x",
        "n,,n=us=er,r=x",
        "n,,n=us=2cer,r=x",
        "n,,n=user,r=a b",
        "n,,n=user,r=ä",
        "n,,m=x,n=user,r=x",
        "n,,n=user,r=x,m=y",
        "n,,n=user,r=x,",
        "n,,n=user,r=x,ext",
        "n,,n=user,r=x,ab=c",
        "n,user,n=user,r=x",
        "n,a=,n=user,r=x",
        "x,,n=user,r=x",
        "n=user,r=x",
        // R5802-6-a: bound under a name without -PLUS.
        "p=tls-exporter,,n=user,r=x",
    ] {
        assert_eq!(first_of(vector, message), refused, "{message:?}");
    }
    for message in [
        "n,,n=user,r=x",
        "y,,n=user,r=x",
        // R7677-3
        "p=tls-unique,,n=user,r=x",
        "p=tls-server-end-point,,n=user,r=x",
        "p=,,n=user,r=x",
    ] {
        assert_eq!(first_of(plus, message), refused, "{message:?}");
    }
    let long = format!("n,,n=user,r={}", "x".repeat(MOST_NONCE + 1));
    assert_eq!(first_of(vector, &long), refused);
    let context = context(None);
    let octets = b"n,,n=\xfc,r=x";
    let turn = Server::First.respond(Mechanism::ScramSha1, octets, &context, &mut env());
    assert_eq!(turn, refused);
}

#[test]
fn r5802_5_a_names_are_unescaped_and_extensions_ignored() {
    let message = "n,a=off=2Cice,n=J=3Dü,r=x,z=1,y==";
    let (next, step) = first_of(&VECTORS[1], message);
    let expected = ScramStart {
        mechanism: Mechanism::ScramSha256,
        authorization: "off,ice".into(),
        user: "J=ü".into(),
    };
    assert_eq!(step, ServerStep::Ask(Question::ScramFirst(expected)));
    let Some(Server::Salt(begun)) = next else {
        panic!("no salt is awaited");
    };
    // What the proof is over are the octets of the wire.
    assert_eq!(begun.bare, "n=J=3Dü,r=x,z=1,y==");
    assert_eq!(begun.header, "n,a=off=2Cice,");
    // Who names himself twice is himself.
    let (_, step) = first_of(&VECTORS[1], "n,a=user,n=user,r=x");
    let ServerStep::Ask(Question::ScramFirst(start)) = step else {
        panic!("{step:?}");
    };
    assert_eq!(start.authorization, "");
}

#[test]
fn r5802_5_b_our_nonce_is_new_and_long() {
    let nonce = |first| {
        let mut env = crate::environment::Fixed {
            next: first,
            ..env()
        };
        let turn = Server::start(
            Mechanism::ScramSha1,
            Some(b"n,,n=user,r=abc"),
            &context(None),
            &mut env,
        );
        match turn {
            (Some(Server::Salt(begun)), _) => begun.nonce,
            other => panic!("{other:?}"),
        }
    };
    let (one, other) = (nonce(1), nonce(2));
    assert_ne!(one, other);
    for nonce in [one, other] {
        let own = nonce.strip_prefix("abc").expect("the client's part");
        // 18 octets in base64.
        assert_eq!(own.len(), 24);
    }
}

#[test]
fn r5802_5_b_a_salt_that_no_client_takes_is_not_sent() {
    let begun = Begun {
        header: "n,,".into(),
        bare: "n=user,r=x".into(),
        nonce: "xy".into(),
    };
    for (salt, iterations, fits) in [
        (vec![], 4096, false),
        (vec![1], 4095, false),
        (vec![1], 4096, true),
    ] {
        let salt = ScramSalt { salt, iterations };
        let (next, step) = Server::salted(begun.clone(), &salt);
        let unavailable = ServerStep::Refuse(SaslRefusal::Unavailable);
        assert_eq!(step == unavailable, !fits);
        assert_eq!(next.is_some(), fits);
    }
}

#[test]
fn r5802_5_c_other_last_messages_are_wrong() {
    for vector in [&VECTORS[0], &VECTORS[2]] {
        let (nonce, proof, bound) = (vector.nonce, vector.proof, bound(vector));
        let unbound = base64::encode(vector.gs2.as_bytes());
        let other = base64::encode(&[b"y,,", vector.binding].concat());
        let short = base64::encode(&decode(proof)[1..]);
        let client = vector.client_nonce;
        for (message, fits) in [
            (format!("c={bound},r={nonce},p={proof}"), true),
            (format!("c={bound},r={nonce},x=1,p={proof}"), true),
            (format!("c={other},r={nonce},p={proof}"), false),
            (format!("c={bound},r={client},p={proof}"), false),
            (format!("c={bound},r={nonce}x,p={proof}"), false),
            (format!("c={bound},r={nonce},p={short}"), false),
            (format!("c={bound},r={nonce},p=?"), false),
            (format!("c={bound},r={nonce},p="), false),
            (format!("c={bound},r={nonce},m=x,p={proof}"), false),
            (format!("c={bound},r={nonce},p={proof},x=1"), false),
            (format!("r={nonce},c={bound},p={proof}"), false),
            (format!("c=?,r={nonce},p={proof}"), false),
            (format!("r={nonce},p={proof}"), false),
            (format!("c={bound},r={nonce}"), false),
            (String::new(), false),
            (
                format!("c={unbound},r={nonce},p={proof}"),
                vector.binding.is_empty(),
            ),
        ] {
            let (_, step) = last(vector, challenged(vector), &message);
            match step {
                ServerStep::Ask(_) => assert!(fits, "{message}"),
                ServerStep::Refuse(SaslRefusal::Wrong) => assert!(!fits, "{message}"),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn r5802_5_c_signature_of_another_length_lets_nobody_in() {
    for length in [0, 19, 32] {
        let turn = Server::signed(Mechanism::ScramSha1, "user", &vec![0; length]);
        let unavailable = ServerStep::Refuse(SaslRefusal::Unavailable);
        assert_eq!(turn, (None, unavailable));
    }
}

#[test]
fn r4422_3_what_follows_the_signature_is_empty() {
    let proven = || Server::Proven("user".into());
    let (_, step) = last(&VECTORS[0], proven(), "x");
    assert_eq!(step, ServerStep::Refuse(SaslRefusal::Malformed));
    let (_, step) = last(&VECTORS[0], proven(), "");
    assert_eq!(step, ServerStep::Grant("user".into()));
}

#[test]
fn r5802_5_c_only_the_answers_in_their_turn_fit() {
    let context = context(None);
    let (mut exchange, step) = ServerExchange::start(
        Mechanism::ScramSha1,
        Some(b"n,,n=user,r=x"),
        &context,
        &mut env(),
    );
    assert!(matches!(step, ServerStep::Ask(Question::ScramFirst(_))));
    let grant = Answer::Granted("user".into(), vec![0; 20]);
    let salt = Answer::Scram(salt(&VECTORS[0]));
    assert!(exchange.fits(&salt) && !exchange.fits(&grant));
    assert!(exchange.fits(&Answer::Unprepared) && !exchange.fits(&Answer::Stored));
    let mut early = exchange.clone();
    let unavailable = ServerStep::Refuse(SaslRefusal::Unavailable);
    assert_eq!(early.conclude(&grant), unavailable);
    assert!(matches!(exchange.conclude(&salt), ServerStep::Challenge(_)));
    // Neither answer fits while a response is awaited.
    for answer in [&grant, &salt] {
        assert_eq!(exchange.clone().conclude(answer), unavailable);
    }
    assert!(!exchange.fits(&salt));
}

proptest! {
    #[test]
    fn r5802_5_arbitrary_messages_never_panic_and_are_never_granted(
        octets in proptest::collection::vec(any::<u8>(), 0..60),
        text in "[nyp](=tls-exporter)?,(a=[a-z=2C]{1,4})?,n=[ -~]{0,20},r=[ -~]{0,20}",
        final_text in "c=[a-zA-Z=]{0,8},r=[ -~]{0,20},p=[a-zA-Z0-9=]{0,30}",
    ) {
        let vector = &VECTORS[2];
        for mechanism in [Mechanism::ScramSha1, Mechanism::ScramSha256Plus] {
            for message in [octets.as_slice(), text.as_bytes(), final_text.as_bytes()] {
                let facts = facts(vector);
                let context = context(facts.as_ref());
                for state in [Server::First, challenged(vector), Server::Proof] {
                    let (_, step) = state.respond(mechanism, message, &context, &mut env());
                    prop_assert!(!matches!(step, ServerStep::Grant(_)));
                }
            }
        }
    }
}
