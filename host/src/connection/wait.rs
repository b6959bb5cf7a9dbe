//! Reading and writing, and what happens while neither goes on: buffers and sandboxes are given
//! back, patience runs out, the service ends.

use super::{Connection, ConnectionError};
use crate::sandbox::v0_1::types::Phase;
use crate::service::Ending;
use crate::timeout;
use std::io;
use std::time::{Duration, Instant};
use tokio::time::timeout as within;

/// What ended a wait.
pub(super) enum Arrival {
    /// Octets are in the buffer.
    Octets,
    /// The peer sends no more.
    End,
    /// The peer was silent too long.
    Silence,
    /// The service ends, or is over, and the session does not know yet.
    Shutdown(Ending),
}

impl Connection {
    /// Writes what is ready. A peer that does not take it holds no sandbox meanwhile.
    pub(super) async fn flush(&mut self) -> Result<(), ConnectionError> {
        if self.out.is_empty() {
            return Ok(());
        }
        let out = std::mem::take(&mut self.out);
        let mut written = self.transport.give_at_once(&out)?;
        let deadline = Instant::now() + timeout::WRITE;
        while written < out.len() {
            match within(timeout::PARK, self.transport.give_some(&out[written..])).await {
                Ok(taken) => written += taken?,
                Err(_) if Instant::now() > deadline => {
                    return Err(io::Error::from(io::ErrorKind::TimedOut).into());
                }
                // Not inside a message or a question: those cannot be parked, and keep theirs.
                Err(_) => {
                    self.session.park()?;
                }
            }
        }
        within(timeout::WRITE, self.transport.push())
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        Ok(())
    }

    /// Waits for octets; parks the session when it takes long.
    pub(super) async fn wait(&mut self, phase: Phase) -> Result<Arrival, ConnectionError> {
        // A peer that never pauses is told of the end too, except in content, which may finish.
        let ending = self.service.ends();
        if ending > self.dismissed && (phase != Phase::Content || ending == Ending::Over) {
            return Ok(Arrival::Shutdown(ending));
        }
        let patience = self.patience(phase);
        if self.read().await? {
            return Ok(self.arrival());
        }
        // Nothing there: wait without a buffer, unless it holds a part of a line.
        self.buffer.release_empty(&self.service.buffers);
        // Where sandboxes are scarce, who waits gives its own back at once.
        let first = if self.session.build().engine.is_short() {
            Duration::ZERO
        } else {
            patience.min(timeout::PARK)
        };
        match self.wait_within(first).await? {
            Some(arrival) => return Ok(arrival),
            None if patience <= first => return Ok(Arrival::Silence),
            None => {}
        }
        if self.session.park()? {
            self.buffer.shrink(&self.service.buffers);
        }
        Ok(self
            .wait_within(patience - first)
            .await?
            .unwrap_or(Arrival::Silence))
    }

    /// Who has to be somebody gets less time, and no more for each octet.
    fn patience(&self, phase: Phase) -> Duration {
        let anonymous = self.authority.required && self.identity.is_none();
        let patience = timeout::wait(phase, anonymous || !self.authority.welcome);
        if anonymous || !self.authority.welcome {
            let left = self.patience_ends.saturating_duration_since(Instant::now());
            patience.min(left)
        } else {
            patience
        }
    }

    async fn wait_within(
        &mut self,
        patience: Duration,
    ) -> Result<Option<Arrival>, ConnectionError> {
        let mut ending = self.service.ending();
        let dismissed = self.dismissed;
        let arrives = async {
            loop {
                self.transport.readable().await?;
                if self.read().await? {
                    return Ok::<_, ConnectionError>(());
                }
                // A part of a TLS record, or this task has had its share: others come first.
                self.buffer.release_empty(&self.service.buffers);
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            arrived = within(patience, arrives) => match arrived {
                Ok(arrived) => {
                    arrived?;
                    Ok(Some(self.arrival()))
                }
                Err(_) => Ok(None),
            },
            ending = ending.wait_for(|ending| *ending > dismissed) => {
                // The sender lives as long as the service.
                let ending = ending.map_or(Ending::Over, |ending| *ending);
                Ok(Some(Arrival::Shutdown(ending)))
            }
        }
    }

    fn arrival(&self) -> Arrival {
        if self.buffer.ended() {
            Arrival::End
        } else {
            Arrival::Octets
        }
    }

    /// Reads what is there; says whether anything came (the end counts).
    async fn read(&mut self) -> Result<bool, ConnectionError> {
        let room = self.buffer.room(&self.service.buffers);
        match self.transport.take(room).await? {
            None => Ok(false),
            Some(0) => {
                self.buffer.end();
                Ok(true)
            }
            Some(length) => {
                self.buffer.filled(length);
                Ok(true)
            }
        }
    }
}
