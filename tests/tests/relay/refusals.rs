//! 5yz for all recipients or for some, and what their senders read (CL-rcpt, CL-mail-fail,
//! R3464-2-c, R3464-2-d).

use pillarbox_tests::relaying::Row;
use pillarbox_tests::relaying::row::{Sender, Want};
use pillarbox_tests::scripted::Act::Raw;
use pillarbox_tests::scripted::{At, Script, Seen};

pub fn rows() -> Vec<Row> {
    let mut rows = all();
    rows.extend(some());
    rows.extend(texts());
    rows.extend(senders());
    rows
}

fn good() -> Script {
    Script::good()
}

fn all() -> Vec<Row> {
    vec![
        Row::new(
            "550 to MAIL",
            good().says(At::Mail(0), "550 5.7.1 not from you"),
        )
        .to(&["a", "b"])
        .failed("5.7.1", "550 & not from you"),
        Row::new(
            "550 to every RCPT",
            good().says(At::Rcpt(""), "550 5.1.1 nobody of that name"),
        )
        .to(&["a", "b", "c"])
        .failed("5.1.1", "550 & nobody of that name")
        .check(no_content),
        Row::new(
            "554 to DATA",
            good().says(At::Data, "554 5.7.1 refused by policy"),
        )
        .to(&["a", "b"])
        .failed("5.7.1", "554 & refused by policy")
        .check(no_content),
        Row::new(
            "554 after the final dot",
            good().says(At::End, "554 5.6.0 looks like spam"),
        )
        .to(&["a", "b"])
        .failed("5.6.0", "554 & looks like spam"),
        Row::new(
            "552 mailbox full to RCPT",
            good().says(At::Rcpt(""), "552 5.2.2 mailbox full"),
        )
        .failed("5.2.2", "552 & mailbox full"),
    ]
}

fn some() -> Vec<Row> {
    vec![
        Row::new(
            "550 to one of three RCPT",
            good().says(At::Rcpt("b"), "550 5.1.1 nobody of that name"),
        )
        .to(&["a", "b", "c"])
        .wants(&["b"], &Want::Failed("5.1.1", "550 & nobody of that name"))
        .attempts(1..=1),
        Row::new(
            "250, 450 and 550 to three RCPT",
            good()
                .says(At::Rcpt("b"), "450 4.2.1 mailbox busy")
                .says(At::Rcpt("c"), "550 5.1.1 nobody of that name"),
        )
        .to(&["a", "b", "c"])
        .wants(&["b"], &Want::Deferred("450 & mailbox busy"))
        .wants(&["c"], &Want::Failed("5.1.1", "550 & nobody of that name")),
        Row::new(
            "550 to one RCPT, then the connection is lost",
            good()
                .offers(&["SIZE 1000000"])
                .says(At::Rcpt("a"), "550 5.1.1 nobody of that name")
                .at(At::Data, [pillarbox_tests::scripted::Act::Close]),
        )
        .to(&["a", "b"])
        .wants(&["a"], &Want::Failed("5.1.1", "550 & nobody of that name"))
        .wants(&["b"], &Want::Deferred("")),
        Row::new(
            "different refusals for two",
            good()
                .says(At::Rcpt("a"), "550 5.1.1 nobody of that name")
                .says(At::Rcpt("b"), "550 5.1.6 moved away"),
        )
        .to(&["a", "b"])
        .wants(&["a"], &Want::Failed("5.1.1", "550 & nobody of that name"))
        .wants(&["b"], &Want::Failed("5.1.6", "550 & moved away")),
    ]
}

fn texts() -> Vec<Row> {
    let long = format!(
        "{}550 5.7.1 the last line",
        "550-5.7.1 one more line of it\r\n".repeat(100)
    );
    vec![
        Row::new(
            "a refusal of a hundred lines",
            good().says(At::Rcpt(""), &long),
        )
        .failed("5.7.1", "one more line of it"),
        Row::new(
            "a refusal in Latin-1",
            good().at(
                At::Rcpt(""),
                [Raw(b"550 5.1.1 Empf\xe4nger unbekannt\r\n".to_vec())],
            ),
        )
        .failed("5.1.1", "550 & unbekannt"),
        Row::new(
            "a refusal in UTF-8",
            good().says(At::Rcpt(""), "550 5.1.1 Empf\u{e4}nger unbekannt"),
        )
        .failed("5.1.1", "550 & unbekannt"),
        Row::new(
            "a refusal with control characters and a header of its own",
            good().at(
                At::Rcpt(""),
                [Raw(
                    b"550-5.1.1 \x1b[2J\x07gone\r\n550 5.1.1 \rStatus: 2.0.0\r\n".to_vec(),
                )],
            ),
        )
        .failed("5.1.1", "550 & gone"),
        Row::new("a refusal without text", good().says(At::Rcpt(""), "550")).failed("5.0.0", "550"),
        Row::new(
            "an unknown 5yz code",
            good().says(At::Rcpt(""), "599 never"),
        )
        .failed("5.0.0", "599 & never"),
        Row::new(
            "an enhanced code of another class",
            good().says(At::Rcpt(""), "550 2.1.5 fine, and yet"),
        )
        .failed("5.0.0", "550 & fine, and yet"),
        Row::new(
            "codes that differ, the last one bad",
            good().says(At::Rcpt(""), "250-yes\r\n550 no"),
        )
        .failed("5.0.0", "550 & no"),
        Row::new(
            "a large message is refused after the final dot",
            good().says(At::End, "554 5.6.0 too many pictures"),
        )
        .size(2 << 20)
        .failed("5.6.0", "too many pictures"),
    ]
}

fn senders() -> Vec<Row> {
    vec![
        Row::new(
            "a refusal of a message with the null reverse-path",
            good().says(At::Rcpt(""), "550 5.1.1 nobody of that name"),
        )
        // R5321-4.5.5-a: no report to nobody; whoever runs the service is told.
        .with(|row| row.sender = Sender::Null)
        .wants(&["a"], &Want::Held("550 & nobody of that name")),
        Row::new(
            "a report that nobody takes either",
            good().says(At::Rcpt(""), "550 5.1.1 nobody of that name"),
        )
        .with(|row| {
            row.sender = Sender::There;
            row.script.incurable = true;
        })
        .failed("5.1.1", ""),
    ]
}

fn no_content(seen: &Seen) -> Result<(), String> {
    match seen
        .contents
        .iter()
        .find(|content| !content.octets.is_empty())
    {
        Some(_) => Err("the content was sent though nobody wanted it".into()),
        None => Ok(()),
    }
}
