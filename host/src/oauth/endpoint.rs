//! HTTP to a token server, or to another endpoint of an authorization server. Blocks; callers that may not use [`tokio::task::spawn_blocking`].
//!
//! Only `https`, with a certificate that this system trusts: RFC 6749 sections 3.2 and 10.9.
//! (`http` for loopback addresses alone, where nobody is between.) Bounded in time and size,
//! redirects are not followed, and no secret is told to whom it is not for.

use super::OauthError;
use super::error::printable;
use super::form::{self, Form};
use super::response;
use base64::prelude::{BASE64_STANDARD, Engine};
use rustls::crypto::aws_lc_rs;
use secrecy::{ExposeSecret, SecretString};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use ureq::http::{StatusCode, Uri, header};
use ureq::tls::{RootCerts, TlsConfig};
use zeroize::Zeroizing;

/// Largest response, in octets.
const MOST: u64 = 64 * 1024;

/// How long a token server may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// To accept a connection, and before that to be found.
    pub connect: Duration,
    /// For all of a request and its response.
    pub all: Duration,
}

impl Default for Patience {
    /// 10 s to connect, 30 s in all: mail waits meanwhile, and can.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            all: Duration::from_secs(30),
        }
    }
}

/// An endpoint of a token server (RFC 6749 section 3.2, RFC 8628 section 3.1).
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    url: String,
    uri: Uri,
    patience: Patience,
}

/// A response that arrived.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) octets: Zeroizing<Vec<u8>>,
}

impl Endpoint {
    /// Checks the address.
    pub(crate) fn new(url: &str, patience: Patience) -> Result<Self, OauthError> {
        let uri = check(url).map_err(|why| OauthError::Url {
            url: printable(url, 200),
            why,
        })?;
        Ok(Self {
            url: url.to_owned(),
            uri,
            patience,
        })
    }

    /// A request of this client. Where it has a secret, both ways of showing it are tried
    /// (RFC 6749 section 2.3.1): in the request, which is what Microsoft and Google document, then
    /// in a header field, which is what the standard wants every server to know.
    pub(super) fn ask(
        &self,
        client: &Client<'_>,
        form: impl Fn() -> Form,
    ) -> Result<response::Granted, OauthError> {
        let form_with_id = form().with("client_id", client.id);
        let Some(secret) = client.secret else {
            return self.token(&form_with_id, None);
        };
        match self.token(
            &form_with_id.with_secret("client_secret", secret.clone()),
            None,
        ) {
            // RFC 6749 section 5.2: "no client authentication included, or unsupported
            // authentication method". A grant is not spent by that.
            Err(error) if error.is("invalid_client") => {
                let basic = basic(client.id, secret);
                // Its own answer is the better one, unless it says the same again.
                self.token(&form(), Some(&basic)).map_err(|second| {
                    if second.is("invalid_client") {
                        error
                    } else {
                        second
                    }
                })
            }
            result => result,
        }
    }

    fn token(
        &self,
        form: &Form,
        authorization: Option<&str>,
    ) -> Result<response::Granted, OauthError> {
        let answer = self.post(form, authorization)?;
        if !answer.status.is_success() {
            return Err(self.refused(form, &answer));
        }
        // (Some servers say 200 to everything.)
        response::token(&answer.octets).map_err(|why| match response::refusal(&answer.octets) {
            Some(_) => self.refused(form, &answer),
            None => self.senseless(&answer, why),
        })
    }

    /// One request and its response.
    pub(crate) fn post(
        &self,
        form: &Form,
        authorization: Option<&str>,
    ) -> Result<Answer, OauthError> {
        let mut request = self
            .agent()
            .post(self.uri.clone())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json");
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let response = request
            .send(form.encoded().as_bytes())
            .map_err(|error| self.unreachable(error))?;
        self.read(response, |text| form.hidden(text), MOST)
    }

    /// A document of at most `most` octets, where nothing secret is told.
    pub(crate) fn get(&self, most: u64) -> Result<Answer, OauthError> {
        let response = self
            .agent()
            .get(self.uri.clone())
            .header(header::ACCEPT, "application/json")
            .call()
            .map_err(|error| self.unreachable(error))?;
        self.read(response, str::to_owned, most)
    }

    fn read(
        &self,
        mut response: ureq::http::Response<ureq::Body>,
        hidden: impl Fn(&str) -> String,
        most: u64,
    ) -> Result<Answer, OauthError> {
        if response.status().is_redirection() {
            let location = response.headers().get(header::LOCATION);
            let location = location.map(|value| String::from_utf8_lossy(value.as_bytes()));
            return Err(OauthError::Redirect {
                url: self.url.clone(),
                location: match location {
                    Some(location) => printable(&hidden(&location), 200),
                    None => "nowhere".into(),
                },
            });
        }
        let octets = response
            .body_mut()
            .with_config()
            .limit(most)
            .read_to_vec()
            .map_err(|error| self.unreachable(error))?;
        Ok(Answer {
            status: response.status(),
            octets: Zeroizing::new(octets),
        })
    }

    fn unreachable(&self, source: ureq::Error) -> OauthError {
        OauthError::Unreachable {
            url: self.url.clone(),
            advice: match source {
                ureq::Error::HostNotFound => "; check the name in its address and the DNS",
                ureq::Error::Tls(_) | ureq::Error::Rustls(_) => {
                    "; its certificate must be good for this system"
                }
                _ => "",
            },
            source: Box::new(source),
        }
    }

    /// The error of an answer that is no success.
    pub(crate) fn refused(&self, form: &Form, answer: &Answer) -> OauthError {
        let Some(refusal) = response::refusal(&answer.octets) else {
            let why = if answer.status.is_server_error() {
                "gives no reason; nothing to do but wait"
            } else {
                "gives no reason; check its address"
            };
            return self.senseless(answer, why.to_owned());
        };
        OauthError::Refused {
            url: self.url.clone(),
            advice: response::advice(&refusal.error).to_owned(),
            // What is hidden must still be whole, so shortening comes last.
            error: printable(&form.hidden(&refusal.error), response::MOST_TOLD),
            description: refusal
                .description
                .map(|text| printable(&form.hidden(&text), response::MOST_TOLD))
                .filter(|text| !text.is_empty())
                .map(|text| format!(" ({text})"))
                .unwrap_or_default(),
        }
    }

    /// The error of an answer that makes no sense.
    pub(crate) fn senseless(&self, answer: &Answer, why: String) -> OauthError {
        OauthError::Answer {
            url: self.url.clone(),
            status: answer.status.as_u16(),
            why,
        }
    }

    fn agent(&self) -> ureq::Agent {
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::PlatformVerifier)
            .unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()))
            .build();
        let mut config = ureq::Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_response_header_size(16 * 1024)
            .user_agent(concat!("pillarbox/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(self.patience.connect))
            .timeout_connect(Some(self.patience.connect))
            .timeout_global(Some(self.patience.all));
        if self.uri.scheme_str() == Some("http") {
            // A proxy would see what a loopback address keeps to itself.
            config = config.proxy(None);
        }
        config.build().into()
    }
}

/// Who asks.
pub(super) struct Client<'a> {
    pub(super) id: &'a str,
    /// None: a public client (RFC 6749 section 2.1).
    pub(super) secret: Option<&'a SecretString>,
}

/// RFC 6749 section 2.3.1: both encoded as in a form, then as in RFC 7617.
pub(crate) fn basic(id: &str, secret: &SecretString) -> Zeroizing<String> {
    let mut pair = Zeroizing::new(String::with_capacity(
        3 * (id.len() + secret.expose_secret().len()) + 1,
    ));
    form::encode(id, &mut pair);
    pair.push(':');
    form::encode(secret.expose_secret(), &mut pair);
    let encoded = Zeroizing::new(BASE64_STANDARD.encode(pair.as_bytes()));
    Zeroizing::new(format!("Basic {}", encoded.as_str()))
}

/// Whether secrets may be sent to this address; else why not, and what would be right.
pub(crate) fn check(url: &str) -> Result<Uri, &'static str> {
    const RIGHT: &str = "write it like \"https://login.example.org/token\"";
    // RFC 6749 section 3.2: no fragment. (`Uri` would drop it without a word.)
    if url.contains('#') {
        return Err("it must not have a \"#\"");
    }
    let uri: Uri = url.parse().map_err(|_| RIGHT)?;
    let Some(authority) = uri.authority() else {
        return Err(RIGHT);
    };
    if authority.as_str().contains('@') {
        return Err("a user in it is not for token servers; use client-id and client-secret-file");
    }
    match uri.scheme_str() {
        Some("https") => Ok(uri),
        Some("http") => {
            let host = authority.host().trim_matches(['[', ']']);
            match host.parse::<IpAddr>() {
                Ok(address) if address.is_loopback() => Ok(uri),
                _ => Err("secrets go to https alone (or to a loopback address, such as 127.0.0.1)"),
            }
        }
        _ => Err(RIGHT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_to_https_or_to_this_machine() {
        for good in [
            "https://login.microsoftonline.com/organizations/oauth2/v2.0/token",
            "https://sso.example.org:8443/token?realm=mail",
            "https://[2001:db8::1]/token",
            "http://127.0.0.1:8080/token",
            "http://[::1]/token",
        ] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/token",
            "sso.example.org",
            "ftp://sso.example.org/token",
            "http://sso.example.org/token",
            "http://localhost/token",
            "http://192.0.2.1/token",
            "http://127.0.0.1@sso.example.org/token",
            "https://client:secret@sso.example.org/token",
            "https://sso.example.org/token#here",
            "https://sso.example.org/to ken",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_header_of_rfc_6749_section_2_3_1() {
        let secret = SecretString::from("7Fjfp0ZBr1KtDRbnfVdmIw");
        assert_eq!(
            basic("s6BhdRkqt3", &secret).as_str(),
            "Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3"
        );
    }
}
