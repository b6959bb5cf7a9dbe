//! A server that misbehaves to order: an SMTP or LMTP server (RFC 5321, RFC 2033) that is well
//! behaved but for the moments that a [`Script`] names.
//!
//! ```text
//!   script        moments, and what the server does at each, connection by connection
//!   server        the listener
//!   session       one connection: commands in, replies or the script's acts out
//!   seen          what the server saw: a dialogue for people, and each content for comparison
//!   certificates  an authority of the test's own, and what a server shows
//!   names         a DNS server that knows the names that it was told
//! ```
//!
//! A server can recover: from then on it is well behaved, on connections that stand too.

pub mod certificates;
pub mod names;
pub mod script;
pub mod seen;
pub mod server;
mod session;
#[cfg(test)]
mod tests;

pub use certificates::Authority;
pub use script::{Act, At, Manners, Script};
pub use seen::{Content, Seen};
pub use server::Server;
