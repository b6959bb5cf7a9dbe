//! The server's octets, its silence, and its end (RFC 5321 section 4.5.3.2).

use super::dialogue::{Dialogue, Wants};
use crate::sandbox::SandboxError;
use crate::sandbox::v0_1::client::Loss;
use crate::sandbox::v0_1::types::Phase;
use std::time::Duration;
use tokio::time::Instant;

/// Octets of one read. A session that ends in the middle of what it was given leaves the rest, and
/// more than 12,288 octets it must not leave: its longest line (4,096) and one read stay below.
const READ: usize = 8 * 1024;
/// How long the last words of a server that takes no more octets are waited for. One that closed
/// has said them; one that only stopped reading had minutes for them.
const LAST_WORDS: Duration = Duration::from_secs(2);

impl Dialogue {
    /// Reads once, and lets the session see it.
    pub(super) async fn hear(&mut self, phase: Phase) -> Result<(), SandboxError> {
        // What was not consumed is offered again after an answer, even if nothing has come.
        if std::mem::take(&mut self.offer_again) && !self.buffer.is_empty() {
            return self.pass_on().await;
        }
        let timeouts = &self.target.timeouts;
        let silence = Instant::now() + timeouts.wait(phase);
        let mut end = silence.min(self.stirred + timeouts.stall);
        // Who has the whole message gets the time for its answer: else it may get it twice.
        if !matches!(phase, Phase::EndOfContent | Phase::Quit) {
            end = end.min(self.ends);
        }
        let mut room = [0; READ];
        match tokio::time::timeout_at(end, self.wire.read(&mut room)).await {
            Ok(Ok(0)) => self.lose(Loss::Closed).await,
            Ok(Ok(length)) => {
                self.keep(&room[..length]);
                self.pass_on().await
            }
            Ok(Err(error)) => {
                self.detail = Some(error.to_string());
                self.lose(Loss::Closed).await
            }
            Err(_) => self.lose(Loss::Timeout).await,
        }
    }

    /// What the server said unasked, if it did: between messages, and while content is on its way.
    pub(super) async fn overhear(&mut self) -> Result<(), SandboxError> {
        if !matches!(self.wants, Wants::Message | Wants::Run) {
            return Ok(());
        }
        let mut room = [0; READ];
        match self.wire.take(&mut room).await {
            Ok(None) => Ok(()),
            Ok(Some(0)) => self.lose(Loss::Closed).await,
            Ok(Some(length)) => {
                let before = self.wants.clone();
                self.keep(&room[..length]);
                self.receive(Some(before)).await
            }
            Err(error) => {
                self.detail = Some(error.to_string());
                self.lose(Loss::Closed).await
            }
        }
    }

    /// After a write that failed: whether the server had said why, and the session is over with
    /// that.
    pub(super) async fn last_words(&mut self) -> Result<bool, SandboxError> {
        let end = Instant::now() + LAST_WORDS;
        let mut room = [0; READ];
        // They may be on their way to us even where the write failed at once.
        while let Ok(Ok(length)) = tokio::time::timeout_at(end, self.wire.read(&mut room)).await {
            if length == 0 {
                break;
            }
            self.keep(&room[..length]);
            let progress = self.session.receive(&self.buffer)?;
            self.carry_out_last(progress).await?;
            if self.wants == Wants::Nothing {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn keep(&mut self, octets: &[u8]) {
        self.scribe.received(octets);
        self.buffer.extend_from_slice(octets);
    }

    async fn pass_on(&mut self) -> Result<(), SandboxError> {
        self.receive(None).await
    }

    /// `before`: what the session wanted and still wants if these octets ended nothing.
    async fn receive(&mut self, before: Option<Wants>) -> Result<(), SandboxError> {
        let progress = self.session.receive(&self.buffer)?;
        if let Some(before) = before
            && progress.actions.is_empty()
        {
            self.buffer.drain(..progress.consumed as usize);
            self.wants = before;
            return Ok(());
        }
        self.carry_out(progress, &[]).await
    }
}
