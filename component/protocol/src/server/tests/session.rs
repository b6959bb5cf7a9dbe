//! Greeting, EHLO and HELO, and the commands that move no mail.

use crate::{
    contract::{
        Mechanism,
        server::{Admission, TlsPolicy},
    },
    server::testing::{play, settings},
};
use std::format;

#[test]
fn r5321_3_1_a_the_greeting_names_the_host_and_no_version() {
    play(&settings(), "S: 220 mail.example.org ESMTP ready");
}

#[test]
fn r5321_3_1_b_an_unwanted_peer_can_only_quit() {
    let mut settings = settings();
    settings.admission = Admission::Unwanted;
    // More than the 20 mistakes that end another session.
    let more = "C: NOOP\nS: 503 5.5.1 only QUIT works\n".repeat(25);
    play(
        &settings,
        &format!(
            "S: 554 mail.example.org no SMTP service for you here
            C: EHLO printer
            S: 503 5.5.1 only QUIT works
            C: MAIL FROM:<alice@example.org>
            S: 503 5.5.1 only QUIT works
            C: STARTTLS
            S: 503 5.5.1 only QUIT works
            C: BDAT 5
            S: 503 5.5.1 only QUIT works
            {more}
            C: QUIT
            S: 221 2.0.0 mail.example.org closing
            X:"
        ),
    );
}

#[test]
fn r5321_4_1_1_1_a_ehlo_lists_capabilities_and_helo_none() {
    play(
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
        C: helo printer.example.org
        S: 250 mail.example.org greets printer.example.org",
    );
}

#[test]
fn r5321_4_1_1_1_g_only_what_works_is_listed() {
    let mut settings = settings();
    settings.tls = TlsPolicy::Absent;
    settings.clear_text = false;
    settings.extensions.smtputf8 = false;
    settings.max_message_size = 0;
    settings.mechanisms = [Mechanism::Login].into();
    settings.max_recipients = 5_000_000;
    play(
        &settings,
        "S: 220 mail.example.org ESMTP ready
        C: EHLO a
        S: 250-mail.example.org greets a
        S: 250-PIPELINING
        S: 250-SIZE 0
        S: 250-8BITMIME
        S: 250-DSN
        S: 250-ENHANCEDSTATUSCODES
        S: 250 LIMITS RCPTMAX=999999",
    );
}

#[test]
fn r4954_3_b_old_outlook_reads_auth_with_an_equals_sign() {
    let mut settings = settings();
    settings.tls = TlsPolicy::Absent;
    settings.legacy_auth_line = true;
    play(
        &settings,
        "S: 220 mail.example.org ESMTP ready
        C: EHLO a
        S: 250-mail.example.org greets a
        S: 250-PIPELINING
        S: 250-SIZE 100000
        S: 250-8BITMIME
        S: 250-DSN
        S: 250-ENHANCEDSTATUSCODES
        S: 250-SMTPUTF8
        S: 250-AUTH NTLM LOGIN PLAIN
        S: 250-AUTH=NTLM LOGIN PLAIN
        S: 250 LIMITS RCPTMAX=100",
    );
}

#[test]
fn r5321_4_1_1_1_c_any_name_will_do() {
    let long = "x".repeat(255);
    play(
        &settings(),
        &format!(
            "S: 220 mail.example.org ESMTP ready
            C: HELO my_printer
            S: 250 mail.example.org greets my_printer
            C: HELO 192.0.2.7
            S: 250 mail.example.org greets 192.0.2.7
            C: HELO [IPv6:::ffff:192.0.2.7]
            S: 250 mail.example.org greets [IPv6:::ffff:192.0.2.7]
            C: HELO two words
            S: 250 mail.example.org greets two
            C: HELO caf\\xc3\\xa9
            S: 250 mail.example.org greets you
            C: HELO \\xff
            S: 250 mail.example.org greets you
            C: HELO {long}
            S: 250 mail.example.org greets {}
            C: HELO {long}x
            S: 501 5.5.4 name too long
            C: HELO a\\x01b
            S: 501 5.5.2 syntax error",
            // 512 octets less `250 mail.example.org greets ` and CRLF: all of it fits.
            long
        ),
    );
}

#[test]
fn r5321_4_1_1_1_e_ehlo_needs_no_name_and_helo_does() {
    let mut settings = settings();
    settings.tls = TlsPolicy::Absent;
    settings.mechanisms.clear();
    play(
        &settings,
        "S: 220 mail.example.org ESMTP ready
        C: HELO
        S: 501 5.5.4 HELO needs a name
        C: EHLO
        S: 250-mail.example.org greets you
        S: 250-PIPELINING
        S: 250-SIZE 100000
        S: 250-8BITMIME
        S: 250-DSN
        S: 250-ENHANCEDSTATUSCODES
        S: 250-SMTPUTF8
        S: 250 LIMITS RCPTMAX=100",
    );
}

#[test]
fn r5321_4_1_4_b_some_commands_work_before_ehlo() {
    play(
        &settings(),
        "S: 220 mail.example.org ESMTP ready
        C: NOOP
        C: NOOP whatever
        C: RSET
        C: VRFY alice
        C: HELP
        C: help me
        S: 250 2.0.0 ok
        S: 250 2.0.0 ok
        S: 250 2.0.0 ok
        S: 252 2.5.0 cannot verify, will accept and try
        S: 214 2.0.0 see RFC 6409 and RFC 5321
        S: 214 2.0.0 see RFC 6409 and RFC 5321
        C: QUIT
        S: 221 2.0.0 mail.example.org closing
        X:",
    );
}

#[test]
fn r5321_4_1_1_6_vrfy_needs_an_argument_and_answers_252() {
    play(
        &settings(),
        "S: 220 mail.example.org ESMTP ready
        C: VRFY
        S: 501 5.5.4 VRFY needs an argument
        C: VRFY \\xc3\\xa9 SMTPUTF8
        S: 252 2.5.0 cannot verify, will accept and try",
    );
}

#[test]
fn r5321_4_1_5_unknown_verbs_get_500_and_known_ones_502() {
    let known = [
        "EXPN x", "SEND", "SOML", "SAML", "TURN", "ETRN x", "ATRN", "BURL x",
    ]
    .map(|line| format!("C: {line}\nS: 502 5.5.1 not implemented\n"))
    .concat();
    play(
        &settings(),
        &format!(
            "S: 220 mail.example.org ESMTP ready
            C: XCLIENT x
            S: 500 5.5.1 command not recognized
            C:
            S: 500 5.5.1 command not recognized
            {known}"
        ),
    );
}

#[test]
fn r5321_4_1_1_b_an_argument_where_none_belongs_has_no_effect() {
    play(
        &settings(),
        "S: 220 mail.example.org ESMTP ready
        C: HELO a
        S: 250 mail.example.org greets a
        C: MAIL FROM:<alice@example.org>
        S: 250 2.1.0 sender ok
        C: RSET now
        S: 501 5.5.4 RSET takes no argument
        C: QUIT now
        S: 501 5.5.4 QUIT takes no argument
        C: STARTTLS now
        S: 501 5.5.4 STARTTLS takes no argument
        C: RCPT TO:<bob@example.net>
        S: 250 2.1.5 recipient ok
        C: DATA now
        S: 501 5.5.4 DATA takes no argument
        C: QUIT
        S: 221 2.0.0 mail.example.org closing
        X:",
    );
}

#[test]
fn r3030_2_f_what_bdat_announced_is_not_executed() {
    play(
        &settings(),
        "S: 220 mail.example.org ESMTP ready
        C: HELO a
        S: 250 mail.example.org greets a
        C: BDAT 6 LAST
        C: NOOP
        S: 502 5.5.1 not implemented
        S: 421 4.7.0 mail.example.org cannot tell where the chunk ends
        X:",
    );
}

#[test]
fn r5321_3_8_d_the_twentieth_mistake_is_answered_421() {
    let mistakes = "C: XYZZY\nS: 500 5.5.1 command not recognized\n".repeat(18);
    play(
        &settings(),
        &format!(
            "S: 220 mail.example.org ESMTP ready
            C: MAIL FROM:<alice@example.org>
            S: 503 5.5.1 EHLO or HELO first
            {mistakes}
            C: NOOP
            S: 250 2.0.0 ok
            C: XYZZY
            C: NOOP
            S: 421 4.7.0 mail.example.org too many errors
            X:"
        ),
    );
}

#[test]
fn r6409_5_2_refusals_are_reported_without_arguments_and_at_most_20() {
    let played = play(
        &settings(),
        "S: 220 mail.example.org ESMTP ready
        C: hunter2
        S: 500 5.5.1 command not recognized
        R: unknown command: 500 5.5.1 command not recognized
        C: EHLO
        S: 250-mail.example.org greets you
        S: 250-PIPELINING
        S: 250-SIZE 100000
        S: 250-8BITMIME
        S: 250-DSN
        S: 250-ENHANCEDSTATUSCODES
        S: 250-SMTPUTF8
        S: 250-STARTTLS
        S: 250-AUTH NTLM LOGIN PLAIN
        S: 250 LIMITS RCPTMAX=100
        C: MAIL FROM:<alice>
        S: 501 5.1.7 bad address syntax
        R: MAIL: 501 5.1.7 bad address syntax",
    );
    assert_eq!(played.reports.len(), 2);
    // 554 is no mistake of syntax or order, so that the session goes on.
    let many = "C: MAIL FROM:<alice@example>
        S: 554 5.1.8 domain not fully qualified\n"
        .repeat(30);
    let played = play(
        &settings(),
        &format!(
            "S: 220 mail.example.org ESMTP ready
            C: HELO a
            S: 250 mail.example.org greets a
            {many}"
        ),
    );
    assert_eq!(played.reports.len(), 20);
}

#[test]
fn greetings_without_a_message_have_an_end() {
    let many = "C: HELO a\nS: 250 mail.example.org greets a\n".repeat(199);
    play(
        &settings(),
        &format!(
            "S: 220 mail.example.org ESMTP ready
            {many}
            C: HELO a
            C: NOOP
            S: 421 4.7.0 mail.example.org too many greetings
            X:"
        ),
    );
}
