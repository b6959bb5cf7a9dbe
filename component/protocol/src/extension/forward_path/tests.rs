use super::*;
use crate::contract::Notify;
use proptest::prelude::*;

const OFFERED: Offered = Offered {
    size: 0,
    binarymime: false,
    smtputf8: true,
    require_tls: false,
    future_release: None,
    deliver_by: None,
    mt_priority: false,
};

fn read(argument: &str, smtputf8: bool) -> Result<ForwardPath, Defect> {
    forward_path(
        argument.as_bytes(),
        &OFFERED,
        smtputf8,
        "mail.example.org",
        "",
    )
}

fn mailbox(argument: &str) -> Result<String, Defect> {
    read(argument, false).map(|recipient| recipient.mailbox)
}

/// Reply code and enhanced status code.
type Codes = (u16, Option<(u8, u16, u16)>);

fn refusal(argument: &str) -> Option<Codes> {
    let reply = read(argument, false).err()?.reply();
    Some((reply.code, reply.status))
}

#[test]
fn r5321_4_1_1_3_a_mailbox_with_least_quoting() {
    assert_eq!(mailbox(" TO:<a@b.c>"), Ok("a@b.c".into()));
    assert_eq!(mailbox("to: <\"A\"@b.c> "), Ok("A@b.c".into()));
    assert_eq!(mailbox("TO:a@b.c"), Ok("a@b.c".into()));
}

#[test]
fn r5321_4_1_1_3_b_postmaster_lives_at_the_hostname() {
    for argument in ["TO:<Postmaster>", "TO: <POSTMASTER>"] {
        assert_eq!(mailbox(argument), Ok("postmaster@mail.example.org".into()));
    }
}

#[test]
fn r5321_4_1_1_3_c_a_source_route_is_dropped() {
    assert_eq!(mailbox("TO:<@x.y,@z.w:a@b.c>"), Ok("a@b.c".into()));
}

#[test]
fn r5321_4_1_1_3_d_bad_path_null_path_and_missing_to() {
    for bad in [
        "TO:",
        "TO:<>",
        "TO:<a>",
        "TO:<a@b_c.d>",
        "TO:<.a@b.c>",
        "TO:postmaster",
    ] {
        assert_eq!(refusal(bad), Some((501, Some((5, 1, 3)))), "{bad}");
    }
    for bad in ["", "<a@b.c>", "TO <a@b.c>", "TO :<a@b.c>", "FROM:<a@b.c>"] {
        assert_eq!(refusal(bad), Some((501, Some((5, 5, 4)))), "{bad}");
    }
}

#[test]
fn r5321_4_1_2_d_control_octets() {
    assert_eq!(refusal("TO:<a\u{0}b@c.d>"), Some((501, Some((5, 5, 2)))));
}

#[test]
fn r6409_4_2_a_a_domain_with_one_label() {
    assert_eq!(refusal("TO:<a@localhost>"), Some((554, Some((5, 1, 2)))));
    assert_eq!(mailbox("TO:<a@[IPv6:::1]>"), Ok("a@[IPv6:::1]".into()));
}

#[test]
fn r6531_3_5_a_a_mailbox_that_is_not_ascii_needs_smtputf8() {
    let argument = "TO:<\u{e9}@b.c>";
    assert_eq!(refusal(argument), Some((553, Some((5, 6, 7)))));
    let read = read(argument, true).map(|recipient| recipient.mailbox);
    assert_eq!(read, Ok("\u{e9}@b.c".into()));
    // R6531-3.2: invalid UTF-8.
    let invalid = forward_path(b"TO:<\xff@b.c>", &OFFERED, true, "h", "");
    assert_eq!(invalid, Err(Defect::BadRecipient));
}

#[test]
fn r5321_4_1_1_11_a_unknown_parameters() {
    for parameter in ["XYZ", "SIZE=1", "RET=FULL", "SMTPUTF8", "RRVS=x"] {
        let refused = refusal(&format!("TO:<a@b.c> {parameter}"));
        assert_eq!(refused, Some((555, Some((5, 5, 4)))), "{parameter}");
    }
}

#[test]
fn r3461_5_1_a_repeated_or_invalid_parameters() {
    for parameters in [
        "NOTIFY=NEVER NOTIFY=NEVER",
        "ORCPT=rfc822;a ORCPT=rfc822;a",
        "NOTIFY",
        "NOTIFY=",
        "ORCPT",
        "ORCPT=a",
        "ORCPT=rfc822;a=b",
    ] {
        let refused = refusal(&format!("TO:<a@b.c> {parameters}"));
        assert_eq!(refused, Some((501, Some((5, 5, 4)))), "{parameters}");
    }
}

#[test]
fn r3461_4_parameters_are_kept_as_they_came() {
    let read = read(
        "TO:<a@b.c> ORCPT=RFC822;Bob+2B@b.c NOTIFY=success,failure",
        false,
    );
    assert_eq!(
        read,
        Ok(ForwardPath {
            mailbox: "a@b.c".into(),
            notify: Some(Notify {
                never: false,
                success: true,
                failure: true,
                delay: false,
            }),
            orcpt: Some(("RFC822".into(), "Bob+2B@b.c".into())),
        })
    );
}

#[test]
fn r3461_4_2_utf_8_in_orcpt_only_under_smtputf8() {
    let argument = "TO:<a@b.c> ORCPT=utf-8;\u{e9}@b.c";
    assert_eq!(refusal(argument), Some((501, Some((5, 5, 4)))));
    assert!(read(argument, true).is_ok());
}

proptest! {
    #[test]
    fn r5321_4_1_1_3_any_octets_do_no_harm(octets in prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..80),
        "TO: ?<[a@.b\"\\\\>]{0,8}( (NOTIFY|ORCPT|X)=?[A-Za-z0-9;,+]{0,8}){0,3}"
            .prop_map(String::into_bytes),
    ], smtputf8: bool) {
        match forward_path(&octets, &OFFERED, smtputf8, "mail.example.org", "") {
            Ok(recipient) => {
                let again = read(&format!("TO:<{}>", recipient.mailbox), true);
                prop_assert_eq!(again.map(|again| again.mailbox), Ok(recipient.mailbox));
            }
            Err(defect) => prop_assert_eq!(defect.reply().code / 100, 5),
        }
    }
}

#[test]
fn r6409_4_2_b_only_a_configured_domain_completes_a_name_of_one_label() {
    let read = |argument: &str, local_domain| {
        let recipient = forward_path(
            argument.as_bytes(),
            &OFFERED,
            false,
            "mail.example.org",
            local_domain,
        );
        recipient.map(|recipient| recipient.mailbox)
    };
    let local = "example.org";
    assert_eq!(read("TO:<a@b>", local), Ok("a@b.example.org".into()));
    assert_eq!(read("TO:<a@B>", local), Ok("a@B.example.org".into()));
    assert_eq!(read("TO:<a@b>", ""), Err(Defect::RecipientNotQualified));
    // Several labels, and what is no name, stay as they are.
    assert_eq!(read("TO:<a@b.c>", local), Ok("a@b.c".into()));
    assert_eq!(
        read("TO:<a@[192.0.2.1]>", local),
        Ok("a@[192.0.2.1]".into())
    );
    assert_eq!(
        read("TO:<Postmaster>", local),
        Ok("postmaster@mail.example.org".into())
    );
    // A completed name that no domain name may have.
    let long = std::vec!["l".repeat(63); 4].join(".");
    assert_eq!(
        read("TO:<a@b>", &long),
        Err(Defect::RecipientNotQualified),
        "{}",
        long.len()
    );
}
