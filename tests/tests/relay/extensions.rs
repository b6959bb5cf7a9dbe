//! What EHLO promises, and where that is a lie (CL-ehlo, CL-params, R1870-6.2, R9422-5, R3461-5.2.1).

use pillarbox_tests::relaying::Row;
use pillarbox_tests::relaying::row::Want;
use pillarbox_tests::scripted::{Act, At, Script, Seen};

pub fn rows() -> Vec<Row> {
    vec![
        Row::new(
            "EHLO is refused, HELO is not",
            good().says(At::Ehlo, "502 5.5.1 what?"),
        )
        .attempts(1..=1)
        .check(|seen| heard(seen, "HELO ", true)),
        Row::new(
            "a SIZE smaller than the message",
            good().offers(&["SIZE 10000"]),
        )
        .size(20_000)
        .failed("5.3.4", "")
        .check(|seen| heard(seen, "MAIL FROM", false)),
        Row::new("SIZE 0", good().offers(&["SIZE 0"]))
            .size(20_000)
            .attempts(1..=1),
        Row::new(
            "a SIZE that the server does not mean",
            good().says(At::Mail(0), "552 5.3.4 too big"),
        )
        .failed("5.3.4", "552 & too big"),
        Row::new(
            "no 8BITMIME, and content with eight bits",
            good().offers(&["SIZE"]),
        )
        .with(|row| row.eight_bit = true)
        .failed("5.6.3", "")
        .check(|seen| heard(seen, "MAIL FROM", false)),
        Row::new(
            "no 8BITMIME, content with eight bits, and a route that converts",
            good().offers(&["SIZE"]),
        )
        .route("eight-bit = \"convert\"")
        .with(|row| {
            row.eight_bit = true;
            row.converted = true;
        })
        .attempts(1..=1)
        .check(|seen| heard(seen, "BODY=", false)),
        Row::new(
            "CHUNKING, and a route that uses it",
            good().offers_too("CHUNKING"),
        )
        .route("chunking = true")
        .size(3_000_000)
        .attempts(1..=1)
        .check(|seen| {
            heard(seen, "BDAT 1048576", true)?;
            heard(seen, " LAST", true)?;
            heard(seen, "DATA", false)
        }),
        Row::new(
            "CHUNKING without PIPELINING, eight bits",
            good().offers(&["8BITMIME", "CHUNKING"]),
        )
        .route("chunking = true")
        .with(|row| row.eight_bit = true)
        .size(2_000_000)
        .attempts(1..=1)
        .check(|seen| heard(seen, "BODY=8BITMIME", true)),
        Row::new(
            "CHUNKING, and a route that is not told",
            good().offers_too("CHUNKING"),
        )
        .attempts(1..=1)
        .check(|seen| heard(seen, "BDAT", false)),
        Row::new(
            "a refused chunk",
            good()
                .offers_too("CHUNKING")
                .says(At::Chunk, "554 5.7.1 not this"),
        )
        .route("chunking = true")
        .size(3_000_000)
        .failed("5.7.1", "554 & not this"),
        Row::new(
            "the connection is closed within a chunk",
            good().offers_too("CHUNKING").at(At::Chunk, [Act::Close]),
        )
        .route("chunking = true")
        .size(3_000_000)
        .deferred(""),
        Row::new("8BITMIME, and content with eight bits", good())
            .with(|row| row.eight_bit = true)
            .attempts(1..=1)
            .check(|seen| heard(seen, "BODY=8BITMIME", true)),
        Row::new("DSN", good().offers(&["DSN", "PIPELINING"]))
            .with(|row| {
                row.mail = "RET=HDRS ENVID=Q+2BQ123";
                row.rcpt = "NOTIFY=FAILURE,DELAY ORCPT=rfc822;o+2Br@example.org";
            })
            .attempts(1..=1)
            .check(|seen| {
                heard(seen, "RET=HDRS", true)?;
                heard(seen, "ENVID=Q+2BQ123", true)?;
                heard(seen, "NOTIFY=FAILURE,DELAY", true)?;
                heard(seen, "ORCPT=rfc822;o+2Br@example.org", true)
            }),
        Row::new("no DSN", good())
            .with(|row| {
                row.mail = "RET=HDRS ENVID=Q123";
                row.rcpt = "NOTIFY=FAILURE ORCPT=rfc822;o@example.org";
            })
            .attempts(1..=1)
            .check(|seen| {
                heard(seen, "ENVID", false)?;
                heard(seen, "NOTIFY", false)
            }),
        Row::new(
            "DSN is offered, and its parameters are refused",
            good()
                .offers_too("DSN")
                .says(At::Rcpt(""), "555 5.5.4 no such parameter"),
        )
        .with(|row| row.rcpt = "NOTIFY=FAILURE")
        .failed("5.5.4", "555 & no such parameter"),
        Row::new(
            "NOTIFY=NEVER, and a refusal",
            good().says(At::Rcpt(""), "550 5.1.1 nobody of that name"),
        )
        .with(|row| {
            row.rcpt = "NOTIFY=NEVER";
            row.unreported = true;
        })
        .failed("5.1.1", ""),
        Row::new(
            "LIMITS RCPTMAX=2, five recipients",
            good().offers(&["PIPELINING", "LIMITS RCPTMAX=2"]),
        )
        .to(&["a", "b", "c", "d", "e"])
        .check(|seen| at_most(seen, 2)),
        Row::new(
            "a LIMITS line that cannot be read",
            good().offers(&["LIMITS RCPTMAX=0 MAILMAX=x"]),
        )
        .to(&["a", "b", "c"])
        .attempts(1..=1)
        .check(|seen| exactly(seen, 1)),
        Row::new(
            "452 4.5.3 to the third RCPT",
            good().most_recipients(2, "452 4.5.3 too many recipients"),
        )
        .to(&["a", "b", "c", "d", "e"])
        .check(|seen| at_most(seen, 2)),
        Row::new(
            "552 too many recipients to the third RCPT",
            good().most_recipients(2, "552 too many recipients"),
        )
        .to(&["a", "b", "c", "d", "e"])
        .check(|seen| at_most(seen, 2)),
        Row::new(
            "452 4.5.3 to every RCPT",
            good().says(At::Rcpt(""), "452 4.5.3 too many recipients"),
        )
        .to(&["a", "b"])
        .wants(&["a", "b"], &Want::Deferred("452 & too many"))
        .connections(1..=12),
    ]
}

fn good() -> Script {
    Script::good()
}

fn heard(seen: &Seen, words: &str, wanted: bool) -> Result<(), String> {
    match seen.heard(words) == wanted {
        true => Ok(()),
        false if wanted => Err(format!("{words} was not said")),
        false => Err(format!("{words} was said")),
    }
}

fn at_most(seen: &Seen, recipients: usize) -> Result<(), String> {
    match seen
        .contents
        .iter()
        .find(|content| content.recipients.len() > recipients)
    {
        Some(content) => Err(format!("{} recipients in one", content.recipients.len())),
        None => Ok(()),
    }
}

fn exactly(seen: &Seen, contents: usize) -> Result<(), String> {
    match seen.contents.len() {
        number if number == contents => Ok(()),
        number => Err(format!("{number} transactions, not {contents}")),
    }
}
