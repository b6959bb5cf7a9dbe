//! What a file of the system says, for as long as it is the same file.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// What a file says; read again when it has changed.
pub(super) struct Watched<T> {
    path: PathBuf,
    read: fn(Vec<u8>) -> T,
    current: Mutex<(Option<Stamp>, Arc<T>)>,
}

/// What tells one state of a file from another.
type Stamp = (SystemTime, u64);

impl<T> Watched<T> {
    /// A file that is not there, or cannot be read, is read as an empty one.
    pub(super) fn new(path: &Path, read: fn(Vec<u8>) -> T) -> Self {
        let stamp = stamp(path);
        let value = read(fs::read(path).unwrap_or_default());
        Self {
            path: path.to_owned(),
            read,
            current: Mutex::new((stamp, Arc::new(value))),
        }
    }

    /// What it says now.
    pub(super) fn current(&self) -> Arc<T> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = stamp(&self.path);
        if stamp != current.0 {
            let octets = fs::read(&self.path).unwrap_or_default();
            *current = (stamp, Arc::new((self.read)(octets)));
        }
        Arc::clone(&current.1)
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
