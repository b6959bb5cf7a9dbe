//! Lines: length, bare LF, control octets (RFC 5321 sections 2.3.8 and 4.5.3.1.4).

use crate::{
    contract::server::BareLf,
    server::testing::{play, settings},
};
use std::format;

#[test]
fn r5321_4_5_3_1_b_a_command_line_has_2048_octets_at_most() {
    // `NOOP ` and CRLF are 7 octets.
    let fits = "x".repeat(2048 - 7);
    let longer = "x".repeat(30_000);
    play(
        &settings(),
        &format!(
            "S: 220 mail.example.org ESMTP ready
            C: NOOP {fits}
            S: 250 2.0.0 ok
            C: NOOP {fits}x
            S: 500 5.5.2 line too long
            C: NOOP {longer}
            C: NOOP
            S: 500 5.5.2 line too long
            S: 250 2.0.0 ok"
        ),
    );
}

#[test]
fn r4954_4_g_an_auth_line_has_12288_octets_at_most() {
    let line = "A".repeat(12_288 - 2);
    let rest = 12_288 - 2 - "AUTH PLAIN ".len();
    // A multiple of four, or base64 would not be base64.
    let initial = "A".repeat(rest - rest % 4);
    let longer = "A".repeat(12_288);
    play(
        &settings(),
        &format!(
            "S: 220 mail.example.org ESMTP ready
            C: HELO a
            S: 250 mail.example.org greets a
            C: AUTH LOGIN
            S: 334 VXNlcm5hbWU6
            C: {longer}
            C: NOOP
            S: 500 5.5.6 authentication exchange line too long
            S: 250 2.0.0 ok
            C: auth plain {longer}
            S: 500 5.5.6 authentication exchange line too long
            C: AUTH LOGIN
            S: 334 VXNlcm5hbWU6
            C: {line}
            S: 501 5.5.2 syntax error
            # 12,276 NULs: taken, and no PLAIN message.
            C: AUTH PLAIN {initial}
            S: 501 5.5.2 syntax error"
        ),
    );
}

#[test]
fn r5321_2_3_8_c_a_bare_lf_ends_no_command() {
    play(
        &settings(),
        "S: 220 mail.example.org ESMTP ready
        C| HELO a\\n
        S: 500 5.5.2 lines must end with CRLF
        C: MAIL FROM:<alice@example.org>
        S: 503 5.5.1 EHLO or HELO first
        C: HELO a
        S: 250 mail.example.org greets a
        C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C| YWxpY2U=\\n
        S: 500 5.5.2 lines must end with CRLF
        C: NOOP
        S: 250 2.0.0 ok
        C| \\n
        S: 500 5.5.2 lines must end with CRLF",
    );
}

#[test]
fn r5321_2_3_8_c_on_a_listener_for_old_devices_it_does() {
    let mut settings = settings();
    settings.bare_lf = BareLf::Convert;
    play(
        &settings,
        "S: 220 mail.example.org ESMTP ready
        C| HELO a\\n
        S: 250 mail.example.org greets a
        C| AUTH LOGIN\\n
        S: 334 VXNlcm5hbWU6
        C| YWxpY2U=\\n
        S: 334 UGFzc3dvcmQ6
        C: *
        S: 501 5.7.0 authentication cancelled",
    );
}

#[test]
fn r5321_4_1_2_d_control_octets_are_no_syntax() {
    play(
        &settings(),
        "S: 220 mail.example.org ESMTP ready
        C: NO\\0OP
        S: 501 5.5.2 syntax error
        C: NOOP\\rNOOP
        S: 501 5.5.2 syntax error
        C: NOOP\\x7f
        S: 501 5.5.2 syntax error
        C: noop \\xff
        S: 250 2.0.0 ok",
    );
}

#[test]
fn r5321_4_1_1_a_white_space_before_crlf_is_ignored() {
    play(
        &settings(),
        "S: 220 mail.example.org ESMTP ready
        C: HELO a \t
        S: 250 mail.example.org greets a
        C| MAIL FROM:<alice@example.org>  \\r\\n
        S: 250 2.1.0 sender ok
        C| RSET  \\r\\nQUIT \\r\\n
        S: 250 2.0.0 ok
        S: 221 2.0.0 mail.example.org closing
        X:",
    );
}
