//! DATA: where content ends, and which dots go (RFC 5321 sections 4.1.1.4 and 4.5.2).
//!
//! ```text
//!   LineStart --"."--> Dot --CR--> DotCr --LF--> end of data
//!       ^ \             |            |
//!       |  other      other        other: a bare CR
//!       |   v           v            v
//!       |  Within <------------------+
//!       |   CR
//!       |   v
//!       +-LF- AfterCr
//! ```
//!
//! A line starts after CRLF or where content starts, nowhere else: that no other octets are taken
//! for an end of data is what keeps a second message from being smuggled in. Line ends are looked
//! at in the same pass as dots: a second one would cost as much as all else.

use super::{ContentDefect, bare_lf};
use crate::{
    content::pieces::Pieces,
    contract::server::{Action, BareLf},
    environment::Environment,
    server::message::Message,
};

/// Where in a line the next octet stands; see the picture above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    #[default]
    LineStart,
    Dot,
    DotCr,
    Within,
    AfterCr,
}

/// Content as DATA has it.
#[derive(Debug, Default)]
pub(super) struct Dots(Place);

impl Dots {
    /// Hands on what is there; where the end of data is met, the octets up to it.
    pub fn read(
        &mut self,
        message: &mut Message,
        rule: BareLf,
        pieces: &mut Pieces<'_, Action>,
        env: &mut dyn Environment,
    ) -> Option<usize> {
        let octets = pieces.octets();
        // What was not handed on yet begins at `start`.
        let (mut start, mut at) = (0, 0);
        while let Some(octet) = octets.get(at) {
            match (self.0, octet) {
                // RFC 5321 section 4.5.2: the dot goes, whatever follows it (R5321-4.5.2-a).
                (Place::LineStart, b'.') => {
                    message.take(start..at, pieces, env);
                    at += 1;
                    start = at;
                    self.0 = Place::Dot;
                }
                // The CR waits: it may be part of the end of data.
                (Place::Dot, b'\r') => {
                    at += 1;
                    start = at;
                    self.0 = Place::DotCr;
                }
                // R5321-4.1.1.4-a.
                (Place::DotCr, b'\n') => return Some(at + 1),
                (Place::AfterCr, b'\n') => {
                    at += 1;
                    self.0 = Place::LineStart;
                }
                (Place::DotCr | Place::AfterCr, _) => {
                    message.take(start..at, pieces, env);
                    start = at;
                    message.refuse(ContentDefect::BareCr);
                    self.0 = Place::Within;
                }
                (Place::LineStart | Place::Dot | Place::Within, _) => {
                    let Some(line) = memchr::memchr2(b'\r', b'\n', &octets[at..]) else {
                        self.0 = Place::Within;
                        break;
                    };
                    at += line;
                    if octets[at] == b'\r' {
                        at += 1;
                        self.0 = Place::AfterCr;
                    } else {
                        message.take(start..at, pieces, env);
                        bare_lf(rule, message, pieces, env);
                        at += 1;
                        start = at;
                        self.0 = Place::Within;
                    }
                }
            }
        }
        message.take(start..octets.len(), pieces, env);
        None
    }
}
