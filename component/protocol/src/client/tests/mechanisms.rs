//! AUTH with CRAM-MD5, SCRAM and EXTERNAL: whole exchanges, and servers that cannot be trusted.
//!
//! Computed with Python's `hashlib`: user `user`, password `pencil`, salt `salt`, 4096 iterations,
//! our nonce `AAECAwQFBgcICQoLDA0ODxAR` (the octets 0 to 17), the server's `srv` after it.

use super::authentication::under_tls;
use super::driver::play;
use alloc::{format, string::String};

/// `r=AAECAwQFBgcICQoLDA0ODxARsrv,s=c2FsdA==,i=4096`
const FIRST: &str = "cj1BQUVDQXdRRkJnY0lDUW9MREEwT0R4QVJzcnYscz1jMkZzZEE9PSxpPTQwOTY=";

/// Hash, the client's messages, and the server's signature, without channel binding.
const EXCHANGES: [[&str; 5]; 2] = [
    [
        "SCRAM-SHA-1",
        "sha1",
        "biwsbj11c2VyLHI9QUFFQ0F3UUZCZ2NJQ1FvTERBME9EeEFS",
        "Yz1iaXdzLHI9QUFFQ0F3UUZCZ2NJQ1FvTERBME9EeEFSc3J2LHA9YmpESGpXbS94a0lPRFNLNFlFM3hIMFhMNUdV\
         PQ==",
        "dj1NRk1oM21JcVFwL1U5VE5PcnJuQmJoanJGYVk9",
    ],
    [
        "SCRAM-SHA-256",
        "sha256",
        "biwsbj11c2VyLHI9QUFFQ0F3UUZCZ2NJQ1FvTERBME9EeEFS",
        "Yz1iaXdzLHI9QUFFQ0F3UUZCZ2NJQ1FvTERBME9EeEFSc3J2LHA9d1M2N1ZqSzhGZjRESDQwaFlLV29ZVWczaEtr\
         UFNNTTRXSmhsaWR1M05hTT0=",
        "dj15OW9henRYSVVrYno4d0RJcCtiaUNYY01Ma0tsbjBMcTBIOHBmc2k2TmVNPQ==",
    ],
];

/// From the offer to the client's proof; AUTH under TLS that has no binding.
fn proven(exchange: &[&str; 5], then: &str) -> String {
    let [name, hash, first, last, signature] = exchange;
    let dialogue = format!(
        "
        E: authenticate {name}
        H: authenticate user pencil
        C: AUTH {name} ***
        X: AUTH {name} {first}
        P: Authentication
        S: 334 {FIRST}
        E: derive 4096
        P: Answer
        H: derived {hash} pencil
        C: ***
        X: {last}
        P: Authentication
        {then}
    "
    );
    under_tls(name, name, &dialogue.replace("SIGNATURE", signature))
}

#[test]
fn r5802_5_d_the_server_proves_itself_too() {
    for exchange in &EXCHANGES {
        play(&proven(
            exchange,
            "
            S: 334 SIGNATURE
            C: ***
            X:
            S: 235 2.7.0 ok
            E: ready
        ",
        ));
    }
}

#[test]
fn r5802_5_d_235_without_a_signature_is_no_success() {
    for exchange in &EXCHANGES {
        let end = "E: failed Authentication permanent\nC: QUIT\nS: 221 bye\nE: close";
        play(&proven(exchange, &format!("S: 235 2.7.0 ok\n{end}")));
        let name = exchange[0];
        play(&under_tls(
            name,
            name,
            &format!(
                "
            E: authenticate {name}
            H: authenticate user pencil
            C: AUTH {name} ***
            S: 235 2.7.0 ok
            {end}
        "
            ),
        ));
    }
}

#[test]
fn r5802_5_d_a_wrong_signature_ends_the_session() {
    let [sha1, sha256] = &EXCHANGES;
    for (exchange, signature) in [(sha1, sha256[4]), (sha256, sha1[4])] {
        // Whatever it says to the `*`.
        for (reply, code) in [("501 5.7.0 cancelled", " 501 5.7.0"), ("235 ok", "")] {
            play(&proven(
                exchange,
                &format!(
                    "
                S: 334 {signature}
                C: *
                P: Authentication
                S: {reply}
                E: failed Authentication permanent{code}
                C: QUIT
            "
                ),
            ));
        }
    }
}

#[test]
fn r5802_5_d_no_other_mechanism_after_a_wrong_signature() {
    play(&under_tls(
        "SCRAM-SHA-256,PLAIN",
        "SCRAM-SHA-256 PLAIN",
        &format!(
            "
        E: authenticate SCRAM-SHA-256
        H: authenticate user pencil
        C: AUTH SCRAM-SHA-256 ***
        S: 334 {FIRST}
        E: derive 4096
        H: derived sha256 pencil
        C: ***
        S: 334 {}
        C: *
        S: 501 cancelled
        E: failed Authentication permanent 501
        C: QUIT
    ",
            EXCHANGES[0][4]
        ),
    ));
}

#[test]
fn r5802_5_d_foreign_nonce_and_few_iterations_are_cancelled() {
    // r=other,s=c2FsdA==,i=4096 and r=...srv,s=c2FsdA==,i=4095
    for first in [
        "cj1vdGhlcixzPWMyRnNkQT09LGk9NDA5Ng==",
        "cj1BQUVDQXdRRkJnY0lDUW9MREEwT0R4QVJzcnYscz1jMkZzZEE9PSxpPTQwOTU=",
    ] {
        play(&under_tls(
            "SCRAM-SHA-256,CRAM-MD5",
            "CRAM-MD5 SCRAM-SHA-256",
            &format!(
                "
            E: authenticate SCRAM-SHA-256
            H: authenticate user pencil
            C: AUTH SCRAM-SHA-256 ***
            S: 334 {first}
            C: *
            S: 501 5.7.0 cancelled
            E: authenticate CRAM-MD5
        "
            ),
        ));
    }
}

#[test]
fn rfc_5802_7_refusal_inside_the_exchange_is_told() {
    for exchange in &EXCHANGES {
        let name = exchange[0];
        // e=invalid-proof
        play(&proven(
            exchange,
            &format!(
                "
            S: 334 ZT1pbnZhbGlkLXByb29m
            E: report AUTH {name}: the server refuses the proof: invalid-proof
            C: ***
            X:
            S: 535 5.7.8 no
            E: failed Authentication permanent 535 5.7.8
            C: QUIT
        "
            ),
        ));
        // CL-mech-next: the ordinary way.
        play(&proven(
            exchange,
            "
            S: 535 5.7.8 no
            E: failed Authentication permanent 535 5.7.8
            C: QUIT
        ",
        ));
    }
}

#[test]
fn r5802_5_d_nothing_may_come_while_the_password_is_derived() {
    let [name, ..] = EXCHANGES[1];
    for (then, end) in [
        ("S: 235 ok", "temporary"),
        ("S: 421 4.3.2 bye", "temporary 421 4.3.2"),
        ("H: lost closed", "temporary"),
    ] {
        play(&under_tls(
            name,
            name,
            &format!(
                "
            E: authenticate {name}
            H: authenticate user pencil
            C: AUTH {name} ***
            S: 334 {FIRST}
            E: derive 4096
            {then}
            E: failed Authentication {end}
            E: close
        "
            ),
        ));
    }
}

/// As [`under_tls`], with a channel to bind to.
fn bound(ours: &str, theirs: &str, then: &str) -> String {
    under_tls(ours, theirs, then).replace("secured verified", "secured verified bound")
}

#[test]
fn r5802_6_c_bound_exchange() {
    play(&bound(
        // RFC 5802 section 6: the bound one, whatever the order.
        "SCRAM-SHA-256,SCRAM-SHA-256-PLUS",
        "SCRAM-SHA-256 SCRAM-SHA-256-PLUS",
        &format!(
            "
        E: authenticate SCRAM-SHA-256-PLUS
        H: authenticate user pencil
        C: AUTH SCRAM-SHA-256-PLUS ***
        X: AUTH SCRAM-SHA-256-PLUS \
              cD10bHMtZXhwb3J0ZXIsLG49dXNlcixyPUFBRUNBd1FGQmdjSUNRb0xEQTBPRHhBUg==
        S: 334 {FIRST}
        E: derive 4096
        H: derived sha256 pencil
        C: ***
        X: Yz1jRDEwYkhNdFpYaHdiM0owWlhJc0xBQUJBZ01FQlFZSENBa0tDd3dORGc4UUVSSVRGQlVXRnhnWkdoc2NIUjR\
           mLHI9QUFFQ0F3UUZCZ2NJQ1FvTERBME9EeEFSc3J2LHA9Sm5jRDd6VmphejlZSVpUalU5OXFyOFcxRzE2L1pScV\
           RNYUZiR3lxUGZBTT0=
        S: 334 dj16Zm1WT3hMVGM2ZlQvMlRxcWFBck1mbCt1aFY0MVlBVGEvN0xNdTlDYzE4PQ==
        C: ***
        S: 235 2.7.0 ok
        E: ready
    "
        ),
    ));
}

#[test]
fn r5802_6_c_who_could_bind_says_so() {
    play(&bound(
        "SCRAM-SHA-256-PLUS,SCRAM-SHA-256",
        "SCRAM-SHA-256",
        &format!(
            "
        E: authenticate SCRAM-SHA-256
        H: authenticate user pencil
        C: AUTH SCRAM-SHA-256 ***
        X: AUTH SCRAM-SHA-256 eSwsbj11c2VyLHI9QUFFQ0F3UUZCZ2NJQ1FvTERBME9EeEFS
        S: 334 {FIRST}
        E: derive 4096
        H: derived sha256 pencil
        C: ***
        X: Yz1lU3dzLHI9QUFFQ0F3UUZCZ2NJQ1FvTERBME9EeEFSc3J2LHA9dWpDdUJ2cGx5U2ZCUHQzdXVVZjM2MGtjMU5R\
           ZUlHbmZTcC9VRExOSk5Ibz0=
        S: 334 dj1LU2ExZVl2ck1xdW1tb3hHM1ZPaXdGTS94UkxwTDIrWERwL0xRTGQ0bEtnPQ==
        C: ***
        S: 235 2.7.0 ok
        E: ready
    "
        ),
    ));
    // Who is told not to bind does not.
    play(&bound(
        "SCRAM-SHA-256",
        "SCRAM-SHA-256 SCRAM-SHA-256-PLUS",
        "
        E: authenticate SCRAM-SHA-256
        H: authenticate user pencil
        C: AUTH SCRAM-SHA-256 ***
        X: AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9QUFFQ0F3UUZCZ2NJQ1FvTERBME9EeEFS
    ",
    ));
}

#[test]
fn cl_mech_order_what_this_connection_cannot_carry_is_passed_over() {
    play(&under_tls(
        "SCRAM-SHA-256-PLUS,SCRAM-SHA-1-PLUS,SCRAM-SHA-1",
        "SCRAM-SHA-1 SCRAM-SHA-1-PLUS SCRAM-SHA-256-PLUS",
        "E: authenticate SCRAM-SHA-1",
    ));
    let clear = |ours, then| {
        play(&format!(
            "
            H: start auth={ours}
            H: open
            S: 220 here
            C: EHLO client.example.org
            S: 250-here
            S: 250 AUTH EXTERNAL PLAIN CRAM-MD5 SCRAM-SHA-256
            {then}
        "
        ));
    };
    // None of these shows the password.
    clear("EXTERNAL,SCRAM-SHA-256", "E: authenticate SCRAM-SHA-256");
    clear("EXTERNAL,PLAIN,CRAM-MD5", "E: authenticate CRAM-MD5");
    clear("EXTERNAL", "E: failed Authentication permanent\nC: QUIT");
}

#[test]
fn r2195_2_a_published_exchange() {
    // RFC 2195 section 2; the server is first, so AUTH has no initial response.
    play(&under_tls(
        "CRAM-MD5",
        "CRAM-MD5",
        "
        E: authenticate CRAM-MD5
        H: authenticate tim tanstaaftanstaaf
        C: AUTH CRAM-MD5
        S: 334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+
        C: ***
        X: dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw
        S: 235 ok
        E: ready
    ",
    ));
    play(&under_tls(
        "CRAM-MD5,LOGIN",
        "CRAM-MD5 LOGIN",
        "
        E: authenticate CRAM-MD5
        H: authenticate tim tanstaaftanstaaf
        C: AUTH CRAM-MD5
        S: 334
        C: *
        S: 501 cancelled
        E: authenticate LOGIN
    ",
    ));
}

#[test]
fn r4422_a_external_says_who_to_be_or_nothing() {
    for (user, response) in [("alice", "YWxpY2U="), ("", "=")] {
        play(&under_tls(
            "EXTERNAL",
            "EXTERNAL",
            &format!(
                "
            E: authenticate EXTERNAL
            H: authenticate {user} x
            C: AUTH EXTERNAL ***
            X: AUTH EXTERNAL {response}
            S: 235 ok
            E: ready
        "
            ),
        ));
    }
}
