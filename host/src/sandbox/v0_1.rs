//! Generated from `wit/`: the contract, version 0.1.
#![allow(
    missing_docs,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "submission",
    additional_derives: [PartialEq, Clone],
});

pub use exports::pillarbox::submission::{client, server, verifier};
pub use pillarbox::submission::types;
