//! Keys and tokens, made without the library that verifies them.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use aws_lc_rs::{hmac, rsa};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde_json::{Value, json};

/// Somebody who signs.
pub(super) enum Signer {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Secret(Vec<u8>),
}

impl Signer {
    pub(super) fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(rsa::KeySize::Rsa2048).unwrap())
    }

    pub(super) fn p256() -> Self {
        Self::P256(EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(super) fn p384() -> Self {
        Self::P384(EcdsaKeyPair::generate(&signature::ECDSA_P384_SHA384_FIXED_SIGNING).unwrap())
    }

    pub(super) fn ed() -> Self {
        Self::Ed(Ed25519KeyPair::generate().unwrap())
    }

    /// The public key as a JWK (RFC 7517), with this `kid`.
    pub(super) fn jwk(&self, id: &str) -> Value {
        let text = |octets: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(octets);
        let point = |key: &EcdsaKeyPair, curve: &str| {
            // SEC 1 section 2.3.3: 4, x, y.
            let octets = key.public_key().as_ref()[1..].to_vec();
            let (x, y) = octets.split_at(octets.len() / 2);
            json!({"kty": "EC", "crv": curve, "x": text(x), "y": text(y), "kid": id})
        };
        match self {
            Self::Rsa(key) => {
                let public = key.public_key();
                let n = public.modulus();
                let e = public.exponent();
                json!({
                    "kty": "RSA",
                    "n": text(n.big_endian_without_leading_zero()),
                    "e": text(e.big_endian_without_leading_zero()),
                    "kid": id,
                    "use": "sig",
                })
            }
            Self::P256(key) => point(key, "P-256"),
            Self::P384(key) => point(key, "P-384"),
            Self::Ed(key) => {
                let x = text(key.public_key().as_ref());
                json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": id})
            }
            Self::Secret(secret) => json!({"kty": "oct", "k": text(secret), "kid": id}),
        }
    }

    /// A JWK Set of this key alone.
    pub(super) fn set(&self, id: &str) -> String {
        json!({"keys": [self.jwk(id)]}).to_string()
    }

    /// The public key in PEM.
    pub(super) fn pem(&self) -> String {
        fn der<K: AsDer<PublicKeyX509Der<'static>>>(key: &K) -> Vec<u8> {
            key.as_der().unwrap().as_ref().to_vec()
        }
        let der = match self {
            Self::Rsa(key) => der(key.public_key()),
            Self::P256(key) | Self::P384(key) => der(key.public_key()),
            Self::Ed(key) => der(key.public_key()),
            Self::Secret(_) => panic!("a secret has no public key"),
        };
        let text = BASE64_STANDARD.encode(der);
        format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n")
    }

    /// A token with this header and these claims (RFC 7515 section 7.1).
    pub(super) fn token(&self, header: Value, claims: &Value) -> String {
        let algorithm = header["alg"].as_str().unwrap_or_default().to_owned();
        let message = unsigned(&header, claims);
        let signature = self.sign(&algorithm, message.as_bytes());
        format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    /// A signature by the algorithm of this name, as far as the key has it; else by its own.
    fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(key) => {
                let padding: &'static dyn signature::RsaEncoding = match algorithm {
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "PS384" => &signature::RSA_PSS_SHA384,
                    "PS512" => &signature::RSA_PSS_SHA512,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut octets = vec![0; key.public_modulus_len()];
                key.sign(padding, &random, message, &mut octets).unwrap();
                octets
            }
            Self::P256(key) | Self::P384(key) => {
                key.sign(&random, message).unwrap().as_ref().to_vec()
            }
            Self::Ed(key) => key.sign(message).as_ref().to_vec(),
            Self::Secret(secret) => {
                let hash = match algorithm {
                    "HS384" => hmac::HMAC_SHA384,
                    "HS512" => hmac::HMAC_SHA512,
                    _ => hmac::HMAC_SHA256,
                };
                hmac::sign(&hmac::Key::new(hash, secret), message)
                    .as_ref()
                    .to_vec()
            }
        }
    }
}

/// What is signed of a token.
pub(super) fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}
