//! MAIL and RCPT as they are written, with parameters of advertised extensions only (CL-params,
//! RFC 5321 section 4.1.1.11).

use super::capabilities::Capabilities;
use crate::contract::{BodyType, DeliverBy, DsnReturn, ForwardPath, Notify, ReversePathParameters};
use alloc::{format, string::String, vec::Vec};
use core::fmt::Write as _;

/// What the MAIL command depends on besides the envelope.
pub struct Circumstances<'a> {
    /// What the server can do.
    pub capabilities: &'a Capabilities,
    /// Octets of the content as it goes.
    pub size: u64,
    /// What the content is as it goes.
    pub body: BodyType,
    /// The transaction needs SMTPUTF8.
    pub smtputf8: bool,
    /// We have authenticated.
    pub authenticated: bool,
}

/// `MAIL FROM:<path> ...` without CRLF.
pub fn mail(
    path: &str,
    parameters: &ReversePathParameters,
    circumstances: &Circumstances<'_>,
) -> String {
    let Circumstances {
        capabilities,
        size,
        body,
        smtputf8,
        authenticated,
    } = circumstances;
    let mut command = format!("MAIL FROM:<{path}>");
    // R1870-6.2: exact.
    if capabilities.has("SIZE") {
        add(&mut command, "SIZE", &format!("{size}"));
    }
    // RFC 6152 section 3 (R6152-3-c), RFC 3030 section 3 (R3030-3-b); 7BIT is what none means.
    match body {
        BodyType::SevenBit => {}
        BodyType::EightBitMime => add(&mut command, "BODY", "8BITMIME"),
        BodyType::BinaryMime => add(&mut command, "BODY", "BINARYMIME"),
    }
    // RFC 6531 section 3.4: no value.
    if *smtputf8 {
        command.push_str(" SMTPUTF8");
    }
    // RFC 3461 section 5.2.1 (R3461-5.2.1): as received; absent ones stay absent.
    if capabilities.has("DSN") {
        match parameters.ret {
            Some(DsnReturn::Full) => add(&mut command, "RET", "FULL"),
            Some(DsnReturn::Headers) => add(&mut command, "RET", "HDRS"),
            None => {}
        }
        if let Some(envid) = &parameters.envid {
            add(&mut command, "ENVID", envid);
        }
    }
    // RFC 4954 section 5 (R4954-5-b): we vouch for nobody, so whatever came goes on as `<>`.
    if *authenticated && parameters.auth.is_some() {
        add(&mut command, "AUTH", "<>");
    }
    // RFC 8689 section 4.2.1; a null reverse-path may go without (section 5).
    if parameters.require_tls && capabilities.has("REQUIRETLS") {
        command.push_str(" REQUIRETLS");
    }
    // RFC 6710 section 4.1 (R6710-4.1-b).
    if let Some(priority) = parameters.priority
        && capabilities.has("MT-PRIORITY")
    {
        add(&mut command, "MT-PRIORITY", &format!("{priority}"));
    }
    // RFC 2852 section 4: the time that is left now.
    if let Some(by) = &parameters.deliver_by
        && capabilities.has("DELIVERBY")
    {
        add(&mut command, "BY", &deliver_by(by));
    }
    // RFC 4865 section 4
    if let Some(seconds) = parameters.hold_for
        && capabilities.has("FUTURERELEASE")
    {
        add(&mut command, "HOLDFOR", &format!("{seconds}"));
    }
    command
}

/// RFC 2852 section 4: up to nine digits.
fn deliver_by(by: &DeliverBy) -> String {
    const MOST: i64 = 999_999_999;
    let seconds = by.seconds.clamp(-MOST, MOST);
    let mode = if by.notify { 'N' } else { 'R' };
    let trace = if by.trace { "T" } else { "" };
    format!("{seconds};{mode}{trace}")
}

/// `RCPT TO:<path> ...` without CRLF.
pub fn rcpt(
    path: &str,
    recipient: &ForwardPath,
    capabilities: &Capabilities,
    smtputf8: bool,
) -> String {
    let mut command = format!("RCPT TO:<{path}>");
    // RFC 3461 section 5.2.1 (R3461-5.2.1).
    if capabilities.has("DSN") {
        if let Some(notify) = recipient.notify.and_then(notify) {
            add(&mut command, "NOTIFY", &notify);
        }
        if let Some((address_type, address)) = &recipient.orcpt {
            let address = if smtputf8 {
                address.clone()
            } else {
                ascii(address)
            };
            add(&mut command, "ORCPT", &format!("{address_type};{address}"));
        }
    }
    command
}

fn add(command: &mut String, keyword: &str, value: &str) {
    command.push(' ');
    command.push_str(keyword);
    command.push('=');
    command.push_str(value);
}

/// RFC 3461 section 4.1.
fn notify(notify: Notify) -> Option<String> {
    if notify.never {
        return Some("NEVER".into());
    }
    let words: Vec<&str> = [
        (notify.success, "SUCCESS"),
        (notify.failure, "FAILURE"),
        (notify.delay, "DELAY"),
    ]
    .into_iter()
    .filter_map(|(given, word)| given.then_some(word))
    .collect();
    (!words.is_empty()).then(|| words.join(","))
}

/// RFC 6533 section 3 (R6533-4): utf-8-addr-xtext for a server that takes only ASCII.
fn ascii(address: &str) -> String {
    let mut out = String::with_capacity(address.len());
    for character in address.chars() {
        if character.is_ascii() {
            out.push(character);
        } else {
            // Writing to a string does not fail.
            let _ = write!(out, "\\x{{{:X}}}", u32::from(character));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Reply;

    fn capabilities(keywords: &[&str]) -> Capabilities {
        let mut lines = alloc::vec![String::from("h")];
        lines.extend(keywords.iter().map(|keyword| String::from(*keyword)));
        Capabilities::read(&Reply {
            code: 250,
            status: None,
            lines,
        })
    }

    fn mail_to(
        keywords: &[&str],
        parameters: &ReversePathParameters,
        authenticated: bool,
    ) -> String {
        let body = if keywords.contains(&"8BITMIME") {
            BodyType::EightBitMime
        } else {
            BodyType::SevenBit
        };
        mail(
            "a@example.org",
            parameters,
            &Circumstances {
                capabilities: &capabilities(keywords),
                size: 321,
                body,
                smtputf8: keywords.contains(&"SMTPUTF8"),
                authenticated,
            },
        )
    }

    fn full() -> ReversePathParameters {
        ReversePathParameters {
            ret: Some(DsnReturn::Headers),
            envid: Some("Q+2B1".into()),
            auth: Some(String::new()),
            require_tls: true,
            priority: Some(-3),
            hold_for: Some(60),
            deliver_by: Some(DeliverBy {
                seconds: -120,
                notify: true,
                trace: true,
            }),
            ..ReversePathParameters::default()
        }
    }

    #[test]
    fn cl_params_only_what_is_advertised_is_sent() {
        assert_eq!(mail_to(&[], &full(), false), "MAIL FROM:<a@example.org>");
        assert_eq!(
            mail_to(
                &[
                    "SIZE",
                    "8BITMIME",
                    "SMTPUTF8",
                    "DSN",
                    "AUTH PLAIN",
                    "REQUIRETLS",
                    "MT-PRIORITY",
                    "DELIVERBY 60",
                    "FUTURERELEASE 1 2"
                ],
                &full(),
                true
            ),
            "MAIL FROM:<a@example.org> SIZE=321 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=Q+2B1 \
             AUTH=<> REQUIRETLS MT-PRIORITY=-3 BY=-120;NT HOLDFOR=60"
        );
    }

    #[test]
    fn r4954_5_b_auth_goes_only_to_a_server_that_knows_us() {
        assert_eq!(
            mail_to(&["AUTH PLAIN"], &full(), false),
            "MAIL FROM:<a@example.org>"
        );
        let absent = ReversePathParameters::default();
        assert_eq!(
            mail_to(&["AUTH PLAIN"], &absent, true),
            "MAIL FROM:<a@example.org>"
        );
    }

    #[test]
    fn r3461_5_2_1_dsn_parameters_go_on_as_received() {
        let recipient = ForwardPath {
            mailbox: "b@example.org".into(),
            notify: Some(Notify {
                success: true,
                delay: true,
                ..Notify::default()
            }),
            orcpt: Some(("RFC822".into(), "B+2Bx@Example.org".into())),
        };
        let rcpt = |keywords: &[&str]| {
            super::rcpt("b@example.org", &recipient, &capabilities(keywords), false)
        };
        assert_eq!(
            rcpt(&["DSN"]),
            "RCPT TO:<b@example.org> NOTIFY=SUCCESS,DELAY ORCPT=RFC822;B+2Bx@Example.org"
        );
        assert_eq!(rcpt(&[]), "RCPT TO:<b@example.org>");
        let never = Notify {
            never: true,
            ..Notify::default()
        };
        assert_eq!(notify(never).as_deref(), Some("NEVER"));
        assert_eq!(notify(Notify::default()), None);
    }

    #[test]
    fn r6533_4_an_ascii_server_gets_an_ascii_orcpt() {
        let recipient = ForwardPath {
            mailbox: "b@example.org".into(),
            notify: None,
            orcpt: Some(("utf-8".into(), "gr\u{fc}n@example.org".into())),
        };
        let rcpt = |smtputf8| super::rcpt("b@x.org", &recipient, &capabilities(&["DSN"]), smtputf8);
        assert_eq!(
            rcpt(false),
            "RCPT TO:<b@x.org> ORCPT=utf-8;gr\\x{FC}n@example.org"
        );
        assert_eq!(
            rcpt(true),
            "RCPT TO:<b@x.org> ORCPT=utf-8;gr\u{fc}n@example.org"
        );
    }
}
