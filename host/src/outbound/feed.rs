//! The message, run by run, as the session asks for it, or past the session to the server.

use super::action::Piece;
use super::dialogue::{Dialogue, Wants};
use crate::sandbox::SandboxError;
use crate::sandbox::v0_1::client::Loss;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::Instant;

/// `wit/submission.wit`: a run has at most 65,536 octets.
const RUN: usize = 65_536;

/// The content of a message, which may be read more than once: conversion looks at it first.
pub trait Source: AsyncRead + Send + Unpin {
    /// Goes back to the first octet.
    fn rewind(&mut self);
}

impl<T: AsRef<[u8]> + Send + Unpin> Source for io::Cursor<T> {
    fn rewind(&mut self) {
        self.set_position(0);
    }
}

/// A message's content, and how much of it there must be.
pub(super) struct Content<'a> {
    reader: &'a mut dyn Source,
    size: u64,
    left: u64,
    run: Vec<u8>,
}

impl<'a> Content<'a> {
    /// `size`: what SIZE will promise (R1870-6.2).
    pub(super) fn new(reader: &'a mut dyn Source, size: u64) -> Self {
        Self {
            reader,
            size,
            left: size,
            run: Vec::new(),
        }
    }

    /// Reads the next run; whether it is the last. A message that is shorter or longer than it
    /// was said to be is damaged, and must not be sent as if it were whole.
    async fn next(&mut self) -> io::Result<bool> {
        self.run.clear();
        // One octet more than is due would show that there is more.
        let most = self.left.saturating_add(1).min(RUN as u64);
        let mut limited = (&mut *self.reader).take(most);
        let read = limited.read_to_end(&mut self.run).await? as u64;
        if read > self.left {
            return Err(io::Error::other("it is longer than it was"));
        }
        self.left -= read;
        if read < most && self.left > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(read < most)
    }

    /// Reads the next octets for who wants `most` of them, at most a run; whether they are the
    /// message's last.
    async fn some(&mut self, most: u64) -> io::Result<bool> {
        self.run.clear();
        let most = most.min(self.left).min(RUN as u64);
        let mut limited = (&mut *self.reader).take(most);
        let read = limited.read_to_end(&mut self.run).await? as u64;
        if read < most {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= read;
        if self.left == 0 && self.reader.read(&mut [0]).await? > 0 {
            return Err(io::Error::other("it is longer than it was"));
        }
        Ok(self.left == 0)
    }

    fn rewind(&mut self) {
        self.reader.rewind();
        self.left = self.size;
    }
}

impl Dialogue {
    /// Supplies one run.
    pub(super) async fn feed(&mut self, content: &mut Content<'_>) -> Result<(), SandboxError> {
        // A server that has had enough says so now, not after gigabytes.
        self.overhear().await?;
        if self.wants != Wants::Run {
            return Ok(());
        }
        if std::mem::take(&mut self.rewind) {
            content.rewind();
        }
        let last = match content.next().await {
            Ok(last) => last,
            Err(error) => return self.unreadable(&error).await,
        };
        self.supplied = last;
        let progress = self.session.supply(&content.run, last)?;
        self.offer_again = true;
        self.carry_out(progress, &content.run).await
    }

    /// Sends what goes to the server past the session (`pass`), and what stands between.
    pub(super) async fn pass(&mut self, content: &mut Content<'_>) -> Result<(), SandboxError> {
        if std::mem::take(&mut self.rewind) {
            content.rewind();
        }
        while let Some(piece) = self.later.pop_front() {
            let mut left = match piece {
                Piece::Octets(octets) => {
                    self.give(&octets, false).await?;
                    0
                }
                Piece::Message(length) => length,
            };
            if left > content.left {
                return Err(SandboxError::violation("more content than there is"));
            }
            while left > 0 && self.wants != Wants::Nothing {
                let last = match content.some(left).await {
                    Ok(last) => last,
                    Err(error) => return self.unreadable(&error).await,
                };
                left -= content.run.len() as u64;
                self.scribe.content(content.run.len());
                self.give(&content.run, true).await?;
                self.supplied |= last && self.wants != Wants::Nothing;
            }
            if self.wants == Wants::Nothing {
                self.later.clear();
            }
        }
        self.passing = false;
        // The server had no reason to say anything meanwhile.
        self.stirred = Instant::now();
        Ok(())
    }

    /// Without the end of data the server drops what it has (RFC 5321 section 3.3).
    async fn unreadable(&mut self, error: &io::Error) -> Result<(), SandboxError> {
        self.detail = Some(format!("the message cannot be read: {error}"));
        self.lose(Loss::Closed).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn runs(octets: &[u8], size: u64) -> io::Result<Vec<(usize, bool)>> {
        let mut reader = io::Cursor::new(octets);
        let mut content = Content::new(&mut reader, size);
        let mut runs = Vec::new();
        loop {
            let last = content.next().await?;
            runs.push((content.run.len(), last));
            if last {
                return Ok(runs);
            }
        }
    }

    #[tokio::test]
    async fn runs_have_65536_octets_and_the_last_is_known() {
        for (size, expected) in [
            (0, vec![(0, true)]),
            (1, vec![(1, true)]),
            (65_535, vec![(65_535, true)]),
            (65_536, vec![(65_536, false), (0, true)]),
            (65_537, vec![(65_536, false), (1, true)]),
        ] {
            let octets = vec![b'x'; size];
            assert_eq!(
                runs(&octets, size as u64).await.unwrap(),
                expected,
                "{size}"
            );
        }
    }

    #[tokio::test]
    async fn a_message_of_another_size_is_not_sent_as_if_it_were_whole() {
        assert!(runs(b"four", 5).await.is_err());
        assert!(runs(b"four", 3).await.is_err());
        assert!(runs(&vec![b'x'; 65_536], 65_537).await.is_err());
        assert!(runs(&vec![b'x'; 65_537], 65_536).await.is_err());
    }
}
