//! `deliver` by behaviour.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use super::*;

fn host(host: &str, port: u16) -> Endpoint {
    Endpoint::Host {
        host: host.into(),
        port,
    }
}

#[test]
fn servers_have_the_port_of_their_scheme() {
    for (text, endpoint, implicit, lmtp) in [
        ("smtp://a.example", host("a.example", 587), false, false),
        ("smtp://A.Example:25", host("a.example", 25), false, false),
        ("smtps://a.example", host("a.example", 465), true, false),
        ("lmtp://a.example", host("a.example", 24), false, true),
        (
            "smtp://localhost:65535",
            host("localhost", 65_535),
            false,
            false,
        ),
        ("smtp://mail_1:25", host("mail_1", 25), false, false),
        ("smtp://192.0.2.1", host("192.0.2.1", 587), false, false),
        (
            "smtp://[2001:DB8:0::1]",
            host("2001:db8::1", 587),
            false,
            false,
        ),
        ("smtps://[::1]:2465", host("::1", 2_465), true, false),
        (
            "lmtp:/run/lmtp",
            Endpoint::Unix("/run/lmtp".into()),
            false,
            true,
        ),
    ] {
        let expected = Upstream {
            endpoint,
            implicit,
            lmtp,
        };
        assert_eq!(parse(text), Ok(Deliver::Servers(vec![expected])), "{text}");
    }
    assert_eq!(parse("mx"), Ok(Deliver::Mx { port: 25 }));
    assert_eq!(parse("mx:2525"), Ok(Deliver::Mx { port: 2_525 }));
    assert_eq!(parse("hold"), Ok(Deliver::Hold));
    assert_eq!(parse("discard"), Ok(Deliver::Discard));
    assert!(matches!(
        parse("maildir:/m/{local}"),
        Ok(Deliver::Maildir(_))
    ));
}

#[test]
fn what_leads_nowhere_is_refused_with_what_would_be_right() {
    for (text, part) in [
        ("", "is not known; use \"smtp://HOST:PORT\""),
        ("Hold", "nearest: \"hold\""),
        ("hold:", "is not known"),
        ("discard:x", "is not known"),
        ("maildir", "is not known"),
        ("mbox:/x", "is not known"),
        ("SMTP://a.example", "nearest: \"smtp\""),
        ("smtp", "names no server; use \"smtp://HOST:PORT\""),
        ("lmtp", "use \"lmtp:/SOCKET\" or \"lmtp://HOST:PORT\""),
        ("smtp:", "two slashes are missing"),
        ("smtp:/a.example", "two slashes are missing"),
        ("smtp://:25", "names no server"),
        ("smtp://a.example:", "\"\" is no port"),
        ("smtp://a.example:0", "\"0\" is no port"),
        ("smtp://a.example:+25", "\"+25\" is no port"),
        ("smtp://a.example:smtp", "\"smtp\" is no port"),
        ("smtp://a.example/", "use \"smtp://a.example\""),
        ("smtp://a.example#x", "no path and no query"),
        ("smtp://a.example.", "must not end with a dot"),
        ("smtp://bücher.example", "write its xn-- form"),
        ("smtp://a b", "is no domain"),
        ("smtp://1.2.3", "is neither an address nor a name"),
        ("smtp://[::1", "the bracket is not closed"),
        ("smtp://[::1]25", "\"25\" after the address; use \":587\""),
        ("smtp://[192.0.2.1]", "is no IPv6 address"),
        ("smtp://[fe80::1%eth0]", "is no IPv6 address"),
        ("smtp://fe80::1", "\"smtp://[fe80::1]:587\""),
        ("smtp://a:b:25", "too many colons"),
        (
            "lmtp://a.example/run/lmtp",
            "or \"lmtp:/run/lmtp\" for a socket",
        ),
        ("lmtp:", "is not an absolute path"),
        ("mx:", "\"\" is no port"),
        ("mx:25:25", "is no port"),
        ("maildir:relative", "begin it with \"/\""),
    ] {
        let why = parse(text).unwrap_err();
        assert!(why.contains(part), "{text}: {why}");
    }
    let long = format!("lmtp:/{}", "x".repeat(107));
    assert!(parse(&long).unwrap_err().contains("at most 107 octets"));
    assert!(parse(&long[..long.len() - 1]).is_ok());
}

#[test]
fn a_password_in_an_address_is_not_repeated() {
    for text in [
        "smtp://relay:s3cret@a.example",
        "smtp://relay:s3/cret@a.example:587",
        "smtps://relay:s3?cret@a.example",
        "lmtp://relay:s3#cret@a.example",
        "smpt://relay:s3cret@a.example",
        "submission://relay:s3cret@a.example",
    ] {
        let why = parse(text).unwrap_err();
        assert!(!why.contains("cret") && !why.contains("s3"), "{why}");
    }
    let why = parse("smtp://relay:s3cret@a.example").unwrap_err();
    assert!(why.contains("password-file"), "{why}");
}

proptest::proptest! {
    #[test]
    fn a_server_is_read_as_it_is_shown(
        name in "[a-z]([a-z0-9-]{0,8}[a-z0-9])?(\\.[a-z]{1,8}){0,3}",
        four: [u8; 4], six: [u16; 8], port in 1_u16..,
    ) {
        for host in [name, Ipv4Addr::from(four).to_string(), Ipv6Addr::from(six).to_string()] {
            let endpoint = Endpoint::Host { host, port };
            let read = parse(&format!("smtp://{endpoint}"));
            let expected = Upstream { endpoint, implicit: false, lmtp: false };
            proptest::prop_assert_eq!(read, Ok(Deliver::Servers(vec![expected])));
        }
    }

    #[test]
    fn no_text_panics_and_no_server_is_without_a_name(
        text in "(smtp|smtps|lmtp|mx|maildir|hold|)(:|)(//|/|)[\\[\\]a-z0-9:@/.%?#{}-]{0,24}",
    ) {
        if let Ok(deliver) = parse(&text) {
            for server in deliver.servers() {
                if let Endpoint::Host { host, port } = &server.endpoint {
                    proptest::prop_assert!(!host.is_empty() && *port != 0);
                    proptest::prop_assert!(!host.contains(['@', '/', '[', ']']), "{}", host);
                }
            }
        }
    }
}
