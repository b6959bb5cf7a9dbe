//! What a session needs of the world besides octets and answers: the time and randomness.
//!
//! In the component these are its two WASI imports; in tests they are fixed.

/// A moment, from the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moment {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub seconds: u64,
    /// Below 1,000,000,000.
    pub nanoseconds: u32,
}

/// The two things that a session may ask for without the host's session loop.
pub trait Environment {
    /// The time now.
    fn now(&mut self) -> Moment;
    /// Fills `octets` with octets fit for cryptography.
    fn random(&mut self, octets: &mut [u8]);
}

/// An environment that always gives the same: for tests, and for replay by other hosts.
#[derive(Debug, Clone, Default)]
pub struct Fixed {
    /// What `now` says.
    pub moment: Moment,
    /// The next octet of `random`; counts up.
    pub next: u8,
}

impl Environment for Fixed {
    fn now(&mut self) -> Moment {
        self.moment
    }

    fn random(&mut self, octets: &mut [u8]) {
        for octet in octets {
            *octet = self.next;
            self.next = self.next.wrapping_add(1);
        }
    }
}
