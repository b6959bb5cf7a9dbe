//! The `verifier` interface.

use crate::bindings::exports::pillarbox::submission::verifier as wit;
use crate::bindings::pillarbox::submission::types::{NtlmResponse, TlsFacts};
use crate::convert::{Convert, cases, fields};
use crate::export::Component;
use alloc::{string::String, vec::Vec};
use pillarbox_protocol::contract::verifier as own;
use pillarbox_protocol::verifier;

cases!(wit::Digest, own::Digest, Sha1, Sha256);
cases!(
    wit::Refusal,
    own::Refusal,
    Wrong,
    Malformed,
    Downgraded,
    Anonymous,
    Binding,
    Integrity
);
fields!(
    wit::NtlmPolicy,
    own::NtlmPolicy,
    moved {
        require_integrity,
        require_binding
    },
    converted {}
);
fields!(
    wit::ScramKeys,
    own::ScramKeys,
    moved {
        stored_key,
        server_key
    },
    converted { digest }
);

impl wit::Guest for Component {
    fn derive_nt(password: String) -> Vec<u8> {
        verifier::derive_nt(&password).to_vec()
    }

    fn derive_cram(password: String) -> Vec<u8> {
        verifier::derive_cram(&password).to_vec()
    }

    fn derive_scram(salted: Vec<u8>, digest: wit::Digest) -> wit::ScramKeys {
        verifier::derive_scram(&salted, digest.convert()).convert()
    }

    fn ntlm(
        nt: Vec<u8>,
        response: NtlmResponse,
        facts: Option<TlsFacts>,
        policy: wit::NtlmPolicy,
    ) -> Result<(), wit::Refusal> {
        let facts: Option<pillarbox_protocol::contract::TlsFacts> = facts.convert();
        verifier::ntlm(&nt, &response.convert(), facts.as_ref(), policy.convert())
            .map_err(Convert::convert)
    }

    fn cram_md5(key: Vec<u8>, challenge: String, digest: String) -> Result<(), wit::Refusal> {
        verifier::cram_md5(&key, &challenge, &digest).map_err(Convert::convert)
    }

    fn scram(
        keys: wit::ScramKeys,
        messages: String,
        proof: Vec<u8>,
    ) -> Result<Vec<u8>, wit::Refusal> {
        verifier::scram(&keys.convert(), &messages, &proof).map_err(Convert::convert)
    }
}
