//! The arithmetic of NTLMv2 ([MS-NLMP] section 3.3.2) and what it is made of.

use super::{Flags, MIC, text};
use alloc::vec::Vec;
use hmac::{Hmac, KeyInit, Mac};
use md4::Md4;
use md5::{Digest, Md5};
use zeroize::Zeroizing;

/// A key that is wiped when it is done.
pub type Key = Zeroizing<[u8; 16]>;

/// The NT hash: MD4 of the UTF-16LE password ([MS-NLMP] section 3.3.1, NTOWFv1).
pub fn nt_hash(password: &str) -> [u8; 16] {
    let password = Zeroizing::new(text::utf16le(password));
    Md4::digest(&*password).into()
}

/// NTOWFv2 (NLMP-3.3.2-a): the user in upper case, the domain as sent.
pub fn ntowf_v2(nt_hash: &[u8], user: &str, domain: &str) -> Key {
    let user = text::utf16le(&text::upper(user));
    Key::new(hmac_md5(nt_hash, &[&user, &text::utf16le(domain)]))
}

/// NTProofStr (NLMP-3.3.2-b); `proven` is the NTLMv2 response from octet 16.
pub fn nt_proof(ntowf_v2: &Key, server_challenge: &[u8; 8], proven: &[u8]) -> [u8; 16] {
    hmac_md5(&**ntowf_v2, &[server_challenge, proven])
}

/// Session base key, which is the key exchange key of NTLMv2 (NLMP-3.3.2-c).
pub fn session_base_key(ntowf_v2: &Key, nt_proof: &[u8; 16]) -> Key {
    Key::new(hmac_md5(&**ntowf_v2, &[nt_proof]))
}

/// Exported session key (NLMP-3.3.2-c): what the MIC is made with.
pub fn exported_session_key(base: &Key, flags: Flags, session_key: &[u8]) -> Key {
    match <[u8; 16]>::try_from(session_key) {
        Ok(mut key) if flags.has(Flags::KEY_EXCH) => {
            rc4(&**base, &mut key);
            Key::new(key)
        }
        _ => base.clone(),
    }
}

/// MIC (NLMP-3.2.5-c) over the exact octets of the three messages; those at [`MIC`] of the
/// AUTHENTICATE count as zeros. A message that is too short for a MIC gets none.
pub fn mic(
    exported_session_key: &Key,
    negotiate: &[u8],
    challenge: &[u8],
    authenticate: &[u8],
) -> Option<[u8; 16]> {
    let (head, tail) = (authenticate.get(..MIC.start)?, authenticate.get(MIC.end..)?);
    Some(hmac_md5(
        &**exported_session_key,
        &[negotiate, challenge, head, &[0; 16], tail],
    ))
}

/// LMv2 response (NLMP-3.3.2-d).
pub fn lm_v2(ntowf_v2: &Key, server_challenge: &[u8; 8], client_challenge: &[u8; 8]) -> [u8; 24] {
    let mut response = [0; 24];
    let proof = hmac_md5(&**ntowf_v2, &[server_challenge, client_challenge]);
    response[..16].copy_from_slice(&proof);
    response[16..].copy_from_slice(client_challenge);
    response
}

/// Hashed channel bindings of tls-server-end-point (NLMP-3.2.5-f): MD5 of a
/// `gss_channel_bindings_struct` (RFC 2744 section 3.11, RFC 4121 section 4.1.1.2) without
/// addresses. `end_point` is the hash of the server's certificate (RFC 5929 section 4.1).
pub fn channel_bindings(end_point: &[u8]) -> [u8; 16] {
    const PREFIX: &[u8] = b"tls-server-end-point:";
    let mut application = Vec::with_capacity(PREFIX.len() + end_point.len());
    application.extend_from_slice(PREFIX);
    application.extend_from_slice(end_point);
    // A hash has at most 64 octets.
    let length = u32::try_from(application.len()).unwrap_or(u32::MAX);
    Md5::new()
        .chain_update([0; 16])
        .chain_update(length.to_le_bytes())
        .chain_update(&application)
        .finalize()
        .into()
}

/// HMAC-MD5 (RFC 2104) of the parts, one after the other.
pub fn hmac_md5(key: &[u8], parts: &[&[u8]]) -> [u8; 16] {
    let mut mac = Hmac::<Md5>::new_from_slice(key).expect("RFC 2104 takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// RC4, on the spot. Broken as a cipher; here it unwraps one random key under a key of one use
/// ([MS-NLMP] section 3.4.4).
pub fn rc4(key: &[u8], data: &mut [u8]) {
    if key.is_empty() {
        return;
    }
    let mut state = Zeroizing::new([0_u8; 256]);
    for (place, value) in state.iter_mut().zip(0..=255) {
        *place = value;
    }
    let mut j = 0_u8;
    for i in 0..256 {
        j = j.wrapping_add(state[i]).wrapping_add(key[i % key.len()]);
        state.swap(i, usize::from(j));
    }
    let (mut i, mut j) = (0_u8, 0_u8);
    for octet in data {
        i = i.wrapping_add(1);
        j = j.wrapping_add(state[usize::from(i)]);
        state.swap(usize::from(i), usize::from(j));
        let at = state[usize::from(i)].wrapping_add(state[usize::from(j)]);
        *octet ^= state[usize::from(at)];
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_vectors as vectors;
    use super::*;
    use alloc::vec;
    use vectors::hex;

    // NLMP-3.3.2-a, NLMP-3.3.2-b, NLMP-3.3.2-c, NLMP-3.3.2-d
    #[test]
    fn nlmp_4_2_4_published_values() {
        let nt = nt_hash("Password");
        assert_eq!(nt[..], hex("a4f49c406510bdcab6824ee7c30fd852"));
        let ntowf = ntowf_v2(&nt, "User", "Domain");
        assert_eq!(ntowf[..], hex("0c868a403bfd7a93a3001ef22ef02e3f"));
        let pairs =
            hex("02000c0044006f006d00610069006e0001000c005300650072007600650072000000 0000");
        let proven = super::super::NtV2::proven([0; 8], [0xAA; 8], &pairs);
        // 4.2.4.2.2: the response is 84 octets.
        assert_eq!(proven.len() + 16, 84);
        let proof = nt_proof(&ntowf, &vectors::SERVER_CHALLENGE, &proven);
        assert_eq!(proof, vectors::NT_PROOF);
        let base = session_base_key(&ntowf, &proof);
        assert_eq!(base[..], hex("8de40ccadbc14a82f15cb0ad0de95ca3"));
        assert_eq!(
            lm_v2(&ntowf, &vectors::SERVER_CHALLENGE, &[0xAA; 8])[..],
            hex("86c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa")
        );
        let exported =
            exported_session_key(&base, Flags::KEY_EXCH, &vectors::ENCRYPTED_SESSION_KEY);
        assert_eq!(*exported, [0x55; 16]);
    }

    #[test]
    fn nlmp_our_own_vector_values() {
        let end_point: Vec<u8> = (0..32).collect();
        assert_eq!(channel_bindings(&end_point), vectors::OWN_BINDINGS);
        let ntowf = ntowf_v2(&nt_hash("Password"), "User", "Domain");
        let authenticate = vectors::authenticate();
        let response = &authenticate[144..];
        let proof = nt_proof(&ntowf, &vectors::SERVER_CHALLENGE, &response[16..]);
        assert_eq!(proof, vectors::OWN_PROOF);
        let base = session_base_key(&ntowf, &proof);
        assert_eq!(base[..], hex("e1428edd07b58e2f09b46d4eed13cf99"));
        let found = mic(
            &base,
            &vectors::negotiate(),
            &vectors::challenge(),
            &authenticate,
        );
        assert_eq!(found, Some(vectors::OWN_MIC));
        assert_eq!(mic(&base, b"", b"", &authenticate[..87]), None);
    }

    #[test]
    fn nlmp_3_3_2_c_key_exchange_needs_flag_and_sixteen_octets() {
        let base = Key::new([7; 16]);
        assert_eq!(exported_session_key(&base, Flags::KEY_EXCH, &[1; 15]), base);
        assert_eq!(exported_session_key(&base, Flags::KEY_EXCH, &[]), base);
        assert_eq!(exported_session_key(&base, Flags::SIGN, &[1; 16]), base);
        assert_ne!(exported_session_key(&base, Flags::KEY_EXCH, &[1; 16]), base);
    }

    #[test]
    fn rc4_gives_the_known_streams() {
        // RFC 6229 section 2, key 0102030405, offset 0; and the classic "Key"/"Plaintext".
        let mut stream = vec![0; 16];
        rc4(&[1, 2, 3, 4, 5], &mut stream);
        assert_eq!(stream, hex("b2396305f03dc027ccc3524a0a1118a8"));
        let mut text = *b"Plaintext";
        rc4(b"Key", &mut text);
        assert_eq!(text[..], hex("bbf316e8d940af0ad3"));
        rc4(b"", &mut text);
        assert_eq!(text[..], hex("bbf316e8d940af0ad3"));
    }
}
