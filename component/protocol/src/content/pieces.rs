//! Content as actions: long runs of the caller's buffer are named, small ones are copied and
//! joined with their neighbours.
//!
//! An action costs the guest 120 octets and the host more, so there are few of them whatever the
//! peer sends: a dot at the start of every line included.

use crate::contract::{Span, client, server};
use alloc::vec::Vec;
use core::ops::Range;

/// Content actions of one call at most; the rest of [`crate::contract::MOST_ACTIONS`] is for what
/// the session has to say besides.
pub const MOST_PIECES: usize = 40;

/// A shorter run is copied rather than named.
const LEAST_RUN: usize = 128;

/// An action that carries content: each role has its own.
pub trait Piece: Sized {
    /// A run of the caller's buffer.
    fn content(span: Span) -> Self;
    /// The session's own octets.
    fn insert(octets: Vec<u8>) -> Self;
    /// The octets of [`Self::insert`].
    ///
    /// # Errors
    /// The action, where it is another one.
    fn into_inserted(self) -> Result<Vec<u8>, Self>;
}

impl Piece for server::Action {
    fn content(span: Span) -> Self {
        Self::Content(span)
    }

    fn insert(octets: Vec<u8>) -> Self {
        Self::Insert(octets)
    }

    fn into_inserted(self) -> Result<Vec<u8>, Self> {
        match self {
            Self::Insert(octets) => Ok(octets),
            other => Err(other),
        }
    }
}

impl Piece for client::Action {
    fn content(span: Span) -> Self {
        Self::Content(span)
    }

    fn insert(octets: Vec<u8>) -> Self {
        Self::Insert(octets)
    }

    fn into_inserted(self) -> Result<Vec<u8>, Self> {
        match self {
            Self::Insert(octets) => Ok(octets),
            other => Err(other),
        }
    }
}

/// Makes the content actions of one call.
#[derive(Debug)]
pub struct Pieces<'a, A> {
    octets: &'a [u8],
    /// Where `octets` begin in the caller's buffer.
    base: u32,
    actions: &'a mut Vec<A>,
    /// Actions before the first of this call.
    before: usize,
    /// A run that may go on.
    run: Range<usize>,
    /// Octets to insert before that run.
    joined: Vec<u8>,
}

impl<'a, A: Piece> Pieces<'a, A> {
    /// For a call that got `octets`, which stand at `base` of the caller's buffer.
    pub fn new(octets: &'a [u8], base: u32, actions: &'a mut Vec<A>) -> Self {
        Self {
            octets,
            base,
            before: actions.len(),
            actions,
            run: 0..0,
            joined: Vec::new(),
        }
    }

    /// Goes on with `actions`, which are all pieces of one message: many chunks in one call make no
    /// more actions than one.
    pub fn resume(octets: &'a [u8], base: u32, actions: &'a mut Vec<A>) -> Self {
        let joined = match actions.pop().map(Piece::into_inserted) {
            Some(Ok(octets)) => octets,
            Some(Err(other)) => {
                actions.push(other);
                Vec::new()
            }
            None => Vec::new(),
        };
        Self {
            before: 0,
            joined,
            ..Self::new(octets, base, actions)
        }
    }

    /// What the call got.
    pub fn octets(&self) -> &'a [u8] {
        self.octets
    }

    /// The next content is this run.
    pub fn run(&mut self, run: Range<usize>) {
        if run.start == self.run.end {
            self.run.end = run.end;
        } else {
            self.close_run();
            self.run = run;
        }
    }

    /// The next content is these octets.
    pub fn insert(&mut self, octets: &[u8]) {
        self.close_run();
        self.joined.extend_from_slice(octets);
    }

    /// The next content is these octets, taken over where nothing waits before them.
    pub fn insert_all(&mut self, octets: Vec<u8>) {
        self.close_run();
        if self.joined.is_empty() {
            self.joined = octets;
        } else {
            self.joined.extend_from_slice(&octets);
        }
    }

    /// Takes back all content of this call.
    pub fn take_back(&mut self) {
        self.actions.truncate(self.before);
        self.run = 0..0;
        self.joined.clear();
    }

    /// Something else than content, after what came so far.
    pub fn push(&mut self, action: A) {
        self.close_run();
        self.flush();
        self.actions.push(action);
    }

    /// The last actions of the call.
    pub fn finish(mut self) {
        self.close_run();
        self.flush();
    }

    fn close_run(&mut self) {
        let run = core::mem::take(&mut self.run);
        // Room for what was joined, for this run, and for all that may follow.
        let room = self.actions.len() - self.before + 3 <= MOST_PIECES;
        let (Ok(offset), Ok(length)) = (u32::try_from(run.start), u32::try_from(run.len())) else {
            // No call has more than 65,536 octets.
            self.joined.extend_from_slice(&self.octets[run]);
            return;
        };
        if run.len() >= LEAST_RUN && room {
            self.flush();
            let offset = self.base + offset;
            self.actions.push(A::content(Span { offset, length }));
        } else {
            self.joined.extend_from_slice(&self.octets[run]);
        }
    }

    fn flush(&mut self) {
        if !self.joined.is_empty() {
            self.actions
                .push(A::insert(core::mem::take(&mut self.joined)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use client::Action;

    #[test]
    fn small_runs_are_joined_and_long_ones_named() {
        let octets = [b'x'; 1000];
        let mut actions = vec![Action::Done];
        let mut pieces = Pieces::new(&octets, 7, &mut actions);
        pieces.insert(b"head");
        pieces.run(0..10);
        pieces.run(10..20);
        pieces.run(30..100);
        pieces.run(100..200);
        pieces.insert(b"tail");
        pieces.finish();
        assert_eq!(
            actions,
            [
                Action::Done,
                Action::Insert([&b"head"[..], &[b'x'; 20]].concat()),
                Action::Content(Span {
                    offset: 37,
                    length: 170
                }),
                Action::Insert(b"tail".to_vec()),
            ]
        );
    }

    #[test]
    fn pieces_of_many_runs_are_those_of_one() {
        let octets = [b'x'; 200];
        let mut actions: Vec<Action> = Vec::new();
        for _ in 0..1000 {
            let mut pieces = Pieces::resume(&octets, 0, &mut actions);
            pieces.run(0..1);
            pieces.finish();
        }
        assert_eq!(actions, [Action::Insert(vec![b'x'; 1000])]);
        for _ in 0..1000 {
            let mut pieces = Pieces::resume(&octets, 0, &mut actions);
            pieces.run(0..150);
            pieces.insert(b"y");
            pieces.finish();
        }
        assert!(actions.len() <= MOST_PIECES, "{}", actions.len());
        let mut pieces = Pieces::resume(&octets, 0, &mut actions);
        pieces.take_back();
        pieces.finish();
        assert_eq!(actions, []);
    }

    #[test]
    fn there_are_forty_pieces_at_most() {
        let octets = [b'x'; 60_000];
        let mut actions: Vec<Action> = Vec::new();
        let mut pieces = Pieces::new(&octets, 0, &mut actions);
        for start in (0..60_000).step_by(200) {
            pieces.insert(b".");
            pieces.run(start..start + 199);
        }
        pieces.finish();
        assert!(actions.len() <= MOST_PIECES, "{}", actions.len());
        let total: usize = actions
            .iter()
            .map(|action| match action {
                Action::Content(span) => span.length as usize,
                Action::Insert(octets) => octets.len(),
                _ => 0,
            })
            .sum();
        assert_eq!(total, 60_000);
    }
}
