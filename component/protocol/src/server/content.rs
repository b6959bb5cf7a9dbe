//! Content of one message as DATA has it: where it ends, and which dots go (RFC 5321 sections
//! 4.1.1.4 and 4.5.2).
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
//! for an end of data is what keeps a second message from being smuggled in.
//!
//! Not here: what becomes of the content (`message`), its header (`submission`).

use super::message::Message;
use crate::content::{pieces::Pieces, section::MOST_HEADER};
use crate::contract::{
    ContentFacts, Reply,
    server::{Action, BareLf},
};
use crate::environment::{Environment, Moment};
use crate::smtp::reply;
use alloc::{format, string::String, string::ToString, vec, vec::Vec};

/// What has to be known of session and transaction before content may come.
#[derive(Debug, Clone)]
pub struct Rules {
    /// What a bare LF is.
    pub bare_lf: BareLf,
    /// Octets of content at most, without the dots that go; 0: no limit.
    pub max_size: u64,
    /// RFC 6409 section 8.2.
    pub add_date: bool,
    /// RFC 6409 section 8.3.
    pub add_message_id: bool,
    /// RFC 6409 section 8.1.
    pub add_sender: bool,
    /// RFC 6409 section 4.2.
    pub check_header_domains: bool,
    /// Bcc stays.
    pub keep_bcc: bool,
    /// Name of the service, for Message-ID.
    pub hostname: String,
    /// The message's identifier, for Message-ID.
    pub id: String,
    /// Who the session is, for Sender.
    pub identity: Option<String>,
    /// For From.
    pub reverse_path: String,
    /// Our Received field, with its CRLF.
    pub received: Vec<u8>,
    /// Time of arrival, for Date.
    pub now: Moment,
    /// A recipient of this transaction was refused.
    pub refused_recipients: bool,
}

/// Why content is refused (R6409-8-a).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ContentDefect {
    /// R5321-2.3.8-a.
    #[error("content has a bare CR: lines must end with CRLF")]
    BareCr,
    /// R5321-2.3.8-a.
    #[error("content has a bare LF: lines must end with CRLF")]
    BareLf,
    /// R2920-3.1-d.
    #[error("content is empty and a recipient was refused")]
    Empty,
    /// R5321-4.5.3.1-d: more octets than this.
    #[error("message exceeds {0} octets")]
    TooLarge(u64),
    /// Profile section 4: header section over 256 KiB.
    #[error("header section exceeds {MOST_HEADER} octets")]
    HeaderTooLong,
    /// R5321-6.3.
    #[error("too many hops")]
    TooManyHops,
    /// RFC 5322 section 2.2.
    #[error("header section has a line that is no field")]
    NoField,
    /// R6409-8-b.
    #[error("From field is missing")]
    NoFrom,
    /// R6409-8-b: this field stands there twice.
    #[error("{0} field is repeated")]
    Repeated(&'static str),
    /// R6409-5.1-b, in this field.
    #[error("{0} field has bad address syntax")]
    BadAddress(&'static str),
    /// R6409-4.2-c, in this field.
    #[error("{0} field has a domain that is not fully qualified")]
    NotQualified(&'static str),
}

impl ContentDefect {
    /// What the client is told after the end of data.
    pub fn reply(self) -> Reply {
        match self {
            Self::TooLarge(limit) => reply::too_large(limit),
            Self::HeaderTooLong => Reply {
                lines: vec![format!("{self}")],
                ..reply::too_large(0)
            },
            Self::TooManyHops => reply::too_many_hops(),
            _ => reply::content_defect(&self.to_string()),
        }
    }
}

/// What `take` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Octets from the start: all of them, or those up to the end of data.
    pub consumed: usize,
    /// The end of data was met: [`Content::verdict`] is known.
    pub end: bool,
}

/// Where in a line the next octet stands; see the picture above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    LineStart,
    Dot,
    DotCr,
    Within,
    AfterCr,
}

/// Content that arrives.
#[derive(Debug)]
pub struct Content {
    place: Place,
    bare_lf: BareLf,
    message: Message,
}

impl Content {
    /// Right after the 354.
    pub fn new(rules: Rules) -> Self {
        Self {
            place: Place::LineStart,
            bare_lf: rules.bare_lf,
            message: Message::new(rules),
        }
    }

    /// The next octets, which stand at `base` of the caller's buffer: pushes at most
    /// [`MOST_PIECES`](crate::content::pieces::MOST_PIECES) actions, and keeps what it needs.
    ///
    /// `Abandon` is among them where content that was given out earlier turns out to be refused.
    pub fn take(
        &mut self,
        octets: &[u8],
        base: u32,
        env: &mut dyn Environment,
        actions: &mut Vec<Action>,
    ) -> Taken {
        let mut pieces = Pieces::new(octets, base, actions);
        let taken = self.read(&mut pieces, env);
        if taken.end {
            self.message.end(&mut pieces, env);
        }
        self.message.settle(pieces);
        taken
    }

    /// What is to be said of the content after its end.
    ///
    /// # Errors
    /// Why it is refused: the first defect in the order of the octets.
    pub fn verdict(&mut self) -> Result<ContentFacts, ContentDefect> {
        self.message.verdict()
    }

    /// Whether content was given out.
    pub fn began(&self) -> bool {
        self.message.began()
    }

    fn read(&mut self, pieces: &mut Pieces<'_, Action>, env: &mut dyn Environment) -> Taken {
        let octets = pieces.octets();
        // What was not handed on yet begins at `start`.
        let (mut start, mut at) = (0, 0);
        while let Some(octet) = octets.get(at) {
            match (self.place, octet) {
                // RFC 5321 section 4.5.2: the dot goes, whatever follows it (R5321-4.5.2-a).
                (Place::LineStart, b'.') => {
                    self.message.take(start..at, pieces, env);
                    at += 1;
                    start = at;
                    self.place = Place::Dot;
                }
                // The CR waits: it may be part of the end of data.
                (Place::Dot, b'\r') => {
                    at += 1;
                    start = at;
                    self.place = Place::DotCr;
                }
                // R5321-4.1.1.4-a.
                (Place::DotCr, b'\n') => {
                    return Taken {
                        consumed: at + 1,
                        end: true,
                    };
                }
                (Place::AfterCr, b'\n') => {
                    at += 1;
                    self.place = Place::LineStart;
                }
                (Place::DotCr | Place::AfterCr, _) => {
                    self.message.take(start..at, pieces, env);
                    start = at;
                    self.message.refuse(ContentDefect::BareCr);
                    self.place = Place::Within;
                }
                (Place::LineStart | Place::Dot | Place::Within, _) => {
                    let Some(line) = memchr::memchr2(b'\r', b'\n', &octets[at..]) else {
                        self.place = Place::Within;
                        break;
                    };
                    at += line;
                    if octets[at] == b'\r' {
                        at += 1;
                        self.place = Place::AfterCr;
                    } else {
                        self.message.take(start..at, pieces, env);
                        self.bare_lf(pieces, env);
                        at += 1;
                        start = at;
                        self.place = Place::Within;
                    }
                }
            }
        }
        self.message.take(start..octets.len(), pieces, env);
        Taken {
            consumed: octets.len(),
            end: false,
        }
    }

    fn bare_lf(&mut self, pieces: &mut Pieces<'_, Action>, env: &mut dyn Environment) {
        match self.bare_lf {
            // R5321-2.3.8-a.
            BareLf::Reject => self.message.refuse(ContentDefect::BareLf),
            // R5321-2.3.8-b: after dot removal, so what follows starts no line of the transfer.
            BareLf::Convert => self.message.insert(b"\r\n", pieces, env),
        }
    }
}

#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;
