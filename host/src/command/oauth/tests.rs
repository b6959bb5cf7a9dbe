use super::login::by_device;
use super::request::{Arguments as Wanted, Provider};
use super::*;
use crate::oauth::Grant;
use clap::Parser;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    oauth: Arguments,
}

fn login(arguments: &[&str]) -> Wanted {
    let all = ["oauth", "login"].iter().chain(arguments);
    match CommandLine::try_parse_from(all).unwrap().oauth.verb {
        Verb::Login(wanted) => *wanted,
        Verb::Token { .. } => panic!("another verb"),
    }
}

fn problem<T>(result: Result<T, Refusal>) -> String {
    match result {
        Ok(_) => panic!("there is no problem"),
        Err(Refusal::Usage(text) | Refusal::Failed(text)) => text,
    }
}

fn private(folder: &TempDir, name: &str, content: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// A configuration with these routes.
fn site(routes: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("hostname = \"mail.example.org\"\n{routes}");
    let path = private(&folder, "pillarbox.toml", &text);
    (folder, path)
}

const ONE: &str = r#"
[[route]]
name = "office"
domains = ["*"]
deliver = "smtp://smtp.office365.com:587"
[route.auth]
user = "scanner@example.org"
token-url = "https://login.microsoftonline.com/example.org/oauth2/v2.0/token"
client-id = "11111111-2222-3333-4444-555555555555"
refresh-token-file = "refresh-token"
"#;

#[test]
fn presets_need_a_client_and_a_file_alone() {
    let wanted = login(&[
        "--provider",
        "microsoft",
        "--tenant",
        "example.org",
        "--client-id",
        "client",
        "--refresh-token-file",
        "/etc/pillarbox/refresh-token",
    ]);
    let request = wanted.request().unwrap();
    let vendor = &request.login.vendor;
    assert_eq!(
        vendor.device_url.as_deref(),
        Some("https://login.microsoftonline.com/example.org/oauth2/v2.0/devicecode")
    );
    assert_eq!(
        vendor.scope,
        "https://outlook.office.com/SMTP.Send offline_access"
    );
    let google = Wanted {
        provider: Some(Provider::Google),
        tenant: None,
        scope: Some("other".into()),
        ..wanted
    };
    let request = google.request().unwrap();
    assert_eq!(request.login.vendor.device_url, None);
    assert!(request.login.vendor.authorization_url.is_some());
    assert_eq!(request.login.vendor.scope, "other");
}

#[test]
fn a_route_says_the_rest() {
    let (folder, config) = site(ONE);
    let wanted = login(&["--config", config.to_str().unwrap()]);
    let request = wanted.request().unwrap();
    assert_eq!(request.user.as_deref(), Some("scanner@example.org"));
    assert_eq!(
        request.login.client_id,
        "11111111-2222-3333-4444-555555555555"
    );
    assert_eq!(
        request.refresh_token_file,
        folder.path().join("refresh-token")
    );
    assert_eq!(
        request.login.vendor.device_url.as_deref(),
        Some("https://login.microsoftonline.com/example.org/oauth2/v2.0/devicecode")
    );
    assert!(problem(login(&["--config", "/no/such/file"]).request()).contains("/no/such/file"));
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    let complete = ["--client-id", "c", "--refresh-token-file", "f"];
    for (more, said) in [
        (
            &["--token-url", "https://sso.example.org/token"][..],
            "--device-url",
        ),
        (&["--provider", "microsoft", "--tenant", "a/b"], "directory"),
        (&["--provider", "google", "--tenant", "a"], "--tenant"),
    ] {
        let all: Vec<&str> = complete.iter().chain(more).copied().collect();
        let text = problem(login(&all).request());
        assert!(text.contains(said), "{text}");
    }
}

#[test]
fn a_route_is_found_by_its_name() {
    let two = format!(
        "{}{}",
        ONE.replace("\"*\"", "\"example.org\""),
        ONE.replace("office", "other").replace("scanner", "printer")
    );
    let (_folder, path) = site(&format!(
        "{two}\n[[route]]\nname = \"local\"\ndomains = [\"example.net\"]\ndeliver = \"hold\"\n"
    ));
    let config = load(&path).unwrap();
    let find = |name| of_route(&config, name, |_| true);
    assert_eq!(find(Some("other")).unwrap().user, "printer@example.org");
    assert!(problem(find(None)).contains("office, other"));
    assert!(problem(find(Some("local"))).contains("no such tokens"));
    assert!(problem(find(Some("nowhere"))).contains("no route nowhere"));
    let none = of_route(&config, None, |settings| {
        matches!(settings.grant, Grant::Command(_))
    });
    assert!(problem(none).contains("token-command"));
}

#[test]
fn a_person_is_told_where_to_go() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for body in [
            r#"{"device_code":"d","user_code":"WDJB-MJHT","expires_in":900,
                "verification_uri":"https://example.com/device"}"#,
            r#"{"access_token":"T","refresh_token":"refresh-1"}"#,
        ] {
            let (mut stream, _) = listener.accept().unwrap();
            let mut octets = [0; 4096];
            let mut read = 0;
            // All of the form is there when its last parameter is.
            while !octets[..read].ends_with(b"client_id=c")
                && !octets[..read].ends_with(b"scope=mail")
            {
                read += stream.read(&mut octets[read..]).unwrap();
            }
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            )
            .unwrap();
        }
    });
    let wanted = login(&[
        "--client-id",
        "c",
        "--refresh-token-file",
        "f",
        "--scope",
        "mail",
        "--device-url",
        &url,
        "--token-url",
        &url,
    ]);
    let mut out = Vec::new();
    let token = by_device(&wanted.request().unwrap(), &mut out, |_| {}).unwrap();
    assert_eq!(token.expose_secret(), "refresh-1");
    let text = String::from_utf8(out).unwrap();
    for part in ["https://example.com/device", "WDJB-MJHT", "15m"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(!text.contains("refresh-1"));
}

#[test]
fn a_token_is_told_about_and_not_shown() {
    let settings = Settings {
        user: "scanner@example.org".into(),
        grant: Grant::Command("print-token --key s3cret".into()),
    };
    let token = Token {
        secret: "t0ken".into(),
        life: Duration::from_millis(299_900),
        assumed: true,
        scope: None,
        unsaved: false,
        number: 1,
    };
    assert_eq!(
        shown(&settings, &token),
        "scanner@example.org: a token of 5 octets from the token command, good for 4m 59s \
         (assumed: its source does not tell)"
    );
}

#[test]
fn a_token_is_fetched_as_the_service_does() {
    let (_folder, path) = site(
        r#"
[[route]]
name = "relay"
domains = ["*"]
deliver = "smtp://smtp.example.org"
auth = { user = "scanner@example.org", token-command = "echo T" }
"#,
    );
    token(&path, Some("relay")).unwrap();
    token(&path, None).unwrap();
    assert!(problem(token(&path, Some("other"))).contains("no route other"));
}

#[test]
fn the_routes_of_the_documentation_can_be_used() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/oauth.md");
    let text = fs::read_to_string(path).unwrap();
    let blocks: Vec<&str> = text
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        // The other half of the guide is about tokens that clients show.
        .filter(|block| block.contains("[[route]]"))
        .collect();
    assert_eq!(blocks.len(), 4);
    for block in blocks {
        let (_folder, path) = site(block);
        let config = load(&path).unwrap();
        let settings = of_route(&config, None, |_| true).unwrap();
        assert_eq!(settings.user, "scanner@example.org");
    }
}
