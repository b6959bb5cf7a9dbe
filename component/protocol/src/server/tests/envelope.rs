//! MAIL and RCPT: paths, parameters, the host's say, limits.

use crate::{
    contract::{BodyType, DsnReturn, Notify},
    server::testing::{play, settings},
};
use std::{format, string::String};

/// A dialogue after the greeting and HELO.
fn greeted(script: &str) -> String {
    format!(
        "S: 220 mail.example.org ESMTP ready
        C: HELO a
        S: 250 mail.example.org greets a
        {script}"
    )
}

#[test]
fn r5321_4_1_1_2_b_spellings_of_devices_are_accepted() {
    play(
        &settings(),
        &greeted(
            "C: mail from: <alice@example.org>   SIZE=100
            S: 250 2.1.0 sender ok
            C: RSET
            S: 250 2.0.0 ok
            C: MAIL FROM:alice@example.org
            S: 250 2.1.0 sender ok
            C: rcpt to: bob@example.net
            S: 250 2.1.5 recipient ok
            C: RCPT TO :<bob@example.net>
            S: 501 5.5.4 RCPT TO:<path> expected",
        ),
    );
}

#[test]
fn r6409_5_1_a_bad_addresses_have_codes_of_their_own() {
    play(
        &settings(),
        &greeted(
            "C: MAIL FROM:<a..b@example.org>
            S: 501 5.1.7 bad address syntax
            C: MAIL <alice@example.org>
            S: 501 5.5.4 MAIL FROM:<path> expected
            C: MAIL FROM:<alice@example>
            S: 554 5.1.8 domain not fully qualified
            C: MAIL FROM:<\\xc3\\xa9@example.org>
            S: 550 5.6.7 SMTPUTF8 needed
            C: MAIL FROM:<\\xc3\\xa9@example.org> SMTPUTF8
            S: 250 2.1.0 sender ok
            C: RSET
            S: 250 2.0.0 ok
            C: MAIL FROM:<>
            S: 250 2.1.0 sender ok
            C: RCPT TO:<bob>
            S: 501 5.1.3 bad address syntax
            C: RCPT TO:<bob@example>
            S: 554 5.1.2 domain not fully qualified
            C: RCPT TO:<\\xc3\\xa9@example.net>
            S: 553 5.6.7 SMTPUTF8 needed
            C: RCPT TO:<bob@[192.0.2.9]>
            S: 250 2.1.5 recipient ok",
        ),
    );
}

#[test]
fn r5321_4_1_1_11_parameters_that_are_not_offered_are_refused() {
    play(
        &settings(),
        &greeted(
            "C: MAIL FROM:<alice@example.org> XYZ=1
            S: 555 5.5.4 parameter XYZ not supported
            C: MAIL FROM:<alice@example.org> REQUIRETLS
            S: 555 5.5.4 parameter REQUIRETLS not supported
            C: MAIL FROM:<alice@example.org> SIZE=100001
            S: 552 5.3.4 message exceeds 100000 octets
            C: MAIL FROM:<alice@example.org> SIZE=100000
            S: 250 2.1.0 sender ok",
        ),
    );
}

#[test]
fn r3461_parameters_are_kept_in_the_envelope() {
    let played = play(
        &settings(),
        "S: 220 mail.example.org ESMTP ready
        C: EHLO printer.example.org
        S: 250-mail.example.org greets printer.example.org
        S: 250-PIPELINING
        S: 250-SIZE 100000
        S: 250-8BITMIME
        S: 250-DSN
        S: 250-ENHANCEDSTATUSCODES
        S: 250-SMTPUTF8
        S: 250-STARTTLS
        S: 250-AUTH NTLM LOGIN PLAIN
        S: 250 LIMITS RCPTMAX=100
        C: MAIL FROM:<alice@example.org> BODY=8BITMIME SIZE=70 RET=HDRS ENVID=QQ314159 AUTH=<>
        C: RCPT TO:<Bob@example.net> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Bob+2Bx@example.net
        C: RCPT TO:<postmaster>
        C: RCPT TO:<@relay.example:Bob@example.net>
        C: DATA
        S: 250 2.1.0 sender ok
        S: 250 2.1.5 recipient ok
        S: 250 2.1.5 recipient ok
        S: 250 2.1.5 recipient ok
        S: 354 end with CRLF.CRLF
        C: From: <alice@example.org>
        C:
        C: .
        M: s1-1 ESMTP <alice@example.org> Bob@example.net postmaster@mail.example.org Bob@example.net
        Q: store
        A: stored
        S: 250 2.6.0 queued as s1-1",
    );
    let (envelope, _) = &played.messages[0];
    assert_eq!(envelope.greeted, "printer.example.org");
    let parameters = &envelope.parameters;
    assert_eq!(parameters.body, BodyType::EightBitMime);
    assert_eq!(parameters.size, Some(70));
    assert_eq!(parameters.ret, Some(DsnReturn::Headers));
    assert_eq!(parameters.envid.as_deref(), Some("QQ314159"));
    assert_eq!(parameters.auth.as_deref(), Some(""));
    let first = &envelope.forward_paths[0];
    let notify = Notify {
        success: true,
        delay: true,
        ..Notify::default()
    };
    assert_eq!(first.notify, Some(notify));
    assert_eq!(
        first.orcpt,
        Some(("rfc822".into(), "Bob+2Bx@example.net".into()))
    );
}

#[test]
fn r5321_4_5_3_1_e_recipients_over_the_limit_get_452_and_earlier_ones_stay() {
    let recipients = "C: RCPT TO:<bob@example.net>\n".repeat(101);
    let accepted = "S: 250 2.1.5 recipient ok\n".repeat(100);
    let played = play(
        &settings(),
        &greeted(&format!(
            "C: MAIL FROM:<alice@example.org>
            {recipients}
            C: DATA
            S: 250 2.1.0 sender ok
            {accepted}
            S: 452 4.5.3 too many recipients
            S: 354 end with CRLF.CRLF
            C: From: <alice@example.org>
            C:
            C: .
            Q: store
            A: stored
            S: 250 2.6.0 queued as s1-1"
        )),
    );
    assert_eq!(played.messages[0].0.forward_paths.len(), 100);
}

#[test]
fn r6409_6_1_the_host_says_who_may_send_and_who_may_be_reached() {
    let mut settings = settings();
    settings.ask_sender = true;
    settings.ask_recipient = true;
    let played = play(
        &settings,
        &greeted(
            "C: MAIL FROM:<mallory@example.org>
            Q: sender <mallory@example.org>
            A: rejected 550 5.7.1 not permitted
            S: 550 5.7.1 not permitted
            C: MAIL FROM:<mallory@example.org>
            Q: sender <mallory@example.org>
            A: unavailable
            S: 451 4.3.0 local error, try again
            # The whole group is pipelined: each question stops it where it is.
            C: MAIL FROM:<alice@example.org>
            C: RCPT TO:<bob@example.net>
            C: RCPT TO:<nobody@example.org>
            C: RCPT TO:<later@example.org>
            C: DATA
            Q: sender <alice@example.org>
            A: accepted
            S: 250 2.1.0 sender ok
            Q: recipient <bob@example.net>
            A: accepted
            S: 250 2.1.5 recipient ok
            Q: recipient <nobody@example.org>
            A: rejected 550 5.1.1 no such mailbox
            S: 550 5.1.1 no such mailbox
            Q: recipient <later@example.org>
            A: unavailable
            S: 451 4.3.0 local error, try again
            S: 354 end with CRLF.CRLF
            C: From: <alice@example.org>
            C:
            C: .
            M: s1-3 SMTP <alice@example.org> bob@example.net
            Q: store
            A: unavailable
            S: 451 4.3.0 local error, try again
            C: RCPT TO:<bob@example.net>
            S: 503 5.5.1 MAIL first",
        ),
    );
    // What the host itself said needs no report.
    assert_eq!(played.reports.len(), 4);
}

#[test]
fn r5321_3_1_4_2_a_host_that_says_421_means_it() {
    let mut settings = settings();
    settings.ask_recipient = true;
    play(
        &settings,
        &greeted(
            "C: MAIL FROM:<alice@example.org>
            S: 250 2.1.0 sender ok
            C: RCPT TO:<bob@example.net>
            C: NOOP
            Q: recipient <bob@example.net>
            A: rejected 421 4.7.0 slow down
            S: 421 4.7.0 slow down
            X:",
        ),
    );
}
