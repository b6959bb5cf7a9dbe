//! What is no reply, or no reply to this (CL-reply-b, CL-354): recipients are deferred, the
//! connection is closed, memory and time are bounded.

use pillarbox_tests::relaying::Row;
use pillarbox_tests::scripted::Act::{Flood, Forget, Raw, Usual};
use pillarbox_tests::scripted::script::say;
use pillarbox_tests::scripted::{At, Script, Seen};

pub fn rows() -> Vec<Row> {
    let mut rows = garbage();
    rows.extend(endless());
    rows.extend(counts());
    rows.extend(out_of_turn());
    rows
}

fn good() -> Script {
    Script::good()
}

fn step_by_step() -> Script {
    Script::good().offers(&["8BITMIME", "SIZE 100000000"])
}

fn garbage() -> Vec<Row> {
    let noise: Vec<u8> = (0..=255).cycle().take(2_000).chain(*b"\r\n").collect();
    vec![
        Row::new(
            "HTTP instead of a greeting",
            good().says(At::Greeting, "HTTP/1.1 400 Bad Request"),
        )
        .down(""),
        Row::new(
            "a TLS alert instead of a greeting",
            good().at(
                At::Greeting,
                [Raw(b"\x15\x03\x01\x00\x02\x02\x46\r\n".to_vec())],
            ),
        )
        .down(""),
        Row::new(
            "an empty line instead of a greeting",
            good().says(At::Greeting, ""),
        )
        .down(""),
        Row::new(
            "noise at MAIL",
            step_by_step().at(At::Mail(0), [Raw(noise.clone())]),
        )
        .deferred(""),
        Row::new(
            "noise after the final dot",
            good().at(At::End, [Raw(noise)]),
        )
        .ambiguous()
        .deferred(""),
        Row::new(
            "a code of two digits",
            step_by_step().says(At::Rcpt(""), "25 ok"),
        )
        .deferred(""),
        Row::new(
            "first digit 1",
            step_by_step().says(At::Rcpt(""), "199 perhaps"),
        )
        .deferred(""),
        Row::new(
            "first digit 6",
            step_by_step().says(At::Rcpt(""), "650 never"),
        )
        .deferred(""),
    ]
}

fn endless() -> Vec<Row> {
    vec![
        Row::new(
            "an endless line as greeting",
            good().at(At::Greeting, [Flood("220 x")]),
        )
        .down(""),
        Row::new(
            "an endless number of lines as greeting",
            good().at(At::Greeting, [Flood("220-x\r\n")]),
        )
        .down(""),
        Row::new(
            "endless capabilities",
            good().at(At::Ehlo, [Flood("250-X-CAN-DO\r\n")]),
        )
        .down(""),
        Row::new(
            "an endless line at MAIL",
            step_by_step().at(At::Mail(0), [Flood("x")]),
        )
        .deferred(""),
        Row::new(
            "an endless number of lines at RCPT",
            step_by_step().at(At::Rcpt(""), [Flood("250-ok\r\n")]),
        )
        .deferred(""),
        Row::new(
            "an endless line after the final dot",
            good().at(At::End, [Flood("250 x")]),
        )
        .ambiguous()
        .deferred(""),
        Row::new(
            "an endless number of lines after the final dot",
            good().at(At::End, [Flood("250-x\r\n")]),
        )
        .ambiguous()
        .deferred(""),
        Row::new(
            "replies without an end after EHLO",
            good().at(At::Ehlo, [Usual, Flood("250 ok\r\n")]),
        )
        .deferred(""),
        Row::new(
            "replies without an end at QUIT",
            good().at(At::Quit, [Flood("221 bye\r\n")]),
        )
        .attempts(1..=1),
    ]
}

fn counts() -> Vec<Row> {
    vec![
        Row::new(
            "two replies to MAIL",
            step_by_step().at(
                At::Mail(0),
                [Raw(b"250 2.1.0 ok\r\n250 2.1.0 ok\r\n".to_vec())],
            ),
        )
        .deferred(""),
        Row::new(
            "two replies to EHLO",
            good().at(
                At::Ehlo,
                [Raw(b"250 peer.test\r\n250 peer.test\r\n".to_vec())],
            ),
        )
        .deferred(""),
        Row::new(
            "all replies at once, before their commands",
            good().at(
                At::Greeting,
                [Raw(
                    b"220 a\r\n250 b\r\n250 c\r\n250 d\r\n354 e\r\n250 f\r\n".to_vec(),
                )],
            ),
        )
        .deferred(""),
        Row::new(
            "no reply to one RCPT of a group",
            good().at(At::Rcpt("b"), []).says(At::Data, "354 go on"),
        )
        .to(&["a", "b", "c"])
        .deferred(""),
        Row::new(
            "PIPELINING is offered, and all but the first command is thrown away",
            good().at(At::Mail(0), [Forget, Usual]),
        )
        .to(&["a", "b"])
        .deferred(""),
    ]
}

fn out_of_turn() -> Vec<Row> {
    vec![
        Row::new("354 as greeting", good().says(At::Greeting, "354 go on")).down(""),
        Row::new("354 to EHLO", good().says(At::Ehlo, "354 go on")).down(""),
        Row::new("354 to MAIL", step_by_step().says(At::Mail(0), "354 go on")).deferred(""),
        Row::new("334 to RCPT", step_by_step().says(At::Rcpt(""), "334 who?")).deferred(""),
        Row::new("2yz to DATA", step_by_step().says(At::Data, "250 2.0.0 ok"))
            .deferred("")
            .check(before_the_recovery_no_content),
        Row::new("350 to DATA", step_by_step().says(At::Data, "350 go on"))
            .deferred("")
            .check(before_the_recovery_no_content),
        Row::new("354 after the final dot", good().says(At::End, "354 more"))
            .ambiguous()
            .deferred(""),
        Row::new(
            "the final reply comes with 354",
            good().at(At::Data, [Raw(b"354 go on\r\n250 2.6.0 kept\r\n".to_vec())]),
        )
        .deferred(""),
        Row::new(
            "354 after every RCPT was refused",
            good()
                .says(At::Rcpt(""), "550 5.1.1 nobody of that name")
                .says(At::Data, "354 go on"),
        )
        .to(&["a", "b"])
        .failed("5.1.1", "550 & nobody of that name")
        .check(only_empty_contents),
        Row::new(
            "552 within the content",
            good().at(At::Octets(100_000), [say("552 5.3.4 enough")]),
        )
        .size(8 << 20)
        .failed("5.3.4", "552 & enough"),
        Row::new(
            "452 within the content",
            good().at(At::Octets(100_000), [say("452 4.3.1 disk full")]),
        )
        .size(8 << 20)
        .deferred("disk full"),
        Row::new(
            "a stray 250 between messages",
            good().at(At::End, [Usual, Raw(b"250 2.6.0 kept\r\n".to_vec())]),
        )
        .messages(3),
    ]
}

fn before_the_recovery_no_content(seen: &Seen) -> Result<(), String> {
    match seen.contents.len() {
        1 => Ok(()),
        other => Err(format!(
            "{other} contents came, not the one after the recovery"
        )),
    }
}

/// R2920-3.1-c
fn only_empty_contents(seen: &Seen) -> Result<(), String> {
    match seen
        .contents
        .iter()
        .find(|content| !content.octets.is_empty())
    {
        Some(_) => Err("the content was sent though nobody wanted it".into()),
        None => Ok(()),
    }
}
