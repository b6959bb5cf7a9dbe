//! Tokens from commands.

use super::{Clock, Options, Tokens, failure, secret};
use crate::oauth::{Grant, Settings};
use std::time::{Duration, Instant};

fn command(text: &str) -> Settings {
    Settings {
        user: "scanner@example.org".into(),
        grant: Grant::Command(text.into()),
    }
}

#[tokio::test]
async fn a_bare_token_is_believed_for_five_minutes() {
    let folder = tempfile::tempdir().unwrap();
    let count = folder.path().join("count");
    let text = format!("echo >> {0}; echo T$(wc -l < {0})", count.display());
    let clock = Clock::new();
    let tokens = Tokens::with(command(&text), clock.options());
    assert_eq!(secret(&tokens).await, "T1");
    clock.pass(269);
    assert_eq!(secret(&tokens).await, "T1");
    clock.pass(1);
    assert_eq!(secret(&tokens).await, "T2");
}

#[tokio::test]
async fn json_tells_the_life() {
    let text = r#"echo '{"access_token": "T", "expires_in": 1800}'"#;
    let token = Tokens::new(command(text)).token().await.unwrap();
    assert!(!token.assumed && token.life > Duration::from_secs(1700));
}

#[tokio::test]
async fn what_commands_do_wrong() {
    for (text, said) in [
        ("exit 3", "exit status: 3"),
        ("echo s3cret >&2; exit 1", "`pillarbox oauth token` shows"),
        ("echo s3cret; exit 1", "fails"),
        ("true", "empty token"),
        ("echo s3cret and more", "the token alone"),
        ("printf 's3cret\\001'", "the token alone"),
        ("yes s3cret", "more than 64 KiB"),
        ("/no/such/program", "exit status: 127"),
        ("kill -9 $$", "signal"),
    ] {
        let error = failure(&Tokens::new(command(text))).await;
        assert!(error.contains(said), "{text}: {error}");
        assert!(!error.contains("s3cret"), "{text}: {error}");
    }
}

#[tokio::test]
async fn a_command_that_hangs_is_killed_with_all_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let (late, ready) = (folder.path().join("late"), folder.path().join("ready"));
    let text = format!(
        "(echo > {}; sleep 2; echo > {}) & sleep 60",
        ready.display(),
        late.display()
    );
    let options = Options {
        command_patience: Duration::from_millis(500),
        ..Options::default()
    };
    let began = Instant::now();
    let error = failure(&Tokens::with(command(&text), options)).await;
    assert!(error.contains("takes longer"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(20));
    assert!(ready.exists());
    tokio::time::sleep(Duration::from_millis(2200)).await;
    assert!(!late.exists());
}

#[tokio::test]
async fn a_command_has_no_input() {
    assert_eq!(secret(&Tokens::new(command("cat; echo T"))).await, "T");
}

#[test]
fn no_debug_shows_a_command_or_token() {
    let tokens = Tokens::new(command("print-token --key s3cret"));
    assert!(!format!("{tokens:?}").contains("s3cret"));
}
