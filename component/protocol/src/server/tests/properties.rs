//! Whatever octets come, and however they are cut (R5321-2.3.8-e).

use crate::{
    contract::{
        Mechanism, Reply, ScramSalt,
        server::{Admission, Answer, BareLf, Question, Settings, TlsPolicy},
    },
    server::testing::{Event, Host, settings},
};
use proptest::prelude::*;
use std::{format, string::String, vec, vec::Vec};

/// What a host says, from the question alone.
fn judge(question: &Question) -> Answer {
    let rejected = |code: u16| {
        Answer::Rejected(Reply {
            code,
            status: None,
            lines: vec!["no".into()],
        })
    };
    match question {
        Question::Password(check) if check.user == "alice" => {
            Answer::Granted("alice@example.org".into(), Vec::new())
        }
        Question::ScramFirst(start) if start.user == "alice" => Answer::Scram(ScramSalt {
            salt: vec![1, 2, 3],
            iterations: 4096,
        }),
        Question::ScramFirst(_) => Answer::Unprepared,
        Question::External(_) => Answer::Granted("alice@example.org".into(), Vec::new()),
        Question::ScramFinal(_) => Answer::Granted("alice@example.org".into(), vec![7; 20]),
        Question::Password(_) | Question::Ntlm(_) | Question::CramMd5(_) | Question::Token(_) => {
            Answer::Refused
        }
        Question::Sender(mailbox, _) if mailbox.starts_with('m') => rejected(550),
        Question::Recipient(path) if path.mailbox.starts_with('m') => rejected(450),
        Question::Recipient(path) if path.mailbox.starts_with('u') => Answer::Unavailable,
        Question::Store(facts) if facts.size % 3 == 0 => rejected(452),
        Question::Store(_) => Answer::Stored,
        _ => Answer::Accepted,
    }
}

/// What happens when the octets come in these pieces; the handshakes are done at once, and what is
/// left of a piece in clear is lost with it, so pieces are cut within `flights` only.
fn outcome(
    settings: &Settings,
    flights: &[Vec<u8>],
    cuts: &[usize],
    parks: bool,
) -> (Vec<Event>, Vec<String>) {
    let mut host = Host::new(settings);
    host.parks = parks;
    host.open();
    for flight in flights {
        let mut rest = &flight[..];
        let mut cuts = cuts.iter().cycle();
        while !rest.is_empty() {
            let length = cuts
                .next()
                .copied()
                .unwrap_or(rest.len())
                .clamp(1, rest.len());
            host.feed(&rest[..length]);
            rest = &rest[length..];
            while let Some(question) = &host.question {
                host.answer(judge(question));
            }
        }
        if host.events.last() == Some(&Event::StartTls) {
            host.handshake();
        }
    }
    (host.events, host.reports)
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    let line = |text: &str| [text.as_bytes(), b"\r\n"].concat();
    let command = prop::sample::select(vec![
        "EHLO printer.example.org",
        "HELO a",
        "MAIL FROM:<alice@example.org>",
        "MAIL FROM:<alice@example.org> SIZE=9 BODY=8BITMIME RET=FULL ENVID=x",
        "MAIL FROM:<mallory@example.org>",
        "MAIL FROM:<alice> X",
        "RCPT TO:<bob@example.net>",
        "RCPT TO:<bob@example.net> NOTIFY=NEVER ORCPT=rfc822;x",
        "RCPT TO:<mallory@example.net>",
        "RCPT TO:<unknown@example.net>",
        "RCPT TO:<>",
        "DATA",
        "DATA",
        ".",
        ".",
        "RSET",
        "NOOP",
        "VRFY x",
        "HELP",
        "EXPN",
        "AUTH LOGIN",
        "AUTH LOGIN YWxpY2U=",
        "AUTH PLAIN AGFsaWNlAHNlY3JldA==",
        "AUTH PLAIN AGJvYgBzZWNyZXQ=",
        "AUTH NTLM",
        "AUTH NTLM TlRMTVNTUAABAAAABYIIoAAAAAAAAAAAAAAAAAAAAAA=",
        "YWxpY2U=",
        "AUTH CRAM-MD5",
        // alice and a digest
        "YWxpY2UgYjkxM2E2MDJjN2VkYTdhNDk1YjRlNmU3MzM0ZDM4OTA=",
        "AUTH SCRAM-SHA-1",
        // n,,n=alice,r=abc
        "AUTH SCRAM-SHA-1 biwsbj1hbGljZSxyPWFiYw==",
        // n,,n=bob,r=abc
        "AUTH SCRAM-SHA-256 biwsbj1ib2Iscj1hYmM=",
        // p=tls-exporter,,n=alice,r=abc
        "AUTH SCRAM-SHA-1-PLUS cD10bHMtZXhwb3J0ZXIsLG49YWxpY2Uscj1hYmM=",
        // n,,^Aauth=Bearer x^A^A
        "AUTH OAUTHBEARER biwsAWF1dGg9QmVhcmVyIHgBAQ==",
        "AUTH EXTERNAL =",
        "",
        "*",
        "STARTTLS",
        "From: <alice@example.org>",
        "Bcc: <carol@example.org>",
        "",
        "..x",
        "text\r",
        "XYZZY",
    ])
    .prop_map(line);
    let whole = prop::sample::select(vec![
        "MAIL FROM:<alice@example.org>\r\nRCPT TO:<bob@example.net>\r\nDATA\r\n\
         From: <alice@example.org>\r\n\r\n..x\r\n.\r\n",
        "MAIL FROM:<>\r\nRCPT TO:<bob@example.net>\r\nDATA\r\nFrom: <a@b.example>\r\n\r\nx\ny\r\n.\r\n",
        "RSET\r\nMAIL FROM:<alice@example.org>\r\nRCPT TO:<bob@example.net>\r\nDATA\r\n\
         no header\r\n",
        "EHLO a\r\nAUTH LOGIN\r\nYWxpY2U=\r\nc2VjcmV0\r\n",
    ])
    .prop_map(|text: &str| text.as_bytes().to_vec());
    prop_oneof![
        8 => command,
        6 => whole,
        1 => "[ -~]{0,20}\n".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..40),
        1 => (1usize..14_000).prop_map(move |length| line(&"x".repeat(length))),
        1 => (1usize..14_000).prop_map(move |length| line(&format!("AUTH PLAIN {}", "A".repeat(length)))),
    ]
}

fn dialogue() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let flight = prop::collection::vec(piece(), 0..14).prop_map(|pieces| pieces.concat());
    prop::collection::vec(flight, 1..4).prop_map(|mut flights| {
        flights[0].splice(0..0, *b"EHLO printer\r\n");
        flights
    })
}

fn listener() -> impl Strategy<Value = Settings> {
    (any::<[bool; 6]>(), 0..5).prop_map(|([ask, convert, required, small, all, shown], tls)| {
        let mut settings = settings();
        if all {
            settings.mechanisms = Mechanism::ALL.to_vec();
        }
        settings.ask_sender = ask;
        settings.ask_recipient = ask;
        settings.authentication_required = required;
        if convert {
            settings.bare_lf = BareLf::Convert;
        }
        if small {
            settings.max_message_size = 60;
        }
        settings.tls = match tls {
            0 => TlsPolicy::Absent,
            1 => TlsPolicy::Offered,
            2 => TlsPolicy::RequiredForAuth,
            3 => TlsPolicy::Required,
            _ => TlsPolicy::Established,
        };
        settings.certificate_required = shown && settings.tls != TlsPolicy::Absent;
        settings
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn r5321_2_3_8_e_any_split_parked_or_not_gives_the_same(
        settings in listener(),
        flights in dialogue(),
        cuts in prop::collection::vec(1usize..200, 1..6),
    ) {
        let whole = outcome(&settings, &flights, &[], false);
        prop_assert_eq!(&outcome(&settings, &flights, &cuts, false), &whole);
        prop_assert_eq!(&outcome(&settings, &flights, &cuts, true), &whole);
        prop_assert_eq!(&outcome(&settings, &flights, &[], true), &whole);
    }

    #[test]
    fn any_octets_keep_the_loop_contract(
        settings in listener(),
        octets in prop::collection::vec(any::<u8>(), 0..4000),
        before in prop::sample::select(vec![
            "",
            "EHLO a\r\n",
            "EHLO a\r\nAUTH LOGIN\r\n",
            "EHLO a\r\nMAIL FROM:<>\r\n",
            "EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nDATA\r\n",
            "EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nDATA\r\nFrom: <a@b.example>\r\n\r\n",
        ]),
        cuts in prop::collection::vec(1usize..2000, 1..4),
    ) {
        // The host in memory checks consumed, spans, envelope, the number of actions and what is
        // left after every call.
        let flight = [before.as_bytes(), &octets].concat();
        let whole = outcome(&settings, core::slice::from_ref(&flight), &[], false);
        prop_assert_eq!(&outcome(&settings, &[flight], &cuts, true), &whole);
    }
}

/// The most actions that a call can be made to have: reports, refused messages, many pieces.
#[test]
fn no_call_has_more_than_64_actions() {
    let settings = settings();
    let message = |body: &str| {
        format!(
            "MAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nDATA\r\nFrom: <a@b.example>\r\n\r\n{body}"
        )
    };
    let refused = message("x\ny\r\n.\r\n");
    let pieces = message(&"..x\r\n".repeat(2000));
    let mut host = Host::new(&settings);
    host.open();
    host.feed(format!("HELO a\r\n{}", message("begun\r\n")).as_bytes());
    host.feed(format!("bare\nLF\r\n.\r\n{}{pieces}", refused.repeat(40)).as_bytes());
    host.feed(b".\r\n");
    let Some(Event::Asked(Question::Store(_), Some((envelope, content)))) = host.events.last()
    else {
        panic!("{:?}", host.events.last());
    };
    assert_eq!(envelope.id, "s1-42");
    assert!(content.ends_with(".x\r\n".repeat(2000).as_bytes()));
}

/// Commands that are answered at length: the host in memory looks at what a call sends.
#[test]
fn no_call_answers_more_than_a_mebibyte() {
    let mut unwanted = settings();
    unwanted.admission = Admission::Unwanted;
    let mut with_tls = settings();
    with_tls.tls = TlsPolicy::Required;
    let mut authenticated = settings();
    authenticated.authentication_required = true;
    for mut settings in [settings(), unwanted, with_tls, authenticated] {
        settings.hostname = "h".repeat(255);
        for command in [
            "",
            "EHLO",
            "HELO a",
            "HELP",
            "NOOP",
            "RSET",
            "VRFY x",
            "MAIL",
            "RCPT",
            "MAIL FROM:<a@b>",
            "AUTH PLAIN\r\n*",
            "AUTH NTLM\r\n*",
        ] {
            let line = format!("{command}\r\n");
            let mut host = Host::new(&settings);
            host.open();
            host.feed(b"HELO a\r\n");
            host.feed(line.repeat(65_536 / line.len()).as_bytes());
        }
    }
}
