//! The file backend by behaviour.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::users::NtHash;

const ARGON: &str = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$\
                     AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn alice() -> Record {
    Record {
        name: "Alice@example.org".into(),
        password: Some(ARGON.into()),
        nt: Some(NtHash::from(*b"0123456789abcdef")),
        disabled: true,
        senders: vec!["info@example.org".into(), "*@example.net".into()],
        ..Record::new("")
    }
}

fn add(path: &Path, record: Record) {
    edit(path, None, |records| {
        records.push(record);
        Ok::<_, UsersError>(())
    })
    .unwrap();
}

#[test]
fn what_was_written_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/er/users.toml");
    assert_eq!(read(&path).unwrap(), []);
    add(&path, alice());
    add(&path, Record::new("bob"));
    assert_eq!(read(&path).unwrap(), [alice(), Record::new("bob")]);
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
        0o600
    );
    let folder = path.parent().unwrap();
    assert_eq!(
        fs::metadata(folder).unwrap().permissions().mode() & 0o7777,
        0o700
    );
    assert_eq!(
        fs::read_dir(folder).unwrap().count(),
        1,
        "nothing is left behind"
    );
    let text = fs::read_to_string(&path).unwrap();
    assert!(
        text.contains("nt = \"30313233343536373839616263646566\""),
        "{text}"
    );
}

#[test]
fn the_file_belongs_to_the_service_and_stays_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state/users.toml");
    // Only root can give files away; others are the service themselves.
    let (user, group) = (nix::unistd::geteuid(), nix::unistd::getegid());
    let service = if user.is_root() {
        (12_345, 12_346)
    } else {
        (user.as_raw(), group.as_raw())
    };
    for owner in [Some(service), None] {
        edit(&path, owner, |records| {
            records.push(Record::new(if owner.is_some() { "alice" } else { "bob" }));
            Ok::<_, UsersError>(())
        })
        .unwrap();
        for made in [path.as_path(), path.parent().unwrap()] {
            let metadata = fs::metadata(made).unwrap();
            assert_eq!((metadata.uid(), metadata.gid()), service, "{made:?}");
        }
    }
}

#[test]
fn a_change_that_fails_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.toml");
    add(&path, alice());
    let before = fs::read(&path).unwrap();
    let failed = edit(&path, None, |records| {
        records.clear();
        Err::<(), UsersError>(UsersError::Malformed {
            path: PathBuf::new(),
            findings: vec![],
        })
    });
    assert!(failed.is_err());
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_file_left_behind_by_a_crash_is_no_obstacle() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.toml");
    fs::write(folder.path().join("users.toml.new"), "half a fi").unwrap();
    add(&path, alice());
    assert_eq!(read(&path).unwrap(), [alice()]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_link_stays_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let (link, real) = (
        folder.path().join("users.toml"),
        folder.path().join("real.toml"),
    );
    fs::write(&real, "").unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    add(&link, alice());
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(read(&real).unwrap(), [alice()]);
}

#[test]
fn editors_at_the_same_time_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.toml");
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let path = &path;
            scope.spawn(move || {
                (0..5).for_each(|n| add(path, Record::new(&format!("u{thread}-{n}"))))
            });
        }
    });
    assert_eq!(read(&path).unwrap().len(), 40);
}

#[test]
fn all_mistakes_are_found_with_their_lines() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.toml");
    let text = format!(
        "users = []\n[[user]]\nname = \"alice\"\npasword = \"{ARGON}\"\n\
         [[user]]\nname = \"ALICE\"\npassword = \"hunter2\"\nnt = \"0123\"\n\
         [[user]]\ndisabled = 1\n\
         [[user]]\nname = \"DOM\\\\bob\"\nsenders = [\"x\", \"a*@b.example\", \"*@b.example\"]\n\
         [[user]]\nname = \"carol@\"\n"
    );
    fs::write(&path, text).unwrap();
    let Err(UsersError::Malformed { findings, .. }) = read(&path) else {
        panic!("must not be good")
    };
    let seen: Vec<_> = findings
        .iter()
        .map(|f| (f.line.unwrap(), f.key.as_str(), f.text.as_str()))
        .collect();
    let expected = [
        (1, "users", "nearest known key: \"user\""),
        (4, "user[0].pasword", "nearest known key: \"password\""),
        (6, "user[1].name", "\"ALICE\" is the user of line 3 already"),
        (7, "user[1].password", "is no argon2id hash in PHC form"),
        (8, "user[1].nt", "is no NT hash of 32 hex digits"),
        (9, "user[2].name", "is missing"),
        (
            12,
            "user[3].name",
            "must have no white space and no backslash",
        ),
        (13, "user[3].senders[0]", "\"x\" is no address"),
        (13, "user[3].senders[1]", "\"a*@b.example\" is no address"),
        (15, "user[4].name", "has no domain after the @"),
    ];
    assert_eq!(seen.len(), expected.len(), "{seen:#?}");
    for ((line, key, text), (at, of, part)) in seen.iter().zip(expected) {
        assert_eq!((*line, *key), (at, of));
        assert!(text.contains(part), "{text}");
    }
    assert!(
        !format!("{findings:?}").contains("hunter2"),
        "a password must not be shown"
    );
}

#[test]
fn secrets_do_not_show_in_debug() {
    let shown = format!("{:?}", alice());
    assert!(shown.contains("Alice") && !shown.contains("argon2id") && !shown.contains("3031"));
}

#[tokio::test]
async fn names_are_found_in_any_case_and_changes_show() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.toml");
    let users = FileUsers::with_look(&path, Duration::ZERO);
    assert!(users.known("alice@example.org").is_none());
    assert!(
        users.find("alice@example.org").await.unwrap().is_none(),
        "no file, no users"
    );
    add(&path, alice());
    let found = users.find("alice@EXAMPLE.org").await.unwrap().unwrap();
    assert_eq!(*found, alice());
    assert_eq!(users.known("ALICE@example.org"), Some(found));

    edit(&path, None, |records| {
        records[0].disabled = false;
        Ok::<_, UsersError>(())
    })
    .unwrap();
    assert!(
        !users
            .find("alice@example.org")
            .await
            .unwrap()
            .unwrap()
            .disabled
    );

    // Sender rights follow without another login, and after a reload made the store anew.
    edit(&path, None, |records| {
        records[0].senders.clear();
        Ok::<_, UsersError>(())
    })
    .unwrap();
    for users in [&users, &FileUsers::new(&path)] {
        assert!(users.known("alice@example.org").unwrap().senders.is_empty());
    }

    fs::remove_file(&path).unwrap();
    assert!(users.find("alice@example.org").await.unwrap().is_some());
    assert!(users.find("alice@example.org").await.unwrap().is_none());
}

#[tokio::test]
async fn an_editor_that_empties_the_file_first_is_not_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.toml");
    add(&path, Record::new("bob"));
    let users = FileUsers::with_look(&path, Duration::ZERO);
    let empties: [fn(&Path); 3] = [
        |path| fs::write(path, "").unwrap(),
        |path| fs::write(path, "# nobody yet\n").unwrap(),
        |path| fs::remove_file(path).unwrap(),
    ];
    for empty in empties {
        assert!(users.find("bob").await.unwrap().is_some());
        empty(&path);
        assert!(users.find("bob").await.unwrap().is_some(), "first look");
        fs::write(&path, "[[user]]\nname = \"bob\"\nsenders = [\"a@b\"]\n").unwrap();
        let bob = users.known("bob").unwrap();
        assert_eq!(bob.senders, ["a@b"]);
        add(&path, Record::new("carol"));
        assert!(users.find("carol").await.unwrap().is_some());
    }
}

#[tokio::test]
async fn no_users_at_two_looks_are_no_users() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.toml");
    add(&path, Record::new("bob"));
    let users = FileUsers::with_look(&path, Duration::ZERO);
    assert!(users.find("bob").await.unwrap().is_some());
    edit(&path, None, |records| {
        records.clear();
        Ok::<_, UsersError>(())
    })
    .unwrap();
    assert!(users.known("bob").is_some(), "first look");
    assert!(users.known("bob").is_none(), "the same file, again");
    // A broken file between two empty ones begins anew.
    add(&path, Record::new("bob"));
    assert!(users.known("bob").is_some());
    for (text, look) in [("", 1), ("[[user]\n", 2), ("", 3)] {
        fs::write(&path, text).unwrap();
        assert!(users.known("bob").is_some(), "look {look}");
    }
    assert!(users.known("bob").is_none());
}

#[tokio::test]
async fn r4954_6_b_a_file_that_cannot_be_read_is_not_one_without_users() {
    let folder = tempfile::tempdir().unwrap();
    // A folder in its place, or a file where its folder should be: root may read all others.
    let inside = folder.path().join("users.toml");
    fs::create_dir(&inside).unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [inside, file.join("users.toml")] {
        let users = FileUsers::with_look(&path, Duration::ZERO);
        for _ in 0..2 {
            assert!(users.find("bob").await.is_err(), "{path:?}");
            assert!(users.known("bob").is_none());
        }
        let seen = users.shared.state.read().unwrap().seen;
        assert_eq!(seen, None, "it will be read again");
    }
}

#[tokio::test]
async fn the_file_is_looked_at_once_in_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.toml");
    let users = FileUsers::with_look(&path, Duration::from_secs(3_600));
    assert!(users.find("bob").await.unwrap().is_none());
    add(&path, Record::new("bob"));
    assert!(users.find("bob").await.unwrap().is_none(), "not yet due");
}

#[tokio::test]
async fn a_broken_file_leaves_the_last_good_users() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.toml");
    add(&path, Record::new("bob"));
    let users = FileUsers::with_look(&path, Duration::ZERO);
    assert!(users.find("bob").await.unwrap().is_some());
    fs::write(&path, "[[user]\n").unwrap();
    assert!(users.find("bob").await.unwrap().is_some());
    // Without a good state there is no answer, rather than "no such user".
    let users = FileUsers::with_look(&path, Duration::from_secs(3_600));
    for _ in 0..2 {
        assert!(users.find("bob").await.is_err());
    }
    fs::write(&path, "[[user]]\nname = \"bob\"\n").unwrap();
    assert!(users.find("bob").await.unwrap().is_some());
}
