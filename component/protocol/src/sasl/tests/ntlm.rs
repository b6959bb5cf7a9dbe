use super::*;
use crate::ntlm::{AvId, Challenge, Flags};
use alloc::vec::Vec;

fn malformed() -> ServerStep {
    ServerStep::Refuse(SaslRefusal::Malformed)
}

/// The CHALLENGE for a NEGOTIATE with these flags.
fn challenge(flags: u32) -> Vec<u8> {
    let mut negotiate = vectors::negotiate();
    negotiate[12..16].copy_from_slice(&flags.to_le_bytes());
    match start(Mechanism::Ntlm, Some(&negotiate)).1 {
        ServerStep::Challenge(challenge) => challenge,
        step => panic!("{step:?}"),
    }
}

/// What an AUTHENTICATE comes to after our own NEGOTIATE.
fn judged(authenticate: &[u8]) -> ServerStep {
    let (exchange, _) = start(Mechanism::Ntlm, Some(&vectors::negotiate()));
    respond(&mut parked(&exchange), authenticate)
}

#[test]
fn sntlm_2_2_1_1_negotiate_is_answered_with_our_own_challenge() {
    let (exchange, step) = start(Mechanism::Ntlm, Some(&vectors::negotiate()));
    assert_eq!(step, ServerStep::Challenge(vectors::challenge()));
    let step = respond(&mut parked(&exchange), &vectors::authenticate());
    let ServerStep::Ask(Question::Ntlm(response)) = step else {
        panic!("{step:?}");
    };
    assert_eq!(response.user, "User");
    assert_eq!(response.domain, "Domain");
    assert_eq!(response.workstation, "COPIER");
    assert_eq!(response.server_challenge, vectors::SERVER_CHALLENGE);
    assert_eq!(response.nt_response, vectors::authenticate()[144..]);
    assert_eq!(response.negotiate, vectors::negotiate());
    assert_eq!(response.challenge, vectors::challenge());
    assert_eq!(response.authenticate, vectors::authenticate());
}

#[test]
fn sntlm_2_2_1_2_ntlm_alone_is_supported() {
    let (exchange, step) = start(Mechanism::Ntlm, None);
    assert_eq!(step, ServerStep::Text("ntlm supported"));
    let step = respond(&mut parked(&exchange), &vectors::negotiate());
    assert_eq!(step, ServerStep::Challenge(vectors::challenge()));
}

#[test]
fn sntlm_2_2_1_5_messages_out_of_order_are_malformed() {
    let (_, step) = start(Mechanism::Ntlm, Some(&vectors::authenticate()));
    assert_eq!(step, malformed());
    // `AUTH NTLM =`
    assert_eq!(start(Mechanism::Ntlm, Some(b"")).1, malformed());
    assert_eq!(judged(&vectors::negotiate()), malformed());
    assert_eq!(judged(&vectors::challenge()), malformed());
    let (mut exchange, _) = start(Mechanism::Ntlm, Some(&vectors::negotiate()));
    respond(&mut exchange, &vectors::authenticate());
    assert_eq!(
        respond(&mut exchange, &vectors::authenticate()),
        malformed()
    );
}

#[test]
fn nlmp_2_2_a_truncated_messages_are_malformed() {
    let whole = vectors::negotiate();
    for length in 0..16 {
        let (_, step) = start(Mechanism::Ntlm, Some(&whole[..length]));
        assert_eq!(step, malformed(), "{length}");
    }
    let whole = vectors::authenticate();
    for length in 0..whole.len() {
        assert_eq!(judged(&whole[..length]), malformed(), "{length}");
    }
}

#[test]
fn nlmp_2_2_1_2_flags_are_what_is_offered_and_asked_for() {
    let always = Flags(0x008A_8200);
    for (asked, answered) in [
        (0, always | Flags::OEM),
        (0x1, always | Flags::UNICODE),
        // Everything: LM_KEY, SEAL, ANONYMOUS and what is unknown are not agreed to.
        (u32::MAX, always | Flags(0xE200_0015)),
        (0x0008_8206, always | Flags(0x6)),
    ] {
        let octets = challenge(asked);
        let challenge = Challenge::parse(&octets).expect("a challenge");
        assert_eq!(challenge.flags, answered, "{asked:x}");
        // VERSION, only for those who ask.
        let version = octets[48..56] != [0; 8];
        assert_eq!(version, answered.has(Flags::VERSION));
    }
}

#[test]
fn nlmp_2_2_1_2_challenge_is_new_for_each_exchange() {
    let mut env = crate::environment::Fixed::default();
    let mut seen: Vec<Vec<u8>> = Vec::new();
    for _ in 0..20 {
        let negotiate = vectors::negotiate();
        let (_, step) = ServerExchange::start(Mechanism::Ntlm, Some(&negotiate), &SERVER, &mut env);
        let ServerStep::Challenge(octets) = step else {
            panic!("{step:?}");
        };
        let server_challenge = octets[24..32].to_vec();
        assert!(!seen.contains(&server_challenge));
        seen.push(server_challenge);
    }
}

#[test]
fn nlmp_2_2_2_1_target_info_is_always_there_and_in_order() {
    for flags in [0, 0xA008_8205, u32::MAX] {
        let octets = challenge(flags);
        let info = Challenge::parse(&octets)
            .expect("a challenge")
            .target_info
            .expect("target info");
        let ids: Vec<u16> = info.pairs().map(|(id, _)| id.0).collect();
        assert_eq!(ids, [2, 1, 4, 3, 7]);
        let now = 0x01d9_0000_0000_0000_u64.to_le_bytes();
        assert_eq!(info.timestamp(), Some(now));
        assert_eq!(
            info.value(AvId::NETBIOS_COMPUTER),
            Some(&b"M\0A\0I\0L\0"[..])
        );
    }
}

#[test]
fn nlmp_2_2_2_5_target_name_without_unicode_is_ascii() {
    // The field at 12: length, and 56 as offset.
    let octets = challenge(0x0008_8206);
    assert_eq!(octets[12..20], [4, 0, 4, 0, 56, 0, 0, 0]);
    assert_eq!(&octets[56..60], b"MAIL");
    // Not asked for: none.
    let octets = challenge(0x0008_8202);
    assert_eq!(octets[12..20], [0, 0, 0, 0, 56, 0, 0, 0]);
}

#[test]
fn nlmp_3_2_5_a_versions_below_two_are_too_weak() {
    let too_weak = ServerStep::Refuse(SaslRefusal::TooWeak);
    let mut message = vectors::authenticate();
    for length in [24_u16, 0] {
        message[20..22].copy_from_slice(&length.to_le_bytes());
        assert_eq!(judged(&message), too_weak, "{length}");
    }
}

#[test]
fn nlmp_3_2_5_b_anonymous_is_wrong() {
    let wrong = ServerStep::Refuse(SaslRefusal::NtlmWrong);
    let mut message = vectors::authenticate();
    message[61] |= 0x08;
    assert_eq!(judged(&message), wrong);
    let mut message = vectors::authenticate();
    message[20..22].fill(0);
    message[36..38].fill(0);
    assert_eq!(judged(&message), wrong);
}
