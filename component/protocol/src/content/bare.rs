//! Bare CR and bare LF: they stand together or not at all (RFC 5321 section 2.3.8).

/// Looks for a bare CR or LF in content.
#[derive(Debug, Clone, Default)]
pub struct Bare {
    found: bool,
    /// The octets so far end with a CR.
    after_cr: bool,
}

impl Bare {
    /// Takes the next octets.
    pub fn take(&mut self, octets: &[u8]) {
        if self.found {
            return;
        }
        let mut rest = octets;
        if core::mem::take(&mut self.after_cr) {
            match rest.split_first() {
                Some((b'\n', after)) => rest = after,
                Some(_) => self.found = true,
                None => self.after_cr = true,
            }
        }
        while let Some(at) = memchr::memchr2(b'\r', b'\n', rest) {
            match rest[at..] {
                [b'\r', b'\n', ..] => rest = &rest[at + 2..],
                [b'\r'] => {
                    self.after_cr = true;
                    return;
                }
                _ => {
                    self.found = true;
                    return;
                }
            }
        }
    }

    /// Whether there was one, if the octets end here.
    pub fn was_found(&self) -> bool {
        self.found || self.after_cr
    }
}
