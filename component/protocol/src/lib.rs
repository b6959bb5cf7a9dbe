//! Mail submission ([MS-OXSMTP], a profile of RFC 6409) as sans-I/O session logic: the server
//! role, the client role, and the arithmetic that checks credentials.
//!
//! ```text
//!   smtp/       grammar without state          RFC 5321, RFC 3461 (xtext)
//!   extension/  a file per EHLO keyword
//!   sasl/       a file per mechanism           RFC 4954, RFC 4422 and its own
//!   ntlm/       messages of NTLM               [MS-NLMP] sections 2.2, 3.3
//!   scram       arithmetic of SCRAM            RFC 5802 section 3
//!   server/     the submission server          RFC 6409, RFC 5321
//!   client/     the submitter and relay        RFC 6409, RFC 5321
//!   conversion/ content for lesser servers     RFC 6152 section 3, RFC 2045
//!   verifier/   what checks a proof            [MS-NLMP], RFC 2195, RFC 5802
//! ```
//!
//! `server` and `client` use `sasl` and `extension`, which use `smtp`; neither knows the other.
//! The loop contract is on the first page of `wit/submission.wit`; [`contract`] has its types.
//! Nothing here does I/O: see [`environment`] for the time and randomness, and the host for
//! everything else.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod client;
pub mod content;
pub mod contract;
pub mod conversion;
pub mod environment;
pub mod extension;
pub mod ntlm;
pub mod parked;
pub mod sasl;
pub mod scram;
pub mod server;
pub mod smtp;
pub mod verifier;
