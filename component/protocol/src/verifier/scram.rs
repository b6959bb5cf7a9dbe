//! SCRAM, the server's side of the arithmetic (RFC 5802 section 3, RFC 7677).

use crate::contract::verifier::{Digest, Refusal, ScramKeys};
use crate::scram::{self, Keys};
use alloc::vec::Vec;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// StoredKey and ServerKey from SaltedPassword, the result of PBKDF2.
pub fn derive_scram(salted: &[u8], digest: Digest) -> ScramKeys {
    let keys = Keys::derive(digest, salted);
    ScramKeys {
        digest,
        stored_key: keys.stored_key,
        server_key: keys.server_key.to_vec(),
    }
}

/// Checks ClientProof against `messages` (AuthMessage); gives ServerSignature, for `v=`.
pub fn scram(keys: &ScramKeys, messages: &str, proof: &[u8]) -> Result<Vec<u8>, Refusal> {
    let (hash, messages) = (keys.digest, messages.as_bytes());
    let signature = scram::hmac(hash, &keys.stored_key, messages);
    if proof.len() != signature.len() {
        return Err(Refusal::Malformed);
    }
    // ClientProof := ClientKey XOR ClientSignature
    let client_key = Zeroizing::new(scram::xor(proof, &signature));
    let stored_key = scram::digest(hash, &client_key);
    if bool::from(stored_key.as_slice().ct_eq(&keys.stored_key)) {
        Ok(scram::hmac(hash, &keys.server_key, messages))
    } else {
        Err(Refusal::Wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scram::test_vectors::{VECTORS, Vector, decode, hi};
    use crate::smtp::base64;
    use alloc::{format, string::String};
    use proptest::prelude::*;

    /// Keys, AuthMessage, proof and signature.
    fn read(vector: &Vector) -> (ScramKeys, String, Vec<u8>, Vec<u8>) {
        let salt = decode(vector.salt);
        let keys = derive_scram(&hi(vector.hash, "pencil", &salt, 4096), vector.hash);
        let (client, nonce, salt) = (vector.client_nonce, vector.nonce, vector.salt);
        let bound = [vector.gs2.as_bytes(), vector.binding].concat();
        let bound = base64::encode(&bound);
        let messages = format!("n=user,r={client},r={nonce},s={salt},i=4096,c={bound},r={nonce}");
        let (proof, signature) = (decode(vector.proof), decode(vector.signature));
        (keys, messages, proof, signature)
    }

    #[test]
    fn r5802_5_c_r7677_3_published_vectors_and_that_of_the_profile() {
        for vector in &VECTORS {
            let (keys, messages, proof, signature) = read(vector);
            assert_eq!(scram(&keys, &messages, &proof), Ok(signature));
        }
    }

    #[test]
    fn r5802_5_c_wrong_proof_message_or_keys_are_refused() {
        let (keys, messages, proof, _) = read(&VECTORS[0]);
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
            let digest = if sha1 { Digest::Sha1 } else { Digest::Sha256 };
            let keys = ScramKeys { digest, stored_key, server_key: Vec::new() };
            prop_assert!(scram(&keys, &messages, &proof).is_err());
        }
    }
}
