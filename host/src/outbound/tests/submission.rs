//! Messages, outcomes, and how a connection may end (RFC 5321).

use super::Step::{Content, Flood, Hear, Next, Say};
use super::*;

#[tokio::test]
async fn each_recipient_has_its_outcome_and_several_messages_go_on_one_connection() {
    let server = Server::start(vec![
        Say("220 h ready\r\n"),
        Hear(EHLO),
        Say("250-h\r\n250-PIPELINING\r\n250 SIZE 1000000\r\n"),
        Hear("MAIL FROM:<a@example.org> SIZE=22"),
        Hear("RCPT TO:<b@example.org>"),
        Hear("RCPT TO:<c@example.org>"),
        Hear("DATA"),
        Say("250 ok\r\n250 ok\r\n550 5.1.1 no such mailbox\r\n354 go\r\n"),
        Content,
        Say("250 2.6.0 queued as 1\r\n"),
        Hear("MAIL FROM:<a@example.org>"),
        Hear("RCPT TO:<d@example.org>"),
        Hear("DATA"),
        Say("250 ok\r\n450 4.2.1 later\r\n554 no valid recipients\r\n"),
        Hear("RSET"),
        Say("250 ok\r\n"),
        Hear("QUIT"),
        Say("221 h\r\n"),
    ])
    .await;
    let target = server.target(Security::Off, Trust::anybody());
    let mut dialogue = open(&target, &Login::default()).await.unwrap();
    assert_eq!(dialogue.offer().unwrap().max_size, Some(1_000_000));
    let content = b"Subject: s\r\n\r\n.\r\n..x\r\n";
    let outcomes = submit(&mut dialogue, &["b@example.org", "c@example.org"], content).await;
    assert_eq!(
        verdicts(&outcomes),
        [(Verdict::Accepted, 250), (Verdict::Failed, 550)]
    );
    assert!(dialogue.is_ready());
    let outcomes = submit(&mut dialogue, &["d@example.org"], content).await;
    assert_eq!(verdicts(&outcomes), [(Verdict::Deferred, 450)]);
    dialogue.quit().await;
    // R5321-4.5.2-b: a dot before each dot at a line's start.
    let heard = server.heard().await;
    assert_eq!(heard[5], "Subject: s\r\n\r\n..\r\n...x\r\n.\r\n");
}

#[tokio::test]
async fn content_of_many_runs_arrives_octet_for_octet() {
    let server = Server::start(vec![
        Say("220 h\r\n"),
        Hear(EHLO),
        Say("250 h\r\n"),
        Hear("MAIL"),
        Say("250 ok\r\n"),
        Hear("RCPT"),
        Say("250 ok\r\n"),
        Hear("DATA"),
        Say("354 go\r\n"),
        Content,
        Say("250 ok\r\n"),
        Hear("QUIT"),
        Say("221 h\r\n"),
    ])
    .await;
    let target = server.target(Security::Off, Trust::anybody());
    let mut dialogue = open(&target, &Login::default()).await.unwrap();
    let mut content = String::from("Subject: s\r\n\r\n");
    for number in 0..40_000 {
        content.push_str(&format!(".line {number}\r\n"));
    }
    let outcomes = submit(&mut dialogue, &["b@example.org"], content.as_bytes()).await;
    assert_eq!(verdicts(&outcomes), [(Verdict::Accepted, 250)]);
    dialogue.quit().await;
    let heard = server.heard().await;
    let expected = content.replace("\r\n.", "\r\n..") + ".\r\n";
    assert_eq!(heard[4].len(), expected.len());
    assert!(heard[4] == expected);
}

#[tokio::test]
async fn cl_ambiguous_a_server_that_goes_after_the_end_of_data_may_have_it() {
    let server = Server::start(vec![
        Say("220 h\r\n"),
        Hear(EHLO),
        Say("250 h\r\n"),
        Hear("MAIL"),
        Say("250 ok\r\n"),
        Hear("RCPT"),
        Say("250 ok\r\n"),
        Hear("DATA"),
        Say("354 go\r\n"),
        Content,
        Next,
    ])
    .await;
    let target = server.target(Security::Off, Trust::anybody());
    let mut dialogue = open(&target, &Login::default()).await.unwrap();
    let outcomes = submit(&mut dialogue, &["b@example.org"], b"a: b\r\n\r\nc\r\n").await;
    assert_eq!(verdicts(&outcomes), [(Verdict::Unknown, 451)]);
    assert!(!dialogue.is_ready());
    // And what is submitted after that waits.
    let outcomes = submit(&mut dialogue, &["b@example.org"], b"a: b\r\n\r\nc\r\n").await;
    assert_eq!(verdicts(&outcomes), [(Verdict::Deferred, 451)]);
    server.heard.abort();
}

#[tokio::test]
async fn a_message_that_cannot_be_read_to_its_end_is_not_ended_for_the_server() {
    let server = Server::start(vec![
        Say("220 h\r\n"),
        Hear(EHLO),
        Say("250 h\r\n"),
        Hear("MAIL"),
        Say("250 ok\r\n"),
        Hear("RCPT"),
        Say("250 ok\r\n"),
        Hear("DATA"),
        Say("354 go\r\n"),
        Content,
    ])
    .await;
    let target = server.target(Security::Off, Trust::anybody());
    let mut dialogue = open(&target, &Login::default()).await.unwrap();
    let content = b"a: b\r\n\r\nc\r\n".repeat(10_000);
    let facts = facts(&content).await;
    let mut shorter = std::io::Cursor::new(&content[..content.len() - 3]);
    let outcomes = dialogue
        .submit(&envelope(&["b@example.org"]), &facts, &mut shorter)
        .await;
    assert_eq!(verdicts(&outcomes), [(Verdict::Deferred, 451)]);
    let failure = dialogue.failure().unwrap();
    assert!(failure.text.contains("cannot be read"), "{}", failure.text);
    drop(dialogue);
    assert!(!server.heard().await[4].ends_with("\r\n.\r\n"));
}

#[tokio::test]
async fn a_server_that_has_had_enough_is_heard_while_content_is_on_its_way() {
    let server = Server::start(vec![
        Say("220 h\r\n"),
        Hear(EHLO),
        Say("250 h\r\n"),
        Hear("MAIL"),
        Say("250 ok\r\n"),
        Hear("RCPT"),
        Say("250 ok\r\n"),
        Hear("DATA"),
        Say("354 go\r\n552 5.3.4 too large\r\n"),
    ])
    .await;
    let target = server.target(Security::Off, Trust::anybody());
    let mut dialogue = open(&target, &Login::default()).await.unwrap();
    let content = b"a: b\r\n\r\nc\r\n".repeat(100_000);
    let outcomes = submit(&mut dialogue, &["b@example.org"], &content).await;
    assert_eq!(verdicts(&outcomes), [(Verdict::Failed, 552)]);
    drop(dialogue);
    server.heard().await;
}

#[tokio::test]
async fn cl_421_between_messages_defers_the_next() {
    let server = Server::start(vec![
        Say("220 h\r\n"),
        Hear(EHLO),
        Say("250 h\r\n421 4.3.2 h shutting down\r\n"),
    ])
    .await;
    let target = server.target(Security::Off, Trust::anybody());
    match open(&target, &Login::default()).await {
        Ok(mut dialogue) => {
            let outcomes = submit(&mut dialogue, &["b@example.org"], b"a: b\r\n\r\n").await;
            assert_eq!(outcomes[0].verdict, Verdict::Deferred);
            assert!(!dialogue.is_ready());
        }
        Err(error) => assert!(error.to_string().contains("421"), "{error}"),
    }
    server.heard().await;
}

#[tokio::test]
async fn cl_reply_b_a_server_without_line_ends_is_given_up() {
    let server = Server::start(vec![Flood(1 << 20)]).await;
    let target = server.target(Security::Off, Trust::anybody());
    let (_, text) = failure(&target, &Login::default()).await;
    assert!(text.contains("4096"), "{text}");
}

#[tokio::test]
async fn who_cannot_be_connected_to_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let target = Target {
        hostname: None,
        ..target(address.port())
    };
    let error = open(&target, &Login::default()).await.err().unwrap();
    assert!(error.error.is_temporary());
    assert_eq!(
        (error.error.stage(), error.address.as_deref()),
        (Stage::Connect, None)
    );
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[tokio::test]
async fn cl_quit_a_server_that_goes_without_a_reply_changes_nothing() {
    let server = Server::start(vec![
        Say("220 h\r\n"),
        Hear(EHLO),
        Say("250 h\r\n"),
        Hear("QUIT"),
        Next,
    ])
    .await;
    let target = server.target(Security::Off, Trust::anybody());
    open(&target, &Login::default()).await.unwrap().quit().await;
    server.heard.abort();
}
