//! Credential arithmetic: an instance that no peer's octets reach by themselves, and the only one
//! that sees what users' secrets are checked against.

use super::engine::begin_call;
use super::imports::State;
use super::v0_1::types::{NtlmResponse, TlsFacts};
use super::v0_1::verifier::{Digest, Guest, NtlmPolicy, Refusal, ScramKeys};
use super::{Build, SandboxError};
use crate::users::verifiers::{Arithmetic, DeriveError, ScramKeys as Keys};
use crate::users::{ScramDigest, ScramVerifier};
use std::sync::{Arc, Mutex};
use wasmtime::Store;

/// Checks after which the instance is replaced, so that nothing of a secret stays for long.
const MOST_USES: u32 = 1000;

/// The verifier of one promoted build.
pub struct Verifier {
    build: Arc<Build>,
    instance: Mutex<Option<Instance>>,
}

struct Instance {
    store: Store<State>,
    bindings: Guest,
    uses: u32,
}

impl Verifier {
    /// The verifier of this build; the instance is made at its first use.
    pub fn new(build: Arc<Build>) -> Self {
        Self {
            build,
            instance: Mutex::new(None),
        }
    }

    /// The NT hash of a password ([MS-NLMP] section 3.3.1).
    ///
    /// # Errors
    ///
    /// [`SandboxError`] where the component traps or answers nonsense.
    pub fn derive_nt(&self, password: &str) -> Result<[u8; 16], SandboxError> {
        self.with(|bindings, store| bindings.call_derive_nt(store, password))?
            .try_into()
            .map_err(|_| SandboxError::violation("an NT hash that is not 16 octets long"))
    }

    /// The inner states of HMAC-MD5 (RFC 2195 section 4).
    ///
    /// # Errors
    ///
    /// [`SandboxError`] where the component traps or answers nonsense.
    pub fn derive_cram(&self, password: &str) -> Result<[u8; 32], SandboxError> {
        self.with(|bindings, store| bindings.call_derive_cram(store, password))?
            .try_into()
            .map_err(|_| SandboxError::violation("HMAC-MD5 states that are not 32 octets long"))
    }

    /// StoredKey and ServerKey from SaltedPassword (RFC 5802 section 3).
    ///
    /// # Errors
    ///
    /// [`SandboxError`] where the component traps or answers nonsense.
    pub fn derive_scram(&self, digest: ScramDigest, salted: &[u8]) -> Result<Keys, SandboxError> {
        let keys =
            self.with(|bindings, store| bindings.call_derive_scram(store, salted, wire(digest)))?;
        if [&keys.stored_key, &keys.server_key]
            .iter()
            .any(|key| key.len() != digest.length())
        {
            return Err(SandboxError::violation(
                "SCRAM keys that are not as long as their hash",
            ));
        }
        Ok((keys.stored_key, keys.server_key))
    }

    /// CRAM-MD5: whether `digest` answers `challenge`.
    ///
    /// # Errors
    ///
    /// [`SandboxError`] where the component traps; the inner result is its judgement.
    pub fn cram_md5(
        &self,
        states: &[u8],
        challenge: &str,
        digest: &str,
    ) -> Result<Result<(), Refusal>, SandboxError> {
        self.with(|bindings, store| bindings.call_cram_md5(store, states, challenge, digest))
    }

    /// SCRAM: whether the client's proof fits the messages; the server's signature.
    ///
    /// # Errors
    ///
    /// [`SandboxError`] where the component traps; the inner result is its judgement.
    pub fn scram(
        &self,
        keys: &ScramVerifier,
        messages: &str,
        proof: &[u8],
    ) -> Result<Result<Vec<u8>, Refusal>, SandboxError> {
        let keys = ScramKeys {
            digest: wire(keys.digest),
            stored_key: keys.stored_key.to_vec(),
            server_key: keys.server_key.to_vec(),
        };
        self.with(|bindings, store| bindings.call_scram(store, &keys, messages, proof))
    }

    /// NTLMv2: proof, MIC, channel binding.
    ///
    /// # Errors
    ///
    /// [`SandboxError`] where the component traps; the inner result is its judgement.
    pub fn ntlm(
        &self,
        nt: &[u8],
        response: &NtlmResponse,
        facts: Option<&TlsFacts>,
        policy: NtlmPolicy,
    ) -> Result<Result<(), Refusal>, SandboxError> {
        self.with(|bindings, store| bindings.call_ntlm(store, nt, response, facts, policy))
    }

    fn with<T>(
        &self,
        call: impl FnOnce(&Guest, &mut Store<State>) -> wasmtime::Result<T>,
    ) -> Result<T, SandboxError> {
        // A call takes microseconds. A lock poisoned by a panic only means that the instance
        // inside is not to be trusted; it is made anew.
        let mut guard = self
            .instance
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut instance = match guard.take() {
            Some(instance) if instance.uses < MOST_USES => instance,
            _ => {
                let (store, bindings) = self.build.verifier()?;
                Instance {
                    store,
                    bindings,
                    uses: 0,
                }
            }
        };
        begin_call(&mut instance.store);
        let value = call(&instance.bindings, &mut instance.store)
            .map_err(|error| SandboxError::trap(&error))?;
        instance.uses += 1;
        *guard = Some(instance);
        Ok(value)
    }
}

fn wire(digest: ScramDigest) -> Digest {
    match digest {
        ScramDigest::Sha1 => Digest::Sha1,
        ScramDigest::Sha256 => Digest::Sha256,
    }
}

impl Arithmetic for Verifier {
    fn nt(&self, password: &str) -> Result<[u8; 16], DeriveError> {
        self.derive_nt(password).map_err(failed)
    }

    fn cram(&self, password: &str) -> Result<[u8; 32], DeriveError> {
        self.derive_cram(password).map_err(failed)
    }

    fn scram(&self, digest: ScramDigest, salted: &[u8]) -> Result<Keys, DeriveError> {
        self.derive_scram(digest, salted).map_err(failed)
    }
}

fn failed(error: SandboxError) -> DeriveError {
    DeriveError::Component(Box::new(error))
}
