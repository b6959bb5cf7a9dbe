//! R5321-2.3.8-e for the client: however octets are cut into calls, what is sent and what becomes
//! of the recipients is the same; and no octets of a server bring a session out of step.

use super::driver::{envelope, settings};
use crate::{
    client::Session,
    contract::{
        ContentFacts, MOST_ACTIONS, Phase,
        client::{Action, Outcome, Progress},
    },
    environment::Fixed,
};
use alloc::{format, string::String, vec, vec::Vec};
use proptest::prelude::*;

/// A server that answers in step, with codes from a list.
struct Server<'a> {
    codes: &'a [u16],
    next: usize,
    commands: Vec<u8>,
    content: bool,
}

impl Server<'_> {
    fn code(&mut self) -> u16 {
        let code = self.codes[self.next % self.codes.len()];
        self.next += 1;
        code
    }

    /// Replies to the whole commands, or the end of data, among these octets.
    fn take(&mut self, octets: &[u8]) -> Vec<u8> {
        self.commands.extend_from_slice(octets);
        let mut replies = Vec::new();
        while let Some(end) = memchr::memmem::find(&self.commands, b"\r\n") {
            let line: Vec<u8> = self.commands.drain(..end + 2).collect();
            let reply = if self.content {
                if line != b".\r\n" {
                    continue;
                }
                self.content = false;
                format!("{} 2.6.0 end\r\n", self.code())
            } else if line.starts_with(b"EHLO") {
                "250-here\r\n250-DSN\r\n250 PIPELINING\r\n".into()
            } else if line.starts_with(b"MAIL") || line.starts_with(b"RCPT") {
                let code = self.code();
                format!("{code}-one\r\n{code} 4.5.3 two\r\n")
            } else if line.starts_with(b"DATA") {
                match self.code() {
                    200..=299 => {
                        self.content = true;
                        "354 go\r\n".into()
                    }
                    code => format!("{code} no\r\n"),
                }
            } else {
                "250 ok\r\n".into()
            };
            replies.extend_from_slice(reply.as_bytes());
        }
        replies
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Result {
    wire: Vec<u8>,
    outcomes: Vec<(u32, Outcome)>,
    done: usize,
    closed: bool,
}

/// One message, with calls of at most `read` and `run` octets.
fn submit(codes: &[u16], recipients: usize, content: &[u8], read: usize, run: usize) -> Result {
    let mut env = Fixed::default();
    let mut session = Session::start(settings()).unwrap();
    let mut server = Server {
        codes,
        next: 0,
        commands: vec![],
        content: false,
    };
    let mut result = Result::default();
    let mut coming: Vec<u8> = b"220 here\r\n".to_vec();
    let mut buffer = Vec::new();
    let mut rest = content;
    let mut submitted = false;
    let mut progress = session.open(&mut env).unwrap();
    let mut supplied: &[u8] = &[];
    loop {
        let Progress {
            consumed,
            actions,
            waiting_for,
        } = progress;
        buffer.drain(..consumed as usize);
        let counted = actions.iter().filter(|a| !matches!(a, Action::Settled(..)));
        assert!(counted.count() <= MOST_ACTIONS);
        let (mut ready, mut hungry) = (false, false);
        for action in actions {
            let octets = match action {
                Action::Send(octets) | Action::Insert(octets) => octets,
                Action::Content(span) => {
                    supplied[span.offset as usize..][..span.length as usize].to_vec()
                }
                Action::Settled(index, outcome) => {
                    result.outcomes.push((index, outcome));
                    continue;
                }
                Action::Done => {
                    result.done += 1;
                    continue;
                }
                Action::Ready(_) => {
                    ready = true;
                    continue;
                }
                Action::Hungry => {
                    hungry = true;
                    continue;
                }
                Action::Close => {
                    result.closed = true;
                    continue;
                }
                other => panic!("{other:?}"),
            };
            result.wire.extend_from_slice(&octets);
            coming.extend(server.take(&octets));
        }
        if waiting_for == Phase::Closed {
            return result;
        }
        progress = if ready && submitted {
            session.quit(&mut env).unwrap()
        } else if ready {
            submitted = true;
            let to: Vec<String> = (0..recipients).map(|n| format!("b{n}@x.org")).collect();
            let envelope = envelope("a@x.org", &to.join(","));
            session
                .submit(envelope, ContentFacts::default(), &mut env)
                .unwrap()
        } else if hungry {
            let (now, later) = rest.split_at(run.min(rest.len()));
            (supplied, rest) = (now, later);
            session.supply(now, later.is_empty(), &mut env).unwrap()
        } else {
            let length = read.min(coming.len());
            assert!(length > 0, "the server is silent: {result:?}");
            buffer.extend(coming.drain(..length));
            session.receive(&buffer, &mut env).unwrap()
        };
    }
}

/// RFC 5321 section 4.5.2, written another way: line by line.
fn stuffed(content: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut rest = content;
    while !rest.is_empty() {
        let end = memchr::memmem::find(rest, b"\r\n").map_or(rest.len(), |end| end + 2);
        let (line, after) = rest.split_at(end);
        if line.starts_with(b".") {
            wire.push(b'.');
        }
        wire.extend_from_slice(line);
        rest = after;
    }
    if !wire.is_empty() && !wire.ends_with(b"\r\n") {
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b".\r\n");
    wire
}

/// Content is made of these.
const PIECES: &[&[u8]] = &[b".", b"\r\n", b"text", b"\r\n.", b"\xff"];

/// What a hostile server says is made of these.
const READS: &[&[u8]] = &[
    b"220 x\r\n",
    b"250 x\r\n",
    b"250-PIPELINING\r\n",
    b"250-x\r\n",
    b"334 \r\n",
    b"354 go\r\n",
    b"421 x\r\n",
    b"452 4.5.3 x\r\n",
    b"550 x\r\n",
    b"2",
    b"\r\n",
    b"\xff\x00",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn r5321_2_3_8_e_any_split_gives_the_same(
        codes in proptest::collection::vec(prop_oneof![
            4 => Just(250u16), 1 => Just(251), 1 => Just(450), 1 => Just(452), 1 => Just(550),
        ], 1..12),
        recipients in prop_oneof![1usize..6, 60usize..70, 125usize..132],
        content in proptest::collection::vec(proptest::sample::select(PIECES), 0..60)
            .prop_map(|parts| parts.concat()),
        read in 1usize..200,
        run in 1usize..40,
    ) {
        let whole = submit(&codes, recipients, &content, 65_536, 65_536);
        prop_assert_eq!(&submit(&codes, recipients, &content, read, run), &whole);
        // Each recipient once, and `done` once.
        let mut settled: Vec<u32> = whole.outcomes.iter().map(|(index, _)| *index).collect();
        settled.sort_unstable();
        prop_assert_eq!(settled, (0..u32::try_from(recipients).unwrap()).collect::<Vec<_>>());
        prop_assert_eq!(whole.done, 1);
        prop_assert!(whole.closed);
        // The content was sent as it should, or not at all.
        let was_sent = memchr::memmem::find(&whole.wire, &stuffed(&content)).is_some();
        let accepted = whole
            .outcomes
            .iter()
            .any(|(_, outcome)| outcome.verdict == crate::contract::client::Verdict::Accepted);
        prop_assert!(was_sent || !accepted);
    }

    #[test]
    fn cl_reply_b_no_octets_of_a_server_do_harm(
        reads in proptest::collection::vec(proptest::sample::select(READS), 0..40),
    ) {
        let mut env = Fixed::default();
        let mut session = Session::start(settings()).unwrap();
        let mut progress = session.open(&mut env).unwrap();
        let (mut buffer, mut open) = (Vec::new(), 0i32);
        let mut reads = reads.into_iter();
        loop {
            buffer.drain(..progress.consumed as usize);
            prop_assert!(buffer.len() <= 4_096);
            let mut next = None;
            let mut settled = 0;
            for action in &progress.actions {
                match action {
                    Action::Ready(_) | Action::Hungry => next = Some(action.clone()),
                    Action::Settled(..) => settled += 1,
                    _ => {}
                }
            }
            open -= settled;
            prop_assert!(open >= 0);
            if progress.waiting_for == Phase::Closed {
                prop_assert_eq!(open, 0);
                prop_assert_eq!(progress.actions.last(), Some(&Action::Close));
                break;
            }
            progress = match next {
                Some(Action::Ready(_)) => {
                    prop_assert_eq!(open, 0);
                    open = 2;
                    session
                        .submit(envelope("a@x.org", "b@x.org,c@x.org"), ContentFacts::default(), &mut env)
                        .unwrap()
                }
                Some(_) => session.supply(b"x\r\n", true, &mut env).unwrap(),
                None => match reads.next() {
                    Some(read) => {
                        buffer.extend_from_slice(read);
                        session.receive(&buffer, &mut env).unwrap()
                    }
                    None => session.lost(crate::contract::client::Loss::Closed, &mut env).unwrap(),
                },
            };
        }
    }
}
