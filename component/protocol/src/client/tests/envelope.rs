//! MAIL, RCPT, DATA and content: groups, outcomes, several messages, LMTP.

use super::driver::{envelope, play, ready, session_with, settings};
use crate::{
    client::Session,
    contract::{
        ContentFacts,
        client::{Action, Offer},
    },
    environment::Fixed,
};
use alloc::{format, string::String, vec, vec::Vec};

#[test]
fn r5321_3_3_one_command_at_a_time_without_pipelining() {
    play(&ready(
        "",
        &[],
        "
        H: submit a@example.org b@example.org,c@example.org
        C: MAIL FROM:<a@example.org>
        P: Command
        S: 250 2.1.0 ok
        C: RCPT TO:<b@example.org>
        S: 250 2.1.5 ok
        C: RCPT TO:<c@example.org>
        S: 550 5.1.1 no such user
        E: settled 1 failed 550 5.1.1
        C: DATA
        P: DataInitiation
        S: 354 go
        E: hungry
        P: Answer
        H: last Subject: x\\r\\n\\r\\n.dot\\r\\nend\\r\\n
        D: Subject: x
        D:
        D: ..dot
        D: end
        D: .
        P: EndOfContent
        S: 250 2.6.0 queued as 7
        E: settled 0 accepted 250 2.6.0
        E: done
        E: ready
        P: Answer
    ",
    ));
}

#[test]
fn r2920_3_1_a_a_group_ends_with_data() {
    play(&ready(
        "",
        &["PIPELINING", "DSN", "SIZE 1000"],
        "
        H: submit a@example.org b@example.org,c@example.org size=9
        C: MAIL FROM:<a@example.org> SIZE=9
        C: RCPT TO:<b@example.org>
        C: RCPT TO:<c@example.org>
        C: DATA
        P: Command
        S: 250 2.1.0 ok
        S: 250 2.1.5 ok
        P: Command
        S: 450 4.2.1 busy
        E: settled 1 deferred 450 4.2.1
        P: DataInitiation
        S: 354 go
        E: hungry
        H: supply one\\r\\n
        D: one
        E: hungry
        H: last no end
        D: no end
        D: .
        S: 250 2.6.0 ok
        E: settled 0 accepted 250 2.6.0 notifies
        E: done
        E: ready
    ",
    ));
}

#[test]
fn r2920_3_1_c_354_without_a_recipient_gets_an_empty_content() {
    for last in ["250 2.6.0 ok", "554 5.5.1 no valid recipients"] {
        play(&ready(
            "",
            &["PIPELINING"],
            &format!(
                "
            H: submit a@example.org b@example.org
            C: MAIL FROM:<a@example.org>
            C: RCPT TO:<b@example.org>
            C: DATA
            S: 250 2.1.0 ok
            S: 550 5.1.1 no such user
            E: settled 0 failed 550 5.1.1
            E: done
            S: 354 go
            C: .
            P: EndOfContent
            S: {last}
            C: RSET
            S: 250 2.0.0 ok
            E: ready
        "
            ),
        ));
    }
    play(&ready(
        "",
        &["PIPELINING"],
        "
        H: submit a@example.org b@example.org
        C: MAIL FROM:<a@example.org>
        C: RCPT TO:<b@example.org>
        C: DATA
        S: 250 2.1.0 ok
        S: 550 5.1.1 no such user
        E: settled 0 failed 550 5.1.1
        E: done
        S: 503 5.5.1 no recipients
        C: RSET
        S: 250 2.0.0 ok
        E: ready
    ",
    ));
}

#[test]
fn cl_mail_fail_mail_holds_for_all() {
    play(&ready(
        "",
        &["PIPELINING"],
        "
        H: submit a@example.org b@example.org,c@example.org
        C: MAIL FROM:<a@example.org>
        C: RCPT TO:<b@example.org>
        C: RCPT TO:<c@example.org>
        C: DATA
        S: 550 5.7.1 not you
        E: settled 0 failed 550 5.7.1
        E: settled 1 failed 550 5.7.1
        E: done
        S: 503 5.5.1 MAIL first
        S: 250 2.1.5 but why
        S: 503 5.5.1 MAIL first
        C: RSET
        S: 250 2.0.0 ok
        E: ready
    ",
    ));
    play(&ready(
        "",
        &[],
        "
        H: submit a@example.org b@example.org
        C: MAIL FROM:<a@example.org>
        S: 451 4.3.0 later
        E: settled 0 deferred 451 4.3.0
        E: done
        C: RSET
        S: 250 2.0.0 ok
        E: ready
    ",
    ));
}

#[test]
fn cl_mail_fail_data_and_end_of_data_hold_for_who_is_not_settled() {
    play(&ready(
        "",
        &["PIPELINING"],
        "
        H: submit a@example.org b@example.org,c@example.org
        C: MAIL FROM:<a@example.org>
        C: RCPT TO:<b@example.org>
        C: RCPT TO:<c@example.org>
        C: DATA
        S: 250 ok
        S: 550 no such user
        E: settled 0 failed 550
        S: 250 ok
        S: 451 4.3.0 later
        E: settled 1 deferred 451 4.3.0
        E: done
        C: RSET
        S: 250 ok
        E: ready
    ",
    ));
    play(&ready(
        "",
        &["PIPELINING"],
        "
        H: submit a@example.org b@example.org
        C: MAIL FROM:<a@example.org>
        C: RCPT TO:<b@example.org>
        C: DATA
        S: 250 ok
        S: 250 ok
        S: 354 go
        E: hungry
        H: last x\\r\\n
        D: x
        D: .
        S: 554-5.6.0 bad
        S: 554 5.6.0 content
        E: settled 0 failed 554 5.6.0
        E: done
        C: RSET
        S: 250 ok
        E: ready
    ",
    ));
}

#[test]
fn cl_rcpt_too_many_goes_into_another_transaction() {
    for reply in ["452 4.5.3", "552 5.5.3", "552 5.0.0"] {
        play(&ready(
            "",
            &["PIPELINING"],
            &format!(
                "
            H: submit a@example.org b@example.org,c@example.org
            C: MAIL FROM:<a@example.org>
            C: RCPT TO:<b@example.org>
            C: RCPT TO:<c@example.org>
            C: DATA
            S: 250 ok
            S: 250 ok
            S: {reply} too many recipients
            E: settled 1 again {reply}
            S: 354 go
            E: hungry
        "
            ),
        ));
    }
    // Never the first one.
    play(&ready(
        "",
        &["PIPELINING"],
        "
        H: submit a@example.org b@example.org
        C: MAIL FROM:<a@example.org>
        C: RCPT TO:<b@example.org>
        C: DATA
        S: 250 ok
        S: 452 4.5.3 too many recipients
        E: settled 0 deferred 452 4.5.3
        E: done
        S: 503 no
        C: RSET
    ",
    ));
    play(&ready(
        "",
        &["PIPELINING"],
        "
        H: submit a@example.org b@example.org,c@example.org
        C: MAIL FROM:<a@example.org>
        C: RCPT TO:<b@example.org>
        C: RCPT TO:<c@example.org>
        C: DATA
        S: 250 ok
        S: 250 ok
        S: 552 5.2.2 mailbox full
        E: settled 1 failed 552 5.2.2
        S: 354 go
        E: hungry
    ",
    ));
}

#[test]
fn r9422_5_mailmax_ends_the_session() {
    play(&ready(
        "",
        &["PIPELINING", "LIMITS MAILMAX=1"],
        "
        H: submit a@example.org b@example.org
        C: MAIL FROM:<a@example.org>
        C: RCPT TO:<b@example.org>
        C: DATA
        S: 250 ok
        S: 250 ok
        S: 354 go
        E: hungry
        H: last
        D: .
        S: 250 2.6.0 ok
        E: settled 0 accepted 250 2.6.0
        E: done
        E: failed Ended temporary
        C: QUIT
        S: 221 bye
        E: close
    ",
    ));
}

#[test]
fn cl_reuse_several_messages_on_one_connection() {
    let message = |number: u8| {
        format!(
            "
        H: submit a@example.org b{number}@example.org
        C: MAIL FROM:<a@example.org>
        C: RCPT TO:<b{number}@example.org>
        C: DATA
        S: 250 ok
        S: 250 ok
        S: 354 go
        E: hungry
        H: last {number}\\r\\n
        D: {number}
        D: .
        S: 250 2.6.0 ok
        E: settled 0 accepted 250 2.6.0
        E: done
        E: ready
        "
        )
    };
    let all: String = (1..4).map(message).collect();
    play(&ready(
        "",
        &["PIPELINING"],
        &format!(
            "{all}
        H: quit
        C: QUIT
        S: 221 2.0.0 bye
        E: close
    "
        ),
    ));
}

#[test]
fn cl_reuse_a_server_that_refuses_rset_is_left() {
    play(&ready(
        "",
        &[],
        "
        H: submit a@example.org b@example.org
        C: MAIL FROM:<a@example.org>
        S: 550 no
        E: settled 0 failed 550
        E: done
        C: RSET
        S: 500 what?
        E: failed Ended temporary 500
        C: QUIT
    ",
    ));
}

#[test]
fn contract_the_offer_says_what_the_server_allows() {
    let mut env = Fixed::default();
    let mut session = Session::start(settings()).unwrap();
    session.open(&mut env).unwrap();
    let octets = b"220 x\r\n250-x\r\n250-size 99\r\n250 LIMITS RCPTMAX=7 MAILMAX=3\r\n";
    let actions = session.receive(octets, &mut env).unwrap().actions;
    assert_eq!(
        actions.last(),
        Some(&Action::Ready(Offer {
            max_size: Some(99),
            max_recipients: Some(7),
            max_messages: Some(3),
            extensions: vec!["SIZE".into(), "LIMITS".into()],
        }))
    );
}

#[test]
fn r2920_3_1_many_recipients_are_never_more_than_64_commands_ahead() {
    let (mut session, mut env) = session_with(b"220 x\r\n250-x\r\n250 PIPELINING\r\n");
    let mailboxes: Vec<String> = (0..300).map(|number| format!("b{number}@x.org")).collect();
    let envelope = envelope("a@x.org", &mailboxes.join(","));
    let mut progress = session
        .submit(envelope, ContentFacts::default(), &mut env)
        .unwrap();
    let (mut sent, mut answered, mut text) = (0, 0, String::new());
    loop {
        for action in progress.actions {
            if let Action::Send(octets) = action {
                let octets = String::from_utf8(octets).unwrap();
                sent += octets.lines().count();
                text.push_str(&octets);
            }
        }
        // MAIL, RCPT; DATA goes with the last of them.
        assert!(sent - answered <= 65);
        if sent == 302 && answered == 301 {
            break;
        }
        answered += 1;
        progress = session.receive(b"250 ok\r\n", &mut env).unwrap();
    }
    assert!(text.ends_with("RCPT TO:<b299@x.org>\r\nDATA\r\n"));
}

#[test]
fn r2033_4_a_reply_for_each_accepted_recipient() {
    play(&ready(
        "lmtp",
        &["PIPELINING"],
        "
        H: submit a@example.org b@example.org,c@example.org,d@example.org,e@example.org
        C: MAIL FROM:<a@example.org>
        C: RCPT TO:<b@example.org>
        C: RCPT TO:<c@example.org>
        C: RCPT TO:<d@example.org>
        C: RCPT TO:<e@example.org>
        C: DATA
        S: 250 ok
        S: 250 ok
        S: 550 5.1.1 no such user
        E: settled 1 failed 550 5.1.1
        S: 250 ok
        S: 250 ok
        S: 354 go
        E: hungry
        H: last x\\r\\n
        D: x
        D: .
        S: 250 2.1.5 b
        E: settled 0 accepted 250 2.1.5
        P: EndOfContent
        S: 452 4.2.2 d is full
        E: settled 2 deferred 452 4.2.2
        S: 250 2.1.5 e
        E: settled 3 accepted 250 2.1.5
        E: done
        C: RSET
        S: 250 ok
        E: ready
    ",
    ));
    // RFC 2033 section 4.2: 354 without a recipient is not allowed, and cannot be counted.
    play(&ready(
        "lmtp",
        &["PIPELINING"],
        "
        H: submit a@example.org b@example.org
        C: MAIL FROM:<a@example.org>
        C: RCPT TO:<b@example.org>
        C: DATA
        S: 250 ok
        S: 550 no
        E: settled 0 failed 550
        E: done
        S: 354 go
        E: failed Envelope temporary
        E: close
    ",
    ));
}

#[test]
fn ox_c_4_3_530_is_about_us() {
    play(&ready(
        "",
        &[],
        "
        H: submit a@example.org b@example.org,c@example.org
        C: MAIL FROM:<a@example.org>
        S: 530 5.7.0 authentication required
        E: settled 0 deferred 530 5.7.0
        E: settled 1 deferred 530 5.7.0
        E: done
        E: failed Authentication permanent 530 5.7.0
        C: QUIT
        S: 221 bye
        E: close
    ",
    ));
    play(&ready(
        "",
        &["PIPELINING"],
        "
        H: submit a@example.org b@example.org
        C: MAIL FROM:<a@example.org>
        C: RCPT TO:<b@example.org>
        C: DATA
        S: 530 5.7.0 authentication required
        E: settled 0 deferred 530 5.7.0
        E: done
        E: failed Authentication permanent 530 5.7.0
        E: close
    ",
    ));
}
