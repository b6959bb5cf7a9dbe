//! The verifier's part of the contract.

use super::*;

/// Hash of a SCRAM mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digest {
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

/// Why a proof does not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Does not match.
    Wrong,
    /// Cannot be read.
    Malformed,
    /// NTLMv1 or LM.
    Downgraded,
    /// Anonymous.
    Anonymous,
    /// Channel binding.
    Binding,
    /// MIC.
    Integrity,
}

/// What is demanded of an NTLM client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NtlmPolicy {
    /// A MIC must be there.
    pub require_integrity: bool,
    /// Under TLS a binding must be there.
    pub require_binding: bool,
}

/// What a SCRAM server keeps.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramKeys {
    /// Which hash.
    pub digest: Digest,
    /// StoredKey.
    pub stored_key: Vec<u8>,
    /// ServerKey.
    pub server_key: Vec<u8>,
}

impl core::fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ScramKeys")
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}
