//! CHUNKING: the argument of BDAT (RFC 3030 section 2).

use super::parameter::number;
use crate::smtp::{is_white_space, trim_end, trim_start};

/// The EHLO keyword.
pub const CHUNKING: &str = "CHUNKING";

/// `chunk-size [LAST]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// Octets that follow the command line.
    pub octets: u64,
    /// LAST: the message ends with this chunk.
    pub last: bool,
}

/// Why an argument announces no chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChunkDefect {
    /// Where the chunk ends is unknown: nothing after it can be read (R3030-2-f).
    #[error("chunk size is no number up to 2^63")]
    Size,
    /// Something other than LAST follows the size, which is still that of the chunk (R3030-2-c).
    #[error("LAST or nothing must follow the size of the chunk")]
    NotLast {
        /// Octets that follow the command line.
        octets: u64,
    },
}

/// Reads everything after `BDAT`.
pub fn chunk(argument: &[u8]) -> Result<Chunk, ChunkDefect> {
    const MOST: u64 = 1 << 63;
    let argument = trim_end(trim_start(argument));
    let end = argument.iter().position(|octet| is_white_space(*octet));
    let (size, marker) = argument.split_at(end.unwrap_or(argument.len()));
    // R3030-2-f. Twenty digits, as RFC 3030 section 2 has it.
    let octets = number(size, 20)
        .filter(|octets| *octets <= MOST)
        .ok_or(ChunkDefect::Size)?;
    match trim_start(marker) {
        [] => Ok(Chunk {
            octets,
            last: false,
        }),
        marker if marker.eq_ignore_ascii_case(b"LAST") => Ok(Chunk { octets, last: true }),
        _ => Err(ChunkDefect::NotLast { octets }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r3030_2_a_size_and_last() {
        let of = |octets, last| Ok(Chunk { octets, last });
        assert_eq!(chunk(b"1000"), of(1000, false));
        assert_eq!(chunk(b" 86  last "), of(86, true));
        assert_eq!(chunk(b"0 LAST"), of(0, true));
        assert_eq!(chunk(b"9223372036854775808"), of(1 << 63, false));
    }

    #[test]
    fn r3030_2_f_a_size_that_is_none() {
        for bad in [
            &b""[..],
            b"LAST",
            b"-1",
            b"+1",
            b"1x",
            b"0x10",
            b"5\x01 LAST",
            b"9223372036854775809",
            b"18446744073709551616",
            b"000000000000000000001",
        ] {
            assert_eq!(chunk(bad), Err(ChunkDefect::Size), "{bad:?}");
        }
    }

    #[test]
    fn r3030_2_c_the_size_is_known_even_if_the_rest_is_bad() {
        let bad = Err(ChunkDefect::NotLast { octets: 7 });
        assert_eq!(chunk(b"7 FIRST"), bad);
        assert_eq!(chunk(b"7 LAST LAST"), bad);
    }
}
