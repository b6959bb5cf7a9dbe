//! Message content on its way out of the spool, checked against what was stored.
//!
//! Length and SHA-256 are known at the end, so the last piece is given only after both were found
//! right: content of one piece (256 KiB) is never given if it is damaged. Who passes on more than
//! that where it cannot be taken back asks [`ContentReader::verify`] first, which reads all of it.

use std::fs::File;
use std::io::{Error, ErrorKind, Result as IoResult};
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::task::{JoinHandle, spawn_blocking};

use super::content::MOST_INLINE;
use super::error::SpoolError;

/// Reads the content of one message and checks it while it passes.
///
/// What it gave is good only once the last piece has come, or `None` for no content: who passes
/// octets on must be able to take them back until then, or [`verify`](Self::verify) first.
#[derive(Debug, Clone)]
pub struct ContentReader {
    stored: Arc<Stored>,
    /// Octets given so far.
    given: u64,
    hash: Sha256,
    /// All was given and found right.
    whole: bool,
}

/// What was stored, and where it is.
#[derive(Debug)]
struct Stored {
    id: String,
    source: Source,
    size: u64,
    digest: [u8; 32],
}

#[derive(Debug)]
enum Source {
    Row(Vec<u8>),
    File(File),
}

impl ContentReader {
    pub(super) fn row(id: String, octets: Vec<u8>, size: u64, digest: [u8; 32]) -> Self {
        Self::new(id, Source::Row(octets), size, digest)
    }

    pub(super) fn file(id: String, file: File, size: u64, digest: [u8; 32]) -> Self {
        Self::new(id, Source::File(file), size, digest)
    }

    fn new(id: String, source: Source, size: u64, digest: [u8; 32]) -> Self {
        let stored = Stored {
            id,
            source,
            size,
            digest,
        };
        Self::of(Arc::new(stored))
    }

    /// From the start.
    fn of(stored: Arc<Stored>) -> Self {
        Self {
            stored,
            given: 0,
            hash: Sha256::new(),
            whole: false,
        }
    }

    /// Octets of the content.
    pub fn size(&self) -> u64 {
        self.stored.size
    }

    /// Reads all of the content, in pieces, and compares length and SHA-256 with what was stored; so
    /// damage is found before the first octet goes out. After that it reads from the start.
    ///
    /// # Errors
    /// [`SpoolError::Corrupt`] if the content is not what was stored.
    pub async fn verify(&mut self) -> Result<(), SpoolError> {
        *self = Self::of(Arc::clone(&self.stored));
        let mut reader = Self::of(Arc::clone(&self.stored));
        let mut read_all = move || {
            while reader.next_blocking()?.is_some() {}
            Ok(())
        };
        if self.is_quick() {
            return read_all();
        }
        spawn_blocking(read_all)
            .await
            .map_err(|_| SpoolError::gone("read the content"))?
    }

    /// The next octets, at most 256 KiB, never empty; `None` at the end. Blocks: for threads that may.
    ///
    /// # Errors
    /// [`SpoolError::Corrupt`] if the content is not what was stored.
    pub fn next_blocking(&mut self) -> Result<Option<Vec<u8>>, SpoolError> {
        if self.whole {
            return Ok(None);
        }
        let piece = self.stored.piece(self.given)?;
        self.hash.update(&piece);
        self.given += piece.len() as u64;
        let corrupt = |reason| SpoolError::corrupt(&self.stored.id, reason);
        if self.given > self.stored.size {
            return Err(corrupt("its content is too long"));
        }
        // A piece is shorter than it may be only at the end.
        if self.given < self.stored.size && piece.len() < MOST_INLINE {
            return Err(corrupt("its content is too short"));
        }
        if self.given == self.stored.size {
            let digest: [u8; 32] = self.hash.finalize_reset().into();
            if !self.stored.ends_at(self.given)? {
                return Err(corrupt("its content is too long"));
            }
            if digest != self.stored.digest {
                return Err(corrupt("its content does not match its SHA-256"));
            }
            self.whole = true;
        }
        Ok(Some(piece).filter(|piece| !piece.is_empty()))
    }

    /// As [`next_blocking`](Self::next_blocking), for tasks. If cancelled, nothing was given.
    ///
    /// # Errors
    /// As there.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, SpoolError> {
        if self.is_quick() {
            return self.next_blocking();
        }
        let mut reader = self.clone();
        let (reader, piece) = spawn_blocking(move || {
            let piece = reader.next_blocking();
            (reader, piece)
        })
        .await
        .map_err(|_| SpoolError::gone("read the content"))?;
        *self = reader;
        piece
    }

    /// The same as a stream of octets, from here on. A read fails on damage, with the
    /// [`SpoolError`] as its cause.
    pub fn into_reader(self) -> ContentStream {
        ContentStream {
            start: self.clone(),
            piece: Vec::new(),
            taken: 0,
            step: Step::Next(self),
        }
    }

    /// Whether it is in memory.
    fn is_quick(&self) -> bool {
        matches!(self.stored.source, Source::Row(_))
    }
}

impl Stored {
    /// Octets from this place on, up to 256 KiB, empty at the end.
    fn piece(&self, from: u64) -> Result<Vec<u8>, SpoolError> {
        match &self.source {
            Source::Row(octets) => {
                let from = usize::try_from(from).unwrap_or(usize::MAX);
                Ok(octets.get(from..).unwrap_or_default().to_vec())
            }
            Source::File(file) => {
                let mut piece = vec![0; MOST_INLINE];
                let mut read = 0;
                while read < piece.len() {
                    match self.read(file, &mut piece[read..], from + read as u64)? {
                        0 => break,
                        more => read += more,
                    }
                }
                piece.truncate(read);
                Ok(piece)
            }
        }
    }

    /// Whether there is nothing from this place on.
    fn ends_at(&self, place: u64) -> Result<bool, SpoolError> {
        match &self.source {
            Source::Row(octets) => Ok(octets.len() as u64 == place),
            Source::File(file) => Ok(self.read(file, &mut [0], place)? == 0),
        }
    }

    /// At a place of its own, so that a second reader of the same file disturbs nobody.
    fn read(&self, file: &File, into: &mut [u8], from: u64) -> Result<usize, SpoolError> {
        loop {
            match file.read_at(into, from) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => {
                    let doing = || format!("read the content of message {}", self.id);
                    return read.map_err(|error| SpoolError::io(doing(), error));
                }
            }
        }
    }
}

/// Content as a stream of octets.
#[derive(Debug)]
pub struct ContentStream {
    /// Where [`rewind`](Self::rewind) goes back to.
    start: ContentReader,
    piece: Vec<u8>,
    /// How much of it was taken.
    taken: usize,
    step: Step,
}

type Read = (ContentReader, Result<Option<Vec<u8>>, SpoolError>);

#[derive(Debug)]
enum Step {
    /// The next piece is to be read.
    Next(ContentReader),
    /// Another thread reads it.
    Reading(JoinHandle<Read>),
    /// There is no more.
    End,
    /// There was damage, and each read says so.
    Failed(SpoolError),
}

impl AsyncRead for ContentStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<IoResult<()>> {
        if into.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        while self.taken == self.piece.len() {
            if !ready!(self.poll_piece(context))? {
                return Poll::Ready(Ok(()));
            }
        }
        let rest = &self.piece[self.taken..];
        let some = rest.len().min(into.remaining());
        into.put_slice(&rest[..some]);
        self.taken += some;
        Poll::Ready(Ok(()))
    }
}

impl ContentStream {
    /// Goes back to where the stream began.
    pub fn rewind(&mut self) {
        self.piece.clear();
        self.taken = 0;
        self.step = Step::Next(self.start.clone());
    }

    /// Gets the next piece. Whether there is one.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<IoResult<bool>> {
        let (reader, piece) = match std::mem::replace(&mut self.step, Step::End) {
            Step::Next(mut reader) if reader.is_quick() => {
                let piece = reader.next_blocking();
                (reader, piece)
            }
            Step::Next(mut reader) => {
                self.step = Step::Reading(spawn_blocking(move || {
                    let piece = reader.next_blocking();
                    (reader, piece)
                }));
                return self.poll_piece(context);
            }
            Step::Reading(mut thread) => match Pin::new(&mut thread).poll(context) {
                Poll::Pending => {
                    self.step = Step::Reading(thread);
                    return Poll::Pending;
                }
                Poll::Ready(Ok(read)) => read,
                Poll::Ready(Err(_)) => return self.fail(SpoolError::gone("read the content")),
            },
            Step::End => return Poll::Ready(Ok(false)),
            Step::Failed(error) => return self.fail(error),
        };
        match piece {
            Ok(Some(piece)) => {
                self.piece = piece;
                self.taken = 0;
                self.step = Step::Next(reader);
                Poll::Ready(Ok(true))
            }
            Ok(None) => Poll::Ready(Ok(false)),
            Err(error) => self.fail(error),
        }
    }

    fn fail(&mut self, error: SpoolError) -> Poll<IoResult<bool>> {
        self.step = Step::Failed(error.clone());
        Poll::Ready(Err(Error::new(ErrorKind::InvalidData, error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    /// A reader of these octets where others were stored.
    fn reader(
        scratch: &tempfile::TempDir,
        file: bool,
        octets: &[u8],
        stored: &[u8],
    ) -> ContentReader {
        let (size, digest) = (stored.len() as u64, Sha256::digest(stored).into());
        if !file {
            return ContentReader::row("a-1".into(), octets.to_vec(), size, digest);
        }
        let path = scratch.path().join("content");
        std::fs::write(&path, octets).unwrap();
        ContentReader::file("a-1".into(), File::open(path).unwrap(), size, digest)
    }

    fn large() -> Vec<u8> {
        (0..MOST_INLINE * 2 + 5).map(|n| (n % 251) as u8).collect()
    }

    #[tokio::test]
    async fn damage_is_told_before_the_last_octet() {
        let scratch = tempfile::tempdir().unwrap();
        for file in [false, true] {
            for octets in [b"abd".as_slice(), b"ab", b"abcd", b""] {
                let mut reader = reader(&scratch, file, octets, b"abc");
                let first = reader.next().await;
                assert!(
                    matches!(first, Err(SpoolError::Corrupt { .. })),
                    "{first:?}"
                );
            }
            let mut good = reader(&scratch, file, b"abc", b"abc");
            assert_eq!(good.next().await.unwrap().unwrap(), b"abc");
            assert_eq!(good.next().await.unwrap(), None);
            assert_eq!(good.next().await.unwrap(), None);
            let mut empty = reader(&scratch, file, b"", b"");
            assert_eq!(empty.next().await.unwrap(), None);
            let mut longer = reader(&scratch, file, b"a", b"");
            assert!(longer.next().await.is_err());
        }
    }

    #[tokio::test]
    async fn verify_finds_damage_anywhere_and_then_reads_from_the_start() {
        let scratch = tempfile::tempdir().unwrap();
        let octets = large();
        let mut good = reader(&scratch, true, &octets, &octets);
        good.next().await.unwrap();
        good.verify().await.unwrap();
        let mut read = Vec::new();
        while let Some(piece) = good.next().await.unwrap() {
            read.extend(piece);
        }
        assert_eq!(read, octets);
        good.verify().await.unwrap();
        for at in [0, MOST_INLINE, octets.len() - 1] {
            let mut damaged = octets.clone();
            damaged[at] ^= 1;
            let mut damaged = reader(&scratch, true, &damaged, &octets);
            let found = damaged.verify().await;
            assert!(matches!(found, Err(SpoolError::Corrupt { .. })), "{at}");
        }
        let mut row = reader(&scratch, false, b"abc", b"abc");
        row.verify().await.unwrap();
        assert_eq!(row.next().await.unwrap().unwrap(), b"abc");
        assert!(
            reader(&scratch, false, b"abd", b"abc")
                .verify()
                .await
                .is_err()
        );
    }

    #[tokio::test]
    async fn a_stream_gives_the_octets_in_reads_of_any_size() {
        let scratch = tempfile::tempdir().unwrap();
        let octets = large();
        for file in [false, true] {
            for most in [1000, 65_536, 10_000_000] {
                let mut stream = reader(&scratch, file, &octets, &octets).into_reader();
                let mut read: Vec<u8> = Vec::new();
                loop {
                    let mut some = vec![0; most];
                    let count = stream.read(&mut some).await.unwrap();
                    if count == 0 {
                        break;
                    }
                    read.extend(&some[..count]);
                }
                assert_eq!(read, octets);
                assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
                stream.rewind();
                let mut again = vec![0; 10];
                stream.read_exact(&mut again).await.unwrap();
                stream.rewind();
                again.clear();
                stream.read_to_end(&mut again).await.unwrap();
                assert_eq!(again, octets);
            }
        }
        let boxed: Box<dyn AsyncRead + Send + Unpin> =
            Box::new(reader(&scratch, true, b"", b"").into_reader());
        drop(boxed);
    }

    #[tokio::test]
    async fn a_stream_fails_on_damage_before_its_last_octets() {
        let scratch = tempfile::tempdir().unwrap();
        let octets = large();
        let content = reader(&scratch, true, &octets, &octets);
        // After it was verified, as a disk may do.
        let file = File::options()
            .write(true)
            .open(scratch.path().join("content"))
            .unwrap();
        file.write_all_at(b"!", 3).unwrap();
        let mut stream = content.into_reader();
        let mut read = Vec::new();
        let error = stream.read_to_end(&mut read).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        let cause = error.get_ref().unwrap().downcast_ref::<SpoolError>();
        assert!(matches!(cause, Some(SpoolError::Corrupt { .. })));
        assert!(read.len() < octets.len());
        assert!(
            stream.read(&mut [0]).await.is_err(),
            "it does not look like the end"
        );
    }
}
