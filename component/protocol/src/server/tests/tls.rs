//! STARTTLS and TLS policies (RFC 3207, RFC 8314).

use crate::{
    contract::server::TlsPolicy,
    server::testing::{Event, Host, play, settings},
};

#[test]
fn r3207_4_2_a_nothing_said_before_the_handshake_counts() {
    play(
        &settings(),
        "S: 220 mail.example.org ESMTP ready
        C: HELO a
        S: 250 mail.example.org greets a
        C: starttls
        S: 220 2.0.0 ready to start TLS
        T:
        C: MAIL FROM:<alice@example.org>
        S: 503 5.5.1 EHLO or HELO first
        C: EHLO a
        S: 250-mail.example.org greets a
        S: 250-PIPELINING
        S: 250-SIZE 100000
        S: 250-8BITMIME
        S: 250-DSN
        S: 250-ENHANCEDSTATUSCODES
        S: 250-SMTPUTF8
        S: 250-AUTH NTLM LOGIN PLAIN
        S: 250 LIMITS RCPTMAX=100
        C: STARTTLS
        S: 503 5.5.1 TLS is active already",
    );
}

#[test]
fn r3207_4_2_b_octets_in_clear_after_the_command_are_dropped() {
    for parks in [false, true] {
        let mut host = Host::new(&settings());
        host.parks = parks;
        host.open();
        host.feed(b"HELO a\r\nSTARTTLS\r\nMAIL FROM:<mallory@example.org>\r\nQUIT\r\n");
        assert_eq!(host.events.last(), Some(&Event::StartTls));
        host.handshake();
        host.events.clear();
        host.feed(b"NOOP\r\n");
        assert_eq!(host.events, [Event::Sent(b"250 2.0.0 ok\r\n".to_vec())]);
    }
}

#[test]
fn r3207_4_b_where_starttls_does_not_belong() {
    let mut settings = settings();
    settings.tls = TlsPolicy::Absent;
    play(
        &settings,
        "S: 220 mail.example.org ESMTP ready
        C: STARTTLS
        S: 502 5.5.1 not implemented",
    );
    settings.tls = TlsPolicy::Offered;
    play(
        &settings,
        "S: 220 mail.example.org ESMTP ready
        C: HELO a
        S: 250 mail.example.org greets a
        C: MAIL FROM:<alice@example.org>
        S: 250 2.1.0 sender ok
        C: STARTTLS
        S: 503 5.5.1 not inside a transaction
        C: RSET
        S: 250 2.0.0 ok
        C: AUTH PLAIN AGFsaWNlAHNlY3JldA==
        Q: password alice secret
        A: granted alice@example.org
        S: 235 2.7.0 authentication successful
        C: STARTTLS
        S: 503 5.5.1 STARTTLS comes before AUTH",
    );
}

#[test]
fn r3207_4_c_where_tls_is_required_little_works_without_it() {
    let mut settings = settings();
    settings.tls = TlsPolicy::Required;
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
        S: 250-STARTTLS
        S: 250 LIMITS RCPTMAX=100
        C: HELO a
        S: 530 must issue a STARTTLS command first
        C: MAIL FROM:<alice@example.org>
        S: 530 5.7.0 must issue a STARTTLS command first
        C: AUTH LOGIN
        S: 530 5.7.0 must issue a STARTTLS command first
        C: RSET
        S: 530 5.7.0 must issue a STARTTLS command first
        C: VRFY alice
        S: 530 5.7.0 must issue a STARTTLS command first
        C: XYZZY
        S: 530 5.7.0 must issue a STARTTLS command first
        C: NOOP
        S: 250 2.0.0 ok
        C: STARTTLS
        S: 220 2.0.0 ready to start TLS
        T:
        C: HELO a
        S: 250 mail.example.org greets a
        C: MAIL FROM:<alice@example.org>
        S: 250 2.1.0 sender ok
        C: QUIT
        S: 221 2.0.0 mail.example.org closing
        X:",
    );
}

#[test]
fn r8314_3_3_under_implicit_tls_starttls_is_not_offered() {
    let mut settings = settings();
    settings.tls = TlsPolicy::Established;
    settings.clear_text = false;
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
        S: 250 LIMITS RCPTMAX=100
        C: STARTTLS
        S: 503 5.5.1 TLS is active already",
    );
}
