//! The file backend: `users.toml`, mode 0600, kept by `pillarbox user`.
//!
//! [`FileUsers`] reads it for the service: it looks at most once a second whether the file is
//! another one now, and keeps the last good state if the new one makes no sense. No users where
//! there were some must be seen twice: many editors empty or remove a file before they write it.
//!
//! [`edit`] changes it: under a lock, and by a new file in the old one's place, so that a reader
//! never sees half a file and a crash leaves the old or the new one.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::certificate::{CertificateName, ClientCertificate};
use super::kind::{Holding, Kind};
use super::names::folded;
use super::record::{parse, render};
use super::{Record, Users, UsersError, Verifiers};

/// How often the file is looked at, at most: a change shows within this time and a busy service
/// does not ask the file system for each login.
const LOOK: Duration = Duration::from_secs(1);

/// Which file it was: any way to change it changes one of these.
type Stamp = (u64, u64, u64, i64, i64, i64, i64);

fn stamp(metadata: &Metadata) -> Stamp {
    (
        metadata.dev(),
        metadata.ino(),
        metadata.size(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ctime(),
        metadata.ctime_nsec(),
    )
}

/// The users of one state of the file.
#[derive(Debug, Default)]
struct Table {
    by_name: HashMap<String, Arc<Record>>,
    by_certificate: HashMap<CertificateName, Arc<Record>>,
    /// For each kind of verifier, in the order of [`Kind::ALL`].
    holding: Vec<Holding>,
}

impl Table {
    fn new(records: Vec<Record>) -> Self {
        let mut table = Self {
            holding: Kind::ALL.map(|kind| holding(&records, kind)).to_vec(),
            ..Self::default()
        };
        for record in records {
            let record = Arc::new(record);
            for name in &record.certificates {
                if let Ok(name) = CertificateName::parse(name) {
                    table.by_certificate.insert(name, Arc::clone(&record));
                }
            }
            table.by_name.insert(folded(&record.name), record);
        }
        table
    }
}

/// Who is disabled or has no password at all does not count.
fn holding(records: &[Record], kind: Kind) -> Holding {
    let able =
        |record: &&Record| !record.disabled && Kind::ALL.iter().any(|kind| record.has(*kind));
    let able: Vec<&Record> = records.iter().filter(able).collect();
    match able.iter().filter(|record| record.has(kind)).count() {
        holders if holders == able.len() => Holding::All,
        0 => Holding::Nobody,
        _ => Holding::Some,
    }
}

#[derive(Debug)]
struct State {
    /// Some user may not send to everybody. Until the file was read, that is not known.
    is_limited: bool,
    /// Which file was looked at; `None` inside if there was none.
    seen: Option<Option<Stamp>>,
    /// There were users, and at the last look there were none.
    vanished: bool,
    /// The last good state of it.
    table: Option<Arc<Table>>,
    /// What was said in the log, so that it is said once.
    complaint: String,
}

impl Default for State {
    fn default() -> Self {
        Self {
            is_limited: true,
            seen: None,
            vanished: false,
            table: None,
            complaint: String::new(),
        }
    }
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    look: Duration,
    began: Instant,
    /// Milliseconds after `began` from which on somebody looks again.
    next: AtomicU64,
    state: RwLock<State>,
}

/// The users of a file, for the service.
#[derive(Debug, Clone)]
pub struct FileUsers {
    shared: Arc<Shared>,
}

impl FileUsers {
    /// The users of `path`; nothing is read yet. A file that is not there has no users.
    pub fn new(path: &Path) -> Self {
        Self::with_look(path, LOOK)
    }

    fn with_look(path: &Path, look: Duration) -> Self {
        let shared = Shared {
            path: path.to_path_buf(),
            look,
            began: Instant::now(),
            next: AtomicU64::new(0),
            state: RwLock::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    fn table(&self) -> Option<Arc<Table>> {
        self.shared
            .state
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .table
            .clone()
    }
}

impl Shared {
    /// Whether it is this caller's turn to look at the file.
    fn is_due(&self) -> bool {
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let now = millis(self.began.elapsed());
        let next = self.next.load(Ordering::Acquire);
        now >= next
            && self
                .next
                .compare_exchange(
                    next,
                    now + millis(self.look),
                    Ordering::AcqRel,
                    Ordering::Acquire,
                )
                .is_ok()
    }

    /// Looks at the file and reads it if it is another one, or had lost its users. Blocks
    /// on the file system.
    fn refresh(&self) -> Result<(), UsersError> {
        let failed = |source| UsersError::Read {
            path: self.path.clone(),
            source,
        };
        let found = match fs::metadata(&self.path) {
            Ok(metadata) => Some(stamp(&metadata)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            if state.seen == Some(found) && !state.vanished {
                return Ok(());
            }
        }
        let read = read(&self.path);
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        // What could not be read now (no file descriptor left) may be readable at the next look.
        let unread = matches!(read, Err(UsersError::Read { .. }));
        state.seen = (!unread).then_some(found);
        let vanished = std::mem::take(&mut state.vanished);
        let records = read?;
        let users = records.len();
        let had_users = state
            .table
            .as_ref()
            .is_some_and(|table| !table.by_name.is_empty());
        if users == 0 && had_users && !vanished {
            state.vanished = true;
            drop(state);
            tracing::warn!(file = %self.path.display(), "no users any more: looking again");
            return Ok(());
        }
        state.is_limited = records.iter().any(|record| !record.recipients.is_empty());
        state.table = Some(Arc::new(Table::new(records)));
        state.complaint.clear();
        drop(state);
        tracing::info!(file = %self.path.display(), users, "users read");
        Ok(())
    }

    fn complain(&self, error: &UsersError) {
        let text = match std::error::Error::source(error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        };
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.complaint != text {
            let kept = state.table.is_some();
            tracing::error!(kept, "{text}; see `pillarbox check`");
            state.complaint = text;
        }
    }
}

impl FileUsers {
    /// The table, after a look at the file if it is time for one.
    async fn looked_up(&self) -> Result<Arc<Table>, UsersError> {
        if self.shared.is_due() || self.table().is_none() {
            let shared = Arc::clone(&self.shared);
            let refresh = tokio::task::spawn_blocking(move || {
                let refreshed = shared.refresh();
                if let Err(error) = &refreshed {
                    shared.complain(error);
                }
                refreshed
            });
            let refreshed = refresh.await.unwrap_or_else(|_| {
                let source = io::Error::other("the read was lost");
                Err(UsersError::Read {
                    path: self.shared.path.clone(),
                    source,
                })
            });
            if let Err(error) = refreshed
                && self.table().is_none()
            {
                return Err(error);
            }
        }
        // Without one the file was never good and is the same as at the last look.
        self.table().ok_or_else(|| UsersError::Read {
            path: self.shared.path.clone(),
            source: io::Error::other("it could not be used when it was last read"),
        })
    }

    /// The same on this thread: a `stat` a second, and a small file where it changed.
    fn looked_up_here(&self) -> Option<Arc<Table>> {
        if (self.shared.is_due() || self.table().is_none())
            && let Err(error) = self.shared.refresh()
        {
            self.shared.complain(&error);
        }
        self.table()
    }
}

#[async_trait]
impl Users for FileUsers {
    async fn find(&self, name: &str) -> Result<Option<Arc<Record>>, UsersError> {
        let table = self.looked_up().await?;
        Ok(table.by_name.get(&folded(name)).cloned())
    }

    /// Looks at the file like `find`, on this thread. A session may send for hours without another
    /// login.
    fn known(&self, name: &str) -> Option<Arc<Record>> {
        self.looked_up_here()?.by_name.get(&folded(name)).cloned()
    }

    fn holding(&self, kind: Kind) -> Holding {
        let table = self.looked_up_here();
        let at = Kind::ALL.iter().position(|other| *other == kind);
        table
            .zip(at)
            .and_then(|(table, at)| table.holding.get(at).copied())
            .unwrap_or(Holding::All)
    }

    async fn of_certificate(
        &self,
        certificate: &ClientCertificate,
    ) -> Result<Option<Arc<Record>>, UsersError> {
        let table = self.looked_up().await?;
        let mut names = certificate.names().into_iter();
        Ok(names.find_map(|name| table.by_certificate.get(&name).cloned()))
    }

    async fn complete(&self, verified: &Record, verifiers: &Verifiers) -> Result<bool, UsersError> {
        let shared = Arc::clone(&self.shared);
        let (name, password) = (folded(&verified.name), verified.password.clone());
        let verifiers = verifiers.clone();
        let completed = tokio::task::spawn_blocking(move || {
            let changed = edit(&shared.path, None, |records| {
                let record = records
                    .iter_mut()
                    .find(|record| folded(&record.name) == name && record.password == password)
                    .ok_or(Unchanged::NotNeeded)?;
                let before = record.clone();
                verifiers.fill(record);
                if *record == before {
                    return Err(Unchanged::NotNeeded);
                }
                Ok(())
            });
            match changed {
                Ok(()) => Ok(true),
                Err(Unchanged::NotNeeded) => Ok(false),
                Err(Unchanged::Failed(error)) => Err(error),
            }
        });
        completed.await.unwrap_or(Ok(false))
    }

    fn limits_recipients(&self) -> bool {
        self.shared
            .state
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is_limited
    }
}

/// Why nothing was written.
enum Unchanged {
    NotNeeded,
    Failed(UsersError),
}

impl From<UsersError> for Unchanged {
    fn from(error: UsersError) -> Self {
        Self::Failed(error)
    }
}

/// All records of `path`; none if there is no file.
///
/// # Errors
/// If it cannot be read, or all that is wrong with it.
pub fn read(path: &Path) -> Result<Vec<Record>, UsersError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => {
            return Err(UsersError::Read {
                path: path.to_path_buf(),
                source,
            });
        }
    };
    parse(path, &text).map_err(|findings| UsersError::Malformed {
        path: path.to_path_buf(),
        findings,
    })
}

/// Changes the users of `path`, alone among all who do. The file and its folder are made where they
/// are missing, and then given to `owner` (user and group) if there is one.
///
/// # Errors
/// What `change` returns, and then nothing was changed; or why the file could not be.
pub fn edit<T, E: From<UsersError>>(
    path: &Path,
    owner: Option<(u32, u32)>,
    change: impl FnOnce(&mut Vec<Record>) -> Result<T, E>,
) -> Result<T, E> {
    let failed = |source| UsersError::Write {
        path: path.to_path_buf(),
        source,
    };
    // What a link names is replaced, not the link.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let folder = target.parent().unwrap_or(Path::new("/"));
    let lock = lock(folder, owner).map_err(failed)?;
    let mut records = read(&target)?;
    let done = change(&mut records)?;
    replace(&target, &lock, owner, &records).map_err(failed)?;
    Ok(done)
}

/// The folder, locked until it is dropped. (The file itself cannot be: it is replaced.)
fn lock(folder: &Path, owner: Option<(u32, u32)>) -> io::Result<File> {
    let missing: Vec<&Path> = folder
        .ancestors()
        .take_while(|folder| !folder.exists())
        .collect();
    for folder in missing.into_iter().rev() {
        match DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Err(_) => {}
            Ok(()) => {
                if let Some((user, group)) = owner {
                    chown(folder, Some(user), Some(group))?;
                }
            }
        }
    }
    let folder = File::open(folder)?;
    folder.lock()?;
    Ok(folder)
}

fn replace(
    target: &Path,
    folder: &File,
    owner: Option<(u32, u32)>,
    records: &[Record],
) -> io::Result<()> {
    let text = render(records).map_err(io::Error::other)?;
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = target.with_file_name(name);
    // One left behind by a crash may be in the way; the lock says that nobody is writing it.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = write_new(&temporary, target, owner, text.as_bytes())
        .and_then(|()| fs::rename(&temporary, target));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written?;
    folder.sync_all()
}

fn write_new(
    temporary: &Path,
    target: &Path,
    owner: Option<(u32, u32)>,
    text: &[u8],
) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(temporary)?;
    // Whoever could read the old file must be able to read the new one: the service may run as
    // another user than the one who edits.
    let old = fs::metadata(target).ok().map(|old| (old.uid(), old.gid()));
    if let Some((user, group)) = old.or(owner) {
        let new = file.metadata()?;
        if (new.uid(), new.gid()) != (user, group) {
            std::os::unix::fs::fchown(&file, Some(user), Some(group))?;
        }
    }
    file.write_all(text)?;
    file.sync_all()
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
