//! Files that hold one secret: read only if they are private, replaced as a whole or not at all.

use super::OauthError;
use secrecy::{ExposeSecret, SecretString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Largest secret, in octets. Refresh tokens have up to a few thousand.
const MOST: u64 = 64 * 1024;

/// The secret in a file, which is text, without the white space around it. `what` names it in
/// errors: "client secret".
///
/// # Errors
/// Where the file cannot be read, is readable by everybody, or holds no secret.
pub fn read(what: &'static str, path: &Path) -> Result<SecretString, OauthError> {
    let file = File::open(path).map_err(|source| unread(what, path, source))?;
    read_open(what, path, &file)
}

fn unread(what: &'static str, path: &Path, source: io::Error) -> OauthError {
    OauthError::Read {
        what,
        file: path.to_owned(),
        advice: match source.kind() {
            io::ErrorKind::NotFound if what == super::refresh::WHAT => {
                "; get one with `pillarbox oauth login`"
            }
            _ => "",
        },
        source,
    }
}

fn read_open(what: &'static str, path: &Path, file: &File) -> Result<SecretString, OauthError> {
    let content = |why| OauthError::Content {
        what,
        file: path.to_owned(),
        why,
    };
    let metadata = file
        .metadata()
        .map_err(|source| unread(what, path, source))?;
    // A pipe has no readers to fear.
    if metadata.is_file() && metadata.permissions().mode() & 0o007 != 0 {
        return Err(content(
            "everybody on this system can read it; get a new one, and run chmod 600 on its file",
        ));
    }
    // Room for all of it: what grows moves, and leaves its octets behind.
    let room = metadata.len().min(MOST).saturating_add(2);
    let mut octets = Zeroizing::new(Vec::with_capacity(usize::try_from(room).unwrap_or(0)));
    file.take(MOST + 1)
        .read_to_end(&mut octets)
        .map_err(|source| unread(what, path, source))?;
    if octets.len() as u64 > MOST {
        return Err(content("it is longer than 64 KiB; it must be that alone"));
    }
    let text = std::str::from_utf8(&octets)
        .map_err(|_| content("it is no text"))?
        .trim();
    if text.is_empty() {
        return Err(content("it is empty"));
    }
    if text.contains(char::is_control) {
        return Err(content("it has several lines; it must be that alone"));
    }
    Ok(SecretString::from(text))
}

/// A file of a secret that no other process replaces meanwhile.
pub(super) struct Locked<'p> {
    what: &'static str,
    path: &'p Path,
    file: File,
}

impl<'p> Locked<'p> {
    /// Waits until no other process has it. Blocks.
    pub(super) fn open(what: &'static str, path: &'p Path) -> Result<Self, OauthError> {
        let failed = |source| unread(what, path, source);
        loop {
            let file = File::open(path).map_err(failed)?;
            file.lock().map_err(failed)?;
            // Whoever had the lock may have replaced the file: then ours is the old one.
            let (ours, named) = (
                file.metadata().map_err(failed)?,
                fs::metadata(path).map_err(failed)?,
            );
            if (ours.dev(), ours.ino()) == (named.dev(), named.ino()) {
                return Ok(Self { what, path, file });
            }
        }
    }

    /// What is in it.
    pub(super) fn read(&self) -> Result<SecretString, OauthError> {
        read_open(self.what, self.path, &self.file)
    }

    /// Puts another secret in its place, durably. Where somebody has put another file there
    /// meanwhile without asking for the lock, theirs is the newer one and stays.
    pub(super) fn replace(self, secret: &SecretString) -> Result<(), OauthError> {
        let failed = |source| unread(self.what, self.path, source);
        let ours = self.file.metadata().map_err(failed)?;
        match fs::metadata(self.path) {
            Ok(named) if (ours.dev(), ours.ino()) != (named.dev(), named.ino()) => Ok(()),
            _ => replace(self.what, self.path, secret, None),
        }
    }
}

/// Writes a secret to a file that only its owner can read; an old one is replaced in one step, or
/// stays. Durable when it returns. The owner of the old file keeps it; else the file goes to
/// `owner` (user and group), or stays ours.
///
/// # Errors
/// Why not, and then the old file is untouched.
pub fn replace(
    what: &'static str,
    path: &Path,
    secret: &SecretString,
    owner: Option<(u32, u32)>,
) -> Result<(), OauthError> {
    write(path, secret, owner).map_err(|source| OauthError::Write {
        what,
        file: path.to_owned(),
        source,
    })
}

/// As [`replace`], but waits for another process that is spending the secret of this file.
///
/// # Errors
/// As [`replace`].
pub fn replace_in_turn(
    what: &'static str,
    path: &Path,
    secret: &SecretString,
    owner: Option<(u32, u32)>,
) -> Result<(), OauthError> {
    // It stays locked until the new file is there.
    let locked = path
        .exists()
        .then(|| Locked::open(what, path))
        .transpose()?;
    let replaced = replace(what, path, secret, owner);
    drop(locked);
    replaced
}

/// Whether [`replace`] could write this file: better known before a person logs in.
///
/// # Errors
/// Why not.
pub fn check_writable(what: &'static str, path: &Path) -> Result<(), OauthError> {
    let tried = temporary(path).and_then(|(_, temporary)| {
        let made = write_new(&temporary, &SecretString::default(), None, 0);
        let removed = fs::remove_file(&temporary);
        made.and(removed)
    });
    tried.map_err(|source| OauthError::Write {
        what,
        file: path.to_owned(),
        source,
    })
}

/// The file that is to be replaced, and the one that is written first. What is left of an earlier
/// one is gone.
fn temporary(path: &Path) -> io::Result<(PathBuf, PathBuf)> {
    // What a link names is replaced, not the link.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if target.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let mut name = target
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it has no file name"))?
        .to_owned();
    // Two processes that write the same file do not write the same temporary file.
    name.push(format!(".new-{}", std::process::id()));
    let temporary = target.with_file_name(name);
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok((target, temporary)),
    }
}

fn write(path: &Path, secret: &SecretString, owner: Option<(u32, u32)>) -> io::Result<()> {
    let (target, temporary) = temporary(path)?;
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let old = fs::metadata(&target).ok();
    // A group that could read the old one (the service's, of a file of root's) can read the new one.
    let mode = old.as_ref().map_or(0, |old| old.mode() & 0o040);
    let old = old.map(|old| (old.uid(), old.gid()));
    let written = write_new(&temporary, secret, old.or(owner), mode)
        .and_then(|()| fs::rename(&temporary, &target));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written?;
    File::open(folder)?.sync_all()
}

fn write_new(
    path: &Path,
    secret: &SecretString,
    owner: Option<(u32, u32)>,
    mode: u32,
) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    if let Some((user, group)) = owner {
        let new = file.metadata()?;
        if (new.uid(), new.gid()) != (user, group) {
            match std::os::unix::fs::fchown(&file, Some(user), Some(group)) {
                // Only root gives files away. Ours is private too, and losing the new secret for
                // the sake of the owner would be worse.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    // (Its group may be one that we are in.)
                    let _ = std::os::unix::fs::fchown(&file, None, Some(group));
                }
                result => result?,
            }
        }
        if mode != 0 && file.metadata()?.gid() == group {
            file.set_permissions(fs::Permissions::from_mode(0o600 | mode))?;
        }
    }
    file.write_all(secret.expose_secret().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn private(path: &Path, content: &str) {
        fs::write(path, content).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    #[test]
    fn a_secret_is_the_text_of_a_private_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let read = || {
            read("client secret", &path)
                .map(|secret| secret.expose_secret().to_owned())
                .map_err(|error| error.line())
        };
        assert!(read().unwrap_err().contains("client secret"));
        private(&path, " s3 cret \r\n");
        assert_eq!(read().unwrap(), "s3 cret");
        for bad in ["", "\n", "one\ntwo", &"x".repeat(65 * 1024)] {
            private(&path, bad);
            read().unwrap_err();
        }
        private(&path, "s3cret");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = read().unwrap_err();
        assert!(error.contains("chmod 600") && !error.contains("s3cret"));
    }

    #[test]
    fn a_replaced_file_is_private_and_a_link_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("token"), folder.path().join("link"));
        private(&path, "old");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        replace("refresh token", &link, &SecretString::from("new"), None).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new\n");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_file_that_cannot_be_replaced_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::create_dir(&path).unwrap();
        let error = replace("refresh token", &path, &SecretString::from("new"), None);
        assert!(error.unwrap_err().line().contains("refresh token"));
        check_writable("refresh token", &path).unwrap_err();
        check_writable("refresh token", &path.join("no/such/folder")).unwrap_err();
        check_writable("refresh token", &folder.path().join("new")).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_lock_follows_the_file_that_took_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        private(&path, "one");
        let first = Locked::open("refresh token", &path).unwrap();
        let other = std::thread::spawn({
            let path = path.clone();
            move || {
                let second = Locked::open("refresh token", &path).unwrap();
                second.read().unwrap().expose_secret().to_owned()
            }
        });
        assert_eq!(first.read().unwrap().expose_secret(), "one");
        first.replace(&SecretString::from("two")).unwrap();
        assert_eq!(other.join().unwrap(), "two");
    }
}
