//! The arithmetic of SCRAM (RFC 5802 section 3, RFC 7677), of both sides.
//!
//! Not here: PBKDF2, which is the host's.

use crate::contract::verifier::Digest as Hash;
use alloc::vec::Vec;
use hmac::{EagerHash, Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// What SaltedPassword gives.
pub struct Keys {
    /// ClientKey: who has it can log in.
    pub client_key: Zeroizing<Vec<u8>>,
    /// StoredKey.
    pub stored_key: Vec<u8>,
    /// ServerKey.
    pub server_key: Zeroizing<Vec<u8>>,
}

impl Keys {
    /// From the result of PBKDF2.
    pub fn derive(hash: Hash, salted: &[u8]) -> Self {
        let client_key = Zeroizing::new(hmac(hash, salted, b"Client Key"));
        Self {
            stored_key: digest(hash, &client_key),
            client_key,
            server_key: Zeroizing::new(hmac(hash, salted, b"Server Key")),
        }
    }
}

/// Octets of SaltedPassword, of every key and of every proof.
pub fn length(hash: Hash) -> usize {
    match hash {
        Hash::Sha1 => 20,
        Hash::Sha256 => 32,
    }
}

/// HMAC.
pub fn hmac(hash: Hash, key: &[u8], message: &[u8]) -> Vec<u8> {
    match hash {
        Hash::Sha1 => hmac_of::<Sha1>(key, message),
        Hash::Sha256 => hmac_of::<Sha256>(key, message),
    }
}

/// H.
pub fn digest(hash: Hash, octets: &[u8]) -> Vec<u8> {
    match hash {
        Hash::Sha1 => Sha1::digest(octets).to_vec(),
        Hash::Sha256 => Sha256::digest(octets).to_vec(),
    }
}

/// ClientProof from ClientKey and ClientSignature, and back.
pub fn xor(key: &[u8], signature: &[u8]) -> Vec<u8> {
    key.iter().zip(signature).map(|(a, b)| a ^ b).collect()
}

fn hmac_of<D: EagerHash>(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac =
        <Hmac<D> as KeyInit>::new_from_slice(key).expect("RFC 2104 takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

/// Hi of RFC 5802 section 2.2 and the published exchanges, for tests.
#[cfg(test)]
pub(crate) mod test_vectors {
    use super::*;
    use crate::smtp::base64;

    pub fn hi(hash: Hash, password: &str, salt: &[u8], iterations: u32) -> Vec<u8> {
        let first = [salt, &1_u32.to_be_bytes()].concat();
        let mut turn = hmac(hash, password.as_bytes(), &first);
        let mut sum = turn.clone();
        for _ in 1..iterations {
            turn = hmac(hash, password.as_bytes(), &turn);
            sum = xor(&sum, &turn);
        }
        sum
    }

    pub fn decode(text: &str) -> Vec<u8> {
        base64::decode(text.as_bytes()).expect("base64")
    }

    /// One exchange of user `user` with password `pencil`, 4096 iterations.
    pub struct Vector {
        pub hash: Hash,
        pub gs2: &'static str,
        pub binding: &'static [u8],
        pub salt: &'static str,
        pub client_nonce: &'static str,
        pub nonce: &'static str,
        pub proof: &'static str,
        pub signature: &'static str,
    }

    const BINDING: [u8; 32] = {
        let mut binding = [0; 32];
        let mut at = 0;
        while at < 32 {
            binding[at] = at as u8;
            at += 1;
        }
        binding
    };

    const CLIENT: &str = "rOprNGfwEbeRWgbNEkqO";
    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

    pub const VECTORS: [Vector; 3] = [
        // RFC 5802 section 5.
        Vector {
            hash: Hash::Sha1,
            gs2: "n,,",
            binding: &[],
            salt: "QSXCR+Q6sek8bf92",
            client_nonce: "fyko+d2lbbFgONRv9qkxdawL",
            nonce: "fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j",
            proof: "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            signature: "rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        },
        // RFC 7677 section 3.
        Vector {
            hash: Hash::Sha256,
            gs2: "n,,",
            binding: &[],
            salt: "W22ZaJ0SNY7soEsUEjb6gQ==",
            client_nonce: CLIENT,
            nonce: NONCE,
            proof: "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            signature: "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        },
        // The profile's.
        Vector {
            hash: Hash::Sha256,
            gs2: "p=tls-exporter,,",
            binding: &BINDING,
            salt: "W22ZaJ0SNY7soEsUEjb6gQ==",
            client_nonce: CLIENT,
            nonce: NONCE,
            proof: "QC6CS20quADQRb3mT99YUH+n3VJxUvzuK0K0E1Vrs2M=",
            signature: "2GiAgapEppLVlUXbxUDksL3VgYHzuqiK5tR4mhJGgvs=",
        },
    ];
}
