//! DATA and what comes after it, as far as the session has a part in it.

use crate::server::testing::{play, settings};
use std::{format, string::String};

fn data(script: &str) -> String {
    format!(
        "S: 220 mail.example.org ESMTP ready
        C: HELO printer.example.org
        S: 250 mail.example.org greets printer.example.org
        C: MAIL FROM:<alice@example.org>
        S: 250 2.1.0 sender ok
        C: RCPT TO:<bob@example.net>
        S: 250 2.1.5 recipient ok
        {script}"
    )
}

#[test]
fn r5321_4_4_a_message_goes_to_the_host_with_one_received_field_first() {
    let played = play(
        &settings(),
        &data(
            "C: DATA
            S: 354 end with CRLF.CRLF
            C: Date: Thu, 02 Jan 2025 03:04:00 +0000
            C: Message-ID: <1@printer.example.org>
            C: From: <alice@example.org>
            C:
            C: ..dot
            C: .
            Q: store
            A: stored
            S: 250 2.6.0 queued as s1-1",
        ),
    );
    let (_, content) = &played.messages[0];
    assert_eq!(
        String::from_utf8_lossy(content),
        "Received: from printer.example.org ([192.0.2.7]) by mail.example.org with SMTP\r\n \
         id s1-1; Thu, 02 Jan 2025 03:04:05 +0000\r\n\
         Date: Thu, 02 Jan 2025 03:04:00 +0000\r\n\
         Message-ID: <1@printer.example.org>\r\n\
         From: <alice@example.org>\r\n\
         \r\n\
         .dot\r\n"
    );
}

#[test]
fn r3848_2_the_protocol_tells_of_tls_and_identity() {
    let mut settings = settings();
    settings.extensions.smtputf8 = false;
    let played = play(
        &settings,
        "S: 220 mail.example.org ESMTP ready
        C: HELO a
        S: 250 mail.example.org greets a
        C: STARTTLS
        S: 220 2.0.0 ready to start TLS
        T:
        C: EHLO printer.example.org
        S: 250-mail.example.org greets printer.example.org
        S: 250-PIPELINING
        S: 250-SIZE 100000
        S: 250-8BITMIME
        S: 250-DSN
        S: 250-ENHANCEDSTATUSCODES
        S: 250-AUTH NTLM LOGIN PLAIN
        S: 250 LIMITS RCPTMAX=100
        C: AUTH PLAIN AGFsaWNlAHNlY3JldA==
        Q: password alice secret
        A: granted alice@example.org
        S: 235 2.7.0 authentication successful
        C: MAIL FROM:<alice@example.org>
        C: RCPT TO:<bob@example.net>
        C: DATA
        S: 250 2.1.0 sender ok
        S: 250 2.1.5 recipient ok
        S: 354 end with CRLF.CRLF
        C: From: <alice@example.org>
        C:
        C: .
        M: s1-1 ESMTPSA <alice@example.org> bob@example.net
        Q: store
        A: stored
        S: 250 2.6.0 queued as s1-1",
    );
    let content = String::from_utf8_lossy(&played.messages[0].1);
    let field = content.replace("\r\n ", " ");
    // RFC 8314 section 4.3
    assert!(
        field.contains(" with ESMTPSA id s1-1 tls TLS_AES_256_GCM_SHA384; "),
        "{field}"
    );
    // R5321-4.4-d
    assert!(!field.lines().next().unwrap().contains("alice"), "{field}");
}

#[test]
fn r5321_2_3_8_a_bare_lf_is_refused_after_the_true_end_and_the_next_message_is_taken() {
    play(
        &settings(),
        &data(
            "C: DATA
            S: 354 end with CRLF.CRLF
            C: From: <alice@example.org>
            C:
            C: body
            C: more\\n.\\nMAIL FROM:<mallory@example.org>
            C: .
            C: MAIL FROM:<carol@example.org>
            C: RCPT TO:<bob@example.net>
            C: DATA
            C: From: <carol@example.org>
            C:
            C: .
            S: 554 5.6.0 content has a bare LF: lines must end with CRLF
            S: 250 2.1.0 sender ok
            S: 250 2.1.5 recipient ok
            S: 354 end with CRLF.CRLF
            M: s1-2 SMTP <carol@example.org> bob@example.net
            Q: store
            A: rejected 452 4.3.1 insufficient system storage
            S: 452 4.3.1 insufficient system storage
            C: MAIL FROM:<carol@example.org>
            S: 250 2.1.0 sender ok",
        ),
    );
}

#[test]
fn r5321_4_5_3_1_d_content_over_the_limit_is_read_and_refused() {
    let line = format!("C: {}\n", "x".repeat(998));
    let body = line.repeat(101);
    play(
        &settings(),
        &data(&format!(
            "C: DATA
            S: 354 end with CRLF.CRLF
            C: From: <alice@example.org>
            C:
            {body}
            C: .
            C: NOOP
            S: 552 5.3.4 message exceeds 100000 octets
            S: 250 2.0.0 ok"
        )),
    );
}

#[test]
fn r2920_3_1_d_no_content_after_a_refused_recipient_stores_nothing() {
    play(
        &settings(),
        &data(
            "C: RCPT TO:<bob>
            C: DATA
            C: .
            S: 501 5.1.3 bad address syntax
            S: 354 end with CRLF.CRLF
            S: 554 5.6.0 content is empty and a recipient was refused",
        ),
    );
}

#[test]
fn r5321_4_1_1_4_c_several_messages_have_numbers_of_their_own() {
    let message = |number: u32| {
        format!(
            "C: MAIL FROM:<alice@example.org>
            C: RCPT TO:<bob@example.net>
            C: DATA
            C: From: <alice@example.org>
            C:
            C: .
            S: 250 2.1.0 sender ok
            S: 250 2.1.5 recipient ok
            S: 354 end with CRLF.CRLF
            M: s1-{number} SMTP <alice@example.org> bob@example.net
            Q: store
            A: stored
            S: 250 2.6.0 queued as s1-{number}\n"
        )
    };
    let messages = [1, 2, 3].map(message).concat();
    let played = play(
        &settings(),
        &format!(
            "S: 220 mail.example.org ESMTP ready
            C: HELO a
            S: 250 mail.example.org greets a
            {messages}
            C: QUIT
            S: 221 2.0.0 mail.example.org closing
            X:"
        ),
    );
    assert_eq!(played.messages.len(), 3);
}
