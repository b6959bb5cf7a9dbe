//! Content past the session (BDAT), and content that is read before it is sent (conversion).

use super::*;

fn chunking(server: &Server) -> Target {
    Target {
        transfer: Transfer {
            chunking: true,
            convert: true,
        },
        ..target(server.port)
    }
}

/// Up to the replies to RCPT.
fn envelope_of(ehlo: &'static str) -> Vec<Step> {
    vec![
        Say("220 h\r\n"),
        Hear(EHLO),
        Say(ehlo),
        Hear("MAIL"),
        Say("250 ok\r\n"),
        Hear("RCPT"),
        Say("250 ok\r\n"),
    ]
}

#[tokio::test]
async fn cl_bdat_content_passes_the_session_octet_for_octet() {
    let content = b"a: b\r\n\r\n.\r\n".repeat(100_000);
    assert_eq!(content.len(), 1_100_000);
    let mut steps = envelope_of("250-h\r\n250 CHUNKING\r\n");
    steps.extend([
        Hear("BDAT 1048576\r\n"),
        Octets(1_048_576),
        Say("250 ok\r\n"),
        Hear("BDAT 51424 LAST\r\n"),
        Octets(51_424),
        Say("250 2.6.0 kept\r\n"),
        Hear("QUIT"),
        Say("221 bye\r\n"),
    ]);
    let server = Server::start(steps).await;
    let lines = Lines::default();
    let mut dialogue = Dialogue::open(
        build(),
        &chunking(&server),
        &Login::default(),
        Some(Box::new(lines.clone())),
    )
    .await
    .unwrap();
    let outcomes = submit(&mut dialogue, &["b@example.org"], &content).await;
    assert_eq!(verdicts(&outcomes), [(Verdict::Accepted, 250)]);
    dialogue.quit().await;
    let heard = server.heard().await;
    assert_eq!([heard[4].as_bytes(), heard[6].as_bytes()].concat(), content);
    let lines = lines.0.lock().unwrap();
    assert!(
        lines.contains(&"Client: (1048576 octets of content)".into()),
        "{lines:?}"
    );
}

#[tokio::test]
async fn cl_bdat_pipelined_chunks_stand_in_their_order() {
    let content = b"a: b\r\n".repeat(200_000);
    let mut steps = envelope_of("250-h\r\n250-PIPELINING\r\n250 CHUNKING\r\n");
    steps.extend([
        Hear("BDAT 1048576\r\n"),
        Octets(1_048_576),
        Hear("BDAT 151424 LAST\r\n"),
        Octets(151_424),
        Say("250 ok\r\n250 2.6.0 kept\r\n"),
    ]);
    let server = Server::start(steps).await;
    let mut dialogue = open(&chunking(&server), &Login::default()).await.unwrap();
    let outcomes = submit(&mut dialogue, &["b@example.org"], &content).await;
    assert_eq!(verdicts(&outcomes), [(Verdict::Accepted, 250)]);
    drop(dialogue);
    let heard = server.heard().await;
    assert_eq!([heard[4].as_bytes(), heard[6].as_bytes()].concat(), content);
}

#[tokio::test]
async fn cl_ambiguous_a_last_chunk_that_has_not_all_gone_cannot_have_arrived() {
    let mut steps = envelope_of("250-h\r\n250 CHUNKING\r\n");
    steps.extend([Hear("BDAT"), Octets(10), Cut]);
    let server = Server::start(steps).await;
    let mut dialogue = open(&chunking(&server), &Login::default()).await.unwrap();
    // Less than what it is said to be.
    let content = b"a: b\r\n".repeat(10);
    let facts = facts(&content).await;
    let mut shorter = std::io::Cursor::new(&content[..content.len() - 3]);
    let outcomes = soon(dialogue.submit(&envelope(&["b@example.org"]), &facts, &mut shorter)).await;
    assert_eq!(verdicts(&outcomes), [(Verdict::Deferred, 451)]);
    let failure = dialogue.failure().unwrap();
    assert!(failure.text.contains("cannot be read"), "{}", failure.text);
}

#[tokio::test]
async fn cl_ambiguous_a_last_chunk_that_has_gone_may_have_arrived() {
    let mut steps = envelope_of("250-h\r\n250 CHUNKING\r\n");
    steps.extend([Hear("BDAT 60 LAST"), Octets(60), Cut]);
    let server = Server::start(steps).await;
    let mut dialogue = open(&chunking(&server), &Login::default()).await.unwrap();
    let outcomes = submit(&mut dialogue, &["b@example.org"], &b"a: b\r\n".repeat(10)).await;
    assert_eq!(verdicts(&outcomes), [(Verdict::Unknown, 451)]);
}

#[tokio::test]
async fn cl_8bit_content_is_read_three_times_and_sent_once() {
    let mut steps = envelope_of("250-h\r\n250 SIZE\r\n");
    steps.extend([
        Hear("DATA"),
        Say("354 go\r\n"),
        Content,
        Say("250 2.6.0 kept\r\n"),
    ]);
    let server = Server::start(steps).await;
    let mut dialogue = open(&chunking(&server), &Login::default()).await.unwrap();
    let line = "gr\u{fc}n\r\n";
    // More than one run.
    let content = format!("Subject: x\r\n\r\n{}", line.repeat(20_000));
    let outcomes = submit(&mut dialogue, &["b@example.org"], content.as_bytes()).await;
    assert_eq!(verdicts(&outcomes), [(Verdict::Accepted, 250)]);
    drop(dialogue);
    let heard = server.heard().await;
    let header = "Subject: x\r\nMIME-Version: 1.0\r\n\
                  Content-Type: text/plain; charset=unknown-8bit\r\n\
                  Content-Transfer-Encoding: quoted-printable\r\n\r\n";
    let converted = format!("{header}{}", "gr=C3=BCn\r\n".repeat(20_000));
    assert!(
        heard[1].ends_with(&format!(" SIZE={}", converted.len())),
        "{}",
        heard[1]
    );
    assert_eq!(heard[4], format!("{converted}.\r\n"));
}
