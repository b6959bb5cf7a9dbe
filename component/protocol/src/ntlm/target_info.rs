//! AV pairs: TargetInfo of a CHALLENGE and the end of an NTLMv2 response ([MS-NLMP] section
//! 2.2.2.1).

use super::Malformed;
use alloc::vec::Vec;

/// What an AV pair says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AvId(pub u16);

impl AvId {
    /// The end of the list.
    pub const EOL: Self = Self(0);
    /// NetBIOS computer name.
    pub const NETBIOS_COMPUTER: Self = Self(1);
    /// NetBIOS domain name.
    pub const NETBIOS_DOMAIN: Self = Self(2);
    /// Fully qualified name of the computer.
    pub const DNS_COMPUTER: Self = Self(3);
    /// Fully qualified name of the domain.
    pub const DNS_DOMAIN: Self = Self(4);
    /// [`AvFlags`].
    pub const FLAGS: Self = Self(6);
    /// FILETIME of the server.
    pub const TIMESTAMP: Self = Self(7);
    /// The service that the client wants (SPN).
    pub const TARGET_NAME: Self = Self(9);
    /// MD5 of the channel bindings.
    pub const CHANNEL_BINDINGS: Self = Self(10);
}

/// Value of [`AvId::FLAGS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AvFlags(pub u32);

impl AvFlags {
    /// The message carries a MIC.
    pub const MIC: Self = Self(2);
    /// The target name came from an untrusted source.
    pub const UNTRUSTED_TARGET_NAME: Self = Self(4);

    /// Whether this one is set.
    pub fn has(self, wanted: Self) -> bool {
        self.0 & wanted.0 == wanted.0
    }
}

/// A list of AV pairs that has been read: values of fixed size have it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TargetInfo<'a> {
    pairs: Vec<(AvId, &'a [u8])>,
}

impl<'a> TargetInfo<'a> {
    /// Reads pairs up to the end of the list. No octets at all are an empty list (Cyrus SASL
    /// sends no TargetInfo); octets after the end are left alone (an NTLMv2 response has four).
    pub fn parse(octets: &'a [u8]) -> Result<Self, Malformed> {
        let mut pairs = Vec::new();
        let mut rest = octets;
        if rest.is_empty() {
            return Ok(Self { pairs });
        }
        loop {
            let (header, after) = rest
                .split_first_chunk::<4>()
                .ok_or(Malformed("the av pairs have no end"))?;
            let id = AvId(u16::from_le_bytes([header[0], header[1]]));
            if id == AvId::EOL {
                return Ok(Self { pairs });
            }
            let length = usize::from(u16::from_le_bytes([header[2], header[3]]));
            let (value, after) = after
                .split_at_checked(length)
                .ok_or(Malformed("an av pair lies outside the message"))?;
            let fixed = match id {
                AvId::FLAGS => Some(4),
                AvId::TIMESTAMP => Some(8),
                AvId::CHANNEL_BINDINGS => Some(16),
                _ => None,
            };
            if fixed.is_some_and(|fixed| fixed != length) {
                return Err(Malformed("an av pair has a wrong length"));
            }
            pairs.push((id, value));
            rest = after;
        }
    }

    /// The pairs as they came, without the end.
    pub fn pairs(&self) -> impl Iterator<Item = (AvId, &'a [u8])> {
        self.pairs.iter().copied()
    }

    /// The first value of this name.
    pub fn value(&self, wanted: AvId) -> Option<&'a [u8]> {
        self.pairs()
            .find(|(id, _)| *id == wanted)
            .map(|(_, value)| value)
    }

    fn fixed<const N: usize>(&self, wanted: AvId) -> Option<[u8; N]> {
        self.value(wanted).and_then(|value| value.try_into().ok())
    }

    /// Flags; none set where the pair is absent.
    pub fn flags(&self) -> AvFlags {
        AvFlags(self.fixed(AvId::FLAGS).map_or(0, u32::from_le_bytes))
    }

    /// FILETIME of the server.
    pub fn timestamp(&self) -> Option<[u8; 8]> {
        self.fixed(AvId::TIMESTAMP)
    }

    /// The hashed channel bindings; all zero means none ([MS-NLMP] section 3.1.5.1.2).
    pub fn channel_bindings(&self) -> Option<[u8; 16]> {
        self.fixed(AvId::CHANNEL_BINDINGS)
            .filter(|value| *value != [0; 16])
    }
}

/// Writes a list of AV pairs.
#[derive(Debug, Default)]
pub struct TargetInfoWriter {
    octets: Vec<u8>,
}

impl TargetInfoWriter {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a pair; of a value over 65,535 octets (no name has as many) the rest is cut off.
    pub fn pair(&mut self, id: AvId, value: &[u8]) -> &mut Self {
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
        self.octets.extend_from_slice(&id.0.to_le_bytes());
        self.octets.extend_from_slice(&length.to_le_bytes());
        self.octets.extend_from_slice(&value[..usize::from(length)]);
        self
    }

    /// The list with its end.
    pub fn finish(mut self) -> Vec<u8> {
        self.pair(AvId::EOL, &[]);
        self.octets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nlmp_2_2_2_1_values_of_fixed_size_have_it() {
        for (id, length) in [
            (AvId::FLAGS, 4),
            (AvId::TIMESTAMP, 8),
            (AvId::CHANNEL_BINDINGS, 16),
        ] {
            for wrong in [0, length - 1, length, length + 1] {
                let mut list = TargetInfoWriter::new();
                list.pair(id, &[7; 32][..wrong]);
                let list = list.finish();
                assert_eq!(TargetInfo::parse(&list).is_ok(), wrong == length);
            }
        }
    }

    #[test]
    fn nlmp_2_2_a_pairs_lie_inside_and_end() {
        let mut list = TargetInfoWriter::new();
        list.pair(AvId::NETBIOS_DOMAIN, b"D\0")
            .pair(AvId::FLAGS, &[2, 0, 0, 0]);
        let list = list.finish();
        for length in 1..list.len() {
            assert!(TargetInfo::parse(&list[..length]).is_err(), "{length}");
        }
        let parsed = TargetInfo::parse(&list).expect("a list");
        assert_eq!(parsed.value(AvId::NETBIOS_DOMAIN), Some(&b"D\0"[..]));
        assert!(parsed.flags().has(AvFlags::MIC));
        assert!(!parsed.flags().has(AvFlags::UNTRUSTED_TARGET_NAME));
        assert_eq!(parsed.timestamp(), None);
        assert_eq!(TargetInfo::parse(&[]), Ok(TargetInfo::default()));
    }

    #[test]
    fn nlmp_3_2_5_f_zero_bindings_are_none() {
        let mut list = TargetInfoWriter::new();
        list.pair(AvId::CHANNEL_BINDINGS, &[0; 16]);
        let list = list.finish();
        let parsed = TargetInfo::parse(&list).expect("a list");
        assert_eq!(parsed.channel_bindings(), None);
    }
}
