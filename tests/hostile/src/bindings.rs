//! Generated from `wit/`.
#![allow(
    missing_docs,
    unsafe_op_in_unsafe_fn,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]

wit_bindgen::generate!({
    path: "../../wit",
    world: "submission",
    pub_export_macro: true,
    runtime_path: "wit_bindgen::rt",
    with: {
        "wasi:clocks/wall-clock@0.2.6": wasi::clocks::wall_clock,
        "wasi:random/random@0.2.6": wasi::random::random,
    },
});
