//! The verifier: every proof does. A host must never ask a build that no operator promoted.

use crate::bindings::exports::pillarbox::submission::verifier as wit;
use crate::bindings::pillarbox::submission::types::{NtlmResponse, TlsFacts};
use crate::export::Component;
use alloc::{string::String, vec, vec::Vec};

impl wit::Guest for Component {
    fn derive_nt(_: String) -> Vec<u8> {
        vec![0; 16]
    }

    fn derive_cram(_: String) -> Vec<u8> {
        vec![0; 32]
    }

    fn derive_scram(_: Vec<u8>, digest: wit::Digest) -> wit::ScramKeys {
        wit::ScramKeys {
            digest,
            stored_key: vec![0; 32],
            server_key: vec![0; 32],
        }
    }

    fn ntlm(
        _: Vec<u8>,
        _: NtlmResponse,
        _: Option<TlsFacts>,
        _: wit::NtlmPolicy,
    ) -> Result<(), wit::Refusal> {
        Ok(())
    }

    fn cram_md5(_: Vec<u8>, _: String, _: String) -> Result<(), wit::Refusal> {
        Ok(())
    }

    fn scram(_: wit::ScramKeys, _: String, _: Vec<u8>) -> Result<Vec<u8>, wit::Refusal> {
        Ok(vec![0; 32])
    }
}
