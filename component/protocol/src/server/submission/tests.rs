use super::super::content::testing::rules;
use super::*;
use crate::environment::Fixed;
use alloc::vec;
use proptest::prelude::*;

/// A section that needs no repair.
const GOOD: &str = "From: alice@example.org\r\n\
    Date: Wed, 25 Nov 2026 01:21:49 +0000\r\n\
    Message-ID: <1@example.org>\r\n";

const ADDED_DATE: &str = "Date: Tue, 29 Feb 2000 00:00:00 +0000\r\n";
const ADDED_ID: &str = "Message-ID: <k3-1.0001020304050607@mail.example.org>\r\n";

fn repair_by(rules: &Rules, section: &str) -> Result<String, ContentDefect> {
    let repaired = repaired(section.as_bytes(), rules, &mut Fixed::default())?;
    Ok(String::from_utf8(repaired).unwrap())
}

fn repair(section: &str) -> Result<String, ContentDefect> {
    repair_by(&rules(), section)
}

fn as_bob() -> Rules {
    Rules {
        identity: Some("bob@example.org".into()),
        ..rules()
    }
}

#[test]
fn r6409_8_8_a_good_section_keeps_every_octet() {
    let section = format!(
        "Received: from a by b;\r\n\tyesterday\r\nReceived: x\r\n{GOOD}X-A:\r\n \tb  \r\nx-a : c\r\nSubject:\r\n"
    );
    assert_eq!(repair(&section), Ok(section));
}

#[test]
fn r6409_8_2_a_a_missing_date_is_added() {
    let section = GOOD.replace("Date:", "X-Date:");
    assert_eq!(repair(&section), Ok(format!("{ADDED_DATE}{section}")));
    let rules = Rules {
        add_date: false,
        ..rules()
    };
    assert_eq!(repair_by(&rules, &section), Ok(section));
}

#[test]
fn r6409_8_2_b_an_invalid_date_is_replaced() {
    let rest = "From: a@b.example\r\nMessage-ID: <1@b>\r\n";
    assert_eq!(
        repair(&format!("Date: yesterday\r\n{rest}")),
        Ok(format!("{ADDED_DATE}{rest}"))
    );
    let obsolete = format!("Date: 25 Nov 26 01:21 EST\r\n{rest}");
    assert_eq!(repair(&obsolete), Ok(obsolete));
}

#[test]
fn r6409_8_3_a_missing_or_invalid_message_id_is_added() {
    let rest = "From: a@b.example\r\nDate: Wed, 25 Nov 2026 01:21:49 +0000\r\n";
    assert_eq!(repair(rest), Ok(format!("{ADDED_ID}{rest}")));
    assert_eq!(
        repair(&format!("{rest}Message-Id: 17\r\n")),
        Ok(format!("{ADDED_ID}{rest}"))
    );
    let rules = Rules {
        add_message_id: false,
        ..rules()
    };
    assert_eq!(repair_by(&rules, rest), Ok(rest.into()));
}

#[test]
fn r6409_8_e_bcc_is_removed() {
    let section = format!(
        "Bcc: a@b.example,\r\n\tc@d.example\r\n{GOOD}BCC:\r\nResent-Bcc: e@f.example\r\nX-Bcc: y\r\n"
    );
    assert_eq!(repair(&section), Ok(format!("{GOOD}X-Bcc: y\r\n")));
    let rules = Rules {
        keep_bcc: true,
        ..rules()
    };
    assert_eq!(repair_by(&rules, &section), Ok(section));
}

#[test]
fn r5321_4_4_e_a_submitted_return_path_is_removed() {
    assert_eq!(
        repair(&format!("Return-Path: <x@y.z>\r\n{GOOD}")),
        Ok(GOOD.into())
    );
}

#[test]
fn r6409_8_b_a_missing_from_comes_from_the_reverse_path() {
    let rest = GOOD.replace("From:", "X-From:");
    assert_eq!(
        repair(&rest),
        Ok(format!("From: alice@example.org\r\n{rest}"))
    );
    let null = Rules {
        reverse_path: String::new(),
        ..rules()
    };
    assert_eq!(repair_by(&null, &rest), Err(ContentDefect::NoFrom));
}

#[test]
fn r6409_8_b_repeated_fields_are_refused() {
    assert_eq!(
        repair(&format!("{GOOD}From: b@example.org\r\n")),
        Err(ContentDefect::Repeated("From"))
    );
}

#[test]
fn r6409_8_b_repeated_to_and_cc_are_merged() {
    let section = format!(
        "{GOOD}To: a@b.example \r\nSubject: x\r\nTO:\r\n b@b.example,\r\nCc: c@b.example\r\nTo:c@b.example\r\nTo:\r\n"
    );
    assert_eq!(
        repair(&section),
        Ok(format!(
            "{GOOD}To: a@b.example,\r\n b@b.example,\r\n c@b.example\r\nSubject: x\r\nCc: c@b.example\r\n"
        ))
    );
    let signed = format!("DKIM-Signature: v=1; h=from\r\n{section}");
    assert_eq!(repair(&signed), Ok(signed));
}

#[test]
fn r6409_8_b_other_repeated_fields_stay() {
    let section =
        format!("{GOOD}Subject: a\r\nSubject: b\r\nReply-To: a@b.c\r\nReply-To: a@b.c\r\n");
    assert_eq!(repair(&section), Ok(section));
}

#[test]
fn r6409_8_b_long_lines_are_folded() {
    let words = "word ".repeat(300);
    let section = format!("{GOOD}Subject: {words}end\r\n");
    let repaired = repair(&section).unwrap();
    assert!(repaired.split("\r\n").all(|line| line.len() <= 998));
    assert_eq!(repaired.replace("\r\n ", " "), section);
    let signed = format!("DKIM-Signature: v=1; h=from\r\n{section}");
    assert_eq!(repair(&signed), Ok(signed));
}

#[test]
fn r6409_8_c_signed_fields_are_not_replaced() {
    let section = "DKIM-Signature: v=1; h=From:Date:Message-ID;\r\n b=x\r\n\
        From: alice@example.org\r\nDate: yesterday\r\nMessage-ID: 17\r\n";
    assert_eq!(repair_by(&as_bob(), section), Ok(section.into()));
    let unsigned = section.replace(":Date:Message-ID", "");
    assert_eq!(
        repair_by(&as_bob(), &unsigned),
        Ok(format!(
            "{ADDED_DATE}{ADDED_ID}DKIM-Signature: v=1; h=From;\r\n b=x\r\nFrom: alice@example.org\r\n"
        ))
    );
}

#[test]
fn r6409_8_1_a_sender_is_added_where_from_lacks_the_identity() {
    assert_eq!(
        repair_by(&as_bob(), GOOD),
        Ok(format!("Sender: bob@example.org\r\n{GOOD}"))
    );
    assert_eq!(
        repair_by(
            &as_bob(),
            &format!("Sender: Carol <carol@example.org>\r\n{GOOD}")
        ),
        Ok(format!("Sender: bob@example.org\r\n{GOOD}"))
    );
    for section in [
        format!("Sender: Bob <BOB@example.ORG>\r\n{GOOD}"),
        GOOD.replace(
            "alice@example.org",
            "Alice <alice@example.org>, bob@Example.org",
        ),
    ] {
        assert_eq!(repair_by(&as_bob(), &section), Ok(section));
    }
}

#[test]
fn r6409_8_1_a_sender_is_not_added_without_identity_or_when_switched_off() {
    assert_eq!(repair(GOOD), Ok(GOOD.into()));
    let off = Rules {
        add_sender: false,
        ..as_bob()
    };
    assert_eq!(repair_by(&off, GOOD), Ok(GOOD.into()));
}

#[test]
fn r6409_8_1_b_an_identity_that_is_no_mailbox_is_no_sender() {
    for identity in [
        "bob",
        "bob@localhost",
        "bob@",
        "b b@example.org",
        "b@example.org\r\nX: y",
    ] {
        let rules = Rules {
            identity: Some(identity.into()),
            ..rules()
        };
        assert_eq!(repair_by(&rules, GOOD), Ok(GOOD.into()), "{identity}");
    }
}

#[test]
fn r6409_8_c_added_fields_stand_first() {
    let rules = Rules {
        identity: Some("bob@example.org".into()),
        ..rules()
    };
    assert_eq!(
        repair_by(&rules, "Received: x\r\nSubject: y\r\n"),
        Ok(format!(
            "{ADDED_DATE}From: alice@example.org\r\nSender: bob@example.org\r\n{ADDED_ID}Received: x\r\nSubject: y\r\n"
        ))
    );
}

#[test]
fn r6409_4_2_c_unqualified_domains_are_refused() {
    let section = format!("{GOOD}To: a@localhost\r\n");
    assert_eq!(repair(&section), Err(ContentDefect::NotQualified("To")));
    let off = Rules {
        check_header_domains: false,
        ..rules()
    };
    assert_eq!(repair_by(&off, &section), Ok(section));
    let exempt = format!("{GOOD}To: a@[192.0.2.1]\r\nX-To: a@localhost\r\nBcc: root\r\n");
    assert!(repair(&exempt).is_ok());
}

#[test]
fn r6409_5_1_b_bad_addresses_are_refused_when_the_header_is_altered() {
    let section = format!("{GOOD}To: two words\r\n");
    assert_eq!(repair(&section), Ok(section.clone()));
    for altered in [
        section.replace("Date:", "X-Date:"),
        format!("Bcc: x@y.z\r\n{section}"),
        format!("Subject: {}x\r\n{section}", "x ".repeat(600)),
    ] {
        assert_eq!(repair(&altered), Err(ContentDefect::BadAddress("To")));
    }
    // A trace field that goes is no alteration.
    assert_eq!(
        repair(&format!("Return-Path: <>\r\n{section}")),
        Ok(section)
    );
}

#[test]
fn r6409_5_1_b_a_local_part_alone_is_a_matter_of_domains() {
    let off = Rules {
        check_header_domains: false,
        ..rules()
    };
    let section = "From: scanner\r\n";
    assert_eq!(
        repair_by(&off, section),
        Ok(format!("{ADDED_DATE}{ADDED_ID}{section}"))
    );
    assert_eq!(repair(section), Err(ContentDefect::NotQualified("From")));
}

proptest! {
    #[test]
    fn a_repaired_section_needs_no_more_repair(
        names in proptest::collection::vec(
            prop_oneof!["From", "To", "Cc", "Bcc", "Date", "Message-ID", "Sender", "X"],
            0..8,
        ),
        body in "(a@b\\.example)?[ ,]{0,2}(\r\n c@d\\.example)?",
    ) {
        let section: String = names
            .iter()
            .map(|name| format!("{name}: {body}\r\n"))
            .collect();
        if let Ok(once) = repair_by(&as_bob(), &section) {
            prop_assert_eq!(repair_by(&as_bob(), &once), Ok(once.clone()));
        }
    }

    #[test]
    fn no_octets_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = repaired(&octets, &as_bob(), &mut Fixed::default());
    }
}

#[test]
fn the_reply_names_the_defect() {
    let reply = ContentDefect::NoFrom.reply();
    assert_eq!((reply.code, reply.status), (554, Some((5, 6, 0))));
    assert_eq!(reply.lines, vec![String::from("From field is missing")]);
}
