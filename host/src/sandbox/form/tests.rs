//! The rules of form, one by one.

use super::super::v0_1::server::{Admission, BareLf, TlsPolicy};
use super::super::v0_1::types::{ContentFacts, DeliverBy, ForwardPath, Span};
use super::*;

fn progress(consumed: u32, actions: Vec<Action>) -> Progress {
    Progress {
        consumed,
        actions,
        envelope: None,
        question: None,
        waiting_for: Phase::Command,
    }
}

fn envelope(id: &str) -> Envelope {
    Envelope {
        id: id.into(),
        reverse_path: String::new(),
        parameters: ReversePathParameters {
            body: BodyType::SevenBit,
            size: None,
            smtputf8: false,
            ret: None,
            envid: None,
            auth: None,
            require_tls: false,
            hold_for: None,
            deliver_by: None,
            priority: None,
        },
        forward_paths: vec![ForwardPath {
            mailbox: "a@b.example".into(),
            notify: None,
            orcpt: None,
        }],
        protocol: "ESMTP".into(),
        greeted: String::new(),
    }
}

fn facts(size: u64) -> ContentFacts {
    ContentFacts {
        size,
        header_eight_bit: false,
        body_eight_bit: false,
        binary: false,
        bare: false,
        signed: false,
        message_id: String::new(),
        tls_waived: false,
        authors: Vec::new(),
    }
}

fn settings(extensions: Extensions) -> Settings {
    Settings {
        hostname: "mail.example.org".into(),
        serial: "s1".into(),
        admission: Admission::Welcome,
        tls: TlsPolicy::Absent,
        mechanisms: Vec::new(),
        clear_text: false,
        authentication_required: false,
        extensions,
        max_message_size: 1000,
        max_recipients: 100,
        max_hold: 3600,
        min_deliver_by: 60,
        ntlm_domain: String::new(),
        ntlm_computer: String::new(),
        ask_sender: false,
        ask_recipient: false,
        add_date: false,
        add_message_id: false,
        add_sender: false,
        check_header_domains: false,
        keep_bcc: false,
        bare_lf: BareLf::Reject,
        legacy_auth_line: false,
        local_domain: String::new(),
        certificate_required: false,
    }
}

fn form() -> Form {
    Form::new(&settings(Extensions::empty()))
}

/// The envelope of a message whose parameters this changes.
fn asking(change: impl FnOnce(&mut ReversePathParameters)) -> Envelope {
    let mut envelope = envelope("s1-1");
    change(&mut envelope.parameters);
    envelope
}

#[test]
fn consumed_and_spans_stay_inside_the_buffer() {
    assert!(
        form()
            .check(Call::Receive(10), &progress(11, vec![]))
            .is_err()
    );
    let span = |offset, length| Action::Content(Span { offset, length });
    let with = |action| Progress {
        envelope: Some(envelope("s1-1")),
        ..progress(10, vec![action])
    };
    assert!(form().check(Call::Receive(10), &with(span(0, 10))).is_ok());
    assert!(form().check(Call::Receive(10), &with(span(1, 10))).is_err());
    assert!(
        form()
            .check(Call::Receive(10), &with(span(u32::MAX, u32::MAX)))
            .is_err()
    );
}

#[test]
fn actions_are_bounded() {
    let report = || Action::Report("x".into());
    assert!(
        form()
            .check(Call::Receive(0), &progress(0, vec![report(); 24]))
            .is_ok()
    );
    assert!(
        form()
            .check(Call::Receive(0), &progress(0, vec![report(); 25]))
            .is_err()
    );
    let send = Action::Send(b"250 2.0.0 ok\r\n".to_vec());
    assert!(
        form()
            .check(Call::Receive(0), &progress(0, vec![send.clone(); 64]))
            .is_ok()
    );
    assert!(
        form()
            .check(Call::Receive(0), &progress(0, vec![send; 65]))
            .is_err()
    );
}

#[test]
fn a_session_that_neither_consumes_nor_asks_is_at_fault() {
    assert!(
        form()
            .check(Call::Receive(12_288), &progress(0, vec![]))
            .is_ok()
    );
    assert!(
        form()
            .check(Call::Receive(12_289), &progress(0, vec![]))
            .is_err()
    );
}

#[test]
fn replies_look_like_replies() {
    for good in ["220 x\r\n", "250-a\r\n250 b\r\n", "334 \r\n"] {
        assert!(replies(good.as_bytes()).is_ok(), "{good:?}");
    }
    for bad in [
        "",
        "hello\r\n",
        "250 x",
        "250 x\n",
        "250\r\n",
        "199 x\r\n",
        "250 \u{7f}\r\n",
    ] {
        assert!(replies(bad.as_bytes()).is_err(), "{bad:?}");
    }
    assert!(replies(format!("250 {}\r\n", "x".repeat(507)).as_bytes()).is_err());
}

#[test]
fn a_store_needs_its_message() {
    let store = |size, envelope| Progress {
        envelope,
        question: Some(Question::Store(facts(size))),
        waiting_for: Phase::Answer,
        ..progress(1, vec![Action::Insert(vec![0; 5])])
    };
    let one = Call::Receive(1);
    let message = || Some(envelope("s1-1"));
    assert!(form().check(one, &store(5, message())).is_ok());
    assert!(form().check(one, &store(6, message())).is_err());
    assert!(form().check(one, &store(5, None)).is_err());
    let mut used = form();
    assert!(used.check(one, &store(5, message())).is_ok());
    let again = Progress {
        question: Some(Question::Store(facts(5))),
        waiting_for: Phase::Answer,
        ..progress(1, vec![])
    };
    assert!(used.check(one, &again).is_err());
    // Answered, and told: the message is no longer there.
    used.settled(true);
    let told = progress(0, vec![Action::Send(b"250 2.6.0 queued\r\n".to_vec())]);
    assert!(used.check(Call::Resume, &told).is_ok());
    assert!(used.check(one, &again).is_err());
}

#[test]
fn the_peer_is_told_the_truth_about_its_message() {
    let say = |text: &str| progress(0, vec![Action::Send(text.as_bytes().to_vec())]);
    for (stored, text, good) in [
        (true, "250 2.6.0 queued\r\n", true),
        (true, "451 4.3.0 no\r\n", false),
        (false, "451 4.3.0 no\r\n", true),
        (false, "554 5.6.0 no\r\n", true),
        (false, "250 2.6.0 queued\r\n", false),
    ] {
        let mut form = form();
        form.settled(stored);
        let checked = form.check(Call::Resume, &say(text));
        assert_eq!(checked.is_ok(), good, "{stored} {text}");
    }
    let mut form = form();
    form.settled(true);
    assert!(form.check(Call::Resume, &progress(0, vec![])).is_err());
}

#[test]
fn questions_have_a_cause_and_end() {
    let asks = |consumed| Progress {
        question: Some(Question::External(String::new())),
        waiting_for: Phase::Answer,
        ..progress(consumed, vec![])
    };
    assert!(form().check(Call::Receive(5), &asks(5)).is_ok());
    assert!(form().check(Call::Receive(5), &asks(0)).is_err());
    assert!(form().check(Call::Resume, &asks(0)).is_err());
    assert!(form().check(Call::Dismiss, &asks(0)).is_err());
    // A dismissal while the host thinks waits for its answer.
    let waits = Progress {
        waiting_for: Phase::Answer,
        ..progress(0, vec![])
    };
    assert!(form().check(Call::Dismiss, &waits).is_err());
    let mut asked = form();
    assert!(asked.check(Call::Receive(5), &asks(5)).is_ok());
    assert!(asked.check(Call::Dismiss, &waits).is_ok());
}

#[test]
fn parameters_of_extensions_that_are_off_are_refused() {
    let mut held = envelope("s1-1");
    held.parameters.hold_for = Some(u32::MAX);
    let mut long = envelope("s1-1");
    long.forward_paths[0].orcpt = Some(("rfc822".into(), "x".repeat(2000)));
    let mut line = envelope("s1-1");
    line.greeted = "x\r\ny".into();
    for bad in [held, long, line] {
        let begins = Progress {
            envelope: Some(bad),
            ..progress(0, vec![])
        };
        assert!(form().check(Call::Other, &begins).is_err());
    }
}

fn judge(extensions: Extensions, change: impl FnOnce(&mut ReversePathParameters)) -> bool {
    let begins = Progress {
        envelope: Some(asking(change)),
        ..progress(0, vec![])
    };
    Form::new(&settings(extensions))
        .check(Call::Receive(0), &begins)
        .is_ok()
}

#[test]
fn parameters_need_their_extension() {
    type Change = fn(&mut ReversePathParameters);
    let asked: [(Extensions, Change); 6] = [
        (Extensions::BINARYMIME, |asked| {
            asked.body = BodyType::BinaryMime;
        }),
        (Extensions::SMTPUTF8, |asked| asked.smtputf8 = true),
        (Extensions::REQUIRETLS, |asked| asked.require_tls = true),
        (Extensions::FUTURERELEASE, |asked| asked.hold_for = Some(60)),
        (Extensions::DELIVERBY, |asked| {
            asked.deliver_by = Some(DeliverBy {
                seconds: 60,
                notify: false,
                trace: false,
            });
        }),
        (Extensions::MT_PRIORITY, |asked| asked.priority = Some(-1)),
    ];
    for (extension, change) in asked {
        assert!(judge(extension, change), "{extension:?}");
        assert!(!judge(!extension, change), "{extension:?}");
    }
}

#[test]
fn r4865_4_r2852_4_r6710_4_1_a_values_are_within_the_settings() {
    for (seconds, good) in [(0, true), (3600, true), (3601, false), (u32::MAX, false)] {
        let held = judge(Extensions::FUTURERELEASE, |asked| {
            asked.hold_for = Some(seconds);
        });
        assert_eq!(held, good, "{seconds}");
    }
    for (seconds, notify, good) in [
        (60, false, true),
        (59, false, false),
        (0, false, false),
        (-60, false, false),
        (59, true, true),
        (-999_999_999, true, true),
        (-1_000_000_000, true, false),
        (1_000_000_000, false, false),
        (i64::MIN, true, false),
    ] {
        let taken = judge(Extensions::DELIVERBY, |asked| {
            asked.deliver_by = Some(DeliverBy {
                seconds,
                notify,
                trace: false,
            });
        });
        assert_eq!(taken, good, "{seconds} {notify}");
    }
    for (priority, good) in [(-9, true), (9, true), (10, false), (-10, false)] {
        let taken = judge(Extensions::MT_PRIORITY, |asked| {
            asked.priority = Some(priority);
        });
        assert_eq!(taken, good, "{priority}");
    }
}

/// Content that goes by unseen, of a message that begins in the same call.
fn passes(body: BodyType, actions: Vec<Action>) -> Progress {
    Progress {
        envelope: Some(asking(|asked| asked.body = body)),
        waiting_for: Phase::Content,
        ..progress(10, actions)
    }
}

fn binary() -> Form {
    Form::new(&settings(Extensions::CHUNKING | Extensions::BINARYMIME))
}

#[test]
fn r3030_3_a_content_goes_by_unseen_in_binary_messages_alone() {
    let call = Call::Receive(60_000);
    let good = passes(BodyType::BinaryMime, vec![Action::Pass(500)]);
    // What follows in the buffer may be longer than a line.
    assert!(binary().check(call, &good).is_ok());
    assert!(form().check(call, &good).is_err());
    for (body, actions) in [
        (BodyType::SevenBit, vec![Action::Pass(500)]),
        (BodyType::EightBitMime, vec![Action::Pass(500)]),
        (BodyType::BinaryMime, vec![Action::Pass(0)]),
        (BodyType::BinaryMime, vec![Action::Pass(1), Action::Pass(1)]),
        (
            BodyType::BinaryMime,
            vec![Action::Pass(1), Action::Insert(vec![0; 5])],
        ),
        (BodyType::BinaryMime, vec![Action::Pass(1), Action::Abandon]),
    ] {
        assert!(binary().check(call, &passes(body, actions)).is_err());
    }
    // No message is open.
    let bare = Progress {
        envelope: None,
        ..good.clone()
    };
    assert!(binary().check(call, &bare).is_err());
    // Only octets lead to it, and only content comes next.
    assert!(binary().check(Call::Dismiss, &good).is_err());
    let command = Progress {
        waiting_for: Phase::Command,
        ..good.clone()
    };
    assert!(binary().check(call, &command).is_err());
    let store = Progress {
        question: Some(Question::Store(facts(500))),
        waiting_for: Phase::Answer,
        ..good
    };
    assert!(binary().check(call, &store).is_err());
}

#[test]
fn r3030_3_a_what_goes_by_unseen_counts() {
    let call = Call::Receive(10);
    let begins = |length| {
        passes(
            BodyType::BinaryMime,
            vec![Action::Insert(vec![0; 20]), Action::Pass(length)],
        )
    };
    let most = 1000 + MOST_INSERTED as u64 - 20;
    assert!(binary().check(call, &begins(most)).is_ok());
    assert!(binary().check(call, &begins(most + 1)).is_err());
    assert!(binary().check(call, &begins(u64::MAX)).is_err());
    // Without a limit the sum has to be a number.
    let mut unlimited = settings(Extensions::CHUNKING | Extensions::BINARYMIME);
    unlimited.max_message_size = 0;
    let mut form = Form::new(&unlimited);
    assert!(form.check(call, &begins(u64::MAX - 20)).is_ok());
    let more = Progress {
        waiting_for: Phase::Content,
        ..progress(0, vec![Action::Pass(1)])
    };
    assert!(form.check(Call::Receive(0), &more).is_err());

    let mut form = binary();
    assert!(form.check(call, &begins(500)).is_ok());
    let store = |size| Progress {
        question: Some(Question::Store(facts(size))),
        waiting_for: Phase::Answer,
        ..progress(1, vec![])
    };
    assert!(form.check(Call::Receive(1), &store(520)).is_ok());
    let mut form = binary();
    assert!(form.check(call, &begins(500)).is_ok());
    assert!(form.check(Call::Receive(1), &store(20)).is_err());

    // It is cause enough for a question, once; nothing else may have come.
    let at_once = Progress {
        consumed: 0,
        ..store(520)
    };
    let mut form = binary();
    assert!(form.check(call, &begins(500)).is_ok());
    let waits = Progress {
        waiting_for: Phase::Content,
        ..progress(0, vec![])
    };
    assert!(form.check(Call::Dismiss, &waits).is_ok());
    assert!(form.check(Call::Receive(0), &at_once).is_ok());
    let mut form = binary();
    assert!(form.check(call, &begins(500)).is_ok());
    assert!(form.check(Call::Receive(0), &waits).is_ok());
    assert!(form.check(Call::Receive(0), &at_once).is_err());
}

#[test]
fn identifiers_carry_the_serial_and_grow() {
    let with = |id: &str| Progress {
        envelope: Some(envelope(id)),
        ..progress(0, vec![])
    };
    for bad in ["s2-1", "s1", "s1-", "s1-x", "s1-0", "s11-1", "s1-+1"] {
        assert!(form().check(Call::Receive(0), &with(bad)).is_err(), "{bad}");
    }
    let mut used = form();
    assert!(used.check(Call::Receive(0), &with("s1-2")).is_ok());
    used.settled(true);
    assert!(used.check(Call::Receive(0), &with("s1-2")).is_err());
}

#[test]
fn an_envelope_beside_an_open_message_needs_its_abandon() {
    let mut used = form();
    let begin = |id: &str, actions| Progress {
        envelope: Some(envelope(id)),
        ..progress(0, actions)
    };
    let insert = || Action::Insert(vec![0; 5]);
    assert!(
        used.check(Call::Receive(0), &begin("s1-1", vec![insert()]))
            .is_ok()
    );
    let next = begin("s1-2", vec![Action::Abandon, insert()]);
    assert!(used.check(Call::Receive(0), &next).is_ok());
    assert!(used.in_content());
    let third = begin("s1-3", vec![insert()]);
    assert!(used.check(Call::Receive(0), &third).is_err());
}

#[test]
fn mailboxes_have_no_controls_and_a_domain() {
    for good in ["a@b", "\"a b\"@c.example", "ü@b.example"] {
        assert!(mailbox(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "a",
        "@b",
        "a@",
        "a b@c",
        "a@b c",
        "a\n@b",
        "a@b\r\nX: y",
    ] {
        assert!(mailbox(bad).is_err(), "{bad:?}");
    }
}
