//! How long an outbound connection waits for what (RFC 5321 section 4.5.3.2, profile section 4).

use crate::sandbox::v0_1::types::Phase;
use std::time::Duration;

/// How long to wait for what. The defaults are those of the profile, section 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To one address; finding the addresses has a time of its own. Default 60 s.
    pub connect: Duration,
    /// TLS handshake. Default 60 s.
    pub handshake: Duration,
    /// Greeting, and every command that has no time of its own. Default 5 minutes.
    pub command: Duration,
    /// DATA until 354. Default 2 minutes.
    pub data: Duration,
    /// Each write of content. Default 3 minutes.
    pub content: Duration,
    /// The reply to the end of data: the server may work on the message. Default 10 minutes.
    pub end_of_data: Duration,
    /// The reply to QUIT; nothing depends on it. Default 10 s.
    pub quit: Duration,
    /// All the time in which a server says octets, but never a reply that leads on: one that drips
    /// would else hold the connection for ever. Must be longer than any of the others that is to
    /// have an effect. Default 1 hour (OURS).
    pub stall: Duration,
    /// All of opening a connection, or of one transaction without its content and the reply to its
    /// end: a server that takes minutes for each small thing would else hold the connection, and its
    /// place among the route's, for days. Default 1 hour (OURS).
    pub transaction: Duration,
}

/// Octets of content that a server takes in a second at least, on the whole. A message of 50 MiB
/// may take less than two hours.
const LEAST_RATE: u64 = 8 * 1024;

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(60),
            handshake: Duration::from_secs(60),
            // RFC 5321 sections 4.5.3.2.1 to 4.5.3.2.3
            command: Duration::from_secs(300),
            // RFC 5321 section 4.5.3.2.4
            data: Duration::from_secs(120),
            // RFC 5321 section 4.5.3.2.5
            content: Duration::from_secs(180),
            // RFC 5321 section 4.5.3.2.6
            end_of_data: Duration::from_secs(600),
            quit: Duration::from_secs(10),
            stall: Duration::from_secs(3600),
            transaction: Duration::from_secs(3600),
        }
    }
}

impl Timeouts {
    /// How long a transaction with so many octets of content may take, up to its last octet.
    pub fn transaction(&self, size: u64) -> Duration {
        self.transaction
            .saturating_add(Duration::from_secs(size / LEAST_RATE))
    }

    /// How long the server may be silent in this phase.
    pub fn wait(&self, phase: Phase) -> Duration {
        match phase {
            Phase::DataInitiation => self.data,
            Phase::EndOfContent => self.end_of_data,
            Phase::Quit => self.quit,
            _ => self.command,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r5321_4_5_3_2_the_client_waits_as_long_as_the_profile_says() {
        let timeouts = Timeouts::default();
        for (phase, seconds) in [
            (Phase::Greeting, 300),
            (Phase::Command, 300),
            (Phase::Authentication, 300),
            (Phase::DataInitiation, 120),
            (Phase::EndOfContent, 600),
            (Phase::Quit, 10),
        ] {
            assert_eq!(timeouts.wait(phase).as_secs(), seconds, "{phase:?}");
        }
        assert_eq!(timeouts.connect.as_secs(), 60);
        assert_eq!(timeouts.handshake.as_secs(), 60);
        assert_eq!(timeouts.content.as_secs(), 180);
    }
}
