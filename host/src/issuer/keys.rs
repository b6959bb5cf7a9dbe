//! Keys that sign tokens: JWK Sets (RFC 7517, RFC 7518 section 6, RFC 8037) and PEM.
//!
//! A key is good for the algorithms of its own kind and curve, so that no token can choose what its
//! octets mean (RFC 8725 section 3.1). Symmetric keys come from a file that holds nothing else,
//! never from a JWK Set.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use rustls::pki_types::pem::{PemObject as _, SectionKind};
use serde_json::Value;
use x509_parser::oid_registry::{OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384};
use x509_parser::oid_registry::{OID_PKCS1_RSAENCRYPTION, OID_SIG_ED25519};
use x509_parser::prelude::{FromDer as _, SubjectPublicKeyInfo, X509Certificate};

/// Most keys of one issuer. Big ones have a dozen.
const MOST: usize = 100;

/// RFC 7518 section 3.2: a shared secret is no shorter than the hash.
const SHORTEST_SECRET: usize = 32;

/// The keys of an issuer.
#[derive(Debug, Default)]
pub(super) struct KeySet {
    keys: Vec<Key>,
}

#[derive(Debug)]
struct Key {
    /// RFC 7517 section 4.5. `None`: any token may be signed by it.
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

impl KeySet {
    /// A JWK Set, a single JWK, or PEM.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(octets: &[u8]) -> Result<Self, String> {
        let keys = match octets.trim_ascii_start() {
            [b'{', ..] => json(octets)?,
            _ => pem(octets)?,
        };
        if keys.is_empty() {
            return Err("there is no key in it that a token could be signed by".into());
        }
        Ok(Self { keys })
    }

    /// A secret that the issuer has too.
    ///
    /// # Errors
    /// It is too short.
    pub(super) fn shared(secret: &[u8]) -> Result<Self, String> {
        if secret.len() < SHORTEST_SECRET {
            return Err(format!(
                "it is shorter than {SHORTEST_SECRET} octets, and could be guessed (RFC 7518 \
                 section 3.2)"
            ));
        }
        let lengths = [
            (Algorithm::HS256, 32),
            (Algorithm::HS384, 48),
            (Algorithm::HS512, 64),
        ];
        let fitting = lengths.iter().filter(|(_, least)| secret.len() >= *least);
        let key = Key {
            id: None,
            algorithms: fitting.map(|(algorithm, _)| *algorithm).collect(),
            key: DecodingKey::from_secret(secret),
        };
        Ok(Self { keys: vec![key] })
    }

    /// The keys that may have signed a token with this header.
    pub(super) fn fitting(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &DecodingKey> {
        self.keys
            .iter()
            .filter(move |key| match (&key.id, id) {
                (Some(own), Some(id)) => own == id,
                _ => true,
            })
            .filter(move |key| key.algorithms.contains(&algorithm))
            .map(|key| &key.key)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }
}

fn json(octets: &[u8]) -> Result<Vec<Key>, String> {
    // What serde_json says quotes nothing but the place.
    let value: Value = serde_json::from_slice(octets)
        .map_err(|error| format!("it is no JSON (line {})", error.line()))?;
    let members = match value {
        Value::Object(mut object) => match object.remove("keys") {
            Some(Value::Array(members)) => members,
            Some(_) => return Err("its \"keys\" is no list (RFC 7517 section 5)".into()),
            None if object.contains_key("kty") => vec![Value::Object(object)],
            None => return Err("it has no \"keys\" (RFC 7517 section 5)".into()),
        },
        _ => return Err("it is no JWK Set (RFC 7517 section 5)".into()),
    };
    if members.len() > MOST {
        return Err(format!("it has more than {MOST} keys"));
    }
    // RFC 7517 section 5: what is not understood is ignored.
    Ok(members.into_iter().filter_map(jwk).collect())
}

fn jwk(member: Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(member).ok()?;
    // RFC 7517 sections 4.2 and 4.3.
    let signs = match &jwk.common.public_key_use {
        None | Some(PublicKeyUse::Signature) => true,
        Some(_) => false,
    };
    let verifies = jwk
        .common
        .key_operations
        .as_ref()
        .is_none_or(|operations| operations.contains(&KeyOperations::Verify));
    if !signs || !verifies {
        return None;
    }
    let mut algorithms = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => AlgorithmFamily::Rsa.algorithms().to_vec(),
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => vec![Algorithm::ES256],
            EllipticCurve::P384 => vec![Algorithm::ES384],
            _ => return None,
        },
        AlgorithmParameters::OctetKeyPair(key) => match key.curve {
            EllipticCurve::Ed25519 => vec![Algorithm::EdDSA],
            _ => return None,
        },
        // A symmetric key in a public document is everybody's.
        _ => return None,
    };
    // RFC 7517 section 4.4.
    if let Some(only) = jwk.common.key_algorithm {
        algorithms.retain(|algorithm| Algorithm::try_from(only).is_ok_and(|own| own == *algorithm));
    }
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    (!algorithms.is_empty()).then_some(Key {
        id: jwk.common.key_id,
        algorithms,
        key,
    })
}

fn pem(octets: &[u8]) -> Result<Vec<Key>, String> {
    let mut keys = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(octets) {
        let (kind, der) =
            section.map_err(|_| "it is neither a JWK Set nor proper PEM".to_owned())?;
        match kind {
            SectionKind::PublicKey => {
                let (_, info) = SubjectPublicKeyInfo::from_der(&der)
                    .map_err(|_| "a PUBLIC KEY in it cannot be read".to_owned())?;
                keys.push(public(&info)?);
            }
            SectionKind::Certificate => {
                let (_, certificate) = X509Certificate::from_der(&der)
                    .map_err(|_| "a CERTIFICATE in it cannot be read".to_owned())?;
                keys.push(public(certificate.public_key())?);
            }
            _ => {
                return Err(
                    "it has something else than PUBLIC KEY and CERTIFICATE in it; private keys \
                     belong to the issuer alone"
                        .into(),
                );
            }
        }
    }
    if keys.is_empty() {
        return Err("it is neither a JWK Set nor PEM".into());
    }
    Ok(keys)
}

/// A public key (RFC 5280 section 4.1.2.7, RFC 8410).
fn public(info: &SubjectPublicKeyInfo<'_>) -> Result<Key, String> {
    let kind = &info.algorithm.algorithm;
    let octets = &*info.subject_public_key.data;
    let curve = || info.algorithm.parameters.as_ref()?.as_oid().ok();
    let (algorithms, key) = if *kind == OID_PKCS1_RSAENCRYPTION {
        (
            AlgorithmFamily::Rsa.algorithms().to_vec(),
            DecodingKey::from_rsa_der(octets),
        )
    } else if *kind == OID_SIG_ED25519 {
        (vec![Algorithm::EdDSA], DecodingKey::from_ed_der(octets))
    } else if *kind == OID_KEY_TYPE_EC_PUBLIC_KEY && curve() == Some(OID_EC_P256) {
        (vec![Algorithm::ES256], DecodingKey::from_ec_der(octets))
    } else if *kind == OID_KEY_TYPE_EC_PUBLIC_KEY && curve() == Some(OID_NIST_EC_P384) {
        (vec![Algorithm::ES384], DecodingKey::from_ec_der(octets))
    } else {
        return Err("a key in it is none of RSA, P-256, P-384 and Ed25519".into());
    };
    Ok(Key {
        id: None,
        algorithms,
        key,
    })
}
