//! Credential arithmetic: an instance that no peer's octets reach by themselves, and the only one
//! that sees what users' secrets are checked against.

use super::engine::begin_call;
use super::imports::State;
use super::v0_1::types::{NtlmResponse, TlsFacts};
use super::v0_1::verifier::{Guest, NtlmPolicy, Refusal};
use super::{Build, SandboxError};
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
