//! The message, run by run, as the session asks for it.

use super::dialogue::{Dialogue, Wants};
use crate::sandbox::SandboxError;
use crate::sandbox::v0_1::client::Loss;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// `wit/submission.wit`: a run has at most 65,536 octets.
const RUN: usize = 65_536;

/// A message's content, and how much of it there must be.
pub(super) struct Content<'a> {
    reader: &'a mut (dyn AsyncRead + Send + Unpin),
    left: u64,
    run: Vec<u8>,
}

impl<'a> Content<'a> {
    /// `size`: what SIZE will promise (R1870-6.2).
    pub(super) fn new(reader: &'a mut (dyn AsyncRead + Send + Unpin), size: u64) -> Self {
        Self {
            reader,
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
}

impl Dialogue {
    /// Supplies one run.
    pub(super) async fn feed(&mut self, content: &mut Content<'_>) -> Result<(), SandboxError> {
        // A server that has had enough says so now, not after gigabytes.
        self.overhear().await?;
        if self.wants != Wants::Run {
            return Ok(());
        }
        let last = match content.next().await {
            Ok(last) => last,
            Err(error) => {
                // Without the end of data the server drops what it has (RFC 5321 section 3.3).
                self.detail = Some(format!("the message cannot be read: {error}"));
                return self.lose(Loss::Closed).await;
            }
        };
        self.supplied = last;
        let progress = self.session.supply(&content.run, last)?;
        self.offer_again = true;
        self.carry_out(progress, &content.run).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn runs(octets: &[u8], size: u64) -> io::Result<Vec<(usize, bool)>> {
        let mut reader = octets;
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
