use super::*;
use crate::ntlm::{AuthenticateParts, Flags, MIC, TargetInfoWriter, test_vectors as vectors};
use alloc::{string::String, vec::Vec};
use proptest::prelude::*;

const LENIENT: NtlmPolicy = NtlmPolicy {
    require_integrity: false,
    require_binding: false,
};
const STRICT: NtlmPolicy = NtlmPolicy {
    require_integrity: true,
    require_binding: true,
};

/// What an honest session says of these messages; of what it cannot read, the octets alone.
fn record([negotiate, challenge, authenticate]: [Vec<u8>; 3]) -> NtlmResponse {
    let flags = Challenge::parse(&challenge).map_or(Flags::UNICODE, |it| it.flags);
    let server_challenge = Challenge::parse(&challenge).map(|it| it.server_challenge.to_vec());
    let message = Authenticate::parse(&authenticate, flags);
    let (user, domain, nt_response) = message
        .map(|it| (it.user, it.domain, it.nt_response.to_vec()))
        .unwrap_or_default();
    NtlmResponse {
        user,
        domain,
        workstation: String::new(),
        server_challenge: server_challenge.unwrap_or_default(),
        nt_response,
        negotiate,
        challenge,
        authenticate,
    }
}

fn own() -> [Vec<u8>; 3] {
    [
        vectors::negotiate(),
        vectors::challenge(),
        vectors::authenticate(),
    ]
}

/// The certificate that our own vector is bound to.
fn facts() -> TlsFacts {
    TlsFacts {
        server_end_point: Some((0..32).collect()),
        ..TlsFacts::default()
    }
}

fn check(
    messages: [Vec<u8>; 3],
    facts: Option<&TlsFacts>,
    policy: NtlmPolicy,
) -> Result<(), Refusal> {
    ntlm(&derive_nt("Password"), &record(messages), facts, policy)
}

/// An AUTHENTICATE for our own CHALLENGE, made from these.
struct Made {
    flags: Flags,
    hashed_domain: &'static str,
    pairs: Vec<(AvId, Vec<u8>)>,
    room_for_mic: bool,
}

impl Default for Made {
    fn default() -> Self {
        Self {
            flags: Flags::UNICODE | Flags::NTLM,
            hashed_domain: "Domain",
            pairs: Vec::new(),
            room_for_mic: false,
        }
    }
}

impl Made {
    fn with(id: AvId, value: &[u8]) -> Self {
        Self {
            pairs: alloc::vec![(id, value.to_vec())],
            ..Self::default()
        }
    }

    fn messages(&self) -> [Vec<u8>; 3] {
        let mut list = TargetInfoWriter::new();
        for (id, value) in &self.pairs {
            list.pair(*id, value);
        }
        let proven = NtV2::proven([0; 8], [0xAA; 8], &list.finish());
        let ntowf = crypto::ntowf_v2(&derive_nt("Password"), "User", self.hashed_domain);
        let proof = crypto::nt_proof(&ntowf, &vectors::SERVER_CHALLENGE, &proven);
        let name = |name| {
            if self.flags.has(Flags::UNICODE) {
                text::utf16le(name)
            } else {
                text::oem(name)
            }
        };
        let authenticate = AuthenticateParts {
            flags: self.flags,
            domain: &name("Domain"),
            user: &name("User"),
            workstation: &name("COPIER"),
            lm_response: &[0; 24],
            nt_response: &[&proof, proven.as_slice()].concat(),
            mic: self.room_for_mic,
        }
        .write();
        [vectors::negotiate(), vectors::challenge(), authenticate]
    }
}

#[test]
fn nlmp_4_2_4_published_message_is_accepted() {
    // [MS-NLMP] shows no NEGOTIATE; without a MIC nothing depends on it.
    let messages = [
        vectors::negotiate(),
        vectors::published_challenge(),
        vectors::published_authenticate(),
    ];
    assert_eq!(check(messages.clone(), None, LENIENT), Ok(()));
    let record = record(messages);
    let other = ntlm(&derive_nt("password"), &record, None, LENIENT);
    assert_eq!(other, Err(Refusal::Wrong));
}

#[test]
fn nlmp_3_2_5_c_our_own_vector_is_accepted_with_mic_and_binding() {
    assert_eq!(check(own(), Some(&facts()), STRICT), Ok(()));
}

#[test]
fn nlmp_3_3_2_c_key_exchange_of_another_client_is_accepted() {
    let nt = derive_nt("Pässword");
    let record = record(vectors::pyspnego());
    assert_eq!(
        (record.domain.as_str(), record.user.as_str()),
        ("EXAMPLE", "jürgen")
    );
    assert_eq!(ntlm(&nt, &record, Some(&facts()), STRICT), Ok(()));
    // The last 16 octets are the session key: the proof stands, the MIC does not.
    let mut messages = vectors::pyspnego();
    if let Some(last) = messages[2].last_mut() {
        *last ^= 1;
    }
    let other = ntlm(&nt, &self::record(messages), Some(&facts()), STRICT);
    assert_eq!(other, Err(Refusal::Integrity));
}

#[test]
fn nlmp_3_2_5_c_no_octet_of_the_three_messages_can_be_changed() {
    let facts = facts();
    for which in 0..3 {
        for at in 0..own()[which].len() {
            for bit in [0x01, 0x20, 0x80] {
                let mut messages = own();
                messages[which][at] ^= bit;
                let result = check(messages, Some(&facts), LENIENT);
                assert!(result.is_err(), "{which} {at} {bit}");
            }
        }
    }
}

#[test]
fn nlmp_2_2_a_truncated_messages_are_malformed() {
    for which in 0..3 {
        for length in 0..own()[which].len() {
            let mut messages = own();
            messages[which].truncate(length);
            let result = check(messages, None, LENIENT);
            // NLMP-2.2-b: a NEGOTIATE of 16 or 24 octets is one, but not the one of the MIC.
            let short = which == 0 && [16, 24].contains(&length);
            let expected = if short {
                Refusal::Integrity
            } else {
                Refusal::Malformed
            };
            assert_eq!(result, Err(expected), "{which} {length}");
        }
    }
}

#[test]
fn nlmp_3_2_5_h_recorded_authenticate_fails_in_a_new_exchange() {
    let mut messages = own();
    messages[1][24] ^= 1;
    assert_eq!(
        check(messages, Some(&facts()), LENIENT),
        Err(Refusal::Wrong)
    );
    // Without a MIC too.
    let mut messages = Made::default().messages();
    assert_eq!(check(messages.clone(), None, LENIENT), Ok(()));
    messages[1][31] ^= 1;
    assert_eq!(check(messages, None, LENIENT), Err(Refusal::Wrong));
}

#[test]
fn nlmp_3_2_5_session_is_not_believed() {
    let nt = derive_nt("Password");
    let changes: [fn(&mut NtlmResponse); 5] = [
        |it| it.user = "Other".into(),
        |it| it.user = "user".into(),
        |it| it.domain.clear(),
        |it| it.nt_response[0] ^= 1,
        |it| it.server_challenge[7] ^= 1,
    ];
    for change in changes {
        let mut record = record(own());
        change(&mut record);
        let result = ntlm(&nt, &record, Some(&facts()), LENIENT);
        assert_eq!(result, Err(Refusal::Malformed));
    }
}

#[test]
fn nlmp_3_2_5_a_and_b_versions_below_two_and_nobody_are_refused() {
    let with_nt_length = |length: u16| {
        let mut messages = own();
        messages[2][20..22].copy_from_slice(&length.to_le_bytes());
        messages
    };
    let result = check(with_nt_length(24), None, LENIENT);
    assert_eq!(result, Err(Refusal::Downgraded));
    let mut messages = with_nt_length(0);
    let result = check(messages.clone(), None, LENIENT);
    assert_eq!(result, Err(Refusal::Downgraded));
    messages[2][36..38].fill(0);
    assert_eq!(check(messages, None, LENIENT), Err(Refusal::Anonymous));
    assert_eq!(
        check(with_nt_length(40), None, LENIENT),
        Err(Refusal::Malformed)
    );
}

#[test]
fn nlmp_3_2_5_d_message_without_mic_is_accepted_unless_required() {
    let messages = Made::default().messages();
    let demanding = NtlmPolicy {
        require_integrity: true,
        ..LENIENT
    };
    assert_eq!(check(messages.clone(), None, LENIENT), Ok(()));
    assert_eq!(check(messages, None, demanding), Err(Refusal::Integrity));
    assert_eq!(check(own(), None, demanding), Ok(()));
}

#[test]
fn nlmp_3_2_5_c_announced_mic_that_is_absent_is_refused() {
    for room_for_mic in [false, true] {
        let made = Made {
            room_for_mic,
            ..Made::with(AvId::FLAGS, &AvFlags::MIC.0.to_le_bytes())
        };
        let result = check(made.messages(), None, LENIENT);
        assert_eq!(result, Err(Refusal::Integrity));
    }
    // An unannounced one is no MIC, whatever it is.
    let made = Made {
        room_for_mic: true,
        ..Made::default()
    };
    let mut messages = made.messages();
    messages[2][MIC].fill(7);
    assert_eq!(check(messages, None, LENIENT), Ok(()));
}

#[test]
fn nlmp_3_2_5_e_domain_left_out_of_the_hash_is_accepted() {
    for (hashed_domain, expected) in [
        ("Domain", Ok(())),
        ("", Ok(())),
        ("DOMAIN", Err(Refusal::Wrong)),
        ("Other", Err(Refusal::Wrong)),
    ] {
        let made = Made {
            hashed_domain,
            ..Made::default()
        };
        assert_eq!(check(made.messages(), None, LENIENT), expected);
    }
}

#[test]
fn nlmp_3_2_5_f_binding_must_be_that_of_the_connection() {
    let binding = NtlmPolicy {
        require_binding: true,
        ..LENIENT
    };
    let other = TlsFacts {
        server_end_point: Some((1..33).collect()),
        ..TlsFacts::default()
    };
    let unknown = TlsFacts::default();
    let facts = facts();
    let bound = Made::with(AvId::CHANNEL_BINDINGS, &vectors::OWN_BINDINGS).messages();
    let zero = Made::with(AvId::CHANNEL_BINDINGS, &[0; 16]).messages();
    let absent = Made::default().messages();
    let wrong = Err(Refusal::Binding);
    for (messages, facts, policy, expected) in [
        (&bound, Some(&facts), binding, Ok(())),
        (&bound, Some(&other), LENIENT, wrong),
        (&bound, Some(&unknown), LENIENT, wrong),
        (&bound, None, binding, Ok(())),
        (&zero, Some(&facts), LENIENT, Ok(())),
        (&zero, Some(&facts), binding, wrong),
        (&absent, Some(&facts), LENIENT, Ok(())),
        (&absent, Some(&facts), binding, wrong),
        (&absent, None, binding, Ok(())),
    ] {
        assert_eq!(check(messages.clone(), facts, policy), expected);
    }
}

#[test]
fn nlmp_2_2_2_5_client_without_unicode_is_accepted() {
    let made = Made {
        flags: Flags(0x0008_8206),
        ..Made::default()
    };
    assert_eq!(check(made.messages(), None, LENIENT), Ok(()));
}

#[test]
fn nlmp_3_2_5_nt_hash_of_a_wrong_length_lets_nobody_in() {
    let record = record(own());
    let nt = derive_nt("Password");
    for length in (0..16).chain([17]) {
        let mut nt = nt.to_vec();
        nt.resize(length, 0);
        let result = ntlm(&nt, &record, None, LENIENT);
        assert_eq!(result, Err(Refusal::Wrong));
    }
}

#[test]
fn nlmp_3_2_5_g_target_name_is_checked_where_it_is_trusted() {
    let response = |name: &str, flags: u32| {
        let mut made = Made::with(AvId::TARGET_NAME, &text::utf16le(name));
        made.pairs.push((AvId::FLAGS, flags.to_le_bytes().to_vec()));
        record(made.messages()).nt_response
    };
    let host = "mail.example.org";
    for good in [
        "smtp/mail.example.org",
        "SMTPSVC/MAIL.example.org",
        "SmtpSvc/mail.example.org",
    ] {
        assert!(target_name_is(&response(good, 0), host), "{good}");
        assert!(!target_name_is(&response(good, 4), host), "{good}");
    }
    for bad in [
        "",
        "smtp",
        "smtp/",
        "mail.example.org",
        "http/mail.example.org",
        "smtp/mail",
    ] {
        assert!(!target_name_is(&response(bad, 0), host), "{bad}");
    }
    assert!(target_name_is(&record(own()).nt_response, host));
    let absent = record(Made::default().messages()).nt_response;
    assert!(!target_name_is(&absent, host));
    assert!(!target_name_is(&[], host));
}

proptest! {
    #[test]
    fn nlmp_3_2_5_arbitrary_octets_never_pass_or_panic(
        which in 0_usize..3,
        at in any::<prop::sample::Index>(),
        put in proptest::collection::vec(any::<u8>(), 1..40),
    ) {
        let mut messages = own();
        let at = at.index(messages[which].len());
        let end = (at + put.len()).min(messages[which].len());
        messages[which].splice(at..end, put);
        prop_assume!(messages != own());
        prop_assert!(check(messages, Some(&facts()), LENIENT).is_err());
    }
}
