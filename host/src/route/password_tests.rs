//! Passwords by behaviour.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn write(path: &Path, content: impl AsRef<[u8]>, mode: u32) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

async fn secret(password: &Password) -> Result<String, String> {
    password
        .credentials(Mechanism::Plain)
        .await
        .map(|credentials| credentials.secret)
        .map_err(|error| error.text)
}

#[tokio::test]
async fn a_file_is_read_at_each_use() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    let password = Password::file("relay", "", path.clone());
    let why = secret(&password).await.unwrap_err();
    assert!(
        why.starts_with("no password for relay: cannot read password-file /"),
        "{why}"
    );
    for (content, expected) in [
        ("s3cret", "s3cret"),
        ("s3cret\n", "s3cret"),
        ("s3cret\r\n", "s3cret"),
        (" with spaces \n", " with spaces "),
        ("pässword", "pässword"),
    ] {
        write(&path, content, 0o600);
        assert_eq!(secret(&password).await.unwrap(), expected);
    }
    assert!(!password.refused().await);
}

#[tokio::test]
async fn a_file_that_is_no_password_is_refused_and_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    let password = Password::file("relay", "", path.clone());
    for (content, part) in [
        (&b""[..], "is empty"),
        (b"\n", "is empty"),
        (b"s3cret\nmore\n", "has several lines"),
        (b"s3cret\0", "has several lines"),
        (b"s3cret\xff", "is no text"),
        (&[b's'; 4_097], "has more than 4096 octets"),
    ] {
        write(&path, content, 0o600);
        let why = secret(&password).await.unwrap_err();
        assert!(why.contains(part) && !why.contains("s3cret"), "{why}");
    }
    write(&path, [b's'; 4_096], 0o600);
    assert_eq!(secret(&password).await.unwrap().len(), 4_096);
    write(&path, "s3cret", 0o604);
    let why = secret(&password).await.unwrap_err();
    assert!(why.contains("chmod 600"), "{why}");
    let password = Password::file("relay", "", folder.path().to_owned());
    assert!(secret(&password).await.unwrap_err().contains("is no file"));
}

#[tokio::test]
async fn a_command_is_run_once_for_some_minutes_and_again_after_a_refusal() {
    let folder = tempfile::tempdir().unwrap();
    let count = folder.path().join("count");
    let command = format!("echo x >> {0}; wc -l < {0} | tr -d ' '", count.display());
    let password = Password::command("relay", "", &command);
    let (one, two) = tokio::join!(secret(&password), secret(&password));
    assert_eq!((one.as_deref(), two.as_deref()), (Ok("1"), Ok("1")));
    // The connection whose password was refused is not to try another one.
    assert!(!password.refused().await);
    assert_eq!(secret(&password).await.as_deref(), Ok("2"));
    if let Source::Command { kept, .. } = &password.source {
        let mut kept = kept.lock().await;
        let until = kept.as_mut().map(|(_, until)| until).unwrap();
        assert!(*until > Instant::now() + Duration::from_secs(240));
        *until = Instant::now();
    }
    assert_eq!(secret(&password).await.as_deref(), Ok("3"));
}

#[tokio::test]
async fn a_command_that_gives_no_password_is_told_without_its_words() {
    for (command, part) in [
        (
            "echo s3cret >&2; exit 3",
            "password-command fails (exit status: 3)",
        ),
        ("kill -9 $$", "password-command fails (signal: 9"),
        (
            "exec /no/such/command",
            "password-command fails (exit status: 127)",
        ),
        ("true", "password-command prints what is empty"),
        ("echo s3cret; echo more", "prints what has several lines"),
        ("yes s3cret", "prints more than 4096 octets"),
    ] {
        let why = secret(&Password::command("relay", "", command))
            .await
            .unwrap_err();
        assert!(
            why.contains(part) && !why.contains("s3cret"),
            "{command}: {why}"
        );
    }
}

#[tokio::test]
async fn a_failure_is_remembered_for_a_moment() {
    let folder = tempfile::tempdir().unwrap();
    let count = folder.path().join("count");
    let command = format!("echo x >> {}; exit 1", count.display());
    let password = Password::command("relay", "", &command);
    let (one, two) = tokio::join!(secret(&password), secret(&password));
    assert!(one.is_err() && two.is_err());
    assert_eq!(fs::read_to_string(&count).unwrap(), "x\n");
}

#[tokio::test]
async fn a_command_that_does_not_end_is_killed_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let late = folder.path().join("late");
    let mut password = Password::command(
        "relay",
        "",
        &format!("(sleep 1; echo x > {}) & echo secret; wait", late.display()),
    );
    if let Source::Command { patience, .. } = &mut password.source {
        *patience = Duration::from_millis(300);
    }
    let why = secret(&password).await.unwrap_err();
    assert!(why.contains("password-command takes longer than"), "{why}");
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert!(!late.exists());
}

#[tokio::test]
async fn ntlm_gets_user_and_domain_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    write(&path, "x", 0o600);
    for (user, domain, mechanism, expected) in [
        ("CORP\\relay", "", Mechanism::Ntlm, ("CORP", "relay")),
        ("CORP\\relay", "", Mechanism::Plain, ("", "CORP\\relay")),
        (
            "CORP\\relay",
            "OWN",
            Mechanism::Ntlm,
            ("OWN", "CORP\\relay"),
        ),
        ("relay", "CORP", Mechanism::Ntlm, ("CORP", "relay")),
    ] {
        let password = Password::file(user, domain, path.clone());
        let credentials = password.credentials(mechanism).await.unwrap();
        assert_eq!(
            (credentials.domain.as_str(), credentials.user.as_str()),
            expected
        );
    }
}
