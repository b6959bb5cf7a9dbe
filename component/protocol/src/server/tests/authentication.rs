//! AUTH (RFC 4954, [MS-XLOGIN], [MS-SMTPNTLM], RFC 4616).

use crate::{
    contract::{
        Mechanism,
        server::{Question, TlsPolicy},
    },
    server::testing::{Event, Host, answer, play, settings},
    smtp::base64,
};
use std::{format, string::String, vec::Vec};

fn greeted(script: &str) -> String {
    format!(
        "S: 220 mail.example.org ESMTP ready
        C: HELO a
        S: 250 mail.example.org greets a
        {script}"
    )
}

#[test]
fn xlogin_2_a_login_asks_for_user_and_password() {
    play(
        &settings(),
        &greeted(
            "C: AUTH LOGIN
            S: 334 VXNlcm5hbWU6
            C: YWxpY2U=
            S: 334 UGFzc3dvcmQ6
            C: c2VjcmV0
            Q: password alice secret
            A: granted alice@example.org
            S: 235 2.7.0 authentication successful",
        ),
    );
}

#[test]
fn xlogin_2_b_login_takes_an_inline_user() {
    play(
        &settings(),
        &greeted(
            "C: auth login YWxpY2U=
            S: 334 UGFzc3dvcmQ6
            C: c2VjcmV0
            Q: password alice secret
            A: refused
            S: 535 5.7.8 authentication failed
            C: AUTH LOGIN =
            S: 334 UGFzc3dvcmQ6
            C: c2VjcmV0
            S: 535 5.7.8 authentication failed",
        ),
    );
}

#[test]
fn r4616_2_plain_with_and_without_an_initial_response() {
    play(
        &settings(),
        &greeted(
            "C: AUTH PLAIN
            S: 334 \n\
            C: AHRpbQB0YW5zdGFhZnRhbnN0YWFm
            Q: password tim tanstaaftanstaaf
            A: unavailable
            S: 454 4.7.0 temporary authentication failure
            # Windows Mail sends two spaces.
            C: AUTH PLAIN  AHRpbQB0YW5zdGFhZnRhbnN0YWFm
            Q: password tim tanstaaftanstaaf
            A: disabled
            S: 525 5.7.13 account disabled
            C: AUTH PLAIN =
            S: 501 5.5.2 syntax error
            C: AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm
            Q: password tim tanstaaftanstaaf
            A: granted tim@example.org
            S: 235 2.7.0 authentication successful",
        ),
    );
}

#[test]
fn r4954_4_a_one_auth_and_outside_transactions() {
    play(
        &settings(),
        &greeted(
            "C: MAIL FROM:<alice@example.org>
            S: 250 2.1.0 sender ok
            C: AUTH LOGIN
            S: 503 5.5.1 not inside a transaction
            C: RSET
            S: 250 2.0.0 ok
            C: AUTH PLAIN AGFsaWNlAHNlY3JldA==
            Q: password alice secret
            A: granted alice@example.org
            S: 235 2.7.0 authentication successful
            C: AUTH LOGIN
            S: 503 5.5.1 authenticated already
            C: HELO b
            S: 250 mail.example.org greets b
            C: AUTH LOGIN
            S: 503 5.5.1 authenticated already",
        ),
    );
}

#[test]
fn r4954_4_c_a_star_cancels() {
    let played = play(
        &settings(),
        &greeted(
            "C: AUTH LOGIN
            S: 334 VXNlcm5hbWU6
            C: *
            S: 501 5.7.0 authentication cancelled
            C: AUTH NTLM
            S: 334 ntlm supported
            C: *
            S: 501 5.7.0 authentication cancelled
            C: AUTH PLAIN
            S: 334 \n\
            C: *
            S: 501 5.7.0 authentication cancelled
            C: NOOP
            S: 250 2.0.0 ok",
        ),
    );
    assert_eq!(played.reports.len(), 3);
}

#[test]
fn r4954_4_d_base64_is_strict() {
    play(
        &settings(),
        &greeted(
            "C: AUTH LOGIN YWxpY2U
            S: 501 5.5.2 syntax error
            C: AUTH LOGIN
            S: 334 VXNlcm5hbWU6
            C: YWxp Y2U=
            S: 501 5.5.2 syntax error
            C: NOOP
            S: 250 2.0.0 ok
            C: AUTH LOGIN
            S: 334 VXNlcm5hbWU6
            # No command: the octets of a user.
            C: NOOP
            S: 334 UGFzc3dvcmQ6
            C: YW=x
            S: 501 5.5.2 syntax error",
        ),
    );
}

#[test]
fn r4954_4_h_mechanisms_that_are_missing_or_unknown() {
    let mut settings = settings();
    settings.mechanisms = [Mechanism::Ntlm].into();
    play(
        &settings,
        &greeted(
            "C: AUTH
            S: 501 5.5.4 AUTH needs a mechanism
            C: AUTH CRAM-MD5
            S: 504 5.5.4 mechanism not supported
            C: AUTH LOGIN YWxpY2U=
            S: 504 5.5.4 mechanism not supported
            C: AUTH ntlm
            S: 334 ntlm supported
            C: Kg==
            S: 501 5.5.2 syntax error",
        ),
    );
}

#[test]
fn r4954_4_i_clear_text_needs_tls() {
    let mut settings = settings();
    settings.clear_text = false;
    play(
        &settings,
        &greeted(
            "C: AUTH PLAIN AGFsaWNlAHNlY3JldA==
            S: 538 5.7.11 encryption required for this mechanism
            C: AUTH LOGIN
            S: 538 5.7.11 encryption required for this mechanism
            C: AUTH NTLM
            S: 334 ntlm supported
            C: *
            S: 501 5.7.0 authentication cancelled",
        ),
    );
    settings.clear_text = true;
    settings.tls = TlsPolicy::RequiredForAuth;
    play(
        &settings,
        &greeted(
            "C: AUTH PLAIN AGFsaWNlAHNlY3JldA==
            S: 538 5.7.11 encryption required for this mechanism
            C: AUTH NTLM
            S: 538 5.7.11 encryption required for this mechanism
            C: STARTTLS
            S: 220 2.0.0 ready to start TLS
            T:
            C: HELO a
            S: 250 mail.example.org greets a
            C: AUTH PLAIN AGFsaWNlAHNlY3JldA==
            Q: password alice secret
            A: granted alice@example.org
            S: 235 2.7.0 authentication successful",
        ),
    );
}

#[test]
fn r5321_3_8_d_the_fifth_failed_auth_is_answered_421() {
    let failed = "C: AUTH PLAIN AGFsaWNlAHNlY3JldA==
        Q: password alice secret
        A: refused
        S: 535 5.7.8 authentication failed\n"
        .repeat(4);
    play(
        &settings(),
        &greeted(&format!(
            "{failed}
            C: AUTH PLAIN AGFsaWNlAHNlY3JldA==
            C: NOOP
            Q: password alice secret
            A: refused
            S: 421 4.7.0 mail.example.org too many failed authentications
            X:"
        )),
    );
}

/// The AUTHENTICATE of the profile's section 2.7, which answers another CHALLENGE than ours.
const AUTHENTICATE: &str = "TlRMTVNTUAADAAAAGAAYAHgAAADkAOQAkAAAAAwADABYAAAACAAIAGQAAAAMAAwAbAAAAAAAAAB0AQAABYKIoAAAAAAAAAAAMfiDdAJz1rcwxZlR4UZ7skQAbwBtAGEAaQBuAFUAcwBlAHIAQwBPAFAASQBFAFIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAa9OijGAi+n70z6DVX6QWnQEBAAAAAAAAAAAAAAAA2QGqqqqqqqqqqgAAAAACAAwARABvAG0AYQBpAG4AAQAIAE0AQQBJAEwABAAWAGUAeABhAG0AcABsAGUALgBvAHIAZwADACAAbQBhAGkAbAAuAGUAeABhAG0AcABsAGUALgBvAHIAZwAHAAgAAAAAAAAA2QEGAAQAAgAAAAoAEACPEhTJycq43Dv4ZtqaulenCQAqAHMAbQB0AHAALwBtAGEAaQBsAC4AZQB4AGEAbQBwAGwAZQAuAG8AcgBnAAAAAAAAAAAA";
const NEGOTIATE: &str = "TlRMTVNTUAABAAAABYIIoAAAAAAAAAAAAAAAAAAAAAA=";

/// The server's lines and the questions of an NTLM exchange that begins with these lines.
fn exchanged(parks: bool, lines: &[&str], last: &str) -> (Vec<String>, Vec<Question>) {
    let mut host = Host::new(&settings());
    host.parks = parks;
    host.open();
    host.feed(b"HELO a\r\n");
    for line in lines {
        host.feed(format!("{line}\r\n").as_bytes());
    }
    host.answer(answer(last));
    let mut sent = Vec::new();
    let mut questions = Vec::new();
    for event in host.events {
        match event {
            Event::Sent(octets) => sent.extend_from_slice(&octets),
            Event::Asked(question, _) => questions.push(question),
            other => panic!("{other:?}"),
        }
    }
    let sent = String::from_utf8(sent).unwrap();
    let lines = sent.split_terminator("\r\n").skip(2);
    (lines.map(String::from).collect(), questions)
}

#[test]
fn sntlm_2_2_1_1_negotiate_comes_as_initial_response_or_later() {
    let inline = format!("AUTH NTLM {NEGOTIATE}");
    for parks in [false, true] {
        let (first, questions) = exchanged(parks, &[&inline, AUTHENTICATE], "granted user");
        assert_eq!(first.len(), 2);
        let challenge = base64::decode(first[0].strip_prefix("334 ").unwrap().as_bytes()).unwrap();
        assert_eq!(challenge[..12], *b"NTLMSSP\0\x02\0\0\0");
        assert_eq!(first[1], "235 2.7.0 authentication successful");
        let [Question::Ntlm(response)] = &questions[..] else {
            panic!("{questions:?}");
        };
        assert_eq!(response.user, "User");
        assert_eq!(response.domain, "Domain");
        assert_eq!(response.challenge, challenge);
        assert_eq!(
            Some(&response.negotiate),
            base64::decode(NEGOTIATE.as_bytes()).as_ref()
        );

        let (later, _) = exchanged(parks, &["AUTH NTLM", NEGOTIATE, AUTHENTICATE], "refused");
        assert_eq!(later[0], "334 ntlm supported");
        // SNTLM-2.2.1.4
        assert_eq!(later[2], "535 5.7.3 authentication unsuccessful");
    }
}
