//! What is settled without being tried, and the parameters of what is.

use super::driver::{envelope, play, ready, session_with};
use crate::contract::{
    ContentFacts, Envelope, Fault,
    client::{Action, Verdict},
};
use alloc::format;

#[test]
fn r9422_5_who_is_over_a_limit_is_not_tried() {
    play(&ready(
        "",
        &["PIPELINING", "LIMITS RCPTMAX=2"],
        "
        H: submit a@example.org b@example.org,c@example.org,d@example.org
        E: settled 2 again
        C: MAIL FROM:<a@example.org>
        C: RCPT TO:<b@example.org>
        C: RCPT TO:<c@example.org>
        C: DATA
    ",
    ));
    play(&ready(
        "",
        &["PIPELINING", "LIMITS RCPTDOMAINMAX=1"],
        "
        H: submit a@example.org b@example.org,c@example.com,d@EXAMPLE.org
        E: settled 1 again
        C: MAIL FROM:<a@example.org>
        C: RCPT TO:<b@example.org>
        C: RCPT TO:<d@EXAMPLE.org>
        C: DATA
    ",
    ));
}

#[test]
fn r1870_6_2_a_message_over_the_limit_is_failed_before_mail() {
    play(&ready(
        "",
        &["SIZE 100"],
        "
        H: submit a@example.org b@example.org,c@example.org size=101
        E: settled 0 failed 552 5.3.4
        E: settled 1 failed 552 5.3.4
        E: done
        E: ready
        H: submit a@example.org b@example.org size=100
        C: MAIL FROM:<a@example.org> SIZE=100
    ",
    ));
    play(&ready(
        "",
        &["SIZE 0"],
        "
        H: submit a@example.org b@example.org size=101
        C: MAIL FROM:<a@example.org> SIZE=101
    ",
    ));
}

#[test]
fn r5321_2_3_8_d_bare_cr_or_lf_is_never_sent() {
    play(&ready(
        "",
        &[],
        "
        H: submit a@example.org b@example.org bare
        E: settled 0 failed 554 5.6.0
        E: done
        E: ready
    ",
    ));
}

#[test]
fn r6152_3_c_8_bit_content_needs_8bitmime() {
    for facts in ["8bit", "8bit-header"] {
        play(&ready(
            "",
            &[],
            &format!(
                "
            H: submit a@example.org b@example.org {facts}
            E: settled 0 failed 554 5.6.3
            E: done
            E: ready
        "
            ),
        ));
        play(&ready(
            "",
            &["8BITMIME", "SMTPUTF8"],
            &format!(
                "
            H: submit a@example.org b@example.org {facts}
            C: MAIL FROM:<a@example.org> BODY=8BITMIME
        "
            ),
        ));
    }
}

#[test]
fn r6531_3_2_c_an_international_header_needs_smtputf8() {
    play(&ready(
        "",
        &["8BITMIME"],
        "
        H: submit a@example.org b@example.org 8bit-header smtputf8
        E: settled 0 failed 554 5.6.9
        E: done
        E: ready
    ",
    ));
    play(&ready(
        "",
        &["8BITMIME", "SMTPUTF8"],
        "
        H: submit a@example.org b@example.org 8bit-header smtputf8
        C: MAIL FROM:<a@example.org> BODY=8BITMIME SMTPUTF8
    ",
    ));
    // All ASCII: without the parameter.
    play(&ready(
        "",
        &["8BITMIME", "SMTPUTF8"],
        "
        H: submit a@example.org b@example.org smtputf8
        C: MAIL FROM:<a@example.org>
    ",
    ));
}

#[test]
fn r6531_3_2_c_an_international_address_needs_smtputf8() {
    play(&ready(
        "",
        &["PIPELINING"],
        "
        H: submit a@example.org gr\u{fc}n@example.org,c@example.org smtputf8
        E: settled 0 failed 553 5.6.7
        C: MAIL FROM:<a@example.org>
        C: RCPT TO:<c@example.org>
        C: DATA
    ",
    ));
    play(&ready(
        "",
        &["PIPELINING"],
        "
        H: submit gr\u{fc}n@example.org b@example.org,c@example.org smtputf8
        E: settled 0 failed 550 5.6.7
        E: settled 1 failed 550 5.6.7
        E: done
        E: ready
    ",
    ));
    play(&ready(
        "",
        &["PIPELINING", "SMTPUTF8", "8BITMIME"],
        "
        H: submit a@example.org gr\u{fc}n@example.org smtputf8
        C: MAIL FROM:<a@example.org> SMTPUTF8
        C: RCPT TO:<gr\u{fc}n@example.org>
        C: DATA
    ",
    ));
}

#[test]
fn cl_utf8_a_domain_alone_goes_as_a_label() {
    play(&ready(
        "",
        &["PIPELINING"],
        "
        H: submit a@b\u{fc}cher.example b@b\u{fc}cher.example smtputf8
        C: MAIL FROM:<a@xn--bcher-kva.example>
        C: RCPT TO:<b@xn--bcher-kva.example>
        C: DATA
    ",
    ));
}

#[test]
fn r8689_4_2_1_requiretls_needs_verified_tls_and_the_keyword() {
    play(&ready(
        "",
        &["REQUIRETLS"],
        "
        H: submit a@example.org b@example.org requiretls
        E: settled 0 failed 554 5.7.10
        E: done
        E: ready
        H: submit <> b@example.org requiretls
        C: MAIL FROM:<> REQUIRETLS
    ",
    ));
}

#[test]
fn r5321_4_5_5_b_null_stays_null() {
    play(&ready(
        "",
        &[],
        "
        H: submit <> b@example.org
        C: MAIL FROM:<>
    ",
    ));
}

#[test]
fn r5321_4_1_2_an_address_cannot_break_out_of_its_command() {
    for bad in [
        "b@x.org>\r\nDATA",
        "b@x.org> NOTIFY=NEVER",
        "b",
        "b@",
        "@x.org",
        "b\u{0}@x.org",
    ] {
        let (mut session, mut env) = session_with(b"220 x\r\n250-x\r\n250 PIPELINING\r\n");
        let submit = session.submit(envelope("a@x.org", bad), ContentFacts::default(), &mut env);
        let actions = submit.unwrap().actions;
        assert!(
            matches!(&actions[0], Action::Settled(0, outcome) if outcome.verdict == Verdict::Failed),
            "{bad:?} {actions:?}"
        );
        assert!(
            !actions
                .iter()
                .any(|action| matches!(action, Action::Send(_)))
        );
    }
}

#[test]
fn contract_an_envelope_that_makes_no_sense_is_a_fault() {
    let submit = |change: fn(&mut Envelope)| -> Option<Fault> {
        let (mut session, mut env) = session_with(b"220 x\r\n250-x\r\n250 DSN\r\n");
        let mut envelope = envelope("a@x.org", "b@x.org");
        change(&mut envelope);
        session
            .submit(envelope, ContentFacts::default(), &mut env)
            .err()
    };
    assert!(submit(|_| ()).is_none());
    assert!(submit(|envelope| envelope.forward_paths.clear()).is_some());
    assert!(submit(|envelope| envelope.parameters.envid = Some("a b".into())).is_some());
    assert!(
        submit(|envelope| envelope.forward_paths[0].orcpt = Some(("rfc822".into(), "a\r\n".into())))
            .is_some()
    );
}

#[test]
fn r4954_5_b_an_unauthenticated_session_sends_no_auth() {
    play(&ready(
        "",
        &["AUTH PLAIN"],
        "
        H: submit a@example.org b@example.org auth=
        C: MAIL FROM:<a@example.org>
    ",
    ));
    play(
        "
        H: start tls=established auth=PLAIN
        H: secured verified
        H: open
        S: 220 here
        C: EHLO client.example.org
        S: 250-here
        S: 250 AUTH PLAIN
        E: authenticate PLAIN
        H: authenticate tim secret
        C: AUTH PLAIN ***
        S: 235 ok
        E: ready
        H: submit a@example.org b@example.org auth=
        C: MAIL FROM:<a@example.org> AUTH=<>
    ",
    );
}
