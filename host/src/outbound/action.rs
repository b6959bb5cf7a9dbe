//! Carrying out one call's actions, in order (`wit/submission.wit`: the loop).

use super::dialogue::{Dialogue, Wants};
use super::wire::Wire;
use crate::sandbox::SandboxError;
use crate::sandbox::v0_1::client::{Action, Failure, Loss, Progress, Stage, Verdict};
use crate::sandbox::v0_1::types::Phase;
use std::collections::VecDeque;
use tokio::time::Instant;

/// `wit/submission.wit`: a message is read again twice at most.
const MOST_REWINDS: u32 = 2;

/// Octets for the wire, gathered from one call's actions.
#[derive(Default)]
struct Sending {
    octets: Vec<u8>,
    content: bool,
    /// From the first octets of the message on that the session does not see.
    later: VecDeque<Piece>,
}

/// A piece of what goes to the server.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// These octets.
    Octets(Vec<u8>),
    /// The message's next octets.
    Message(u64),
}

impl Sending {
    fn add(&mut self, octets: &[u8]) {
        match self.later.back_mut() {
            None => self.octets.extend_from_slice(octets),
            Some(Piece::Octets(last)) => last.extend_from_slice(octets),
            Some(Piece::Message(_)) => self.later.push_back(Piece::Octets(octets.to_vec())),
        }
    }
}

impl Dialogue {
    /// Carries out the actions; `supplied` is the run that content spans name.
    pub(super) async fn carry_out(
        &mut self,
        progress: Progress,
        supplied: &[u8],
    ) -> Result<(), SandboxError> {
        let sending = self.follow(progress, supplied)?;
        if self.wants == Wants::Message && !self.insist().await? {
            return Ok(());
        }
        self.give(&sending.octets, sending.content).await?;
        if self.wants == Wants::Nothing {
            self.wire.close().await;
        } else if !sending.later.is_empty() {
            self.passing = true;
            self.later = sending.later;
        }
        Ok(())
    }

    /// The same where the connection may be gone, and nothing depends on it.
    pub(super) async fn carry_out_last(&mut self, progress: Progress) -> Result<(), SandboxError> {
        let sending = self.follow(progress, &[])?;
        if !sending.octets.is_empty() {
            let within = self.target.timeouts.quit;
            let _ = self.wire.give(&sending.octets, within).await;
        }
        if self.wants == Wants::Nothing {
            self.wire.close().await;
        }
        Ok(())
    }

    fn follow(&mut self, progress: Progress, supplied: &[u8]) -> Result<Sending, SandboxError> {
        let mut sending = Sending::default();
        let mut wants = None;
        self.buffer.drain(..progress.consumed as usize);
        if !progress.actions.is_empty() {
            self.stirred = Instant::now();
        }
        for action in progress.actions {
            if wants == Some(Wants::Nothing) {
                return Err(SandboxError::violation("an action after close"));
            }
            let next = self.one(action, supplied, &mut sending)?;
            if let Some(next) = next
                && let Some(before) = wants.replace(next)
                && wants != Some(Wants::Nothing)
            {
                let text = format!("it wants {before:?} and {wants:?} at a time");
                return Err(SandboxError::Violation(text));
            }
        }
        self.wants = match wants {
            Some(wants) => wants,
            None if matches!(progress.waiting_for, Phase::Answer | Phase::Closed) => {
                return Err(SandboxError::violation(
                    "it waits, and does not say for what",
                ));
            }
            None => Wants::Octets(progress.waiting_for),
        };
        Ok(sending)
    }

    fn one(
        &mut self,
        action: Action,
        supplied: &[u8],
        sending: &mut Sending,
    ) -> Result<Option<Wants>, SandboxError> {
        match action {
            Action::Send(octets) => {
                self.scribe.sent(&octets);
                sending.add(&octets);
            }
            Action::Confide((octets, shown)) => {
                self.scribe.confided(&octets, &shown);
                sending.add(&octets);
            }
            Action::StartTls if self.tls.is_none() => return Ok(Some(Wants::Handshake)),
            Action::StartTls => return Err(SandboxError::violation("STARTTLS under TLS")),
            Action::Authenticate(mechanism) => return Ok(Some(Wants::Credentials(mechanism))),
            Action::Derive(salt) => return Ok(Some(Wants::Derivation(salt))),
            Action::Ready(offer) => {
                self.offer = Some(offer);
                return Ok(Some(Wants::Message));
            }
            Action::Hungry if self.supplied => {
                return Err(SandboxError::violation("hungry after the message's end"));
            }
            Action::Hungry => return Ok(Some(Wants::Run)),
            Action::Content(span) => {
                let from = span.offset as usize;
                let run = supplied
                    .get(from..from + span.length as usize)
                    .ok_or_else(|| SandboxError::violation("content that was not supplied"))?;
                self.scribe.content(run.len());
                sending.add(run);
                sending.content = true;
            }
            Action::Insert(octets) => {
                self.scribe.content(octets.len());
                sending.add(&octets);
                sending.content = true;
            }
            // Which chunk it is in, the trace says with the command before it.
            Action::Pass(length) => sending.later.push_back(Piece::Message(length)),
            Action::Rewind => {
                self.rewinds += 1;
                if self.rewinds > MOST_REWINDS {
                    return Err(SandboxError::violation("it reads the message too often"));
                }
                self.rewind = true;
                self.supplied = false;
            }
            Action::Settled((index, mut outcome)) => {
                // CL-ambiguous: the session cannot know that what it let pass has not all gone.
                if self.passing && outcome.verdict == Verdict::Unknown {
                    outcome.verdict = Verdict::Deferred;
                }
                if let Some(reply) = &mut outcome.reply {
                    self.scribe.mask(reply);
                }
                match self.outcomes.get_mut(index as usize) {
                    Some(settled) => *settled = Some(outcome),
                    None => return Err(SandboxError::violation("a recipient that is none")),
                }
            }
            // The outcomes say the same.
            Action::Done => {}
            Action::Failed(failure) => self.failed(failure),
            Action::Report(text) => {
                let text = self.scribe.masked(&text);
                tracing::info!(server = self.target.host, "{text}");
                self.scribe.note(&text);
            }
            Action::Close => return Ok(Some(Wants::Nothing)),
        }
        Ok(None)
    }

    /// The first failure is the cause of the others.
    fn failed(&mut self, mut failure: Failure) {
        failure.text = self.scribe.masked(&failure.text);
        if let Some(reply) = &mut failure.reply {
            self.scribe.mask(reply);
        }
        if let Some(detail) = self.detail.take() {
            failure.text = format!("{}: {detail}", failure.text);
        }
        // R3207-4.2-c: the session says so of a 220 to STARTTLS after which more came in clear.
        if failure.stage == Stage::Tls
            && failure
                .reply
                .as_ref()
                .is_some_and(|reply| reply.code == 220)
        {
            self.injected = true;
        }
        self.scribe.note(&failure.text);
        self.failure.get_or_insert(Box::new(failure));
    }

    /// One write for one call, or for one run of a message.
    pub(super) async fn give(&mut self, octets: &[u8], content: bool) -> Result<(), SandboxError> {
        if octets.is_empty() {
            return Ok(());
        }
        let within = if content {
            self.target.timeouts.content
        } else {
            self.target.timeouts.command
        };
        let left = self.ends.saturating_duration_since(Instant::now());
        let Err(error) = self.wire.give(octets, within.min(left)).await else {
            return Ok(());
        };
        // The server's last words may have arrived: they say more than the broken pipe.
        if self.wants != Wants::Nothing && !self.last_words().await? {
            self.detail = Some(error.to_string());
            let how = match error.kind() {
                std::io::ErrorKind::TimedOut => Loss::Timeout,
                _ => Loss::Closed,
            };
            self.lose(how).await?;
        }
        self.wire = Wire::Gone;
        Ok(())
    }
}
