//! Ends of all kinds: loss at every stage, 421, octets that are no reply, replies out of turn.

use super::driver::{Split, play, play_split};
use alloc::format;

/// The way to the end of a message of two recipients, one of them refused: a prefix of it, what
/// the host had from the session then, and where a loss is reported.
const WAY: [(&str, &str, &str); 11] = [
    ("H: open", "", "Connect"),
    ("S: 220 here\nC: EHLO client.example.org", "", "Envelope"),
    ("S: 250-here\nS: 250 PIPELINING\nE: ready", "", "Envelope"),
    (
        "H: submit a@example.org b@example.org,c@example.org
         C: MAIL FROM:<a@example.org>\nC: RCPT TO:<b@example.org>\nC: RCPT TO:<c@example.org>\nC: DATA",
        "deferred 0 1",
        "Envelope",
    ),
    ("S: 250 ok", "deferred 0 1", "Envelope"),
    ("S: 550 5.1.1 no\nE: settled 0 failed 550 5.1.1", "deferred 1", "Envelope"),
    ("S: 250 ok", "deferred 1", "Envelope"),
    ("S: 354 go\nE: hungry", "deferred 1", "Content"),
    ("H: supply one\\r\\n\nD: one\nE: hungry", "deferred 1", "Content"),
    ("H: last two\\r\\n\nD: two\nD: .", "unknown 1", "Content"),
    (
        "S: 250 2.6.0 ok\nE: settled 1 accepted 250 2.6.0\nE: done\nE: ready",
        "",
        "Ended",
    ),
];

/// For each place on the way: the dialogue so far, and how a loss there settles with this reply.
fn each_place(reply: &str, end: impl Fn(&str, &str, &str, &str)) {
    let mut so_far = alloc::string::String::new();
    for (step, unsettled, stage) in WAY {
        so_far.push_str(step);
        so_far.push('\n');
        let mut settled = alloc::string::String::new();
        let mut words = unsettled.split_whitespace();
        if let Some(verdict) = words.next() {
            for index in words {
                settled.push_str(&format!("E: settled {index} {verdict} {reply}\n"));
            }
            settled.push_str("E: done\n");
        }
        end(&so_far, &settled, stage, unsettled);
    }
}

#[test]
fn cl_ambiguous_a_loss_settles_as_451_4_4_2_and_after_the_dot_as_unknown() {
    for how in ["closed", "timeout"] {
        each_place("451 4.4.2", |so_far, settled, stage, _| {
            play(&format!(
                "{so_far}H: lost {how}\n{settled}E: failed {stage} temporary\nE: close\nP: Closed\n"
            ));
        });
    }
}

#[test]
fn cl_421_settles_as_deferred_and_closes() {
    each_place("421 4.3.2", |so_far, settled, stage, _| {
        // The server's word is definite even after the dot.
        let settled = settled.replace("unknown", "deferred");
        play(&format!(
            "{so_far}S: 421 4.3.2 shutting down\n{settled}E: failed {stage} temporary 421 4.3.2\nE: close\n"
        ));
    });
}

#[test]
fn cl_reply_b_what_is_no_reply_defers_and_closes() {
    for garbage in [
        "HTTP/1.1 400 Bad Request",
        "",
        "25",
        "199 x",
        "600 x",
        "250_x",
    ] {
        each_place("451 4.5.0", |so_far, settled, stage, _| {
            play(&format!(
                "{so_far}S: {garbage}\n{settled}E: failed {stage} temporary\nE: close\n"
            ));
        });
    }
}

#[test]
fn cl_reply_b_endless_replies_end_the_session() {
    let long = "x".repeat(4_096);
    let many = "S: 250-x\n".repeat(129);
    for endless in [format!("S: 250 {long}\n"), many] {
        each_place("451 4.5.0", |so_far, settled, stage, _| {
            play_split(
                &format!("{so_far}{endless}{settled}E: failed {stage} temporary\nE: close\n"),
                Split::Whole,
            );
        });
    }
}

#[test]
fn cl_354_3yz_where_none_belongs_defers_and_closes() {
    each_place("451 4.5.0", |so_far, settled, stage, unsettled| {
        if so_far.ends_with("S: 354 go\nE: hungry\n")
            || stage == "Content" && unsettled != "unknown 1"
        {
            return;
        }
        play(&format!(
            "{so_far}S: 399 what\n{settled}E: failed {stage} temporary\nE: close\n"
        ));
    });
}

#[test]
fn cl_354_2yz_to_data_defers_and_closes() {
    for code in [250, 350, 355] {
        play(&format!(
            "
            H: open
            S: 220 here
            C: EHLO client.example.org
            S: 250 here
            E: ready
            H: submit a@example.org b@example.org
            C: MAIL FROM:<a@example.org>
            S: 250 ok
            C: RCPT TO:<b@example.org>
            S: 250 ok
            C: DATA
            S: {code} ok
            E: settled 0 deferred 451 4.5.0
            E: done
            E: failed Envelope temporary
            E: close
        "
        ));
    }
}

#[test]
fn cl_reply_b_a_reply_that_belongs_to_no_command_closes() {
    let ready = "
        H: open
        S: 220 here
        C: EHLO client.example.org
        S: 250 here
        E: ready
    ";
    play(&format!(
        "{ready}
        S: 250 again
        E: failed Envelope temporary
        E: close
    "
    ));
    // Without PIPELINING no second reply is due; the offer that came with it is withdrawn.
    play_split(
        "
        H: open
        S: 220 here
        S: 250 here
        S: 250 again
        C: EHLO client.example.org
        E: failed Envelope temporary
        E: close
        ",
        Split::Whole,
    );
    play_split(
        &format!(
            "{ready}
        H: submit a@example.org b@example.org
        C: MAIL FROM:<a@example.org>
        S: 250 ok
        S: 250 ok
        S: 354 go
        S: 250 accepted
        E: settled 0 deferred 451 4.5.0
        E: done
        E: failed Envelope temporary
        E: close
        "
        ),
        Split::Whole,
    );
}

/// Up to the first `hungry`.
const HUNGRY: &str = "
    H: open
    S: 220 here
    C: EHLO client.example.org
    S: 250-here
    S: 250 PIPELINING
    E: ready
    H: submit a@example.org b@example.org
    C: MAIL FROM:<a@example.org>
    C: RCPT TO:<b@example.org>
    C: DATA
    S: 250 ok
    S: 250 ok
    S: 354 go
    E: hungry
";

#[test]
fn cl_final_a_reply_before_the_end_of_data_accepts_nothing() {
    play(&format!(
        "{HUNGRY}
        H: supply one\\r\\n
        D: one
        E: hungry
        S: 250 2.6.0 accepted
        E: settled 0 deferred 451 4.5.0
        E: done
        E: failed Content temporary 250 2.6.0
        E: close
    "
    ));
    for (reply, verdict) in [("552 5.3.4", "failed"), ("452 4.3.1", "deferred")] {
        play(&format!(
            "{HUNGRY}
            H: supply one\\r\\n
            D: one
            E: hungry
            S: {reply} too much
            E: settled 0 {verdict} {reply}
            E: done
            E: failed Content temporary {reply}
            E: close
        "
        ));
    }
}

#[test]
fn cl_quit_nothing_after_it_changes_anything() {
    for end in [
        "S: 221 bye",
        "S: 500 what",
        "S: 421 bye",
        "S: 354 go",
        "H: lost closed",
        "H: lost timeout",
    ] {
        play(&format!(
            "
            H: open
            S: 220 here
            C: EHLO client.example.org
            S: 250 here
            E: ready
            H: quit
            C: QUIT
            {end}
            E: close
        "
        ));
    }
    // Nor does what is no reply.
    play(
        "
        H: open
        S: 220 here
        C: EHLO client.example.org
        S: 250 here
        E: ready
        H: quit
        C: QUIT
        S: what?
        E: close
    ",
    );
}

#[test]
fn contract_a_handshake_that_fails_before_open_is_at_stage_tls() {
    play(
        "
        H: start tls=established
        H: lost handshake
        E: failed Tls temporary
        E: close
    ",
    );
}
