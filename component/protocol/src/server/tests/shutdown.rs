//! The host ends the session (RFC 5321 section 3.8).

use crate::{
    contract::{Dismissal, server::TlsPolicy},
    server::testing::{Event, Host, play, settings},
};
use std::{format, string::String};

fn in_transaction(script: &str) -> String {
    format!(
        "S: 220 mail.example.org ESMTP ready
        C: HELO a
        S: 250 mail.example.org greets a
        C: MAIL FROM:<alice@example.org>
        S: 250 2.1.0 sender ok
        {script}"
    )
}

#[test]
fn r5321_3_8_b_an_idle_session_ends_at_once() {
    for (why, reply) in [
        ("shutdown", "421 4.3.2 mail.example.org shutting down"),
        ("timeout", "421 4.4.2 mail.example.org timeout"),
        (
            "overload",
            "421 4.7.0 mail.example.org too many connections",
        ),
        ("fault", "421 4.3.0 mail.example.org internal error"),
    ] {
        play(
            &settings(),
            &format!(
                "S: 220 mail.example.org ESMTP ready
                D: {why}
                S: {reply}
                X:"
            ),
        );
        play(
            &settings(),
            &format!(
                "S: 220 mail.example.org ESMTP ready
                C: HELO a
                S: 250 mail.example.org greets a
                C: AUTH LOGIN
                S: 334 VXNlcm5hbWU6
                D: {why}
                S: {reply}
                X:"
            ),
        );
    }
}

#[test]
fn r5321_3_8_b_a_transaction_that_has_begun_may_end() {
    play(
        &settings(),
        &in_transaction(
            "D: shutdown
            C: RCPT TO:<bob@example.net>
            S: 250 2.1.5 recipient ok
            C: DATA
            S: 354 end with CRLF.CRLF
            C: From: <alice@example.org>
            C:
            C: .
            C: NOOP
            Q: store
            A: stored
            S: 250 2.6.0 queued as s1-1
            S: 421 4.3.2 mail.example.org shutting down
            X:",
        ),
    );
    play(
        &settings(),
        &in_transaction(
            "D: shutdown
            C: RSET
            S: 250 2.0.0 ok
            S: 421 4.3.2 mail.example.org shutting down
            X:",
        ),
    );
    play(
        &settings(),
        &in_transaction(
            "D: shutdown
            C: QUIT
            S: 221 2.0.0 mail.example.org closing
            X:",
        ),
    );
}

#[test]
fn r5321_3_8_b_when_the_drain_time_is_over_nothing_is_stored() {
    // The second dismissal: the content that the host has is dropped.
    play(
        &settings(),
        &in_transaction(
            "C: RCPT TO:<bob@example.net>
            S: 250 2.1.5 recipient ok
            C: DATA
            S: 354 end with CRLF.CRLF
            C: From: <alice@example.org>
            C:
            C: some text
            D: shutdown
            D: shutdown
            S: 421 4.3.2 mail.example.org shutting down
            X:",
        ),
    );
}

#[test]
fn r5321_3_8_c_a_timeout_waits_for_no_transaction() {
    play(
        &settings(),
        &in_transaction(
            "D: timeout
            S: 421 4.4.2 mail.example.org timeout
            X:",
        ),
    );
}

#[test]
fn r5321_3_8_b_never_between_a_store_and_its_answer() {
    for why in ["shutdown", "timeout", "fault"] {
        let farewell = match why {
            "shutdown" => "421 4.3.2 mail.example.org shutting down",
            "timeout" => "421 4.4.2 mail.example.org timeout",
            _ => "421 4.3.0 mail.example.org internal error",
        };
        play(
            &settings(),
            &in_transaction(&format!(
                "C: RCPT TO:<bob@example.net>
                S: 250 2.1.5 recipient ok
                C: DATA
                S: 354 end with CRLF.CRLF
                C: From: <alice@example.org>
                C:
                C: .
                Q: store
                D: {why}
                A: stored
                S: 250 2.6.0 queued as s1-1
                S: {farewell}
                X:"
            )),
        );
    }
}

#[test]
fn r3207_4_d_nothing_is_said_in_clear_where_a_handshake_is_due() {
    let mut host = Host::new(&settings());
    host.open();
    host.feed(b"HELO a\r\nSTARTTLS\r\n");
    assert_eq!(host.events.pop(), Some(Event::StartTls));
    let before = host.events.clone();
    host.dismiss(Dismissal::Timeout);
    assert_eq!(host.events, [before, [Event::Closed].into()].concat());

    let mut settings = settings();
    settings.tls = TlsPolicy::Established;
    let mut host = Host::new(&settings);
    host.dismiss(Dismissal::Overload);
    assert_eq!(host.events, [Event::Closed]);
}

#[test]
fn r5321_3_1_c_over_a_limit_the_greeting_is_421() {
    let mut host = Host::new(&settings());
    host.dismiss(Dismissal::Overload);
    let sent = b"421 4.7.0 mail.example.org too many connections\r\n";
    assert_eq!(host.events, [Event::Sent(sent.to_vec()), Event::Closed]);
}
