//! Responses of a token server (RFC 6749 section 5), and the same JSON from a token command.

use super::error::printable;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// Longest life that is believed. A longer one is asked for again sooner than needed, no more.
const LONGEST_LIFE: u64 = 30 * 24 * 3600;

/// Longest `error` and `error_description` that is passed on, in characters.
pub(super) const MOST_TOLD: usize = 300;

/// A token response (RFC 6749 section 5.1).
pub(super) struct Granted {
    /// The token itself.
    pub(super) access_token: SecretString,
    /// How long it is good; the server need not say.
    pub(super) expires_in: Option<Duration>,
    /// A new refresh token in place of the old one (RFC 6749 section 6).
    pub(super) refresh_token: Option<SecretString>,
    /// What it is good for, if that is not just what was asked for.
    pub(super) scope: Option<String>,
}

/// An error response (RFC 6749 section 5.2), as the server wrote it: it may repeat secrets.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) error: String,
    pub(super) description: Option<String>,
}

#[derive(Deserialize)]
struct TokenResponse {
    access_token: Hidden,
    token_type: Option<String>,
    // Read leniently: with the response a new refresh token would be thrown away.
    expires_in: Option<Value>,
    refresh_token: Option<Hidden>,
    scope: Option<Value>,
}

/// A text that nobody else may see.
pub(super) struct Hidden(pub(super) SecretString);

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(|text| Self(text.into()))
    }
}

#[derive(Deserialize)]
struct ErrorResponse {
    error: String,
    error_description: Option<String>,
}

/// Seconds: a number in the standard, a text in what some servers say, which is believed too.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Seconds {
    Number(f64),
    Text(String),
}

impl Seconds {
    /// `None`: it is no number.
    pub(super) fn duration(&self) -> Option<Duration> {
        let seconds = match self {
            Self::Number(number) => *number,
            Self::Text(text) => text.trim().parse().ok()?,
        };
        // (A saturating cast: NaN and negative numbers are 0.)
        Some(Duration::from_secs((seconds as u64).min(LONGEST_LIFE)))
    }
}

/// Reads a token response.
///
/// # Errors
/// What is wrong with it; none of its text is in that.
pub(super) fn token(octets: &[u8]) -> Result<Granted, String> {
    // The error of serde_json quotes no values of texts, but "invalid type" quotes others.
    let response: TokenResponse = serde_json::from_slice(octets).map_err(|error| {
        let what = match error.classify() {
            serde_json::error::Category::Data => "lacks a proper access_token",
            _ => "is no JSON",
        };
        format!("what it says {what} (line {})", error.line())
    })?;
    // RFC 6749 section 7.1: a token of an unknown type must not be used. (Commands and some
    // servers leave it out.)
    if let Some(kind) = &response.token_type
        && !kind.eq_ignore_ascii_case("bearer")
    {
        return Err(format!(
            "gives a token of type \"{}\", which is none for mail; it must be \"Bearer\"",
            printable(kind, 40)
        ));
    }
    check(&response.access_token.0)?;
    Ok(Granted {
        access_token: response.access_token.0,
        expires_in: response
            .expires_in
            .and_then(|told| serde_json::from_value::<Seconds>(told).ok())
            .and_then(|seconds| seconds.duration()),
        refresh_token: response
            .refresh_token
            .map(|token| token.0)
            .filter(|token| !token.expose_secret().is_empty()),
        scope: match response.scope {
            Some(Value::String(scope)) => Some(printable(&scope, MOST_TOLD)),
            _ => None,
        },
    })
}

/// The output of a token command: a token alone, or a token response.
///
/// # Errors
/// What is wrong with it; none of its text is in that.
pub(super) fn output(octets: &[u8]) -> Result<Granted, String> {
    let text = std::str::from_utf8(octets)
        .map_err(|_| "prints what is no text".to_owned())?
        .trim();
    if text.starts_with('{') {
        return token(text.as_bytes());
    }
    let access_token = SecretString::from(text);
    check(&access_token)?;
    Ok(Granted {
        access_token,
        expires_in: None,
        refresh_token: None,
        scope: None,
    })
}

/// RFC 6750 section 2.1 (b64token), as far as it matters: nothing that would end the token early
/// in XOAUTH2 or OAUTHBEARER, where octet 1 does (XOA-1, R7628-3.1).
fn check(token: &SecretString) -> Result<(), String> {
    let token = token.expose_secret();
    if token.is_empty() {
        return Err("gives an empty token".to_owned());
    }
    if !token.bytes().all(|octet| octet.is_ascii_graphic()) {
        return Err(
            "gives a token with blanks, line ends or other characters that no token has; \
                    it must be the token alone, or JSON with an access_token"
                .to_owned(),
        );
    }
    Ok(())
}

/// Reads an error response; `None`: it is none.
pub(super) fn refusal(octets: &[u8]) -> Option<Refusal> {
    let response: ErrorResponse = serde_json::from_slice(octets).ok()?;
    Some(Refusal {
        error: response.error,
        description: response.error_description,
    })
}

/// What an administrator can do about an error response.
pub(super) fn advice(error: &str) -> &'static str {
    match error {
        // RFC 6749 section 5.2
        "invalid_request" => "; check token-url and scope",
        "invalid_client" => "; check client-id and client-secret-file",
        "invalid_grant" => {
            "; the refresh token is no longer good: get a new one with `pillarbox oauth login`"
        }
        "unauthorized_client" => "; allow this grant for the client where it is registered",
        "unsupported_grant_type" => "; check token-url, or use another grant",
        "invalid_scope" => "; check scope",
        // RFC 6749 section 4.1.2.1, which token endpoints borrow
        "temporarily_unavailable" | "server_error" => "; nothing to do but wait",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn problem(result: Result<Granted, String>) -> String {
        result.map(|_| ()).unwrap_err()
    }

    #[test]
    fn the_example_of_rfc_6749_section_5_1() {
        let granted = token(
            br#"{
                "access_token":"2YotnFZFEjr1zCsicMWpAA",
                "token_type":"example",
                "expires_in":3600
            }"#,
        );
        assert!(problem(granted).contains("\"example\""));
        let granted = token(
            br#"{
                "access_token":"2YotnFZFEjr1zCsicMWpAA",
                "token_type":"bearer",
                "expires_in":3600,
                "refresh_token":"tGzv3JOkF0XG5Qx2TlKWIA",
                "example_parameter":"example_value"
            }"#,
        )
        .unwrap();
        assert_eq!(
            granted.access_token.expose_secret(),
            "2YotnFZFEjr1zCsicMWpAA"
        );
        assert_eq!(granted.expires_in, Some(Duration::from_secs(3600)));
        assert_eq!(
            granted.refresh_token.unwrap().expose_secret(),
            "tGzv3JOkF0XG5Qx2TlKWIA"
        );
    }

    #[test]
    fn lives_that_servers_tell() {
        for (told, life) in [
            ("3599", Some(3599)),
            ("\"3599\"", Some(3599)),
            ("3599.9", Some(3599)),
            ("0", Some(0)),
            ("-5", Some(0)),
            ("1e300", Some(LONGEST_LIFE)),
            ("\"soon\"", None),
            ("null", None),
        ] {
            let json = format!(r#"{{"access_token":"t","expires_in":{told}}}"#);
            let granted = token(json.as_bytes()).unwrap();
            assert_eq!(granted.expires_in, life.map(Duration::from_secs), "{told}");
        }
    }

    #[test]
    fn the_example_of_rfc_6749_section_5_2() {
        let refusal = refusal(br#"{"error":"invalid_request"}"#).unwrap();
        assert_eq!(refusal.error, "invalid_request");
        assert_eq!(refusal.description, None);
    }

    #[test]
    fn a_response_is_not_refused_for_what_is_optional() {
        let json =
            br#"{"access_token":"abc","expires_in":true,"scope":["a","b"],"refresh_token":"new"}"#;
        let granted = token(json).unwrap();
        assert_eq!(granted.expires_in, None);
        assert_eq!(granted.scope, None);
        assert_eq!(granted.refresh_token.unwrap().expose_secret(), "new");
    }

    #[test]
    fn a_command_prints_a_token_or_json() {
        let bare = output(b"ya29.abc-_~+/==\n").unwrap();
        assert_eq!(bare.access_token.expose_secret(), "ya29.abc-_~+/==");
        assert_eq!(bare.expires_in, None);
        let json = output(b" {\"access_token\": \"abc\", \"expires_in\": 60}\n").unwrap();
        assert_eq!(json.expires_in, Some(Duration::from_secs(60)));
        for bad in [
            "",
            "\n",
            "two words",
            "two\nlines",
            "a\u{1}b",
            "caf\u{e9}",
            "{}",
            "{",
        ] {
            assert!(output(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(output(b"\xff").is_err());
    }

    #[test]
    fn nothing_that_was_said_is_in_an_error() {
        for bad in [
            r#"{"access_token": 1234567}"#,
            r#"{"access_token": "s3cret with a blank"}"#,
            r#"{"refresh_token": "s3cret"}"#,
            r#""s3cret""#,
            "s3cret",
        ] {
            let text = problem(token(bad.as_bytes()));
            assert!(
                !text.contains("s3cret") && !text.contains("1234567"),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_a_token_or_an_error(octets in any::<Vec<u8>>()) {
            let _ = (token(&octets), output(&octets), refusal(&octets));
        }

        #[test]
        fn a_token_has_graphic_characters_alone(text in "\\PC{0,20}") {
            if let Ok(granted) = output(text.as_bytes()) {
                let token = granted.access_token.expose_secret();
                prop_assert!(!token.is_empty());
                prop_assert!(token.bytes().all(|octet| octet.is_ascii_graphic()));
            }
        }
    }
}
