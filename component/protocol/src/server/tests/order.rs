//! What may come when (RFC 5321 sections 3.3 and 4.1.4).

use crate::server::testing::{play, settings};
use std::format;

#[test]
fn r5321_4_1_4_a_ehlo_comes_first() {
    play(
        &settings(),
        "S: 220 mail.example.org ESMTP ready
        C: MAIL FROM:<alice@example.org>
        S: 503 5.5.1 EHLO or HELO first
        C: RCPT TO:<bob@example.net>
        S: 503 5.5.1 EHLO or HELO first
        C: DATA
        S: 503 5.5.1 EHLO or HELO first
        C: AUTH LOGIN
        S: 503 5.5.1 EHLO or HELO first
        C: STARTTLS
        S: 503 5.5.1 EHLO or HELO first",
    );
}

#[test]
fn r5321_4_1_4_c_mail_inside_a_transaction_changes_nothing() {
    play(
        &settings(),
        "S: 220 mail.example.org ESMTP ready
        C: HELO a
        S: 250 mail.example.org greets a
        C: MAIL FROM:<alice@example.org>
        C: MAIL FROM:<carol@example.org>
        C: RCPT TO:<bob@example.net>
        C: DATA
        S: 250 2.1.0 sender ok
        S: 503 5.5.1 a transaction is open already
        S: 250 2.1.5 recipient ok
        S: 354 end with CRLF.CRLF
        C: From: <alice@example.org>
        C:
        C: .
        M: s1-1 SMTP <alice@example.org> bob@example.net
        Q: store
        A: stored
        S: 250 2.6.0 queued as s1-1",
    );
}

#[test]
fn r5321_4_1_4_d_rcpt_and_data_need_mail_and_data_needs_rcpt() {
    play(
        &settings(),
        "S: 220 mail.example.org ESMTP ready
        C: HELO a
        S: 250 mail.example.org greets a
        C: RCPT TO:<bob@example.net>
        S: 503 5.5.1 MAIL first
        C: DATA
        S: 503 5.5.1 MAIL first
        C: MAIL FROM:<>
        S: 250 2.1.0 sender ok
        C: DATA
        S: 503 5.5.1 RCPT first
        C: RCPT TO:<>
        S: 501 5.1.3 bad address syntax
        C: DATA
        S: 554 5.5.1 no valid recipients
        C: RCPT TO:<bob@example.net>
        S: 250 2.1.5 recipient ok
        C: DATA
        S: 354 end with CRLF.CRLF
        C: From: <alice@example.org>
        C:
        C: .
        Q: store
        A: stored
        S: 250 2.6.0 queued as s1-1",
    );
}

#[test]
fn r5321_4_1_4_f_a_refused_mail_opens_no_transaction() {
    play(
        &settings(),
        "S: 220 mail.example.org ESMTP ready
        C: HELO a
        S: 250 mail.example.org greets a
        C: MAIL FROM:<alice@example>
        C: RCPT TO:<bob@example.net>
        S: 554 5.1.8 domain not fully qualified
        S: 503 5.5.1 MAIL first",
    );
}

#[test]
fn r5321_4_1_4_f_a_refused_helo_leaves_the_transaction() {
    let long = "x".repeat(256);
    play(
        &settings(),
        &format!(
            "S: 220 mail.example.org ESMTP ready
            C: HELO a
            S: 250 mail.example.org greets a
            C: MAIL FROM:<alice@example.org>
            S: 250 2.1.0 sender ok
            C: EHLO {long}
            S: 501 5.5.4 name too long
            C: HELO
            S: 501 5.5.4 HELO needs a name
            C: RCPT TO:<bob@example.net>
            S: 250 2.1.5 recipient ok"
        ),
    );
}

#[test]
fn r5321_4_1_1_1_b_helo_resets_the_transaction_and_replaces_the_name() {
    let played = play(
        &settings(),
        "S: 220 mail.example.org ESMTP ready
        C: HELO first.example
        S: 250 mail.example.org greets first.example
        C: MAIL FROM:<alice@example.org>
        S: 250 2.1.0 sender ok
        C: HELO second.example
        S: 250 mail.example.org greets second.example
        C: RCPT TO:<bob@example.net>
        S: 503 5.5.1 MAIL first
        C: MAIL FROM:<carol@example.org>
        S: 250 2.1.0 sender ok
        C: RCPT TO:<bob@example.net>
        S: 250 2.1.5 recipient ok
        C: DATA
        S: 354 end with CRLF.CRLF
        C: From: <carol@example.org>
        C:
        C: .
        M: s1-2 SMTP <carol@example.org> bob@example.net
        Q: store
        A: stored
        S: 250 2.6.0 queued as s1-2",
    );
    assert_eq!(played.messages[0].0.greeted, "second.example");
}

#[test]
fn r5321_4_1_1_5_rset_empties_the_transaction() {
    play(
        &settings(),
        "S: 220 mail.example.org ESMTP ready
        C: HELO a
        S: 250 mail.example.org greets a
        C: RSET
        S: 250 2.0.0 ok
        C: MAIL FROM:<alice@example.org>
        C: RCPT TO:<bob@example.net>
        C: RSET
        C: RCPT TO:<bob@example.net>
        S: 250 2.1.0 sender ok
        S: 250 2.1.5 recipient ok
        S: 250 2.0.0 ok
        S: 503 5.5.1 MAIL first
        C: MAIL FROM:<alice@example.org>
        S: 250 2.1.0 sender ok",
    );
}

#[test]
fn ox_s_4_3_a_mail_needs_an_identity_where_one_is_required() {
    let mut settings = settings();
    settings.authentication_required = true;
    play(
        &settings,
        "S: 220 mail.example.org ESMTP ready
        C: HELO a
        S: 250 mail.example.org greets a
        C: MAIL FROM:<alice@example.org>
        S: 530 5.7.0 authentication required
        C: RCPT TO:<bob@example.net>
        S: 530 5.7.0 authentication required
        C: DATA
        S: 530 5.7.0 authentication required
        C: NOOP
        S: 250 2.0.0 ok
        C: RSET
        S: 250 2.0.0 ok
        C: AUTH PLAIN AGFsaWNlAHNlY3JldA==
        Q: password alice secret
        A: granted alice@example.org
        S: 235 2.7.0 authentication successful
        C: MAIL FROM:<alice@example.org>
        S: 250 2.1.0 sender ok",
    );
}

#[test]
fn ox_s_4_3_b_mail_needs_none_where_none_is_required() {
    play(
        &settings(),
        "S: 220 mail.example.org ESMTP ready
        C: HELO a
        S: 250 mail.example.org greets a
        C: AUTH PLAIN AGFsaWNlAHNlY3JldA==
        Q: password alice secret
        A: refused
        S: 535 5.7.8 authentication failed
        C: MAIL FROM:<alice@example.org>
        S: 250 2.1.0 sender ok",
    );
}
