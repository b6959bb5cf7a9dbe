//! Replies that are odd but lawful (CL-reply-a), and those that put off: 4yz and 421 at each moment
//! (CL-421, CL-mail-fail, CL-rcpt).

use pillarbox_tests::relaying::Row;
use pillarbox_tests::relaying::row::Want;
use pillarbox_tests::scripted::Act::{Raw, Usual};
use pillarbox_tests::scripted::script::say;
use pillarbox_tests::scripted::{At, Script};

pub fn rows() -> Vec<Row> {
    let mut rows = odd();
    rows.extend(put_off());
    rows.extend(shut_down());
    rows
}

fn good() -> Script {
    Script::good()
}

fn step_by_step() -> Script {
    Script::good().offers(&["8BITMIME", "SIZE 100000000"])
}

fn odd() -> Vec<Row> {
    let bare = |at, code: &str, script: Script| {
        let octets = format!("{code}\n").into_bytes();
        script.at(at, [Raw(octets)])
    };
    let mut lf = bare(At::Greeting, "220 peer.test", step_by_step());
    lf = lf.at(At::Ehlo, [Raw(b"250-peer.test\n250 8BITMIME\n".to_vec())]);
    vec![
        Row::new("lines end with LF alone", lf).attempts(1..=1),
        Row::new(
            "codes without text",
            good()
                .says(At::Greeting, "220")
                .says(At::Ehlo, "250-x\r\n250")
                .says(At::Mail(0), "250")
                .says(At::Rcpt(""), "250")
                .says(At::Data, "354")
                .says(At::End, "250")
                .says(At::Quit, "221"),
        )
        .attempts(1..=1),
        Row::new(
            "a greeting of many lines, keywords in any case",
            good()
                .says(
                    At::Greeting,
                    &format!("{}220 peer.test", "220-welcome\r\n".repeat(100)),
                )
                .says(
                    At::Ehlo,
                    "250-peer.test\r\n250-x-nobody-knows\r\n250-pipelining\r\n250 size",
                ),
        )
        .attempts(1..=1),
        Row::new(
            "trailing blanks after each reply",
            good()
                .says(At::Mail(0), "250 2.1.0 ok   ")
                .says(At::End, "250 2.6.0 kept \t "),
        )
        .attempts(1..=1),
        Row::new(
            "unknown 2yz codes",
            good()
                .says(At::Mail(0), "299 good")
                .says(At::Rcpt(""), "288 good")
                .says(At::End, "222 good"),
        )
        .attempts(1..=1),
        Row::new(
            "an unknown 4yz code",
            good().says(At::Rcpt(""), "499 not now"),
        )
        .deferred("499 & not now"),
        Row::new(
            "codes that differ, the last one good",
            good().says(At::Mail(0), "550-no\r\n250 yes"),
        )
        .attempts(1..=1),
    ]
}

fn put_off() -> Vec<Row> {
    vec![
        Row::new(
            "450 as greeting",
            good().says(At::Greeting, "450 4.3.2 later"),
        )
        .down("450 & later"),
        Row::new("451 to EHLO", good().says(At::Ehlo, "451 4.3.0 later")).down("451 & later"),
        Row::new(
            "451 to MAIL",
            good().says(At::Mail(0), "451 4.7.1 greylisted"),
        )
        .deferred("451 & greylisted"),
        Row::new(
            "450 to RCPT",
            good().says(At::Rcpt(""), "450 4.2.1 mailbox busy"),
        )
        .deferred("450 & mailbox busy"),
        Row::new(
            "450 to one of three RCPT",
            good().says(At::Rcpt("b"), "450 4.2.1 mailbox busy"),
        )
        .to(&["a", "b", "c"])
        .wants(&["b"], &Want::Deferred("450 & mailbox busy")),
        Row::new(
            "452 4.3.1 to one of two RCPT: not too many recipients",
            good().says(At::Rcpt("b"), "452 4.3.1 disk full"),
        )
        .to(&["a", "b"])
        .wants(&["b"], &Want::Deferred("452 & disk full")),
        Row::new(
            "451 to DATA",
            good().says(At::Data, "451 4.3.0 no room just now"),
        )
        .deferred("451 & no room just now"),
        Row::new(
            "452 after the final dot",
            good().says(At::End, "452 4.3.1 disk full"),
        )
        .to(&["a", "b"])
        .deferred("452 & disk full"),
        Row::new(
            "a reply of several lines after the final dot",
            good().says(
                At::End,
                "451-4.3.0 the filter\r\n451-4.3.0 is restarting\r\n451 4.3.0 wait",
            ),
        )
        .deferred("the filter & restarting & wait"),
        Row::new(
            "4yz and 8-bit text",
            good().at(
                At::Rcpt(""),
                [Raw(b"450 4.2.1 Gr\xfc\xdfe aus K\xf6ln\r\n".to_vec())],
            ),
        )
        .deferred("450"),
    ]
}

fn shut_down() -> Vec<Row> {
    let away = "421 4.3.2 peer.test shutting down";
    let words = "421 & shutting down";
    vec![
        Row::new("421 as greeting", good().says(At::Greeting, away)).down(words),
        Row::new("421 to EHLO", good().says(At::Ehlo, away)).down(words),
        Row::new("421 to MAIL", good().says(At::Mail(0), away)).deferred(words),
        Row::new("421 to RCPT", good().says(At::Rcpt(""), away)).deferred(words),
        Row::new(
            "421 to the second of two RCPT",
            step_by_step().says(At::Rcpt("b"), away),
        )
        .to(&["a", "b"])
        .deferred(words),
        Row::new("421 to DATA", good().says(At::Data, away)).deferred(words),
        Row::new(
            "421 within the content",
            good().at(At::Octets(100_000), [say(away)]),
        )
        .size(8 << 20)
        .deferred(words),
        Row::new("421 after the final dot", good().says(At::End, away)).deferred(words),
        Row::new(
            "421 to RSET",
            step_by_step()
                .says(At::Rcpt(""), "550 5.1.1 nobody of that name")
                .says(At::Rset, away),
        )
        .failed("5.1.1", "nobody of that name"),
        Row::new("421 to QUIT", good().says(At::Quit, away)).attempts(1..=1),
        Row::new(
            "421 unasked, after the final reply",
            good().at(At::End, [Usual, Raw(format!("{away}\r\n").into_bytes())]),
        )
        .messages(3),
    ]
}
