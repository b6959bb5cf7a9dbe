//! LMTP (RFC 2033): after the content a reply for each accepted recipient, and each settles its own
//! (R2033-4).

use pillarbox_tests::relaying::Row;
use pillarbox_tests::relaying::row::Want;
use pillarbox_tests::scripted::Act::{Close, Silence};
use pillarbox_tests::scripted::script::say;
use pillarbox_tests::scripted::{At, Script, Seen};

const ALL: [&str; 3] = ["a", "b", "c"];

pub fn rows() -> Vec<Row> {
    let kept = || say("250 2.6.0 kept");
    vec![
        Row::new("LMTP", lmtp())
            .to(&ALL)
            .attempts(1..=1)
            .check(lhlo),
        Row::new(
            "LMTP: one of three refused at the end",
            lmtp().at(At::End, [kept(), say("550 5.2.2 mailbox full"), kept()]),
        )
        .to(&ALL)
        .wants(&["b"], &Want::Failed("5.2.2", "550 & mailbox full"))
        .attempts(1..=1),
        Row::new(
            "LMTP: one of three put off at the end",
            lmtp().at(At::End, [kept(), kept(), say("452 4.2.2 over quota")]),
        )
        .to(&ALL)
        .wants(&["c"], &Want::Deferred("452 & over quota")),
        Row::new(
            "LMTP: one reply of three, then silence",
            lmtp().at(At::End, [kept(), Silence]),
        )
        .to(&ALL)
        .wants(&["b", "c"], &Want::Deferred(""))
        .ambiguous(),
        Row::new(
            "LMTP: one reply of three, then the end",
            lmtp().at(At::End, [kept(), Close]),
        )
        .to(&ALL)
        .wants(&["b", "c"], &Want::Deferred(""))
        .ambiguous(),
        Row::new(
            "LMTP: four replies for three",
            lmtp().at(At::End, [kept(), kept(), kept(), kept()]),
        )
        .to(&ALL)
        .messages(2),
        Row::new(
            "LMTP: 421 after the first reply",
            lmtp().at(At::End, [kept(), say("421 4.3.2 peer.test shutting down")]),
        )
        .to(&ALL)
        .wants(&["b", "c"], &Want::Deferred("421 & shutting down")),
        Row::new(
            "LMTP: LHLO refused",
            lmtp().says(At::Ehlo, "500 5.5.1 what?"),
        )
        .paused("500 & what?")
        .check(|seen| match seen.heard("HELO ") {
            true => Err("HELO was said to an LMTP server".into()),
            false => Ok(()),
        }),
        Row::new(
            "LMTP: 503 to DATA after every RCPT was refused",
            lmtp()
                .says(At::Rcpt(""), "550 5.1.1 nobody of that name")
                .says(At::Data, "503 5.5.1 no valid recipients"),
        )
        .to(&["a", "b"])
        .failed("5.1.1", "550 & nobody of that name"),
    ]
}

fn lmtp() -> Script {
    Script {
        lmtp: true,
        ..Script::default()
    }
}

fn lhlo(seen: &Seen) -> Result<(), String> {
    match seen.heard("LHLO relay.test") && !seen.heard("EHLO") {
        true => Ok(()),
        false => Err("LHLO was not said".into()),
    }
}
