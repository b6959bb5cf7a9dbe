//! Content of one message on its way in: what ends it, which dots go, and which line ends are none.
//!
//! ```text
//!   DATA                 -> dots ---+
//!   BDAT                 -> lines --+-> message -> header repaired, facts gathered
//!   BDAT, BODY=BINARYMIME ----------+
//! ```
//!
//! Dots and the end of data are DATA's alone (RFC 5321 section 4.5.2, RFC 3030 section 2); what
//! comes after them is the same for both (R3030-2-g).
//!
//! Not here: what becomes of the content (`message`), its header (`submission`).

mod dots;
mod lines;

use self::{dots::Dots, lines::Lines};
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
    /// BODY=BINARYMIME: past the header section no rule looks at octets (RFC 3030 section 3).
    pub binary: bool,
    /// REQUIRETLS, beside which `TLS-Required: No` says nothing (RFC 8689 section 4.1).
    pub require_tls: bool,
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
    /// Octets from the start: all of them, those up to the end of data, or of binary content those
    /// of the header section.
    pub consumed: usize,
    /// The end of data was met: [`Content::verdict`] is known.
    pub end: bool,
}

/// How content comes.
#[derive(Debug)]
enum Transfer {
    /// By DATA.
    Data(Dots),
    /// By BDAT.
    Chunks(Lines),
    /// By BDAT, and binary.
    Binary,
}

/// Content that arrives.
#[derive(Debug)]
pub struct Content {
    transfer: Transfer,
    bare_lf: BareLf,
    message: Message,
}

impl Content {
    /// Right after the 354.
    pub fn new(rules: Rules) -> Self {
        Self::by(Transfer::Data(Dots::default()), rules)
    }

    /// Before the first chunk.
    pub fn chunked(rules: Rules) -> Self {
        let transfer = match rules.binary {
            true => Transfer::Binary,
            false => Transfer::Chunks(Lines::default()),
        };
        Self::by(transfer, rules)
    }

    fn by(transfer: Transfer, rules: Rules) -> Self {
        Self {
            transfer,
            bare_lf: rules.bare_lf,
            message: Message::new(rules),
        }
    }

    /// The next octets, which stand at `base` of the caller's buffer. `actions` are this message's
    /// of the call so far; they become at most
    /// [`MOST_PIECES`](crate::content::pieces::MOST_PIECES), and what is needed is kept.
    ///
    /// They become `Abandon` alone where content that was given out earlier turns out to be
    /// refused. Octets of binary content that are not consumed go by unseen: see
    /// [`Self::passes`].
    pub fn take(
        &mut self,
        octets: &[u8],
        base: u32,
        env: &mut dyn Environment,
        actions: &mut Vec<Action>,
    ) -> Taken {
        let mut pieces = Pieces::resume(octets, base, actions);
        let mut consumed = octets.len();
        let mut end = false;
        match &mut self.transfer {
            Transfer::Data(dots) => {
                if let Some(octets) = dots.read(&mut self.message, self.bare_lf, &mut pieces, env) {
                    (consumed, end) = (octets, true);
                }
            }
            Transfer::Chunks(lines) => {
                lines.read(&mut self.message, self.bare_lf, &mut pieces, env);
            }
            Transfer::Binary => consumed = self.message.take_fields(&mut pieces, env),
        }
        if end {
            self.message.end(&mut pieces, env);
        }
        self.message.settle(pieces);
        Taken { consumed, end }
    }

    /// The last chunk has come: [`Self::verdict`] is known.
    pub fn end(&mut self, env: &mut dyn Environment, actions: &mut Vec<Action>) {
        let mut pieces = Pieces::resume(&[], 0, actions);
        if let Transfer::Chunks(lines) = &self.transfer
            && lines.is_after_cr()
        {
            self.message.refuse(ContentDefect::BareCr);
        }
        self.message.end(&mut pieces, env);
        self.message.settle(pieces);
    }

    /// So many octets are announced: what cannot fit is refused before it is given to anybody
    /// (R3030-2-c).
    pub fn announce(&mut self, octets: u64) {
        self.message.announce(octets);
    }

    /// No rule looks at the next octets: they need not be given here, if [`Self::pass`] is told
    /// their number.
    pub fn passes(&self) -> bool {
        matches!(self.transfer, Transfer::Binary) && self.message.is_in_body()
    }

    /// So many octets go by unseen.
    pub fn pass(&mut self, octets: u64) {
        self.message.pass(octets);
    }

    /// Why the content is refused, as far as it has come.
    pub fn refusal(&self) -> Option<ContentDefect> {
        self.message.refusal()
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
}

/// What a bare LF comes to: nothing of it is handed on as it is.
fn bare_lf(
    rule: BareLf,
    message: &mut Message,
    pieces: &mut Pieces<'_, Action>,
    env: &mut dyn Environment,
) {
    match rule {
        // R5321-2.3.8-a.
        BareLf::Reject => message.refuse(ContentDefect::BareLf),
        // R5321-2.3.8-b: after dot removal, so what follows starts no line of the transfer.
        BareLf::Convert => message.insert(b"\r\n", pieces, env),
    }
}

#[cfg(test)]
mod chunked_tests;
#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;
