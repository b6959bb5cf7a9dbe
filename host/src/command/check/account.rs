//! What an account may do with a file, by its mode bits: `check` is often run by root, and the
//! service is not.

use std::ffi::CString;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::unistd::{User, getegid, geteuid, getgrouplist, getgroups};

/// An account with its groups.
#[derive(Debug)]
pub(in crate::command) struct Account {
    name: String,
    user: u32,
    groups: Vec<u32>,
}

impl Account {
    /// The account of this name, or the one of this process.
    pub(in crate::command) fn of(name: Option<&str>) -> Result<Self, String> {
        let Some(name) = name else { return Self::own() };
        let failed = |error: nix::Error| format!("cannot look up the account {name}: {error}");
        let Some(user) = User::from_name(name).map_err(failed)? else {
            return Err(format!(
                "there is no account {name}; make it: useradd --system {name}"
            ));
        };
        let c_name = CString::new(name).map_err(|_| format!("{name} is no account name"))?;
        let groups = getgrouplist(&c_name, user.gid).map_err(failed)?;
        Ok(Self {
            name: name.to_owned(),
            user: user.uid.as_raw(),
            groups: groups.into_iter().map(nix::unistd::Gid::as_raw).collect(),
        })
    }

    fn own() -> Result<Self, String> {
        let groups = getgroups().map_err(|error| format!("cannot list our groups: {error}"))?;
        let all = groups.into_iter().chain([getegid()]);
        let user = geteuid();
        let name = User::from_uid(user).ok().flatten().map(|user| user.name);
        Ok(Self {
            name: name.unwrap_or_else(|| format!("user {user}")),
            user: user.as_raw(),
            groups: all.map(nix::unistd::Gid::as_raw).collect(),
        })
    }

    /// Whether it is the superuser.
    pub(super) fn is_root(&self) -> bool {
        self.user == 0
    }

    /// Whether `bits` (4 read, 2 write, 1 search) are all granted.
    fn has(&self, metadata: &Metadata, bits: u32) -> bool {
        let shift = if metadata.uid() == self.user {
            6
        } else if self.groups.contains(&metadata.gid()) {
            3
        } else {
            0
        };
        self.is_root() || (metadata.mode() >> shift) & bits == bits
    }

    /// Whether it can come to what is in `folder`; else why not.
    fn may_enter(&self, folder: &Path) -> Result<(), String> {
        for folder in folder
            .ancestors()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            if let Ok(metadata) = fs::metadata(folder)
                && !self.has(&metadata, 1)
            {
                return Err(format!(
                    "{} may not enter {}; chmod or chown it",
                    self.name,
                    folder.display()
                ));
            }
        }
        Ok(())
    }

    /// Whether it can read a file; else why not.
    pub(super) fn may_read(&self, file: &Path) -> Result<(), String> {
        self.may_enter(file.parent().unwrap_or(Path::new("/")))?;
        match fs::metadata(file) {
            Ok(metadata) if self.has(&metadata, 4) => Ok(()),
            Ok(_) => Err(format!(
                "{} may not read {}; give it to that account: chown {0} {1}",
                self.name,
                file.display()
            )),
            Err(error) => Err(format!("cannot look at {}: {error}", file.display())),
        }
    }

    /// Whether it can connect to a socket, which takes the right to write; else why not.
    pub(super) fn may_connect(&self, socket: &Path) -> Result<(), String> {
        self.may_enter(socket.parent().unwrap_or(Path::new("/")))?;
        match fs::metadata(socket) {
            Ok(metadata) if self.has(&metadata, 2) => Ok(()),
            Ok(_) => Err(format!(
                "{} may not connect to {}; put it into the socket's group",
                self.name,
                socket.display()
            )),
            Err(error) => Err(format!("cannot look at {}: {error}", socket.display())),
        }
    }

    /// Whether it can make files in a folder, which may have to be made too; else why not.
    pub(in crate::command) fn may_fill(&self, folder: &Path) -> Result<(), String> {
        let there = folder
            .ancestors()
            .find(|folder| folder.exists())
            .unwrap_or(Path::new("/"));
        let refused = |why: &str| {
            let what = if there == folder { "write to" } else { "make" };
            Err(format!(
                "{} cannot {what} {}: {why}",
                self.name,
                folder.display()
            ))
        };
        if !there.is_dir() {
            return refused(&format!("{} is no folder", there.display()));
        }
        self.may_enter(there)?;
        match fs::metadata(there) {
            Ok(metadata) if self.has(&metadata, 3) => Ok(()),
            Ok(_) => refused(&format!(
                "{} belongs to others; make the folder and chown it to {}",
                there.display(),
                self.name
            )),
            Err(error) => refused(&error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn mode_bits_decide_for_owner_group_and_others() {
        let scratch = tempfile::tempdir().unwrap();
        let (folder, file) = (
            scratch.path().join("folder"),
            scratch.path().join("folder/file"),
        );
        chmod(scratch.path(), 0o755);
        fs::create_dir(&folder).unwrap();
        fs::write(&file, "").unwrap();
        let metadata = fs::metadata(&file).unwrap();
        // None of them is the superuser, whoever runs the tests.
        let other = |groups: Vec<u32>| Account {
            name: "other".into(),
            user: metadata.uid() + 1,
            groups,
        };
        let (stranger, colleague) = (other(vec![]), other(vec![metadata.gid()]));
        for (mode, by_stranger, by_colleague) in [
            (0o600, false, false),
            (0o640, false, true),
            (0o644, true, true),
            (0o604, true, false),
        ] {
            chmod(&folder, 0o755);
            chmod(&file, mode);
            assert_eq!(stranger.may_read(&file).is_ok(), by_stranger, "{mode:o}");
            assert_eq!(colleague.may_read(&file).is_ok(), by_colleague, "{mode:o}");
            chmod(&folder, 0o750);
            assert!(
                stranger
                    .may_read(&file)
                    .unwrap_err()
                    .contains("may not enter")
            );
        }
        chmod(&folder, 0o775);
        assert!(
            colleague.may_fill(&folder).is_ok() && colleague.may_fill(&folder.join("a/b")).is_ok()
        );
        assert!(
            stranger
                .may_fill(&folder)
                .unwrap_err()
                .starts_with("other cannot write to")
        );
        assert!(
            stranger
                .may_fill(&folder.join("a/b"))
                .unwrap_err()
                .starts_with("other cannot make")
        );
        assert!(
            colleague
                .may_fill(&file)
                .unwrap_err()
                .contains("is no folder")
        );
    }

    #[test]
    fn an_account_that_does_not_exist_is_named() {
        let why = Account::of(Some("no-such-account-here")).unwrap_err();
        assert!(
            why.contains("useradd --system no-such-account-here"),
            "{why}"
        );
        assert!(Account::of(Some("root")).unwrap().is_root());
        assert!(Account::of(None).is_ok());
    }
}
