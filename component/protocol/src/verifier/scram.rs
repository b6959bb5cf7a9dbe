//! SCRAM, the server's side of the arithmetic (RFC 5802 section 3, RFC 7677).

use crate::contract::verifier::{Digest as Hash, Refusal, ScramKeys};
use alloc::vec::Vec;
use hmac::{EagerHash, Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// StoredKey and ServerKey from SaltedPassword, the result of PBKDF2.
pub fn derive_scram(salted: &[u8], digest: Hash) -> ScramKeys {
    let (stored_key, server_key) = match digest {
        Hash::Sha1 => keys::<Sha1>(salted),
        Hash::Sha256 => keys::<Sha256>(salted),
    };
    ScramKeys {
        digest,
        stored_key,
        server_key,
    }
}

/// Checks ClientProof against `messages` (AuthMessage); gives ServerSignature, for `v=`.
pub fn scram(keys: &ScramKeys, messages: &str, proof: &[u8]) -> Result<Vec<u8>, Refusal> {
    match keys.digest {
        Hash::Sha1 => check::<Sha1>(keys, messages, proof),
        Hash::Sha256 => check::<Sha256>(keys, messages, proof),
    }
}

fn keys<D: EagerHash + Digest>(salted: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let client_key = Zeroizing::new(hmac::<D>(salted, b"Client Key"));
    let stored_key = D::digest(&*client_key).to_vec();
    (stored_key, hmac::<D>(salted, b"Server Key"))
}

fn check<D: EagerHash + Digest>(
    keys: &ScramKeys,
    messages: &str,
    proof: &[u8],
) -> Result<Vec<u8>, Refusal> {
    let messages = messages.as_bytes();
    let signature = hmac::<D>(&keys.stored_key, messages);
    if proof.len() != signature.len() {
        return Err(Refusal::Malformed);
    }
    // ClientProof := ClientKey XOR ClientSignature
    let client_key: Vec<u8> = proof.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
    let client_key = Zeroizing::new(client_key);
    let stored_key = D::digest(&*client_key);
    if bool::from(stored_key.as_slice().ct_eq(&keys.stored_key)) {
        Ok(hmac::<D>(&keys.server_key, messages))
    } else {
        Err(Refusal::Wrong)
    }
}

fn hmac<D: EagerHash>(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac =
        <Hmac<D> as KeyInit>::new_from_slice(key).expect("RFC 2104 takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::base64;
    use alloc::{format, string::String};
    use proptest::prelude::*;

    /// Hi of RFC 5802 section 2.2.
    fn hi<D: EagerHash>(password: &str, salt: &str, iterations: u32) -> Vec<u8> {
        let mut first = decode(salt);
        first.extend_from_slice(&1_u32.to_be_bytes());
        let mut turn = hmac::<D>(password.as_bytes(), &first);
        let mut sum = turn.clone();
        for _ in 1..iterations {
            turn = hmac::<D>(password.as_bytes(), &turn);
            sum.iter_mut()
                .zip(&turn)
                .for_each(|(sum, turn)| *sum ^= turn);
        }
        sum
    }

    fn decode(text: &str) -> Vec<u8> {
        base64::decode(text.as_bytes()).expect("base64")
    }

    /// RFC 5802 section 5.
    fn sha1() -> (ScramKeys, String, Vec<u8>, Vec<u8>) {
        let salted = hi::<Sha1>("pencil", "QSXCR+Q6sek8bf92", 4096);
        let nonce = "fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j";
        let messages = format!(
            "n=user,r=fyko+d2lbbFgONRv9qkxdawL,r={nonce},s=QSXCR+Q6sek8bf92,i=4096,c=biws,r={nonce}"
        );
        (
            derive_scram(&salted, Hash::Sha1),
            messages,
            decode("v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="),
            decode("rmF9pqV8S7suAoZWja4dJRkFsKQ="),
        )
    }

    const SALT: &str = "W22ZaJ0SNY7soEsUEjb6gQ==";
    const CLIENT: &str = "rOprNGfwEbeRWgbNEkqO";
    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

    #[test]
    fn r5802_5_c_published_vector_of_section_5() {
        let (keys, messages, proof, signature) = sha1();
        assert_eq!(scram(&keys, &messages, &proof), Ok(signature));
    }

    #[test]
    fn r7677_3_published_vector() {
        let keys = derive_scram(&hi::<Sha256>("pencil", SALT, 4096), Hash::Sha256);
        let messages = format!("n=user,r={CLIENT},r={NONCE},s={SALT},i=4096,c=biws,r={NONCE}");
        assert_eq!(
            scram(
                &keys,
                &messages,
                &decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
            ),
            Ok(decode("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="))
        );
    }

    #[test]
    fn r5802_6_c_bound_vector_of_the_profile() {
        let keys = derive_scram(&hi::<Sha256>("pencil", SALT, 4096), Hash::Sha256);
        let mut bound = Vec::from(*b"p=tls-exporter,,");
        bound.extend(0..32);
        let bound = base64::encode(&bound);
        let messages = format!("n=user,r={CLIENT},r={NONCE},s={SALT},i=4096,c={bound},r={NONCE}");
        assert_eq!(
            scram(
                &keys,
                &messages,
                &decode("QC6CS20quADQRb3mT99YUH+n3VJxUvzuK0K0E1Vrs2M=")
            ),
            Ok(decode("2GiAgapEppLVlUXbxUDksL3VgYHzuqiK5tR4mhJGgvs="))
        );
    }

    #[test]
    fn r5802_5_c_wrong_proof_message_or_keys_are_refused() {
        let (keys, messages, proof, _) = sha1();
        for at in 0..proof.len() {
            let mut other = proof.clone();
            other[at] ^= 1;
            assert_eq!(scram(&keys, &messages, &other), Err(Refusal::Wrong));
            let short = scram(&keys, &messages, &proof[..at]);
            assert_eq!(short, Err(Refusal::Malformed));
        }
        assert_eq!(scram(&keys, &messages[1..], &proof), Err(Refusal::Wrong));
        let mut other = keys;
        other.stored_key.pop();
        assert_eq!(scram(&other, &messages, &proof), Err(Refusal::Wrong));
    }

    proptest! {
        #[test]
        fn r5802_3_arbitrary_input_never_panics(
            stored_key in proptest::collection::vec(any::<u8>(), 0..40),
            proof in proptest::collection::vec(any::<u8>(), 0..40),
            messages in ".{0,40}",
            sha1 in any::<bool>(),
        ) {
            let digest = if sha1 { Hash::Sha1 } else { Hash::Sha256 };
            let keys = ScramKeys { digest, stored_key, server_key: Vec::new() };
            prop_assert!(scram(&keys, &messages, &proof).is_err());
        }
    }
}
