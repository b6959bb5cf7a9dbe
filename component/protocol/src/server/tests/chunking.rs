//! BDAT (RFC 3030).

use crate::{
    contract::{
        Dismissal, Phase,
        server::{Answer, Question, Settings},
    },
    server::testing::{Event, Host, play},
};
use proptest::prelude::*;
use std::{format, string::String, vec::Vec};

const OPEN: &str = "S: 220 mail.example.org ESMTP ready
    C: HELO a
    S: 250 mail.example.org greets a
    C: MAIL FROM:<alice@example.org>
    C: RCPT TO:<bob@example.net>
    S: 250 2.1.0 sender ok
    S: 250 2.1.5 recipient ok\n";

fn settings() -> Settings {
    let mut settings = crate::server::testing::settings();
    settings.extensions.chunking = true;
    settings
}

fn binary() -> Settings {
    let mut settings = settings();
    settings.extensions.binarymime = true;
    settings
}

#[test]
fn r3030_2_a_chunks_are_joined_octet_for_octet() {
    let played = play(
        &settings(),
        &format!(
            "{OPEN}
            C: BDAT 21
            C| From: <a@b.example>\\r\\n
            C: bdat 0
            C: Bdat 5 \\x20
            C| \\r\\n.\\r\\n
            C: BDAT  4  last
            C| .\\r\\nx
            S: 250 2.0.0 21 octets received
            S: 250 2.0.0 0 octets received
            S: 250 2.0.0 5 octets received
            M: s1-1 SMTP <alice@example.org> bob@example.net
            Q: store
            A: stored
            S: 250 2.6.0 queued as s1-1
            C: QUIT
            S: 221 2.0.0 mail.example.org closing
            X:"
        ),
    );
    let [(_, content)] = &played.messages[..] else {
        panic!("{played:?}");
    };
    assert!(content.ends_with(b"\r\nFrom: <a@b.example>\r\n\r\n.\r\n.\r\nx"));
}

#[test]
fn r3030_2_d_what_follows_a_chunk_that_failed() {
    let chunks = "C: BDAT 3\nC| a\\nb\n".repeat(30);
    let refusals = "S: 503 5.5.1 BDAT failed, RSET first\n".repeat(29);
    play(
        &settings(),
        &format!(
            "{OPEN}
            C: BDAT 22
            C| From: <a@b.example>\\r\\n\\n
            S: 554 5.6.0 content has a bare LF: lines must end with CRLF
            C: MAIL FROM:<a@b.example>
            C: RCPT TO:<a@b.example>
            C: DATA
            C: STARTTLS
            C: AUTH LOGIN
            C: NOOP
            C: RSET
            S: 503 5.5.1 BDAT failed, RSET first
            S: 503 5.5.1 BDAT failed, RSET first
            S: 503 5.5.1 BDAT failed, RSET first
            S: 503 5.5.1 not inside a transaction
            S: 503 5.5.1 not inside a transaction
            S: 250 2.0.0 ok
            S: 250 2.0.0 ok
            C: MAIL FROM:<alice@example.org>
            C: RCPT TO:<bob@example.net>
            S: 250 2.1.0 sender ok
            S: 250 2.1.5 recipient ok
            # More than the 20 mistakes that end a session: they are one.
            {chunks}
            S: 554 5.6.0 content has a bare LF: lines must end with CRLF
            {refusals}
            C: EHLO
            S: 250-mail.example.org greets you
            S: 250-PIPELINING
            S: 250-SIZE 100000
            S: 250-8BITMIME
            S: 250-DSN
            S: 250-ENHANCEDSTATUSCODES
            S: 250-CHUNKING
            S: 250-SMTPUTF8
            S: 250-STARTTLS
            S: 250-AUTH NTLM LOGIN PLAIN
            S: 250 LIMITS RCPTMAX=100
            C: MAIL FROM:<a@b.example>
            S: 250 2.1.0 sender ok"
        ),
    );
}

#[test]
fn r3030_2_d_a_last_chunk_that_fails_ends_its_transaction() {
    play(
        &settings(),
        &format!(
            "{OPEN}
            C: BDAT 4 LAST
            C| a\\nb\\n
            C: BDAT 2 LAST
            C| \\r\\n
            C: MAIL FROM:<a@b.example>
            S: 554 5.6.0 content has a bare LF: lines must end with CRLF
            S: 503 5.5.1 MAIL first
            S: 250 2.1.0 sender ok"
        ),
    );
}

#[test]
fn r3030_2_c_a_chunk_that_is_too_large() {
    let mut settings = settings();
    settings.max_message_size = 100;
    let large = "x".repeat(101);
    play(
        &settings,
        &format!(
            "{OPEN}
            C: BDAT 101 LAST
            C| {large}
            S: 552 5.3.4 message exceeds 100 octets
            C: MAIL FROM:<a@b.example>
            S: 250 2.1.0 sender ok
            # The limit and a mebibyte are 1,048,676 octets.
            C: BDAT 1048677 LAST
            S: 421 4.7.0 mail.example.org chunk too large
            X:"
        ),
    );
    let mut host = Host::new(&settings);
    host.open();
    host.feed(b"HELO a\r\nBDAT 1048676 LAST\r\n");
    assert_eq!(host.phase, Phase::Content);
}

/// Content that the host has is dropped in the call that drops the transaction.
#[test]
fn r3030_2_d_rset_between_chunks_drops_them() {
    for (command, reply) in [
        ("RSET", "S: 250 2.0.0 ok"),
        ("HELO b", "S: 250 mail.example.org greets b"),
        ("QUIT", "S: 221 2.0.0 mail.example.org closing\nX:"),
        (
            "BDAT x",
            "S: 501 5.5.4 chunk size is no number up to 2^63\n\
             S: 421 4.7.0 mail.example.org cannot tell where the chunk ends\nX:",
        ),
    ] {
        let played = play(
            &settings(),
            &format!(
                "{OPEN}
                C: BDAT 24
                C| From: <a@b.example>\\r\\n\\r\\nx
                S: 250 2.0.0 24 octets received
                C: {command}
                {reply}"
            ),
        );
        assert_eq!(played.messages, []);
    }
}

/// Lines that are none, before octets that are no commands.
#[test]
fn r3030_2_f_a_bdat_line_that_is_none_ends_the_session() {
    let long = "9".repeat(2100);
    for (line, reply) in [
        ("C| BDAT 6 LAST\\n", "S: 500 5.5.2 lines must end with CRLF"),
        (&format!("C: bdat\t{long}"), "S: 500 5.5.2 line too long"),
    ] {
        play(
            &settings(),
            &format!(
                "{OPEN}
                {line}
                C: NOOP
                {reply}
                S: 421 4.7.0 mail.example.org cannot tell where the chunk ends
                X:"
            ),
        );
    }
}

#[test]
fn r5321_3_8_b_shutdown_waits_for_the_last_chunk() {
    let mut host = Host::new(&settings());
    host.open();
    host.feed(b"HELO a\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<a@b.example>\r\nBDAT 5\r\nabc");
    assert_eq!(host.phase, Phase::Content);
    host.dismiss(Dismissal::Shutdown);
    host.feed(b"de");
    assert_eq!(host.phase, Phase::Command);
    host.feed(b"BDAT 2 LAST\r\n\r\n");
    assert!(matches!(host.question, Some(Question::Store(_))));
    host.answer(Answer::Stored);
    assert_eq!(host.events.last(), Some(&Event::Closed));
    let Some(Event::Sent(replies)) = host.events.iter().rev().nth(1) else {
        panic!("{:?}", host.events);
    };
    let replies = String::from_utf8_lossy(replies);
    assert!(replies.starts_with("250 2.6.0 "), "{replies}");
    assert!(replies.contains("\r\n421 4.3.2 "), "{replies}");
}

#[test]
fn r5321_3_8_b_a_second_shutdown_does_not_wait_for_chunks() {
    for octets in [
        &b"BDAT 5\r\nabc"[..],
        b"BDAT 5\r\nabcde",
        b"BDAT 40\r\nFrom: <a@b.example>\r\n\r\nabc",
        b"BDAT 24\r\nFrom: <a@b.example>\r\n\r\nx",
    ] {
        for body in ["", " BODY=BINARYMIME"] {
            let mut host = Host::new(&binary());
            host.open();
            let open =
                format!("HELO a\r\nMAIL FROM:<a@b.example>{body}\r\nRCPT TO:<a@b.example>\r\n");
            host.feed(&[open.as_bytes(), octets].concat());
            host.dismiss(Dismissal::Shutdown);
            assert_ne!(host.events.last(), Some(&Event::Closed));
            host.dismiss(Dismissal::Shutdown);
            assert_eq!(host.events.last(), Some(&Event::Closed));
        }
    }
}

#[test]
fn r5321_3_8_b_a_transaction_that_has_failed_need_not_end() {
    let mut host = Host::new(&settings());
    host.open();
    host.feed(b"HELO a\r\nBDAT 500 LAST\r\nabc");
    assert_eq!(host.phase, Phase::Content);
    host.dismiss(Dismissal::Shutdown);
    assert_eq!(host.events.last(), Some(&Event::Closed));
}

/// Seven thousand chunks in one call are few actions: the host in memory counts them.
#[test]
fn r3030_2_a_small_chunks_are_few_actions() {
    let settings = settings();
    let mut host = Host::new(&settings);
    host.open();
    host.feed(b"HELO a\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<a@b.example>\r\n");
    let large = format!("BDAT 150\r\n{}", "x".repeat(150));
    host.feed(
        &[
            &b"BDAT 23\r\nFrom: <a@b.example>\r\n\r\n"[..],
            &b"BDAT 1\r\nx".repeat(3000),
            &large.as_bytes().repeat(220),
            b"BDAT 0 LAST\r\n",
        ]
        .concat(),
    );
    let Some(Event::Asked(Question::Store(facts), Some((_, content)))) = host.events.last() else {
        panic!("{:?}", host.events.last());
    };
    assert!(content.ends_with(&[b'x'; 3000 + 150 * 220]));
    assert_eq!(facts.size, content.len() as u64);
}

#[test]
fn r3030_3_a_the_next_octets_after_what_was_consumed_go_by_unseen() {
    use crate::{
        contract::server::Action,
        environment::Fixed,
        server::{Session, testing::peer},
    };
    let mut env = Fixed::default();
    let mut session = Session::start(binary(), peer()).unwrap();
    session.open(&mut env).unwrap();
    let start = b"HELO a\r\nMAIL FROM:<a@b.example> BODY=BINARYMIME\r\n\
        RCPT TO:<a@b.example>\r\nBDAT 100 LAST\r\nFrom: <a@b.example>\r\n\r\n";
    let octets = [&start[..], b"\0\0\0"].concat();
    let progress = session.receive(&octets, &mut env).unwrap();
    assert_eq!(progress.consumed as usize, start.len());
    assert_eq!(progress.actions.last(), Some(&Action::Pass(77)));
    assert_eq!(progress.waiting_for, Phase::Content);
    assert!(progress.envelope.is_some());
    assert_eq!(session.park(), None);
    // The host has given all 77 to the spool; nothing follows them.
    let progress = session.receive(b"", &mut env).unwrap();
    let Some(Question::Store(facts)) = progress.question else {
        panic!("{progress:?}");
    };
    assert!(facts.binary);
    assert!(facts.size > 100);
}

#[test]
fn r6710_4_1_b_the_new_priority_is_told_after_the_host_was_asked() {
    let mut settings = settings();
    settings.extensions.mt_priority = true;
    settings.ask_sender = true;
    play(
        &settings,
        "S: 220 mail.example.org ESMTP ready
        C: HELO a
        S: 250 mail.example.org greets a
        C: MAIL FROM:<a@b.example> MT-PRIORITY=3
        Q: sender <a@b.example>
        A: rejected 455 4.5.4 parameter cannot be honoured now
        S: 455 4.5.4 parameter cannot be honoured now
        C: MAIL FROM:<a@b.example> MT-PRIORITY=3
        Q: sender <a@b.example>
        A: accepted
        S: 250 2.3.6 0 is the new priority",
    );
}

/// The message that is stored of these flights.
fn stored(flights: &[Vec<u8>], mail: &str) -> Vec<u8> {
    let mut host = Host::new(&binary());
    host.open();
    host.feed(format!("EHLO a\r\n{mail}\r\nRCPT TO:<b@b.example>\r\n").as_bytes());
    for flight in flights {
        host.feed(flight);
    }
    assert!(host.question.is_some(), "{:?}", host.events);
    match host.events.last() {
        Some(Event::Asked(Question::Store(facts), Some((_, content)))) => {
            assert_eq!(facts.size, content.len() as u64);
            content.clone()
        }
        other => panic!("{other:?}"),
    }
}

/// A message as a client might make it: fields or none, lines with dots, any octets but bare CR
/// and LF.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        4 => "[ -~]{0,80}".prop_map(String::into_bytes),
        2 => "\\.{1,3}[a.]{0,3}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..300).prop_map(|mut octets| {
            octets.retain(|octet| !matches!(octet, b'\r' | b'\n'));
            octets
        }),
    ];
    let field = prop::sample::select(std::vec![
        "Subject: a folded\r\n one",
        "To: <b@b.example>",
        "Date: Wed, 25 Nov 2026 01:21:49 +0000",
        "Message-ID: <1@b.example>",
        "Bcc: <secret@b.example>",
        "X-Empty:",
    ]);
    let fields = prop::sample::subsequence(std::vec![0, 1, 2, 3, 4, 5], 0..6)
        .prop_flat_map(move |chosen| {
            let count = chosen.len();
            prop::collection::vec(field.clone(), count)
        })
        .prop_map(|mut fields| {
            fields.sort_unstable();
            fields.dedup();
            fields
        });
    (fields, prop::collection::vec(line, 0..30)).prop_map(|(fields, lines)| {
        let mut message = b"From: <a@b.example>\r\n".to_vec();
        for field in fields {
            message.extend_from_slice(field.as_bytes());
            message.extend_from_slice(b"\r\n");
        }
        message.extend_from_slice(b"\r\n");
        for line in lines {
            message.extend(line);
            message.extend_from_slice(b"\r\n");
        }
        message
    })
}

/// RFC 5321 section 4.5.2, the client's side.
fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    for line in message.split_inclusive(|octet| *octet == b'\n') {
        if line.starts_with(b".") {
            wire.push(b'.');
        }
        wire.extend_from_slice(line);
    }
    wire
}

fn chunks(message: &[u8], sizes: &[usize], ends_empty: bool) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut rest = message;
    for size in sizes {
        let (chunk, after) = rest.split_at(rest.len().min(*size));
        rest = after;
        wire.extend(format!("BDAT {}\r\n", chunk.len()).into_bytes());
        wire.extend_from_slice(chunk);
    }
    if ends_empty {
        wire.extend(format!("BDAT {}\r\n", rest.len()).into_bytes());
        wire.extend_from_slice(rest);
        rest = b"";
    }
    wire.extend(format!("BDAT {} LAST\r\n", rest.len()).into_bytes());
    wire.extend_from_slice(rest);
    wire
}

fn cut(wire: &[u8], sizes: &[usize]) -> Vec<Vec<u8>> {
    let mut sizes = sizes.iter().cycle();
    let mut rest = wire;
    let mut flights = Vec::new();
    while !rest.is_empty() {
        let size = sizes
            .next()
            .map_or(rest.len(), |size| (*size).min(rest.len()));
        flights.push(rest[..size].to_vec());
        rest = &rest[size..];
    }
    flights
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn r3030_2_g_data_and_bdat_store_the_same_octets(
        message in message(),
        sizes in prop::collection::vec(0_usize..200, 0..6),
        ends_empty: bool,
        cuts in prop::collection::vec(1_usize..300, 1..5),
    ) {
        let mail = "MAIL FROM:<a@b.example> BODY=8BITMIME";
        let data = stored(
            &[b"DATA\r\n".to_vec(), [&stuffed(&message)[..], b".\r\n"].concat()],
            mail,
        );
        let wire = chunks(&message, &sizes, ends_empty);
        prop_assert_eq!(&stored(core::slice::from_ref(&wire), mail), &data);
        prop_assert_eq!(&stored(&cut(&wire, &cuts), mail), &data);
        // The same as binary content: what goes by unseen is what came.
        let mail = "MAIL FROM:<a@b.example> BODY=BINARYMIME";
        prop_assert_eq!(&stored(core::slice::from_ref(&wire), mail), &data);
        prop_assert_eq!(&stored(&cut(&wire, &cuts), mail), &data);
    }

    #[test]
    fn r3030_3_a_binary_content_is_kept_bit_for_bit(
        body in prop::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), any::<u8>()], 0..400),
        sizes in prop::collection::vec(0_usize..200, 0..6),
        ends_empty: bool,
        cuts in prop::collection::vec(1_usize..300, 1..5),
    ) {
        let message = [&b"From: <a@b.example>\r\n\r\n"[..], &body].concat();
        let wire = chunks(&message, &sizes, ends_empty);
        let content = stored(&cut(&wire, &cuts), "MAIL FROM:<a@b.example> BODY=BINARYMIME");
        prop_assert!(content.ends_with(&[&b"\r\nFrom: <a@b.example>\r\n\r\n"[..], &body].concat()));
    }
}
