//! TLS and credentials: what is never sent, whatever the server does (RFC 3207, RFC 8314).

use super::Step::{Any, Hear, Next, Say, Sni, Tls};
use super::*;

#[tokio::test]
async fn r3207_4_2_c_starttls_with_a_good_certificate_then_auth_and_no_secret_in_the_trace() {
    let server = Server::start(vec![
        Say("220 h\r\n"),
        Hear(EHLO),
        Say("250-h\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n"),
        Hear("STARTTLS"),
        Say("220 go\r\n"),
        Tls,
        Hear(EHLO),
        Say("250-h\r\n250 AUTH PLAIN LOGIN\r\n"),
        // RFC 4616 section 4, the first example.
        Hear("AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm"),
        Say("235 2.7.0 yes, AHRpbQB0YW5zdGFhZnRhbnN0YWFm\r\n"),
        Hear("QUIT"),
        Say("221 h\r\n"),
    ])
    .await;
    let target = server.target(Security::Required, server.pinned());
    let lines = Lines::default();
    let trace = Some(Box::new(lines.clone()) as Box<dyn Trace>);
    let login = tim(&[Mechanism::Plain]);
    let dialogue = Dialogue::open(build(), &target, &login, trace)
        .await
        .unwrap();
    let facts = dialogue.tls().unwrap();
    assert!(facts.verified);
    assert_eq!(facts.version, "TLSv1.3");
    dialogue.quit().await;
    server.heard().await;
    let lines = lines.0.lock().unwrap().clone();
    assert!(
        lines.contains(&"Client: AUTH PLAIN ***".into()),
        "{lines:?}"
    );
    assert!(
        lines.contains(&"Server: 235 2.7.0 yes, ***".into()),
        "{lines:?}"
    );
    assert!(!lines.concat().contains("AHRp"), "{lines:?}");
}

#[tokio::test]
async fn r3207_6_a_a_certificate_that_is_not_good_ends_it_before_auth_and_mail() {
    let script = || {
        vec![
            Say("220 h\r\n"),
            Hear(EHLO),
            Say("250-h\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n"),
            Hear("STARTTLS"),
            Say("220 go\r\n"),
            Tls,
        ]
    };
    // Another's certificate.
    let other = Server::start(vec![]).await;
    let server = Server::start(script()).await;
    let target = server.target(Security::Required, other.pinned());
    let (stage, text) = failure(&target, &tim(&[Mechanism::Plain])).await;
    assert_eq!(stage, Stage::Tls);
    assert!(text.contains("certificate"), "{text}");
    assert!(server.heard().await.last().unwrap().contains("no TLS"));
    // The right certificate under another name.
    let server = Server::start(script()).await;
    let mut target = server.target(Security::Required, server.pinned());
    target.tls_name = Some("other.example.org".into());
    assert_eq!(failure(&target, &Login::default()).await.0, Stage::Tls);
    server.heard().await;
}

#[tokio::test]
async fn r3207_6_a_required_tls_that_is_not_offered_gets_no_mail_whoever_is_trusted() {
    for verifies in [true, false] {
        let server = Server::start(vec![
            Say("220 h\r\n"),
            Hear(EHLO),
            Say("250-h\r\n250 AUTH PLAIN NTLM\r\n"),
            Hear("QUIT"),
            Say("221 h\r\n"),
        ])
        .await;
        let trust = if verifies {
            server.pinned()
        } else {
            Trust::anybody()
        };
        let target = server.target(Security::Required, trust);
        let login = if verifies {
            Login::default()
        } else {
            tim(&[Mechanism::Ntlm])
        };
        let (stage, text) = failure(&target, &login).await;
        assert_eq!(stage, Stage::Tls, "{text}");
        assert!(text.contains("4.7.10"), "{text}");
        assert_eq!(server.heard().await.len(), 2);
    }
}

#[tokio::test]
async fn r3207_6_b_opportunistic_tls_takes_any_certificate_and_calls_it_unverified() {
    let server = Server::start(vec![
        Say("220 h\r\n"),
        Hear(EHLO),
        Say("250-h\r\n250 STARTTLS\r\n"),
        Hear("STARTTLS"),
        Say("220 go\r\n"),
        Tls,
        Hear(EHLO),
        Say("250 h\r\n"),
        Hear("QUIT"),
        Say("221 h\r\n"),
    ])
    .await;
    let other = Server::start(vec![]).await;
    let target = server.target(Security::Opportunistic, other.pinned());
    let dialogue = open(&target, &Login::default()).await.unwrap();
    assert_eq!(dialogue.tls().map(|facts| facts.verified), Some(false));
    dialogue.quit().await;
    server.heard().await;
}

#[tokio::test]
async fn r3207_6_b_a_failed_handshake_leads_to_one_connection_without_tls_nor_clear_text() {
    let broken = || {
        vec![
            Say("220 h\r\n"),
            Hear(EHLO),
            Say("250-h\r\n250-AUTH PLAIN NTLM\r\n250 STARTTLS\r\n"),
            Hear("STARTTLS"),
            Say("220 go\r\n"),
            Next,
        ]
    };
    let mut script = broken();
    script.extend([
        Say("220 h\r\n"),
        Hear(EHLO),
        Say("250-h\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n"),
        Hear("QUIT"),
        Say("221 h\r\n"),
    ]);
    let server = Server::start(script).await;
    let target = server.target(Security::Opportunistic, Trust::anybody());
    let login = Login {
        clear_text: true,
        ..tim(&[Mechanism::Ntlm, Mechanism::Plain])
    };
    let (stage, text) = failure(&target, &login).await;
    assert_eq!(stage, Stage::Authentication);
    assert!(text.contains("we have NTLM"), "{text}");
    server.heard().await;
    // With clear-text mechanisms alone there is no second connection.
    let server = Server::start(broken()).await;
    let target = server.target(Security::Opportunistic, Trust::anybody());
    let (stage, _) = failure(&target, &tim(&[Mechanism::Plain])).await;
    assert_eq!(stage, Stage::Tls);
    server.heard.abort();
}

#[tokio::test]
async fn r3207_4_2_c_octets_in_clear_after_the_220_are_an_attack() {
    let script = |end: Vec<Step>| {
        let mut script = vec![
            Say("220 h\r\n"),
            Hear(EHLO),
            Say("250-h\r\n250 STARTTLS\r\n"),
            Hear("STARTTLS"),
        ];
        script.extend(end);
        script
    };
    for end in [
        vec![Say("220 go\r\n250 h\r\n")],
        // Behind our first word of TLS.
        vec![Say("220 go\r\n"), Any, Say("250 h\r\n")],
    ] {
        let server = Server::start(script(end)).await;
        let target = server.target(Security::Opportunistic, Trust::anybody());
        let unopened = soon(unopened(&target, &Login::default())).await;
        assert!(unopened.injected);
        assert_eq!(unopened.error.stage(), Stage::Tls);
        let text = unopened.to_string();
        assert!(text.contains("attack"), "{text}");
        // Neither another word nor another connection.
        let heard = server.heard().await;
        assert_eq!(heard.get(1).map(String::as_str), Some("STARTTLS"));
        assert!(!heard.concat().contains("EHLO client.example.org\r\n"));
    }
}

#[tokio::test]
async fn a_handshake_that_fails_otherwise_is_no_attack() {
    let server = Server::start(vec![
        Say("220 h\r\n"),
        Hear(EHLO),
        Say("250-h\r\n250 STARTTLS\r\n"),
        Hear("STARTTLS"),
        Say("220 go\r\n"),
        Tls,
    ])
    .await;
    let other = Server::start(vec![]).await;
    let target = server.target(Security::Required, other.pinned());
    let unopened = unopened(&target, &Login::default()).await;
    assert!(!unopened.injected);
    assert_eq!(unopened.error.stage(), Stage::Tls);
    assert_eq!(unopened.address, Some(format!("127.0.0.1:{}", server.port)));
    assert_eq!(unopened.tls, None);
}

#[tokio::test]
async fn r6066_3_sni_is_a_name_in_a_labels_and_never_an_address() {
    for (tls_name, sni) in [
        (None, ""),
        (Some("192.0.2.1"), ""),
        (Some("Mail.Example.org."), "mail.example.org"),
        // RFC 3492 section 7.1, the second sample.
        (
            Some("他们为什么不说中文.example"),
            "xn--ihqwcrb4cv8a8dqg056pqjye.example",
        ),
    ] {
        let server = Server::start(vec![Tls, Sni, Say("554 no\r\n")]).await;
        let target = Target {
            tls_name: tls_name.map(str::to_owned),
            ..server.target(Security::Implicit, Trust::anybody())
        };
        let unopened = unopened(&target, &Login::default()).await;
        assert!(unopened.tls.is_some(), "{unopened}");
        assert_eq!(server.heard().await[0], sni);
    }
}

#[tokio::test]
async fn r8314_3_3_implicit_tls_comes_before_the_greeting() {
    let server = Server::start(vec![
        Tls,
        Say("220 h\r\n"),
        Hear(EHLO),
        Say("250-h\r\n250 AUTH LOGIN\r\n"),
        Hear("AUTH LOGIN"),
        Say("334 VXNlcm5hbWU6\r\n"),
        Hear("dGlt"),
        Say("334 UGFzc3dvcmQ6\r\n"),
        Hear("dGFuc3RhYWZ0YW5zdGFhZg=="),
        Say("235 2.7.0 yes\r\n"),
        Hear("QUIT"),
        Say("221 h\r\n"),
    ])
    .await;
    let target = server.target(Security::Implicit, server.pinned());
    let dialogue = open(&target, &tim(&[Mechanism::Login])).await.unwrap();
    dialogue.quit().await;
    server.heard().await;
}

#[tokio::test]
async fn r8314_3_3_a_server_without_tls_fails_the_handshake() {
    let server = Server::start(vec![Say("220 h ready\r\n")]).await;
    let target = server.target(Security::Implicit, server.pinned());
    assert_eq!(failure(&target, &Login::default()).await.0, Stage::Tls);
}

#[tokio::test]
async fn cl_mech_clear_the_host_judges_for_itself() {
    let server = Server::start(vec![
        Say("220 h\r\n"),
        Hear(EHLO),
        Say("250-h\r\n250 AUTH NTLM\r\n"),
        Hear("QUIT"),
        Say("221 h\r\n"),
    ])
    .await;
    let target = server.target(Security::Off, Trust::anybody());
    let login = Login {
        provider: None,
        ..tim(&[Mechanism::Ntlm, Mechanism::Plain])
    };
    let dialogue = open(&target, &login).await.unwrap();
    assert!(dialogue.may_confide(Mechanism::Ntlm).is_ok());
    assert!(dialogue.may_confide(Mechanism::Plain).is_err());
    assert!(dialogue.may_confide(Mechanism::CramMd5).is_err());
    dialogue.quit().await;
    server.heard().await;
}
