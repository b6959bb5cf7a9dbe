//! Walks over a message, its parts, their parts, and the messages among them (RFC 2046), without
//! keeping more than a header section or a line.
//!
//! ```text
//!   Header -> Body ------> (delimiter) -> Header of the next part
//!     |  +--> Between ---> (delimiter) -> Header of the first part
//!     |  +--> Header of a message inside
//!     +-----> (delimiter: a part without a body)
//!   (close delimiter) -> Between, until a delimiter further out
//! ```
//!
//! Every octet goes to the visitor, in order, so that a visitor that writes what it is given copies
//! the message. The CRLF before a delimiter belongs to the delimiter (RFC 2046 section 5.1.1).

use super::{
    Unconvertible,
    delimiter::{self, Line},
    entity::{Default as Type, Entity, Kind, Place},
};
use crate::content::section::MOST_HEADER;
use alloc::vec::Vec;

/// Messages and multiparts inside each other at most.
const MOST_DEPTH: usize = 64;
/// Messages and parts at most.
const MOST_ENTITIES: usize = 10_000;
/// Octets of a line that may be a delimiter at most, its padding included.
const MOST_DELIMITER: usize = 1_000;

/// What is told of a message, in its order.
pub(super) trait Visitor {
    /// The header section of a message or a part; `separated`: an empty line follows.
    fn header(
        &mut self,
        entity: &Entity,
        section: &[u8],
        separated: bool,
    ) -> Result<(), Unconvertible>;
    /// Octets of the body of the entity whose header came last.
    fn body(&mut self, octets: &[u8]);
    /// That body is complete; `content_ends`: the message too.
    fn end(&mut self, content_ends: bool) -> Result<(), Unconvertible>;
    /// A delimiter, or octets before the first or after the last part.
    fn between(&mut self, octets: &[u8]) -> Result<(), Unconvertible>;
}

/// Where the walk is.
#[derive(Debug, Clone)]
enum State {
    /// In a header section, of which this was read.
    Header(Vec<u8>, Type),
    /// In a body that has no parts.
    Body,
    /// Before the first or after the last part of the innermost multipart.
    Between,
}

/// A multipart that has not ended.
#[derive(Debug, Clone)]
struct Level {
    boundary: Vec<u8>,
    digest: bool,
    /// Its message.
    root: usize,
    depth: usize,
    closed: bool,
}

/// The walk.
#[derive(Debug, Clone)]
pub(super) struct Walker {
    state: State,
    levels: Vec<Level>,
    entities: usize,
    root: usize,
    depth: usize,
    /// Of a line that has not ended.
    partial: Vec<u8>,
    /// The line that goes on began earlier: it is no delimiter.
    inside: bool,
    /// A CRLF that may belong to a delimiter.
    held: bool,
}

impl Walker {
    /// Before the first octet.
    pub(super) fn new() -> Self {
        Self {
            state: State::Header(Vec::new(), Type::Text),
            levels: Vec::new(),
            entities: 0,
            root: 0,
            depth: 0,
            partial: Vec::new(),
            inside: false,
            held: false,
        }
    }

    /// The next octets of the message.
    pub(super) fn take(
        &mut self,
        mut octets: &[u8],
        visitor: &mut impl Visitor,
    ) -> Result<(), Unconvertible> {
        while !octets.is_empty() {
            let before = self.partial.len();
            let end = match (self.partial.last(), octets.first()) {
                (Some(b'\r'), Some(b'\n')) => Some(1),
                _ => memchr::memmem::find(octets, b"\r\n").map(|at| at + 2),
            };
            let (line, rest) = octets.split_at(end.unwrap_or(octets.len()));
            octets = rest;
            if before == 0 && end.is_some() {
                self.line(line, visitor)?;
                continue;
            }
            self.partial.extend_from_slice(line);
            if end.is_some() {
                let line = core::mem::take(&mut self.partial);
                self.line(&line, visitor)?;
                self.partial = line;
                self.partial.clear();
            } else {
                self.fragment(visitor)?;
            }
        }
        Ok(())
    }

    /// The message ends here.
    pub(super) fn finish(mut self, visitor: &mut impl Visitor) -> Result<(), Unconvertible> {
        let rest = core::mem::take(&mut self.partial);
        if !rest.is_empty() {
            self.line(&rest, visitor)?;
        }
        if let State::Header(section, _) = &mut self.state {
            let section = core::mem::take(section);
            self.header(&section, false, visitor)?;
        }
        if core::mem::take(&mut self.held) {
            self.content(b"\r\n", visitor)?;
        }
        match self.state {
            State::Body => visitor.end(true),
            State::Header(..) | State::Between => Ok(()),
        }
    }

    /// A line that is too long to wait for its end: all but a CR that may end it.
    fn fragment(&mut self, visitor: &mut impl Visitor) -> Result<(), Unconvertible> {
        if matches!(self.state, State::Header(..)) {
            // An unfinished header line is kept as well as the section.
            if self.partial.len() > MOST_HEADER {
                return Err(Unconvertible::Structure);
            }
            return Ok(());
        }
        if self.partial.len() <= MOST_DELIMITER {
            return Ok(());
        }
        let cr = self.partial.last() == Some(&b'\r');
        let mut line = core::mem::take(&mut self.partial);
        if cr {
            line.pop();
            self.partial.push(b'\r');
        }
        self.line(&line, visitor)?;
        self.inside = true;
        Ok(())
    }

    /// A line with its CRLF, or what there is of it.
    fn line(&mut self, line: &[u8], visitor: &mut impl Visitor) -> Result<(), Unconvertible> {
        let inside = core::mem::take(&mut self.inside);
        let text = line.strip_suffix(b"\r\n").unwrap_or(line);
        let ended = text.len() < line.len();
        if !inside && text.starts_with(b"--") {
            match self.delimiter(text) {
                Line::Delimiter => return self.part(line, visitor),
                Line::Close => return self.close(line, visitor),
                Line::Doubtful => return Err(Unconvertible::Structure),
                Line::Content => {}
            }
        }
        let State::Header(section, _) = &mut self.state else {
            if core::mem::replace(&mut self.held, ended) {
                self.content(b"\r\n", visitor)?;
            }
            return self.content(text, visitor);
        };
        if text.is_empty() && ended {
            let section = core::mem::take(section);
            return self.header(&section, true, visitor);
        }
        // R6409-8-d: a message whose first line is no field has no header section.
        if section.is_empty() && self.entities == 0 && !is_field(text) {
            self.header(b"", false, visitor)?;
            self.held = ended;
            return self.content(text, visitor);
        }
        section.extend_from_slice(line);
        if section.len() > MOST_HEADER {
            return Err(Unconvertible::Structure);
        }
        Ok(())
    }

    /// What this line is to the innermost multipart that it concerns; those further in end there.
    fn delimiter(&mut self, text: &[u8]) -> Line {
        let mut doubtful = false;
        let mut found = None;
        for (at, level) in self.levels.iter().enumerate() {
            match delimiter::read(text, &level.boundary) {
                Line::Content => {}
                Line::Doubtful => doubtful = true,
                // After its end a boundary is text to most readers, and a delimiter to some.
                Line::Delimiter | Line::Close if level.closed => doubtful = true,
                // Two with one boundary: readers differ in which of them ends.
                _ if found.is_some() => return Line::Doubtful,
                line @ (Line::Delimiter | Line::Close) => found = Some((at, line)),
            }
        }
        match found {
            Some((at, line)) => {
                self.levels.truncate(at + 1);
                line
            }
            None if doubtful => Line::Doubtful,
            None => Line::Content,
        }
    }

    /// A part begins.
    fn part(&mut self, line: &[u8], visitor: &mut impl Visitor) -> Result<(), Unconvertible> {
        self.leave(line, visitor)?;
        if let Some(level) = self.levels.last() {
            self.root = level.root;
            self.depth = level.depth;
            let default = if level.digest {
                Type::Message
            } else {
                Type::Text
            };
            self.state = State::Header(Vec::new(), default);
        }
        Ok(())
    }

    /// The last part has ended.
    fn close(&mut self, line: &[u8], visitor: &mut impl Visitor) -> Result<(), Unconvertible> {
        self.leave(line, visitor)?;
        if let Some(level) = self.levels.last_mut() {
            level.closed = true;
        }
        self.state = State::Between;
        Ok(())
    }

    /// What came before the delimiter is complete.
    fn leave(&mut self, line: &[u8], visitor: &mut impl Visitor) -> Result<(), Unconvertible> {
        let levels = self.levels.len();
        if let State::Header(section, _) = &mut self.state {
            let section = core::mem::take(section);
            self.header(&section, false, visitor)?;
            // A multipart without a body has no parts.
            self.levels.truncate(levels);
        }
        if matches!(self.state, State::Body) {
            visitor.end(false)?;
        }
        if core::mem::take(&mut self.held) {
            visitor.between(b"\r\n")?;
        }
        visitor.between(line)
    }

    /// A header section is complete.
    fn header(
        &mut self,
        section: &[u8],
        separated: bool,
        visitor: &mut impl Visitor,
    ) -> Result<(), Unconvertible> {
        let default = match &self.state {
            State::Header(_, default) => *default,
            State::Body | State::Between => Type::Text,
        };
        if self.entities == MOST_ENTITIES {
            return Err(Unconvertible::Structure);
        }
        let entity = Entity::read(
            section,
            Place {
                index: self.entities,
                root: self.root,
                default,
                open: self.depth < MOST_DEPTH,
            },
        );
        self.entities += 1;
        visitor.header(&entity, section, separated)?;
        self.held = false;
        self.state = State::Body;
        match entity.kind {
            Kind::Multipart { boundary, digest } => {
                self.depth += 1;
                self.levels.push(Level {
                    boundary,
                    digest,
                    root: self.root,
                    depth: self.depth,
                    closed: false,
                });
                self.state = State::Between;
            }
            Kind::Message if separated => {
                self.depth += 1;
                self.root = self.entities;
                self.state = State::Header(Vec::new(), Type::Text);
            }
            Kind::Message | Kind::Text | Kind::Data | Kind::Fixed(_) => {}
        }
        Ok(())
    }

    fn content(&mut self, octets: &[u8], visitor: &mut impl Visitor) -> Result<(), Unconvertible> {
        match self.state {
            State::Between => visitor.between(octets),
            State::Header(..) | State::Body => {
                visitor.body(octets);
                Ok(())
            }
        }
    }
}

/// RFC 5322 section 2.2.
fn is_field(line: &[u8]) -> bool {
    matches!(crate::content::header::fields(line).next(), Some(Ok(_)))
}
