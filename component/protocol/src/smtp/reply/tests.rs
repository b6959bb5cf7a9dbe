use super::*;
use proptest::prelude::*;
use std::string::ToString;

fn written(reply: &Reply) -> String {
    let mut out = Vec::new();
    write(reply, &mut out);
    String::from_utf8(out).expect("fits")
}

#[test]
fn catalogue_says_what_the_profile_says() {
    let h = "mail.example.org";
    for (reply, text) in [
        (greeting(h), "220 mail.example.org ESMTP ready"),
        (
            unwanted(h),
            "554 mail.example.org no SMTP service for you here",
        ),
        (help(), "214 2.0.0 see RFC 6409 and RFC 5321"),
        (start_tls(), "220 2.0.0 ready to start TLS"),
        (quit(h), "221 2.0.0 mail.example.org closing"),
        (authenticated(), "235 2.7.0 authentication successful"),
        (helo(h, "printer"), "250 mail.example.org greets printer"),
        (ok(), "250 2.0.0 ok"),
        (mail_ok(), "250 2.1.0 sender ok"),
        (priority_lowered(0), "250 2.3.6 0 is the new priority"),
        (rcpt_ok(), "250 2.1.5 recipient ok"),
        (chunk_ok(7), "250 2.0.0 7 octets received"),
        (queued("ab-1"), "250 2.6.0 queued as ab-1"),
        (
            cannot_verify(),
            "252 2.5.0 cannot verify, will accept and try",
        ),
        (challenge("VXNlcm5hbWU6"), "334 VXNlcm5hbWU6"),
        (challenge(""), "334 "),
        (ntlm_supported(), "334 ntlm supported"),
        (start_content(), "354 end with CRLF.CRLF"),
        (shutting_down(h), "421 4.3.2 mail.example.org shutting down"),
        (
            internal_error(h),
            "421 4.3.0 mail.example.org internal error",
        ),
        (timeout(h), "421 4.4.2 mail.example.org timeout"),
        (
            too_many(h, "errors"),
            "421 4.7.0 mail.example.org too many errors",
        ),
        (
            password_transition(),
            "432 4.7.12 log in once with PLAIN over TLS",
        ),
        (mailbox_busy(), "450 4.2.1 mailbox temporarily unavailable"),
        (local_error(), "451 4.3.0 local error, try again"),
        (storage_full(), "452 4.3.1 insufficient system storage"),
        (too_many_recipients(), "452 4.5.3 too many recipients"),
        (
            authentication_unavailable(),
            "454 4.7.0 temporary authentication failure",
        ),
        (tls_unavailable(), "454 4.7.0 TLS not available"),
        (
            parameter_unavailable(),
            "455 4.5.4 parameter cannot be honoured now",
        ),
        (unknown_command(), "500 5.5.1 command not recognized"),
        (line_too_long(), "500 5.5.2 line too long"),
        (bare_lf(), "500 5.5.2 lines must end with CRLF"),
        (
            authentication_line_too_long(),
            "500 5.5.6 authentication exchange line too long",
        ),
        (syntax_error(), "501 5.5.2 syntax error"),
        (
            bad_argument("no argument expected"),
            "501 5.5.4 no argument expected",
        ),
        (bad_sender(), "501 5.1.7 bad address syntax"),
        (bad_recipient(), "501 5.1.3 bad address syntax"),
        (
            authentication_cancelled(),
            "501 5.7.0 authentication cancelled",
        ),
        (
            initial_response_not_allowed(),
            "501 5.7.0 initial response not allowed",
        ),
        (not_implemented(), "502 5.5.1 not implemented"),
        (out_of_order("MAIL first"), "503 5.5.1 MAIL first"),
        (mechanism_unknown(), "504 5.5.4 mechanism not supported"),
        (account_disabled(), "525 5.7.13 account disabled"),
        (
            authentication_required(),
            "530 5.7.0 authentication required",
        ),
        (
            tls_required(),
            "530 5.7.0 must issue a STARTTLS command first",
        ),
        (mechanism_too_weak(), "534 5.7.9 mechanism too weak"),
        (authentication_failed(), "535 5.7.8 authentication failed"),
        (ntlm_failed(), "535 5.7.3 authentication unsuccessful"),
        (
            encryption_required(),
            "538 5.7.11 encryption required for this mechanism",
        ),
        (no_such_mailbox(), "550 5.1.1 no such mailbox"),
        (sender_needs_smtputf8(), "550 5.6.7 SMTPUTF8 needed"),
        (recipient_needs_smtputf8(), "553 5.6.7 SMTPUTF8 needed"),
        (not_permitted(), "550 5.7.1 not permitted"),
        (refused_by_policy(), "550 5.7.0 refused by policy"),
        (too_large(1000), "552 5.3.4 message exceeds 1000 octets"),
        (
            sender_not_qualified(),
            "554 5.1.8 domain not fully qualified",
        ),
        (
            recipient_not_qualified(),
            "554 5.1.2 domain not fully qualified",
        ),
        (too_many_hops(), "554 5.4.6 too many hops"),
        (no_valid_recipients(), "554 5.5.1 no valid recipients"),
        (hold_out_of_range(), "554 5.5.4 hold time out of range"),
        (transaction_failed(), "554 5.5.0 transaction failed"),
        (content_defect("bare LF"), "554 5.6.0 bare LF"),
        (tls_below_policy(), "554 5.7.0 refused for lack of security"),
        (
            unsupported_parameter("XYZ"),
            "555 5.5.4 parameter XYZ not supported",
        ),
    ] {
        assert_eq!(written(&reply), text.to_string() + "\r\n");
    }
}

#[test]
fn r5321_4_1_1_1_a_ehlo_has_a_keyword_a_line() {
    let reply = ehlo("h", "", vec!["SIZE 9".into(), "DSN".into()]);
    assert_eq!(
        written(&reply),
        "250-h greets you\r\n250-SIZE 9\r\n250 DSN\r\n"
    );
    assert_eq!(written(&ehlo("h", "n", vec![])), "250 h greets n\r\n");
}

#[test]
fn r5321_4_2_b_a_long_ehlo_name_is_never_taken_for_a_keyword() {
    let name = "n".repeat(255);
    let text = written(&ehlo(&"h".repeat(255), &name, vec!["DSN".into()]));
    let lines: Vec<&str> = text.split_inclusive("\r\n").collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0].len(), 512);
    assert_eq!(lines[1], "250 DSN\r\n");
}

#[test]
fn r5321_4_2_b_text_is_printable_ascii() {
    let reply = bad_argument("a\r\nb\u{e9}\u{7f}\t");
    assert_eq!(written(&reply), "501 5.5.4 a??b???\r\n");
}

#[test]
fn r5321_4_2_b_a_long_line_is_broken_at_a_space() {
    // 512 - "550-5.7.1 " - CRLF leaves 500 octets of text.
    let mut reply = not_permitted();
    reply.lines = vec!["w".repeat(499) + " " + &"v".repeat(501), "end".into()];
    assert_eq!(
        written(&reply),
        std::format!(
            "550-5.7.1 {}\r\n550-5.7.1 {}\r\n550-5.7.1 v\r\n550 5.7.1 end\r\n",
            "w".repeat(499),
            "v".repeat(500)
        )
    );
}

#[test]
fn r4954_4_b_a_challenge_is_one_line() {
    let text = written(&challenge(&"QUJD".repeat(1000)));
    assert_eq!(text.len(), 4 + 4000 + 2);
}

#[test]
fn r2034_4_a_every_line_has_the_status_and_only_of_its_class() {
    let mut reply = not_permitted();
    reply.lines = vec!["one".into(), "two".into()];
    assert_eq!(written(&reply), "550-5.7.1 one\r\n550 5.7.1 two\r\n");
    reply.status = Some((4, 7, 1));
    assert_eq!(written(&reply), "550-one\r\n550 two\r\n");
}

#[test]
fn r5321_4_2_c_the_hosts_refusal_is_made_fit() {
    let of = |code, status| from_host(reply(code, status, "x"));
    assert_eq!(of(250, None), local_error());
    assert_eq!(of(600, None), local_error());
    assert_eq!(of(450, None).status, Some((4, 0, 0)));
    assert_eq!(of(550, Some((4, 1, 1))).status, Some((5, 0, 0)));
    assert_eq!(of(521, Some((5, 3, 2))), reply(550, Some((5, 3, 2)), "x"));
    assert_eq!(of(551, None).code, 550);
    assert_eq!(of(553, Some((5, 1, 3))), reply(553, Some((5, 1, 3)), "x"));
}

proptest! {
    #[test]
    fn r5321_4_2_b_any_text_makes_sound_lines(
        lines in proptest::collection::vec(".{0,1200}", 0..4),
        code in 200u16..600,
    ) {
        let class = u8::try_from(code / 100).expect("fits");
        let reply = Reply { code, status: Some((class, 1, 1)), lines };
        let text = written(&reply);
        let mut written: Vec<&str> = text.split("\r\n").collect();
        prop_assert_eq!(written.pop(), Some(""));
        let last = written.len() - 1;
        for (index, line) in written.iter().enumerate() {
            prop_assert!(line.len() <= 510 || code == 334);
            prop_assert!(line.bytes().all(|octet| (32..127).contains(&octet)));
            prop_assert_eq!(&line[..3], &code.to_string());
            prop_assert_eq!(&line[3..4], if index == last { " " } else { "-" });
        }
    }
}
