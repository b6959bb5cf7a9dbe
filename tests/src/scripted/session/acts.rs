//! Carrying out what the script says of a moment.

use super::super::script::{Act, At};
use super::{Codes, End, Session, Stream, gone};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

/// Octets of a flood at most: a client that reads them all has failed anyway.
const FLOOD: usize = 256 << 20;
/// How long a deaf server is patient.
const DEAF: Duration = Duration::from_secs(120);
/// How long a client may take to hear a last word.
const LINGER: Duration = Duration::from_secs(3);

impl Session<'_> {
    pub(super) fn acts(&self, at: At) -> Option<Vec<Act>> {
        if !self.shared.is_ill() {
            return None;
        }
        self.shared.script.manners.acts(at).map(<[Act]>::to_vec)
    }

    /// What the script says of this moment, or the usual.
    pub(super) async fn reply(&mut self, at: At, usual: &str) -> Result<Codes, End> {
        let acts = self.acts(at).unwrap_or_else(|| vec![Act::Usual]);
        self.perform(&acts, usual).await
    }

    pub(super) async fn perform(&mut self, acts: &[Act], usual: &str) -> Result<Codes, End> {
        let mut codes = Vec::new();
        self.perform_into(acts, usual, &mut codes).await?;
        Ok(codes)
    }

    pub(super) async fn perform_into(
        &mut self,
        acts: &[Act],
        usual: &str,
        codes: &mut Codes,
    ) -> Result<(), End> {
        for act in acts {
            match act {
                Act::Usual => {
                    codes.extend(code(usual));
                    self.say(usual).await?;
                }
                Act::Say(reply) => {
                    codes.extend(code(reply));
                    self.say(reply).await?;
                }
                Act::Raw(octets) => self.write(octets).await?,
                Act::Drip(reply, delay) => {
                    codes.extend(code(reply));
                    for octet in reply.bytes().chain(*b"\r\n") {
                        self.write(&[octet]).await?;
                        tokio::time::sleep(*delay).await;
                    }
                }
                Act::Flood(text) => self.flood(text).await?,
                Act::Pause(time) => tokio::time::sleep(*time).await,
                Act::Silence => loop {
                    self.input.clear();
                    self.fill().await?;
                },
                Act::Deafness => {
                    tokio::time::sleep(DEAF).await;
                    return Err("deaf for long enough".into());
                }
                Act::Forget => {
                    // What the client sent in one go has come by now.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    let _ = tokio::time::timeout(Duration::from_millis(100), self.fill()).await;
                    self.input.clear();
                }
                Act::Close => {
                    let _ = self.stream.both()?.shutdown().await;
                    return Err("closed by the script".into());
                }
                Act::Reset => {
                    if let Stream::Clear(stream) = &self.stream {
                        let _ = stream.set_zero_linger();
                    }
                    return Err("reset by the script".into());
                }
            }
        }
        // RFC 5321 section 3.8: 421 is the last word.
        if codes.last() == Some(&421) {
            let _ = self.stream.both()?.shutdown().await;
            // Octets that nobody reads would become a RST, which could overtake the reply.
            let _ = tokio::time::timeout(LINGER, async {
                while self.fill().await.is_ok() {
                    self.input.clear();
                }
            })
            .await;
            return Err("closed after 421".into());
        }
        Ok(())
    }

    async fn flood(&mut self, text: &str) -> Result<(), End> {
        self.shared.seen().note(self.number, "S", b"(a flood)");
        let chunk = text.repeat((64 << 10) / text.len());
        let mut said = 0;
        while said < FLOOD {
            self.stream
                .both()?
                .write_all(chunk.as_bytes())
                .await
                .map_err(gone)?;
            said += chunk.len();
        }
        Err("the client read a whole flood".into())
    }
}

/// The code of a reply: that of its last line.
fn code(reply: &str) -> Option<u16> {
    reply.lines().last()?.get(..3)?.parse().ok()
}
