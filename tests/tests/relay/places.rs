//! Servers that are away, several of them, limits of a session, and giving up.

use pillarbox_tests::relaying::Row;
use pillarbox_tests::scripted::Act::{Close, Usual};
use pillarbox_tests::scripted::{At, Script, Seen};

pub fn rows() -> Vec<Row> {
    let mut rows = away();
    rows.extend(several());
    rows.extend(limits());
    rows.extend(ends());
    rows
}

fn good() -> Script {
    Script::good()
}

fn absent() -> Script {
    Script {
        absent: true,
        ..Script::default()
    }
}

fn away() -> Vec<Row> {
    vec![
        Row::new("nobody listens", absent()).messages(3).down(""),
        Row::new("nobody has heard of the server's name", good())
            .with(|row| row.host = Some("smarthost.test"))
            .paused("smarthost.test"),
        // CL-route: whoever named the server should hear of it, and no sender.
        Row::new(
            "554 as greeting",
            good().says(At::Greeting, "554 no service for you"),
        )
        .paused("554 & no service for you"),
        Row::new(
            "EHLO and HELO are refused",
            good()
                .says(At::Ehlo, "502 5.5.1 what?")
                .says(At::Helo, "550 5.7.1 go away"),
        )
        .paused("550 & go away"),
    ]
}

fn several() -> Vec<Row> {
    vec![
        Row::new("nobody listens at the first of two", absent())
            .second(good())
            .messages(3)
            .with(|row| row.script.incurable = true)
            .attempts(1..=1),
        Row::new(
            "the first of two greets with 421",
            good().says(At::Greeting, "421 4.3.2 peer.test shutting down"),
        )
        .second(good())
        .attempts(1..=1),
        Row::new(
            "the first of two closes at once",
            good().at(At::Greeting, [Close]),
        )
        .second(good())
        .attempts(1..=1),
        Row::new("nobody listens at either of two", absent())
            .second(absent())
            .down(""),
        Row::new(
            "the first of two refuses a recipient: the second is not asked",
            good().says(At::Rcpt(""), "550 5.1.1 nobody of that name"),
        )
        .second(good())
        .failed("5.1.1", "550 & nobody of that name"),
    ]
}

fn limits() -> Vec<Row> {
    vec![
        Row::new(
            "LIMITS MAILMAX=1, three messages",
            good().offers(&["LIMITS MAILMAX=1"]),
        )
        .messages(3)
        .attempts(1..=1)
        .check(|seen| mails(seen, 1)),
        Row::new("421 to the third MAIL of a session", {
            good().most_messages(2, "421 4.7.0 enough for now")
        })
        .route("connections = 1")
        .messages(6)
        .check(|seen| mails(seen, 3)),
        Row::new("452 to the third MAIL of a session", {
            good().most_messages(2, "452 4.5.3 too many messages")
        })
        .route("connections = 1")
        .messages(6),
        Row::new("messages-per-connection = 2", good())
            .route("messages-per-connection = 2")
            .route("connections = 1")
            .messages(5)
            .attempts(1..=1)
            .check(|seen| mails(seen, 2)),
        Row::new("421 to more than one connection at a time", {
            Script {
                most_connections: 1,
                ..Script::default()
            }
        })
        .route("connections = 3")
        .messages(10),
        Row::new(
            "connections = 2, twenty messages",
            good().at(At::End, [slow(), Usual]),
        )
        .route("connections = 2")
        .messages(20)
        .attempts(1..=1)
        .check(|seen| match seen.most_connections {
            0..=2 => Ok(()),
            more => Err(format!("{more} connections at a time")),
        }),
        Row::new("twenty messages use few connections", good())
            .route("connections = 1")
            .messages(20)
            .attempts(1..=1)
            .check(|seen| match seen.connections {
                // Submitted one after the other, perhaps with a pause that is longer than `idle`.
                0..=5 => Ok(()),
                more => Err(format!("{more} connections for twenty messages")),
            }),
    ]
}

fn ends() -> Vec<Row> {
    vec![
        Row::new(
            "450 until it is given up",
            good().says(At::Rcpt(""), "450 4.2.1 mailbox busy"),
        )
        .retry("first = \"1s\", longest = \"1s\", give-up = \"4s\"")
        .failed("4.2.1|4.4.7", "450 & mailbox busy")
        .attempts(2..=8),
        Row::new(
            "451 without an enhanced code until it is given up",
            good().says(At::End, "451 try again"),
        )
        .retry("first = \"1s\", longest = \"1s\", give-up = \"4s\"")
        .failed("4.0.0|4.4.7", "451 & try again"),
        Row::new("nobody listens until it is given up", absent())
            .retry("first = \"1s\", longest = \"1s\", give-up = \"4s\"")
            .with(|row| row.script.incurable = true)
            .failed("4.4.1|4.4.7", ""),
        Row::new("450 for long enough that the sender hears of it", {
            good().says(At::Rcpt(""), "450 4.2.1 mailbox busy")
        })
        .retry("first = \"1s\", longest = \"1s\", give-up = \"1h\", delay-note = \"2s\"")
        .with(|row| row.delay_note = true)
        .deferred("450 & mailbox busy"),
        Row::new("the stored content is damaged while it waits", {
            good().says(At::Rcpt(""), "450 4.2.1 mailbox busy")
        })
        .size(2 << 20)
        .with(|row| row.damage = true)
        .deferred("450 & mailbox busy")
        .check(|seen| match seen.contents.len() {
            0 => Ok(()),
            _ => Err("a damaged message was sent".into()),
        }),
    ]
}

fn slow() -> pillarbox_tests::scripted::Act {
    pillarbox_tests::scripted::Act::Pause(std::time::Duration::from_millis(20))
}

/// No connection had more MAIL commands.
fn mails(seen: &Seen, most: usize) -> Result<(), String> {
    match seen.mails.iter().find(|number| **number > most) {
        Some(more) => Err(format!("{more} MAIL commands on one connection")),
        None => Ok(()),
    }
}
