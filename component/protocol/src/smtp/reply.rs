//! Every reply that the server says, by name, and how a reply is written.
//!
//! RFC 5321 section 4.2 (form and codes), RFC 2034 section 4 and RFC 3463 (enhanced status codes).
//! The functions stand in the order of their reply codes, so that all we can say fits one page.
//! `hostname` is the configured name: RFC 5321 section 4.2 wants it first in 220, 221 and 421.
//!
//! Not here: which reply a bad path or parameter gets (`extension::Defect`).

use crate::contract::Reply;
use alloc::{format, string::String, vec, vec::Vec};

/// Octets of a reply line at most, CRLF included (RFC 5321 section 4.5.3.1.5).
pub const MOST_LINE: usize = 512;

/// `hostname greets name` must leave room for the code and CRLF: it may not be wrapped, because
/// the lines after it are keywords.
const MOST_GREETING: usize = MOST_LINE - "250-".len() - "\r\n".len();

fn reply(code: u16, status: Option<(u8, u16, u16)>, text: impl Into<String>) -> Reply {
    Reply {
        code,
        status,
        lines: vec![text.into()],
    }
}

// 2yz: done.

/// 214: HELP, with or without an argument (R5321-4.1.1.8).
pub fn help() -> Reply {
    reply(214, Some((2, 0, 0)), "see RFC 6409 and RFC 5321")
}

/// 220: the greeting; no software version, no enhanced status code (R5321-3.1-a).
pub fn greeting(hostname: &str) -> Reply {
    reply(220, None, format!("{hostname} ESMTP ready"))
}

/// 220: STARTTLS accepted; the handshake follows (RFC 3207 section 4).
pub fn start_tls() -> Reply {
    reply(220, Some((2, 0, 0)), "ready to start TLS")
}

/// 221: QUIT (R5321-4.1.1.10).
pub fn quit(hostname: &str) -> Reply {
    reply(221, Some((2, 0, 0)), format!("{hostname} closing"))
}

/// 235: AUTH done (R4954-4-j).
pub fn authenticated() -> Reply {
    reply(235, Some((2, 7, 0)), "authentication successful")
}

/// 250: EHLO, then a keyword a line; no enhanced status code (R5321-4.1.1.1-a). An empty `name`
/// (R5321-4.1.1.1-e) is greeted as `you`.
pub fn ehlo(hostname: &str, name: &str, keywords: Vec<String>) -> Reply {
    let mut ehlo = helo(hostname, name);
    ehlo.lines.extend(keywords);
    ehlo
}

/// 250: HELO, one line without capabilities or enhanced status code (R5321-4.1.1.1-a).
pub fn helo(hostname: &str, name: &str) -> Reply {
    let name = if name.is_empty() { "you" } else { name };
    let text = format!("{hostname} greets {name}");
    reply(
        250,
        None,
        text.chars().take(MOST_GREETING).collect::<String>(),
    )
}

/// 250: RSET and NOOP (R5321-4.1.1.5, R5321-4.1.1.9).
pub fn ok() -> Reply {
    reply(250, Some((2, 0, 0)), "ok")
}

/// 250: MAIL (R5321-4.1.1.2-a).
pub fn mail_ok() -> Reply {
    reply(250, Some((2, 1, 0)), "sender ok")
}

/// 250: MAIL whose MT-PRIORITY was lowered to `priority` (R6710-4.1-b, RFC 6710 section 4.1).
pub fn priority_lowered(priority: i8) -> Reply {
    reply(
        250,
        Some((2, 3, 6)),
        format!("{priority} is the new priority"),
    )
}

/// 250: RCPT (R5321-4.1.1.3-a).
pub fn rcpt_ok() -> Reply {
    reply(250, Some((2, 1, 5)), "recipient ok")
}

/// 250: a BDAT chunk that is not the last (R3030-2-a).
pub fn chunk_ok(octets: u64) -> Reply {
    reply(250, Some((2, 0, 0)), format!("{octets} octets received"))
}

/// 250: end of data or BDAT LAST, and the message is durable (R5321-4.1.1.4-c).
pub fn queued(id: &str) -> Reply {
    reply(250, Some((2, 6, 0)), format!("queued as {id}"))
}

/// 252: VRFY with an argument (R5321-4.1.1.6-a).
pub fn cannot_verify() -> Reply {
    reply(252, Some((2, 5, 0)), "cannot verify, will accept and try")
}

// 3yz: go on. No enhanced status codes (RFC 2034 section 4).

/// 334: a challenge, already in base64; empty: the code and a space (R4954-4-b).
pub fn challenge(base64: &str) -> Reply {
    reply(334, None, base64)
}

/// 334: AUTH NTLM without an initial response ([MS-SMTPNTLM] section 2.2.1.2).
pub fn ntlm_supported() -> Reply {
    reply(334, None, "ntlm supported")
}

/// 354: DATA (R5321-4.1.1.4-a).
pub fn start_content() -> Reply {
    reply(354, None, "end with CRLF.CRLF")
}

// 4yz: not now.

/// 421: the service ends or drains (R5321-3.8-b); the connection is closed.
pub fn shutting_down(hostname: &str) -> Reply {
    reply(421, Some((4, 3, 2)), format!("{hostname} shutting down"))
}

/// 421: trouble of our own, a trap included; the connection is closed.
pub fn internal_error(hostname: &str) -> Reply {
    reply(421, Some((4, 3, 0)), format!("{hostname} internal error"))
}

/// 421: the client is silent (R5321-3.8-c); the connection is closed.
pub fn timeout(hostname: &str) -> Reply {
    reply(421, Some((4, 4, 2)), format!("{hostname} timeout"))
}

/// 421: too many errors, failed AUTH, connections (R5321-3.8-d, R5321-3.1-c); the connection is
/// closed.
pub fn too_many(hostname: &str, what: &str) -> Reply {
    reply(421, Some((4, 7, 0)), format!("{hostname} too many {what}"))
}

/// 421: BDAT whose octets are not worth reading, or whose end is unknown (R3030-2-c, R3030-2-f);
/// the connection is closed.
pub fn chunk_unwanted(hostname: &str, why: &str) -> Reply {
    reply(421, Some((4, 7, 0)), format!("{hostname} {why}"))
}

/// 432: the user's record lacks what the mechanism needs, and a login with PLAIN fills it in
/// (RFC 4954 section 6).
pub fn password_transition() -> Reply {
    reply(432, Some((4, 7, 12)), "log in once with PLAIN over TLS")
}

/// 450: the mailbox is busy (R5321-4.1.1.3-e).
pub fn mailbox_busy() -> Reply {
    reply(450, Some((4, 2, 1)), "mailbox temporarily unavailable")
}

/// 451: the host does not answer, or the spool fails (R6409-5.3).
pub fn local_error() -> Reply {
    reply(451, Some((4, 3, 0)), "local error, try again")
}

/// 452: the spool is full (R1870-6.1-a).
pub fn storage_full() -> Reply {
    reply(452, Some((4, 3, 1)), "insufficient system storage")
}

/// 452: one recipient more than the limit (R5321-4.5.3.1-e).
pub fn too_many_recipients() -> Reply {
    reply(452, Some((4, 5, 3)), "too many recipients")
}

/// 454: what credentials are checked against cannot be reached (RFC 4954 section 6).
pub fn authentication_unavailable() -> Reply {
    reply(454, Some((4, 7, 0)), "temporary authentication failure")
}

/// 454: STARTTLS, but not now (RFC 3207 section 4).
pub fn tls_unavailable() -> Reply {
    reply(454, Some((4, 7, 0)), "TLS not available")
}

/// 455: a known parameter that cannot be honoured just now (R5321-4.1.1.11-c).
pub fn parameter_unavailable() -> Reply {
    reply(455, Some((4, 5, 4)), "parameter cannot be honoured now")
}

// 50z: syntax and order.

/// 500: unknown verb (R5321-4.1.5).
pub fn unknown_command() -> Reply {
    reply(500, Some((5, 5, 1)), "command not recognized")
}

/// 500: a command line over the limit (R5321-4.5.3.1-b).
pub fn line_too_long() -> Reply {
    reply(500, Some((5, 5, 2)), "line too long")
}

/// 500: a command or AUTH line that ends with LF alone (R5321-2.3.8-c).
pub fn bare_lf() -> Reply {
    reply(500, Some((5, 5, 2)), "lines must end with CRLF")
}

/// 500: a line of an AUTH exchange over the limit (R4954-4-g).
pub fn authentication_line_too_long() -> Reply {
    reply(
        500,
        Some((5, 5, 6)),
        "authentication exchange line too long",
    )
}

/// 501: control octet; bad base64, SASL or NTLM message; bad MT-PRIORITY (R5321-4.1.2-d,
/// R4954-4-d, R6710-4.1-a).
pub fn syntax_error() -> Reply {
    reply(501, Some((5, 5, 2)), "syntax error")
}

/// 501: bad or unexpected argument, parameter value, repetition; `what` says it
/// (R5321-4.1.1.11-b).
pub fn bad_argument(what: &str) -> Reply {
    reply(501, Some((5, 5, 4)), what)
}

/// 501: bad address in MAIL (R5321-4.1.1.2-c, RFC 6409 section 5.1).
pub fn bad_sender() -> Reply {
    reply(501, Some((5, 1, 7)), "bad address syntax")
}

/// 501: bad address in RCPT (R5321-4.1.1.3-d, RFC 6409 section 5.1).
pub fn bad_recipient() -> Reply {
    reply(501, Some((5, 1, 3)), "bad address syntax")
}

/// 501: the client sent `*` (R4954-4-c).
pub fn authentication_cancelled() -> Reply {
    reply(501, Some((5, 7, 0)), "authentication cancelled")
}

/// 501: initial response for a server-first mechanism (R4954-4-f).
pub fn initial_response_not_allowed() -> Reply {
    reply(501, Some((5, 7, 0)), "initial response not allowed")
}

/// 502: known, not implemented here (R5321-4.1.5, R5321-4.1.1.7).
pub fn not_implemented() -> Reply {
    reply(502, Some((5, 5, 1)), "not implemented")
}

/// 503: out of order; `what` says what is needed first (RFC 5321 section 4.1.4).
pub fn out_of_order(what: &str) -> Reply {
    reply(503, Some((5, 5, 1)), what)
}

/// 503: after a BDAT that failed (R3030-2-d).
pub fn chunk_failed() -> Reply {
    out_of_order("BDAT failed, RSET first")
}

/// 504: mechanism unknown or not enabled (R4954-4-h).
pub fn mechanism_unknown() -> Reply {
    reply(504, Some((5, 5, 4)), "mechanism not supported")
}

// 52z to 55z: refused.

/// 525: right credentials of a disabled account (RFC 5248).
pub fn account_disabled() -> Reply {
    reply(525, Some((5, 7, 13)), "account disabled")
}

/// 530: MAIL without an identity where one is required (R6409-4.3).
pub fn authentication_required() -> Reply {
    reply(530, Some((5, 7, 0)), "authentication required")
}

/// 530: a command that needs TLS first (RFC 3207 section 4).
pub fn tls_required() -> Reply {
    reply(530, Some((5, 7, 0)), "must issue a STARTTLS command first")
}

/// 534: mechanism too weak for this user (RFC 4954 section 6).
pub fn mechanism_too_weak() -> Reply {
    reply(534, Some((5, 7, 9)), "mechanism too weak")
}

/// 535: credentials wrong; which part is never told (RFC 4954 section 6).
pub fn authentication_failed() -> Reply {
    reply(535, Some((5, 7, 8)), "authentication failed")
}

/// 535: NTLM credentials wrong ([MS-SMTPNTLM] section 2.2.1.4).
pub fn ntlm_failed() -> Reply {
    reply(535, Some((5, 7, 3)), "authentication unsuccessful")
}

/// 538: mechanism enabled, but only under TLS (R4954-4-i).
pub fn encryption_required() -> Reply {
    reply(
        538,
        Some((5, 7, 11)),
        "encryption required for this mechanism",
    )
}

/// 550: no such mailbox in a domain that is delivered here (R5321-4.1.1.3-e).
pub fn no_such_mailbox() -> Reply {
    reply(550, Some((5, 1, 1)), "no such mailbox")
}

/// 550: MAIL with a mailbox that is not ASCII, without SMTPUTF8 (R6531-3.5-a).
pub fn sender_needs_smtputf8() -> Reply {
    reply(550, Some((5, 6, 7)), "SMTPUTF8 needed")
}

/// 553: RCPT with a mailbox that is not ASCII, without SMTPUTF8 (R6531-3.5-a).
pub fn recipient_needs_smtputf8() -> Reply {
    reply(553, Some((5, 6, 7)), "SMTPUTF8 needed")
}

/// 550: sender, recipient or From that the identity may not use (RFC 6409 sections 6.1 to 6.3).
pub fn not_permitted() -> Reply {
    reply(550, Some((5, 7, 1)), "not permitted")
}

/// 550: content refused by site policy (R6409-6.3-c).
pub fn refused_by_policy() -> Reply {
    reply(550, Some((5, 7, 0)), "refused by policy")
}

/// 552: declared or actual size over the limit, in octets (R1870-6.1-a, R5321-4.5.3.1-d).
pub fn too_large(limit: u64) -> Reply {
    reply(
        552,
        Some((5, 3, 4)),
        format!("message exceeds {limit} octets"),
    )
}

/// 554: MAIL with a domain of one label (R6409-4.2-a).
pub fn sender_not_qualified() -> Reply {
    reply(554, Some((5, 1, 8)), "domain not fully qualified")
}

/// 554: RCPT with a domain of one label (R6409-4.2-a).
pub fn recipient_not_qualified() -> Reply {
    reply(554, Some((5, 1, 2)), "domain not fully qualified")
}

/// 554: 100 or more Received fields (R5321-6.3).
pub fn too_many_hops() -> Reply {
    reply(554, Some((5, 4, 6)), "too many hops")
}

/// 554: DATA or BDAT after all recipients were refused (R5321-4.1.4-e).
pub fn no_valid_recipients() -> Reply {
    reply(554, Some((5, 5, 1)), "no valid recipients")
}

/// 554: HOLDFOR or HOLDUNTIL beyond the maximum or in the past (R4865-4).
pub fn hold_out_of_range() -> Reply {
    reply(554, Some((5, 5, 4)), "hold time out of range")
}

/// 554: improper MAIL, RCPT or DATA without a more precise code (R6409-4.1).
pub fn transaction_failed() -> Reply {
    reply(554, Some((5, 5, 0)), "transaction failed")
}

/// 554: content that cannot be repaired; `defect` says what (R6409-8-a, R5321-2.3.8-a).
pub fn content_defect(defect: &str) -> Reply {
    reply(554, Some((5, 6, 0)), defect)
}

/// 554: TLS was negotiated below what policy asks (RFC 3207 section 4.1).
pub fn tls_below_policy() -> Reply {
    reply(554, Some((5, 7, 0)), "refused for lack of security")
}

/// 554: the greeting of a peer that may not connect; no enhanced status code (R5321-3.1-b).
pub fn unwanted(hostname: &str) -> Reply {
    reply(
        554,
        None,
        format!("{hostname} no SMTP service for you here"),
    )
}

/// 555: a parameter that is unknown, or whose extension is not offered now (R5321-4.1.1.11-a).
pub fn unsupported_parameter(name: &str) -> Reply {
    reply(
        555,
        Some((5, 5, 4)),
        format!("parameter {name} not supported"),
    )
}

/// Whether the reply is 4yz or 5yz.
pub fn is_refusal(reply: &Reply) -> bool {
    (400..=599).contains(&reply.code)
}

/// The host's refusal as the peer may see it: 4yz or 5yz with an enhanced status code of the same
/// class (R2034-4-a). A reply that is no refusal becomes 451; a code that is never used here
/// (521 and 551, R5321-4.2-c) becomes 550.
pub fn from_host(mut reply: Reply) -> Reply {
    if !is_refusal(&reply) {
        return local_error();
    }
    if matches!(reply.code, 521 | 551) {
        reply.code = 550;
    }
    let class = if reply.code < 500 { 4 } else { 5 };
    if reply.status.is_none_or(|status| status.0 != class) {
        reply.status = Some((class, 0, 0));
    }
    reply
}

/// Writes the reply after what is in `out` already (R5321-4.2-b, R2034-4-a).
///
/// Each line has the code; each line of a 2yz, 4yz or 5yz reply has the enhanced status code, if
/// there is one of the same class. Characters that are not printable ASCII become `?`. Text that
/// does not fit 512 octets goes on in a further line, broken at a space if there is one; a
/// challenge is never broken (RFC 4954 section 4 gives it 12,288 octets).
pub fn write(reply: &Reply, out: &mut Vec<u8>) {
    let code = format!("{:03}", reply.code);
    // RFC 2034 section 4: the class is the first digit; none in 3yz.
    let status = match reply.status {
        Some((class, subject, detail))
            if u16::from(class) == reply.code / 100 && matches!(class, 2 | 4 | 5) =>
        {
            format!("{class}.{subject}.{detail} ")
        }
        _ => String::new(),
    };
    let room = if reply.code == 334 {
        usize::MAX
    } else {
        MOST_LINE - "250-\r\n".len() - status.len()
    };
    let text: Vec<Vec<u8>> = reply.lines.iter().map(|line| printable(line)).collect();
    let mut lines: Vec<&[u8]> = text.iter().flat_map(|line| wrapped(line, room)).collect();
    if lines.is_empty() {
        lines.push(b"");
    }
    let last = lines.len() - 1;
    for (index, line) in lines.into_iter().enumerate() {
        out.extend_from_slice(code.as_bytes());
        out.push(if index == last { b' ' } else { b'-' });
        out.extend_from_slice(status.as_bytes());
        out.extend_from_slice(line);
        out.extend_from_slice(b"\r\n");
    }
}

fn printable(text: &str) -> Vec<u8> {
    text.chars()
        .map(|character| u8::try_from(character).unwrap_or(b'?'))
        .map(|octet| {
            if matches!(octet, b' '..=b'~') {
                octet
            } else {
                b'?'
            }
        })
        .collect()
}

/// The pieces of `text` that fit `room`; one empty piece for an empty text.
fn wrapped(text: &[u8], room: usize) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while rest.len() > room {
        let end = match memchr::memrchr(b' ', &rest[..=room]) {
            Some(space) if space > 0 => space,
            _ => room,
        };
        let (piece, after) = rest.split_at(end);
        pieces.push(piece);
        rest = after.strip_prefix(b" ").unwrap_or(after);
    }
    pieces.push(rest);
    pieces
}

#[cfg(test)]
mod tests;
