//! The WebAssembly binding of `pillarbox-protocol`: allocator, panic handler, and the conversion
//! between the contract's generated types and the library's own.
//!
//! Built without std for wasm32-wasip2, so that of WASI exactly `clocks/wall-clock` and
//! `random/random` are imported. There is no logic in this crate; on other targets it is empty.
#![cfg_attr(target_family = "wasm", no_std)]
#![cfg_attr(not(target_family = "wasm"), allow(unused, reason = "empty there"))]

#[cfg(target_family = "wasm")]
extern crate alloc;

#[cfg(target_family = "wasm")]
mod bindings;
#[cfg(target_family = "wasm")]
mod client;
#[cfg(target_family = "wasm")]
mod convert;
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
