//! The sandbox: a component's sessions, each in an instance of its own that can do nothing but
//! compute.
//!
//! ```text
//!   engine     compiler, instance pool, CPU-time ticks
//!   build      one loaded component: inspection, imports, compiled-code cache
//!   imports    the two things a component may import, and the limits of one store
//!   v0_1       the contract's generated bindings
//!   server     a server session, and the rules of form that its answers must keep
//!   client     a client session, likewise
//!   verifier   credential arithmetic in an instance that no peer's octets reach
//! ```
//!
//! The host believes no build: what comes out of a session is checked for form here and for
//! authority in [`crate::connection`]. A violation ends the session like a trap.

pub mod build;
pub mod client;
pub mod engine;
pub mod form;
pub mod imports;
pub mod server;
pub mod v0_1;
pub mod verifier;

pub use build::{Build, Inspection};
pub use engine::{Engine, SandboxLimits};
pub use form::MOST_AUTHORS;

/// Why a session, or a build, came to its end.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The component trapped: a bug, a limit, or the CPU-time slice.
    #[error("the component trapped: {0}")]
    Trap(String),
    /// The component broke the contract.
    #[error("the component broke the contract: {0}")]
    Violation(String),
    /// The component says that the host broke the contract.
    #[error("the component reports a fault: {0}")]
    Fault(String),
    /// A component that this host cannot or will not run.
    #[error("cannot run this component: {0}")]
    Refused(String),
    /// The engine itself.
    #[error("cannot set up the sandbox: {0}")]
    Engine(String),
}

impl SandboxError {
    pub(crate) fn trap(error: &wasmtime::Error) -> Self {
        // The chain ends with the trap's own name; backtraces are not kept.
        Self::Trap(
            error
                .chain()
                .last()
                .map_or_else(String::new, ToString::to_string),
        )
    }

    /// An instance could not be made: the engine's trouble (out of mappings), or a start function
    /// that traps, which ours do not have.
    pub(crate) fn instance(error: &wasmtime::Error) -> Self {
        match error.downcast_ref::<wasmtime::Trap>() {
            Some(_) => Self::trap(error),
            None => Self::Engine(format!("cannot make an instance: {error:#}")),
        }
    }

    pub(crate) fn fault(fault: &v0_1::types::Fault) -> Self {
        Self::Fault(printable(&fault.text))
    }

    /// Whether the component is to blame.
    pub fn is_fault_of_build(&self) -> bool {
        matches!(self, Self::Trap(_) | Self::Violation(_) | Self::Fault(_))
    }

    pub(crate) fn violation(text: impl Into<String>) -> Self {
        Self::Violation(text.into())
    }
}

/// One line of printable ASCII for the log, whatever a component says.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .take(200)
        .map(|c| {
            if c == ' ' || c.is_ascii_graphic() {
                c
            } else {
                '?'
            }
        })
        .collect()
}
