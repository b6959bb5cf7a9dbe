//! Delivery into a Maildir, as its author D. J. Bernstein described it: written to `tmp`, synced, and
//! then given its name in `new`, where readers look.
//!
//! **Once.** A crash between the name and the spool's note of it repeats the attempt. So the name is
//! not random: it says the message and the recipient, and a second delivery of the same finds the
//! first in `new` (the link fails), or in `cur` with the flags of its reader (looked for only when
//! an attempt was made before, since that folder can be large). Only one that a reader has moved or
//! removed between a crash and the next attempt comes twice.
//!
//! In `tmp` the name has the process and a random number as well: a service that was told to end may
//! still write there when the next one delivers the same, and must not be given the other's half. What
//! a crash left in `tmp` is removed by readers, as the convention has it.
//!
//! **Durably.** Synced are the file before it gets its name, `new` after that, and, once for each
//! Maildir that this process meets, the folders that lead to it.

use std::collections::HashSet;
use std::fs::{DirBuilder, File, OpenOptions, hard_link, read_dir, remove_file, rename};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::UNIX_EPOCH;

use tokio::task::spawn_blocking;

use super::return_path::ReturnPath;
use super::template::Template;
use crate::spool::{Claimed, ContentReader, SpoolError};

/// Most Maildirs that are remembered as made and synced.
const MOST_KNOWN: usize = 10_000;
/// Most octets of the hostname in a file's name, which has 255 for all.
const MOST_HOSTNAME: usize = 64;

/// Why a message could not be put into a Maildir. All but a damaged message may pass.
#[derive(Debug, thiserror::Error)]
pub enum MaildirError {
    /// Of the file system: no permission, no space, something in the way.
    #[error("cannot {doing} {path}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// The content could not be read, or is damaged.
    #[error(transparent)]
    Content(#[from] SpoolError),
    /// The thread that delivered it panicked.
    #[error("the delivery was cut short")]
    Interrupted,
}

/// Delivers into Maildirs.
#[derive(Debug)]
pub struct Maildirs {
    /// As it may stand in a file's name.
    hostname: String,
    /// Made, and synced with all that leads to them.
    known: Arc<Mutex<HashSet<PathBuf>>>,
}

impl Maildirs {
    /// The hostname goes into the files' names, so that machines can share a Maildir.
    pub fn new(hostname: &str) -> Self {
        // The convention for the two characters that a name cannot have; others are not in a hostname.
        let escaped = hostname.replace('/', "\\057").replace(':', "\\072");
        let kept = escaped.chars().filter(|one| one.is_ascii_graphic());
        Self {
            hostname: kept.take(MOST_HOSTNAME).collect(),
            known: Arc::default(),
        }
    }

    /// Puts the message into the Maildir of this recipient. When it returns, the message is on the
    /// disk. Costs two syncs.
    ///
    /// # Errors
    /// Then nothing is in `new`, unless the very last sync failed.
    pub async fn deliver(
        &self,
        template: &Template,
        claimed: &Claimed,
        content: ContentReader,
    ) -> Result<(), MaildirError> {
        let letter = self.letter(template, claimed);
        let known = Arc::clone(&self.known);
        spawn_blocking(move || letter.deliver(&known, content))
            .await
            .map_err(|_| MaildirError::Interrupted)?
    }

    fn letter(&self, template: &Template, claimed: &Claimed) -> Letter {
        Letter {
            folder: template.folder(&claimed.recipient.mailbox),
            base: template.base().to_owned(),
            name: self.name(claimed),
            field: ReturnPath::field(&claimed.message.envelope.reverse_path),
            again: claimed.attempts > 1,
        }
    }

    /// `1700000000.M123000Q0_ID.HOSTNAME`: the same for each attempt with a recipient, and for no
    /// other. The letters are those of the convention: microseconds, and a number in the sequence.
    fn name(&self, claimed: &Claimed) -> String {
        let since = claimed
            .message
            .received
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        format!(
            "{}.M{}Q{}_{}.{}",
            since.as_secs(),
            since.subsec_micros(),
            claimed.ordinal,
            claimed.message.id,
            self.hostname
        )
    }
}

/// One message on its way into one Maildir.
struct Letter {
    folder: PathBuf,
    base: PathBuf,
    name: String,
    field: Vec<u8>,
    again: bool,
}

impl Letter {
    fn deliver(
        &self,
        known: &Mutex<HashSet<PathBuf>>,
        content: ContentReader,
    ) -> Result<(), MaildirError> {
        let is_known = lock(known).contains(&self.folder);
        if !is_known {
            self.prepare(known)?;
        }
        if self.again && self.in_folder(known, || self.is_in_cur())? {
            return Ok(());
        }
        let draft = self.draft();
        let file = self.in_folder(known, || create(&draft))?;
        let placed = self
            .write(file, &draft, content)
            .and_then(|()| self.in_folder(known, || self.place(&draft)));
        // Gone if it was renamed. What cannot be removed is in `tmp`, which readers clean.
        let _ = remove_file(&draft);
        placed?;
        sync(&self.folder.join("new"))
    }

    /// Does one step. Somebody may have removed a folder that was known: then the Maildir is made
    /// again, and the step is done once more.
    fn in_folder<T>(
        &self,
        known: &Mutex<HashSet<PathBuf>>,
        step: impl Fn() -> Result<T, MaildirError>,
    ) -> Result<T, MaildirError> {
        match step() {
            Err(MaildirError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                lock(known).remove(&self.folder);
                self.prepare(known)?;
                step()
            }
            other => other,
        }
    }

    /// A file in `tmp` that no other attempt writes, of this process or of another.
    fn draft(&self) -> PathBuf {
        // At most 29 octets more than the name has, which has 223 at most: below the 255 of a name.
        let (process, random) = (std::process::id(), rand::random::<u64>());
        let name = format!("{}.P{process}R{random:016x}", self.name);
        self.folder.join("tmp").join(name)
    }

    /// Makes the Maildir and all that leads to it, durably, and remembers that.
    fn prepare(&self, known: &Mutex<HashSet<PathBuf>>) -> Result<(), MaildirError> {
        self.make()?;
        let mut known = lock(known);
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(self.folder.clone());
        Ok(())
    }

    fn make(&self) -> Result<(), MaildirError> {
        let base_was_there = self.base.is_dir();
        for inner in ["tmp", "new", "cur"] {
            let inner = self.folder.join(inner);
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&inner)
                .map_err(failed("make the folder", &inner))?;
        }
        for folder in self
            .folder
            .ancestors()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            match sync(folder) {
                // Folders above that are others' need not be readable.
                Err(MaildirError::Io { source, .. })
                    if folder != self.folder && source.kind() == ErrorKind::PermissionDenied => {}
                other => other?,
            }
            if base_was_there && folder == self.base {
                break;
            }
        }
        Ok(())
    }

    /// Whether an earlier attempt's file was seen by its reader, who adds `:2,` and flags.
    fn is_in_cur(&self) -> Result<bool, MaildirError> {
        let cur = self.folder.join("cur");
        for entry in read_dir(&cur).map_err(failed("look through", &cur))? {
            let found = entry.map_err(failed("look through", &cur))?.file_name();
            let same = found.as_encoded_bytes().strip_prefix(self.name.as_bytes());
            if same.is_some_and(|rest| rest.is_empty() || rest.starts_with(b":")) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn write(
        &self,
        mut file: File,
        draft: &Path,
        mut content: ContentReader,
    ) -> Result<(), MaildirError> {
        // RFC 5321 section 4.4: the return-path line is put at the beginning (R5321-4.4-e).
        let mut octets = self.field.clone();
        let mut filter = ReturnPath::new();
        while let Some(piece) = content.next_blocking()? {
            filter.pass(&piece, &mut octets);
            file.write_all(&octets).map_err(failed("write", draft))?;
            octets.clear();
        }
        filter.end(&mut octets);
        file.write_all(&octets).map_err(failed("write", draft))?;
        file.sync_all().map_err(failed("sync", draft))
    }

    /// Gives the file its name in `new`, if that is not taken: then it is this very message.
    fn place(&self, draft: &Path) -> Result<(), MaildirError> {
        let name = self.folder.join("new").join(&self.name);
        match hard_link(draft, &name) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            // File systems without hard links. Nobody else uses this name, so nothing is overwritten.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::Unsupported | ErrorKind::PermissionDenied
                ) =>
            {
                if name.exists() {
                    return Ok(());
                }
                rename(draft, &name).map_err(failed("make", &name))
            }
            Err(error) => Err(failed("make", &name)(error)),
        }
    }
}

fn lock(known: &Mutex<HashSet<PathBuf>>) -> MutexGuard<'_, HashSet<PathBuf>> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes a file in `tmp`. The owner of the Maildir could put a symbolic link there: `create_new`
/// follows none.
fn create(draft: &Path) -> Result<File, MaildirError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(draft)
        .map_err(failed("make", draft))
}

fn sync(folder: &Path) -> Result<(), MaildirError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed("sync the folder", folder))
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> MaildirError {
    let path = path.to_owned();
    move |source| MaildirError::Io {
        doing,
        path,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::tests::message;
    use crate::spool::{Access, Spool, Sqlite};
    use std::time::{Duration, SystemTime};

    struct Scene {
        scratch: tempfile::TempDir,
        spool: Sqlite,
        claimed: Claimed,
        maildirs: Maildirs,
    }

    impl Scene {
        async fn new(mailbox: &str, content: &[u8]) -> Self {
            let scratch = tempfile::tempdir().unwrap();
            let spool = Sqlite::open(scratch.path(), Access::Service).unwrap();
            let message = message(&spool, "a-1", &[mailbox], content).await;
            spool.append(message).await.unwrap();
            let one = crate::spool::Wanted {
                otherwise: 1,
                total: 1,
                ..Default::default()
            };
            let claimed = spool
                .claim(&one, Duration::from_secs(60), SystemTime::now())
                .await;
            Self {
                claimed: claimed.unwrap().remove(0),
                scratch,
                spool,
                maildirs: Maildirs::new("mail/1:example.org"),
            }
        }

        fn template(&self) -> Template {
            Template::below(&self.scratch.path().join("mail"))
        }

        fn folder(&self) -> PathBuf {
            self.template().folder(&self.claimed.recipient.mailbox)
        }

        fn letter(&self) -> Letter {
            self.maildirs.letter(&self.template(), &self.claimed)
        }

        async fn deliver(&self) -> Result<(), MaildirError> {
            let content = self.spool.read_content("a-1").await.unwrap();
            self.maildirs
                .deliver(&self.template(), &self.claimed, content)
                .await
        }

        fn files(&self, inner: &str) -> Vec<PathBuf> {
            let found = read_dir(self.folder().join(inner)).unwrap();
            found.map(|entry| entry.unwrap().path()).collect()
        }
    }

    #[tokio::test]
    async fn r5321_4_4_e_content_lies_in_new_with_its_return_path() {
        let content = b"Received: x\r\nReturn-Path: <old@example.org>\r\nTo: y\r\n\r\n.\0\xff\r\n";
        let scene = Scene::new("Bob@Example.net", content).await;
        scene.deliver().await.unwrap();
        let files = scene.files("new");
        assert_eq!(files.len(), 1);
        let expected =
            b"Return-Path: <alice@example.org>\r\nReceived: x\r\nTo: y\r\n\r\n.\0\xff\r\n";
        assert_eq!(std::fs::read(&files[0]).unwrap(), expected);
        let name = files[0].file_name().unwrap().to_str().unwrap();
        assert!(
            name.ends_with("Q0_a-1.mail\\0571\\072example.org"),
            "{name}"
        );
        assert!(scene.files("tmp").is_empty() && scene.files("cur").is_empty());
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&files[0]), 0o600);
        assert_eq!(mode(&scene.folder()), 0o700);
    }

    #[tokio::test]
    async fn large_content_is_delivered_octet_for_octet() {
        let mut content = b"To: y\r\n\r\n".to_vec();
        content.extend((0..700_000_u32).map(|number| (number % 253) as u8));
        let scene = Scene::new("bob@example.net", &content).await;
        scene.deliver().await.unwrap();
        let stored = std::fs::read(&scene.files("new")[0]).unwrap();
        assert_eq!(
            stored,
            [b"Return-Path: <alice@example.org>\r\n", &content[..]].concat()
        );
    }

    #[tokio::test]
    async fn a_second_delivery_of_the_same_recipient_does_not_double_it() {
        let mut scene = Scene::new("bob@example.net", b"x").await;
        scene.deliver().await.unwrap();
        scene.claimed.attempts = 2;
        scene.deliver().await.unwrap();
        assert_eq!(scene.files("new").len(), 1);
        // Its reader has seen it.
        let file = scene.files("new").remove(0);
        let mut seen = file.file_name().unwrap().to_owned();
        seen.push(":2,S");
        std::fs::rename(&file, scene.folder().join("cur").join(seen)).unwrap();
        scene.deliver().await.unwrap();
        assert!(scene.files("new").is_empty() && scene.files("tmp").is_empty());
        assert_eq!(scene.files("cur").len(), 1);
        // Another recipient of the same message is another delivery.
        scene.claimed.ordinal = 1;
        scene.deliver().await.unwrap();
        assert_eq!(scene.files("new").len(), 1);
    }

    #[tokio::test]
    async fn an_attempt_that_another_process_still_makes_is_not_shared() {
        let mut content = b"To: y\r\n\r\n".to_vec();
        content.resize(400_000, b'x');
        let mut scene = Scene::new("bob@example.net", &content).await;
        // The old service has begun: a part is written.
        let old = scene.letter();
        old.prepare(&scene.maildirs.known).unwrap();
        let draft = old.draft();
        let mut file = create(&draft).unwrap();
        file.write_all(b"Return-Path: <ali").unwrap();
        // The new one delivers the same meanwhile, and is in the middle of it when the old one goes on.
        scene.claimed.attempts = 2;
        let new = scene.letter();
        assert_ne!(new.draft(), draft);
        assert_ne!(new.draft(), new.draft());
        let half = new.draft();
        create(&half).unwrap().write_all(b"Return").unwrap();
        assert_eq!(std::fs::read(&draft).unwrap(), b"Return-Path: <ali");
        // The old one ends first: what has its name in `new` is its own, whole file.
        let reader = scene.spool.read_content("a-1").await.unwrap();
        file.set_len(0).unwrap();
        old.write(
            OpenOptions::new().write(true).open(&draft).unwrap(),
            &draft,
            reader,
        )
        .unwrap();
        old.place(&draft).unwrap();
        new.place(&half).unwrap();
        let expected = [b"Return-Path: <alice@example.org>\r\n", &content[..]].concat();
        let files = scene.files("new");
        assert_eq!(files.len(), 1);
        assert_eq!(std::fs::read(&files[0]).unwrap(), expected);
    }

    #[tokio::test]
    async fn the_longest_name_in_tmp_is_one_that_file_systems_take() {
        let mut scene = Scene::new("bob@example.net", b"x").await;
        scene.maildirs = Maildirs::new(&"h".repeat(300));
        scene.claimed.ordinal = u32::MAX;
        let mut letter = scene.letter();
        // Identifiers have at most 128 octets.
        letter.name = letter.name.replace("a-1", &"i".repeat(128));
        let name = letter.draft().file_name().unwrap().len();
        // The process's number may have all ten digits of a u32.
        assert!(
            name + 10 - std::process::id().to_string().len() <= 255,
            "{name}"
        );
    }

    #[tokio::test]
    async fn a_link_in_tmp_is_not_followed() {
        let scene = Scene::new("bob@example.net", b"x\r\n").await;
        let elsewhere = scene.scratch.path().join("elsewhere");
        std::fs::write(&elsewhere, b"precious").unwrap();
        let draft = scene.scratch.path().join("draft");
        std::os::unix::fs::symlink(&elsewhere, &draft).unwrap();
        assert!(create(&draft).is_err());
        assert_eq!(std::fs::read(&elsewhere).unwrap(), b"precious");
    }

    #[tokio::test]
    async fn a_part_of_a_maildir_that_was_removed_is_made_again_at_once() {
        let mut scene = Scene::new("bob@example.net", b"x\r\n").await;
        scene.deliver().await.unwrap();
        // An attempt after the first looks into `cur` as well.
        scene.claimed.attempts = 2;
        for (ordinal, inner) in (1..).zip(["new", "tmp", "cur"]) {
            std::fs::remove_dir_all(scene.folder().join(inner)).unwrap();
            scene.claimed.ordinal = ordinal;
            scene.deliver().await.unwrap();
            assert!(scene.folder().join(inner).is_dir(), "{inner}");
        }
        // The first went with `new`; the three after that are there.
        assert_eq!(scene.files("new").len(), 3);
        assert!(scene.files("tmp").is_empty());
    }

    #[tokio::test]
    async fn a_maildir_that_was_removed_is_made_again() {
        let mut scene = Scene::new("bob@example.net", b"x\r\n").await;
        scene.deliver().await.unwrap();
        std::fs::remove_dir_all(scene.folder()).unwrap();
        scene.claimed.ordinal = 1;
        scene.deliver().await.unwrap();
        assert_eq!(scene.files("new").len(), 1);
    }

    #[tokio::test]
    async fn something_in_the_way_is_told_with_its_path() {
        let scene = Scene::new("bob@example.net", b"x\r\n").await;
        std::fs::write(scene.scratch.path().join("mail"), b"a file").unwrap();
        let error = scene.deliver().await.unwrap_err();
        assert!(matches!(error, MaildirError::Io { .. }), "{error:?}");
        assert!(
            error.to_string().contains("mail/example.net/bob"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn damaged_content_leaves_nothing() {
        let scene = Scene::new("bob@example.net", &vec![b'x'; 300_000]).await;
        let content = scene.spool.read_content("a-1").await.unwrap();
        let file = walk(&scene.scratch.path().join("spool/content")).remove(0);
        let shorter = OpenOptions::new().write(true).open(file).unwrap();
        shorter.set_len(299_999).unwrap();
        let result = scene
            .maildirs
            .deliver(&scene.template(), &scene.claimed, content)
            .await;
        assert!(matches!(
            result,
            Err(MaildirError::Content(SpoolError::Corrupt { .. }))
        ));
        assert!(scene.files("new").is_empty() && scene.files("tmp").is_empty());
    }

    fn walk(folder: &Path) -> Vec<PathBuf> {
        read_dir(folder)
            .unwrap()
            .flat_map(|inner| read_dir(inner.unwrap().path()).unwrap())
            .map(|file| file.unwrap().path())
            .collect()
    }
}
