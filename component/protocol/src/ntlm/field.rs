//! Reading and writing the pieces of a message ([MS-NLMP] section 2.2).

use super::{Malformed, SIGNATURE};
use alloc::vec::Vec;

/// A payload as its header names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Field {
    pub length: usize,
    pub offset: usize,
}

impl Field {
    /// The field at `at` of the header; `None` if the message ends within it.
    pub fn read(octets: &[u8], at: usize) -> Option<Self> {
        Some(Self {
            length: usize::from(u16::from_le_bytes(array(octets, at)?)),
            offset: usize::try_from(u32_at(octets, at + 4)?).ok()?,
        })
    }

    /// Its octets. NLMP-2.2-a: they lie inside the message; a field of length 0 may point anywhere.
    pub fn of(self, octets: &[u8]) -> Result<&[u8], Malformed> {
        if self.length == 0 {
            return Ok(&[]);
        }
        let end = self.offset.checked_add(self.length);
        end.and_then(|end| octets.get(self.offset..end))
            .ok_or(Malformed("a field lies outside the message"))
    }

    /// Where it begins, if it has octets.
    pub fn start(self) -> Option<usize> {
        (self.length > 0).then_some(self.offset)
    }
}

/// `N` octets at `at`.
pub(super) fn array<const N: usize>(octets: &[u8], at: usize) -> Option<[u8; N]> {
    octets.get(at..)?.first_chunk().copied()
}

/// A number of 32 bits at `at`.
pub(super) fn u32_at(octets: &[u8], at: usize) -> Option<u32> {
    array(octets, at).map(u32::from_le_bytes)
}

/// Checks signature and type ([MS-NLMP] section 2.2.1).
pub(super) fn expect(octets: &[u8], kind: u32) -> Result<(), Malformed> {
    if !octets.starts_with(&SIGNATURE) {
        return Err(Malformed("no signature"));
    }
    if !super::is_message(octets, kind) {
        return Err(Malformed("another type of message was expected"));
    }
    Ok(())
}

/// A message being written: a header of known length, payloads behind it.
pub(super) struct Message {
    octets: Vec<u8>,
}

impl Message {
    /// Signature and type, zeros up to `header`.
    pub fn new(kind: u32, header: usize) -> Self {
        let mut octets = Vec::with_capacity(header + 256);
        octets.extend_from_slice(&SIGNATURE);
        octets.extend_from_slice(&kind.to_le_bytes());
        octets.resize(header, 0);
        Self { octets }
    }

    /// Puts octets into the header.
    pub fn put(&mut self, at: usize, value: &[u8]) {
        self.octets[at..at + value.len()].copy_from_slice(value);
    }

    /// Appends a payload and names it in the field at `at`. What is longer than a field can say
    /// (64 KiB; no name is) is cut.
    pub fn append(&mut self, at: usize, payload: &[u8]) {
        let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
        let offset = u32::try_from(self.octets.len()).unwrap_or(u32::MAX);
        self.put(at, &length.to_le_bytes());
        self.put(at + 2, &length.to_le_bytes());
        self.put(at + 4, &offset.to_le_bytes());
        self.octets
            .extend_from_slice(&payload[..usize::from(length)]);
    }

    /// The message.
    pub fn finish(self) -> Vec<u8> {
        self.octets
    }
}
