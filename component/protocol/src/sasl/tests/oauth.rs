//! XOAUTH2 and OAUTHBEARER, the client's side.

use super::*;
use crate::smtp::base64::encode;
use alloc::{format, string::String, vec::Vec};

/// The server of RFC 7628 section 4.1.
const CONTEXT: ClientContext<'_> = ClientContext {
    server: "server.example.com",
    port: 143,
    facts: None,
    plus_offered: false,
};

fn begin(
    mechanism: Mechanism,
    user: &str,
    token: &str,
) -> Result<(ClientExchange, Vec<u8>), &'static str> {
    let credentials = credentials(user, "", token);
    let (exchange, initial) =
        ClientExchange::start(mechanism, &credentials, &CONTEXT, &mut World::client())?;
    Ok((exchange, initial.expect("an initial response")))
}

fn challenge(exchange: &mut ClientExchange, text: &str) -> ClientStep {
    exchange.challenge(text.as_bytes(), &CONTEXT, &mut World::client())
}

/// Of the step that concedes.
fn conceded(step: ClientStep) -> (Vec<u8>, String) {
    match step {
        ClientStep::Concede { response, reason } => (response, reason),
        other => panic!("{other:?}"),
    }
}

#[test]
fn xoa_1_message_is_that_of_the_published_example() {
    // Google's description of the mechanism.
    let token = "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg";
    let (_, message) = begin(Mechanism::Xoauth2, "someuser@example.com", token).unwrap();
    assert_eq!(
        encode(&message),
        "dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhk\
         SFJoZG1semRHRXVZMjl0Q2cBAQ=="
    );
}

#[test]
fn r7628_3_1_message_is_that_of_section_4_1() {
    let token = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==";
    let (_, message) = begin(Mechanism::Oauthbearer, "user@example.com", token).unwrap();
    assert_eq!(
        encode(&message),
        "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVy\
         IHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB"
    );
}

#[test]
fn r7628_3_1_authorization_identity_is_escaped_or_absent() {
    let header = |user| {
        let (_, message) = begin(Mechanism::Oauthbearer, user, "t").unwrap();
        let message = String::from_utf8(message).unwrap();
        String::from(message.split('\u{1}').next().unwrap_or_default())
    };
    assert_eq!(header(""), "n,,");
    assert_eq!(header("a,b=c@x.org"), "n,a=a=2Cb=3Dc@x.org,");
}

#[test]
fn xoa_3_error_is_told_and_answered_with_an_empty_line() {
    let (mut exchange, _) = begin(Mechanism::Xoauth2, "a@x.org", "t0ken").unwrap();
    // Recomputed in the profile.
    let error = "eyJzdGF0dXMiOiI0MDEiLCJzY2hlbWVzIjoiYmVhcmVyIiwic2NvcGUiOiJzbXRwIn0=";
    let (response, reason) = conceded(challenge(&mut exchange, error));
    assert_eq!(response, b"");
    assert!(
        reason.contains(r#"{"status":"401","schemes":"bearer","scope":"smtp"}"#),
        "{reason}"
    );
    // CL-challenge: there is nothing more to say.
    let step = challenge(&mut exchange, error);
    assert!(matches!(step, ClientStep::Cancel(_)));
}

#[test]
fn r7628_3_2_error_is_told_and_answered_with_the_separator() {
    let (mut exchange, _) = begin(Mechanism::Oauthbearer, "a@x.org", "t0ken").unwrap();
    // RFC 7628 section 4.3.
    let error = br#"{"status":"invalid_token","scope":"example_scope"}"#;
    let (response, reason) = conceded(challenge(&mut exchange, &encode(error)));
    assert_eq!(encode(&response), "AQ==");
    assert!(reason.contains("invalid_token"), "{reason}");
}

#[test]
fn r4954_4_n_error_may_follow_a_withheld_message() {
    for mechanism in [Mechanism::Xoauth2, Mechanism::Oauthbearer] {
        let (mut exchange, message) = begin(mechanism, "a@x.org", &"t".repeat(2_000)).unwrap();
        exchange.withhold(message.clone());
        assert_eq!(challenge(&mut exchange, ""), ClientStep::Respond(message));
        conceded(challenge(&mut exchange, &encode(b"{}")));
    }
}

#[test]
fn cl_challenge_error_that_is_not_base64_is_cancelled() {
    for mechanism in [Mechanism::Xoauth2, Mechanism::Oauthbearer] {
        let (mut exchange, _) = begin(mechanism, "a@x.org", "t0ken").unwrap();
        let step = challenge(&mut exchange, "{\"status\"");
        assert!(matches!(step, ClientStep::Cancel(_)));
    }
}

#[test]
fn cl_secrets_the_token_is_never_told() {
    let (mut exchange, _) = begin(Mechanism::Xoauth2, "a@x.org", "t0ken").unwrap();
    let error = encode(b"{\"echo\":\"Bearer t0ken\",\r\n\x1b[2J\xff}");
    let step = challenge(&mut exchange, &error);
    let (_, reason) = conceded(step);
    assert!(!reason.contains("t0ken"), "{reason}");
    assert!(!reason.chars().any(char::is_control), "{reason:?}");
    assert!(reason.contains("Bearer ***"), "{reason}");
    // And not without end.
    let (mut exchange, _) = begin(Mechanism::Xoauth2, "a@x.org", "t0ken").unwrap();
    let (_, reason) = conceded(challenge(&mut exchange, &encode(&[b'x'; 3_000])));
    assert!(reason.len() < 600, "{}", reason.len());
}

#[test]
fn rfc_6750_2_1_tokens_that_would_break_the_message_are_not_sent() {
    for mechanism in [Mechanism::Xoauth2, Mechanism::Oauthbearer] {
        for token in ["", "a b", "a\u{1}b", "a\r\nb", "ä"] {
            assert!(begin(mechanism, "a@x.org", token).is_err(), "{token:?}");
        }
        assert!(begin(mechanism, "a\u{1}auth=x", "t0ken").is_err());
        let shown = format!("{:?}", begin(mechanism, "a@x.org", "t0ken").unwrap().0);
        assert!(!shown.contains("t0ken"), "{shown}");
    }
}
