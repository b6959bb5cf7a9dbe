//! Message content on its way into the spool. The way out is in `reader`.
//!
//! ```text
//! ContentWriter: Memory --(over 256 KiB)--> File        write, write, …
//!                   |                        |          finish: sync file, then folder
//!                   +-------> Content <------+          goes into the row, or is named by it
//! ```
//!
//! Small content lies in the row: one commit makes both durable. Large content is written beside
//! the database while it streams in, so that neither a session nor a transaction holds it. The
//! file is durable before the row that names it; one without a row is removed at the next start.
//!
//! Files are written with `spawn_blocking`, not `block_in_place`: that would take the other tasks
//! of the thread along, and does not work on a runtime of one thread. A piece of 256 KiB is worth
//! the hand-over. SHA-256 is computed as the octets pass, at most 64 KiB a call.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;

use super::error::SpoolError;
use super::message::check_id;
use super::room::Room;

/// Most octets of content that are kept in memory and in the row.
pub const MOST_INLINE: usize = 256 * 1024;

/// Where content files are: `content` below the spool's folder, 256 folders in it.
#[derive(Debug, Clone)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Names the folder below the spool's.
    pub(super) fn new(spool: &Path) -> Self {
        Self(spool.join("content"))
    }

    /// The folder itself.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Makes all folders, durably, so that a writer never has to.
    pub(super) fn create(&self) -> Result<(), SpoolError> {
        create_folder(&self.0)?;
        for first in 0..=u8::MAX {
            create_folder(&self.0.join(format!("{first:02x}")))?;
        }
        sync_folder(&self.0)
    }

    /// The file of this message. The folder's name is spread evenly whatever identifiers look like.
    pub(super) fn file(&self, id: &str) -> Result<PathBuf, SpoolError> {
        check_id(id)?;
        let first = Sha256::digest(id.as_bytes())[0];
        Ok(self.0.join(format!("{first:02x}")).join(id))
    }
}

/// Makes one folder that only the service's user can enter.
pub(super) fn create_folder(path: &Path) -> Result<(), SpoolError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(SpoolError::path("make the folder", path, error))
        }
        _ => Ok(()),
    }
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(path: &Path) -> Result<(), SpoolError> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| SpoolError::path("sync the folder", path, error))
}

/// Takes the content of one message as it arrives.
///
/// Dropped before [`finish`](Self::finish), or finished and never appended, it leaves nothing.
#[derive(Debug)]
pub struct ContentWriter {
    id: String,
    folder: Folder,
    room: Room,
    memory: Vec<u8>,
    file: Spill,
    hash: Sha256,
    size: u64,
}

/// The file of large content.
#[derive(Debug)]
enum Spill {
    /// Not needed so far.
    None,
    /// Gets the next piece.
    Open(Draft),
    /// With another thread. If it is still seen here, that write failed or was cancelled.
    Away,
}

impl ContentWriter {
    pub(super) fn new(id: &str, folder: Folder, room: Room) -> Self {
        Self {
            id: id.to_owned(),
            folder,
            room,
            memory: Vec::new(),
            file: Spill::None,
            hash: Sha256::new(),
            size: 0,
        }
    }

    /// Takes the next octets.
    ///
    /// # Errors
    /// [`SpoolError::Full`] if there is no room, [`SpoolError::Identifier`] if the message's
    /// identifier cannot name a file. After an error the writer is of no more use.
    pub async fn write(&mut self, octets: &[u8]) -> Result<(), SpoolError> {
        self.hash.update(octets);
        self.size += octets.len() as u64;
        let mut rest = octets;
        while self.memory.len() + rest.len() > MOST_INLINE {
            let (now, later) = rest.split_at(MOST_INLINE - self.memory.len());
            self.memory.extend_from_slice(now);
            rest = later;
            self.spill(false).await?;
        }
        self.memory.extend_from_slice(rest);
        Ok(())
    }

    /// Octets so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Ends the content. A file is durable when this returns; the row comes with `append`.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn finish(mut self) -> Result<Content, SpoolError> {
        let place = match self.file {
            Spill::None => Place::Row(std::mem::take(&mut self.memory)),
            _ => {
                self.spill(true).await?;
                match std::mem::replace(&mut self.file, Spill::Away) {
                    Spill::Open(draft) => Place::File(draft),
                    _ => return Err(SpoolError::gone("write the content")),
                }
            }
        };
        Ok(Content {
            id: self.id,
            place,
            size: self.size,
            digest: self.hash.finalize().into(),
        })
    }

    /// As [`finish`](Self::finish), with these octets before all others: what can only be known at
    /// the end, as a signature. Content in a file is copied for it, which costs no second sync.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn finish_after(mut self, first: Vec<u8>) -> Result<Content, SpoolError> {
        if first.is_empty() {
            return self.finish().await;
        }
        let size = self.size + first.len() as u64;
        let memory = std::mem::take(&mut self.memory);
        if matches!(self.file, Spill::None) && first.len() + memory.len() <= MOST_INLINE {
            let mut octets = first;
            octets.extend_from_slice(&memory);
            return Ok(Content {
                id: self.id,
                digest: Sha256::digest(&octets).into(),
                place: Place::Row(octets),
                size,
            });
        }
        let path = self.folder.file(&self.id)?;
        let room = self.room.clone();
        let draft = std::mem::replace(&mut self.file, Spill::Away);
        let work = move || {
            room.check("write the content", size)?;
            let behind = match draft {
                Spill::None => None,
                Spill::Open(draft) => Some(draft.unnamed()?),
                Spill::Away => return Err(SpoolError::gone("write the content")),
            };
            let mut draft = Draft::create(path)?;
            let mut hash = Sha256::new();
            let mut put = |piece: &[u8]| {
                hash.update(piece);
                draft.write(piece)
            };
            put(&first)?;
            if let Some(file) = &behind {
                let mut piece = vec![0; MOST_INLINE];
                let mut at = 0;
                loop {
                    let read = file
                        .read_at(&mut piece, at)
                        .map_err(|error| SpoolError::io("read the content", error))?;
                    if read == 0 {
                        break;
                    }
                    put(&piece[..read])?;
                    at += read as u64;
                }
            }
            put(&memory)?;
            draft.sync()?;
            Ok((draft, <[u8; 32]>::from(hash.finalize())))
        };
        let (draft, digest) = spawn_blocking(work)
            .await
            .map_err(|_| SpoolError::gone("write the content"))??;
        Ok(Content {
            id: self.id,
            place: Place::File(draft),
            size,
            digest,
        })
    }

    /// All octets so far, for who has to look at them before the end. Blocks: for threads that may.
    ///
    /// # Errors
    /// If its file cannot be read.
    pub fn so_far(&self) -> Result<SoFar, SpoolError> {
        let file = match &self.file {
            Spill::None => None,
            Spill::Open(draft) => Some(draft.reading()?),
            Spill::Away => return Err(SpoolError::gone("read the content")),
        };
        Ok(SoFar {
            file,
            memory: self.memory.clone(),
        })
    }

    /// Moves what is in memory to the file.
    async fn spill(&mut self, last: bool) -> Result<(), SpoolError> {
        let piece = std::mem::take(&mut self.memory);
        let draft = std::mem::replace(&mut self.file, Spill::Away);
        let path = self.folder.file(&self.id)?;
        let room = self.room.clone();
        // The draft travels with the work: if this future is dropped meanwhile, so is the draft
        // when the work ends, and the file goes with it.
        let work = move || {
            // Content that is on its way must not take what the queue needs to become shorter.
            room.check("write the content", piece.len() as u64)?;
            let mut draft = match draft {
                Spill::None => Draft::create(path)?,
                Spill::Open(draft) => draft,
                Spill::Away => return Err(SpoolError::gone("write the content")),
            };
            draft.write(&piece)?;
            if last {
                draft.sync()?;
            }
            let mut memory = piece;
            memory.clear();
            Ok((draft, memory))
        };
        let (draft, memory) = spawn_blocking(work)
            .await
            .map_err(|_| SpoolError::gone("write the content"))??;
        self.file = Spill::Open(draft);
        self.memory = memory;
        Ok(())
    }
}

/// Content that was written so far, to be looked at.
#[derive(Debug)]
pub struct SoFar {
    /// What comes first, if it is much.
    pub file: Option<File>,
    /// What comes then.
    pub memory: Vec<u8>,
}

/// Content that is complete, and not yet in the spool.
#[derive(Debug)]
pub struct Content {
    pub(super) id: String,
    pub(super) place: Place,
    pub(super) size: u64,
    pub(super) digest: [u8; 32],
}

impl Content {
    /// Octets.
    pub fn size(&self) -> u64 {
        self.size
    }
}

/// Where content is.
#[derive(Debug)]
pub(super) enum Place {
    /// Will be in the row.
    Row(Vec<u8>),
    /// Is in a file.
    File(Draft),
}

/// A content file that no row names yet: it goes when this is dropped, unless it was kept.
#[derive(Debug)]
pub(super) struct Draft {
    path: PathBuf,
    file: File,
    kept: bool,
}

impl Draft {
    fn create(path: PathBuf) -> Result<Self, SpoolError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| SpoolError::path("make", &path, error))?;
        Ok(Self::new(path, file))
    }

    fn new(path: PathBuf, file: File) -> Self {
        Self {
            path,
            file,
            kept: false,
        }
    }

    fn write(&mut self, piece: &[u8]) -> Result<(), SpoolError> {
        self.file
            .write_all(piece)
            .map_err(|error| SpoolError::path("write", &self.path, error))
    }

    fn sync(&mut self) -> Result<(), SpoolError> {
        self.file
            .sync_all()
            .map_err(|error| SpoolError::path("sync", &self.path, error))?;
        self.path.parent().map_or(Ok(()), sync_folder)
    }

    /// Its file without its name, which another file may have now.
    fn unnamed(self) -> Result<File, SpoolError> {
        self.reading()
        // Dropped, it takes its name away.
    }

    /// The file, to be read from its beginning with a place of its own.
    fn reading(&self) -> Result<File, SpoolError> {
        File::open(&self.path).map_err(|error| SpoolError::path("open", &self.path, error))
    }

    /// Its row is committed.
    pub(super) fn keep(&mut self) {
        self.kept = true;
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.kept {
            // A file that cannot be removed now is removed at the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn folder() -> (tempfile::TempDir, Folder) {
        let scratch = tempfile::tempdir().unwrap();
        let folder = Folder::new(scratch.path());
        folder.create().unwrap();
        (scratch, folder)
    }

    fn writer(id: &str, folder: &Folder) -> ContentWriter {
        ContentWriter::new(id, folder.clone(), Room::new(folder.path()))
    }

    fn files(folder: &Folder) -> usize {
        std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| std::fs::read_dir(entry.unwrap().path()).unwrap().count())
            .sum()
    }

    #[tokio::test]
    async fn content_over_the_limit_becomes_a_file_and_goes_with_its_writer() {
        let (_scratch, folder) = folder();
        let mut writer = writer("a-1", &folder);
        writer.write(&vec![b'x'; MOST_INLINE]).await.unwrap();
        assert_eq!(files(&folder), 0);
        writer.write(b"y").await.unwrap();
        assert_eq!(files(&folder), 1);
        let content = writer.finish().await.unwrap();
        assert_eq!(content.size(), MOST_INLINE as u64 + 1);
        assert_eq!(files(&folder), 1);
        drop(content);
        assert_eq!(files(&folder), 0);
    }

    #[tokio::test]
    async fn a_cancelled_write_leaves_no_file() {
        let (_scratch, folder) = folder();
        let mut writer = writer("a-1", &folder);
        let large = vec![b'x'; 3 * MOST_INLINE];
        let polled = std::future::poll_fn(|context| {
            let mut write = std::pin::pin!(writer.write(&large));
            std::task::Poll::Ready(write.as_mut().poll(context).is_pending())
        });
        assert!(polled.await, "a file takes more than one poll");
        assert!(writer.write(&large).await.is_err());
        drop(writer);
        for _ in 0..200 {
            if files(&folder) == 0 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert_eq!(files(&folder), 0);
    }

    #[tokio::test]
    async fn an_identifier_that_leaves_the_folder_makes_no_file() {
        let (_scratch, folder) = folder();
        let mut writer = writer("../x", &folder);
        let result = writer.write(&vec![0; MOST_INLINE + 1]).await;
        assert!(matches!(result, Err(SpoolError::Identifier { .. })));
    }

    #[tokio::test]
    async fn octets_before_all_others_are_part_of_the_content() {
        for (behind, in_a_file) in [
            (0, false),
            (10, false),
            (MOST_INLINE - 5, false),
            // With the five octets it is too much for the row.
            (MOST_INLINE - 4, true),
            (MOST_INLINE, true),
            (3 * MOST_INLINE + 7, true),
        ] {
            let (_scratch, folder) = folder();
            let octets: Vec<u8> = (0..behind).map(|at| (at % 251) as u8).collect();
            let mut writer = writer("a-1", &folder);
            writer.write(&octets).await.unwrap();
            let content = writer.finish_after(b"first".to_vec()).await.unwrap();
            let whole = [b"first", octets.as_slice()].concat();
            assert_eq!(content.size, whole.len() as u64);
            assert_eq!(content.digest, <[u8; 32]>::from(Sha256::digest(&whole)));
            match &content.place {
                Place::Row(stored) => assert_eq!(*stored, whole),
                Place::File(_) => {
                    assert_eq!(std::fs::read(folder.file("a-1").unwrap()).unwrap(), whole);
                }
            }
            assert_eq!(matches!(content.place, Place::File(_)), in_a_file);
            assert_eq!(files(&folder), usize::from(in_a_file));
            drop(content);
            assert_eq!(files(&folder), 0);
        }
    }

    #[tokio::test]
    async fn content_can_be_looked_at_before_its_end() {
        use std::io::Read as _;
        let (_scratch, folder) = folder();
        for size in [0, 5, MOST_INLINE + 5] {
            let octets: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            let mut writer = writer("a-1", &folder);
            writer.write(&octets).await.unwrap();
            let so_far = writer.so_far().unwrap();
            let mut seen = Vec::new();
            if let Some(mut file) = so_far.file {
                file.read_to_end(&mut seen).unwrap();
            }
            seen.extend(so_far.memory);
            assert_eq!(seen, octets);
        }
    }

    #[tokio::test]
    async fn content_on_its_way_stops_at_the_reserve() {
        let (_scratch, folder) = folder();
        let mut writer = writer("a-1", &folder);
        writer.write(&vec![b'x'; 2 * MOST_INLINE]).await.unwrap();
        assert_eq!(files(&folder), 1);
        // The disk fills while the content arrives.
        writer.room.reserve = u64::MAX;
        let result = writer.write(&vec![b'x'; MOST_INLINE]).await;
        assert!(matches!(result, Err(SpoolError::Full { .. })), "{result:?}");
        assert_eq!(files(&folder), 0, "what was written makes room again");
        assert!(writer.finish().await.is_err());
    }

    #[test]
    fn a_full_disk_is_told_as_such() {
        // /dev/full answers each write with the ENOSPC of a full file system.
        let path = PathBuf::from("no-such-file");
        let file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut draft = Draft::new(path, file);
        assert!(matches!(draft.write(b"x"), Err(SpoolError::Full { .. })));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn any_split_gives_the_same_content(
            octets in prop::collection::vec(any::<u8>(), 0..3000),
            repeat in 1_usize..300,
            piece in 1_usize..400_000,
        ) {
            let octets = octets.repeat(repeat);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let (_scratch, folder) = folder();
            let content = runtime.block_on(async {
                let mut writer = writer("a-1", &folder);
                for piece in octets.chunks(piece) {
                    writer.write(piece).await.unwrap();
                }
                writer.finish().await.unwrap()
            });
            prop_assert_eq!(content.size, octets.len() as u64);
            prop_assert_eq!(content.digest, <[u8; 32]>::from(Sha256::digest(&octets)));
            let stored = match &content.place {
                Place::Row(stored) => { prop_assert!(stored.len() <= MOST_INLINE); stored.clone() }
                Place::File(_) => std::fs::read(folder.file("a-1").unwrap()).unwrap(),
            };
            prop_assert_eq!(stored, octets);
        }
    }
}
