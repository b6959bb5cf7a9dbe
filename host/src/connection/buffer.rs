//! Octets that arrived and were not consumed yet.
//!
//! A buffer is borrowed from a common store when octets come and given back when they are used up,
//! so that idle connections hold none.

use std::sync::Mutex;

/// Octets of one buffer: what `receive` takes at most.
const LENGTH: usize = 65_536;
/// Buffers that the store keeps; more are freed.
const KEPT: usize = 256;

/// The common store.
#[derive(Default)]
pub struct Buffers(Mutex<Vec<Box<[u8]>>>);

impl Buffers {
    fn borrow(&self) -> Box<[u8]> {
        self.lock()
            .pop()
            .unwrap_or_else(|| vec![0; LENGTH].into_boxed_slice())
    }

    fn give_back(&self, buffer: Box<[u8]>) {
        let mut kept = self.lock();
        if kept.len() < KEPT && buffer.len() == LENGTH {
            kept.push(buffer);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Box<[u8]>>> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// One connection's octets.
#[derive(Default)]
pub(super) struct Buffer {
    octets: Box<[u8]>,
    start: usize,
    end: usize,
    ended: bool,
    answered: bool,
}

impl Buffer {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// All that was not consumed.
    pub(super) fn octets(&self) -> &[u8] {
        &self.octets[self.start..self.end]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// A span of what the last call was given; the form of its answer was checked.
    pub(super) fn run(&self, offset: u32, length: u32) -> &[u8] {
        let start = self.start + offset as usize;
        &self.octets[start..start + length as usize]
    }

    pub(super) fn consume(&mut self, length: usize) {
        self.start += length;
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    pub(super) fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }

    /// Where new octets go.
    pub(super) fn room(&mut self, buffers: &Buffers) -> &mut [u8] {
        if self.octets.len() < LENGTH {
            let mut octets = buffers.borrow();
            octets[..self.end - self.start].copy_from_slice(&self.octets[self.start..self.end]);
            self.end -= self.start;
            self.start = 0;
            self.octets = octets;
        } else if self.start > 0 {
            self.octets.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        &mut self.octets[self.end..]
    }

    pub(super) fn filled(&mut self, length: usize) {
        self.end += length;
    }

    /// The peer will send no more.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// A question was answered: what is left is offered again.
    pub(super) fn answered(&mut self) {
        self.answered = true;
    }

    pub(super) fn take_answered(&mut self) -> bool {
        std::mem::take(&mut self.answered)
    }

    /// Gives an empty buffer back.
    pub(super) fn release_empty(&mut self, buffers: &Buffers) {
        if self.is_empty() {
            self.release(buffers);
        }
    }

    /// Keeps no more than the octets that are there.
    pub(super) fn shrink(&mut self, buffers: &Buffers) {
        if self.octets.len() == LENGTH {
            let rest: Box<[u8]> = self.octets().into();
            buffers.give_back(std::mem::replace(&mut self.octets, rest));
            self.end -= self.start;
            self.start = 0;
        }
    }

    pub(super) fn release(&mut self, buffers: &Buffers) {
        self.clear();
        if !self.octets.is_empty() {
            buffers.give_back(std::mem::take(&mut self.octets));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_consumed_stays_in_front() {
        let buffers = Buffers::default();
        let mut buffer = Buffer::new();
        buffer.room(&buffers)[..5].copy_from_slice(b"abcde");
        buffer.filled(5);
        buffer.consume(3);
        assert_eq!(buffer.octets(), b"de");
        assert_eq!(buffer.run(1, 1), b"e");
        buffer.shrink(&buffers);
        assert_eq!(buffer.octets(), b"de");
        buffer.room(&buffers)[..1].copy_from_slice(b"f");
        buffer.filled(1);
        assert_eq!(buffer.octets(), b"def");
        buffer.consume(3);
        assert!(buffer.is_empty());
        buffer.release_empty(&buffers);
        assert_eq!(buffers.lock().len(), 1);
    }
}
