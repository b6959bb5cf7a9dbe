//! CRAM-MD5, XOAUTH2, OAUTHBEARER and EXTERNAL, the server's side.

use super::*;
use crate::contract::server::{CramMd5Check, TokenCheck};
use crate::environment::Fixed;
use crate::smtp::base64::{decode, encode};
use alloc::{format, string::String, vec::Vec};

const MALFORMED: ServerStep = ServerStep::Refuse(SaslRefusal::Malformed);
const WRONG: ServerStep = ServerStep::Refuse(SaslRefusal::Wrong);

/// The challenge of AUTH CRAM-MD5, and who awaits its response.
fn cram(env: &mut dyn Environment) -> (ServerExchange, String) {
    match ServerExchange::start(Mechanism::CramMd5, None, &SERVER, env) {
        (exchange, ServerStep::Challenge(challenge)) => {
            let challenge = String::from_utf8(challenge).expect("ASCII");
            (exchange, challenge)
        }
        (_, other) => panic!("{other:?}"),
    }
}

#[test]
fn r2195_2_a_challenge_is_a_new_message_identifier() {
    let mut env = Fixed {
        moment: Moment {
            seconds: 1_735_787_045,
            nanoseconds: 0,
        },
        next: 1,
    };
    let ((_, one), (_, other)) = (cram(&mut env), cram(&mut env));
    assert_ne!(one, other);
    for challenge in [one, other] {
        let left = challenge
            .strip_prefix('<')
            .and_then(|rest| rest.strip_suffix("@mail.example.org>"))
            .expect("our name in angle brackets");
        let (random, time) = left.split_once('.').expect("two numbers");
        // 16 octets of randomness, in decimal digits.
        assert!(random.len() > 30 && random.bytes().all(|octet| octet.is_ascii_digit()));
        assert_eq!(time, "1735787045");
    }
}

#[test]
fn r2195_2_a_response_is_split_at_its_last_space() {
    let digest = "b913a602c7eda7a495b4e6e7334d3890";
    let upper = digest.to_ascii_uppercase();
    for (user, digest) in [
        ("tim", digest),
        ("tim", &upper),
        ("tim o'tee", digest),
        ("j\u{fc}rgen ", digest),
    ] {
        let (exchange, challenge) = cram(&mut Fixed::default());
        let step = respond(
            &mut parked(&exchange),
            format!("{user} {digest}").as_bytes(),
        );
        let check = CramMd5Check {
            user: user.into(),
            challenge,
            digest: digest.into(),
        };
        assert_eq!(step, ServerStep::Ask(Question::CramMd5(check)));
    }
    for (response, expected) in [
        (format!("tim{digest}"), MALFORMED),
        (format!("tim {}", &digest[1..]), MALFORMED),
        (format!("tim {digest}0"), MALFORMED),
        (format!("tim {}g", &digest[1..]), MALFORMED),
        (format!("tim {digest} "), MALFORMED),
        (String::new(), MALFORMED),
        // R4954-4-o
        (format!(" {digest}"), WRONG),
    ] {
        let (mut exchange, _) = cram(&mut Fixed::default());
        assert_eq!(respond(&mut exchange, response.as_bytes()), expected);
    }
    let (mut exchange, _) = cram(&mut Fixed::default());
    let latin_1 = [&b"t\xfcm "[..], digest.as_bytes()].concat();
    assert_eq!(respond(&mut exchange, &latin_1), MALFORMED);
}

#[test]
fn r4954_4_f_cram_md5_takes_no_initial_response() {
    for initial in [&b""[..], b"tim b913a602c7eda7a495b4e6e7334d3890"] {
        let (_, step) = start(Mechanism::CramMd5, Some(initial));
        let refusal = SaslRefusal::InitialResponseNotAllowed;
        assert_eq!(step, ServerStep::Refuse(refusal));
    }
}

fn token(mechanism: Mechanism, authorization: &str, user: &str, token: &str) -> ServerStep {
    ServerStep::Ask(Question::Token(TokenCheck {
        mechanism,
        authorization: authorization.into(),
        user: user.into(),
        token: token.into(),
    }))
}

#[test]
fn xoa_2_published_message_is_read() {
    // Google's description of the mechanism.
    let message = decode(
        b"dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmh\
          kSFJoZG1semRHRXVZMjl0Q2cBAQ==",
    )
    .expect("base64");
    let expected = token(
        Mechanism::Xoauth2,
        "",
        "someuser@example.com",
        "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg",
    );
    let (_, step) = start(Mechanism::Xoauth2, Some(&message));
    assert_eq!(step, expected);
    let (exchange, step) = start(Mechanism::Xoauth2, None);
    assert_eq!(step, ServerStep::Challenge(Vec::new()));
    assert_eq!(respond(&mut parked(&exchange), &message), expected);
}

#[test]
fn r7628_3_1_message_of_section_4_1_is_read() {
    let message = "n,a=user@example.com,\u{1}host=server.example.com\u{1}port=143\u{1}\
                   auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\u{1}\u{1}";
    let (_, step) = start(Mechanism::Oauthbearer, Some(message.as_bytes()));
    let expected = token(
        Mechanism::Oauthbearer,
        "user@example.com",
        "",
        "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==",
    );
    assert_eq!(step, expected);
}

#[test]
fn r7628_3_1_identity_is_optional_and_other_keys_are_ignored() {
    for (message, authorization) in [
        ("n,,\u{1}auth=Bearer x\u{1}\u{1}", ""),
        ("y,,\u{1}auth=bearer x\u{1}\u{1}", ""),
        (
            "n,a=a=2Cb,\u{1}mthd=POST\u{1}auth=BEARER  x \u{1}qs=a=b\u{1}\u{1}",
            "a,b",
        ),
    ] {
        let (_, step) = start(Mechanism::Oauthbearer, Some(message.as_bytes()));
        assert_eq!(step, token(Mechanism::Oauthbearer, authorization, "", "x"));
    }
}

#[test]
fn r7628_3_1_messages_that_are_none_are_malformed() {
    for message in [
        "",
        "\u{1}",
        "auth=Bearer x\u{1}\u{1}",
        "n,,auth=Bearer x\u{1}\u{1}",
        "n,,\u{1}auth=Bearer x",
        "n,,\u{1}auth=Bearer x\u{1}",
        "n,,\u{1}auth\u{1}\u{1}",
        "n,,\u{1}=x\u{1}\u{1}",
        "n,,\u{1}a-b=x\u{1}\u{1}",
        "n,,\u{1}auth=Bearer x\0\u{1}\u{1}",
        "n,,\u{1}\u{1}auth=Bearer x\u{1}\u{1}",
        // RFC 7628 section 3.1: no channel binding.
        "p=tls-exporter,,\u{1}auth=Bearer x\u{1}\u{1}",
    ] {
        let (_, step) = start(Mechanism::Oauthbearer, Some(message.as_bytes()));
        assert_eq!(step, MALFORMED, "{message:?}");
    }
    for message in [
        "",
        "user=a",
        "auth=Bearer x\u{1}\u{1}",
        "user=a\u{1}auth=Bearer x\u{1}",
    ] {
        let (_, step) = start(Mechanism::Xoauth2, Some(message.as_bytes()));
        assert_eq!(step, MALFORMED, "{message:?}");
    }
    let (_, step) = start(
        Mechanism::Xoauth2,
        Some(b"user=\xfc\x01auth=Bearer x\x01\x01"),
    );
    assert_eq!(step, MALFORMED);
    // R4954-4-o
    let (_, step) = start(Mechanism::Xoauth2, Some(b"user=\x01auth=Bearer x\x01\x01"));
    assert_eq!(step, WRONG);
}

/// The error of profile section 2.7, and what RFC 7628 section 3.2.2 wants at least.
fn error(mechanism: Mechanism) -> ServerStep {
    let text: &[u8] = match mechanism {
        Mechanism::Oauthbearer => b"eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIn0=",
        _ => b"eyJzdGF0dXMiOiI0MDEiLCJzY2hlbWVzIjoiYmVhcmVyIiwic2NvcGUiOiJzbXRwIn0=",
    };
    ServerStep::Challenge(decode(text).expect("base64"))
}

#[test]
fn xoa_2_r7628_3_2_refused_token_is_told_why_and_then_refused() {
    assert_eq!(
        encode(br#"{"status":"invalid_token"}"#),
        "eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIn0="
    );
    for (mechanism, message) in [
        (Mechanism::Xoauth2, &b"user=a\x01auth=Bearer x\x01\x01"[..]),
        (Mechanism::Oauthbearer, b"n,,\x01auth=Bearer x\x01\x01"),
    ] {
        for response in [&b""[..], b"\x01", b"anything"] {
            let (exchange, step) = start(mechanism, Some(message));
            assert!(matches!(step, ServerStep::Ask(Question::Token(_))));
            let mut exchange = parked(&exchange);
            assert!(!exchange.has_failed());
            assert_eq!(exchange.conclude(&Answer::Refused), error(mechanism));
            let mut exchange = parked(&exchange);
            assert!(exchange.has_failed());
            // No grant comes too late.
            let grant = Answer::Granted("a".into(), Vec::new());
            let late = exchange.clone().conclude(&grant);
            assert_eq!(late, ServerStep::Refuse(SaslRefusal::Unavailable));
            assert_eq!(respond(&mut exchange, response), WRONG);
        }
        for (answer, refusal) in [
            (Answer::Disabled, SaslRefusal::Disabled),
            (Answer::Unavailable, SaslRefusal::Unavailable),
        ] {
            let (mut exchange, _) = start(mechanism, Some(message));
            assert_eq!(exchange.conclude(&answer), ServerStep::Refuse(refusal));
        }
    }
}

#[test]
fn r7628_3_2_no_token_is_refused_without_asking() {
    for message in [
        // RFC 7628 section 4.3: how a client asks what it needs.
        "n,a=user@example.com,\u{1}host=server.example.com\u{1}auth=\u{1}\u{1}",
        "n,,\u{1}auth=Basic YTpi\u{1}\u{1}",
        "n,,\u{1}auth=Bearer \u{1}\u{1}",
        "n,,\u{1}auth=Bearer a b\u{1}\u{1}",
        "n,,\u{1}auth=Bearer \u{e4}\u{1}\u{1}",
        "n,,\u{1}\u{1}",
    ] {
        let (exchange, step) = start(Mechanism::Oauthbearer, Some(message.as_bytes()));
        assert_eq!(step, error(Mechanism::Oauthbearer), "{message:?}");
        assert_eq!(respond(&mut parked(&exchange), b"\x01"), WRONG);
    }
    let (_, step) = start(Mechanism::Xoauth2, Some(b"user=a\x01\x01"));
    assert_eq!(step, error(Mechanism::Xoauth2));
}

#[test]
fn r4954_4_g_tokens_of_many_octets_are_read() {
    let long = "x".repeat(9_000);
    let message = format!("n,,\u{1}auth=Bearer {long}\u{1}\u{1}");
    let (_, step) = start(Mechanism::Oauthbearer, Some(message.as_bytes()));
    assert_eq!(step, token(Mechanism::Oauthbearer, "", "", &long));
}

#[test]
fn r4422_a_message_is_an_identity_or_empty() {
    for identity in ["", "office", "j\u{fc}rgen"] {
        let expected = ServerStep::Ask(Question::External(identity.into()));
        let (_, step) = start(Mechanism::External, Some(identity.as_bytes()));
        assert_eq!(step, expected);
        let (exchange, step) = start(Mechanism::External, None);
        assert_eq!(step, ServerStep::Challenge(Vec::new()));
        assert_eq!(
            respond(&mut parked(&exchange), identity.as_bytes()),
            expected
        );
    }
    for message in [&b"a\0b"[..], b"\xfc"] {
        let (_, step) = start(Mechanism::External, Some(message));
        assert_eq!(step, MALFORMED);
    }
}

#[test]
fn secrets_are_not_shown() {
    for (mechanism, initial, secret) in [
        (
            Mechanism::Oauthbearer,
            &b"n,,\x01auth=Bearer abcdefgh\x01\x01"[..],
            "abcdefgh",
        ),
        (
            Mechanism::Xoauth2,
            b"user=a\x01auth=Bearer abcdefgh\x01\x01",
            "abcdefgh",
        ),
        (Mechanism::Plain, b"\0a\0abcdefgh", "abcdefgh"),
    ] {
        let shown = format!("{:?}", start(mechanism, Some(initial)));
        assert!(!shown.contains(secret), "{shown}");
    }
    let (mut exchange, _) = cram(&mut Fixed::default());
    let shown = format!(
        "{:?}",
        respond(&mut exchange, b"tim b913a602c7eda7a495b4e6e7334d3890")
    );
    assert!(
        shown.contains("tim") && !shown.contains("b913a602"),
        "{shown}"
    );
}
