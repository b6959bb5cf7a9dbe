//! Content on its way to servers that can do more or less: what arrives is what was submitted, by
//! DATA, by BDAT, and converted.

use super::driver::{envelope, settings};
use crate::{
    client::Session,
    content::scanner::Scanner,
    contract::{
        BodyType, ContentFacts, MOST_ACTIONS, Phase,
        client::{Action, EightBit, Outcome, Settings, Verdict},
    },
    environment::Fixed,
};
use alloc::{format, string::String, vec, vec::Vec};
use proptest::prelude::*;

/// A server that takes everything, by whatever command.
struct Sink<'a> {
    keywords: &'a [&'a str],
    input: Vec<u8>,
    taking: Taking,
    mail: String,
    content: Vec<u8>,
    delivered: Option<Vec<u8>>,
    /// Chunks so far, and which of them is refused.
    chunks: usize,
    refuse: Option<usize>,
    broken: bool,
    after: Vec<String>,
}

#[derive(PartialEq)]
enum Taking {
    Commands,
    Lines,
    Chunk(usize, bool),
}

impl<'a> Sink<'a> {
    fn new(keywords: &'a [&'a str], refuse: Option<usize>) -> Self {
        Self {
            keywords,
            input: vec![],
            taking: Taking::Commands,
            mail: String::new(),
            content: vec![],
            delivered: None,
            chunks: 0,
            refuse,
            broken: false,
            after: vec![],
        }
    }

    fn take(&mut self, octets: &[u8]) -> Vec<u8> {
        self.input.extend_from_slice(octets);
        let mut replies = Vec::new();
        loop {
            if let Taking::Chunk(size, last) = self.taking {
                if self.input.len() < size {
                    return replies;
                }
                self.content.extend(self.input.drain(..size));
                self.taking = Taking::Commands;
                replies.extend_from_slice(self.chunk(last).as_bytes());
                continue;
            }
            let Some(end) = memchr::memmem::find(&self.input, b"\r\n") else {
                return replies;
            };
            let line: Vec<u8> = self.input.drain(..end + 2).collect();
            if self.taking == Taking::Lines {
                if line == b".\r\n" {
                    self.taking = Taking::Commands;
                    self.delivered = Some(core::mem::take(&mut self.content));
                    replies.extend_from_slice(b"250 2.6.0 have it\r\n");
                } else {
                    let line = line.strip_prefix(b".").unwrap_or(&line);
                    self.content.extend_from_slice(line);
                }
                continue;
            }
            let line = String::from_utf8(line).unwrap();
            replies.extend_from_slice(self.command(line.trim_end()).as_bytes());
        }
    }

    fn chunk(&mut self, last: bool) -> &'static str {
        self.chunks += 1;
        if self.broken {
            return "503 5.5.1 a chunk has failed\r\n";
        }
        if self.refuse == Some(self.chunks) {
            self.broken = true;
            return "452 4.3.1 no room\r\n";
        }
        if last {
            self.delivered = Some(core::mem::take(&mut self.content));
        }
        "250 2.0.0 have it\r\n"
    }

    fn command(&mut self, line: &str) -> String {
        if self.broken {
            self.after.push(line.into());
        }
        let words: Vec<&str> = line.split(' ').collect();
        match words[0] {
            "EHLO" => {
                let listed: String = self
                    .keywords
                    .iter()
                    .map(|keyword| format!("250-{keyword}\r\n"))
                    .collect();
                return format!("250-here\r\n{listed}250 X-LAST\r\n");
            }
            "MAIL" => self.mail = line.into(),
            "DATA" => {
                // R3030-3-b: no BINARYMIME with DATA.
                assert!(!self.mail.contains("BODY=BINARYMIME"));
                self.taking = Taking::Lines;
                return "354 go\r\n".into();
            }
            "BDAT" => {
                assert!(self.keywords.contains(&"CHUNKING"));
                let last = words.get(2) == Some(&"LAST");
                self.taking = Taking::Chunk(words[1].parse().unwrap(), last);
                return String::new();
            }
            _ => {}
        }
        "250 ok\r\n".into()
    }
}

fn facts(content: &[u8]) -> ContentFacts {
    let mut scanner = Scanner::new();
    scanner.take(content);
    scanner.finish()
}

/// Submits one message in runs of `run` octets.
fn submit(
    settings: Settings,
    body: BodyType,
    content: &[u8],
    sink: &mut Sink<'_>,
    run: usize,
) -> Vec<Outcome> {
    let mut env = Fixed::default();
    let mut session = Session::start(settings).unwrap();
    let mut coming: Vec<u8> = b"220 here\r\n".to_vec();
    let mut outcomes = vec![];
    let mut submitted = false;
    let mut place = 0;
    let mut supplied: &[u8] = &[];
    let mut progress = session.open(&mut env).unwrap();
    loop {
        assert!(progress.actions.len() <= MOST_ACTIONS);
        let (mut ready, mut hungry) = (false, false);
        for action in progress.actions {
            match action {
                Action::Send(octets) | Action::Insert(octets) => coming.extend(sink.take(&octets)),
                Action::Content(span) => {
                    let run = &supplied[span.offset as usize..][..span.length as usize];
                    coming.extend(sink.take(run));
                }
                Action::Pass(length) => {
                    let length = usize::try_from(length).unwrap();
                    coming.extend(sink.take(&content[place..place + length]));
                    place += length;
                }
                Action::Rewind => place = 0,
                Action::Hungry => hungry = true,
                Action::Ready(_) => ready = true,
                Action::Settled(_, outcome) => outcomes.push(outcome),
                Action::Done | Action::Close => {}
                other => panic!("{other:?}"),
            }
        }
        if progress.waiting_for == Phase::Closed {
            return outcomes;
        }
        progress = if ready && submitted {
            session.quit(&mut env).unwrap()
        } else if ready {
            submitted = true;
            let mut envelope = envelope("a@x.org", "b@x.org");
            envelope.parameters.body = body;
            session.submit(envelope, facts(content), &mut env).unwrap()
        } else if hungry {
            let end = content.len().min(place + run);
            supplied = &content[place..end];
            place = end;
            session
                .supply(supplied, end == content.len(), &mut env)
                .unwrap()
        } else {
            assert!(!coming.is_empty(), "the server is silent");
            let octets = core::mem::take(&mut coming);
            session.receive(&octets, &mut env).unwrap()
        };
    }
}

fn with(chunking: bool, eight_bit: EightBit) -> Settings {
    Settings {
        chunking,
        eight_bit,
        ..settings()
    }
}

/// By DATA content has to end with CRLF (RFC 5321 section 4.1.1.4).
fn in_lines(content: &[u8]) -> Vec<u8> {
    let mut content = content.to_vec();
    if !content.is_empty() && !content.ends_with(b"\r\n") {
        content.extend_from_slice(b"\r\n");
    }
    content
}

const LINES: &[&[u8]] = &[
    b"\r\n",
    b"\r\n",
    b".",
    b"text",
    b"..\r\n",
    b"BDAT 1 LAST\r\n",
    b"caf\xc3\xa9",
    b"a: b\r\n",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    // CL-bdat, R5321-4.5.2-b
    #[test]
    fn cl_bdat_data_and_bdat_deliver_the_same_octets(
        parts in proptest::collection::vec(proptest::sample::select(LINES), 0..60),
        run in 1usize..100,
        pipelining in any::<bool>(),
    ) {
        let content = [b"Subject: x\r\n\r\n".to_vec(), parts.concat()].concat();
        let data: &[&str] = if pipelining { &["8BITMIME", "PIPELINING"] } else { &["8BITMIME"] };
        let chunking = [data, &["CHUNKING"]].concat();
        let mut by_data = Sink::new(data, None);
        let outcomes = submit(with(true, EightBit::Refuse), BodyType::SevenBit, &content, &mut by_data, run);
        prop_assert_eq!(outcomes[0].verdict, Verdict::Accepted);
        prop_assert_eq!(by_data.delivered, Some(in_lines(&content)));
        let mut by_bdat = Sink::new(&chunking, None);
        let outcomes = submit(with(true, EightBit::Refuse), BodyType::SevenBit, &content, &mut by_bdat, run);
        prop_assert_eq!(outcomes[0].verdict, Verdict::Accepted);
        prop_assert_eq!(by_bdat.delivered, Some(content));
    }

    // R3030-3-b
    #[test]
    fn r3030_3_b_binary_content_arrives_or_is_converted_without_loss(
        body in proptest::collection::vec(any::<u8>(), 0..300),
        run in 1usize..100,
        offered in proptest::sample::subsequence(
            vec!["8BITMIME", "CHUNKING", "BINARYMIME", "SIZE", "PIPELINING"], 0..=5),
    ) {
        let header = b"MIME-Version: 1.0\r\nContent-Type: image/png\r\n\
            Content-Transfer-Encoding: binary\r\n\r\n";
        let content = [&header[..], &body].concat();
        let mut sink = Sink::new(&offered, None);
        let outcomes = submit(with(false, EightBit::Convert), BodyType::BinaryMime, &content, &mut sink, run);
        prop_assert_eq!(outcomes[0].verdict, Verdict::Accepted);
        let delivered = sink.delivered.unwrap();
        if offered.contains(&"CHUNKING") && offered.contains(&"BINARYMIME") {
            prop_assert!(sink.mail.ends_with(" BODY=BINARYMIME"));
            prop_assert_eq!(&delivered, &content);
        } else {
            let found = &crate::conversion::tests::decode::leaves(&delivered)[0];
            if found.encoding == "base64" {
                prop_assert_eq!(&found.body, &body);
            } else {
                // It was text after all.
                prop_assert_eq!(&delivered, &in_lines(&delivered));
                prop_assert_eq!(&found.body, &in_lines(&body));
            }
        }
        // R1870-6.2: exact, whatever it became.
        if offered.contains(&"SIZE") && !delivered.is_empty() && found_crlf(&content) {
            let size = format!(" SIZE={}", delivered.len());
            prop_assert!(sink.mail.contains(&size), "{} {}", sink.mail, size);
        }
        let refused = submit(with(false, EightBit::Refuse), BodyType::BinaryMime, &content,
            &mut Sink::new(&[], None), run);
        prop_assert_eq!(refused[0].reply.as_ref().and_then(|reply| reply.status), Some((5, 6, 1)));
    }
}

/// Nothing is added by DATA.
fn found_crlf(content: &[u8]) -> bool {
    content.ends_with(b"\r\n")
}

#[test]
fn cl_bdat_a_refused_chunk_stops_the_message() {
    let content = b"Subject: line\r\n".repeat(400_000);
    let chunks = content.len().div_ceil(1 << 20);
    assert_eq!(chunks, 6);
    for (keywords, ahead) in [(&["CHUNKING"][..], 0), (&["CHUNKING", "PIPELINING"][..], 1)] {
        for refuse in 1..=chunks {
            let mut sink = Sink::new(keywords, Some(refuse));
            let outcomes = submit(
                with(true, EightBit::Refuse),
                BodyType::SevenBit,
                &content,
                &mut sink,
                65_536,
            );
            assert_eq!(outcomes[0].verdict, Verdict::Deferred);
            assert_eq!(sink.chunks, (refuse + ahead).min(chunks));
            assert_eq!(sink.delivered, None);
            assert_eq!(sink.after.last().unwrap(), "QUIT");
            assert!(sink.after.contains(&"RSET".into()));
        }
        let mut sink = Sink::new(keywords, None);
        submit(
            with(true, EightBit::Refuse),
            BodyType::SevenBit,
            &content,
            &mut sink,
            65_536,
        );
        assert!(sink.delivered.as_ref() == Some(&content));
    }
}
