//! SCRAM, the server's side (RFC 5802, RFC 7677): the dialogue and the channel binding. What the
//! proof is checked with, the host has.
//!
//! ```text
//!   n,,n=user,r=NONCE            ->   [ScramFirst: the host knows the salt]
//!                                <-   r=NONCE...,s=SALT,i=4096
//!   c=biws,r=NONCE...,p=PROOF    ->   [ScramFinal: the host checks, and signs]
//!                                <-   v=SIGNATURE
//!   (empty)                      ->   235: nobody is let in before
//! ```
//!
//! Whatever is wrong is refused as a wrong password is (R5802-5-a, R5802-5-c): server-error-value
//! is optional, and would only help who guesses.

use super::gs2::{Binding, Header, unescaped};
use super::server::{SaslRefusal, ServerContext, ServerStep, Turn};
use crate::contract::{
    Mechanism, ScramSalt, TlsFacts,
    server::{Question, ScramProof, ScramStart},
    verifier::Digest as Hash,
};
use crate::environment::Environment;
use crate::parked::{Reader, Writer};
use crate::scram;
use crate::smtp::base64;
use alloc::{format, string::String, vec::Vec};

/// Iterations that a verifier has at least (R5802-5-b).
const LEAST_ITERATIONS: u32 = 4_096;
/// Octets of randomness in our part of the nonce: 24 characters.
const NONCE: usize = 18;
/// Characters of the client's part at most: it comes back in a line of 12,288 octets (RFC 4954
/// section 4).
const MOST_NONCE: usize = 1_024;

/// Where an exchange stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Server {
    /// client-first-message is awaited.
    First,
    /// The host's salt is awaited.
    Salt(Begun),
    /// client-final-message is awaited, which answers these.
    Final {
        /// GS2 header, for `c=`.
        header: String,
        /// Both parts of the nonce.
        nonce: String,
        /// AuthMessage so far.
        messages: String,
    },
    /// The host's word about the proof is awaited.
    Proof,
    /// server-final-message was sent to this identity: an empty response is awaited.
    Proven(String),
}

/// What client-first-message began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Begun {
    /// GS2 header, as it came.
    header: String,
    /// client-first-message-bare, as it came.
    bare: String,
    /// Both parts of the nonce.
    nonce: String,
}

impl Server {
    /// R4954-4-e: without an initial response an empty challenge asks for it.
    pub fn start(
        mechanism: Mechanism,
        initial: Option<&[u8]>,
        context: &ServerContext<'_>,
        env: &mut dyn Environment,
    ) -> Turn<Self> {
        match initial {
            None => (Some(Self::First), ServerStep::Challenge(Vec::new())),
            Some(message) => Self::First.respond(mechanism, message, context, env),
        }
    }

    pub fn respond(
        self,
        mechanism: Mechanism,
        response: &[u8],
        context: &ServerContext<'_>,
        env: &mut dyn Environment,
    ) -> Turn<Self> {
        match self {
            Self::First => {
                let mut random = [0; NONCE];
                env.random(&mut random);
                Self::first(mechanism, response, context, &base64::encode(&random))
            }
            Self::Final {
                header,
                nonce,
                messages,
            } => {
                let proof = client_final(mechanism, response, &header, &nonce, context.facts);
                match proof {
                    Some((without_proof, proof)) => {
                        let messages = format!("{messages},{without_proof}");
                        let proof = ScramProof { messages, proof };
                        let step = ServerStep::Ask(Question::ScramFinal(proof));
                        (Some(Self::Proof), step)
                    }
                    None => wrong(),
                }
            }
            // R5802-5-c, R4422-3.
            Self::Proven(identity) if response.is_empty() => (None, ServerStep::Grant(identity)),
            // It is no message of SCRAM; and the session asks for none while the host is asked.
            Self::Proven(_) | Self::Salt(_) | Self::Proof => {
                (None, ServerStep::Refuse(SaslRefusal::Malformed))
            }
        }
    }

    /// client-first-message; `own` is our part of the nonce.
    fn first(
        mechanism: Mechanism,
        message: &[u8],
        context: &ServerContext<'_>,
        own: &str,
    ) -> Turn<Self> {
        let Some(first) = client_first(message) else {
            return wrong();
        };
        // R5802-6-a: a name with -PLUS binds, one without does not; and who believes that we
        // offer no binding while we do was deceived on the way.
        let is_fit = match first.header.binding {
            Binding::Bound(kind) => is_plus(mechanism) && octets(kind, context.facts).is_some(),
            Binding::NotOffered => !is_plus(mechanism) && !context.plus_offered,
            Binding::Unsupported => !is_plus(mechanism),
        };
        if !is_fit {
            return wrong();
        }
        // The user itself is no other identity; whether another is permitted the host knows.
        let authorization = match first.header.authorization {
            authorization if authorization == first.user => String::new(),
            authorization => authorization,
        };
        let begun = Begun {
            header: first.header.text.into(),
            bare: first.bare.into(),
            nonce: format!("{}{own}", first.nonce),
        };
        let start = ScramStart {
            mechanism,
            authorization,
            user: first.user,
        };
        let step = ServerStep::Ask(Question::ScramFirst(start));
        (Some(Self::Salt(begun)), step)
    }

    /// The host's salt. R5802-5-b: server-first-message, unless no client would take it.
    pub fn salted(begun: Begun, salt: &ScramSalt) -> Turn<Self> {
        if salt.salt.is_empty() || salt.iterations < LEAST_ITERATIONS {
            return (None, ServerStep::Refuse(SaslRefusal::Unavailable));
        }
        let (nonce, iterations) = (begun.nonce, salt.iterations);
        let message = format!("r={nonce},s={},i={iterations}", base64::encode(&salt.salt));
        let messages = format!("{},{message}", begun.bare);
        let next = Self::Final {
            header: begun.header,
            nonce,
            messages,
        };
        (Some(next), ServerStep::Challenge(message.into_bytes()))
    }

    /// The host's grant to the proof. R5802-5-c: server-final-message; a signature that cannot be
    /// one lets nobody in.
    pub fn signed(mechanism: Mechanism, identity: &str, signature: &[u8]) -> Turn<Self> {
        if signature.len() != scram::length(hash(mechanism)) {
            return (None, ServerStep::Refuse(SaslRefusal::Unavailable));
        }
        let message = format!("v={}", base64::encode(signature));
        let step = ServerStep::Challenge(message.into_bytes());
        (Some(Self::Proven(identity.into())), step)
    }

    pub fn write(&self, writer: &mut Writer) {
        let (tag, texts): (u8, &[&String]) = match self {
            Self::First => (0, &[]),
            Self::Salt(begun) => (1, &[&begun.header, &begun.bare, &begun.nonce]),
            Self::Final {
                header,
                nonce,
                messages,
            } => (2, &[header, nonce, messages]),
            Self::Proof => (3, &[]),
            Self::Proven(identity) => (4, &[identity]),
        };
        writer.u8(tag);
        for text in texts {
            writer.string(text);
        }
    }

    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(match reader.u8()? {
            0 => Self::First,
            1 => Self::Salt(Begun {
                header: reader.string()?,
                bare: reader.string()?,
                nonce: reader.string()?,
            }),
            2 => Self::Final {
                header: reader.string()?,
                nonce: reader.string()?,
                messages: reader.string()?,
            },
            3 => Self::Proof,
            4 => Self::Proven(reader.string()?),
            _ => return None,
        })
    }
}

fn wrong() -> Turn<Server> {
    (None, ServerStep::Refuse(SaslRefusal::Wrong))
}

fn is_plus(mechanism: Mechanism) -> bool {
    matches!(
        mechanism,
        Mechanism::ScramSha1Plus | Mechanism::ScramSha256Plus
    )
}

/// R7677-3: the same with another hash.
fn hash(mechanism: Mechanism) -> Hash {
    match mechanism {
        Mechanism::ScramSha1 | Mechanism::ScramSha1Plus => Hash::Sha1,
        _ => Hash::Sha256,
    }
}

/// What a channel is bound with (R9266-2, R5929-4). tls-unique is not supported (R7677-3).
fn octets<'a>(kind: &str, facts: Option<&'a TlsFacts>) -> Option<&'a [u8]> {
    match kind {
        "tls-exporter" => facts?.exporter.as_deref(),
        "tls-server-end-point" => facts?.server_end_point.as_deref(),
        _ => None,
    }
}

/// client-first-message.
struct ClientFirst<'a> {
    header: Header<'a>,
    bare: &'a str,
    user: String,
    nonce: &'a str,
}

/// RFC 5802 section 7 (R5802-5-a). A message with `m=` is none: its extension would be mandatory.
fn client_first(message: &[u8]) -> Option<ClientFirst<'_>> {
    let message = core::str::from_utf8(message).ok()?;
    let (header, bare) = Header::parse(message)?;
    let mut attributes = bare.split(',');
    let user = unescaped(attributes.next()?.strip_prefix("n=")?)?;
    let nonce = attributes.next()?.strip_prefix("r=")?;
    let is_printable = nonce.bytes().all(|octet| octet.is_ascii_graphic());
    let is_fit = (1..=MOST_NONCE).contains(&nonce.len()) && is_printable;
    (is_fit && attributes.all(is_extension)).then_some(ClientFirst {
        header,
        bare,
        user,
        nonce,
    })
}

/// RFC 5802 section 7 (R5802-5-c): client-final-message-without-proof, and the proof; `None` if it
/// does not answer this nonce, or comes over another channel.
fn client_final<'a>(
    mechanism: Mechanism,
    message: &'a [u8],
    header: &str,
    nonce: &str,
    facts: Option<&TlsFacts>,
) -> Option<(&'a str, Vec<u8>)> {
    let message = core::str::from_utf8(message).ok()?;
    // The proof is the last attribute; what stands between nonce and proof are extensions.
    let (without_proof, proof) = message.rsplit_once(',')?;
    let proof = base64::decode(proof.strip_prefix("p=")?.as_bytes())?;
    let mut attributes = without_proof.split(',');
    let bound = base64::decode(attributes.next()?.strip_prefix("c=")?.as_bytes())?;
    let (parsed, _) = Header::parse(header)?;
    let channel = match parsed.binding {
        Binding::Bound(kind) => octets(kind, facts)?,
        Binding::NotOffered | Binding::Unsupported => &[],
    };
    let is_fit = bound == [header.as_bytes(), channel].concat()
        && attributes.next()?.strip_prefix("r=") == Some(nonce)
        && attributes.all(is_extension)
        && proof.len() == scram::length(hash(mechanism));
    is_fit.then_some((without_proof, proof))
}

/// attr-val of a letter, which is ignored unless it is `m`.
fn is_extension(attribute: &str) -> bool {
    let (name, value) = attribute.split_once('=').unwrap_or_default();
    let is_name = matches!(name.as_bytes(), [letter] if letter.is_ascii_alphabetic());
    is_name && name != "m" && !value.is_empty() && !value.contains('\0')
}

#[cfg(test)]
#[path = "tests/scram_server.rs"]
mod tests;
