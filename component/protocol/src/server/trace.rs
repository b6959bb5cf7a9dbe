//! The Received field (RFC 5321 section 4.4) and the name of the protocol in it (RFC 3848).

use crate::environment::Moment;
use crate::smtp::cfws::is_atext;
use crate::smtp::date::date_time;
use crate::smtp::domain::Domain;
use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::net::IpAddr;

/// Octets of a line where it is possible, CRLF not counted (RFC 5322 section 2.1.1).
const GOOD_LINE: usize = 78;

/// The Received field of a message, CRLF included.
///
/// `name` is the first word of the EHLO or HELO argument, as it came; `address` the peer's; `id`
/// the message's identifier; `cipher` the registered name of the cipher suite under TLS. There is
/// no `for` clause and no user name (R5321-4.4-d).
pub fn received(
    name: &[u8],
    address: &str,
    hostname: &str,
    protocol: &str,
    id: &str,
    cipher: Option<&str>,
    now: Moment,
) -> Vec<u8> {
    let literal = address_literal(address);
    let mut clauses = [
        format!("from {}", greeted(name).unwrap_or_else(|| literal.clone())),
        format!("({literal})"),
        format!("by {hostname}"),
        format!("with {protocol}"),
        format!("id {id}"),
    ]
    .to_vec();
    // RFC 8314 section 4.3 (R8314-4.3).
    if let Some(cipher) = cipher
        && !cipher.is_empty()
        && cipher
            .bytes()
            .all(|octet| octet.is_ascii() && is_atext(octet))
    {
        clauses.push(format!("tls {cipher}"));
    }
    if let Some(last) = clauses.last_mut() {
        last.push(';');
    }
    clauses.push(date_time(now));
    folded("Received:", &clauses)
}

/// Clauses after the field's name, in lines of 78 octets where they fit.
fn folded(name: &str, clauses: &[String]) -> Vec<u8> {
    let mut field = String::from(name);
    let mut line = name.len();
    for clause in clauses {
        if line + 1 + clause.len() > GOOD_LINE {
            field.push_str("\r\n");
            line = 0;
        }
        field.push(' ');
        field.push_str(clause);
        line += 1 + clause.len();
    }
    field.push_str("\r\n");
    field.into_bytes()
}

/// The peer's name where it says something: a domain or an address literal, in ASCII (R5321-4.4-c).
/// `localhost` and a bare IP address do not.
fn greeted(name: &[u8]) -> Option<String> {
    let domain = Domain::parse(name).filter(Domain::is_ascii)?;
    if let Domain::Name(name) = &domain {
        let last = name.rsplit('.').next().unwrap_or(name);
        if last.bytes().all(|octet| octet.is_ascii_digit())
            || name.eq_ignore_ascii_case("localhost")
        {
            return None;
        }
    }
    Some(domain.to_string())
}

/// RFC 5321 section 4.1.3. An address that cannot be read is not repeated.
fn address_literal(address: &str) -> String {
    match address.parse::<IpAddr>() {
        Ok(address) => Domain::Literal(address.to_canonical()).to_string(),
        Err(_) => String::from("unknown"),
    }
}

/// The "with" keyword (R3848-2: RFC 3848, RFC 6531 section 4.3).
pub fn protocol(ehlo: bool, tls: bool, authenticated: bool, smtputf8: bool) -> &'static str {
    match (ehlo, smtputf8, tls, authenticated) {
        (false, _, _, _) => "SMTP",
        (true, false, false, false) => "ESMTP",
        (true, false, false, true) => "ESMTPA",
        (true, false, true, false) => "ESMTPS",
        (true, false, true, true) => "ESMTPSA",
        (true, true, false, false) => "UTF8SMTP",
        (true, true, false, true) => "UTF8SMTPA",
        (true, true, true, false) => "UTF8SMTPS",
        (true, true, true, true) => "UTF8SMTPSA",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Moment = Moment {
        seconds: 1_795_569_709,
        nanoseconds: 0,
    };

    fn unfolded(name: &[u8], address: &str, cipher: Option<&str>) -> String {
        let field = received(
            name,
            address,
            "mail.example.org",
            "ESMTPS",
            "k3-1",
            cipher,
            NOW,
        );
        let text = String::from_utf8(field).unwrap();
        let text = text.strip_suffix("\r\n").unwrap();
        assert!(text.split("\r\n").all(|line| line.len() <= 78), "{text}");
        text.replace("\r\n", "")
    }

    #[test]
    fn r5321_4_4_b_the_field_has_its_clauses_in_order() {
        assert_eq!(
            unfolded(b"printer.example.org", "192.0.2.7", None),
            "Received: from printer.example.org ([192.0.2.7]) by mail.example.org with ESMTPS \
             id k3-1; Wed, 25 Nov 2026 01:21:49 +0000"
        );
        assert_eq!(
            unfolded(b"printer.example.org", "2001:db8::7", None),
            "Received: from printer.example.org ([IPv6:2001:db8::7]) by mail.example.org with \
             ESMTPS id k3-1; Wed, 25 Nov 2026 01:21:49 +0000"
        );
    }

    #[test]
    fn r5321_4_4_b_lines_are_folded() {
        assert_eq!(
            received(
                b"a.example",
                "192.0.2.7",
                "mail.example.org",
                "ESMTP",
                "k3-1",
                None,
                NOW
            ),
            b"Received: from a.example ([192.0.2.7]) by mail.example.org with ESMTP id k3-1;\r\n \
              Wed, 25 Nov 2026 01:21:49 +0000\r\n"
        );
    }

    #[test]
    fn r8314_4_3_the_cipher_suite_is_named() {
        assert_eq!(
            unfolded(b"a.example", "192.0.2.7", Some("TLS_AES_256_GCM_SHA384")),
            "Received: from a.example ([192.0.2.7]) by mail.example.org with ESMTPS id k3-1 \
             tls TLS_AES_256_GCM_SHA384; Wed, 25 Nov 2026 01:21:49 +0000"
        );
        assert!(!unfolded(b"a.example", "192.0.2.7", Some("x\r\ny")).contains("tls"));
    }

    #[test]
    fn r5321_4_4_c_a_name_that_says_nothing_becomes_the_address() {
        for name in [
            &b"localhost"[..],
            b"",
            b"192.0.2.9",
            b"my_printer.example.org",
            b"caf\xc3\xa9.example",
            b"\xff",
            b"a.example)",
            b"a.example\r\nX: y",
            b"-a.example",
            b"[192.0.2.300]",
            b"[x]",
        ] {
            let field = unfolded(name, "192.0.2.7", None);
            assert!(
                field.starts_with("Received: from [192.0.2.7] ([192.0.2.7]) by "),
                "{field}"
            );
        }
        for (name, shown) in [
            (&b"printer"[..], "printer"),
            (b"[192.0.2.9]", "[192.0.2.9]"),
            (b"[ipv6:2001:DB8::1]", "[IPv6:2001:db8::1]"),
        ] {
            let field = unfolded(name, "192.0.2.7", None);
            assert!(
                field.starts_with(&format!("Received: from {shown} (")),
                "{field}"
            );
        }
    }

    #[test]
    fn r5321_4_4_b_a_mapped_address_is_the_ipv4_address() {
        assert!(unfolded(b"a.example", "::ffff:192.0.2.7", None).contains("([192.0.2.7])"));
    }

    #[test]
    fn r3848_2_the_protocol_says_what_was_used() {
        assert_eq!(protocol(false, true, true, false), "SMTP");
        assert_eq!(protocol(true, false, false, false), "ESMTP");
        assert_eq!(protocol(true, true, false, false), "ESMTPS");
        assert_eq!(protocol(true, false, true, false), "ESMTPA");
        assert_eq!(protocol(true, true, true, false), "ESMTPSA");
        assert_eq!(protocol(true, false, false, true), "UTF8SMTP");
        assert_eq!(protocol(true, false, true, true), "UTF8SMTPA");
        assert_eq!(protocol(true, true, false, true), "UTF8SMTPS");
        assert_eq!(protocol(true, true, true, true), "UTF8SMTPSA");
    }

    proptest! {
        #[test]
        fn no_octet_of_the_peer_passes_unchecked(name in proptest::collection::vec(any::<u8>(), 0..40)) {
            let field = received(&name, "192.0.2.7", "h.example", "ESMTP", "k-1", None, NOW);
            let text = String::from_utf8(field).unwrap();
            let name = text.strip_prefix("Received: from ").unwrap();
            let (name, _) = name.split_once(" ([192.0.2.7])").unwrap();
            prop_assert!(name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-.[]:".contains(&octet)));
        }
    }
}
