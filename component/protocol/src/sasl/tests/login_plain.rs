use super::*;

fn wrong() -> ServerStep {
    ServerStep::Refuse(SaslRefusal::Wrong)
}

#[test]
fn xlogin_2_a_challenges_are_exact() {
    use crate::smtp::base64::encode;
    let (exchange, step) = start(Mechanism::Login, None);
    let ServerStep::Challenge(text) = step else {
        panic!("{step:?}");
    };
    assert_eq!(encode(&text), "VXNlcm5hbWU6");
    let mut exchange = parked(&exchange);
    let ServerStep::Challenge(text) = respond(&mut exchange, b"alice") else {
        panic!("no challenge");
    };
    assert_eq!(encode(&text), "UGFzc3dvcmQ6");
    let step = respond(&mut parked(&exchange), b"secret");
    assert_eq!(step, password("", "alice", b"secret"));
}

#[test]
fn xlogin_2_b_inline_user_goes_straight_to_the_password() {
    let (exchange, step) = start(Mechanism::Login, Some(b"alice"));
    assert_eq!(step, ServerStep::Challenge(b"Password:".to_vec()));
    let step = respond(&mut parked(&exchange), b"secret");
    assert_eq!(step, password("", "alice", b"secret"));
    // `AUTH LOGIN =`
    let (mut exchange, step) = start(Mechanism::Login, Some(b""));
    assert_eq!(step, ServerStep::Challenge(b"Password:".to_vec()));
    assert_eq!(respond(&mut exchange, b"secret"), wrong());
}

#[test]
fn xlogin_2_c_password_is_opaque_and_user_may_be_latin_1() {
    let (mut exchange, _) = start(Mechanism::Login, Some(b"j\xFCrgen"));
    let step = respond(&mut exchange, b"\xE9\0\xFF");
    assert_eq!(step, password("", "jürgen", b"\xE9\0\xFF"));
    let (mut exchange, _) = start(Mechanism::Login, Some("jürgen".as_bytes()));
    let step = respond(&mut exchange, b"x");
    assert_eq!(step, password("", "jürgen", b"x"));
}

#[test]
fn xlogin_2_c_empty_user_or_password_is_wrong_after_the_password_line() {
    for (user, secret) in [("", "secret"), ("alice", ""), ("", "")] {
        let (mut exchange, _) = start(Mechanism::Login, None);
        let step = respond(&mut exchange, user.as_bytes());
        assert_eq!(step, ServerStep::Challenge(b"Password:".to_vec()));
        assert_eq!(respond(&mut exchange, secret.as_bytes()), wrong());
        // Nothing more is taken.
        let over = ServerStep::Refuse(SaslRefusal::Malformed);
        assert_eq!(respond(&mut parked(&exchange), b"secret"), over);
    }
}

#[test]
fn r4616_2_a_message_has_three_parts() {
    let tim = b"\0tim\0tanstaaftanstaaf";
    let (_, step) = start(Mechanism::Plain, Some(tim));
    assert_eq!(step, password("", "tim", b"tanstaaftanstaaf"));
    // After the empty challenge (R4954-4-e).
    let (exchange, step) = start(Mechanism::Plain, None);
    assert_eq!(step, ServerStep::Challenge(alloc::vec![]));
    let step = respond(&mut parked(&exchange), tim);
    assert_eq!(step, password("", "tim", b"tanstaaftanstaaf"));

    let malformed = ServerStep::Refuse(SaslRefusal::Malformed);
    let bad: [&[u8]; 7] = [
        b"",
        b"tim",
        b"\0tim",
        b"\0tim\0a\0",
        b"\0tim\0a\0b",
        b"\0t\xFCm\0a",
        b"\0tim\0\xFC",
    ];
    for message in bad {
        let (_, step) = start(Mechanism::Plain, Some(message));
        assert_eq!(step, malformed, "{message:?}");
    }
    for message in [&b"\0\0a"[..], b"\0tim\0", b"\0\0", b"tim\0\0a"] {
        let (_, step) = start(Mechanism::Plain, Some(message));
        assert_eq!(step, wrong(), "{message:?}");
    }
}

#[test]
fn r4616_2_a_parts_of_255_octets_and_more_are_taken() {
    let long = "ä".repeat(1000);
    let message = ["x", &long, &long].join("\0");
    let (_, step) = start(Mechanism::Plain, Some(message.as_bytes()));
    assert_eq!(step, password("x", &long, long.as_bytes()));
}

#[test]
fn r4616_2_b_other_identities_are_asked_about() {
    let (_, step) = start(Mechanism::Plain, Some(b"office\0tim\0a"));
    assert_eq!(step, password("office", "tim", b"a"));
    let (_, step) = start(Mechanism::Plain, Some(b"tim\0tim\0a"));
    assert_eq!(step, password("", "tim", b"a"));
}
