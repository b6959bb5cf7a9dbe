//! A first refresh token by an authorization code (RFC 6749 section 4.1) as programs without a web
//! site get it (RFC 8252 section 7.3): a browser is sent to the server and comes back to a loopback
//! address, or its address line is pasted. PKCE (RFC 7636) keeps the code ours.

use super::OauthError;
use super::device::{Login, refresh_token};
use super::endpoint::{self, Endpoint};
use super::error::printable;
use super::form::{self, Form};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// Longest request of a browser that is read.
const MOST_REQUEST: usize = 16 * 1024;
/// How long a browser may take for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// A login under way.
pub struct Pending {
    redirect_uri: String,
    state: String,
    verifier: SecretString,
    /// Where a browser has to go.
    pub url: String,
}

/// A login whose browser comes back to this port of 127.0.0.1.
///
/// # Errors
/// An address that is none.
pub fn begin(login: &Login, port: u16) -> Result<Pending, OauthError> {
    let Some(base) = &login.vendor.authorization_url else {
        return Err(OauthError::Login(
            "there is no authorization endpoint; name it with --authorization-url".into(),
        ));
    };
    endpoint::check(base).map_err(|why| OauthError::Url {
        url: printable(base, 200),
        why,
    })?;
    let pending = Pending {
        // RFC 8252 section 7.3: the literal address, any port.
        redirect_uri: format!("http://127.0.0.1:{port}"),
        state: random(),
        // RFC 7636 section 4.1: 43 characters.
        verifier: random().into(),
        url: String::new(),
    };
    let query = Form::default()
        .with("response_type", "code")
        .with("client_id", &login.client_id)
        .with("redirect_uri", &pending.redirect_uri)
        .with("scope", &login.vendor.scope)
        .with("state", &pending.state)
        .with("code_challenge", challenge(&pending.verifier))
        .with("code_challenge_method", "S256");
    let mark = if base.contains('?') { '&' } else { '?' };
    Ok(Pending {
        url: format!("{base}{mark}{}", query.encoded().as_str()),
        ..pending
    })
}

impl Pending {
    /// Reads the address that the browser was sent back to (RFC 6749 sections 4.1.2 and 4.1.2.1);
    /// `None`: it is something else, such as a request for an icon, or a forgery.
    ///
    /// # Errors
    /// The server's reason why there is no code.
    pub fn code(&self, address: &str) -> Option<Result<SecretString, OauthError>> {
        let (_, query) = address.trim().split_once('?')?;
        let query = query.split('#').next()?;
        let value = |name: &str| {
            query
                .split('&')
                .filter_map(|field| field.split_once('='))
                .find(|(key, _)| *key == name)
                .and_then(|(_, value)| form::decode(value))
        };
        // RFC 6749 section 10.12
        if value("state")? != self.state {
            return None;
        }
        if let Some(error) = value("error") {
            let description = value("error_description").unwrap_or_default();
            return Some(Err(OauthError::Login(format!(
                "it was refused in the browser: {}",
                printable(&format!("{error} {description}"), 300)
            ))));
        }
        value("code").map(|code| Ok(SecretString::from(code)))
    }

    /// The refresh token for this code (RFC 6749 section 4.1.3). Blocks.
    ///
    /// # Errors
    /// What the server says against it, or that it gives no refresh token.
    pub fn finish(&self, login: &Login, code: &SecretString) -> Result<SecretString, OauthError> {
        let endpoint = Endpoint::new(&login.vendor.token_url, login.patience)?;
        let granted = endpoint.ask(&login.client(), || {
            Form::grant("authorization_code")
                .with_secret("code", code.clone())
                .with("redirect_uri", &self.redirect_uri)
                .with_secret("code_verifier", self.verifier.clone())
        })?;
        refresh_token(granted)
    }
}

/// RFC 7636 section 4.2.
fn challenge(verifier: &SecretString) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose_secret().as_bytes()))
}

fn random() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// Answers browsers, and passes on what they asked for, until nobody listens to that any more.
pub fn answer(listener: &TcpListener, targets: &Sender<String>) {
    for stream in listener.incoming().filter_map(Result::ok) {
        if let Ok(target) = request(stream)
            && targets.send(target).is_err()
        {
            return;
        }
    }
}

/// One request and its response; the target of the request (RFC 9112 section 3).
fn request(mut stream: TcpStream) -> io::Result<String> {
    const PAGE: &str = "Pillarbox has the answer of the server. The rest is in the terminal.\n";
    stream.set_write_timeout(Some(PATIENCE))?;
    let end = Instant::now() + PATIENCE;
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        // (A timeout of nothing is an error.)
        stream.set_read_timeout(Some(end.saturating_duration_since(Instant::now())))?;
        let mut piece = [0; 2048];
        match stream.read(&mut piece)? {
            0 => break,
            read if head.len() + read > MOST_REQUEST => {
                return Err(io::Error::other("the request is too long"));
            }
            read => head.extend_from_slice(&piece[..read]),
        }
    }
    let head = String::from_utf8_lossy(&head);
    let target = head
        .strip_prefix("GET ")
        .and_then(|rest| rest.split(' ').next())
        .ok_or_else(|| io::Error::other("the request is no GET"))?;
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n{PAGE}",
        PAGE.len()
    )?;
    Ok(target.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::{endpoint::Patience, vendor};
    use proptest::prelude::*;

    fn pending() -> Pending {
        let login = Login {
            vendor: vendor::google(),
            client_id: "client".into(),
            client_secret: None,
            patience: Patience::default(),
        };
        begin(&login, 8400).unwrap()
    }

    #[test]
    fn the_example_of_rfc_7636_appendix_b() {
        let verifier = SecretString::from("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(
            challenge(&verifier),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    #[test]
    fn a_browser_is_sent_with_all_that_is_needed() {
        let pending = pending();
        assert!(pending.url.starts_with(
            "https://accounts.google.com/o/oauth2/v2/auth?response_type=code&client_id=client\
             &redirect_uri=http%3A%2F%2F127.0.0.1%3A8400&scope=https%3A%2F%2Fmail.google.com%2F\
             &state="
        ));
        assert!(pending.url.ends_with("&code_challenge_method=S256"));
        assert!(!pending.url.contains(pending.verifier.expose_secret()));
    }

    #[test]
    fn a_code_counts_with_our_state_alone() {
        let pending = pending();
        let state = &pending.state;
        for address in [
            format!("/?state={state}&code=4%2F0abc&scope=x"),
            format!("http://127.0.0.1:8400/?code=4/0abc&state={state}#\n"),
        ] {
            let code = pending.code(&address).unwrap().unwrap();
            assert_eq!(code.expose_secret(), "4/0abc");
        }
        for other in ["/favicon.ico", "/?code=x", "/?code=x&state=y", "", "?"] {
            assert!(pending.code(other).is_none(), "{other}");
        }
        let refused = format!("/?error=access_denied&state={state}");
        let error = pending.code(&refused).unwrap().unwrap_err();
        assert!(error.line().contains("access_denied"));
    }

    proptest! {
        #[test]
        fn any_address_is_a_code_or_none(address in "[/?&=%#a-z0-9\u{e9}]{0,60}") {
            prop_assert!(pending().code(&address).is_none());
        }
    }
}
