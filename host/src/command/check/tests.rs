//! `pillarbox check` by behaviour.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use rcgen::{CertificateParams, KeyPair};

use super::*;

/// Keys that no password has.
const SCRAM: &str = "scram-sha-256 = \"SCRAM-SHA-256$15000:AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"";

struct Scratch {
    folder: tempfile::TempDir,
    now: SystemTime,
}

impl Scratch {
    /// A configuration with a certificate for ninety days, a key and a user.
    fn new(more: &str) -> Self {
        let scratch = Self {
            folder: tempfile::tempdir().unwrap(),
            now: SystemTime::now(),
        };
        scratch.configure(&format!(
            "[tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n{more}"
        ));
        let key = scratch.certificate("mail.example.org", 0, 90);
        scratch.write("key.pem", &key.serialize_pem(), 0o600);
        let hash = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let nt = "0".repeat(32);
        fs::create_dir(scratch.path("state")).unwrap();
        scratch.write(
            "state/users.toml",
            &format!("[[user]]\nname = \"alice\"\npassword = \"{hash}\"\nnt = \"{nt}\"\n{SCRAM}\n"),
            0o600,
        );
        scratch
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn configure(&self, more: &str) {
        // Whoever runs the tests: an account that exists, so that nothing is said about root.
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid())
            .unwrap()
            .unwrap()
            .name;
        let text = format!(
            "hostname = \"mail.example.org\"\nstate-dir = \"state\"\nuser = \"{user}\"\n{more}"
        );
        self.write("pillarbox.toml", &text, 0o644);
    }

    /// Writes a certificate that is valid from so many days after now to so many days after now.
    fn certificate(&self, name: &str, from: i64, until: i64) -> KeyPair {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let seconds = self
            .now
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let at = |days: i64| {
            let date = x509_parser::time::ASN1Time::from_timestamp(
                i64::try_from(seconds).unwrap() + days * 86_400 - 60,
            );
            date.unwrap().to_datetime()
        };
        (params.not_before, params.not_after) = (at(from), at(until));
        self.write("cert.pem", &params.self_signed(&key).unwrap().pem(), 0o644);
        key
    }

    fn found(&self) -> Vec<(Level, String, String)> {
        self.found_with(&|_| None)
    }

    fn found_with(
        &self,
        component: &dyn Fn(Option<&Path>) -> Option<String>,
    ) -> Vec<(Level, String, String)> {
        let examined = examine(&self.path("pillarbox.toml"), component, self.now);
        let part = |finding: Finding| (finding.level, finding.key.clone(), finding.to_string());
        examined.findings.into_iter().map(part).collect()
    }
}

/// The findings are of these levels and keys, and their texts have these parts.
fn assert_found(found: &[(Level, String, String)], expected: &[(Level, &str, &str)]) {
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for ((level, key, text), (of, at, part)) in found.iter().zip(expected) {
        assert_eq!((level, key.as_str()), (of, *at), "{text}");
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_good_installation_has_no_findings() {
    assert_found(&Scratch::new("").found(), &[]);
}

#[test]
fn the_component_is_asked_about() {
    let scratch = Scratch::new("");
    let broken = scratch.found_with(&|file| file.is_none().then(|| "imports sockets".to_owned()));
    assert_found(&broken, &[(Level::Error, "component", "imports sockets")]);
    let scratch = Scratch::new("[component]\npath = \"my.wasm\"\n");
    let missing =
        scratch.found_with(&|file| Some(format!("cannot read {}", file.unwrap().display())));
    assert_found(&missing, &[(Level::Error, "component.path", "my.wasm")]);
    assert!(
        missing[0].2.contains("pillarbox.toml:8: component.path"),
        "{}",
        missing[0].2
    );
}

#[test]
fn a_key_of_another_certificate_is_found() {
    let scratch = Scratch::new("");
    scratch.write(
        "key.pem",
        &KeyPair::generate().unwrap().serialize_pem(),
        0o604,
    );
    assert_found(
        &scratch.found(),
        &[
            (Level::Warning, "tls.key", "everybody on this host can read"),
            (Level::Error, "tls.key", "is not the key of the certificate"),
        ],
    );
}

#[test]
fn dates_and_names_of_the_certificate_are_checked() {
    for (name, from, until, expected) in [
        (
            "mail.example.org",
            -90,
            0,
            (Level::Error, "has been out of date since"),
        ),
        (
            "mail.example.org",
            1,
            90,
            (Level::Error, "is not valid before"),
        ),
        (
            "mail.example.org",
            -76,
            14,
            (Level::Warning, "is valid only until"),
        ),
        (
            "www.example.org",
            0,
            90,
            (Level::Warning, "is not for mail.example.org"),
        ),
    ] {
        let scratch = Scratch::new("");
        scratch.write(
            "key.pem",
            &scratch.certificate(name, from, until).serialize_pem(),
            0o600,
        );
        assert_found(
            &scratch.found(),
            &[(expected.0, "tls.certificate", expected.1)],
        );
    }
    let scratch = Scratch::new("");
    scratch.write(
        "key.pem",
        &scratch
            .certificate("*.example.org", -75, 15)
            .serialize_pem(),
        0o600,
    );
    assert_found(&scratch.found(), &[]);
}

#[test]
fn files_that_are_missing_or_something_else_are_found_together() {
    let scratch = Scratch::new("");
    fs::remove_file(scratch.path("cert.pem")).unwrap();
    scratch.write(
        "key.pem",
        "-----BEGIN NOTHING-----\n-----END NOTHING-----\n",
        0o600,
    );
    scratch.write("state/users.toml", "[[user]]\nnam = \"alice\"\n", 0o600);
    assert_found(
        &scratch.found(),
        &[
            (Level::Error, "tls.certificate", "cannot read"),
            (Level::Error, "tls.key", "there is no private key in"),
            (
                Level::Error,
                "user[0].name",
                "users.toml:1: user[0].name: is missing",
            ),
            (
                Level::Error,
                "user[0].nam",
                "users.toml:2: user[0].nam: unknown key; nearest known key: \"name\"",
            ),
        ],
    );
    scratch.write("cert.pem", "", 0o600);
    assert_found(
        &scratch.found()[..1],
        &[(
            Level::Error,
            "tls.certificate",
            "there is no certificate in",
        )],
    );
}

#[test]
fn users_that_cannot_use_an_offered_mechanism_are_named() {
    let scratch = Scratch::new("");
    let hash = "password = \"$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"";
    let nt = format!("nt = \"{}\"", "0".repeat(32));
    let users = format!(
        "[[user]]\nname = \"alice\"\n{hash}\n{SCRAM}\n[[user]]\nname = \"bob\"\n{nt}\n{SCRAM}\n\
         [[user]]\nname = \"carol\"\n{hash}\n[[user]]\nname = \"dave\"\ndisabled = true\n\
         [[user]]\nname = \"eve\"\ncertificates = [\"subject:CN=eve\"]\n"
    );
    scratch.write("state/users.toml", &users, 0o644);
    assert_found(
        &scratch.found(),
        &[
            (Level::Warning, "auth.path", "has mode 0644"),
            (
                Level::Warning,
                "auth.path",
                "LOGIN or PLAIN is offered, but there is no argon2id hash of bob; set the password again",
            ),
            (
                Level::Warning,
                "auth.path",
                "NTLM is offered, but there is no NT hash of alice, carol; one login with LOGIN or PLAIN",
            ),
            (
                Level::Warning,
                "auth.path",
                "SCRAM-SHA-256 is offered, but there are no SCRAM keys of carol;",
            ),
        ],
    );
    scratch.write("state/users.toml", "", 0o600);
    assert_found(
        &scratch.found(),
        &[(
            Level::Warning,
            "auth.path",
            "has no users, so nobody can log in",
        )],
    );
}

#[test]
fn client_authorities_are_looked_at() {
    let listener =
        "[[listener]]\nclient-certificate = \"asked\"\nclient-authorities = \"ca.pem\"\n";
    let scratch = Scratch::new(listener);
    let key = "listener[0].client-authorities";
    let expected = |text| [(Level::Error, key, text)];
    assert_found(&scratch.found(), &expected("cannot read"));
    scratch.write("ca.pem", "nothing", 0o644);
    assert_found(&scratch.found(), &expected("no certificate in"));
    let own = fs::read_to_string(scratch.path("cert.pem")).unwrap();
    scratch.write("ca.pem", &own, 0o644);
    assert_found(&scratch.found(), &[]);
}

#[test]
fn folders_that_cannot_be_written_are_found() {
    let scratch = Scratch::new("");
    let file = scratch.path("pillarbox.toml");
    let at = file.display();
    scratch.configure(&format!(
        "[tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n\
         [[route]]\ndomains = [\"a.example\"]\ndeliver = \"maildir:{}/mail/{{local}}\"\n\
         [[route]]\ndomains = [\"*\"]\ndeliver = \"maildir:{at}/{{domain}}\"\n",
        scratch.folder.path().display()
    ));
    assert_found(
        &scratch.found(),
        &[(Level::Error, "route[1].deliver", "is no folder")],
    );
}

#[test]
fn secrets_of_routes_are_there_private_and_secrets() {
    let scratch = Scratch::new(
        "[[route]]\ndomains = [\"a.example\"]\ndeliver = \"smtp://a.example\"\n\
         auth = { user = \"u\", password-file = \"password\" }\n\
         [[route]]\ndomains = [\"b.example\"]\ndeliver = \"smtp://a.example\"\n\
         auth = { user = \"u\", token-url = \"https://a.example/\", client-id = \"c\", \
         client-secret-file = \"client\", refresh-token-file = \"refresh\" }\n",
    );
    let keys = [
        "route[0].auth.password-file",
        "route[1].auth.client-secret-file",
        "route[1].auth.refresh-token-file",
    ];
    let all = |level, part: &'static str| keys.map(|key| (level, key, part));
    assert_found(&scratch.found(), &all(Level::Error, "No such file"));
    let names = ["password", "client", "refresh"];
    for (content, mode, expected) in [
        ("s3cret\n", 0o600, None),
        ("s3cret\n", 0o640, Some((Level::Warning, "has mode 0640"))),
        ("s3cret\n", 0o604, Some((Level::Error, "chmod 600"))),
        ("\n", 0o600, Some((Level::Error, "is empty"))),
        ("one\ntwo\n", 0o600, Some((Level::Error, "several lines"))),
    ] {
        for name in names {
            scratch.write(name, content, mode);
        }
        let expected = expected.map(|(level, part)| all(level, part).to_vec());
        assert_found(&scratch.found(), &expected.unwrap_or_default());
    }
}

#[test]
fn commands_of_routes_and_alarms_exist() {
    let scratch = Scratch::new(
        "[[route]]\ndomains = [\"a.example\"]\ndeliver = \"smtp://a.example\"\n\
         auth = { user = \"u\", password-command = \"/no/such/program --now\" }\n\
         [[route]]\ndomains = [\"b.example\"]\ndeliver = \"smtp://a.example\"\n\
         auth = { user = \"u\", token-command = \"no-such-program-here\" }\n\
         [[route]]\ndomains = [\"c.example\"]\ndeliver = \"smtp://a.example\"\n\
         auth = { user = \"u\", token-command = \"LANG=C sh token\" }\n\
         [[route]]\ndomains = [\"d.example\"]\ndeliver = \"smtp://a.example\"\n\
         auth = { user = \"u\", token-command = \"bin/token\" }\n\
         [alarm]\ncommand = \"/etc/passwd\"\n",
    );
    assert_found(
        &scratch.found(),
        &[
            (
                Level::Error,
                "route[0].auth.password-command",
                "/no/such/program does not exist",
            ),
            (
                Level::Warning,
                "route[1].auth.token-command",
                "there is no program no-such-program-here in PATH",
            ),
            (
                Level::Warning,
                "route[3].auth.token-command",
                "bin/token counts from where the service is started",
            ),
            (Level::Error, "alarm.command", "/etc/passwd may not be run"),
        ],
    );
}

#[test]
fn authorities_and_sockets_of_routes_are_looked_at() {
    let scratch = Scratch::new(
        "[[route]]\ndomains = [\"a.example\"]\ndeliver = \"smtp://a.example\"\ntls = \"required\"\n\
         tls-authorities = \"missing.pem\"\n\
         [[route]]\ndomains = [\"b.example\"]\ndeliver = \"smtp://a.example\"\ntls-authorities = \"key.pem\"\n\
         [[route]]\ndomains = [\"c.example\"]\ndeliver = \"smtps://a.example\"\ntls-authorities = \"cert.pem\"\n\
         [[route]]\ndomains = [\"d.example\"]\ndeliver = \"lmtp:/no/such/socket\"\n",
    );
    let socket = scratch.path("lmtp");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let file = fs::read_to_string(scratch.path("pillarbox.toml")).unwrap();
    let more = format!(
        "[[route]]\ndomains = [\"e.example\"]\ndeliver = [\"lmtp:{}\", \"lmtp:{}\"]\n",
        socket.display(),
        scratch.path("key.pem").display(),
    );
    scratch.write("pillarbox.toml", &(file + &more), 0o644);
    assert_found(
        &scratch.found(),
        &[
            (Level::Error, "route[0].tls-authorities", "missing.pem"),
            (
                Level::Error,
                "route[1].tls-authorities",
                "no certificate in",
            ),
            (
                Level::Warning,
                "route[3].deliver",
                "there is no socket /no/such/socket",
            ),
            (Level::Warning, "route[4].deliver", "key.pem is no socket"),
        ],
    );
}

#[test]
fn findings_are_shown_to_people_and_to_programs() {
    let scratch = Scratch::new("");
    fs::remove_file(scratch.path("cert.pem")).unwrap();
    let file = scratch.path("pillarbox.toml");
    let shown = |json| {
        let examined = examine(&file, &|_| None, scratch.now);
        let (mut out, mut errors) = (Vec::new(), Vec::new());
        let good = show(&file, &examined, json, &mut out, &mut errors).unwrap();
        (
            good,
            String::from_utf8(out).unwrap(),
            String::from_utf8(errors).unwrap(),
        )
    };
    let (good, out, errors) = shown(false);
    assert!(!good && out.is_empty());
    let first = format!("error: {}:5: tls.certificate: cannot read ", file.display());
    assert!(errors.starts_with(&first), "{errors}");
    assert!(
        errors.ends_with("cannot be used: 1 error, 0 warnings\n"),
        "{errors}"
    );

    let (good, out, _) = shown(true);
    assert!(!good);
    let value: serde_json::Value = serde_json::from_str(out.trim()).unwrap();
    assert_eq!(
        (&value["level"], &value["line"], &value["key"]),
        (&"error".into(), &5.into(), &"tls.certificate".into())
    );

    scratch.write(
        "key.pem",
        &scratch
            .certificate("mail.example.org", 0, 90)
            .serialize_pem(),
        0o600,
    );
    let (good, out, errors) = shown(false);
    assert!(good && errors.is_empty(), "{errors}");
    assert!(
        out.ends_with("can be used: 2 listeners, 1 user, 1 route, 0 warnings\n"),
        "{out}"
    );
    let (good, out, errors) = shown(true);
    assert!(good && out.is_empty() && errors.is_empty());
}

#[test]
fn a_configuration_that_cannot_be_used_is_reported_alone() {
    let scratch = Scratch::new("");
    scratch.configure("nonsense = 1\n");
    let found = scratch.found_with(&|_| panic!("nothing else is looked at"));
    assert_eq!(
        found
            .iter()
            .filter(|(level, ..)| *level == Level::Error)
            .count(),
        1,
        "{found:#?}"
    );
}

#[test]
fn r6409_8_5_keys_that_cannot_sign_are_found() {
    let keys = "[submission]\nfrom = \"own\"\n\
                [[dkim]]\ndomain = \"example.org\"\nselector = \"good\"\nkey = \"good.pem\"\n\
                [[dkim]]\ndomain = \"example.org\"\nselector = \"none\"\nkey = \"none.pem\"\n\
                [[dkim]]\ndomain = \"example.org\"\nselector = \"open\"\nkey = \"open.pem\"\n\
                [[dkim]]\ndomain = \"example.org\"\nselector = \"short\"\nkey = \"short.pem\"\n";
    let scratch = Scratch::new(keys);
    let ed25519 = crate::dkim::Algorithm::Ed25519;
    crate::dkim::generate(&scratch.path("good.pem"), ed25519, 0).unwrap();
    let pem = fs::read_to_string(scratch.path("good.pem")).unwrap();
    scratch.write("open.pem", &pem, 0o644);
    scratch.write("short.pem", SHORT, 0o600);
    assert_found(
        &scratch.found(),
        &[
            (Level::Error, "dkim[1].key", "none.pem"),
            (Level::Error, "dkim[2].key", "by everybody"),
            (Level::Error, "dkim[3].key", "less than 2048 bits"),
        ],
    );
}

#[test]
fn r6409_8_5_signing_whatever_from_says_is_worth_a_warning() {
    let scratch = Scratch::new(
        "[[dkim]]\ndomain = \"example.org\"\nselector = \"good\"\nkey = \"good.pem\"\n",
    );
    crate::dkim::generate(
        &scratch.path("good.pem"),
        crate::dkim::Algorithm::Ed25519,
        0,
    )
    .unwrap();
    assert_found(
        &scratch.found(),
        &[(Level::Warning, "submission.from", "consider from = \"own\"")],
    );
}

/// An RSA key of 1024 bits that OpenSSL made, PKCS#1, for nothing but this.
const SHORT: &str = "\
-----BEGIN RSA PRIVATE KEY-----\n\
MIICWwIBAAKBgQDU01edCKqCk2jJKGwPBMTnxbyvqOUUmXvz3oTuv4bS/pjdLUOJ\n\
w9G1HPlv4g5p9d88MKF/blslcctRDlNIcE3V5vq5FY/bXJBdCTy3OPCGuLAjj4Lj\n\
IuOyugmMoWA91v1yXghb+U3gmc+6PhobWd7S1gYVKvqt5ezp0Yo8VZ+wSQIDAQAB\n\
AoGAXbKSDxPCpewqJO3D7TTHT9cRhDCScmhEVxBvbAEsZXYrbKzB4EQy7k7MToKy\n\
n9ncp04tu8GlJS4dOhlZdzniOe2H3wrCvx6+kawsDXPRwJYD1wgxhWz2sn1GcoVv\n\
MHdajr6gPhI3FSvlzx8iub2iCyEJvAeiAMeuDl6C9dd/u1UCQQDqtXc3Ao/fDQWu\n\
9UxAR8CiwFhiDlR3uBPMTKp187q5ELo6uyxX08qy3qcYUdmV+Z3vBKlwPthpAzly\n\
b4LTLHZzAkEA6CGw5RxSVeZa9QulkR1bClGYcaddbjS4VL+yqHnv7xzjNmnCJe8a\n\
MlT/Ve0WhqrvDEfHlXNwZZRX5e3Mu3pTUwJAI+rDJJLqy1plzUFSet/AFefTXqYM\n\
vQlZVkFBMK2snFd3+DbecU5CzZ6O+YTFBFNfnM0c1MV5PpC0wNNZtNEwCwJAPTAc\n\
S9gyT9g/o5YlV2IQjGDDuTmvpAwbhqNdOZGi0DmiHsaz2YH0Os4y2/h51peaGXeW\n\
QWvDddMrdD1BmS1+ZwJAfxA3eF5sGRL16hSMXfpvWbJIRS0jOob4FRwrRSH57x1q\n\
7yyljx/7BxKf1Q1YxdJEilos0cGNRXzPBpa+WrnLPQ==\n\
-----END RSA PRIVATE KEY-----\n";

#[test]
fn r6409_8_7_aliases_are_checked_where_they_stand() {
    let scratch = Scratch::new("");
    let routes = |aliases: &str, more: &str| {
        scratch.configure(&format!(
            "{aliases}\n[tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n\
             [[route]]\ndomains = [\"example.org\"]\ndeliver = \"hold\"\n\
             {more}"
        ));
        scratch.found()
    };
    let file = "aliases = \"aliases\"";
    assert_found(
        &routes(file, ""),
        &[(Level::Error, "aliases", "cannot read the aliases")],
    );
    scratch.write(
        "aliases",
        "root: alice@example.org, bob@example.org\n\
         a: b\n\
         b: a\n\
         c: |run\n\
         Root: carol@example.org\n\
         away@example.org: x@example.net\n\
         self@example.org: self, root\n",
        0o644,
    );
    let found = routes(file, "");
    assert_found(
        &found,
        &[
            (Level::Error, "", "aliases:4: |run is a program"),
            (
                Level::Error,
                "",
                "aliases:2: a leads back to itself by way of b@",
            ),
            (
                Level::Error,
                "",
                "aliases:3: b leads back to itself by way of a@",
            ),
            (Level::Warning, "", "aliases:5: Root is an alias in line 1"),
            (
                Level::Warning,
                "",
                "aliases:6: away@example.org leads to x@example.net, for which there is no [[route]]",
            ),
        ],
    );
    scratch.write("aliases", "root: alice@example.org\n", 0o644);
    assert_found(&routes(file, ""), &[]);
    // In the order of the names.
    let table = "[aliases]\npostmaster = \"a@example.org\"\n\"a@example.org\" = \"postmaster@mail.example.org\"";
    let found = routes(table, "");
    assert_found(
        &found,
        &[
            (
                Level::Error,
                "aliases.a@example.org",
                "toml:6: aliases.a@example.org: a@example.org leads back",
            ),
            (
                Level::Error,
                "aliases.postmaster",
                "toml:5: aliases.postmaster: postmaster leads back",
            ),
        ],
    );
}
