//! The caller's side of the loop contract, broken: a fault, and the session is over.

use crate::{
    contract::{
        Dismissal, Phase,
        server::{Answer, Question, TlsPolicy},
    },
    environment::Fixed,
    server::{
        Session,
        testing::{facts, peer, settings},
    },
};
use std::vec;

fn opened() -> (Session, Fixed) {
    let mut env = Fixed::default();
    let mut session = Session::start(settings(), peer()).unwrap();
    assert_eq!(session.open(&mut env).unwrap().waiting_for, Phase::Command);
    (session, env)
}

#[test]
fn calls_out_of_turn_are_faults_and_end_the_session() {
    let mut env = Fixed::default();
    let mut session = Session::start(settings(), peer()).unwrap();
    assert!(session.receive(b"NOOP\r\n", &mut env).is_err());
    assert!(session.open(&mut env).is_err());

    let (mut session, mut env) = opened();
    assert!(session.open(&mut env).is_err());

    let (mut session, mut env) = opened();
    assert!(session.resume(Answer::Accepted, &mut env).is_err());
    assert!(session.dismiss(Dismissal::Fault, &mut env).is_err());

    let (mut session, mut env) = opened();
    assert!(session.secured(facts(), &mut env).is_err());

    let (mut session, mut env) = opened();
    assert!(session.receive(&vec![b'x'; 65_537], &mut env).is_err());

    let mut implicit = settings();
    implicit.tls = TlsPolicy::Established;
    let mut session = Session::start(implicit, peer()).unwrap();
    assert!(session.open(&mut env).is_err());
}

#[test]
fn an_answer_to_another_question_is_a_fault() {
    let questions: [(&[u8], &[Answer]); 2] = [
        (
            b"HELO a\r\nAUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n",
            &[Answer::Accepted, Answer::Stored],
        ),
        (
            b"HELO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nDATA\r\n\
              From: <a@b.example>\r\n\r\n.\r\n",
            &[Answer::Accepted, Answer::Granted("alice".into(), vec![])],
        ),
    ];
    for (octets, answers) in questions {
        for answer in answers {
            let (mut session, mut env) = opened();
            let progress = session.receive(octets, &mut env).unwrap();
            assert!(progress.question.is_some());
            assert_eq!(progress.waiting_for, Phase::Answer);
            assert_eq!(session.park(), None);
            assert!(session.resume(answer.clone(), &mut env).is_err());
            assert!(session.receive(b"NOOP\r\n", &mut env).is_err());
        }
    }
}

#[test]
fn what_comes_while_a_question_is_open_is_not_consumed() {
    let (mut session, mut env) = opened();
    let auth = b"HELO a\r\nAUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n";
    let octets = [&auth[..], b"NOOP\r\n"].concat();
    let progress = session.receive(&octets, &mut env).unwrap();
    assert_eq!(progress.consumed as usize, auth.len());
    assert!(matches!(progress.question, Some(Question::Password(_))));
    assert!(session.receive(b"NOOP\r\n", &mut env).is_err());
}

#[test]
fn phases_are_those_of_the_timeouts() {
    let (mut session, mut env) = opened();
    let mut phase = |octets: &[u8]| session.receive(octets, &mut env).unwrap().waiting_for;
    assert_eq!(phase(b"HELO a\r\nAUTH LOGIN\r\n"), Phase::Authentication);
    assert_eq!(phase(b"*\r\nMAIL FROM:<>\r\n"), Phase::Command);
    assert_eq!(phase(b"RCPT TO:<a@b.example>\r\nDATA\r\n"), Phase::Content);
    assert_eq!(phase(b"From: <a@b.example>\r\n\r\n"), Phase::Content);
    assert_eq!(phase(b".\r\n"), Phase::Answer);
    let progress = session.resume(Answer::Stored, &mut env).unwrap();
    assert_eq!(progress.waiting_for, Phase::Command);
    let progress = session.receive(b"QUIT\r\n", &mut env).unwrap();
    assert_eq!(progress.waiting_for, Phase::Closed);
    assert_eq!(session.park(), None);
}
