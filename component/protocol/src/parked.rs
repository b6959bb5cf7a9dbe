//! The octets of a parked session: a plain, length-prefixed encoding.
//!
//! A parked session comes back from the host, which is trusted with it; even so a reader never
//! panics and never allocates more than it was given.

use alloc::{string::String, vec::Vec};

/// Writes values one after the other.
#[derive(Debug, Default)]
pub struct Writer {
    octets: Vec<u8>,
}

impl Writer {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One octet.
    pub fn u8(&mut self, value: u8) {
        self.octets.push(value);
    }

    /// One octet, 0 or 1.
    pub fn bool(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    /// Four octets, little-endian.
    pub fn u32(&mut self, value: u32) {
        self.octets.extend_from_slice(&value.to_le_bytes());
    }

    /// Eight octets, little-endian.
    pub fn u64(&mut self, value: u64) {
        self.octets.extend_from_slice(&value.to_le_bytes());
    }

    /// Length and octets.
    pub fn octets(&mut self, value: &[u8]) {
        // A session's memory is far below 4 GiB.
        self.u32(u32::try_from(value.len()).unwrap_or(u32::MAX));
        self.octets.extend_from_slice(value);
    }

    /// Length and UTF-8.
    pub fn string(&mut self, value: &str) {
        self.octets(value.as_bytes());
    }

    /// Presence, then the value.
    pub fn option<T>(&mut self, value: Option<&T>, write: impl FnOnce(&mut Self, &T)) {
        self.bool(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    /// What was written.
    pub fn finish(self) -> Vec<u8> {
        self.octets
    }
}

/// Reads values in the order in which they were written; `None` where the octets do not fit.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// From the first octet.
    pub fn new(octets: &'a [u8]) -> Self {
        Self { rest: octets }
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(head)
    }

    /// One octet.
    pub fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|octets| octets[0])
    }

    /// 0 or 1.
    pub fn bool(&mut self) -> Option<bool> {
        match self.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    /// Four octets.
    pub fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    /// Eight octets.
    pub fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    /// Length and octets.
    pub fn octets(&mut self) -> Option<&'a [u8]> {
        let length = self.u32()? as usize;
        self.take(length)
    }

    /// Length and UTF-8.
    pub fn string(&mut self) -> Option<String> {
        core::str::from_utf8(self.octets()?).ok().map(String::from)
    }

    /// Presence, then the value.
    #[allow(
        clippy::option_option,
        reason = "outer: does it fit; inner: was it there"
    )]
    pub fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        if self.bool()? {
            read(self).map(Some)
        } else {
            Some(None)
        }
    }

    /// Whether all octets were read.
    pub fn is_finished(&self) -> bool {
        self.rest.is_empty()
    }
}
