//! Octets that are as good as a password.

use std::fmt;

use serde::Serialize;
use zeroize::Zeroize;

/// So many octets, shown as hexadecimal digits in the users file alone: `Debug` hides them, and they
/// are wiped after use.
#[derive(Clone, PartialEq, Eq)]
pub struct Kept<const N: usize>([u8; N]);

/// What NTLM checks against ([MS-NLMP] section 3.3.1).
pub type NtHash = Kept<16>;

/// What CRAM-MD5 checks against: the inner states of HMAC-MD5, outer and then inner (RFC 2195 section
/// 4). Dovecot's `{CRAM-MD5}` has the same octets.
pub type HmacStates = Kept<32>;

impl<const N: usize> Kept<N> {
    /// The octets themselves.
    pub fn octets(&self) -> &[u8; N] {
        &self.0
    }

    pub(super) fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 2 * N || !text.is_ascii() {
            return None;
        }
        let mut octets = [0; N];
        for (octet, pair) in octets.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digit = |digit: u8| char::from(digit).to_digit(16);
            *octet = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
        }
        Some(Self(octets))
    }

    fn to_hex(&self) -> String {
        self.0.iter().map(|octet| format!("{octet:02x}")).collect()
    }
}

impl<const N: usize> From<[u8; N]> for Kept<N> {
    fn from(octets: [u8; N]) -> Self {
        Self(octets)
    }
}

impl<const N: usize> Drop for Kept<N> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<const N: usize> fmt::Debug for Kept<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept(***)")
    }
}

impl<const N: usize> Serialize for Kept<N> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_hex())
    }
}
