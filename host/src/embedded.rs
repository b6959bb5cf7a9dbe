//! The component that was built with this host.

use crate::sandbox::{Build, Engine, SandboxError};
use std::path::Path;
use std::sync::Arc;

/// The component's file, octet for octet.
pub const COMPONENT: &[u8] = include_bytes!(env!("PILLARBOX_EMBEDDED"));

/// The build to run: the file that was configured, or the embedded one.
///
/// # Errors
///
/// [`SandboxError::Refused`], naming the file.
pub fn load(
    engine: &Arc<Engine>,
    file: Option<&Path>,
    cache: Option<&Path>,
) -> Result<Arc<Build>, SandboxError> {
    let Some(path) = file else {
        return Build::load(engine, COMPONENT, cache);
    };
    let octets = std::fs::read(path).map_err(|error| {
        SandboxError::Refused(format!("cannot read {}: {error}", path.display()))
    })?;
    Build::load(engine, &octets, cache).map_err(|error| match error {
        SandboxError::Refused(reason) => {
            SandboxError::Refused(format!("{}: {reason}", path.display()))
        }
        other => other,
    })
}
