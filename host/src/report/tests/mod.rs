//! Reports as a whole.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::*;
use crate::spool::attempt::{Reply, Status};
use crate::spool::{
    Attempt, ContentFacts, Envelope, Message, Notice, NoticeKind, Owed, Parameters, Recipient,
};

mod expected;
mod hostile;
mod python;
mod task;

/// Sun, 09 Sep 2001 01:46:40 +0000: a billion seconds.
pub(super) fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_000_000_000 + seconds)
}

/// Message `a-1` of alice, with these notices.
pub(super) fn owed(parameters: Parameters, size: usize, notices: Vec<Notice>) -> Owed {
    Owed {
        message: Arc::new(Message {
            id: "a-1".into(),
            envelope: Envelope {
                reverse_path: "alice@example.org".into(),
                parameters,
                protocol: "ESMTPSA".into(),
                greeted: "client.example.org".into(),
            },
            identity: Some("alice".into()),
            peer: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
            received: at(0),
            message_id: "<1@example.org>".into(),
            facts: ContentFacts::default(),
            size: size as u64,
        }),
        notices,
    }
}

pub(super) fn notice(kind: NoticeKind, mailbox: &str, attempt: Attempt) -> Notice {
    Notice {
        ordinal: 0,
        recipient: Recipient {
            mailbox: mailbox.into(),
            ..Recipient::default()
        },
        kind,
        attempt,
    }
}

/// What `mx.example.net` said ten seconds after the message came.
pub(super) fn said(code: u16, status: Option<Status>, lines: &[&str]) -> Attempt {
    Attempt {
        route: "smarthost".into(),
        remote: Some("mx.example.net".into()),
        address: Some("192.0.2.1:25".into()),
        reply: Some(Reply {
            code,
            status,
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
        }),
        at: at(10),
        ..Attempt::default()
    }
}

pub(super) fn composed(owed: &Owed, until: &[Option<SystemTime>], original: &Original) -> Composed {
    compose(
        &Reporter::new("mail.example.org"),
        &Request {
            owed,
            until,
            original,
            id: "r1-1",
            now: at(11),
        },
    )
}

pub(super) fn text(composed: &Composed) -> String {
    String::from_utf8(composed.octets.clone()).unwrap()
}

/// A part of a report, as a reader sees it.
pub(super) struct Part {
    pub(super) header: String,
    pub(super) body: Vec<u8>,
}

/// Takes a report apart by RFC 2046 section 5.1.1.
pub(super) fn parts(octets: &[u8]) -> (String, Vec<Part>) {
    let (header, _) = split(octets, b"\r\n\r\n");
    let header = String::from_utf8(header.to_vec()).unwrap();
    let boundary = header.split("boundary=\"").nth(1).unwrap();
    let boundary = boundary.split('"').next().unwrap();
    let delimiter = format!("\r\n--{boundary}");
    let mut rest = octets;
    let mut pieces = Vec::new();
    while let Some(at) = rest
        .windows(delimiter.len())
        .position(|window| window == delimiter.as_bytes())
    {
        pieces.push(&rest[..at]);
        rest = &rest[at + delimiter.len()..];
    }
    assert_eq!(rest, b"--\r\n", "the report ends with its last delimiter");
    let parts = pieces[1..]
        .iter()
        .map(|piece| {
            let piece = piece.strip_prefix(b"\r\n").unwrap();
            let (header, body) = split(piece, b"\r\n\r\n");
            Part {
                header: String::from_utf8(header.to_vec()).unwrap(),
                body: body.to_vec(),
            }
        })
        .collect();
    (header, parts)
}

fn split<'a>(octets: &'a [u8], at: &[u8]) -> (&'a [u8], &'a [u8]) {
    let found = octets.windows(at.len()).position(|window| window == at);
    let found = found.unwrap();
    (&octets[..found], &octets[found + at.len()..])
}
