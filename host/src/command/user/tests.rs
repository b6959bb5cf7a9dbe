//! `pillarbox user` by behaviour.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use clap::Parser;

use super::*;
use crate::users::verifiers::Shown;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

struct Scratch {
    folder: tempfile::TempDir,
}

const NTLM_ONLY: &str = "[[listener]]\nmechanisms = [\"ntlm\"]\n";
const PLAIN_ONLY: &str = "[[listener]]\nmechanisms = [\"plain\"]\n";

impl Scratch {
    fn new(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let scratch = Self { folder };
        scratch.configure(more);
        scratch
    }

    fn configure(&self, more: &str) {
        let text = format!("hostname = \"mail.example.org\"\nstate-dir = \"state\"\n{more}");
        fs::write(self.config(), text).unwrap();
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("pillarbox.toml")
    }

    fn users(&self) -> PathBuf {
        self.folder.path().join("state/users.toml")
    }

    /// `pillarbox user LINE --config ...`, with this password if one is asked for.
    fn run(&self, line: &str, password: &str) -> Result<String, String> {
        let config = self.config();
        let words = ["user"].into_iter().chain(line.split(' ')).map(Into::into);
        let place = ["--config".into(), config.into_os_string()];
        let line = Line::try_parse_from(words.chain(place)).unwrap();
        let mut out = Vec::new();
        let ask = |_: &str| Ok(Zeroizing::new(password.to_owned()));
        execute(&line.arguments.verb, &Shown, &ask, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    fn records(&self) -> Vec<Record> {
        file::read(&self.users()).unwrap()
    }
}

fn fits(record: &Record, password: &str) -> bool {
    use argon2::{Argon2, PasswordHash, PasswordVerifier as _};
    let hash = PasswordHash::new(record.password.as_deref().unwrap()).unwrap();
    Argon2::default()
        .verify_password(password.as_bytes(), &hash)
        .is_ok()
}

#[test]
fn a_user_is_added_shown_and_removed() {
    let scratch = Scratch::new("");
    let said = scratch
        .run("add alice --domain example.org", "secret")
        .unwrap();
    assert!(said.starts_with("added alice@example.org to "), "{said}");
    assert!(
        said.contains(
            "(argon2id hash for LOGIN and PLAIN, NT hash for NTLM, SCRAM keys for SCRAM-SHA-256)"
        ),
        "{said}"
    );
    let [alice] = <[Record; 1]>::try_from(scratch.records()).unwrap();
    assert_eq!(alice.name, "alice@example.org");
    assert!(fits(&alice, "secret") && !fits(&alice, "Secret"));
    assert_eq!(alice.nt.as_ref().unwrap().octets()[0], 6);
    assert!(
        !fs::read_to_string(scratch.users())
            .unwrap()
            .contains("secret")
    );
    assert_eq!(
        fs::metadata(scratch.users()).unwrap().permissions().mode() & 0o7777,
        0o600
    );

    scratch.run("add bob", "hunter2").unwrap();
    let list = scratch.run("list", "").unwrap();
    assert_eq!(
        list,
        "alice@example.org  login plain ntlm scram-sha-256\n\
         bob                login plain ntlm scram-sha-256\n"
    );

    let said = scratch.run("remove ALICE@example.org", "").unwrap();
    assert!(
        said.starts_with("removed alice@example.org from "),
        "{said}"
    );
    assert_eq!(scratch.records().len(), 1);
}

#[test]
fn only_what_the_mechanisms_need_is_stored() {
    let scratch = Scratch::new(NTLM_ONLY);
    let said = scratch.run("add alice", "secret").unwrap();
    assert!(said.contains("(NT hash for NTLM)"), "{said}");
    assert!(scratch.records()[0].password.is_none());
    scratch.configure(PLAIN_ONLY);
    let said = scratch.run("password alice", "secret").unwrap();
    assert!(
        said.contains("(argon2id hash for LOGIN and PLAIN)"),
        "{said}"
    );
    assert!(
        scratch.records()[0].nt.is_none(),
        "the NT hash is gone with the mechanism"
    );
    assert_eq!(scratch.run("list", "").unwrap(), "alice  login plain\n");
    // Nobody can log in, yet.
    scratch.configure("[[listener]]\nauth = \"off\"\nnetworks = [\"192.0.2.0/24\"]\n");
    scratch.run("add bob", "secret").unwrap();
    assert!(scratch.records()[1].password.is_some() && scratch.records()[1].nt.is_none());
}

#[test]
fn who_lacks_a_verifier_is_named() {
    let scratch = Scratch::new(PLAIN_ONLY);
    scratch.run("add alice", "secret").unwrap();
    file::edit(&scratch.users(), None, |records| {
        records.push(Record {
            certificates: vec!["subject:CN=scanner".into()],
            ..Record::new("scanner")
        });
        Ok::<_, UsersError>(())
    })
    .unwrap();
    scratch.configure("[[listener]]\nmechanisms = [\"scram-sha-1\", \"cram-md5\", \"plain\"]\n");
    assert_eq!(
        scratch.run("list", "").unwrap(),
        "alice    login plain, lacks cram-md5 scram-sha-1\n\
         scanner  no password, 1 certificate\n"
    );
    let said = scratch.run("password alice", "secret").unwrap();
    assert!(
        said.contains("HMAC-MD5 states for CRAM-MD5, SCRAM keys for SCRAM-SHA-1)"),
        "{said}"
    );
    // RFC 4013 section 2.3 forbids it, and PLAIN does not.
    let said = scratch.run("password alice", "bell\u{7}").unwrap();
    assert!(
        said.contains("none for SCRAM-SHA-1, which cannot carry"),
        "{said}"
    );
    assert!(scratch.records()[0].scram_sha_1.is_none());
}

#[test]
fn r4954_4_o_names_are_kept_as_they_are_compared() {
    let scratch = Scratch::new("");
    scratch.run("add ju\u{308}rgen", "secret").unwrap();
    assert_eq!(scratch.records()[0].name, "j\u{fc}rgen");
    let error = scratch.run("add a\u{7}b", "secret").unwrap_err();
    assert!(error.contains("RFC 4013"), "{error}");
}

#[test]
fn a_new_password_leaves_the_rest() {
    let scratch = Scratch::new("");
    scratch.run("add alice", "old").unwrap();
    file::edit(&scratch.users(), None, |records| {
        records[0].disabled = true;
        records[0].senders.push("*@example.net".into());
        Ok::<_, UsersError>(())
    })
    .unwrap();
    let said = scratch.run("password Alice", "new password").unwrap();
    assert!(said.starts_with("alice has a new password in "), "{said}");
    let [alice] = <[Record; 1]>::try_from(scratch.records()).unwrap();
    assert!(fits(&alice, "new password") && !fits(&alice, "old"));
    assert!(alice.disabled && alice.senders == ["*@example.net"]);
    let list = scratch.run("list", "").unwrap();
    assert_eq!(
        list,
        "alice  login plain ntlm scram-sha-256, disabled, also sends as *@example.net\n"
    );
}

#[test]
fn json_says_what_a_script_wants_to_know() {
    let scratch = Scratch::new("");
    assert_eq!(scratch.run("list --json", "").unwrap(), "");
    assert!(scratch.run("list", "").unwrap().starts_with("no users in "));
    scratch.run("add alice", "secret").unwrap();
    let value: serde_json::Value =
        serde_json::from_str(&scratch.run("list --json", "").unwrap()).unwrap();
    let expected = serde_json::json!(
        {"name": "alice", "password": true, "nt": true, "cram_md5": false, "scram_sha_1": false,
         "scram_sha_256": true, "lacks": [], "disabled": false, "senders": [], "recipients": [],
         "certificates": []}
    );
    assert_eq!(value, expected);
}

#[test]
fn failures_say_why_and_what_to_do() {
    let scratch = Scratch::new("");
    scratch.run("add alice", "secret").unwrap();
    let before = fs::read(scratch.users()).unwrap();
    for (line, why) in [
        ("add ALICE", "there is a user alice already"),
        ("add ALICE", "`pillarbox user password alice`"),
        (
            "add a@b.example --domain c.example",
            "has a domain already; leave --domain out",
        ),
        ("add a\\b", "no backslash; use a name such as alice"),
        ("add a@", "has no domain after the @"),
        ("remove bob", "there is no user bob in"),
        ("password bob", "`pillarbox user list --config"),
    ] {
        let error = scratch.run(line, "secret").unwrap_err();
        assert!(error.contains(why), "{line}: {error}");
    }
    assert_eq!(fs::read(scratch.users()).unwrap(), before);
    fs::write(scratch.users(), "[[user]]\nnme = 1\n").unwrap();
    let error = scratch.run("list", "").unwrap_err();
    assert!(
        error.contains("users.toml:2: user[0].nme: unknown key; nearest known key: \"name\""),
        "{error}"
    );
    scratch.configure("nonsense = 1\n");
    let error = scratch.run("add bob", "secret").unwrap_err();
    assert!(
        error.contains("nothing was done") && error.contains("nonsense: unknown key"),
        "{error}"
    );
}

#[test]
fn removing_from_nothing_makes_nothing() {
    let scratch = Scratch::new("");
    assert!(
        scratch
            .run("remove bob", "")
            .unwrap_err()
            .contains("there is no user bob")
    );
    assert!(!scratch.users().exists());
}

#[test]
fn r6409_6_1_rights_of_a_user_are_set_and_shown() {
    let scratch = Scratch::new(PLAIN_ONLY);
    scratch.run("add alice@example.org", "secret").unwrap();
    let said = scratch
        .run("allow ALICE@example.org --sender info@example.org --sender @example.net --recipient *@example.org", "")
        .unwrap();
    assert_eq!(
        said,
        "alice@example.org sends as himself and as info@example.org *@example.net, to *@example.org\n"
    );
    let listed = scratch.run("list --json", "").unwrap();
    let shown: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(
        shown["senders"],
        serde_json::json!(["info@example.org", "*@example.net"])
    );
    assert_eq!(shown["recipients"], serde_json::json!(["*@example.org"]));
    // Only what was named changes.
    let said = scratch
        .run("allow alice@example.org --no-senders", "")
        .unwrap();
    assert_eq!(
        said,
        "alice@example.org sends as himself, to *@example.org\n"
    );
    let said = scratch
        .run("allow alice@example.org --any-recipient", "")
        .unwrap();
    assert_eq!(said, "alice@example.org sends as himself, to everybody\n");
    for wrong in ["example.org", "*@", "a*@example.org"] {
        let why = scratch
            .run(&format!("allow alice@example.org --recipient {wrong}"), "")
            .unwrap_err();
        assert!(why.contains("is no address"), "{why}");
    }
    let why = scratch.run("allow bob --any-recipient", "").unwrap_err();
    assert!(why.contains("no user bob"), "{why}");
}
