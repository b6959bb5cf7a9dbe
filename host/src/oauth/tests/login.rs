//! The device authorization grant (RFC 8628), and the browser's way (RFC 8252).

use super::CLIENT_SECRET;
use super::server::{Answer, Server, error, granted};
use crate::oauth::device::{self, Login};
use crate::oauth::endpoint::Patience;
use crate::oauth::vendor::Vendor;
use crate::oauth::{OauthError, code};
use secrecy::{ExposeSecret, SecretString};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

const CODES: &str = r#"{"device_code":"GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS",
    "user_code":"WDJB-MJHT","verification_uri":"https://example.com/device",
    "verification_uri_complete":"https://example.com/device?user_code=WDJB-MJHT",
    "expires_in":1800,"interval":5}"#;

/// A server that gives codes first, then these answers.
fn server(answers: &'static [&'static str]) -> Server {
    Server::new(move |number, _| match number {
        1 => Answer::Json(200, CODES.into()),
        number => match answers[(number - 2).min(answers.len() - 1)] {
            "granted" => Answer::Json(
                200,
                r#"{"access_token":"T","token_type":"Bearer","refresh_token":"refresh-1"}"#.into(),
            ),
            "no refresh token" => granted("T"),
            "cut" => Answer::Raw(Vec::new()),
            word => error(400, word),
        },
    })
}

fn login(server: &Server) -> Login {
    Login {
        vendor: Vendor {
            device_url: Some(server.url()),
            authorization_url: Some("https://login.example.org/authorize".into()),
            token_url: server.url(),
            scope: "mail offline_access".into(),
        },
        client_id: "pillarbox-client".into(),
        client_secret: None,
        patience: Patience::default(),
    }
}

/// The outcome, and how many seconds were waited each time.
fn run(server: &Server) -> (Result<SecretString, OauthError>, Vec<u64>) {
    let login = login(server);
    let authorization = device::begin(&login).unwrap();
    let mut waits = Vec::new();
    let result = device::finish(&login, &authorization, |wait| waits.push(wait.as_secs()));
    (result, waits)
}

#[test]
fn rfc_8628_section_3_2_what_a_person_is_told() {
    let server = server(&["granted"]);
    let authorization = device::begin(&login(&server)).unwrap();
    assert_eq!(authorization.user_code, "WDJB-MJHT");
    assert_eq!(authorization.verification_uri, "https://example.com/device");
    assert_eq!(
        authorization.verification_uri_complete.as_deref(),
        Some("https://example.com/device?user_code=WDJB-MJHT")
    );
    assert_eq!(authorization.expires_in, Duration::from_secs(1800));
    let heard = &server.heard()[0];
    assert_eq!(heard.field("client_id"), Some("pillarbox-client"));
    assert_eq!(heard.field("scope"), Some("mail offline_access"));
    assert_eq!(heard.field("grant_type"), None);
}

#[test]
fn rfc_8628_section_3_4_request() {
    let server = server(&["granted"]);
    let (result, _) = run(&server);
    assert_eq!(result.unwrap().expose_secret(), "refresh-1");
    let heard = &server.heard()[1];
    assert_eq!(
        heard.field("grant_type"),
        Some("urn:ietf:params:oauth:grant-type:device_code")
    );
    assert_eq!(
        heard.field("device_code"),
        Some("GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS")
    );
    assert_eq!(heard.field("client_id"), Some("pillarbox-client"));
}

#[test]
fn rfc_8628_section_3_5_pending_and_slow_down() {
    let server = server(&[
        "authorization_pending",
        "slow_down",
        "authorization_pending",
        "slow_down",
        "granted",
    ]);
    let (result, waits) = run(&server);
    assert_eq!(result.unwrap().expose_secret(), "refresh-1");
    assert_eq!(waits, [5, 5, 10, 10, 15]);
}

#[test]
fn rfc_8628_section_3_5_a_lost_connection_is_tried_again_less_often() {
    let server = server(&["cut", "server_error", "granted"]);
    let (result, waits) = run(&server);
    // (An error response that is none of the section's ends it.)
    assert!(result.unwrap_err().line().contains("server_error"));
    assert_eq!(waits, [5, 10]);
}

#[test]
fn rfc_8628_section_3_5_refused_and_too_late() {
    for (answers, said) in [
        (&["access_denied"], "refused in the browser"),
        (&["authorization_declined"], "refused in the browser"),
        (&["expired_token"], "not used in time"),
        (&["bad_verification_code"], "bad_verification_code"),
        (&["no refresh token"], "no refresh token"),
    ] {
        let (result, waits) = run(&server(answers));
        let error = result.unwrap_err().line();
        assert!(error.contains(said), "{error}");
        assert_eq!(waits.len(), 1);
    }
}

#[test]
fn a_code_that_nobody_uses_is_given_up() {
    let server = server(&["authorization_pending"]);
    let (result, waits) = run(&server);
    assert!(result.unwrap_err().line().contains("not used in time"));
    assert_eq!(waits.iter().sum::<u64>(), 1800);
}

#[test]
fn what_google_calls_it_is_understood() {
    let server = Server::new(|_, _| {
        Answer::Json(
            200,
            r#"{"device_code":"d","user_code":"GQVQ-JKEC\u001b[2J",
                "verification_url":"https://www.google.com/device","expires_in":1800}"#
                .into(),
        )
    });
    let authorization = device::begin(&login(&server)).unwrap();
    assert_eq!(
        authorization.verification_uri,
        "https://www.google.com/device"
    );
    assert_eq!(authorization.user_code, "GQVQ-JKEC [2J");
}

#[test]
fn a_server_may_refuse_codes() {
    let refusing = Server::new(|_, _| error(400, "invalid_scope"));
    let problem = |result: Result<_, OauthError>| match result {
        Ok(_) => panic!("there is a code"),
        Err(error) => error.line(),
    };
    assert!(problem(device::begin(&login(&refusing))).contains("check scope"));
    let strange = Server::new(|_, _| Answer::Json(200, "{}".into()));
    assert!(problem(device::begin(&login(&strange))).contains("check its address"));
    let mut without = login(&strange);
    without.vendor.device_url = None;
    assert!(problem(device::begin(&without)).contains("--device-url"));
}

#[test]
fn a_browser_comes_back_with_a_code() {
    let server = Server::new(|_, _| {
        Answer::Json(
            200,
            r#"{"access_token":"T","token_type":"Bearer","refresh_token":"refresh-1"}"#.into(),
        )
    });
    let mut login = login(&server);
    login.client_secret = Some(CLIENT_SECRET.into());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let pending = code::begin(&login, address.port()).unwrap();
    let (targets, heard) = mpsc::channel();
    std::thread::spawn(move || code::answer(&listener, &targets));

    let state = pending
        .url
        .split('&')
        .find_map(|field| field.strip_prefix("state="))
        .unwrap();
    for target in ["/favicon.ico", &format!("/?code=4%2F0x&state={state}")] {
        let mut browser = TcpStream::connect(address).unwrap();
        write!(browser, "GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").unwrap();
        let mut page = String::new();
        browser.read_to_string(&mut page).unwrap();
        assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    }
    let code = heard.iter().find_map(|target| pending.code(&target));
    let token = pending.finish(&login, &code.unwrap().unwrap()).unwrap();
    assert_eq!(token.expose_secret(), "refresh-1");

    // RFC 6749 section 4.1.3, RFC 7636 section 4.5
    let heard = &server.heard()[0];
    assert_eq!(heard.field("grant_type"), Some("authorization_code"));
    assert_eq!(heard.field("code"), Some("4/0x"));
    assert_eq!(
        heard.field("redirect_uri"),
        Some(format!("http://{address}").as_str())
    );
    assert_eq!(heard.field("code_verifier").unwrap().len(), 43);
    assert_eq!(heard.field("client_secret"), Some(CLIENT_SECRET));
}
