//! Servers that close, reset or fall silent (CL-ambiguous, CL-quit): what was not settled is
//! deferred and delivered later; nothing is doubled save after the final dot.

use pillarbox_tests::relaying::Row;
use pillarbox_tests::scripted::Act::{self, Close, Deafness, Drip, Raw, Reset, Silence, Usual};
use pillarbox_tests::scripted::{At, Script, Seen};
use std::time::Duration;

/// So much that no socket's buffers hold it.
const HUGE: usize = 16 << 20;

pub fn rows() -> Vec<Row> {
    let mut rows = closing();
    rows.extend(silent());
    rows.extend(slow());
    rows
}

fn good() -> Script {
    Script::good()
}

/// Without PIPELINING each reply is a moment of its own.
fn step_by_step() -> Script {
    Script::good().offers(&["8BITMIME", "SIZE 100000000"])
}

fn was_cut_short(seen: &Seen) -> Result<(), String> {
    match seen.cut_short.as_slice() {
        [] => Err("no content was cut short".into()),
        _ => Ok(()),
    }
}

fn closing() -> Vec<Row> {
    vec![
        Row::new(
            "closes instead of the greeting",
            good().at(At::Greeting, [Close]),
        )
        .down(""),
        Row::new(
            "resets instead of the greeting",
            good().at(At::Greeting, [Reset]),
        )
        .down(""),
        Row::new(
            "closes within the greeting",
            good().at(At::Greeting, [Raw(b"220 peer.te".to_vec()), Close]),
        )
        .down(""),
        Row::new(
            "closes after the greeting",
            good().at(At::Greeting, [Usual, Close]),
        )
        .down(""),
        Row::new("closes at EHLO", good().at(At::Ehlo, [Close])).down(""),
        Row::new(
            "closes within the reply to EHLO",
            good().at(At::Ehlo, [Raw(b"250-peer.test\r\n250-SI".to_vec()), Close]),
        )
        .down(""),
        Row::new("closes after EHLO", good().at(At::Ehlo, [Usual, Close])).deferred(""),
        Row::new("closes at MAIL", step_by_step().at(At::Mail(0), [Close])).deferred(""),
        Row::new(
            "closes after MAIL",
            step_by_step().at(At::Mail(0), [Usual, Close]),
        )
        .deferred(""),
        Row::new(
            "resets after MAIL",
            step_by_step().at(At::Mail(0), [Usual, Reset]),
        )
        .deferred(""),
        Row::new("closes at RCPT", step_by_step().at(At::Rcpt(""), [Close])).deferred(""),
        Row::new(
            "closes after the first of two RCPT",
            step_by_step().at(At::Rcpt("a"), [Usual, Close]),
        )
        .to(&["a", "b"])
        .deferred(""),
        Row::new("closes at DATA", step_by_step().at(At::Data, [Close])).deferred(""),
        Row::new("closes after 354", good().at(At::Data, [Usual, Close])).deferred(""),
        Row::new(
            "closes within the content",
            good().at(At::Octets(40_000), [Close]),
        )
        .size(HUGE)
        .deferred("")
        .check(was_cut_short),
        Row::new(
            "resets within the content",
            good().at(At::Octets(40_000), [Reset]),
        )
        .size(HUGE)
        .deferred("")
        .check(was_cut_short),
        Row::new(
            "closes after the final dot, without a reply",
            good().at(At::End, [Close]),
        )
        .to(&["a", "b"])
        .ambiguous()
        .deferred(""),
        Row::new(
            "resets after the final dot, without a reply",
            good().at(At::End, [Reset]),
        )
        .ambiguous()
        .deferred(""),
        Row::new(
            "closes within the final reply",
            good().at(At::End, [Raw(b"250 2.6.0 ke".to_vec()), Close]),
        )
        .ambiguous()
        .deferred(""),
        Row::new(
            "closes after the final reply",
            good().at(At::End, [Usual, Close]),
        )
        .messages(3)
        .attempts(1..=3),
        Row::new(
            "resets after the final reply",
            good().at(At::End, [Usual, Reset]),
        ),
        Row::new(
            "closes at RSET",
            step_by_step()
                .says(At::Rcpt(""), "550 5.1.1 nobody of that name")
                .at(At::Rset, [Close]),
        )
        .failed("5.1.1", "nobody of that name"),
        Row::new("closes at QUIT", good().at(At::Quit, [Close])).attempts(1..=1),
        Row::new("resets at QUIT", good().at(At::Quit, [Reset])).attempts(1..=1),
    ]
}

fn silent() -> Vec<Row> {
    vec![
        Row::new(
            "silent instead of the greeting",
            good().at(At::Greeting, [Silence]),
        )
        .down(""),
        Row::new(
            "silent within the greeting",
            good().at(At::Greeting, [Raw(b"220-x".to_vec()), Silence]),
        )
        .down(""),
        Row::new("silent at EHLO", good().at(At::Ehlo, [Silence])).down(""),
        Row::new("silent at MAIL", step_by_step().at(At::Mail(0), [Silence])).deferred(""),
        Row::new("silent at RCPT", step_by_step().at(At::Rcpt(""), [Silence])).deferred(""),
        Row::new(
            "silent at the second of two RCPT",
            step_by_step().at(At::Rcpt("b"), [Silence]),
        )
        .to(&["a", "b"])
        .deferred(""),
        Row::new("silent at DATA", step_by_step().at(At::Data, [Silence])).deferred(""),
        Row::new(
            "takes no more octets within the content",
            good().at(At::Octets(40_000), [Deafness]),
        )
        .size(HUGE)
        .deferred(""),
        Row::new("silent after the final dot", good().at(At::End, [Silence]))
            .ambiguous()
            .deferred(""),
        Row::new(
            "silent at RSET",
            step_by_step()
                .says(At::Rcpt(""), "550 5.1.1 nobody of that name")
                .at(At::Rset, [Silence]),
        )
        .failed("5.1.1", "nobody of that name"),
        Row::new("silent at QUIT", good().at(At::Quit, [Silence])).attempts(1..=1),
    ]
}

fn slow() -> Vec<Row> {
    let slowly = |text: &str| Drip(text.to_owned(), Duration::from_millis(30));
    vec![
        Row::new(
            "slow, octet by octet, and in time",
            good()
                .at(At::Greeting, [slowly("220 peer.test ESMTP")])
                .at(At::Ehlo, [slowly("250-peer.test\r\n250 SIZE 1000000")])
                .at(At::Mail(0), [slowly("250 2.1.0 ok")])
                .at(At::Rcpt(""), [slowly("250 2.1.5 ok")])
                .at(At::Data, [slowly("354 go on")])
                .at(At::End, [slowly("250 2.6.0 kept")]),
        )
        .attempts(1..=1),
        Row::new(
            "drips a reply that does not end",
            step_by_step().at(
                At::Mail(0),
                [Drip("x".repeat(20_000), Duration::from_micros(200))],
            ),
        )
        .deferred(""),
        Row::new(
            "waits with the reply to the final dot, and is in time",
            good().at(At::End, [pause(1_200), Usual]),
        )
        .attempts(1..=1),
        Row::new(
            "is too late with the reply to the final dot",
            // Nobody would hear it: the copy is what CL-ambiguous costs.
            good().at(At::End, [pause(4_000), Close]),
        )
        .ambiguous()
        .deferred(""),
    ]
}

fn pause(milliseconds: u64) -> Act {
    Act::Pause(Duration::from_millis(milliseconds))
}
