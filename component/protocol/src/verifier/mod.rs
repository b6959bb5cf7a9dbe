//! Credential arithmetic: what checks a proof, and what is kept to check it with.
//!
//! It runs in an instance that no peer's octets reach directly, and it believes the session
//! nothing: what an NTLM session says of a message is compared with the message. Comparisons of
//! secrets take the same time whatever the octets are.
//!
//! Not here: slow derivation (argon2id, PBKDF2), which is the host's.

mod cram_md5;
mod ntlm;
mod scram;

pub use cram_md5::{cram_md5, derive_cram};
pub use ntlm::{derive_nt, ntlm, target_name_is};
pub use scram::{derive_scram, scram};
