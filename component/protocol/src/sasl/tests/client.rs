use super::*;
use crate::contract::TlsFacts;
use crate::ntlm::{Authenticate, AvId, Flags};
use crate::smtp::base64::encode;
use alloc::{format, string::String, vec::Vec};

struct Dialogue<'a> {
    exchange: ClientExchange,
    initial: Option<Vec<u8>>,
    context: ClientContext<'a>,
}

impl<'a> Dialogue<'a> {
    fn start(mechanism: Mechanism, credentials: &Credentials, context: ClientContext<'a>) -> Self {
        let (exchange, initial) =
            ClientExchange::start(mechanism, credentials, &context, &mut World::client())
                .expect("usable credentials");
        assert_eq!(exchange.mechanism(), mechanism);
        Self {
            exchange,
            initial,
            context,
        }
    }

    fn ntlm() -> Self {
        let credentials = credentials("User", "Domain", "Password");
        Self::start(Mechanism::Ntlm, &credentials, CLIENT)
    }

    fn text(&mut self, text: &str) -> ClientStep {
        self.exchange
            .challenge(text.as_bytes(), &self.context, &mut World::client())
    }

    fn octets(&mut self, octets: &[u8]) -> ClientStep {
        self.text(&encode(octets))
    }
}

fn say(octets: &[u8]) -> ClientStep {
    ClientStep::Respond(octets.to_vec())
}

fn is_cancel(step: &ClientStep) -> bool {
    matches!(step, ClientStep::Cancel(_))
}

fn response(step: ClientStep) -> Vec<u8> {
    match step {
        ClientStep::Respond(octets) => octets,
        other => panic!("{other:?}"),
    }
}

/// The server of our own vector, over TLS.
fn facts() -> TlsFacts {
    TlsFacts {
        server_end_point: Some((0..32).collect()),
        ..TlsFacts::default()
    }
}

/// `CHALLENGE` without TargetInfo, as Cyrus SASL sends it.
fn bare_challenge(flags: u32) -> Vec<u8> {
    let mut octets = vectors::published_challenge();
    octets.truncate(48);
    octets[12..20].fill(0);
    octets[40..48].fill(0);
    octets[20..24].copy_from_slice(&flags.to_le_bytes());
    octets
}

#[test]
fn xlogin_2_d_texts_do_not_matter() {
    let alice = credentials("alice", "", "sécret");
    for texts in [["VXNlcm5hbWU6", "UGFzc3dvcmQ6"], ["VXNlciBOYW1lAA==", ""]] {
        let mut login = Dialogue::start(Mechanism::Login, &alice, CLIENT);
        assert_eq!(login.initial, None);
        assert_eq!(login.text(texts[0]), say(b"alice"));
        assert_eq!(login.text(texts[1]), say("sécret".as_bytes()));
        assert!(is_cancel(&login.text("UGFzc3dvcmQ6")));
    }
}

#[test]
fn cl_challenge_undecodable_text_is_cancelled() {
    let alice = credentials("alice", "", "secret");
    let mut login = Dialogue::start(Mechanism::Login, &alice, CLIENT);
    assert!(is_cancel(&login.text("Username:")));
    assert!(is_cancel(&login.text("VXNlcm5hbWU6")));
    let mut plain = Dialogue::start(Mechanism::Plain, &alice, CLIENT);
    let initial = plain.initial.take().unwrap_or_default();
    plain.exchange.withhold(initial);
    assert!(is_cancel(&plain.text("?")));
}

#[test]
fn r4616_2_message_is_the_initial_response() {
    let tim = credentials("tim", "", "tanstaaftanstaaf");
    let mut plain = Dialogue::start(Mechanism::Plain, &tim, CLIENT);
    let initial = plain.initial.take().expect("an initial response");
    assert_eq!(encode(&initial), "AHRpbQB0YW5zdGFhZnRhbnN0YWFm");
    // CL-challenge: it was all there is to say.
    assert!(is_cancel(&plain.text("")));
}

#[test]
fn r4954_4_n_withheld_response_answers_the_empty_challenge() {
    let tim = credentials("tim", "", "tanstaaftanstaaf");
    let mut plain = Dialogue::start(Mechanism::Plain, &tim, CLIENT);
    let initial = plain.initial.take().expect("an initial response");
    plain.exchange.withhold(initial.clone());
    assert_eq!(plain.text(" "), say(&initial));
    assert!(is_cancel(&plain.text("")));
}

#[test]
fn nlmp_3_1_5_a_our_own_vector_is_what_the_client_sends() {
    let facts = facts();
    let context = ClientContext {
        facts: Some(&facts),
        ..CLIENT
    };
    for (user, domain) in [("User", "Domain"), ("Domain\\User", "")] {
        let credentials = credentials(user, domain, "Password");
        let mut ntlm = Dialogue::start(Mechanism::Ntlm, &credentials, context);
        assert_eq!(ntlm.initial, Some(vectors::negotiate()));
        let step = ntlm.octets(&vectors::challenge());
        assert_eq!(step, say(&vectors::authenticate()));
        assert!(is_cancel(&ntlm.octets(&vectors::challenge())));
    }
}

#[test]
fn nlmp_3_1_5_a_no_binding_without_tls() {
    let message = response(Dialogue::ntlm().octets(&vectors::challenge()));
    let read = Authenticate::parse(&message, Flags::UNICODE).expect("a message");
    let pairs = read.response().expect("a v2 response").target_info;
    let ids: Vec<u16> = pairs.pairs().map(|(id, _)| id.0).collect();
    assert_eq!(ids, [2, 1, 4, 3, 7, 6, 9]);
}

#[test]
fn nlmp_3_1_5_a_names_are_split_at_the_backslash_only() {
    for (user, domain, sent_user, sent_domain) in [
        ("alice@example.org", "", "alice@example.org", ""),
        ("alice", "", "alice", ""),
        ("OFFICE\\alice", "", "alice", "OFFICE"),
        ("OFFICE\\alice", "HOME", "OFFICE\\alice", "HOME"),
    ] {
        let credentials = credentials(user, domain, "x");
        let mut ntlm = Dialogue::start(Mechanism::Ntlm, &credentials, CLIENT);
        let message = response(ntlm.octets(&vectors::challenge()));
        let read = Authenticate::parse(&message, Flags::UNICODE).expect("a message");
        assert_eq!(
            (read.user.as_str(), read.domain.as_str()),
            (sent_user, sent_domain)
        );
    }
}

#[test]
fn sntlm_2_2_1_2_c_any_text_is_answered_with_negotiate_once() {
    for text in [
        "ntlm supported",
        "bnRsbSBzdXBwb3J0ZWQ=",
        "",
        "NTLM supported ",
    ] {
        let mut ntlm = Dialogue::ntlm();
        assert_eq!(ntlm.text(text), say(&vectors::negotiate()), "{text}");
        let step = ntlm.octets(&vectors::challenge());
        assert!(response(step).starts_with(b"NTLMSSP\0\x03"));
        // SNTLM-3.1.4.1: once.
        let mut ntlm = Dialogue::ntlm();
        ntlm.text(text);
        assert!(is_cancel(&ntlm.text(text)));
    }
}

#[test]
fn sntlm_cancel_on_a_challenge_that_cannot_be_read() {
    let whole = vectors::challenge();
    // Shorter, it does not even say that it is a CHALLENGE.
    for length in 12..whole.len() {
        let step = Dialogue::ntlm().octets(&whole[..length]);
        assert!(is_cancel(&step), "{length}");
    }
}

#[test]
fn sntlm_cancel_without_target_info_a_refusal_may_be_a_misunderstanding() {
    let mut bare = Dialogue::ntlm();
    bare.octets(&bare_challenge(0x0000_8201));
    assert!(bare.exchange.is_dated());
    let mut full = Dialogue::ntlm();
    full.octets(&vectors::published_challenge());
    assert!(!full.exchange.is_dated());
    let mut plain = Dialogue::start(Mechanism::Plain, &credentials("tim", "", "secret"), CLIENT);
    plain.text("");
    assert!(!plain.exchange.is_dated());
}

#[test]
fn sntlm_cancel_challenge_without_target_info_gets_ntlmv2_over_an_empty_list() {
    let message = response(Dialogue::ntlm().octets(&bare_challenge(0x0000_8201)));
    let read = Authenticate::parse(&message, Flags::UNICODE).expect("a message");
    assert_eq!(read.mic, None);
    let v2 = read.response().expect("a v2 response");
    // Our own time, then an empty list and four zeros.
    assert_eq!(v2.proven[8..16], 0x01d9_0000_0000_0000_u64.to_le_bytes());
    assert_eq!(v2.proven[28..], [0; 8]);
    // NLMP-3.3.2-d, [MS-NLMP] section 4.2.4.2.1: no timestamp, so LMv2 is sent.
    let lm = vectors::hex("86c35097ac9cec102554764a57cccc19 aaaaaaaaaaaaaaaa");
    let at = 72 + 12 + 8 + 12;
    assert_eq!(message[at..at + 24], lm);
    let record = crate::contract::NtlmResponse {
        user: read.user.clone(),
        domain: read.domain.clone(),
        workstation: String::new(),
        server_challenge: vectors::SERVER_CHALLENGE.to_vec(),
        nt_response: read.nt_response.to_vec(),
        negotiate: vectors::negotiate(),
        challenge: bare_challenge(0x0000_8201),
        authenticate: message.clone(),
    };
    let nt = crate::verifier::derive_nt("Password");
    assert_eq!(
        crate::verifier::ntlm(&nt, &record, None, Default::default()),
        Ok(())
    );
}

#[test]
fn nlmp_3_1_5_a_target_info_without_timestamp_gets_no_mic() {
    let facts = facts();
    let context = ClientContext {
        facts: Some(&facts),
        ..CLIENT
    };
    let credentials = credentials("User", "Domain", "Password");
    let mut ntlm = Dialogue::start(Mechanism::Ntlm, &credentials, context);
    let message = response(ntlm.octets(&vectors::published_challenge()));
    let read = Authenticate::parse(&message, Flags::UNICODE).expect("a message");
    assert_eq!(read.mic, None);
    // The server forces key exchange; we did not ask, and do none.
    assert!(!read.flags.has(Flags::KEY_EXCH));
    let pairs = read.response().expect("a v2 response").target_info;
    assert_eq!(pairs.value(AvId::FLAGS), None);
    assert_eq!(pairs.channel_bindings(), Some(vectors::OWN_BINDINGS));
    let ids: Vec<u16> = pairs.pairs().map(|(id, _)| id.0).collect();
    assert_eq!(ids, [2, 1, 10, 9]);
}

#[test]
fn nlmp_2_2_2_5_server_without_unicode_gets_ascii_names_or_none() {
    let challenge = bare_challenge(0x0000_8202);
    let message = response(Dialogue::ntlm().octets(&challenge));
    let read = Authenticate::parse(&message, Flags::OEM).expect("a message");
    assert_eq!(
        (read.user.as_str(), read.domain.as_str()),
        ("User", "Domain")
    );
    let credentials = credentials("jürgen", "", "x");
    let mut ntlm = Dialogue::start(Mechanism::Ntlm, &credentials, CLIENT);
    assert!(is_cancel(&ntlm.octets(&challenge)));
}

#[test]
fn cl_secrets_debug_shows_none() {
    for mechanism in [Mechanism::Login, Mechanism::Ntlm, Mechanism::Plain] {
        let credentials = credentials("alice", "", "secret");
        let (exchange, _) =
            ClientExchange::start(mechanism, &credentials, &CLIENT, &mut World::client())
                .expect("usable credentials");
        let shown = format!("{exchange:?} {:?}", say(b"secret"));
        assert!(
            !shown.contains("secret") && !shown.contains("115, 101"),
            "{shown}"
        );
    }
}
