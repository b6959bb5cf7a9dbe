use super::testing::rules;
use super::*;
use crate::content::{pieces::MOST_PIECES, scanner::Scanner, stuffing::Stuffing};
use crate::contract::{Span, client};
use crate::environment::Fixed;
use alloc::vec;
use proptest::prelude::*;

/// Fields that need no repair, and the empty line.
const HEAD: &[u8] = b"From: alice@example.org\r\n\
    Date: Wed, 25 Nov 2026 01:21:49 +0000\r\nMessage-ID: <1@example.org>\r\n\r\n";

/// What came of a whole message.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Outcome {
    /// What the host has: nothing where it was told to abandon it.
    content: Vec<u8>,
    verdict: Result<ContentFacts, ContentDefect>,
    /// Octets up to and with the end of data; `None` where it was not met.
    end: Option<usize>,
}

/// Plays `wire` in runs of at most `size` octets, as the host would.
fn play(rules: Rules, wire: &[u8], size: usize) -> Outcome {
    let mut content = Content::new(rules);
    let mut env = Fixed::default();
    let mut got = Vec::new();
    let (mut at, mut end, mut abandoned) = (0, None, 0);
    for run in wire.chunks(size) {
        let mut actions = Vec::new();
        let began = content.began();
        let taken = content.take(run, 3, &mut env, &mut actions);
        assert!(actions.len() <= MOST_PIECES, "{}", actions.len());
        assert!(taken.end || taken.consumed == run.len());
        for action in actions {
            assert_eq!(abandoned, 0, "nothing follows Abandon");
            match action {
                Action::Content(Span { offset, length }) => {
                    let start = offset as usize - 3;
                    got.extend_from_slice(&run[start..start + length as usize]);
                }
                Action::Insert(octets) => got.extend_from_slice(&octets),
                Action::Abandon => {
                    assert!(began, "nothing to abandon");
                    abandoned += 1;
                    got.clear();
                }
                other => panic!("{other:?}"),
            }
        }
        at += taken.consumed;
        if taken.end {
            end = Some(at);
            break;
        }
    }
    let verdict = content.verdict();
    assert!(verdict.is_err() || content.began());
    Outcome {
        content: got,
        verdict,
        end,
    }
}

/// The body that arrives when `body` (on the wire) follows a good header; all splits agree.
fn body_of(rules: &Rules, body: &[u8]) -> Outcome {
    let wire = [HEAD, body].concat();
    let whole = play(rules.clone(), &wire, 1 << 16);
    for size in [1, 2, 3, 7] {
        assert_eq!(play(rules.clone(), &wire, size), whole, "{body:?} {size}");
    }
    let content = whole
        .content
        .strip_prefix(b"Received: ours\r\n")
        .unwrap_or(b"");
    Outcome {
        content: content.strip_prefix(HEAD).unwrap_or(b"").to_vec(),
        end: whole.end.map(|end| end - HEAD.len()),
        ..whole
    }
}

fn refused(rules: &Rules, body: &[u8], defect: ContentDefect) {
    let outcome = body_of(rules, body);
    assert_eq!(outcome.end, Some(body.len()), "{body:?}");
    assert_eq!(outcome.verdict, Err(defect), "{body:?}");
    assert_eq!(outcome.content, b"");
}

#[test]
fn r5321_4_1_1_4_a_content_ends_at_crlf_dot_crlf() {
    let outcome = body_of(&rules(), b"hello\r\n.\r\nQUIT\r\n");
    assert_eq!(outcome.content, b"hello\r\n");
    assert_eq!(outcome.end, Some(10));
    let facts = outcome.verdict.unwrap();
    assert_eq!(facts.size, (16 + HEAD.len() + 7) as u64);
    assert_eq!(facts.message_id, "<1@example.org>");
}

#[test]
fn r5321_4_1_1_4_a_a_dot_at_the_start_is_empty_content() {
    let outcome = play(rules(), b".\r\n", 64);
    assert_eq!(outcome.end, Some(3));
    let text = String::from_utf8(outcome.content).unwrap();
    assert!(
        text.starts_with("Received: ours\r\nDate: Tue, 29 Feb 2000"),
        "{text}"
    );
    assert!(text.ends_with("@mail.example.org>\r\n\r\n"), "{text}");
    assert_eq!(outcome.verdict.unwrap().size, text.len() as u64);
}

#[test]
fn r5321_4_1_1_4_b_look_alikes_are_never_the_end() {
    for (alike, defect) in [
        (&b"a\n.\n"[..], ContentDefect::BareLf),
        (b"a\n.\r\n", ContentDefect::BareLf),
        (b"a\r.\r", ContentDefect::BareCr),
        (b"a\r\n.\n", ContentDefect::BareLf),
        (b"a\r\n.\r", ContentDefect::BareCr),
        (b"a\r\n.\r\r\n", ContentDefect::BareCr),
        (b"a\r.\r\n", ContentDefect::BareCr),
        (b"a\r\r\n", ContentDefect::BareCr),
    ] {
        let body = [alike, b"x\r\nMAIL FROM:<evil@example.org>\r\n.\r\n"].concat();
        refused(&rules(), &body, defect);
    }
}

#[test]
fn r5321_4_5_2_a_the_dot_that_begins_a_line_goes() {
    let outcome = body_of(&rules(), b"..\r\n.a\r\n...b\r\n a.\r\nb..c\r\n.\r\n");
    assert_eq!(outcome.content, b".\r\na\r\n..b\r\n a.\r\nb..c\r\n");
}

#[test]
fn r5321_4_5_2_a_dots_go_in_the_header_section_too() {
    let wire = [b".X: y\r\n", HEAD, b".\r\n"].concat();
    let outcome = play(rules(), &wire, 5);
    assert_eq!(
        outcome.content,
        [b"Received: ours\r\nX: y\r\n", HEAD].concat()
    );
}

#[test]
fn r5321_4_5_2_c_other_octets_pass() {
    let body: Vec<u8> = (0..=255)
        .filter(|octet| !matches!(octet, b'\r' | b'\n'))
        .collect();
    let outcome = body_of(&rules(), &[&body[..], b"\r\n.\r\n"].concat());
    assert_eq!(outcome.content, [&body[..], b"\r\n"].concat());
    let facts = outcome.verdict.unwrap();
    assert!(facts.binary && facts.body_eight_bit && !facts.header_eight_bit);
}

#[test]
fn r5321_4_5_3_1_c_long_lines_pass() {
    let body = [&vec![b'x'; 5000][..], b"\r\n"].concat();
    let outcome = body_of(&rules(), &[&body[..], b".\r\n"].concat());
    assert_eq!(outcome.content, body);
    assert!(outcome.verdict.unwrap().binary);
}

#[test]
fn r5321_2_3_8_a_bare_cr_and_lf_are_refused_after_the_true_end() {
    refused(&rules(), b"a\nb\r\n.\r\n", ContentDefect::BareLf);
    refused(&rules(), b"a\rb\r\n.\r\n", ContentDefect::BareCr);
    let outcome = play(rules(), b"From: a\n\n.\n\r\n.\r\n", 64);
    assert_eq!(outcome.end, Some(16));
    assert_eq!(outcome.verdict, Err(ContentDefect::BareLf));
    let reply = ContentDefect::BareLf.reply();
    assert_eq!((reply.code, reply.status), (554, Some((5, 6, 0))));
}

#[test]
fn r5321_2_3_8_b_bare_lf_is_converted_after_dot_removal() {
    let rules = Rules {
        bare_lf: BareLf::Convert,
        ..rules()
    };
    for (body, content) in [
        (&b"a\nb\n\r\n.\r\n"[..], &b"a\r\nb\r\n\r\n"[..]),
        // A line of the transfer begins after CRLF alone.
        (b"a\n.\nb\r\n.\r\n", b"a\r\n.\r\nb\r\n"),
        (b"a\n.\r\nb\r\n.\r\n", b"a\r\n.\r\nb\r\n"),
        (b"a\r\n.\nb\r\n.\r\n", b"a\r\n\r\nb\r\n"),
    ] {
        let outcome = body_of(&rules, body);
        assert_eq!(outcome.content, content, "{body:?}");
        assert_eq!(outcome.end, Some(body.len()));
        assert!(!outcome.verdict.unwrap().bare);
    }
    refused(&rules, b"a\rb\r\n.\r\n", ContentDefect::BareCr);
}

#[test]
fn r5321_2_3_8_b_the_header_section_may_have_bare_lf_too() {
    let rules = Rules {
        bare_lf: BareLf::Convert,
        ..rules()
    };
    let wire = String::from_utf8(HEAD.to_vec())
        .unwrap()
        .replace("\r\n", "\n")
        + "body\n\r\n.\r\n";
    for size in [1, 2, 64] {
        let outcome = play(rules.clone(), wire.as_bytes(), size);
        assert_eq!(
            outcome.content,
            [b"Received: ours\r\n", HEAD, b"body\r\n\r\n"].concat()
        );
    }
}

#[test]
fn r5321_4_5_3_1_d_too_large_is_refused_after_the_end() {
    let limit = HEAD.len() as u64 + 10;
    let rules = Rules {
        max_size: limit,
        ..rules()
    };
    let outcome = body_of(&rules, b"..234567\r\n.\r\n");
    assert_eq!(outcome.verdict.unwrap().size, 16 + limit - 1);
    assert!(body_of(&rules, b"..2345678\r\n.\r\n").verdict.is_ok());
    refused(
        &rules,
        b"..23456789\r\n.\r\n",
        ContentDefect::TooLarge(limit),
    );
    refused(
        &rules,
        b"..23456789 and more\n\r\n.\r\n",
        ContentDefect::TooLarge(limit),
    );
    let small = Rules {
        max_size: 20,
        ..rules
    };
    refused(&small, b"\r\n.\r\n", ContentDefect::TooLarge(20));
    let reply = ContentDefect::TooLarge(20).reply();
    assert_eq!((reply.code, reply.status), (552, Some((5, 3, 4))));
    assert_eq!(reply.lines, ["message exceeds 20 octets"]);
}

#[test]
fn a_header_section_over_256_kib_is_refused() {
    let mut wire = b"From: a@b.example\r\nX:".to_vec();
    wire.extend(b" a line of a field that goes on and on\r\n".repeat(7000));
    wire.extend_from_slice(b"\r\n.\r\n");
    for size in [1000, 1 << 16, 1 << 20] {
        let outcome = play(rules(), &wire, size);
        assert_eq!(outcome.verdict, Err(ContentDefect::HeaderTooLong));
        assert_eq!(outcome.end, Some(wire.len()));
        assert_eq!(outcome.content, b"");
    }
    let reply = ContentDefect::HeaderTooLong.reply();
    assert_eq!((reply.code, reply.status), (552, Some((5, 3, 4))));
    assert_eq!(reply.lines, ["header section exceeds 262144 octets"]);
}

#[test]
fn r5321_6_3_a_loop_is_refused() {
    let field = b"Received: from a by b; Wed, 25 Nov 2026 01:21:49 +0000\r\n";
    let wire = [&field.repeat(100)[..], HEAD, b".\r\n"].concat();
    let outcome = play(rules(), &wire, 1000);
    assert_eq!(outcome.verdict, Err(ContentDefect::TooManyHops));
    let reply = ContentDefect::TooManyHops.reply();
    assert_eq!((reply.code, reply.status), (554, Some((5, 4, 6))));
    let wire = [&field.repeat(99)[..], HEAD, b".\r\n"].concat();
    assert!(play(rules(), &wire, 1000).verdict.is_ok());
}

#[test]
fn r2920_3_1_d_nothing_after_a_refused_recipient_is_refused() {
    let rules = Rules {
        refused_recipients: true,
        ..rules()
    };
    for size in [1, 3] {
        let outcome = play(rules.clone(), b".\r\n", size);
        assert_eq!(outcome.verdict, Err(ContentDefect::Empty));
        assert_eq!(outcome.content, b"");
    }
    assert!(body_of(&rules, b".\r\n").verdict.is_ok());
    let reply = ContentDefect::Empty.reply();
    assert_eq!((reply.code, reply.status), (554, Some((5, 6, 0))));
}

#[test]
fn r6409_8_d_content_without_a_header_section_gets_one() {
    for wire in [
        &b"hello\r\nFrom: x\r\n.\r\n"[..],
        b"\r\nFrom: x\r\n.\r\n",
        b" x: y\r\n.\r\n",
    ] {
        for size in [1, 4, 64] {
            let outcome = play(rules(), wire, size);
            let text = String::from_utf8(outcome.content).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.contains("\r\nFrom: alice@example.org\r\n"), "{head}");
            let sent = core::str::from_utf8(wire)
                .unwrap()
                .strip_suffix(".\r\n")
                .unwrap();
            assert_eq!(body, sent.strip_prefix("\r\n").unwrap_or(sent));
        }
    }
}

#[test]
fn r6409_8_8_a_message_of_fields_alone_stays_one() {
    let fields = HEAD.strip_suffix(b"\r\n").unwrap();
    let outcome = play(rules(), &[fields, b".\r\n"].concat(), 64);
    assert_eq!(outcome.content, [b"Received: ours\r\n", fields].concat());
}

#[test]
fn what_is_refused_by_its_header_is_never_given_out() {
    let outcome = play(rules(), b"From: a@b.c\r\nno field\r\n\r\nbody\r\n.\r\n", 4);
    assert_eq!(outcome.verdict, Err(ContentDefect::NoField));
    assert_eq!(outcome.content, b"");
}

#[test]
fn a_buffer_of_body_is_one_span() {
    let mut content = Content::new(rules());
    let mut env = Fixed::default();
    let mut actions = Vec::new();
    content.take(HEAD, 0, &mut env, &mut actions);
    let body = b"An ordinary line of text. It has a dot.\r\n".repeat(1598);
    actions.clear();
    let taken = content.take(&body, 9, &mut env, &mut actions);
    assert_eq!(
        taken,
        Taken {
            consumed: body.len(),
            end: false
        }
    );
    let length = u32::try_from(body.len()).unwrap();
    assert_eq!(actions, [Action::Content(Span { offset: 9, length })]);
}

#[test]
fn dots_on_every_line_are_few_actions() {
    for line in [
        &b".\x2e\r\n"[..],
        &[&b".."[..], &[b'x'; 200], b"\r\n"].concat(),
    ] {
        let body = line.repeat(65_536 / line.len());
        let outcome = play(rules(), &[HEAD, &body, b".\r\n"].concat(), 1 << 16);
        let sent = line[1..].repeat(65_536 / line.len());
        assert!(outcome.content.ends_with(&sent));
    }
}

proptest! {
    #[test]
    fn r5321_2_3_8_e_any_split_gives_the_same(
        head in prop_oneof![Just("From: a@b.example\r\n\r\n"), Just("X: y\r\n"), Just("")],
        body in "[aé.:\r\n]{0,40}(\r\n|)",
        max_size in 0_u64..60,
        convert in any::<bool>(),
        refused_recipients in any::<bool>(),
        size in 1_usize..9,
    ) {
        let bare_lf = if convert { BareLf::Convert } else { BareLf::Reject };
        let rules = Rules { max_size, bare_lf, refused_recipients, ..rules() };
        let wire = [head.as_bytes(), body.as_bytes(), b"\r\n.\r\n"].concat();
        let whole = play(rules.clone(), &wire, 4096);
        prop_assert!(whole.end.is_some());
        prop_assert_eq!(play(rules, &wire, size), whole);
    }

    #[test]
    fn what_was_stuffed_arrives(
        body in "([a.é\0]{0,6}\r\n){0,20}",
        size in 1_usize..50,
    ) {
        let sent = [HEAD, body.as_bytes()].concat();
        let mut wire = Vec::new();
        let mut stuffing = Stuffing::new();
        let mut actions = Vec::new();
        stuffing.take(&sent, 0, &mut actions);
        stuffing.finish(&mut actions);
        for action in actions {
            match action {
                client::Action::Content(Span { offset, length }) => {
                    wire.extend_from_slice(&sent[offset as usize..(offset + length) as usize]);
                }
                client::Action::Insert(octets) => wire.extend_from_slice(&octets),
                other => panic!("{other:?}"),
            }
        }
        let outcome = play(rules(), &wire, size);
        prop_assert_eq!(outcome.end, Some(wire.len()));
        let content = [b"Received: ours\r\n", &sent[..]].concat();
        prop_assert_eq!(&outcome.content, &content);
        // The other way to learn the facts has the same.
        let mut scanner = Scanner::new();
        scanner.take(&content);
        prop_assert_eq!(outcome.verdict, Ok(scanner.finish()));
    }

    #[test]
    fn only_crlf_dot_crlf_ends_content(body in "[a.\r\n]{0,30}", size in 1_usize..5) {
        let wire = [HEAD, b"a", body.as_bytes()].concat();
        let end = body.find("\r\n.\r\n").map(|at| HEAD.len() + 1 + at + 5);
        prop_assert_eq!(play(rules(), &wire, size).end, end);
    }

    #[test]
    fn no_octets_panic(octets in proptest::collection::vec(any::<u8>(), 0..300), size in 1_usize..50) {
        play(rules(), &octets, size);
    }
}
