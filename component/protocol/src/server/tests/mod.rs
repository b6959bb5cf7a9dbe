//! Dialogues with the server role, by requirement of `spec/profile.md`; each is played at once, by
//! line and by octet, parked and not.

mod authentication;
mod chunking;
mod content;
mod envelope;
mod lines;
mod loop_contract;
mod order;
mod properties;
mod session;
mod shutdown;
mod tls;
