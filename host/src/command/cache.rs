//! Where programs that run for one message keep compiled code: compiling costs half a second, and
//! sending a message a tenth of that.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// This account's folder for it; `None` where the account has no home, or where the environment is
/// another account's (`sudo`), which must not find files of ours in its own.
pub(crate) fn user_cache() -> Option<PathBuf> {
    let named = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(PathBuf::from);
    folder(named, home)
}

fn folder(named: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    let own = |path: &PathBuf| path.is_absolute() && is_own(path);
    let base = match named.filter(own) {
        Some(cache) => cache,
        None => home.filter(own)?.join(".cache"),
    };
    Some(base.join("pillarbox"))
}

fn is_own(folder: &Path) -> bool {
    fs::metadata(folder).is_ok_and(|metadata| {
        metadata.is_dir() && metadata.uid() == nix::unistd::geteuid().as_raw()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_below_one_of_our_own() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().to_path_buf();
        assert_eq!(
            folder(None, Some(path.clone())),
            Some(path.join(".cache/pillarbox"))
        );
        assert_eq!(
            folder(Some(path.clone()), None),
            Some(path.join("pillarbox"))
        );
        for none in ["relative", "/nonexistent"] {
            assert_eq!(folder(Some(none.into()), Some(none.into())), None);
        }
        assert_eq!(folder(None, None), None);
    }
}
