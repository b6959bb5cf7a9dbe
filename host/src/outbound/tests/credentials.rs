//! Where credentials come from, and what a refusal leads to.

use super::Step::{Hear, Next, Say};
use super::*;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Fails.
struct Broken;

#[async_trait]
impl Provider for Broken {
    async fn credentials(&self, _: Mechanism) -> Result<Credentials, CredentialsError> {
        Err(CredentialsError {
            text: "the token command ended with status 1: run it by hand".into(),
        })
    }
}

/// Never answers.
struct Silent;

#[async_trait]
impl Provider for Silent {
    async fn credentials(&self, _: Mechanism) -> Result<Credentials, CredentialsError> {
        std::future::pending().await
    }
}

/// Gives `old`, and once it is refused `new`.
#[derive(Default)]
struct Tokens {
    refused: AtomicBool,
    given: AtomicU32,
}

#[async_trait]
impl Provider for Tokens {
    async fn credentials(&self, _: Mechanism) -> Result<Credentials, CredentialsError> {
        self.given.fetch_add(1, Ordering::Relaxed);
        let new = self.refused.load(Ordering::Relaxed);
        Ok(Credentials {
            user: "u".into(),
            domain: String::new(),
            workstation: String::new(),
            secret: if new { "new" } else { "old" }.into(),
        })
    }

    async fn refused(&self) -> bool {
        !self.refused.swap(true, Ordering::Relaxed)
    }
}

fn login(provider: Arc<dyn Provider>) -> Login {
    Login {
        mechanisms: vec![Mechanism::Plain],
        clear_text: true,
        provider: Some(provider),
    }
}

/// Up to AUTH; the responses are those of RFC 4616 section 2.
fn greeting() -> [Step; 3] {
    [
        Say("220 h\r\n"),
        Hear(EHLO),
        Say("250-h\r\n250 AUTH PLAIN\r\n"),
    ]
}

#[tokio::test]
async fn a_provider_that_fails_ends_the_session_before_anything_is_said() {
    let patient = Timeouts::default();
    let hasty = Timeouts {
        command: Duration::from_millis(200),
        ..patient
    };
    for (provider, timeouts, part) in [
        (
            Arc::new(Broken) as Arc<dyn Provider>,
            patient,
            "run it by hand",
        ),
        (Arc::new(Silent), hasty, "no credentials within"),
    ] {
        let mut script = Vec::from(greeting());
        script.extend([Hear("QUIT"), Say("221 h\r\n")]);
        let server = Server::start(script).await;
        let target = Target {
            timeouts,
            ..target(server.port)
        };
        let unopened = soon(unopened(&target, &login(provider))).await;
        match &unopened.error {
            OutboundError::Credentials(error) => {
                assert!(error.text.contains(part), "{error}");
            }
            error => panic!("{error}"),
        }
        assert_eq!(unopened.error.stage(), Stage::Authentication);
        assert!(unopened.error.is_temporary());
        assert!(unopened.address.is_some());
        assert_eq!(server.heard().await.len(), 2);
    }
}

#[tokio::test]
async fn a_refused_token_is_followed_by_one_connection_with_a_new_one() {
    let mut script = Vec::from(greeting());
    script.extend([
        Hear("AUTH PLAIN AHUAb2xk"),
        Say("535 5.7.8 no\r\n"),
        Hear("QUIT"),
        Say("221 h\r\n"),
        Next,
    ]);
    script.extend(greeting());
    script.extend([
        Hear("AUTH PLAIN AHUAbmV3"),
        Say("235 2.7.0 yes\r\n"),
        Hear("QUIT"),
        Say("221 h\r\n"),
    ]);
    let server = Server::start(script).await;
    let tokens = Arc::new(Tokens::default());
    let target = target(server.port);
    let dialogue = open(&target, &login(Arc::clone(&tokens) as _))
        .await
        .unwrap();
    dialogue.quit().await;
    server.heard().await;
    assert_eq!(tokens.given.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_new_token_that_is_refused_too_is_the_end() {
    let mut script = Vec::new();
    for response in ["AUTH PLAIN AHUAb2xk", "AUTH PLAIN AHUAbmV3"] {
        script.extend(greeting());
        script.extend([
            Hear(response),
            Say("535 5.7.8 no\r\n"),
            Hear("QUIT"),
            Say("221 h\r\n"),
            Next,
        ]);
    }
    let server = Server::start(script).await;
    let tokens = Arc::new(Tokens::default());
    let target = target(server.port);
    let (stage, _) = soon(failure(&target, &login(Arc::clone(&tokens) as _))).await;
    assert_eq!(stage, Stage::Authentication);
    assert_eq!(tokens.given.load(Ordering::Relaxed), 2);
    server.heard.abort();
}

#[tokio::test]
async fn cl_mech_next_a_refused_password_is_not_tried_again() {
    for reply in [
        "535 5.7.8 no\r\n",
        "454 4.7.0 later\r\n",
        "504 5.5.4 what\r\n",
    ] {
        let mut script = Vec::from(greeting());
        script.extend([
            Hear("AUTH PLAIN"),
            Say(reply),
            Hear("QUIT"),
            Say("221 h\r\n"),
        ]);
        let server = Server::start(script).await;
        // A token may be renewed, but only where it is to blame.
        let provider: Arc<dyn Provider> = if reply.starts_with("535") {
            Arc::new(Tim)
        } else {
            Arc::new(Tokens::default())
        };
        let target = target(server.port);
        let (stage, _) = soon(failure(&target, &login(provider))).await;
        assert_eq!(stage, Stage::Authentication, "{reply}");
        server.heard().await;
    }
}
