//! AUTH with an access token: refusals, and the one new token that is asked for.

use super::authentication::under_tls;
use super::driver::{play, settings};
use crate::{
    client::Session,
    contract::{Mechanism, client::Action},
    environment::Fixed,
};
use alloc::{format, string::String, vec};

/// The error of the profile, in base64.
const ERROR: &str = "eyJzdGF0dXMiOiI0MDEiLCJzY2hlbWVzIjoiYmVhcmVyIiwic2NvcGUiOiJzbXRwIn0=";
/// What it says.
const SAYS: &str =
    r#"the server refuses the access token: {"status":"401","schemes":"bearer","scope":"smtp"}"#;

#[test]
fn xoa_3_a_new_token_is_asked_for_once() {
    for name in ["XOAUTH2", "OAUTHBEARER"] {
        for then in [
            // A new token helps,
            "
            H: authenticate a@x.org n3w
            C: AUTH M ***
            S: 235 ok
            E: ready
            ",
            // or it does not,
            "
            H: authenticate a@x.org n3w
            C: AUTH M ***
            S: 334 X
            E: report AUTH M: SAYS
            C: ***
            S: 535 5.7.8 no
            E: failed Authentication permanent 535 5.7.8
            C: QUIT
            ",
            // or there is none.
            "
            H: authenticate
            E: failed Authentication permanent 535 5.7.8
            C: QUIT
            ",
        ] {
            let dialogue = format!(
                "
                E: authenticate M
                H: authenticate a@x.org t0ken
                C: AUTH M ***
                S: 334 X
                E: report AUTH M: SAYS
                C: ***
                S: 535 5.7.8 no
                E: report AUTH M refused: 535 no
                E: authenticate M
                {then}
            "
            );
            let dialogue = dialogue
                .replace("SAYS", SAYS)
                .replace("334 X", &format!("334 {ERROR}"))
                .replace(" M", &format!(" {name}"));
            play(&under_tls(name, &format!("{name} PLAIN"), &dialogue));
        }
    }
}

#[test]
fn xoa_3_a_refusal_without_an_error_is_one_too() {
    play(&under_tls(
        "XOAUTH2,PLAIN",
        "XOAUTH2 PLAIN",
        "
        E: authenticate XOAUTH2
        H: authenticate a@x.org t0ken
        C: AUTH XOAUTH2 ***
        S: 535 5.7.3 no
        E: authenticate XOAUTH2
        H: authenticate a@x.org n3w
        C: AUTH XOAUTH2 ***
        S: 535 5.7.3 no
        E: failed Authentication permanent 535 5.7.3
        C: QUIT
    ",
    ));
}

#[test]
fn cl_mech_next_after_a_cancelled_exchange_with_a_token() {
    play(&under_tls(
        "XOAUTH2,PLAIN",
        "XOAUTH2 PLAIN",
        "
        E: authenticate XOAUTH2
        H: authenticate a@x.org t0ken
        C: AUTH XOAUTH2 ***
        S: 334 {not base64}
        C: *
        S: 501 5.7.0 cancelled
        E: authenticate PLAIN
        H: authenticate a@x.org secret
        C: AUTH PLAIN ***
        S: 235 ok
        E: ready
    ",
    ));
}

#[test]
fn cl_mech_next_credentials_that_do_not_fit_a_mechanism() {
    play(&under_tls(
        "XOAUTH2,PLAIN",
        "XOAUTH2 PLAIN",
        "
        E: authenticate XOAUTH2
        H: authenticate a@x.org no token
        E: authenticate PLAIN
        H: authenticate a@x.org secret
        C: AUTH PLAIN ***
        S: 235 ok
        E: ready
    ",
    ));
    play(&under_tls(
        "XOAUTH2",
        "XOAUTH2",
        "
        E: authenticate XOAUTH2
        H: authenticate a@x.org no token
        E: failed Authentication permanent
        C: QUIT
    ",
    ));
    // Who has failed to authenticate does not go on without.
    play(&under_tls(
        "XOAUTH2,PLAIN",
        "XOAUTH2 PLAIN",
        "
        E: authenticate XOAUTH2
        H: authenticate a@x.org no token
        E: authenticate PLAIN
        H: authenticate
        E: failed Authentication permanent
        C: QUIT
    ",
    ));
}

#[test]
fn cl_mech_clear_no_token_without_tls() {
    let mut env = Fixed::default();
    let mut ours = settings();
    ours.mechanisms = vec![Mechanism::Xoauth2, Mechanism::Oauthbearer];
    let mut session = Session::start(ours).unwrap();
    session.open(&mut env).unwrap();
    let actions = session
        .receive(
            b"220 x\r\n250-x\r\n250 AUTH XOAUTH2 OAUTHBEARER\r\n",
            &mut env,
        )
        .unwrap()
        .actions;
    assert!(
        actions
            .iter()
            .any(|action| matches!(action, Action::Failed(_)))
    );
}

#[test]
fn xoa_3_the_failure_says_what_the_server_said() {
    let octets = format!("334 {ERROR}\r\n535 5.7.8 no\r\n");
    let mut env = Fixed::default();
    let mut ours = settings();
    ours.mechanisms = vec![Mechanism::Xoauth2];
    ours.clear_text = true;
    let mut session = Session::start(ours).unwrap();
    session.open(&mut env).unwrap();
    session
        .receive(b"220 x\r\n250-x\r\n250 AUTH XOAUTH2\r\n", &mut env)
        .unwrap();
    let token = |secret: &str| crate::contract::client::Credentials {
        user: "a@x.org".into(),
        domain: String::new(),
        workstation: String::new(),
        secret: secret.into(),
    };
    session
        .authenticate(Some(token("t0ken")), &mut env)
        .unwrap();
    session.receive(octets.as_bytes(), &mut env).unwrap();
    let actions = session.authenticate(None, &mut env).unwrap().actions;
    assert!(
        matches!(&actions[0], Action::Failed(failure) if failure.text == SAYS),
        "{actions:?}"
    );
}
