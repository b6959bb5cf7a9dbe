//! Content as BDAT has it.

use super::testing::rules;
use super::*;
use crate::contract::Span;
use crate::environment::Fixed;
use alloc::vec::Vec;
use proptest::prelude::*;

/// Fields that need no repair, and the empty line.
const HEAD: &[u8] = b"From: alice@example.org\r\n\
    Date: Wed, 25 Nov 2026 01:21:49 +0000\r\nMessage-ID: <1@example.org>\r\n\r\n";

/// What came of a whole message.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    content: Vec<u8>,
    verdict: Result<ContentFacts, ContentDefect>,
    /// Octets that went by unseen.
    unseen: usize,
}

/// Plays `sent` in runs of at most `size` octets; `joined` of them make one call.
fn play(rules: Rules, sent: &[u8], size: usize, joined: usize) -> Outcome {
    let mut content = Content::chunked(rules);
    let mut env = Fixed::default();
    let (mut got, mut unseen, mut calls) = (Vec::new(), 0, 0);
    let mut actions = Vec::new();
    let mut call = sent;
    let mut rest = sent;
    while !rest.is_empty() {
        let run = &rest[..rest.len().min(size)];
        let base = u32::try_from(call.len() - rest.len()).unwrap();
        let taken = match content.passes() {
            true => {
                hand_on(&mut actions, call, &mut got);
                got.extend_from_slice(run);
                content.pass(run.len() as u64);
                unseen += run.len();
                run.len()
            }
            false => content.take(run, base, &mut env, &mut actions).consumed,
        };
        rest = &rest[taken..];
        calls += 1;
        if calls % joined == 0 || actions.contains(&Action::Abandon) {
            hand_on(&mut actions, call, &mut got);
            call = rest;
        }
    }
    content.end(&mut env, &mut actions);
    hand_on(&mut actions, call, &mut got);
    Outcome {
        content: got,
        verdict: content.verdict(),
        unseen,
    }
}

fn hand_on(actions: &mut Vec<Action>, call: &[u8], got: &mut Vec<u8>) {
    assert!(actions.len() <= crate::content::pieces::MOST_PIECES);
    for action in actions.drain(..) {
        match action {
            Action::Content(Span { offset, length }) => {
                got.extend_from_slice(&call[offset as usize..(offset + length) as usize]);
            }
            Action::Insert(octets) => got.extend(octets),
            Action::Abandon => got.clear(),
            other => panic!("{other:?}"),
        }
    }
}

fn binary() -> Rules {
    Rules {
        binary: true,
        ..rules()
    }
}

/// What is stored of `body` under a good header.
fn stored(body: &[u8]) -> Vec<u8> {
    [b"Received: ours\r\n", HEAD, body].concat()
}

#[test]
fn r3030_2_a_dots_are_octets_like_others() {
    let body = b".\r\n..\r\n.x\r\n.\r\n";
    let outcome = play(rules(), &[HEAD, body].concat(), 7, 1);
    assert_eq!(outcome.content, stored(body));
    assert_eq!(outcome.verdict.unwrap().size, outcome.content.len() as u64);
}

#[test]
fn r3030_2_g_bare_cr_and_lf_are_refused() {
    for (body, defect) in [
        (&b"a\nb\r\n"[..], ContentDefect::BareLf),
        (b"a\rb\r\n", ContentDefect::BareCr),
        (b"a\r\r\n", ContentDefect::BareCr),
        (b"\n", ContentDefect::BareLf),
        // The CR of the header's end is another one's.
        (b"a\r\n\n", ContentDefect::BareLf),
        (b"a\r", ContentDefect::BareCr),
    ] {
        for size in [1, 2, 100] {
            let outcome = play(rules(), &[HEAD, body].concat(), size, 3);
            assert_eq!(outcome.verdict, Err(defect), "{body:?} {size}");
            assert_eq!(outcome.content, b"");
        }
    }
}

#[test]
fn r3030_2_g_bare_lf_is_converted_where_the_listener_says_so() {
    let rules = Rules {
        bare_lf: BareLf::Convert,
        ..rules()
    };
    let outcome = play(rules, &[HEAD, b"a\n.\nb\r\n"].concat(), 2, 2);
    assert_eq!(outcome.content, stored(b"a\r\n.\r\nb\r\n"));
}

#[test]
fn r3030_2_a_content_may_end_within_a_line() {
    let outcome = play(rules(), &[HEAD, b"no end"].concat(), 5, 1);
    assert_eq!(outcome.content, stored(b"no end"));
}

/// RFC 5322 section 2.2: a field ends with CRLF, whatever ends the message.
#[test]
fn r3030_2_g_a_header_section_without_its_end_gets_one() {
    for (sent, last) in [
        (&b"From: a@b.example\r\nSubject: x"[..], "Subject: x\r\n"),
        (b"From: a@b.example\r\nSubject: x\r\n", "Subject: x\r\n"),
        (b"From: a@b.example", "From: a@b.example\r\n"),
    ] {
        for rules in [rules(), binary()] {
            let outcome = play(rules, sent, 4, 1);
            assert!(outcome.verdict.is_ok());
            let text = String::from_utf8(outcome.content).unwrap();
            assert!(text.ends_with(last) && !text.contains("\r\n\r\n"), "{text}");
        }
    }
}

#[test]
fn r3030_2_c_what_is_announced_over_the_limit_is_refused_at_once() {
    let rules = Rules {
        max_size: 100,
        ..rules()
    };
    let mut content = Content::chunked(rules);
    content.announce(60);
    assert_eq!(content.refusal(), None);
    let mut actions = Vec::new();
    content.take(&[b'x'; 60], 0, &mut Fixed::default(), &mut actions);
    content.announce(40);
    assert_eq!(content.refusal(), None);
    content.announce(41);
    assert_eq!(content.refusal(), Some(ContentDefect::TooLarge(100)));
}

#[test]
fn r3030_3_a_the_header_section_alone_is_seen() {
    let body = b"\0\r\n\n\r.\r\nx";
    for size in [1, 3, 1000] {
        for joined in [1, 4] {
            let outcome = play(binary(), &[HEAD, body].concat(), size, joined);
            assert_eq!(outcome.content, stored(body));
            assert_eq!(outcome.unseen, body.len());
            let facts = outcome.verdict.unwrap();
            assert!(facts.binary);
            assert_eq!(facts.size, stored(body).len() as u64);
            assert_eq!(facts.message_id, "<1@example.org>");
        }
    }
}

#[test]
fn r3030_3_a_the_header_section_of_binary_content_is_text() {
    for (sent, defect) in [
        (
            &b"From: a@b.example\nBcc: x@y.example\r\n\r\n"[..],
            ContentDefect::BareLf,
        ),
        (b"From: a@b.example\rX: y\r\n\r\n", ContentDefect::BareCr),
        (b"From: a@b.example\r", ContentDefect::BareCr),
    ] {
        for size in [1, 1000] {
            let outcome = play(binary(), &[sent, b"body"].concat(), size, 1);
            if sent.ends_with(b"\r\n\r\n") {
                assert_eq!(outcome.verdict, Err(defect));
            }
            assert_eq!(outcome.content, b"");
            assert_eq!(outcome.unseen, 0);
        }
    }
    let outcome = play(binary(), b"From: a@b.example\r", 1, 1);
    assert_eq!(outcome.verdict, Err(ContentDefect::BareCr));
}

#[test]
fn r3030_3_a_a_header_section_over_256_kib_is_refused_in_binary_content_too() {
    let sent = [
        &b"From: a@b.example\r\n"[..],
        &b"X: y\r\n".repeat(50_000),
        b"\r\n\0\0",
    ]
    .concat();
    let outcome = play(binary(), &sent, 60_000, 1);
    assert_eq!(outcome.verdict, Err(ContentDefect::HeaderTooLong));
    assert_eq!((outcome.content, outcome.unseen), (Vec::new(), 0));
}

#[test]
fn r8689_3_tls_required_no_is_ignored_beside_the_parameter() {
    let sent = [b"TLS-Required: No\r\n", HEAD, b"x\r\n"].concat();
    for (require_tls, waived) in [(false, true), (true, false)] {
        let rules = Rules {
            require_tls,
            ..rules()
        };
        let facts = play(rules, &sent, 1000, 1).verdict.unwrap();
        assert_eq!(facts.tls_waived, waived);
    }
}

proptest! {
    #[test]
    fn r5321_2_3_8_e_any_split_gives_the_same(
        head in prop_oneof![Just("From: a@b.example\r\n\r\n"), Just("X: y\r\n"), Just("X: y"), Just("")],
        body in "[aé.:\r\n]{0,40}",
        max_size in 0_u64..60,
        convert: bool,
        binary: bool,
        refused_recipients: bool,
        size in 1_usize..9,
        joined in 1_usize..5,
    ) {
        let bare_lf = if convert { BareLf::Convert } else { BareLf::Reject };
        let rules = Rules { max_size, bare_lf, binary, refused_recipients, ..rules() };
        let sent = [head.as_bytes(), body.as_bytes()].concat();
        // Binary content is held to what is announced, so that none of it passes over the limit.
        prop_assume!(!binary || max_size == 0);
        let whole = play(rules.clone(), &sent, 4096, 1);
        let split = play(rules, &sent, size, joined);
        prop_assert_eq!(split.content, whole.content);
        prop_assert_eq!(split.verdict, whole.verdict);
    }
}
