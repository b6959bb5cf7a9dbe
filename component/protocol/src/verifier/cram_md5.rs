//! CRAM-MD5 (RFC 2195): HMAC-MD5 with the key kept as its two inner states (section 4), so that the
//! password need not be.

use crate::contract::verifier::Refusal;
use md5::block_api::compress;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// State of MD5 before the first block (RFC 1321 section 3.3).
const START: [u32; 4] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476];

/// The two inner states of HMAC-MD5 under this password: outer, then inner, each as MD5 writes
/// its result. Dovecot's `{CRAM-MD5}` has the same 32 octets.
pub fn derive_cram(password: &str) -> [u8; 32] {
    // RFC 2104 section 2: a key longer than a block is hashed first.
    let mut block = Zeroizing::new([0_u8; 64]);
    let password = password.as_bytes();
    if let Some(start) = block.get_mut(..password.len()) {
        start.copy_from_slice(password);
    } else {
        block[..16].copy_from_slice(&finish(START, 0, password));
    }
    let mut key = [0; 32];
    for (half, pad) in key.chunks_exact_mut(16).zip([0x5C, 0x36]) {
        let padded = Zeroizing::new(block.map(|octet| octet ^ pad));
        let mut state = START;
        compress(&mut state, &[*padded]);
        half.copy_from_slice(&octets(state));
    }
    key
}

/// Whether `digest` (32 hex digits, R2195-2-a: in any case) answers `challenge`. `key` is what
/// [`derive_cram`] gave.
pub fn cram_md5(key: &[u8], challenge: &str, digest: &str) -> Result<(), Refusal> {
    let sent = hex(digest).ok_or(Refusal::Malformed)?;
    let (outer, inner) = key.split_at_checked(16).ok_or(Refusal::Wrong)?;
    let (outer, inner) = (
        state(outer).ok_or(Refusal::Wrong)?,
        state(inner).ok_or(Refusal::Wrong)?,
    );
    let expected = finish(outer, 64, &finish(inner, 64, challenge.as_bytes()));
    if bool::from(expected.ct_eq(&sent)) {
        Ok(())
    } else {
        Err(Refusal::Wrong)
    }
}

/// MD5 (RFC 1321 sections 3.1 to 3.5) from a state that `before` octets (whole blocks) led to.
fn finish(mut state: [u32; 4], before: u64, message: &[u8]) -> [u8; 16] {
    let (blocks, rest) = message.as_chunks::<64>();
    compress(&mut state, blocks);
    let mut tail = Zeroizing::new([0_u8; 128]);
    tail[..rest.len()].copy_from_slice(rest);
    tail[rest.len()] = 0x80;
    // The length in bits takes the last eight octets of a block.
    let end = if rest.len() < 56 { 64 } else { 128 };
    let bits = before.wrapping_add(message.len() as u64).wrapping_mul(8);
    tail[end - 8..end].copy_from_slice(&bits.to_le_bytes());
    let (blocks, _) = tail[..end].as_chunks::<64>();
    compress(&mut state, blocks);
    octets(state)
}

fn octets(state: [u32; 4]) -> [u8; 16] {
    let mut octets = [0; 16];
    for (four, word) in octets.chunks_exact_mut(4).zip(state) {
        four.copy_from_slice(&word.to_le_bytes());
    }
    octets
}

fn state(octets: &[u8]) -> Option<[u32; 4]> {
    let (words, []) = octets.as_chunks::<4>() else {
        return None;
    };
    let words: &[[u8; 4]; 4] = words.try_into().ok()?;
    Some(words.map(u32::from_le_bytes))
}

fn hex(text: &str) -> Option<[u8; 16]> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let pairs: &[[u8; 2]; 16] = pairs.try_into().ok()?;
    let mut octets = [0; 16];
    for (octet, [high, low]) in octets.iter_mut().zip(pairs) {
        let high = char::from(*high).to_digit(16)?;
        let low = char::from(*low).to_digit(16)?;
        *octet = u8::try_from(high * 16 + low).ok()?;
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ntlm::{crypto::hmac_md5, test_vectors};
    use alloc::{format, string::String};
    use md5::{Digest as _, Md5};
    use proptest::prelude::*;

    const CHALLENGE: &str = "<1896.697170952@postoffice.reston.mci.net>";
    const DIGEST: &str = "b913a602c7eda7a495b4e6e7334d3890";

    #[test]
    fn r2195_2_a_published_vector() {
        let key = derive_cram("tanstaaftanstaaf");
        assert_eq!(cram_md5(&key, CHALLENGE, DIGEST), Ok(()));
        let upper = DIGEST.to_ascii_uppercase();
        assert_eq!(cram_md5(&key, CHALLENGE, &upper), Ok(()));
    }

    #[test]
    fn r2195_2_b_key_is_that_of_dovecot() {
        // Dovecot, src/auth/test-auth.c and its documentation: password "test".
        let expected =
            test_vectors::hex("e02d374fde0dc75a17a557039a3a5338 c7743304777dccd376f332bee68d2cf6");
        assert_eq!(derive_cram("test")[..], expected);
    }

    #[test]
    fn r2195_2_a_wrong_digest_challenge_or_key_is_refused() {
        let key = derive_cram("tanstaaftanstaaf");
        let wrong = Err(Refusal::Wrong);
        for at in 0..32 {
            let mut digest = String::from(DIGEST);
            let other = if &DIGEST[at..=at] == "0" { "1" } else { "0" };
            digest.replace_range(at..=at, other);
            assert_eq!(cram_md5(&key, CHALLENGE, &digest), wrong);
        }
        assert_eq!(cram_md5(&key, &CHALLENGE[1..], DIGEST), wrong);
        let other = derive_cram("tanstaaftanstaaf ");
        assert_eq!(cram_md5(&other, CHALLENGE, DIGEST), wrong);
        for length in 0..32 {
            assert_eq!(cram_md5(&key[..length], CHALLENGE, DIGEST), wrong);
        }
        assert_eq!(cram_md5(&[0; 33], CHALLENGE, DIGEST), wrong);
    }

    #[test]
    fn r2195_2_a_digest_is_32_hex_digits() {
        let key = derive_cram("tanstaaftanstaaf");
        let malformed = Err(Refusal::Malformed);
        let long = format!("{DIGEST}00");
        for digest in [
            "",
            &DIGEST[1..],
            &DIGEST[2..],
            &long,
            "+913a602c7eda7a495b4e6e7334d3890",
        ] {
            assert_eq!(cram_md5(&key, CHALLENGE, digest), malformed);
        }
    }

    proptest! {
        #[test]
        fn r2195_4_states_give_what_the_password_gives(
            password in ".{0,90}", challenge in ".{0,200}",
        ) {
            let expected = hmac_md5(password.as_bytes(), &[challenge.as_bytes()]);
            let digest: String = expected.iter().map(|octet| format!("{octet:02x}")).collect();
            prop_assert_eq!(cram_md5(&derive_cram(&password), &challenge, &digest), Ok(()));
        }

        #[test]
        fn rfc_1321_finish_is_md5(message in proptest::collection::vec(any::<u8>(), 0..300)) {
            let expected: [u8; 16] = Md5::digest(&message).into();
            prop_assert_eq!(finish(START, 0, &message), expected);
        }
    }
}
