//! What becomes of content once dots and line ends are settled: its header section is collected
//! and repaired, the rest passes, and its facts are gathered.
//!
//! A message that is refused is read to its end and given to nobody.

use super::content::{ContentDefect, Rules};
use super::submission::repaired;
use crate::content::{
    facts::{Facts, combined},
    pieces::Pieces,
    section::{Header, Progress, Section},
};
use crate::contract::{ContentFacts, server::Action};
use crate::environment::Environment;
use alloc::vec::Vec;
use core::ops::Range;

/// One message on its way to the host.
#[derive(Debug)]
pub struct Message {
    rules: Rules,
    state: State,
    /// Octets of content that came.
    octets: u64,
    /// Content was given out in an earlier call.
    began: bool,
}

#[derive(Debug)]
enum State {
    Header(Section),
    Body(Passing),
    /// After the last octet.
    Complete(ContentFacts),
    Refused(ContentDefect),
    /// Refused, and the host knows that it has to drop what it got.
    Abandoned(ContentDefect),
}

#[derive(Debug, Default)]
struct Passing {
    /// The header section as it was given out.
    fields: Vec<u8>,
    header: Facts,
    body: Facts,
}

impl Message {
    /// Before the first octet.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            state: State::Header(Section::new()),
            octets: 0,
            began: false,
        }
    }

    /// The next content is this run of the call's octets.
    pub fn take(
        &mut self,
        run: Range<usize>,
        pieces: &mut Pieces<'_, Action>,
        env: &mut dyn Environment,
    ) {
        if run.is_empty() || self.is_refused() {
            return;
        }
        // What fits is looked at first, so that the first defect is the same however content is
        // split.
        let room = self.room(run.len());
        let end = run.start + room;
        let run_octets = &pieces.octets()[run.start..end];
        self.octets += room as u64;
        if let Some(taken) = self.take_header(run_octets, pieces, env)
            && let State::Body(passing) = &mut self.state
        {
            passing.body.take(&run_octets[taken..]);
            pieces.run(run.start + taken..end);
        }
        if end < run.end {
            self.refuse(ContentDefect::TooLarge(self.rules.max_size));
        }
    }

    /// The next content is these octets.
    pub fn insert(
        &mut self,
        octets: &[u8],
        pieces: &mut Pieces<'_, Action>,
        env: &mut dyn Environment,
    ) {
        if self.is_refused() {
            return;
        }
        let room = self.room(octets.len());
        self.octets += room as u64;
        if let Some(taken) = self.take_header(&octets[..room], pieces, env)
            && let State::Body(passing) = &mut self.state
        {
            passing.body.take(&octets[taken..room]);
            pieces.insert(&octets[taken..room]);
        }
        if room < octets.len() {
            self.refuse(ContentDefect::TooLarge(self.rules.max_size));
        }
    }

    /// The next content is binary and is all that the call got: how many of its octets are header
    /// section, or need not be looked at because the message is refused. No rule looks at the
    /// others (RFC 3030 section 3).
    pub fn take_fields(
        &mut self,
        pieces: &mut Pieces<'_, Action>,
        env: &mut dyn Environment,
    ) -> usize {
        let octets = pieces.octets();
        if self.is_refused() {
            return octets.len();
        }
        let room = self.room(octets.len());
        let taken = self.take_header(&octets[..room], pieces, env);
        let taken = match taken {
            Some(taken) => taken,
            None if room < octets.len() => {
                self.refuse(ContentDefect::TooLarge(self.rules.max_size));
                return octets.len();
            }
            None => room,
        };
        self.octets += taken as u64;
        taken
    }

    /// So many octets are announced (R3030-2-c, RFC 1870 section 6.3).
    pub fn announce(&mut self, octets: u64) {
        let most = self.rules.max_size;
        if most > 0 && self.octets.saturating_add(octets) > most {
            self.refuse(ContentDefect::TooLarge(most));
        }
    }

    /// So many octets of the body go by unseen.
    pub fn pass(&mut self, octets: u64) {
        if let State::Body(passing) = &mut self.state {
            self.octets = self.octets.saturating_add(octets);
            passing.body.pass(octets);
        }
    }

    /// The header section is complete, and nothing is wrong.
    pub fn is_in_body(&self) -> bool {
        matches!(self.state, State::Body(_))
    }

    /// The first defect stands.
    pub fn refuse(&mut self, defect: ContentDefect) {
        if !self.is_refused() {
            self.state = State::Refused(defect);
        }
    }

    /// The content has ended.
    pub fn end(&mut self, pieces: &mut Pieces<'_, Action>, env: &mut dyn Environment) {
        if let State::Header(section) = &mut self.state {
            let section = core::mem::take(section);
            if self.octets == 0 && self.rules.refused_recipients {
                // R2920-3.1-d.
                self.refuse(ContentDefect::Empty);
            } else {
                match section.finish() {
                    Some(mut header) => {
                        // RFC 5322 section 2.2: BDAT may leave out the end of the last field.
                        if !header.fields.is_empty() && !header.fields.ends_with(b"\r\n") {
                            header.fields.extend_from_slice(b"\r\n");
                        }
                        self.begin(header, pieces, env);
                    }
                    None => self.refuse(ContentDefect::HeaderTooLong),
                }
            }
        }
        if let State::Body(passing) = &self.state {
            let mut facts = combined(&passing.fields, &passing.header, &passing.body, false);
            // What nobody looked at may be anything.
            facts.binary |= self.rules.binary;
            // R8689-3.
            facts.tls_waived &= !self.rules.require_tls;
            self.state = State::Complete(facts);
        }
    }

    /// Ends a call: content is given out, or taken back where it is refused.
    pub fn settle(&mut self, mut pieces: Pieces<'_, Action>) {
        match self.state {
            State::Header(_) => {}
            State::Body(_) | State::Complete(_) => self.began = true,
            State::Abandoned(_) => {}
            State::Refused(defect) => {
                pieces.take_back();
                if self.began {
                    pieces.push(Action::Abandon);
                }
                self.state = State::Abandoned(defect);
            }
        }
        pieces.finish();
    }

    /// Why the message is refused, as far as it has come.
    pub fn refusal(&self) -> Option<ContentDefect> {
        match self.state {
            State::Refused(defect) | State::Abandoned(defect) => Some(defect),
            State::Header(_) | State::Body(_) | State::Complete(_) => None,
        }
    }

    /// Whether content was given out.
    pub fn began(&self) -> bool {
        self.began
    }

    /// What is to be said after the end.
    ///
    /// # Errors
    /// Why the message is refused.
    pub fn verdict(&mut self) -> Result<ContentFacts, ContentDefect> {
        match &mut self.state {
            State::Complete(facts) => Ok(core::mem::take(facts)),
            State::Refused(defect) | State::Abandoned(defect) => Err(*defect),
            // Nobody asks before the end.
            State::Header(_) | State::Body(_) => Err(ContentDefect::Empty),
        }
    }

    fn is_refused(&self) -> bool {
        self.refusal().is_some()
    }

    /// How many of so many octets fit the limit (R5321-4.5.3.1-d, RFC 1870 section 6.3).
    fn room(&self, length: usize) -> usize {
        if self.rules.max_size == 0 {
            return length;
        }
        let left = self.rules.max_size.saturating_sub(self.octets);
        usize::try_from(left).unwrap_or(usize::MAX).min(length)
    }

    /// How many of the octets are header section; `None` where nothing of them is body, or the
    /// message is refused.
    fn take_header(
        &mut self,
        octets: &[u8],
        pieces: &mut Pieces<'_, Action>,
        env: &mut dyn Environment,
    ) -> Option<usize> {
        let State::Header(section) = &mut self.state else {
            return Some(0);
        };
        match section.take(octets) {
            Progress::More => None,
            Progress::TooLong(_) => {
                self.refuse(ContentDefect::HeaderTooLong);
                None
            }
            Progress::Complete { taken, header } => {
                self.begin(header, pieces, env);
                Some(taken)
            }
        }
    }

    /// The header section is complete: our Received field and the repaired one begin the message.
    fn begin(
        &mut self,
        header: Header,
        pieces: &mut Pieces<'_, Action>,
        env: &mut dyn Environment,
    ) {
        // The line ends of other content were looked at before.
        if self.rules.binary
            && let Some(defect) = bare(&header.fields)
        {
            return self.refuse(defect);
        }
        let fields = match repaired(&header.fields, &self.rules, env) {
            Ok(fields) => fields,
            Err(defect) => return self.refuse(defect),
        };
        let mut passing = Passing::default();
        // R5321-4.4-a: before all other fields.
        let mut first = core::mem::take(&mut self.rules.received);
        first.extend_from_slice(&fields);
        // R6409-8-d: where no header section was, an empty line has to end ours. A message of
        // fields alone stays one.
        if header.separated || header.fields.is_empty() {
            first.extend_from_slice(b"\r\n");
        }
        passing.header.take(&first);
        passing.body.take(&header.body);
        passing.fields = fields;
        pieces.insert_all(first);
        pieces.insert(&header.body);
        self.state = State::Body(passing);
    }
}

/// R5321-2.3.8-a: the first CR or LF that stands alone. The header section of binary content is
/// text all the same.
fn bare(fields: &[u8]) -> Option<ContentDefect> {
    let mut rest = fields;
    while let Some(at) = memchr::memchr2(b'\r', b'\n', rest) {
        rest = match rest[at..] {
            [b'\r', b'\n', ..] => &rest[at + 2..],
            [b'\r', ..] => return Some(ContentDefect::BareCr),
            _ => return Some(ContentDefect::BareLf),
        };
    }
    None
}
