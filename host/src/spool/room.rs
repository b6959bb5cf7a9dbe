//! Room on the disk, and the part of it that new messages do not get: what is queued must still be
//! claimed, settled and removed.

use std::io::{Error, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use super::error::SpoolError;

/// Octets of disk that are not for new messages. More than two transactions of the writer have.
const RESERVE: u64 = 16 * 1024 * 1024;

/// Looks at the file system of the spool.
#[derive(Debug, Clone)]
pub(super) struct Room {
    path: Arc<Path>,
    pub(super) reserve: u64,
}

impl Room {
    /// On the file system of this folder.
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: Arc::from(path),
            reserve: RESERVE,
        }
    }

    /// The folder.
    #[cfg(test)]
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether so many octets more would leave the reserve alone. One call of the system.
    pub(super) fn check(&self, doing: &str, octets: u64) -> Result<(), SpoolError> {
        let found = nix::sys::statvfs::statvfs(&*self.path)
            .map_err(|error| SpoolError::io(doing, error.into()))?;
        // The types of these fields differ between systems.
        let free = (found.blocks_available() as u64).saturating_mul(found.fragment_size() as u64);
        if free < self.reserve.saturating_add(octets) {
            return Err(SpoolError::Full {
                doing: doing.to_owned(),
                source: Arc::new(Error::from(ErrorKind::StorageFull)),
            });
        }
        Ok(())
    }
}
