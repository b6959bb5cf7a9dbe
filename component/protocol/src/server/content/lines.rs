//! BDAT: octets as they are, with the rules for line ends that DATA has too (R3030-2-g, RFC 5321
//! section 2.3.8). A CR may end one chunk and its LF begin the next.

use super::{ContentDefect, bare_lf};
use crate::{
    content::pieces::Pieces,
    contract::server::{Action, BareLf},
    environment::Environment,
    server::message::Message,
};

/// Content as BDAT has it where it is not binary.
#[derive(Debug, Default)]
pub(super) struct Lines {
    after_cr: bool,
}

impl Lines {
    /// Hands on what is there.
    pub fn read(
        &mut self,
        message: &mut Message,
        rule: BareLf,
        pieces: &mut Pieces<'_, Action>,
        env: &mut dyn Environment,
    ) {
        let octets = pieces.octets();
        // What was not handed on yet begins at `start`.
        let (mut start, mut at) = (0, 0);
        while let Some(octet) = octets.get(at) {
            if core::mem::take(&mut self.after_cr) {
                if *octet == b'\n' {
                    at += 1;
                    continue;
                }
                message.take(start..at, pieces, env);
                start = at;
                message.refuse(ContentDefect::BareCr);
            }
            let Some(line) = memchr::memchr2(b'\r', b'\n', &octets[at..]) else {
                break;
            };
            at += line;
            if octets[at] == b'\r' {
                self.after_cr = true;
            } else {
                message.take(start..at, pieces, env);
                bare_lf(rule, message, pieces, env);
                start = at + 1;
            }
            at += 1;
        }
        message.take(start..octets.len(), pieces, env);
    }

    /// The last octet was a CR.
    pub fn is_after_cr(&self) -> bool {
        self.after_cr
    }
}
