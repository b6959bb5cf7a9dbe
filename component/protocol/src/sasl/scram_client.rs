//! SCRAM, the client's side (RFC 5802, RFC 7677): both prove that they know the password, and
//! with -PLUS that they are at the two ends of one TLS connection.
//!
//! ```text
//!   n,,n=user,r=NONCE            ->
//!                                <-  r=NONCE...,s=SALT,i=4096
//!   [Derive: PBKDF2 by the host]
//!   c=biws,r=NONCE...,p=PROOF    ->
//!                                <-  v=SIGNATURE
//!   (empty)                      ->                        then 235
//! ```

use super::{ClientContext, ClientStep, gs2};
use crate::contract::{ScramSalt, TlsFacts, client::Credentials, verifier::Digest as Hash};
use crate::environment::Environment;
use crate::scram::{self, Keys};
use crate::smtp::base64;
use alloc::{format, string::String, vec::Vec};
use subtle::ConstantTimeEq as _;

/// Iterations that a server may ask for (R5802-5-d): fewer are too easy to guess through, more
/// would only keep us busy.
const ITERATIONS: core::ops::RangeInclusive<u32> = 4_096..=1_000_000;
/// Octets of randomness in a nonce: 24 characters.
const NONCE: usize = 18;
/// Characters of a server's error that are told; the registered ones are shorter.
const MOST_TOLD: usize = 64;

/// One exchange. Of the password it sees only what PBKDF2 made of it, and keeps none of that.
pub(super) struct Client {
    hash: Hash,
    /// GS2 header and channel binding: what `c=` encodes.
    bound: Vec<u8>,
    state: State,
}

enum State {
    /// client-first-message was sent: without its GS2 header, and its nonce.
    First { bare: String, nonce: String },
    /// The host derives SaltedPassword: AuthMessage, and client-final-message-without-proof.
    Deriving { messages: String, last: String },
    /// client-final-message was sent: the ServerSignature that must come.
    Final { signature: Vec<u8> },
    /// The server knows the password too.
    Proven,
    /// It is over.
    Over,
}

impl Client {
    /// client-first-message.
    pub fn start(
        hash: Hash,
        plus: bool,
        credentials: &Credentials,
        context: &ClientContext<'_>,
        env: &mut dyn Environment,
    ) -> Result<(Self, Vec<u8>), &'static str> {
        let mut random = [0; NONCE];
        env.random(&mut random);
        Self::with_nonce(hash, plus, credentials, context, base64::encode(&random))
    }

    fn with_nonce(
        hash: Hash,
        plus: bool,
        credentials: &Credentials,
        context: &ClientContext<'_>,
        nonce: String,
    ) -> Result<(Self, Vec<u8>), &'static str> {
        if credentials.user.is_empty() || credentials.user.contains('\0') {
            return Err("the user name is empty or has a NUL");
        }
        let binding = context.facts.and_then(binding);
        // R5802-6-c. `y` says that we could, and that the server seems not to: if it was made to
        // seem so, it will notice.
        let (header, bound) = match (plus, binding) {
            (true, Some((kind, octets))) => (format!("p={kind},,"), octets),
            (true, None) => return Err("there is no TLS to bind to"),
            (false, Some(_)) if !context.plus_offered => ("y,,".into(), &[][..]),
            (false, _) => ("n,,".into(), &[][..]),
        };
        let bare = format!("n={},r={nonce}", gs2::escaped(&credentials.user));
        let message = format!("{header}{bare}").into_bytes();
        let client = Self {
            hash,
            bound: [header.as_bytes(), bound].concat(),
            state: State::First { bare, nonce },
        };
        Ok((client, message))
    }

    pub fn challenge(&mut self, message: &[u8]) -> ClientStep {
        match core::mem::replace(&mut self.state, State::Over) {
            State::First { bare, nonce } => match server_first(message, &nonce) {
                Ok((message, nonce, salt)) => {
                    let last = format!("c={},r={nonce}", base64::encode(&self.bound));
                    self.state = State::Deriving {
                        messages: format!("{bare},{message},{last}"),
                        last,
                    };
                    ClientStep::Derive(salt)
                }
                Err(reason) => ClientStep::Cancel(reason),
            },
            State::Final { signature } => match server_final(message) {
                // R5802-5-d: who cannot sign does not know the password.
                ServerFinal::Signature(octets) if bool::from(octets.ct_eq(&signature)) => {
                    self.state = State::Proven;
                    ClientStep::Respond(Vec::new())
                }
                ServerFinal::Error(error) => ClientStep::Concede {
                    response: Vec::new(),
                    reason: format!("the server refuses the proof: {error}"),
                },
                ServerFinal::Signature(_) | ServerFinal::Unreadable => ClientStep::Distrust(
                    "the server does not know the password: its scram signature is wrong",
                ),
            },
            State::Deriving { .. } | State::Proven | State::Over => {
                ClientStep::Cancel("challenge after the last response")
            }
        }
    }

    /// client-final-message, from SaltedPassword; `None` where it has not the length of the hash,
    /// or was not asked for.
    pub fn derived(&mut self, salted: &[u8]) -> Option<Vec<u8>> {
        if salted.len() != scram::length(self.hash) {
            return None;
        }
        let State::Deriving { messages, last } = core::mem::replace(&mut self.state, State::Over)
        else {
            return None;
        };
        let keys = Keys::derive(self.hash, salted);
        let messages = messages.as_bytes();
        let proof = scram::xor(
            &keys.client_key,
            &scram::hmac(self.hash, &keys.stored_key, messages),
        );
        self.state = State::Final {
            signature: scram::hmac(self.hash, &keys.server_key, messages),
        };
        Some(format!("{last},p={}", base64::encode(&proof)).into_bytes())
    }

    /// Whether the server has proven that it knows the password.
    pub fn is_proven(&self) -> bool {
        matches!(self.state, State::Proven)
    }
}

/// R9266-2: tls-exporter is preferred. tls-unique is not supported (R7677-3).
pub(super) fn binding(facts: &TlsFacts) -> Option<(&'static str, &[u8])> {
    let exporter = facts.exporter.as_deref().map(|o| ("tls-exporter", o));
    exporter.or_else(|| {
        let end_point = facts.server_end_point.as_deref();
        end_point.map(|octets| ("tls-server-end-point", octets))
    })
}

/// RFC 5802 section 7: server-first-message. The message, its nonce, salt and iterations.
fn server_first<'a>(
    message: &'a [u8],
    ours: &str,
) -> Result<(&'a str, &'a str, ScramSalt), &'static str> {
    const UNREADABLE: &str = "scram challenge cannot be read";
    let message = core::str::from_utf8(message).map_err(|_| UNREADABLE)?;
    // Attributes after these three are extensions, and ignored.
    let mut attributes = message.split(',');
    let mut value = |name| {
        let attribute = attributes.next()?;
        attribute.strip_prefix(name)
    };
    if message.starts_with("m=") {
        return Err("scram server demands an extension");
    }
    let nonce = value("r=").ok_or(UNREADABLE)?;
    let salt = value("s=").ok_or(UNREADABLE)?;
    let iterations = value("i=").ok_or(UNREADABLE)?;
    // R5802-5-d: it is the answer to this exchange, and not all ours to choose.
    let theirs = nonce.strip_prefix(ours);
    if theirs.is_none_or(|theirs| !is_printable(theirs)) {
        return Err("scram nonce is not an extension of ours");
    }
    let salt = base64::decode(salt.as_bytes())
        .filter(|salt| !salt.is_empty())
        .ok_or(UNREADABLE)?;
    let is_number = iterations.bytes().all(|octet| octet.is_ascii_digit());
    let iterations = iterations
        .parse()
        .ok()
        .filter(|number| is_number && ITERATIONS.contains(number))
        .ok_or("scram iteration count is not 4096 to 1000000")?;
    Ok((message, nonce, ScramSalt { salt, iterations }))
}

/// RFC 5802 section 7: printable; a comma cannot be in it.
fn is_printable(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_graphic())
}

/// server-final-message.
enum ServerFinal {
    Signature(Vec<u8>),
    Error(String),
    Unreadable,
}

/// RFC 5802 section 7; extensions after the first attribute are ignored.
fn server_final(message: &[u8]) -> ServerFinal {
    let attribute = message.split(|octet| *octet == b',').next();
    let attribute = attribute.unwrap_or_default();
    if let Some(signature) = attribute.strip_prefix(b"v=") {
        return base64::decode(signature).map_or(ServerFinal::Unreadable, ServerFinal::Signature);
    }
    match attribute.strip_prefix(b"e=") {
        Some(error) => ServerFinal::Error(
            String::from_utf8_lossy(error)
                .chars()
                .filter(|character| !character.is_control())
                .take(MOST_TOLD)
                .collect(),
        ),
        None => ServerFinal::Unreadable,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{CLIENT, credentials};
    use super::*;
    use crate::scram::test_vectors::{VECTORS, Vector, decode, hi};
    use proptest::prelude::*;

    /// Each vector's client with its first message sent.
    fn begin(vector: &Vector) -> Client {
        let facts = TlsFacts {
            exporter: Some(vector.binding.to_vec()),
            ..TlsFacts::default()
        };
        let plus = !vector.binding.is_empty();
        let context = ClientContext {
            facts: plus.then_some(&facts),
            ..CLIENT
        };
        let (client, message) = Client::with_nonce(
            vector.hash,
            plus,
            &credentials("user", "", "pencil"),
            &context,
            vector.client_nonce.into(),
        )
        .expect("usable credentials");
        let expected = format!("{}n=user,r={}", vector.gs2, vector.client_nonce);
        assert_eq!(message, expected.as_bytes());
        client
    }

    /// And the server's first message answered.
    fn prove(vector: &Vector) -> Client {
        let mut client = begin(vector);
        let (nonce, salt) = (vector.nonce, vector.salt);
        let step = client.challenge(format!("r={nonce},s={salt},i=4096").as_bytes());
        let salt = decode(salt);
        assert_eq!(
            step,
            ClientStep::Derive(ScramSalt {
                salt: salt.clone(),
                iterations: 4096
            })
        );
        let message = client.derived(&hi(vector.hash, "pencil", &salt, 4096));
        let bound = base64::encode(&[vector.gs2.as_bytes(), vector.binding].concat());
        let expected = format!("c={bound},r={nonce},p={}", vector.proof);
        assert_eq!(message.as_deref(), Some(expected.as_bytes()));
        assert!(!client.is_proven());
        client
    }

    #[test]
    fn r5802_5_c_r7677_3_r5802_6_c_vectors_message_by_message() {
        for vector in &VECTORS {
            let mut client = prove(vector);
            let step = client.challenge(format!("v={}", vector.signature).as_bytes());
            assert_eq!(step, ClientStep::Respond(Vec::new()));
            assert!(client.is_proven());
            // CL-challenge
            let step = client.challenge(b"");
            assert!(matches!(step, ClientStep::Cancel(_)));
        }
    }

    #[test]
    fn r5802_5_d_wrong_signature_is_a_server_to_distrust() {
        let vector = &VECTORS[1];
        let other = VECTORS[2].signature;
        let short = base64::encode(&decode(vector.signature)[1..]);
        for message in [
            format!("v={other}"),
            format!("v={short}"),
            "v=".into(),
            "v=?".into(),
            String::new(),
            format!("x=1,v={}", vector.signature),
        ] {
            let mut client = prove(vector);
            let step = client.challenge(message.as_bytes());
            assert!(matches!(step, ClientStep::Distrust(_)), "{message}");
            assert!(!client.is_proven());
        }
        // Extensions after it do no harm.
        let message = format!("v={},x=1", vector.signature);
        let step = prove(vector).challenge(message.as_bytes());
        assert_eq!(step, ClientStep::Respond(Vec::new()));
    }

    #[test]
    fn rfc_5802_7_server_error_is_told() {
        let mut client = prove(&VECTORS[0]);
        let step = client.challenge(b"e=invalid-proof\x1b,x=1");
        let ClientStep::Concede { response, reason } = step else {
            panic!("{step:?}");
        };
        assert_eq!(response, b"");
        assert_eq!(reason, "the server refuses the proof: invalid-proof");
        assert!(!client.is_proven());
    }

    #[test]
    fn r5802_5_d_nonce_extends_ours_and_iterations_have_bounds() {
        let vector = &VECTORS[0];
        let (ours, nonce) = (vector.client_nonce, vector.nonce);
        for (message, fits) in [
            (format!("r={nonce},s=QSXC,i=4096"), true),
            (format!("r={nonce},s=QSXC,i=1000000,x=1"), true),
            (format!("r={nonce},s=QSXC,i=4095"), false),
            (format!("r={nonce},s=QSXC,i=1000001"), false),
            (format!("r={nonce},s=QSXC,i=99999999999999999999"), false),
            (format!("r={nonce},s=QSXC,i=+4096"), false),
            (format!("r={nonce},s=QSXC,i="), false),
            (format!("r={nonce},s=QSXC"), false),
            (format!("r={nonce},s=,i=4096"), false),
            (format!("r={nonce},s=?,i=4096"), false),
            (format!("r={nonce},i=4096,s=QSXC"), false),
            (format!("r={ours},s=QSXC,i=4096"), false),
            (format!("r={ours}\u{7f},s=QSXC,i=4096"), false),
            (format!("r=x{nonce},s=QSXC,i=4096"), false),
            ("r=3rfcNHYJY1ZVvWVs7j,s=QSXC,i=4096".into(), false),
            (format!("m=x,r={nonce},s=QSXC,i=4096"), false),
            ("e=other-error".into(), false),
            (String::new(), false),
        ] {
            let step = begin(vector).challenge(message.as_bytes());
            match step {
                ClientStep::Derive(_) => assert!(fits, "{message}"),
                ClientStep::Cancel(_) => assert!(!fits, "{message}"),
                other => panic!("{other:?}"),
            }
        }
        let step = begin(vector).challenge(b"r=\xff");
        assert!(matches!(step, ClientStep::Cancel(_)));
    }

    #[test]
    fn r5802_6_c_binding_is_used_asked_for_or_absent() {
        let exporter = TlsFacts {
            exporter: Some(alloc::vec![1; 32]),
            server_end_point: Some(alloc::vec![2; 32]),
            ..TlsFacts::default()
        };
        let end_point = TlsFacts {
            exporter: None,
            ..exporter.clone()
        };
        let none = TlsFacts::default();
        let mut env = crate::environment::Fixed::default();
        let mut header = |facts, plus, plus_offered| {
            let context = ClientContext {
                facts,
                plus_offered,
                ..CLIENT
            };
            let credentials = credentials("a,b=c", "", "x");
            let begun = Client::start(Hash::Sha256, plus, &credentials, &context, &mut env);
            begun.map(|(client, message)| {
                let message = String::from_utf8(message).expect("UTF-8");
                let (header, name) = message.split_once("n=a=2Cb=3Dc,r=").expect("a name");
                // 18 octets in base64.
                assert_eq!(name.len(), 24);
                (String::from(header), client.bound)
            })
        };
        let bound = |header: &str, octets: &[u8]| {
            let bound = [header.as_bytes(), octets].concat();
            Ok((String::from(header), bound))
        };
        let case = header(Some(&exporter), true, true);
        assert_eq!(case, bound("p=tls-exporter,,", &[1; 32]));
        let case = header(Some(&end_point), true, true);
        assert_eq!(case, bound("p=tls-server-end-point,,", &[2; 32]));
        assert!(header(Some(&none), true, true).is_err());
        assert!(header(None, true, true).is_err());
        assert_eq!(header(Some(&exporter), false, false), bound("y,,", &[]));
        assert_eq!(header(Some(&exporter), false, true), bound("n,,", &[]));
        assert_eq!(header(Some(&none), false, false), bound("n,,", &[]));
        assert_eq!(header(None, false, false), bound("n,,", &[]));
    }

    #[test]
    fn derived_of_another_length_is_refused() {
        let vector = &VECTORS[0];
        let mut client = begin(vector);
        assert_eq!(client.derived(&[0; 20]), None);
        let mut client = begin(vector);
        client.challenge(format!("r={},s=QSXC,i=4096", vector.nonce).as_bytes());
        for length in [0, 19, 32] {
            assert_eq!(client.derived(&alloc::vec![0; length]), None);
        }
        assert!(client.derived(&[0; 20]).is_some());
    }

    proptest! {
        #[test]
        fn r5802_5_arbitrary_messages_never_panic_and_never_prove(
            first in any::<bool>(),
            octets in proptest::collection::vec(any::<u8>(), 0..60),
            text in "[rsivem]=[ -~]{0,40}",
        ) {
            for message in [octets.as_slice(), text.as_bytes()] {
                let mut client = begin(&VECTORS[0]);
                if first {
                    let nonce = VECTORS[0].nonce;
                    client.challenge(format!("r={nonce},s=QSXC,i=4096").as_bytes());
                    client.derived(&[0; 20]);
                }
                client.challenge(message);
                client.challenge(message);
                prop_assert!(!client.is_proven());
            }
        }
    }
}
