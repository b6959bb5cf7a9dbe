//! Servers that are slow, silent, or mean it: memory and time are bounded (RFC 5321 section
//! 4.5.3.2, CL-reply-b).

use super::Step::{Content, Cut, Drip, Hear, Next, Say, Tls, Wait};
use super::*;

/// Longer than the test may take.
const LONG: Duration = Duration::from_secs(120);
const SHORT: Duration = Duration::from_millis(100);

/// Times that none of which may pass.
fn patient() -> Timeouts {
    Timeouts {
        connect: LONG,
        handshake: LONG,
        command: LONG,
        data: LONG,
        content: LONG,
        end_of_data: LONG,
        quit: LONG,
        stall: 2 * LONG,
        transaction: 2 * LONG,
    }
}

fn in_clear(server: &Server, timeouts: Timeouts) -> Target {
    Target {
        timeouts,
        ..target(server.port)
    }
}

#[tokio::test]
async fn cl_reply_b_a_reply_without_end_is_given_up() {
    for (before, line) in [
        (vec![], "220-welcome\r\n"),
        (vec![Say("220 h\r\n"), Hear(EHLO)], "250-KEYWORD\r\n"),
    ] {
        let mut script = before;
        script.push(Drip(line, 0));
        let server = Server::start(script).await;
        let target = in_clear(&server, patient());
        let (_, text) = soon(failure(&target, &Login::default())).await;
        assert!(text.contains("128 lines"), "{text}");
        soon(server.heard()).await;
    }
}

#[tokio::test]
async fn a_server_that_drips_octets_or_lines_but_no_reply_is_given_up() {
    for drip in ["2", "220-h\r\n"] {
        let server = Server::start(vec![Drip(drip, 20)]).await;
        let timeouts = Timeouts {
            stall: Duration::from_millis(300),
            ..patient()
        };
        let target = in_clear(&server, timeouts);
        let (_, text) = soon(failure(&target, &Login::default())).await;
        assert!(text.contains("silent"), "{text}");
        server.heard.abort();
    }
}

#[tokio::test]
async fn r5321_4_5_3_2_a_silent_server_is_waited_for_as_long_as_its_target_says() {
    let command = Timeouts {
        command: SHORT,
        ..patient()
    };
    let silent_at = |script: Vec<Step>, timeouts: Timeouts| async move {
        let server = Server::start(script).await;
        let target = Target {
            security: Security::Opportunistic,
            ..in_clear(&server, timeouts)
        };
        let login = tim(&[Mechanism::Ntlm]);
        let failed = soon(failure(&target, &login)).await;
        server.heard.abort();
        failed
    };
    let (stage, text) = silent_at(vec![], command).await;
    assert_eq!(stage, Stage::Connect);
    assert!(text.contains("silent"), "{text}");
    let script = vec![Say("220 h\r\n"), Hear(EHLO)];
    assert!(silent_at(script, command).await.1.contains("silent"));
    let script = vec![
        Say("220 h\r\n"),
        Hear(EHLO),
        Say("250-h\r\n250 AUTH NTLM\r\n"),
        Hear("AUTH NTLM"),
    ];
    let (stage, _) = silent_at(script, command).await;
    assert_eq!(stage, Stage::Authentication);
}

#[tokio::test]
async fn a_handshake_is_waited_for_as_long_as_the_target_says() {
    let server = Server::start(vec![Hear("never")]).await;
    let mut target = server.target(Security::Implicit, server.pinned());
    target.timeouts = Timeouts {
        handshake: SHORT,
        ..patient()
    };
    let (stage, text) = soon(failure(&target, &Login::default())).await;
    assert_eq!(stage, Stage::Tls);
    assert!(text.contains("silent"), "{text}");
    server.heard.abort();
}

/// Up to DATA.
fn envelope_taken() -> Vec<Step> {
    vec![
        Say("220 h\r\n"),
        Hear(EHLO),
        Say("250 h\r\n"),
        Hear("MAIL"),
        Say("250 ok\r\n"),
        Hear("RCPT"),
        Say("250 ok\r\n"),
        Hear("DATA"),
    ]
}

/// What becomes of a message whose server goes on so after DATA.
async fn submitted(
    after: Vec<Step>,
    timeouts: Timeouts,
    content: &[u8],
) -> (Vec<(Verdict, u16)>, Dialogue, Server) {
    let mut script = envelope_taken();
    script.extend(after);
    let server = Server::start(script).await;
    let target = in_clear(&server, timeouts);
    let mut dialogue = open(&target, &Login::default()).await.unwrap();
    let outcomes = soon(submit(&mut dialogue, &["b@example.org"], content)).await;
    (verdicts(&outcomes), dialogue, server)
}

const MESSAGE: &[u8] = b"a: b\r\n\r\nc\r\n";

#[tokio::test]
async fn r5321_4_5_3_2_4_and_6_data_and_the_end_of_data_have_their_times() {
    let timeouts = Timeouts {
        data: SHORT,
        ..patient()
    };
    let (verdicts, dialogue, server) = submitted(vec![], timeouts, MESSAGE).await;
    assert_eq!(verdicts, [(Verdict::Deferred, 451)]);
    assert!(!dialogue.is_ready());
    server.heard.abort();
    let timeouts = Timeouts {
        end_of_data: SHORT,
        ..patient()
    };
    let after = vec![Say("354 go\r\n"), Content];
    let (verdicts, dialogue, server) = submitted(after, timeouts, MESSAGE).await;
    assert_eq!(verdicts, [(Verdict::Unknown, 451)]);
    assert!(!dialogue.is_ready());
    server.heard.abort();
}

#[tokio::test]
async fn a_server_that_is_never_silent_and_never_done_is_left_in_the_end() {
    let timeouts = Timeouts {
        transaction: Duration::from_millis(500),
        ..patient()
    };
    let (verdicts, dialogue, server) = submitted(vec![Drip("3", 20)], timeouts, MESSAGE).await;
    assert_eq!(verdicts, [(Verdict::Deferred, 451)]);
    assert!(!dialogue.is_ready());
    server.heard.abort();
    // Who has all of it is waited for all the same: else it may get it twice.
    let after = vec![Say("354 go\r\n"), Content, Drip("250-working\r\n", 100)];
    let (verdicts, dialogue, server) = submitted(after, timeouts, MESSAGE).await;
    assert!(
        matches!(verdicts[..], [(Verdict::Unknown, _)]),
        "{verdicts:?}"
    );
    assert!(!dialogue.is_ready());
    server.heard.abort();
}

/// More than the network takes without the server.
fn large() -> Vec<u8> {
    b"a line of a message that is larger than all buffers\r\n".repeat(800_000)
}

#[tokio::test]
async fn r5321_4_5_3_2_5_a_server_that_does_not_read_is_given_up_and_its_last_words_count() {
    for (words, expected) in [
        ("354 go\r\n", (Verdict::Deferred, 451)),
        ("354 go\r\n", (Verdict::Failed, 552)),
    ] {
        let told = Arc::new(Notify::new());
        let mut after = vec![Say(words), Wait(Arc::clone(&told))];
        if expected.1 == 552 {
            after.push(Say("552 5.3.4 too large\r\n"));
        }
        let never = Arc::new(Notify::new());
        after.push(Wait(Arc::clone(&never)));
        let timeouts = Timeouts {
            content: Duration::from_millis(500),
            ..patient()
        };
        // By then the client waits for room.
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            told.notify_one();
        });
        let (verdicts, _, server) = submitted(after, timeouts, &large()).await;
        assert_eq!(verdicts, [expected]);
        server.heard.abort();
    }
}

#[tokio::test]
async fn the_last_words_of_a_server_that_cuts_the_connection_are_heard() {
    let told = Arc::new(Notify::new());
    let after = vec![
        Say("354 go\r\n"),
        Wait(Arc::clone(&told)),
        Say("552 5.3.4 too large\r\n"),
        Cut,
    ];
    let content = large();
    let submitting = submitted(after, patient(), &content);
    let telling = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        told.notify_one();
    };
    let ((verdicts, ..), ()) = tokio::join!(submitting, telling);
    assert_eq!(verdicts, [(Verdict::Failed, 552)]);
}

#[tokio::test]
async fn cl_quit_its_reply_has_its_time() {
    let server = Server::start(vec![
        Say("220 h\r\n"),
        Hear(EHLO),
        Say("250 h\r\n"),
        Hear("QUIT"),
    ])
    .await;
    let timeouts = Timeouts {
        quit: SHORT,
        ..patient()
    };
    let target = in_clear(&server, timeouts);
    let dialogue = open(&target, &Login::default()).await.unwrap();
    soon(dialogue.quit()).await;
    soon(server.heard()).await;
}

#[tokio::test]
async fn an_idle_connection_that_the_server_ends_is_noticed() {
    for tls in [false, true] {
        for (words, text) in [
            (Some("421 4.3.2 h idle\r\n"), "ends the session"),
            (None, "lost"),
        ] {
            let told = Arc::new(Notify::new());
            let mut script = vec![
                Say("220 h\r\n"),
                Hear(EHLO),
                Say("250 h\r\n"),
                Wait(Arc::clone(&told)),
            ];
            if tls {
                script.insert(0, Tls);
            }
            script.extend(words.map(Say));
            script.push(if words.is_some() { Hear("") } else { Next });
            let server = Server::start(script).await;
            let mut target = server.target(Security::Off, server.pinned());
            if tls {
                target.security = Security::Implicit;
            }
            let mut dialogue = open(&target, &Login::default()).await.unwrap();
            assert!(dialogue.is_alive().await);
            assert!(dialogue.is_alive().await);
            told.notify_one();
            soon(async {
                while dialogue.is_alive().await {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            })
            .await;
            let failure = dialogue.failure().unwrap();
            assert!(failure.text.contains(text), "{}", failure.text);
            assert!(!dialogue.is_alive().await);
            dialogue.quit().await;
            server.heard.abort();
        }
    }
}

#[tokio::test]
async fn looking_after_a_connection_does_not_disturb_it() {
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
    let mut dialogue = open(&in_clear(&server, patient()), &Login::default())
        .await
        .unwrap();
    assert!(dialogue.is_alive().await);
    let outcomes = submit(&mut dialogue, &["b@example.org"], MESSAGE).await;
    assert_eq!(verdicts(&outcomes), [(Verdict::Accepted, 250)]);
    assert!(dialogue.is_alive().await);
    dialogue.quit().await;
    server.heard().await;
}
