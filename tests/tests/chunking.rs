//! BDAT over real sockets: what DATA stores, chunks store too, and binary content goes past the
//! session into the spool.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests: a panic is the test failing"
)]

use pillarbox::sandbox::v0_1::server::Extensions;
use pillarbox_tests::hosted::{Door, Hosted, Talk};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const HEAD: &str = "From: <alice@example.org>\r\nDate: Fri, 02 Jan 2026 03:04:05 +0000\r\n\
    Message-ID: <1@example.org>\r\n\r\n";

fn hosted() -> (Hosted, SocketAddr) {
    let hosted = Hosted::embedded(4).unwrap();
    let address = hosted
        .listen_with("mail.example.org", Door::Open, |settings| {
            settings.extensions |= Extensions::BINARYMIME;
        })
        .unwrap();
    (hosted, address)
}

fn open(address: SocketAddr, parameters: &str) -> Talk {
    let mut talk = Talk::open(address).unwrap();
    talk.command("EHLO client.example.org", "250").unwrap();
    let mail = format!("MAIL FROM:<alice@example.org>{parameters}");
    talk.command(&mail, "250").unwrap();
    talk.command("RCPT TO:<bob@example.org>", "250").unwrap();
    talk
}

/// What was stored last, without the Received field, which differs.
fn last(hosted: &Hosted) -> (String, Vec<u8>) {
    let id = hosted.spooled().unwrap().pop().unwrap().id;
    let content = hosted.content(&id).unwrap();
    let mut start = 0;
    loop {
        let line = content[start..]
            .windows(2)
            .position(|pair| pair == b"\r\n")
            .unwrap();
        start += line + 2;
        if content[start] != b' ' {
            break (id, content[start..].to_vec());
        }
    }
}

/// `message` in chunks of these sizes, again and again; replies are taken at the end, so there must
/// not be more of them than a socket holds.
fn in_chunks(talk: &mut Talk, message: &[u8], sizes: &[usize]) {
    let mut sizes = sizes.iter().cycle();
    let mut rest = message;
    let mut chunks = 1;
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
        talk.send(format!("BDAT {}\r\n", chunk.len()).as_bytes())
            .unwrap();
        talk.send(chunk).unwrap();
        rest = after;
        chunks += 1;
    }
    talk.send(b"BDAT 0 LAST\r\n").unwrap();
    for _ in 0..chunks {
        talk.expect("250").unwrap();
    }
}

fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    for line in message.split_inclusive(|octet| *octet == b'\n') {
        if line.starts_with(b".") {
            wire.push(b'.');
        }
        wire.extend_from_slice(line);
    }
    wire.extend_from_slice(b".\r\n");
    wire
}

#[test]
fn r3030_2_g_data_and_bdat_store_the_same_octets() {
    let (hosted, address) = hosted();
    let line = prop_oneof![
        "[ -~]{0,100}".prop_map(String::into_bytes),
        "\\.{1,3}".prop_map(String::into_bytes),
        prop::collection::vec(0x80_u8.., 0..2000),
    ];
    let lines = prop::collection::vec(line, 0..40);
    let sizes = prop::collection::vec(60_usize..5000, 1..5);
    TestRunner::new(Config::with_cases(24))
        .run(&(lines, sizes), |(lines, sizes)| {
            let mut message = HEAD.as_bytes().to_vec();
            for line in lines {
                message.extend(line);
                message.extend_from_slice(b"\r\n");
            }
            let mut talk = open(address, " BODY=8BITMIME");
            talk.command("DATA", "354").unwrap();
            talk.send(&stuffed(&message)).unwrap();
            talk.expect("250").unwrap();
            prop_assert_eq!(&last(&hosted).1, &message);
            for parameters in [" BODY=8BITMIME", " BODY=BINARYMIME"] {
                let mut talk = open(address, parameters);
                in_chunks(&mut talk, &message, &sizes);
                prop_assert_eq!(&last(&hosted).1, &message);
            }
            Ok(())
        })
        .unwrap();
}

/// Octets of all kinds that repeat nowhere soon.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_le_bytes()[1]
        })
        .collect()
}

#[test]
fn r3030_3_a_binary_content_is_stored_bit_for_bit() {
    let (hosted, address) = hosted();
    let body = noise(3 << 20);
    let message = [HEAD.as_bytes(), &body].concat();
    for sizes in [&[4 << 20][..], &[70_000, 1, 300_000], &[100, 1 << 20]] {
        let mut talk = open(address, " BODY=BINARYMIME");
        in_chunks(&mut talk, &message, sizes);
        // The session goes on where it should.
        talk.command("NOOP", "250").unwrap();
        let (id, stored) = last(&hosted);
        assert!(stored == message, "{sizes:?}");
        let facts = hosted.detail(&id).unwrap().facts.unwrap();
        assert!(facts.binary && facts.bare && facts.body_eight_bit);
        assert!(!facts.header_eight_bit);
    }
}

/// What was gathered of octets that no session saw.
#[test]
fn r3030_3_a_a_relay_knows_what_went_by_unseen() {
    let (hosted, address) = hosted();
    for (body, eight_bit, bare) in [
        (&b"text\r\n"[..], false, false),
        (b"t\xebxt\r\n", true, false),
        (b"text\n", false, true),
        (b"text\r", false, true),
    ] {
        let mut talk = open(address, " BODY=BINARYMIME");
        in_chunks(&mut talk, &[HEAD.as_bytes(), body].concat(), &[7]);
        let (id, _) = last(&hosted);
        let facts = hosted.detail(&id).unwrap().facts.unwrap();
        assert!(facts.binary);
        assert_eq!(facts.body_eight_bit, eight_bit, "{body:?}");
        assert_eq!(facts.bare, bare, "{body:?}");
    }
}

#[test]
fn r5321_3_8_e_a_connection_lost_in_binary_content_leaves_nothing() {
    let (hosted, address) = hosted();
    let mut talk = open(address, " BODY=BINARYMIME");
    // More than what is kept in memory: there is a file already.
    talk.send(format!("BDAT 10000000 LAST\r\n{HEAD}").as_bytes())
        .unwrap();
    talk.send(&noise(1 << 20)).unwrap();
    drop(talk);
    let began = Instant::now();
    while hosted
        .build()
        .sessions
        .load(std::sync::atomic::Ordering::Relaxed)
        > 0
    {
        assert!(began.elapsed() < Duration::from_secs(5));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(hosted.spooled().unwrap().len(), 0);
}

#[test]
fn r5321_3_8_b_binary_content_may_end_while_the_service_drains() {
    let (hosted, address) = hosted();
    let body = noise(200_000);
    let message = [HEAD.as_bytes(), &body].concat();
    let mut talk = open(address, " BODY=BINARYMIME");
    talk.send(format!("BDAT {} LAST\r\n", message.len()).as_bytes())
        .unwrap();
    let (first, second) = message.split_at(100_000);
    talk.send(first).unwrap();
    // The session has been told by then, and waits.
    std::thread::sleep(Duration::from_millis(200));
    hosted.drain();
    std::thread::sleep(Duration::from_millis(200));
    talk.send(second).unwrap();
    talk.expect("250").unwrap();
    let end = talk.rest().unwrap();
    assert!(end.starts_with("421 4.3.2 "), "{end}");
    assert!(last(&hosted).1 == message);
}

/// A refused chunk is dropped, however large, and not one octet of it becomes a command.
#[test]
fn r3030_2_c_refused_octets_are_dropped() {
    let (hosted, address) = hosted();
    let mut talk = Talk::open(address).unwrap();
    talk.command("EHLO client.example.org", "250").unwrap();
    let junk = "QUIT\r\n".repeat(100_000);
    talk.send(format!("BDAT {} LAST\r\n{junk}", junk.len()).as_bytes())
        .unwrap();
    talk.expect("503").unwrap();
    talk.command("NOOP", "250").unwrap();
    assert_eq!(hosted.spooled().unwrap().len(), 0);
}
