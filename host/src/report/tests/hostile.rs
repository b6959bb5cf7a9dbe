//! Originals and replies of strangers who wish no good, and any others.

use proptest::prelude::*;

use super::*;
use crate::spool::{Body, Ret};

fn failed(mailbox: &str) -> Notice {
    notice(NoticeKind::Failed, mailbox, said(550, None, &["no"]))
}

fn full() -> Parameters {
    Parameters {
        ret: Some(Ret::Full),
        ..Parameters::default()
    }
}

/// What must be true of every report.
fn check(report: &Composed, parts: usize) {
    let (header, found) = super::parts(&report.octets);
    assert_eq!(found.len(), parts);
    for line in report.octets.split(|octet| *octet == b'\n') {
        assert!(line.len() <= 999, "a line of {} octets", line.len());
    }
    assert!(crate::report::encoding::is_lines(&report.octets));
    let marked = report.envelope.parameters.body == Body::EightBitMime;
    let smtputf8 = report.envelope.parameters.smtputf8;
    assert!(report.octets.is_ascii() || marked || smtputf8);
    assert!(header.is_ascii() || smtputf8);
    assert_eq!(report.facts.header_eight_bit, !header.is_ascii());
    assert!(
        found[0]
            .header
            .starts_with("Content-Type: text/plain; charset=")
    );
    assert!(found[0].body.is_ascii());
    for part in &found {
        let eight_bit = part.header.contains("Content-Transfer-Encoding: 8bit");
        assert!(part.body.is_ascii() || eight_bit);
        assert!(!eight_bit || marked);
    }
    for field in [
        "From:",
        "To:",
        "Subject:",
        "Date:",
        "Message-ID:",
        "Auto-Submitted: auto-replied",
    ] {
        let lines = header.split("\r\n").filter(|line| line.starts_with(field));
        assert_eq!(lines.count(), 1, "{field}");
    }
}

fn third(report: &Composed) -> (String, Vec<u8>) {
    let (_, mut parts) = super::parts(&report.octets);
    let part = parts.remove(2);
    let media_type = part.header.split("\r\n").next().unwrap();
    (media_type.replace("Content-Type: ", ""), part.body)
}

fn returned(parameters: Parameters, original: &[u8]) -> (String, Vec<u8>) {
    let owed = owed(parameters, original.len(), vec![failed("bob@example.net")]);
    let report = composed(&owed, &[None], &Original::Whole(original.to_vec()));
    check(&report, 3);
    third(&report)
}

#[test]
fn r3464_2_f_an_8_bit_body_is_returned_and_marked() {
    let original = b"Subject: a\r\n\r\n\xe4\xff\r\n";
    let owed = owed(full(), original.len(), vec![failed("bob@example.net")]);
    let report = composed(&owed, &[None], &Original::Whole(original.to_vec()));
    check(&report, 3);
    assert_eq!(third(&report), ("message/rfc822".into(), original.to_vec()));
    assert_eq!(report.envelope.parameters.body, Body::EightBitMime);
    assert!(!report.envelope.parameters.smtputf8);
    assert!(report.facts.body_eight_bit && !report.facts.header_eight_bit);
}

#[test]
fn what_is_no_mail_comes_back_as_its_header() {
    let long = [
        b"A: b\r\n\r\n".to_vec(),
        vec![b'x'; 100_000],
        b"\r\n".to_vec(),
    ]
    .concat();
    for original in [
        b"A: b\r\n\r\nc\0d\r\n".as_slice(),
        b"A: b\r\n\r\nc\nd\r\n",
        b"A: b\r\n\r\nc\rd\r\n",
        &long,
    ] {
        let expected = ("text/rfc822-headers".to_owned(), b"A: b\r\n".to_vec());
        assert_eq!(returned(full(), original), expected);
    }
    // RFC 6522 section 4: a header that is not legal may be encoded.
    let (media_type, body) = returned(full(), b"A: b\0\xe4\r\n\r\nc");
    assert_eq!(media_type, "text/rfc822-headers");
    assert_eq!(body, b"A: b=00=E4\r\n");
    let line = [b"A: ".to_vec(), vec![b'x'; 50_000], b"\r\n\r\n".to_vec()].concat();
    assert!(returned(full(), &line).1.len() > 50_000);
}

#[test]
fn r3464_2_a_what_is_returned_follows_ret_and_size() {
    let original = b"A: b\r\n\r\nc\r\n";
    let headers = Parameters {
        ret: Some(Ret::Headers),
        ..Parameters::default()
    };
    let require_tls = Parameters {
        require_tls: true,
        ..full()
    };
    assert_eq!(returned(full(), original).0, "message/rfc822");
    assert_eq!(
        returned(Parameters::default(), original).0,
        "message/rfc822"
    );
    assert_eq!(returned(headers, original).0, "text/rfc822-headers");
    // RFC 8689 section 5 (R8689-5)
    assert_eq!(
        returned(require_tls.clone(), original).0,
        "text/rfc822-headers"
    );
    let tls = owed(require_tls, 10, vec![failed("bob@example.net")]);
    let report = composed(&tls, &[None], &Original::Beginning(original.to_vec()));
    assert!(report.envelope.parameters.require_tls);
    let large = owed(full(), 65_537, vec![failed("bob@example.net")]);
    let report = composed(&large, &[None], &Original::Beginning(original.to_vec()));
    assert_eq!(third(&report).0, "text/rfc822-headers");
    assert!(!whole(&large, 65_536) && whole(&large, 65_537));
    // No failed recipient: headers only.
    let delayed = notice(
        NoticeKind::Delayed,
        "bob@example.net",
        said(451, None, &["no"]),
    );
    assert!(!whole(&owed(full(), 10, vec![delayed.clone()]), 65_536));
    assert!(whole(
        &owed(full(), 10, vec![delayed, failed("b@example.net")]),
        65_536
    ));
}

#[test]
fn a_header_without_an_end_is_cut() {
    let original = "X-Field: some words of a header that has no end\r\n".repeat(6000);
    assert!(original.len() > 256 * 1024);
    let owed = owed(full(), original.len(), vec![failed("bob@example.net")]);
    let report = composed(
        &owed,
        &[None],
        &Original::Beginning(original.clone().into()),
    );
    check(&report, 3);
    let (_, body) = third(&report);
    assert!(body.len() <= HEADER_LIMIT && body.len() > HEADER_LIMIT - 50);
    assert!(original.starts_with(std::str::from_utf8(&body).unwrap()));
    assert!(body.ends_with(b"\r\n"));
}

#[test]
fn r3464_2_f_a_boundary_that_the_sender_guessed_is_not_used() {
    let original = b"A: b\r\n\r\n--=_0_r1-1--\r\n\r\n--=_1_r1-1\r\n";
    let owed = owed(full(), original.len(), vec![failed("bob@example.net")]);
    let report = composed(&owed, &[None], &Original::Whole(original.to_vec()));
    check(&report, 3);
    assert_eq!(third(&report).1, original);
    assert!(text(&report).contains("boundary=\"=_2_r1-1\""));
}

#[test]
fn a_message_id_with_a_line_of_its_own_is_not_repeated() {
    for hostile in [
        "<a@b>\r\nBcc: x@example.net",
        "<a@b> <c@d>",
        "a@b",
        "<a>",
        "<>",
        "<ä@b>",
    ] {
        let mut owed = owed(full(), 10, vec![failed("bob@example.net")]);
        Arc::get_mut(&mut owed.message).unwrap().message_id = hostile.into();
        let report = composed(&owed, &[None], &Original::Beginning(Vec::new()));
        check(&report, 3);
        assert!(!text(&report).contains("References:"), "{hostile}");
    }
}

#[test]
fn r6533_4_an_ascii_sender_gets_what_every_server_takes() {
    let original = "Subject: ä\r\n\r\n";
    let parameters = Parameters {
        smtputf8: true,
        ..full()
    };
    let owed = owed(parameters, original.len(), vec![failed("bob@example.net")]);
    let report = composed(&owed, &[None], &Original::Whole(original.into()));
    check(&report, 3);
    assert_eq!(
        third(&report),
        ("message/global".into(), b"Subject: =C3=A4\r\n\r\n".to_vec())
    );
    assert!(report.octets.is_ascii());
    assert_eq!(report.envelope.parameters, Parameters::default());
}

#[test]
fn a_thousand_long_replies_do_not_make_a_giant() {
    let line = "x".repeat(4000);
    let lines: Vec<&str> = std::iter::repeat_n(line.as_str(), 128).collect();
    let notices = (0..1000)
        .map(|number| {
            let attempt = said(550 + number % 5, None, &lines);
            notice(
                NoticeKind::Failed,
                &format!("b{number}@example.net"),
                attempt,
            )
        })
        .collect();
    let report = composed(
        &owed(full(), 10, notices),
        &[],
        &Original::Beginning(Vec::new()),
    );
    check(&report, 3);
    assert!(report.octets.len() < 2_000_000, "{}", report.octets.len());
}

fn any_attempt() -> impl Strategy<Value = Attempt> {
    let reply = (
        any::<u16>(),
        any::<Option<Status>>(),
        prop::collection::vec(any::<String>(), 0..4),
    );
    (
        prop::option::of(reply),
        any::<Option<String>>(),
        any::<String>(),
        any::<Option<Status>>(),
        any::<u32>(),
    )
        .prop_map(|(reply, remote, text, status, seconds)| Attempt {
            reply: reply.map(|(code, status, lines)| Reply {
                code,
                status,
                lines,
            }),
            remote,
            text,
            status,
            at: UNIX_EPOCH + Duration::from_secs(seconds.into()),
            ..Attempt::default()
        })
}

fn any_notice() -> impl Strategy<Value = Notice> {
    let kind = prop::sample::select(vec![
        NoticeKind::Failed,
        NoticeKind::Delayed,
        NoticeKind::Delivered,
        NoticeKind::Relayed,
        NoticeKind::Expanded,
    ]);
    let orcpt = prop::option::of((any::<String>(), any::<String>()));
    (kind, any::<String>(), orcpt, any_attempt()).prop_map(|(kind, mailbox, orcpt, attempt)| {
        Notice {
            ordinal: 0,
            recipient: Recipient {
                mailbox,
                notify: None,
                orcpt,
            },
            kind,
            attempt,
        }
    })
}

/// Octets that are often nearly mail.
fn any_original() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\r\n".to_vec()),
        Just(b"Subject: a".to_vec()),
        Just(b"\r\n\r\n".to_vec()),
        Just(b"\r\n--=_0_r1-1".to_vec()),
        Just("ä".as_bytes().to_vec()),
        Just(vec![b'x'; 1500]),
        prop::collection::vec(any::<u8>(), 0..20),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_report_can_be_read(
        original in any_original(),
        whole in any::<bool>(),
        notices in prop::collection::vec(any_notice(), 1..4),
        envid in any::<Option<String>>(),
        smtputf8 in any::<bool>(),
        ret in any::<Option<bool>>(),
        message_id in any::<String>(),
        reverse_path in "[a-zä\"\r\n ]{1,20}@example.org",
    ) {
        let parameters = Parameters {
            envid,
            smtputf8,
            ret: ret.map(|full| if full { Ret::Full } else { Ret::Headers }),
            ..Parameters::default()
        };
        let recipients = notices.len();
        let mut owed = owed(parameters, original.len(), notices);
        let message = Arc::get_mut(&mut owed.message).unwrap();
        message.message_id = message_id;
        message.envelope.reverse_path = reverse_path;
        let original = if whole { Original::Whole(original) } else { Original::Beginning(original) };
        let report = composed(&owed, &[Some(at(5))], &original);
        check(&report, 3);
        // A group for the message, and one for each recipient.
        let (_, parts) = super::parts(&report.octets);
        let status = String::from_utf8(parts[1].body.clone()).unwrap();
        let groups: Vec<&str> = status.trim_end().split("\r\n\r\n").collect();
        prop_assert_eq!(groups.len(), recipients + 1);
        for group in &groups[1..] {
            for name in ["Final-Recipient", "Action", "Status"] {
                let found = group.split("\r\n").filter(|line| line.starts_with(&format!("{name}: ")));
                prop_assert_eq!(found.count(), 1);
            }
        }
    }
}
