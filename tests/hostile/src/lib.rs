//! A build that an attacker might have made: it speaks just enough of the submission protocol to
//! come to the point where it breaks the contract. The first label of `settings.hostname` chooses
//! how ([`behaviour`]); any other name is honest.
#![no_std]
#![cfg_attr(not(target_family = "wasm"), allow(unused, reason = "empty there"))]

#[cfg(target_family = "wasm")]
extern crate alloc;

#[cfg(target_family = "wasm")]
mod behaviour;
#[cfg(target_family = "wasm")]
mod bindings;
#[cfg(target_family = "wasm")]
mod client;
#[cfg(target_family = "wasm")]
mod runtime;
#[cfg(target_family = "wasm")]
mod server;
#[cfg(target_family = "wasm")]
mod verifier;

#[cfg(target_family = "wasm")]
mod export {
    //! What the component exports.

    pub(crate) struct Component;

    crate::bindings::export!(Component with_types_in crate::bindings);
}
