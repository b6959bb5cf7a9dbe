//! Any exchange with any server: no split of its octets changes anything, and nothing it says
//! makes a SCRAM exchange succeed without its proof.

use super::driver::settings;
use crate::{
    client::Session,
    contract::{
        MOST_ACTIONS, Mechanism, Phase, TlsFacts,
        client::{Action, Credentials, Loss, TlsPolicy},
    },
    environment::Fixed,
    smtp::base64,
};
use alloc::{format, string::String, vec::Vec};
use proptest::prelude::*;

/// What a server says to a line of an exchange.
const REPLIES: &[&str] = &[
    "235 2.7.0 ok",
    "334 ",
    "334 not base64",
    "334 VXNlcm5hbWU6",
    // {"status":"401","schemes":"bearer","scope":"smtp"}
    "334 eyJzdGF0dXMiOiI0MDEiLCJzY2hlbWVzIjoiYmVhcmVyIiwic2NvcGUiOiJzbXRwIn0=",
    // r=AAECAwQFBgcICQoLDA0ODxARsrv,s=c2FsdA==,i=4096
    "334 cj1BQUVDQXdRRkJnY0lDUW9MREEwT0R4QVJzcnYscz1jMkZzZEE9PSxpPTQwOTY=",
    // v=rmF9pqV8S7suAoZWja4dJRkFsKQ=
    "334 dj1ybUY5cHFWOFM3c3VBb1pXamE0ZEpSa0ZzS1E9",
    // e=invalid-proof
    "334 ZT1pbnZhbGlkLXByb29m",
    "454 4.7.0 later",
    "501 5.7.0 cancelled",
    "504 5.5.4 no such",
    "535-5.7.8 no\r\n535 5.7.8 no",
];

/// What the session did till it was ready or over; the server answers each line in turn, and the
/// octets come in pieces of this size.
fn authenticate(ours: &[Mechanism], replies: &[&str], piece: usize) -> Vec<String> {
    let mut env = Fixed::default();
    let mut settings = settings();
    settings.tls = TlsPolicy::Established;
    settings.mechanisms = ours.to_vec();
    let facts = TlsFacts {
        verified: true,
        exporter: Some((0..32).collect()),
        ..TlsFacts::default()
    };
    let offered: Vec<&str> = Mechanism::ALL.iter().map(|m| m.name()).collect();
    let ehlo = format!("250-x\r\n250 AUTH {}\r\n", offered.join(" "));
    let mut replies = replies.iter();
    let mut done = Vec::new();
    let mut session = Session::start(settings).unwrap();
    session.secured(facts, &mut env).unwrap();
    let mut progress = session.open(&mut env).unwrap();
    let mut coming = Vec::from(*b"220 x\r\n");
    let mut buffer = Vec::new();
    loop {
        buffer.drain(..progress.consumed as usize);
        assert!(progress.actions.len() <= MOST_ACTIONS);
        let (mut asked, mut deriving) = (false, None);
        for action in progress.actions {
            done.push(format!("{action:?}"));
            match action {
                Action::Send(octets) | Action::Confide(octets, _) => {
                    let reply = match octets.as_slice() {
                        b"QUIT\r\n" => Some("221 bye".into()),
                        octets if octets.starts_with(b"EHLO") => Some(ehlo.clone()),
                        _ => replies.next().map(|reply| String::from(*reply)),
                    };
                    if let Some(reply) = reply {
                        coming.extend_from_slice(format!("{}\r\n", reply.trim_end()).as_bytes());
                    }
                }
                Action::Authenticate(_) => asked = true,
                Action::Derive(salt) => deriving = Some(salt),
                Action::Ready(_) => return done,
                _ => {}
            }
        }
        if progress.waiting_for == Phase::Closed {
            return done;
        }
        progress = if asked {
            let credentials = Credentials {
                user: "user".into(),
                domain: String::new(),
                workstation: String::new(),
                secret: "pencil".into(),
            };
            session.authenticate(Some(credentials), &mut env).unwrap()
        } else if let Some(salt) = deriving {
            assert!((4_096..=1_000_000).contains(&salt.iterations));
            let sha1 = done
                .iter()
                .rev()
                .find(|line| line.starts_with("Authenticate"));
            let length = if sha1.is_some_and(|line| line.contains("Sha1")) {
                20
            } else {
                32
            };
            session.derived(&alloc::vec![7; length], &mut env).unwrap()
        } else if coming.is_empty() {
            session.lost(Loss::Timeout, &mut env).unwrap()
        } else {
            buffer.extend(coming.drain(..piece.min(coming.len())));
            session.receive(&buffer, &mut env).unwrap()
        };
    }
}

proptest! {
    #[test]
    fn r5321_2_3_8_e_any_split_of_an_exchange_gives_the_same(
        ours in proptest::sample::subsequence(Mechanism::ALL.to_vec(), 1..=11).prop_shuffle(),
        replies in proptest::collection::vec(proptest::sample::select(REPLIES), 0..12),
        piece in 1usize..60,
    ) {
        let whole = authenticate(&ours, &replies, usize::MAX);
        prop_assert_eq!(&authenticate(&ours, &replies, piece), &whole);
        // CL-secrets: what is not confided has no secret.
        for line in whole.iter().filter(|line| !line.starts_with("Confide")) {
            let encoded = base64::encode(b"pencil");
            prop_assert!(!line.contains("pencil") && !line.contains(&encoded), "{}", line);
        }
    }

    #[test]
    fn r5802_5_d_nobody_succeeds_without_the_proof(
        replies in proptest::collection::vec(proptest::sample::select(REPLIES), 0..12),
        which in 0usize..4,
    ) {
        let scram = [
            Mechanism::ScramSha1,
            Mechanism::ScramSha1Plus,
            Mechanism::ScramSha256,
            Mechanism::ScramSha256Plus,
        ];
        let done = authenticate(&[scram[which]], &replies, usize::MAX);
        prop_assert!(!done.iter().any(|line| line.starts_with("Ready")));
    }
}
