//! Dialogues of the client role: see [`driver`] for how they read.

mod authentication;
mod driver;
mod ends;
mod envelope;
mod exchanges;
mod greeting;
mod mechanisms;
mod splits;
mod tls;
mod tokens;
mod transfer;
mod untried;
mod with_server;
