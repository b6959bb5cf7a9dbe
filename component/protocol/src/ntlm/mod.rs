//! The messages of NTLM and their arithmetic ([MS-NLMP] sections 2.2 and 3.3.2), without state.
//!
//! ```text
//!   client                                server
//!     NEGOTIATE     flags it can do   ->
//!                                     <-  CHALLENGE   8 random octets, what the server is called
//!     AUTHENTICATE  names and proof   ->  (judged by the verifier)
//! ```
//!
//! All numbers are little-endian. A payload is named by a field: length u16, maximum u16, offset
//! u32 from the start of the message; payloads come in any order, with gaps.
//!
//! Only NTLMv2 is computed here: NTLMv1 and LM responses are recognized so as to be refused.
//! Not here: the dialogue (`sasl::ntlm`) and what decides (`verifier::ntlm`).

mod authenticate;
mod challenge;
pub mod crypto;
mod field;
mod flags;
mod negotiate;
mod target_info;
#[cfg(test)]
pub(crate) mod test_vectors;
pub mod text;

pub use authenticate::{Authenticate, AuthenticateParts, MIC, NtV2, Unfit};
pub use challenge::{Challenge, ChallengeParts};
pub use flags::Flags;
pub use negotiate::Negotiate;
pub use target_info::{AvFlags, AvId, TargetInfo, TargetInfoWriter};

/// What every message begins with.
pub const SIGNATURE: [u8; 8] = *b"NTLMSSP\0";

/// The octets are not the [MS-NLMP] message that was expected here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed ntlm message: {0}")]
pub struct Malformed(pub &'static str);

/// Whether this is a message of this type (1 NEGOTIATE, 2 CHALLENGE, 3 AUTHENTICATE), however
/// broken the rest may be.
pub fn is_message(octets: &[u8], kind: u32) -> bool {
    octets
        .strip_prefix(&SIGNATURE)
        .and_then(|rest| rest.get(..4))
        .is_some_and(|found| found == kind.to_le_bytes())
}

/// A moment as FILETIME: tenths of microseconds since 1601 ([MS-DTYP] section 2.3.3).
pub fn file_time(moment: crate::environment::Moment) -> [u8; 8] {
    /// Seconds from 1601-01-01 to 1970-01-01.
    const EPOCHS_APART: u64 = 11_644_473_600;
    moment
        .seconds
        .saturating_add(EPOCHS_APART)
        .saturating_mul(10_000_000)
        .saturating_add(u64::from(moment.nanoseconds / 100))
        .to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Moment;

    #[test]
    fn nlmp_2_2_2_1_file_time_counts_from_1601() {
        // 1970-01-01 is 116444736000000000 ([MS-DTYP] section 2.3.3, and every Unix port).
        let tests = [
            (0, 0, 116_444_736_000_000_000_u64),
            (1, 999_999_999, 116_444_736_019_999_999),
            // 0x01d9000000000000, the timestamp of our own vector.
            (1_669_292_798, 414_028_800, 0x01d9_0000_0000_0000),
        ];
        for (seconds, nanoseconds, ticks) in tests {
            let moment = Moment {
                seconds,
                nanoseconds,
            };
            assert_eq!(file_time(moment), ticks.to_le_bytes());
        }
        let end = Moment {
            seconds: u64::MAX,
            nanoseconds: 0,
        };
        assert_eq!(file_time(end), u64::MAX.to_le_bytes());
    }

    #[test]
    fn nlmp_2_2_a_type_is_read_behind_the_signature() {
        assert!(is_message(b"NTLMSSP\0\x02\0\0\0", 2));
        assert!(!is_message(b"NTLMSSP\0\x02\0\0\0", 3));
        assert!(!is_message(b"NTLMSSP\0\x02\0\0", 2));
        assert!(!is_message(b"ntlm supported", 2));
    }
}
