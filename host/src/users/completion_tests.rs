//! Completion by behaviour, with the file backend.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use std::path::Path;

use super::*;
use crate::users::argon::Cost;
use crate::users::verifiers::Shown;
use crate::users::{FileUsers, UsersError, file};

const KINDS: [Kind; 2] = [Kind::Nt, Kind::ScramSha256];

fn add(path: &Path, names: &[&str]) {
    file::edit(path, None, |records| {
        for name in names {
            let cost = Cost {
                memory: 8,
                passes: 1,
            };
            records.push(Record {
                password: Some(cost.hash(name.as_bytes()).unwrap()),
                senders: vec!["info@example.org".into()],
                ..Record::new(name)
            });
        }
        Ok::<_, UsersError>(())
    })
    .unwrap();
}

fn incomplete(path: &Path, name: &str) -> Incomplete {
    let records = file::read(path).unwrap();
    let record = records.into_iter().find(|record| record.name == name);
    Incomplete {
        record: Arc::new(record.unwrap()),
        lacks: KINDS.to_vec(),
        password: Zeroizing::new("secret".to_owned()),
    }
}

async fn idle(completion: &Completion) {
    while !completion.state().under_way.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn lacking(path: &Path) -> usize {
    let records = file::read(path).unwrap();
    let lacks = records
        .iter()
        .filter(|record| !record.lacks(&KINDS).is_empty());
    lacks.count()
}

#[tokio::test]
async fn who_lacks_verifiers_gets_them_and_nothing_else_changes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.toml");
    let names = ["alice", "bob", "carol"];
    add(&path, &names);
    let completion = Completion::new(Arc::new(FileUsers::new(&path)));
    for _ in 0..3 {
        for name in names {
            completion.begin(incomplete(&path, name), Arc::new(Shown));
        }
    }
    // `pillarbox user` at the same time.
    let other = path.clone();
    let editing = tokio::task::spawn_blocking(move || add(&other, &["dave"]));
    editing.await.unwrap();
    idle(&completion).await;
    let records = file::read(&path).unwrap();
    assert_eq!(records.len(), 4);
    assert_eq!(lacking(&path), 1, "dave");
    for record in &records[..3] {
        assert_eq!(record.senders, ["info@example.org"]);
        assert!(record.password.is_some() && record.cram_md5.is_none());
    }
}

#[tokio::test]
async fn a_password_that_was_changed_meanwhile_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.toml");
    add(&path, &["alice"]);
    let completion = Completion::new(Arc::new(FileUsers::new(&path)));
    let shown = incomplete(&path, "alice");
    file::edit(&path, None, |records| {
        records[0].password = Some(Cost::default().hash(b"other").unwrap());
        Ok::<_, UsersError>(())
    })
    .unwrap();
    let before = std::fs::read(&path).unwrap();
    completion.begin(shown, Arc::new(Shown));
    idle(&completion).await;
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_store_that_cannot_be_written_is_left_alone_for_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.toml");
    add(&path, &["alice"]);
    let shown = || incomplete(&path, "alice");
    let first = shown();
    let second = shown();
    let completion = Completion::new(Arc::new(FileUsers::new(&path)));
    // A folder where the new file would be written: nobody can, whoever runs the tests.
    std::fs::create_dir(folder.path().join("users.toml.new")).unwrap();
    completion.begin(first, Arc::new(Shown));
    idle(&completion).await;
    assert!(completion.state().rests.is_some());
    std::fs::remove_dir(folder.path().join("users.toml.new")).unwrap();
    completion.begin(second, Arc::new(Shown));
    assert!(completion.state().under_way.is_empty());
    assert_eq!(lacking(&path), 1);
}
