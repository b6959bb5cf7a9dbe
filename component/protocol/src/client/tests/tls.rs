//! STARTTLS: off, opportunistic, required, and implicit TLS.

use super::driver::{Split, play, play_split};

#[test]
fn r3207_4_2_c_only_the_second_ehlo_counts() {
    play(
        "
        H: start tls=opportunistic
        H: open
        S: 220 here
        C: EHLO client.example.org
        S: 250-here
        S: 250-SIZE 10
        S: 250 STARTTLS
        C: STARTTLS
        S: 220 2.0.0 go
        E: start-tls
        P: Answer
        H: secured unverified
        C: EHLO client.example.org
        S: 250-here
        S: 250 STARTTLS
        E: ready
        H: submit a@example.org b@example.org size=11
        C: MAIL FROM:<a@example.org>
    ",
    );
}

#[test]
fn r3207_4_2_c_octets_in_clear_after_the_220_are_an_attack() {
    let attack = |after: &str| {
        alloc::format!(
            "
            H: start tls=opportunistic
            H: open
            S: 220 here
            C: EHLO client.example.org
            S: 250-here
            S: 250 STARTTLS
            C: STARTTLS
            S: 220 2.0.0 go
            S: {after}
            E: failed Tls temporary 220 2.0.0
            E: close
        "
        )
    };
    play_split(&attack("250 evil"), Split::Whole);
    play_split(&attack("x"), Split::Whole);
    // What the host leaves unread it reports as a failed handshake.
    play(
        "
        H: start tls=required
        H: open
        S: 220 here
        C: EHLO client.example.org
        S: 250-here
        S: 250 STARTTLS
        C: STARTTLS
        S: 220 2.0.0 go
        E: start-tls
        H: lost handshake
        E: failed Tls temporary
        E: close
    ",
    );
}

#[test]
fn r3207_6_a_required_means_offered_and_220_and_verified() {
    play(
        "
        H: start tls=required auth=PLAIN clear
        H: open
        S: 220 here
        C: EHLO client.example.org
        S: 250-here
        S: 250 AUTH PLAIN
        E: failed Tls temporary
        C: QUIT
    ",
    );
    play(
        "
        H: start tls=required
        H: open
        S: 220 here
        C: EHLO client.example.org
        S: 250-here
        S: 250 STARTTLS
        C: STARTTLS
        S: 454 4.7.0 not now
        E: failed Tls temporary 454 4.7.0
        C: QUIT
    ",
    );
    play(
        "
        H: start tls=required
        H: open
        S: 220 here
        C: EHLO client.example.org
        S: 250-here
        S: 250 STARTTLS
        C: STARTTLS
        S: 220 go
        E: start-tls
        H: secured unverified
        E: failed Tls temporary
        C: QUIT
    ",
    );
    play(
        "
        H: start tls=required
        H: open
        S: 220 here
        C: EHLO client.example.org
        S: 250-here
        S: 250 STARTTLS
        C: STARTTLS
        S: 220 go
        E: start-tls
        H: secured verified
        C: EHLO client.example.org
        S: 250 here
        E: ready
    ",
    );
}

#[test]
fn r3207_6_b_opportunistic_goes_on_without_tls() {
    for reply in ["454 4.7.0 not now", "502 5.5.1 what?"] {
        play(&alloc::format!(
            "
            H: start tls=opportunistic
            H: open
            S: 220 here
            C: EHLO client.example.org
            S: 250-here
            S: 250 STARTTLS
            C: STARTTLS
            S: {reply}
            E: ready
        "
        ));
    }
    play(
        "
        H: start tls=opportunistic
        H: open
        S: 220 here
        C: EHLO client.example.org
        S: 250 here
        E: ready
    ",
    );
    play(
        "
        H: start tls=opportunistic
        H: open
        S: 220 here
        C: EHLO client.example.org
        S: 250-here
        S: 250 STARTTLS
        C: STARTTLS
        S: 220 go
        E: start-tls
        H: lost handshake
        E: failed Tls temporary
        E: close
        P: Closed
    ",
    );
}

#[test]
fn r3207_a_starttls_reply_that_is_neither_220_nor_a_refusal_ends_the_session() {
    play(
        "
        H: start tls=opportunistic
        H: open
        S: 220 here
        C: EHLO client.example.org
        S: 250-here
        S: 250 STARTTLS
        C: STARTTLS
        S: 250 ok
        E: failed Tls temporary
        E: close
    ",
    );
}

#[test]
fn r8314_3_3_implicit_tls_never_sends_starttls() {
    play(
        "
        H: start tls=established
        H: secured verified
        P: Greeting
        H: open
        S: 220 here
        C: EHLO client.example.org
        S: 250-here
        S: 250 STARTTLS
        E: ready
    ",
    );
}

#[test]
fn r3207_off_never_sends_starttls() {
    play(
        "
        H: open
        S: 220 here
        C: EHLO client.example.org
        S: 250-here
        S: 250 STARTTLS
        E: ready
    ",
    );
}
