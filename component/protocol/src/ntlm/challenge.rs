//! CHALLENGE_MESSAGE ([MS-NLMP] section 2.2.1.2).

use super::{
    Flags, Malformed, TargetInfo,
    field::{Field, Message, array, expect, u32_at},
};
use alloc::vec::Vec;

/// The server's message, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge<'a> {
    /// What the server agreed to.
    pub flags: Flags,
    /// What the proof is made for.
    pub server_challenge: [u8; 8],
    /// What the server is called; `None` if it does not say (Cyrus SASL).
    pub target_info: Option<TargetInfo<'a>>,
}

impl<'a> Challenge<'a> {
    const KIND: u32 = 2;

    /// Reads one. Old servers end their header at 32, 40 or 48 octets: TargetInfo is there only
    /// if its flag says so.
    pub fn parse(octets: &'a [u8]) -> Result<Self, Malformed> {
        expect(octets, Self::KIND)?;
        let cut = Malformed("the header is cut off");
        Field::read(octets, 12).ok_or(cut)?.of(octets)?;
        let flags = Flags(u32_at(octets, 20).ok_or(cut)?);
        let server_challenge = array(octets, 24).ok_or(cut)?;
        let mut target_info = None;
        if flags.has(Flags::TARGET_INFO) {
            let pairs = Field::read(octets, 40).ok_or(cut)?.of(octets)?;
            if !pairs.is_empty() {
                target_info = Some(TargetInfo::parse(pairs)?);
            }
        }
        Ok(Self {
            flags,
            server_challenge,
            target_info,
        })
    }
}

/// What a CHALLENGE is written from.
#[derive(Debug, Clone, Copy)]
pub struct ChallengeParts<'a> {
    /// What the server agrees to.
    pub flags: Flags,
    /// New for each exchange.
    pub server_challenge: [u8; 8],
    /// TargetName, in the character set of the flags.
    pub target_name: &'a [u8],
    /// AV pairs with their end.
    pub target_info: &'a [u8],
}

impl ChallengeParts<'_> {
    /// VERSION for those who ask ([MS-NLMP] section 2.2.2.10, for debugging only): Windows 6.1, as
    /// Samba says too, NTLM revision 15.
    const VERSION: [u8; 8] = [6, 1, 0, 0, 0, 0, 0, 15];

    /// The message.
    pub fn write(&self) -> Vec<u8> {
        let mut message = Message::new(Challenge::KIND, 56);
        message.put(20, &self.flags.0.to_le_bytes());
        message.put(24, &self.server_challenge);
        if self.flags.has(Flags::VERSION) {
            message.put(48, &Self::VERSION);
        }
        message.append(12, self.target_name);
        message.append(40, self.target_info);
        message.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{AvId, test_vectors as vectors};
    use super::*;

    #[test]
    fn nlmp_2_2_1_2_published_challenge_is_read() {
        let octets = vectors::published_challenge();
        let challenge = Challenge::parse(&octets).expect("a challenge");
        assert_eq!(challenge.server_challenge, vectors::SERVER_CHALLENGE);
        let info = challenge.target_info.expect("target info");
        assert_eq!(
            info.value(AvId::NETBIOS_DOMAIN),
            Some(&b"D\0o\0m\0a\0i\0n\0"[..])
        );
        assert_eq!(
            info.value(AvId::NETBIOS_COMPUTER),
            Some(&b"S\0e\0r\0v\0e\0r\0"[..])
        );
        assert_eq!(info.timestamp(), None);
    }

    #[test]
    fn nlmp_2_2_a_every_truncation_is_malformed() {
        for whole in [vectors::published_challenge(), vectors::challenge()] {
            for length in 0..whole.len() {
                assert!(Challenge::parse(&whole[..length]).is_err(), "{length}");
            }
        }
    }

    #[test]
    fn sntlm_cancel_old_header_without_target_info_is_read() {
        let mut octets = vectors::published_challenge();
        octets.truncate(32);
        // No target name, no TARGET_INFO.
        octets[12..20].fill(0);
        octets[22] &= 0x7F;
        let challenge = Challenge::parse(&octets).expect("a challenge");
        assert_eq!(challenge.target_info, None);
        assert!(Challenge::parse(&octets[..31]).is_err());
    }
}
