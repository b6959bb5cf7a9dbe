use super::super::test_vectors as vectors;
use super::*;
use proptest::prelude::*;

fn parse(octets: &[u8]) -> Result<Authenticate<'_>, Malformed> {
    Authenticate::parse(octets, Flags::UNICODE)
}

#[test]
fn nlmp_2_2_1_3_published_message_is_read() {
    let octets = vectors::published_authenticate();
    let message = parse(&octets).expect("a message");
    assert_eq!(message.user, "User");
    assert_eq!(message.domain, "Domain");
    assert_eq!(message.workstation, "COMPUTER");
    assert_eq!(message.nt_response.len(), 84);
    assert_eq!(message.session_key, vectors::ENCRYPTED_SESSION_KEY);
    // NLMP-2.2-b: its payload begins at 72, where a MIC would be.
    assert_eq!(message.mic, None);
    let response = message.response().expect("a v2 response");
    assert_eq!(response.proof, vectors::NT_PROOF);
}

#[test]
fn nlmp_2_2_1_3_our_own_vector_is_read() {
    let octets = vectors::authenticate();
    let message = parse(&octets).expect("a message");
    assert_eq!(message.workstation, "COPIER");
    assert_eq!(message.mic, Some(vectors::OWN_MIC));
    let response = message.response().expect("a v2 response");
    assert_eq!(response.proof, vectors::OWN_PROOF);
    let pairs = &response.target_info;
    assert_eq!(pairs.channel_bindings(), Some(vectors::OWN_BINDINGS));
}

#[test]
fn nlmp_2_2_a_every_truncation_is_malformed() {
    for whole in [vectors::published_authenticate(), vectors::authenticate()] {
        for length in 0..whole.len() {
            assert!(parse(&whole[..length]).is_err(), "{length}");
        }
    }
}

#[test]
fn nlmp_2_2_a_every_field_lies_inside_the_message() {
    let whole = vectors::authenticate();
    for at in [12, 20, 28, 36, 44, 52] {
        for offset in [373_u32, u32::MAX, 0, 20] {
            let mut message = whole.clone();
            message[at..at + 2].copy_from_slice(&2_u16.to_le_bytes());
            message[at + 4..at + 8].copy_from_slice(&offset.to_le_bytes());
            assert!(parse(&message).is_err(), "{at} {offset}");
            // Length 0 may point anywhere.
            message[at..at + 2].fill(0);
            assert!(parse(&message).is_ok(), "{at} {offset}");
        }
    }
}

/// A message of an old client: five fields, then as much header as `header` says.
fn old(header: usize) -> std::vec::Vec<u8> {
    let whole = vectors::authenticate();
    let mut message = whole[..header.min(52)].to_vec();
    message.extend_from_slice(&whole[52..header]);
    if header >= 60 {
        message[56..60].fill(0);
    }
    message.extend_from_slice(&whole[88..]);
    for at in [12, 20, 28, 36, 44] {
        let offset = u32_at(&whole, at + 4).expect("an offset") - 88 + header as u32;
        message[at + 4..at + 8].copy_from_slice(&offset.to_le_bytes());
    }
    message
}

#[test]
fn nlmp_2_2_b_header_ends_where_the_payload_begins() {
    for header in [52, 64, 72] {
        let message = old(header);
        let read = parse(&message).expect("a message");
        assert_eq!((read.user.as_str(), read.mic), ("User", None), "{header}");
        assert!(read.response().is_ok());
    }
    // One octet too early, and there is no MIC.
    let mut message = vectors::authenticate();
    message[48..52].copy_from_slice(&87_u32.to_le_bytes());
    assert_eq!(parse(&message).expect("a message").mic, None);
}

#[test]
fn nlmp_2_2_2_5_names_without_unicode_are_single_octets() {
    let mut message = vectors::authenticate();
    message[60..64].copy_from_slice(&0x0008_8206_u32.to_le_bytes());
    let read = parse(&message).expect("a message");
    assert_eq!(read.user, "U\0s\0e\0r\0");
    // Neither set: as the CHALLENGE said.
    message[60..64].copy_from_slice(&0x0008_8204_u32.to_le_bytes());
    assert_eq!(parse(&message).expect("a message").user, "User");
    let read = Authenticate::parse(&message, Flags::OEM).expect("a message");
    assert_eq!(read.user, "U\0s\0e\0r\0");
}

#[test]
fn nlmp_2_2_2_5_names_that_are_not_utf_16_are_malformed() {
    let whole = vectors::authenticate();
    for (at, is_read) in [(88, false), (100, false), (108, true)] {
        let mut message = whole.clone();
        message[at..at + 2].copy_from_slice(&[0x00, 0xD8]);
        assert_eq!(parse(&message).is_ok(), is_read, "{at}");
    }
}

#[test]
fn nlmp_3_2_5_a_and_b_tell_what_is_no_proof() {
    let whole = vectors::authenticate();
    let mut message = whole.clone();
    message[20..22].copy_from_slice(&24_u16.to_le_bytes());
    let downgraded = parse(&message).expect("a message").response();
    assert_eq!(downgraded, Err(Unfit::Downgraded));
    message[20..22].fill(0);
    let lm_alone = parse(&message).expect("a message").response();
    assert_eq!(lm_alone, Err(Unfit::Downgraded));
    message[36..38].fill(0);
    let nobody = parse(&message).expect("a message").response();
    assert_eq!(nobody, Err(Unfit::Anonymous));
    let mut message = whole.clone();
    message[61] |= 0x08;
    let flagged = parse(&message).expect("a message").response();
    assert_eq!(flagged, Err(Unfit::Anonymous));
    // A response that is neither 24 octets nor a whole NTLMv2 response.
    for length in (1_u16..228 - 7).filter(|length| *length != 24) {
        let mut message = whole.clone();
        message[20..22].copy_from_slice(&length.to_le_bytes());
        let response = parse(&message).expect("a message").response();
        // 44 octets: a response without AV pairs.
        if length == 44 {
            assert!(response.is_ok());
        } else {
            assert!(matches!(response, Err(Unfit::Malformed(_))), "{length}");
        }
    }
}

proptest! {
    #[test]
    fn nlmp_2_2_a_arbitrary_octets_never_panic(
        tail in proptest::collection::vec(any::<u8>(), 0..200),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
    ) {
        let mut garbled = vectors::authenticate();
        for (at, octet) in changes {
            let at = at.index(garbled.len());
            garbled[at] = octet;
        }
        let mut short = std::vec::Vec::from(*b"NTLMSSP\0\x03\0\0\0");
        short.extend_from_slice(&tail);
        for octets in [garbled, short, tail] {
            if let Ok(message) = parse(&octets) {
                let _ = message.response();
            }
            let _ = super::super::Challenge::parse(&octets);
            let _ = super::super::Negotiate::parse(&octets);
            let _ = TargetInfo::parse(&octets);
        }
    }
}
