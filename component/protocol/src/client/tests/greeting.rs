//! Greeting, EHLO, HELO, LHLO; what `start` refuses.

use super::driver::{play, settings};
use crate::{
    client::Session,
    contract::{Mechanism, client::TlsPolicy},
    environment::Fixed,
};

#[test]
fn cl_greeting_nothing_is_sent_before_220() {
    play(
        "
        H: open
        P: Greeting
        S: 220-mail.example.org
        S: 220 ready
        C: EHLO client.example.org
        P: Command
        S: 250 mail.example.org
        E: ready
        P: Answer
        H: quit
        C: QUIT
        P: Quit
        S: 221 2.0.0 bye
        E: close
        P: Closed
    ",
    );
}

#[test]
fn cl_greeting_a_refusal_is_answered_with_quit() {
    play(
        "
        H: open
        S: 554 no SMTP service here
        E: failed Connect permanent 554
        C: QUIT
        S: 221 bye
        E: close
    ",
    );
    play(
        "
        H: open
        S: 450 later
        E: failed Connect temporary 450
        C: QUIT
        H: lost timeout
        E: close
    ",
    );
    play(
        "
        H: open
        S: 421 4.7.0 too many connections
        E: failed Connect temporary 421 4.7.0
        E: close
    ",
    );
    play(
        "
        H: open
        S: 354 go on
        E: failed Connect temporary
        E: close
    ",
    );
}

#[test]
fn cl_ehlo_an_old_server_gets_helo_once() {
    for code in [500, 501, 502, 504, 550] {
        play(&alloc::format!(
            "
            H: open
            S: 220 old
            C: EHLO client.example.org
            S: {code} what?
            C: HELO client.example.org
            S: 250 old
            E: ready
            H: submit a@example.org b@example.org size=10
            C: MAIL FROM:<a@example.org>
        "
        ));
    }
    play(
        "
        H: open
        S: 220 old
        C: EHLO client.example.org
        S: 500 what?
        C: HELO client.example.org
        S: 500 what?
        E: failed Envelope permanent 500
        C: QUIT
        S: 221 bye
        E: close
    ",
    );
}

#[test]
fn cl_ehlo_no_helo_where_an_extension_is_needed() {
    play(
        "
        H: start auth=PLAIN clear
        H: open
        S: 220 old
        C: EHLO client.example.org
        S: 502 5.5.1 what?
        E: failed Envelope permanent 502 5.5.1
        C: QUIT
    ",
    );
    // R3207-6-a
    play(
        "
        H: start tls=required
        H: open
        S: 220 old
        C: EHLO client.example.org
        S: 502 5.5.1 what?
        E: failed Tls temporary 502 5.5.1
        C: QUIT
    ",
    );
    play(
        "
        H: start lmtp
        H: open
        S: 220 not lmtp
        C: LHLO client.example.org
        S: 500 5.5.1 what?
        E: failed Envelope permanent 500 5.5.1
        C: QUIT
    ",
    );
}

#[test]
fn cl_ehlo_other_refusals_end_the_session() {
    for (code, when) in [(451, "temporary"), (554, "permanent")] {
        play(&alloc::format!(
            "
            H: open
            S: 220 here
            C: EHLO client.example.org
            S: {code} no
            E: failed Envelope {when} {code}
            C: QUIT
        "
        ));
    }
}

#[test]
fn ox_c_start_refuses_what_it_cannot_do() {
    let fault = |change: fn(&mut crate::contract::client::Settings)| {
        let mut settings = settings();
        change(&mut settings);
        Session::start(settings).err().map(|fault| fault.text)
    };
    assert_eq!(fault(|_| ()), None);
    assert_eq!(
        fault(|settings| settings.mechanisms = Mechanism::ALL.to_vec()),
        None
    );
    // R6531-3.7.1, and no second command in the name.
    for name in ["", "caf\u{e9}.example", "a b", "a\r\nQUIT"] {
        let mut settings = settings();
        settings.hostname = name.into();
        assert!(Session::start(settings).is_err(), "{name:?}");
    }
}

#[test]
fn contract_calls_out_of_turn_are_faults() {
    let env = &mut Fixed::default();
    let mut session = Session::start(settings()).unwrap();
    assert!(session.receive(b"220 x\r\n", env).is_err());
    assert!(session.quit(env).is_err());
    assert!(session.supply(b"", true, env).is_err());
    assert!(session.authenticate(None, env).is_err());
    assert!(session.derived(b"", env).is_err());
    session.open(env).unwrap();
    assert!(session.open(env).is_err());
    assert!(session.receive(&[b'x'; 65_537], env).is_err());
    let mut implicit = settings();
    implicit.tls = TlsPolicy::Established;
    let mut session = Session::start(implicit).unwrap();
    assert!(session.open(env).is_err());
    session.secured(Default::default(), env).unwrap();
    assert!(session.secured(Default::default(), env).is_err());
    session.open(env).unwrap();
    session
        .lost(crate::contract::client::Loss::Closed, env)
        .unwrap();
    assert!(
        session
            .lost(crate::contract::client::Loss::Closed, env)
            .is_err()
    );
}
