//! Content that goes by unseen (`pass`): binary content past its header section, of which a session
//! knows the length and nothing else. It goes from buffer and socket into the spool; what a relay
//! has to know of it is gathered here.

use super::wait::Arrival;
use super::{Connection, ConnectionError};
use crate::sandbox::v0_1::types::{ContentFacts, Phase};

/// What is known of the octets that no session saw.
#[derive(Debug, Default)]
pub(super) struct Unseen {
    /// There were some.
    any: bool,
    eight_bit: bool,
    bare: bool,
    /// The last octet of all content so far is a CR.
    after_cr: bool,
}

impl Unseen {
    /// Content that the session saw and knows all of, but for what follows it.
    pub(super) fn follows(&mut self, octets: &[u8]) {
        if let Some(last) = octets.last() {
            self.after_cr = *last == b'\r';
        }
    }

    /// Content that nobody else sees.
    pub(super) fn take(&mut self, octets: &[u8]) {
        self.any |= !octets.is_empty();
        self.eight_bit = self.eight_bit || !octets.is_ascii();
        // RFC 5321 section 2.3.8: CR and LF stand together or not at all.
        if self.bare {
            return;
        }
        let mut before = self.after_cr;
        for octet in octets {
            if before != (*octet == b'\n') {
                self.bare = true;
                return;
            }
            before = *octet == b'\r';
        }
        self.after_cr = before;
    }

    /// What it adds to the facts of the message. What nobody looked at may be anything.
    pub(super) fn add_to(&self, facts: &mut ContentFacts) {
        facts.binary |= self.any;
        facts.body_eight_bit |= self.eight_bit;
        facts.bare |= self.any && (self.bare || self.after_cr);
    }
}

impl Connection {
    /// Waits for what the session must be told of. Octets that go by unseen come first: it is told
    /// only that all have come, by what follows them.
    pub(super) async fn wait_past_unseen(
        &mut self,
        phase: Phase,
    ) -> Result<Arrival, ConnectionError> {
        if self.unseen == 0 {
            return self.wait(phase).await;
        }
        loop {
            let there = self.buffer.octets();
            let most = usize::try_from(self.unseen).unwrap_or(usize::MAX);
            let octets = &there[..there.len().min(most)];
            if let Some(message) = &mut self.message {
                message.write_unseen(octets).await;
            }
            let length = octets.len();
            self.buffer.consume(length);
            self.unseen -= length as u64;
            if self.unseen == 0 {
                return Ok(Arrival::Octets);
            }
            match self.wait(phase).await? {
                Arrival::Octets => {}
                other => return Ok(other),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(seen: &[u8], unseen: &[u8], size: usize) -> ContentFacts {
        let mut gathered = Unseen::default();
        gathered.follows(seen);
        for octets in unseen.chunks(size) {
            gathered.take(octets);
        }
        let mut facts = ContentFacts {
            size: 0,
            header_eight_bit: false,
            body_eight_bit: false,
            binary: false,
            bare: false,
            signed: false,
            message_id: String::new(),
            tls_waived: false,
            authors: Vec::new(),
        };
        gathered.add_to(&mut facts);
        facts
    }

    #[test]
    fn r3030_3_a_what_no_session_saw_is_binary() {
        assert!(facts(b"From: a\r\n\r\n", b"x", 1).binary);
        // What the session saw, it knows itself.
        assert!(!facts(b"From: a\r", b"", 1).binary);
        assert!(!facts(b"From: a\r", b"", 1).bare);
    }

    #[test]
    fn r3030_3_a_octets_above_127_and_bare_line_ends_are_found() {
        for (seen, unseen, eight_bit, bare) in [
            (&b"\r\n"[..], &b"a\r\nb\r\n"[..], false, false),
            (b"\r\n", b"a\x80\r\n", true, false),
            (b"\r\n", b"a\nb", false, true),
            (b"\r\n", b"a\rb", false, true),
            (b"\r\n", b"a\r\r\n", false, true),
            (b"\r\n", b"a\r", false, true),
            (b"\r\n", b"\n", false, true),
            (b"\r", b"\na", false, false),
            (b"\r", b"a", false, true),
        ] {
            for size in [1, 2, 64] {
                let facts = facts(seen, unseen, size);
                assert_eq!(facts.body_eight_bit, eight_bit, "{unseen:?}");
                assert_eq!(facts.bare, bare, "{unseen:?}");
            }
        }
    }
}
