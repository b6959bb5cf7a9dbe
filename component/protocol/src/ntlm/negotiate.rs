//! NEGOTIATE_MESSAGE ([MS-NLMP] section 2.2.1.1).

use super::{
    Flags, Malformed,
    field::{Field, Message, expect, u32_at},
};
use alloc::vec::Vec;

/// The client's first message. Its domain and workstation are checked and not kept: nothing
/// trusts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Negotiate {
    /// What the client can do.
    pub flags: Flags,
}

impl Negotiate {
    const KIND: u32 = 1;

    /// What our client can do: NTLMv2 without signing, sealing and key exchange, because AUTH has
    /// no security layer (RFC 4954 section 4).
    pub const OURS: Self = Self {
        flags: Flags(
            Flags::UNICODE.0
                | Flags::REQUEST_TARGET.0
                | Flags::NTLM.0
                | Flags::ALWAYS_SIGN.0
                | Flags::EXTENDED_SESSION_SECURITY.0
                | Flags::KEY_128.0
                | Flags::KEY_56.0,
        ),
    };

    /// Reads one. NLMP-2.2-b: 16 octets will do; the two fields behind them must be whole and
    /// lie inside the message where they are there.
    pub fn parse(octets: &[u8]) -> Result<Self, Malformed> {
        expect(octets, Self::KIND)?;
        let flags = u32_at(octets, 12).ok_or(Malformed("the header is cut off"))?;
        for at in [16, 24] {
            if octets.len() > at {
                Field::read(octets, at)
                    .ok_or(Malformed("the header is cut off"))?
                    .of(octets)?;
            }
        }
        Ok(Self {
            flags: Flags(flags),
        })
    }

    /// The message: 32 octets, no names.
    pub fn write(self) -> Vec<u8> {
        let mut message = Message::new(Self::KIND, 32);
        message.put(12, &self.flags.0.to_le_bytes());
        message.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_vectors as vectors;
    use super::*;

    #[test]
    fn nlmp_2_2_1_1_our_own_vector_is_what_the_client_sends() {
        assert_eq!(Negotiate::OURS.write(), vectors::negotiate());
        assert_eq!(Negotiate::parse(&vectors::negotiate()), Ok(Negotiate::OURS));
    }

    #[test]
    fn nlmp_2_2_b_sixteen_octets_will_do() {
        let whole = vectors::negotiate();
        for length in 0..whole.len() {
            let parsed = Negotiate::parse(&whole[..length]);
            // After the flags, after the domain field, after the workstation field.
            assert_eq!(parsed.is_ok(), [16, 24].contains(&length), "{length}");
        }
    }

    #[test]
    fn nlmp_2_2_a_fields_lie_inside_the_message() {
        let mut message = vectors::negotiate();
        // Length 0 may point anywhere.
        message[20..24].copy_from_slice(&[0xFF; 4]);
        assert!(Negotiate::parse(&message).is_ok());
        message[16] = 1;
        assert!(Negotiate::parse(&message).is_err());
        message[20..24].copy_from_slice(&32_u32.to_le_bytes());
        assert!(Negotiate::parse(&message).is_err());
        message.push(b'D');
        assert!(Negotiate::parse(&message).is_ok());
    }

    #[test]
    fn nlmp_2_2_a_signature_and_type_are_checked() {
        for at in 0..12 {
            let mut message = vectors::negotiate();
            message[at] ^= 0x40;
            assert!(Negotiate::parse(&message).is_err(), "{at}");
        }
    }
}
