//! Salts of names that have none.
//!
//! A SCRAM server tells a salt to whoever gives a name, before anything is proven. For names
//! without keys it is made of the name and a secret of this installation, so that it is the same
//! each time, after a restart too, and cannot be told from a real one (R5802-5-b, R4954-6-a).

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::scram::{SALT, ScramDigest};

/// Octets of the secret.
const SECRET: usize = 32;

/// The secret cannot be read or made.
#[derive(Debug, thiserror::Error)]
#[error("cannot read or make {}, which SCRAM's salts of unknown names are made with", path.display())]
pub struct SaltError {
    path: PathBuf,
    source: io::Error,
}

/// Makes salts of names.
#[derive(Clone)]
pub struct Salts {
    key: Hmac<Sha256>,
}

impl fmt::Debug for Salts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salts(***)")
    }
}

impl Default for Salts {
    /// With a secret that lives as long as this value.
    fn default() -> Self {
        Self::of(&rand::random())
    }
}

impl Salts {
    fn of(secret: &[u8; SECRET]) -> Self {
        let mut block = [0; 64];
        block[..SECRET].copy_from_slice(secret);
        // RFC 2104 section 2: a shorter key is filled with zeros.
        Self {
            key: Hmac::new(&block.into()),
        }
    }

    /// With the secret in `folder`, which is made where it is missing. Blocks on the file system.
    ///
    /// # Errors
    ///
    /// [`SaltError`] naming the file.
    pub fn load(folder: &Path) -> Result<Self, SaltError> {
        let path = folder.join("scram.secret");
        read_or_make(&path)
            .map(|secret| Self::of(&secret))
            .map_err(|source| SaltError { path, source })
    }

    /// The salt of a name under a mechanism.
    pub fn salt(&self, digest: ScramDigest, name: &str) -> Vec<u8> {
        let mut mac = self.key.clone();
        mac.update(digest.name().as_bytes());
        mac.update(&[0]);
        mac.update(name.as_bytes());
        mac.finalize().into_bytes()[..SALT].to_vec()
    }
}

fn read_or_make(path: &Path) -> io::Result<[u8; SECRET]> {
    match read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path),
        read => read,
    }
}

fn read(path: &Path) -> io::Result<[u8; SECRET]> {
    let mut octets = Vec::new();
    fs::File::open(path)?
        .take(SECRET as u64 + 1)
        .read_to_end(&mut octets)?;
    octets.try_into().map_err(|_| {
        io::Error::other(format!(
            "it has not {SECRET} octets; remove it, and a new one is made"
        ))
    })
}

/// Whole or not at all, and one for all who make it at the same time.
fn make(path: &Path) -> io::Result<[u8; SECRET]> {
    let secret: [u8; SECRET] = rand::random();
    let unique: [u8; 8] = rand::random();
    let temporary = path.with_extension(format!("{:016x}", u64::from_ne_bytes(unique)));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| {
            file.write_all(&secret)?;
            file.sync_all()?;
            fs::hard_link(&temporary, path)
        });
    let _ = fs::remove_file(&temporary);
    match written {
        Ok(()) => Ok(secret),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read(path),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn r5802_5_b_the_salt_of_an_unknown_name_outlives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let first = Salts::load(folder.path()).unwrap();
        let again = Salts::load(folder.path()).unwrap();
        let salt = first.salt(ScramDigest::Sha256, "mallory");
        assert_eq!(salt.len(), SALT);
        assert_eq!(salt, again.salt(ScramDigest::Sha256, "mallory"));
        assert_ne!(salt, first.salt(ScramDigest::Sha256, "mallorx"));
        assert_ne!(salt, first.salt(ScramDigest::Sha1, "mallory"));
        assert_ne!(salt, Salts::default().salt(ScramDigest::Sha256, "mallory"));
        let secret = folder.path().join("scram.secret");
        let mode = fs::metadata(&secret).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_secret_that_is_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("scram.secret"), "short").unwrap();
        let error = Salts::load(folder.path()).unwrap_err();
        assert!(error.to_string().contains("scram.secret"), "{error}");
    }
}
