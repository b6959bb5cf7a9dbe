//! DKIM signatures for what is submitted here (RFC 6376, RFC 8301, RFC 8463; RFC 6409 section 8.5).
//!
//! ```text
//! content on its way into the spool -> digest: header section, hash of the canonical body
//! author of the message -> signers: the keys of his domain
//!                  both -> sign -> field: one DKIM-Signature field a key, put before the content
//! ```
//!
//! A message is signed when all of it is here and nothing will be changed any more, before its 250.
//! The spool keeps the fields as the beginning of the content, so that every attempt, after a restart
//! too, sends the same octets. `canonical` is RFC 6376 section 3.4 (relaxed, for header and body),
//! `key` reads and makes keys, `record` is what goes into the DNS.
//!
//! Not here: whose messages are signed (`connection`, `report`), and verifying.

mod canonical;
mod digest;
mod field;
mod key;
pub mod record;
mod sign;
mod signers;
#[cfg(test)]
mod tests;

pub use digest::{Digest, Digesting};
pub use key::{Algorithm, Key, KeyError, generate};
pub use signers::{Signer, Signers, ascii_domain, domain_of};
