//! Content on its way out, which stops if its message is removed meanwhile: without the end of data
//! the server drops what it has (RFC 5321 section 3.3).

use std::io;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};

use super::begun::Removed;
use crate::outbound::Source;
use crate::spool::ContentStream;

/// A reader that fails once the mark is set.
pub(super) struct Removable<R> {
    reader: R,
    removed: Removed,
}

impl<R> Removable<R> {
    /// Reads from `reader` until the message is removed.
    pub(super) fn new(reader: R, removed: Removed) -> Self {
        Self { reader, removed }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Removable<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.removed.load(Ordering::Relaxed) {
            return Poll::Ready(Err(io::Error::other("it was removed from the queue")));
        }
        Pin::new(&mut self.reader).poll_read(context, buffer)
    }
}

impl Source for Removable<ContentStream> {
    fn rewind(&mut self) {
        self.reader.rewind();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;

    #[tokio::test]
    async fn what_is_removed_is_read_no_further() {
        let removed = Removed::default();
        let mut reader = Removable::new(&b"abcdef"[..], removed.clone());
        let mut octets = [0; 3];
        reader.read_exact(&mut octets).await.unwrap();
        assert_eq!(&octets, b"abc");
        removed.store(true, Ordering::Relaxed);
        assert!(reader.read(&mut octets).await.is_err());
    }
}
