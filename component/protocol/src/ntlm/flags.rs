//! Negotiate flags ([MS-NLMP] section 2.2.2.5).

use core::ops::BitOr;

/// The flags of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(pub u32);

impl Flags {
    /// Names are UTF-16LE.
    pub const UNICODE: Self = Self(0x1);
    /// Names are in an OEM character set.
    pub const OEM: Self = Self(0x2);
    /// The server is to say its name.
    pub const REQUEST_TARGET: Self = Self(0x4);
    /// Session signing.
    pub const SIGN: Self = Self(0x10);
    /// Session encryption.
    pub const SEAL: Self = Self(0x20);
    /// LAN Manager session key; never agreed to.
    pub const LM_KEY: Self = Self(0x80);
    /// NTLM at all.
    pub const NTLM: Self = Self(0x200);
    /// Anonymous user.
    pub const ANONYMOUS: Self = Self(0x800);
    /// A dummy or real signature on everything.
    pub const ALWAYS_SIGN: Self = Self(0x8000);
    /// The target name is a server's.
    pub const TARGET_SERVER: Self = Self(0x2_0000);
    /// Extended session security.
    pub const EXTENDED_SESSION_SECURITY: Self = Self(0x8_0000);
    /// TargetInfo is there.
    pub const TARGET_INFO: Self = Self(0x80_0000);
    /// The version field has a meaning.
    pub const VERSION: Self = Self(0x200_0000);
    /// 128-bit session keys.
    pub const KEY_128: Self = Self(0x2000_0000);
    /// An explicit key exchange.
    pub const KEY_EXCH: Self = Self(0x4000_0000);
    /// 56-bit session keys.
    pub const KEY_56: Self = Self(0x8000_0000);

    /// Whether all of these are set.
    pub fn has(self, wanted: Self) -> bool {
        self.0 & wanted.0 == wanted.0
    }

    /// Those that are in both.
    #[must_use]
    pub fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
