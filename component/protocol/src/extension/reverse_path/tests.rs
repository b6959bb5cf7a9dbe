use super::*;
use crate::contract::{BodyType, DeliverBy, DsnReturn};
use proptest::prelude::*;
use std::{format, vec::Vec};

const NOW: Moment = Moment {
    // 2026-11-25T01:17:20Z
    seconds: 1_795_569_440,
    nanoseconds: 0,
};

const NOTHING: Offered = Offered {
    size: 1000,
    binarymime: false,
    smtputf8: false,
    require_tls: false,
    future_release: None,
    deliver_by: None,
    mt_priority: false,
};

const ALL: Offered = Offered {
    size: 1000,
    binarymime: true,
    smtputf8: true,
    require_tls: true,
    future_release: Some(3600),
    deliver_by: Some(60),
    mt_priority: true,
};

fn read(argument: &str, offered: &Offered) -> Result<(String, ReversePathParameters), Defect> {
    reverse_path(argument.as_bytes(), offered, NOW, "")
}

/// The mailbox, where no parameter is given.
fn mailbox(argument: &str) -> Result<String, Defect> {
    read(argument, &ALL).map(|(mailbox, _)| mailbox)
}

/// The parameters after `FROM:<a@b.c>`.
fn with(parameters: &str, offered: &Offered) -> Result<ReversePathParameters, Defect> {
    read(&format!(" FROM:<a@b.c> {parameters}"), offered).map(|(_, parameters)| parameters)
}

/// Reply code and enhanced status code.
type Codes = (u16, Option<(u8, u16, u16)>);

fn refusal(argument: &str, offered: &Offered) -> Option<Codes> {
    let reply = read(argument, offered).err()?.reply();
    Some((reply.code, reply.status))
}

#[test]
fn r5321_4_1_1_2_a_mailbox_or_null() {
    assert_eq!(mailbox(" FROM:<a@b.c>"), Ok("a@b.c".into()));
    assert_eq!(mailbox(" FROM:<>"), Ok(String::new()));
    assert_eq!(
        read(" FROM:<a@b.c>", &NOTHING).map(|(_, parameters)| parameters),
        Ok(ReversePathParameters::default())
    );
}

#[test]
fn r5321_2_4_from_in_any_case_and_local_part_in_its_own() {
    assert_eq!(mailbox("from:<JoE@b.c>"), Ok("JoE@b.c".into()));
    assert!(with("sIzE=1 bOdY=8bitmime", &NOTHING).is_ok());
}

#[test]
fn r5321_4_1_1_2_b_what_devices_send() {
    for argument in [
        "FROM: <a@b.c>",
        "FROM:\t<a@b.c>",
        "FROM:a@b.c",
        "FROM: a@b.c",
        "FROM:<a@b.c>   SIZE=1  BODY=7BIT  ",
        "FROM:a@b.c SIZE=1",
    ] {
        assert_eq!(mailbox(argument), Ok("a@b.c".into()), "{argument}");
    }
    let missing = Some((501, Some((5, 5, 4))));
    assert_eq!(refusal("FROM :<a@b.c>", &ALL), missing);
}

#[test]
fn r5321_4_1_1_2_c_bad_path_and_missing_from() {
    for bad in [
        "FROM:",
        "FROM:<a>",
        "FROM:<a@b.c",
        "FROM:<a..b@c.d>",
        "FROM:<Postmaster>",
        "FROM: SIZE=1",
    ] {
        assert_eq!(refusal(bad, &ALL), Some((501, Some((5, 1, 7)))), "{bad}");
    }
    for bad in [
        "",
        " ",
        "<a@b.c>",
        "FROM",
        "FROM<a@b.c>",
        "TO:<a@b.c>",
        "FROMM:<a@b.c>",
    ] {
        assert_eq!(refusal(bad, &ALL), Some((501, Some((5, 5, 4)))), "{bad}");
    }
}

#[test]
fn r5321_4_1_1_3_c_a_source_route_is_dropped() {
    assert_eq!(mailbox("FROM:<@x.y,@z.w:a@b.c>"), Ok("a@b.c".into()));
}

#[test]
fn r5321_4_1_2_d_control_octets() {
    for bad in [
        "FROM:<a\tb@c.d>",
        "FROM:<a\u{1}b@c.d>",
        "FROM:<a@b.c> SIZE=\u{7f}1",
        "FROM:<\"a\tb\"@c.d>",
    ] {
        assert_eq!(refusal(bad, &ALL), Some((501, Some((5, 5, 2)))), "{bad:?}");
    }
}

#[test]
fn r5321_4_5_3_1_a_a_path_that_is_too_long() {
    let long = format!("FROM:<{}@b.c>", "l".repeat(251));
    assert_eq!(refusal(&long, &ALL), Some((501, Some((5, 1, 7)))));
    assert!(mailbox(&long.replacen('l', "", 1)).is_ok());
}

#[test]
fn r6409_4_2_a_a_domain_with_one_label() {
    let refused = Some((554, Some((5, 1, 8))));
    assert_eq!(refusal("FROM:<a@localhost>", &ALL), refused);
    assert_eq!(refusal("FROM:a@localhost", &ALL), refused);
    assert_eq!(mailbox("FROM:<a@[127.0.0.1]>"), Ok("a@[127.0.0.1]".into()));
}

#[test]
fn r6531_3_5_a_a_mailbox_that_is_not_ascii_needs_the_parameter() {
    let needed = Some((550, Some((5, 6, 7))));
    for argument in ["FROM:<\u{e9}@b.c>", "FROM:<a@b\u{fc}.c>"] {
        assert_eq!(refusal(argument, &ALL), needed);
        assert_eq!(refusal(argument, &NOTHING), needed);
        assert!(mailbox(&format!("{argument} SMTPUTF8")).is_ok());
    }
    // R6531-3.2: invalid UTF-8.
    let invalid = reverse_path(b"FROM:<\xe9@b.c> SMTPUTF8", &ALL, NOW, "");
    assert_eq!(invalid, Err(Defect::BadSender));
}

#[test]
fn r5321_4_1_1_11_a_unknown_or_not_offered() {
    for parameter in [
        "XYZ",
        "XYZ=1",
        "NOTIFY=NEVER",
        "ORCPT=rfc822;a",
        "SMTPUTF8",
        "SMTPUTF8=1",
        "REQUIRETLS",
        "HOLDFOR=1",
        "HOLDUNTIL=2026-11-25T01:17:21Z",
        "BY=120;R",
        "MT-PRIORITY=1",
        "MT-PRIORITY=x",
        "CHECKPOINT=1",
        "SOLICIT=a",
        "MTRK=a",
    ] {
        let refused = refusal(&format!("FROM:<a@b.c> {parameter}"), &NOTHING);
        assert_eq!(refused, Some((555, Some((5, 5, 4)))), "{parameter}");
    }
    let reply = with("XyZ=1", &ALL).err().map(|defect| defect.reply().lines);
    assert_eq!(reply, Some(std::vec!["parameter XyZ not supported".into()]));
}

#[test]
fn r5321_4_1_1_11_b_repeated_or_bad() {
    for parameters in [
        "SIZE=1 SIZE=1",
        "SIZE=1 size=2",
        "BODY=7BIT BODY=8BITMIME",
        "SMTPUTF8 SMTPUTF8",
        "REQUIRETLS REQUIRETLS",
        "RET=FULL RET=FULL",
        "ENVID=a ENVID=a",
        "AUTH=<> AUTH=<>",
        "HOLDFOR=1 HOLDFOR=1",
        "BY=120;R BY=120;R",
        "HOLDFOR=1 HOLDUNTIL=2026-11-25T01:17:21Z",
        "HOLDUNTIL=2026-11-25T01:17:21Z HOLDFOR=1",
        "SIZE",
        "SIZE=",
        "SIZE=x",
        "BODY",
        "BODY=9BIT",
        "SMTPUTF8=",
        "REQUIRETLS=1",
        "RET",
        "RET=x",
        "ENVID=",
        "ENVID==",
        "AUTH",
        "AUTH=+",
        "HOLDFOR=0",
        "HOLDUNTIL=x",
        "BY=x",
        "BY=0;R",
        "=",
        "=1",
        "<a@b.c>",
    ] {
        let refused = refusal(&format!("FROM:<a@b.c> {parameters}"), &ALL);
        assert_eq!(refused, Some((501, Some((5, 5, 4)))), "{parameters}");
    }
    assert_eq!(
        refusal("FROM:<a@b.c>SIZE=1", &ALL),
        Some((501, Some((5, 5, 4))))
    );
}

#[test]
fn r1870_6_1_a_size_over_the_limit() {
    let refused = Some((552, Some((5, 3, 4))));
    assert_eq!(refusal("FROM:<a@b.c> SIZE=1001", &ALL), refused);
    assert_eq!(
        with("SIZE=1000", &ALL).map(|asked| asked.size),
        Ok(Some(1000))
    );
}

#[test]
fn r3030_3_a_binarymime_not_offered() {
    let refused = Some((501, Some((5, 5, 4))));
    assert_eq!(refusal("FROM:<a@b.c> BODY=BINARYMIME", &NOTHING), refused);
}

#[test]
fn r4865_4_hold_out_of_range() {
    for parameter in ["HOLDFOR=3601", "HOLDUNTIL=2026-11-25T01:17:19Z"] {
        let refused = refusal(&format!("FROM:<a@b.c> {parameter}"), &ALL);
        assert_eq!(refused, Some((554, Some((5, 5, 4)))), "{parameter}");
    }
    let held = with("HOLDUNTIL=2026-11-25T01:18:20Z", &ALL);
    assert_eq!(held.map(|asked| asked.hold_for), Ok(Some(60)));
}

#[test]
fn r2852_4_by_below_the_minimum() {
    let refused = Some((555, Some((5, 5, 4))));
    assert_eq!(refusal("FROM:<a@b.c> BY=59;R", &ALL), refused);
}

#[test]
fn r6710_4_1_a_bad_or_twice() {
    for parameters in [
        "MT-PRIORITY",
        "MT-PRIORITY=10",
        "MT-PRIORITY=1 MT-PRIORITY=1",
    ] {
        let refused = refusal(&format!("FROM:<a@b.c> {parameters}"), &ALL);
        assert_eq!(refused, Some((501, Some((5, 5, 2)))), "{parameters}");
    }
}

#[test]
fn r4954_5_a_parameters_begin_after_the_path() {
    let read = read("FROM:<AUTH=x@b.c> AUTH=e+3Dmc2@example.com", &NOTHING);
    let (mailbox, parameters) = read.expect("a reverse-path");
    assert_eq!(mailbox, "AUTH=x@b.c");
    assert_eq!(parameters.auth.as_deref(), Some("e=mc2@example.com"));
    let quoted = mailbox_and_size("FROM:<\"a> SIZE=2\"@b.c> SIZE=1");
    assert_eq!(quoted, Ok(("\"a> SIZE=2\"@b.c".into(), Some(1))));
}

fn mailbox_and_size(argument: &str) -> Result<(String, Option<u64>), Defect> {
    read(argument, &ALL).map(|(mailbox, parameters)| (mailbox, parameters.size))
}

#[test]
fn r3461_5_1_a_all_parameters_together() {
    let asked = with(
        "BODY=BINARYMIME SIZE=9 SMTPUTF8 RET=HDRS ENVID=Q+2B1 AUTH=<> REQUIRETLS HOLDFOR=5 BY=99;RT MT-PRIORITY=-3",
        &ALL,
    );
    assert_eq!(
        asked,
        Ok(ReversePathParameters {
            body: BodyType::BinaryMime,
            size: Some(9),
            smtputf8: true,
            ret: Some(DsnReturn::Headers),
            envid: Some("Q+2B1".into()),
            auth: Some(String::new()),
            require_tls: true,
            hold_for: Some(5),
            deliver_by: Some(DeliverBy {
                seconds: 99,
                notify: false,
                trace: true,
            }),
            priority: Some(-3),
        })
    );
}

proptest! {
    #[test]
    fn r5321_4_1_1_2_any_octets_do_no_harm(octets in prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..80),
        "FROM: ?<[a@.b\"\\\\>]{0,8}( (SIZE|BODY|RET|ENVID|AUTH|BY|HOLDFOR|HOLDUNTIL|X|SMTPUTF8)=?[0-9a-zA-Z;+-]{0,6}){0,4}"
            .prop_map(String::into_bytes),
    ]) {
        let octets: Vec<u8> = octets;
        match reverse_path(&octets, &ALL, NOW, "") {
            Ok((mailbox, _)) if !mailbox.is_empty() => {
                let again = format!("FROM:<{mailbox}> SMTPUTF8");
                prop_assert_eq!(super::tests::mailbox(&again), Ok(mailbox));
            }
            Ok(_) => {}
            Err(defect) => prop_assert_eq!(defect.reply().code / 100, 5),
        }
    }
}

#[test]
fn r6409_4_2_b_only_a_configured_domain_completes_a_name_of_one_label() {
    let read = |argument: &str, local_domain| {
        reverse_path(argument.as_bytes(), &ALL, NOW, local_domain).map(|(mailbox, _)| mailbox)
    };
    assert_eq!(
        read("FROM:<scanner@printer> SIZE=1", "example.org"),
        Ok("scanner@printer.example.org".into())
    );
    assert_eq!(
        read("FROM:<scanner@printer>", ""),
        Err(Defect::SenderNotQualified)
    );
    assert_eq!(read("FROM:<a@b.c>", "example.org"), Ok("a@b.c".into()));
    assert_eq!(read("FROM:<>", "example.org"), Ok("".into()));
}
