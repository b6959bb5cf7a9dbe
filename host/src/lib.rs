//! Pillarbox: a mail submission service with one WebAssembly sandbox per connection.
//!
//! ```text
//!   command/     arguments to exit status; a file per verb of `pillarbox`
//!   config/      the file format, each default with its reason
//!   listener     accept, limits
//!   connection/  THE loop: read, `receive`, carry out, write once
//!   outbound/    the same for the client role
//!   tls, timeout
//!   sandbox/     engine, builds, instances, limits, the contract's bindings
//!   users/       who is who
//!   spool/       what was accepted, durably
//!   outgoing     what happens next with it: starts the three below
//!   relay/       how it reaches the next place
//!   alarm        what an operator must repair
//!   route/       where it goes
//!   dkim/        signatures for what is submitted
//!   policy       a program's word on messages
//!   alias/       addresses that stand for others
//!   deliver/     delivery on this machine
//!   oauth/       tokens for servers that want them
//!   issuer/      tokens that clients show
//!   report/      what senders are told
//!   alarm        what administrators are told
//!   control      the socket that the command line uses
//! ```
//!
//! The host knows no SMTP grammar: what a session says and understands is the component's.

pub mod alarm;
pub mod alias;
pub mod command;
pub mod config;
pub mod connection;
pub mod control;
pub mod deliver;
pub mod dkim;
pub mod embedded;
pub mod issuer;
pub mod listener;
pub mod log;
pub mod oauth;
pub mod outbound;
pub mod outgoing;
pub mod policy;
pub mod relay;
pub mod report;
pub mod route;
pub mod sandbox;
pub mod service;
pub mod spool;
pub mod timeout;
pub mod tls;
pub mod users;
