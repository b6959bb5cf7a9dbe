//! AUTH: choice of the mechanism, exchanges, refusals, and what a trace shows.

use super::driver::{play, settings};
use crate::{
    client::Session,
    contract::{
        Mechanism, TlsFacts,
        client::{Action, Credentials, TlsPolicy},
    },
    environment::Fixed,
};
use alloc::{format, string::String, vec, vec::Vec};

/// Up to the offer of AUTH, under verified TLS.
pub(super) fn under_tls(ours: &str, theirs: &str, then: &str) -> String {
    format!(
        "
        H: start tls=established auth={ours}
        H: secured verified
        H: open
        S: 220 here
        C: EHLO client.example.org
        S: 250-here
        S: 250 AUTH {theirs}
        {then}
    "
    )
}

#[test]
fn r4954_4_m_plain_over_tls() {
    play(&under_tls(
        "PLAIN,LOGIN",
        "LOGIN PLAIN",
        "
        E: authenticate PLAIN
        P: Answer
        H: authenticate tim tanstaaftanstaaf
        C: AUTH PLAIN ***
        P: Authentication
        S: 235 2.7.0 welcome
        E: ready
    ",
    ));
}

#[test]
fn xlogin_2_d_login_answers_two_challenges_whatever_they_say() {
    for (first, second) in [("VXNlcm5hbWU6", "UGFzc3dvcmQ6"), ("VXNlciBOYW1lAA==", "")] {
        play(&under_tls(
            "LOGIN",
            "LOGIN",
            &format!(
                "
            E: authenticate LOGIN
            H: authenticate tim secret
            C: AUTH LOGIN
            S: 334 {first}
            C: ***
            S: 334 {second}
            C: ***
            S: 235 2.7.0 welcome
            E: ready
        "
            ),
        ));
    }
}

#[test]
fn cl_challenge_one_challenge_too_many_is_cancelled() {
    play(&under_tls(
        "LOGIN",
        "LOGIN",
        "
        E: authenticate LOGIN
        H: authenticate tim secret
        C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: ***
        S: 334 UGFzc3dvcmQ6
        C: ***
        S: 334 UGFzc3dvcmQ6
        C: *
        P: Authentication
        S: 501 5.7.0 cancelled
        E: failed Authentication permanent 501 5.7.0
        C: QUIT
    ",
    ));
}

#[test]
fn cl_mech_next_after_a_cancelled_exchange_the_next_mechanism_is_tried() {
    play(&under_tls(
        "LOGIN,PLAIN",
        "PLAIN LOGIN",
        "
        E: authenticate LOGIN
        H: authenticate tim secret
        C: AUTH LOGIN
        S: 334 not base64
        C: *
        S: 501 5.7.0 cancelled
        E: authenticate PLAIN
        H: authenticate tim secret
        C: AUTH PLAIN ***
        S: 235 2.7.0 welcome
        E: ready
    ",
    ));
}

#[test]
fn cl_mech_next_a_refused_mechanism_is_followed_by_the_next() {
    for code in [500, 501, 502, 503, 504, 523, 534, 538] {
        play(&under_tls(
            "PLAIN,LOGIN",
            "PLAIN LOGIN",
            &format!(
                "
            E: authenticate PLAIN
            H: authenticate tim secret
            C: AUTH PLAIN ***
            S: {code} no
            E: report AUTH PLAIN refused: {code} no
            E: authenticate LOGIN
            H: authenticate
            E: failed Authentication permanent {code}
            C: QUIT
        "
            ),
        ));
    }
}

#[test]
fn cl_mech_next_535_is_final_and_4yz_may_be_over_later() {
    for (code, when) in [
        (535, "permanent"),
        (525, "permanent"),
        (454, "temporary"),
        (432, "temporary"),
    ] {
        play(&under_tls(
            "PLAIN,LOGIN",
            "PLAIN LOGIN",
            &format!(
                "
            E: authenticate PLAIN
            H: authenticate tim secret
            C: AUTH PLAIN ***
            S: {code} no
            E: failed Authentication {when} {code}
            C: QUIT
        "
            ),
        ));
    }
    play(&under_tls(
        "PLAIN,LOGIN",
        "PLAIN LOGIN",
        "
        E: authenticate PLAIN
        H: authenticate tim secret
        C: AUTH PLAIN ***
        S: 421 4.3.2 down
        E: failed Authentication temporary 421 4.3.2
        E: close
    ",
    ));
}

#[test]
fn cl_mech_order_configuration_decides_and_both_lists_are_named() {
    play(&under_tls(
        "NTLM,PLAIN,LOGIN",
        "LOGIN PLAIN",
        "E: authenticate PLAIN",
    ));
    play(&under_tls(
        "NTLM",
        "LOGIN PLAIN",
        "
        E: failed Authentication permanent
        C: QUIT
    ",
    ));
    let mut ours = settings();
    ours.mechanisms = vec![Mechanism::Ntlm, Mechanism::Plain];
    let texts = texts_of(ours, None, b"220 x\r\n250-x\r\n250 AUTH PLAIN CRAM-MD5\r\n");
    assert_eq!(
        texts,
        [
            "no common mechanism: the server offers PLAIN CRAM-MD5; we have NTLM PLAIN; PLAIN \
          needs verified TLS"
        ]
    );
}

fn texts_of(
    settings: crate::contract::client::Settings,
    tls: Option<TlsFacts>,
    octets: &[u8],
) -> Vec<String> {
    let env = &mut Fixed::default();
    let mut session = Session::start(settings).unwrap();
    if let Some(facts) = tls {
        session.secured(facts, env).unwrap();
    }
    session.open(env).unwrap();
    let actions = session.receive(octets, env).unwrap().actions;
    let text = |action| match action {
        Action::Failed(failure) => Some(failure.text),
        _ => None,
    };
    actions.into_iter().filter_map(text).collect()
}

#[test]
fn ox_c_3_3_a_credentials_but_no_auth_fails_before_mail() {
    play(
        "
        H: start auth=NTLM
        H: open
        S: 220 here
        C: EHLO client.example.org
        S: 250 here
        E: failed Authentication permanent
        C: QUIT
    ",
    );
}

#[test]
fn ox_c_3_3_a_the_host_may_do_without() {
    play(&under_tls(
        "PLAIN",
        "PLAIN",
        "
        E: authenticate PLAIN
        H: authenticate
        E: ready
    ",
    ));
    play(&under_tls(
        "PLAIN",
        "PLAIN",
        "
        E: authenticate PLAIN
        H: quit
        C: QUIT
    ",
    ));
}

#[test]
fn cl_mech_clear_no_password_without_tls() {
    play(
        "
        H: start auth=PLAIN,LOGIN,NTLM
        H: open
        S: 220 here
        C: EHLO client.example.org
        S: 250-here
        S: 250 AUTH PLAIN LOGIN NTLM
        E: authenticate NTLM
    ",
    );
    play(
        "
        H: start auth=PLAIN clear
        H: open
        S: 220 here
        C: EHLO client.example.org
        S: 250-here
        S: 250 AUTH PLAIN
        E: authenticate PLAIN
    ",
    );
}

#[test]
fn cl_mech_verified_no_password_to_an_unverified_server() {
    let dialogue = |clear, then| {
        format!(
            "
            H: start tls=established auth=PLAIN {clear}
            H: secured unverified
            H: open
            S: 220 here
            C: EHLO client.example.org
            S: 250-here
            S: 250 AUTH PLAIN
            {then}
        "
        )
    };
    play(&dialogue("", "E: failed Authentication permanent\nC: QUIT"));
    play(&dialogue("clear", "E: authenticate PLAIN"));
}

#[test]
fn sntlm_2_2_1_2_c_negotiate_goes_with_the_command() {
    play(&under_tls("NTLM", "NTLM", "
        E: authenticate NTLM
        H: authenticate User Password
        C: AUTH NTLM ***
        S: 334 TlRMTVNTUAACAAAACAAIADgAAAAFgoqgASNFZ4mrze8AAAAAAAAAAGoAagBAAAAAAAAAAAAAAABNAEEASQBMAAIADABEAG8AbQBhAGkAbgABAAgATQBBAEkATAAEABYAZQB4AGEAbQBwAGwAZQAuAG8AcgBnAAMAIABtAGEAaQBsAC4AZQB4AGEAbQBwAGwAZQAuAG8AcgBnAAcACAAAAAAAAADZAQAAAAA=
        C: ***
        S: 235 2.7.0 welcome
        E: ready
    "));
    // SNTLM-cancel: a CHALLENGE that cannot be read, twice.
    play(&under_tls(
        "NTLM",
        "NTLM",
        "
        E: authenticate NTLM
        H: authenticate User Password
        C: AUTH NTLM ***
        S: 334 ntlm supported
        C: ***
        S: 334 ntlm supported
        C: *
        S: 501 5.7.0 cancelled
        E: failed Authentication permanent 501 5.7.0
        C: QUIT
    ",
    ));
}

#[test]
fn sntlm_cancel_a_server_of_ntlmv1_alone_is_asked_for_another_mechanism() {
    // A CHALLENGE without TargetInfo: what the server makes of NTLMv2 is not known.
    let exchange = "
        E: authenticate NTLM
        H: authenticate User Password
        C: AUTH NTLM ***
        S: 334 TlRMTVNTUAACAAAAAAAAAAAAAAABggAAASNFZ4mrze8AAAAAAAAAAAAAAAAAAAAA
        C: ***
        S: 535 no
    ";
    play(&under_tls(
        "NTLM,PLAIN",
        "NTLM PLAIN",
        &format!(
            "{exchange}
        E: report AUTH NTLM refused: 535 no
        E: authenticate PLAIN
        H: authenticate User Password
        C: AUTH PLAIN ***
        S: 235 2.7.0 welcome
        E: ready
    "
        ),
    ));
    // Without another one it is the end.
    play(&under_tls(
        "NTLM",
        "NTLM PLAIN",
        &format!(
            "{exchange}
        E: failed Authentication permanent 535
        C: QUIT
    "
        ),
    ));
}

#[test]
fn cl_challenge_3yz_where_none_belongs_ends_the_session() {
    for then in [
        "S: 354 go",
        "S: 334 %\nC: *\nS: 334 more",
        "S: 334 %\nC: *\nS: 250 ok",
    ] {
        play(&under_tls(
            "PLAIN",
            "PLAIN",
            &format!(
                "
            E: authenticate PLAIN
            H: authenticate tim secret
            C: AUTH PLAIN ***
            {then}
            E: failed Authentication temporary
            E: close
        "
            ),
        ));
    }
}

fn auth_with(secret: &str) -> (Session, Vec<Action>, Fixed) {
    let mut env = Fixed::default();
    let mut ours = settings();
    ours.tls = TlsPolicy::Established;
    ours.mechanisms = vec![Mechanism::Plain];
    let mut session = Session::start(ours).unwrap();
    let facts = TlsFacts {
        verified: true,
        ..TlsFacts::default()
    };
    session.secured(facts, &mut env).unwrap();
    session.open(&mut env).unwrap();
    session
        .receive(b"220 x\r\n250-x\r\n250 AUTH PLAIN\r\n", &mut env)
        .unwrap();
    let credentials = Credentials {
        user: "tim".into(),
        domain: String::new(),
        workstation: String::new(),
        secret: secret.into(),
    };
    let actions = session
        .authenticate(Some(credentials), &mut env)
        .unwrap()
        .actions;
    (session, actions, env)
}

#[test]
fn cl_secrets_the_octets_are_confided() {
    // Recomputed in the profile: PLAIN tim/tanstaaftanstaaf.
    assert_eq!(
        auth_with("tanstaaftanstaaf").1,
        [Action::Confide(
            b"AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm\r\n".to_vec(),
            "AUTH PLAIN ***".into()
        )]
    );
}

#[test]
fn r4954_4_n_a_long_initial_response_follows_the_empty_challenge() {
    // "AUTH PLAIN " and CRLF leave 499 octets, in base64 496: of 372, five are NUL tim NUL.
    let (_, actions, _) = auth_with(&"x".repeat(372 - 5));
    assert!(matches!(&actions[..], [Action::Confide(octets, _)] if octets.len() == 509));
    let (mut session, actions, mut env) = auth_with(&"x".repeat(373 - 5));
    assert_eq!(actions, [Action::Send(b"AUTH PLAIN\r\n".to_vec())]);
    let actions = session.receive(b"334 \r\n", &mut env).unwrap().actions;
    // base64 of 373 octets: 500, and CRLF.
    assert!(
        matches!(&actions[..], [Action::Confide(octets, shown)] if octets.len() == 502 && shown == "***")
    );
    let actions = session.receive(b"235 ok\r\n", &mut env).unwrap().actions;
    assert!(matches!(&actions[..], [Action::Ready(_)]));
}
