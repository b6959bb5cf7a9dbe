//! What is asked, and which files are read and written.

use super::server::{Answer, Server, error, granted};
use super::{CLIENT_SECRET, Clock, FIRST, Grant, Site, Tokens, failure, private, secret};
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[tokio::test]
async fn rfc_6749_section_6_request() {
    let (server, site) = (Server::new(|_, _| granted("T")), Site::new());
    assert_eq!(secret(&Tokens::new(site.refresh(&server))).await, "T");
    let heard = &server.heard()[0];
    assert!(heard.head.starts_with("POST /token HTTP/1.1\r\n"));
    let head = heard.head.to_lowercase();
    assert!(head.contains("content-type: application/x-www-form-urlencoded\r\n"));
    assert!(!head.contains("authorization:"));
    assert_eq!(heard.field("grant_type"), Some("refresh_token"));
    assert_eq!(heard.field("refresh_token"), Some(FIRST));
    assert_eq!(heard.field("client_id"), Some("pillarbox-client"));
    assert_eq!(heard.field("client_secret"), None);
    assert_eq!(heard.field("scope"), Some("mail offline_access"));
}

#[tokio::test]
async fn rfc_6749_section_4_4_2_request() {
    let (server, site) = (Server::new(|_, _| granted("T")), Site::new());
    let tokens = Tokens::new(site.client_credentials(&server));
    assert_eq!(secret(&tokens).await, "T");
    let heard = &server.heard()[0];
    assert_eq!(heard.field("grant_type"), Some("client_credentials"));
    assert_eq!(heard.field("client_id"), Some("pillarbox-client"));
    assert_eq!(heard.field("client_secret"), Some(CLIENT_SECRET));
    assert_eq!(
        heard.field("scope"),
        Some("https://outlook.office365.com/.default")
    );
}

#[tokio::test]
async fn rfc_6749_section_2_3_1_a_server_that_wants_the_header_gets_it() {
    let server = Server::new(|_, request| {
        if request
            .head
            .to_lowercase()
            .contains("\r\nauthorization: basic ")
        {
            assert_eq!(request.field("client_secret"), None);
            granted("T")
        } else {
            error(401, "invalid_client")
        }
    });
    let site = Site::new();
    let tokens = Tokens::new(site.client_credentials(&server));
    assert_eq!(secret(&tokens).await, "T");
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_new_refresh_token_is_written_and_used() {
    let server = Server::new(|number, request| {
        let expected = format!("refresh-{number}");
        assert_eq!(request.field("refresh_token"), Some(expected.as_str()));
        let next = number + 1;
        Answer::Json(
            200,
            format!(
                r#"{{"access_token":"T{number}","token_type":"Bearer","expires_in":3600,
                    "refresh_token":"refresh-{next}"}}"#
            ),
        )
    });
    let (site, clock) = (Site::new(), Clock::new());
    let tokens = Tokens::with(site.refresh(&server), clock.options());
    for number in 1..=3 {
        let token = tokens.token().await.unwrap();
        assert!(!token.unsaved);
        assert_eq!(site.refresh_token(), format!("refresh-{}\n", number + 1));
        clock.pass(3600);
    }
    let metadata = fs::metadata(site.path("refresh-token")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    // Nothing is left behind.
    assert_eq!(fs::read_dir(site.folder.path()).unwrap().count(), 2);
}

/// A server that gives each refresh token once, and what it was asked with.
fn rotating() -> Server {
    Server::new(|number, request| {
        let given = request.field("refresh_token").unwrap();
        Answer::Json(
            200,
            format!(
                r#"{{"access_token":"for-{given}","expires_in":3600,
                    "refresh_token":"next-{number}"}}"#
            ),
        )
    })
}

#[tokio::test]
async fn a_refresh_token_that_cannot_be_written_is_kept() {
    let (server, site, clock) = (rotating(), Site::new(), Clock::new());
    let tokens = Tokens::with(site.refresh(&server), clock.options());
    // (A folder of its own name is in the way of the temporary file, which stops root as well.)
    let obstacle = site.path(&format!("refresh-token.new-{}", std::process::id()));
    fs::create_dir(&obstacle).unwrap();
    let token = tokens.token().await.unwrap();
    assert!(token.unsaved);
    assert_eq!(site.refresh_token(), FIRST);
    clock.pass(3600);
    assert_eq!(secret(&tokens).await, "for-next-1");
    fs::remove_dir(&obstacle).unwrap();
    clock.pass(3600);
    assert_eq!(secret(&tokens).await, "for-next-2");
    assert_eq!(site.refresh_token(), "next-3\n");
    assert!(!tokens.token().await.unwrap().unsaved);
}

#[tokio::test]
async fn a_new_login_counts_more_than_what_was_kept() {
    let (server, site, clock) = (rotating(), Site::new(), Clock::new());
    let tokens = Tokens::with(site.refresh(&server), clock.options());
    let obstacle = site.path(&format!("refresh-token.new-{}", std::process::id()));
    fs::create_dir(&obstacle).unwrap();
    assert!(tokens.token().await.unwrap().unsaved);
    fs::remove_dir(&obstacle).unwrap();
    private(&site.path("refresh-token"), "logged-in-anew");
    clock.pass(3600);
    assert_eq!(secret(&tokens).await, "for-logged-in-anew");
}

#[tokio::test]
async fn what_was_kept_survives_a_failed_fetch() {
    let server = Server::new(|number, request| match number {
        1 => Answer::Json(
            200,
            r#"{"access_token":"T1","expires_in":3600,"refresh_token":"refresh-2"}"#.into(),
        ),
        2 => error(500, "server_error"),
        _ => granted(request.field("refresh_token").unwrap()),
    });
    let (site, clock) = (Site::new(), Clock::new());
    let tokens = Tokens::with(site.refresh(&server), clock.options());
    let obstacle = site.path(&format!("refresh-token.new-{}", std::process::id()));
    fs::create_dir(&obstacle).unwrap();
    secret(&tokens).await;
    clock.pass(3600);
    failure(&tokens).await;
    fs::remove_dir(&obstacle).unwrap();
    clock.pass(3600);
    assert_eq!(secret(&tokens).await, "refresh-2");
    assert_eq!(site.refresh_token(), "refresh-2\n");
}

#[tokio::test]
async fn files_that_are_missing_or_open_to_all_are_named() {
    let (server, site, clock) = (Server::new(|_, _| granted("T")), Site::new(), Clock::new());
    let path = site.path("client-secret");
    let tokens = Tokens::with(site.client_credentials(&server), clock.options());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let error = failure(&tokens).await;
    assert!(
        error.contains("client-secret") && error.contains("chmod 600"),
        "{error}"
    );
    clock.pass(5);
    fs::remove_file(&path).unwrap();
    assert!(failure(&tokens).await.contains("client-secret"));
    assert_eq!(server.count(), 0);

    let mut settings = site.refresh(&server);
    if let Grant::RefreshToken {
        refresh_token_file, ..
    } = &mut settings.grant
    {
        *refresh_token_file = site.path("nowhere");
    }
    let error = failure(&Tokens::new(settings)).await;
    assert!(
        error.contains("nowhere") && error.contains("pillarbox oauth login"),
        "{error}"
    );
}

#[tokio::test]
async fn no_secret_is_sent_in_clear() {
    let site = Site::new();
    let tokens = Tokens::new(site.refresh_at("http://sso.example.org/token"));
    let error = failure(&tokens).await;
    assert!(error.contains("https alone"), "{error}");
}
