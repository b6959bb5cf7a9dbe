//! Addresses and names in arguments. The component knows the grammar; here is only what must be
//! told before anybody is connected to (OX-C-4.1).

use crate::config::names;

/// Whether it may be a mailbox; else what it is.
pub(super) fn check(mailbox: &str) -> Result<(), &'static str> {
    // RFC 5321 section 4.1.1.3: the one recipient without a domain.
    if mailbox.eq_ignore_ascii_case("postmaster") {
        return Ok(());
    }
    if mailbox.chars().any(char::is_control) {
        return Err("has control characters");
    }
    let Some((local_part, domain)) = mailbox.rsplit_once('@') else {
        return Err("is no mailbox; write local-part@domain");
    };
    if local_part.is_empty() || domain.is_empty() {
        return Err("is no mailbox; write local-part@domain");
    }
    let quoted = local_part.len() > 1 && local_part.starts_with('"') && local_part.ends_with('"');
    if !quoted && local_part.contains([' ', '<', '>', ',', ';', ':', '(', ')', '"', '@']) {
        return Err("is no mailbox: the local-part needs quotes");
    }
    if let Some(literal) = domain.strip_prefix('[') {
        return match literal.strip_suffix(']') {
            Some(inner) if !inner.is_empty() && !inner.contains([' ', '[', ']']) => Ok(()),
            _ => Err("is no mailbox: bad address literal"),
        };
    }
    names::check_domain(domain).map_err(|_| "is no mailbox: the part after @ is no domain")
}

/// Whether a word cannot be meant as a mailbox.
pub(super) fn is_no_mailbox(word: &str) -> bool {
    !word.contains('@') && !word.eq_ignore_ascii_case("postmaster")
}

/// The reverse-path: a mailbox, or the null one as an empty word or `<>` (RFC 5321 section 4.5.5).
pub(super) fn reverse_path(text: &str) -> Result<String, &'static str> {
    if text.is_empty() || text == "<>" {
        return Ok(String::new());
    }
    let inner = text
        .strip_prefix('<')
        .and_then(|text| text.strip_suffix('>'))
        .unwrap_or(text);
    if is_no_mailbox(inner) || !inner.contains('@') {
        return Err("is no mailbox; write local-part@domain, or nothing for the null reverse-path");
    }
    check(inner).map(|()| inner.to_owned())
}

/// The mailbox with this domain if it has none.
pub(super) fn qualified(mailbox: &str, domain: &str) -> String {
    if mailbox.contains('@') {
        mailbox.to_owned()
    } else {
        format!("{mailbox}@{domain}")
    }
}

/// A name for EHLO: fully qualified, or an address literal (RFC 5321 section 4.1.1.1).
pub(super) fn greeting_name(name: &str) -> Result<String, String> {
    let literal = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    if let Some(literal) = literal {
        let address = match literal.get(..5) {
            Some(tag) if tag.eq_ignore_ascii_case("ipv6:") => &literal[5..],
            _ => literal,
        };
        return match address.parse::<std::net::IpAddr>() {
            Ok(_) => Ok(name.to_owned()),
            Err(_) => Err(format!("--hostname {name}: is no address literal")),
        };
    }
    match names::check_host(name) {
        Ok(()) => Ok(name.to_owned()),
        Err(what) => Err(format!(
            "--hostname {name}: {what}; give this system's full name or leave it out"
        )),
    }
}

/// This system's name, if it is fully qualified.
pub(super) fn system_name() -> Option<String> {
    let name = ["/proc/sys/kernel/hostname", "/etc/hostname"]
        .iter()
        .find_map(|path| std::fs::read_to_string(path).ok())?;
    let name = name.trim();
    names::check_host(name).ok().map(|()| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ox_c_4_1_what_can_be_no_mailbox_is_told() {
        for good in [
            "a@example.org",
            "Postmaster",
            "\"a b\"@example.org",
            "\"a@b\"@example.org",
            "a@[192.0.2.1]",
            "a@[IPv6:2001:db8::1]",
            "grün@bücher.example",
            "root@localhost",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "a",
            "@b",
            "a@",
            "a b@c",
            "<a@b>",
            "a@b c",
            "a@b>",
            "a,b@c",
            "a@b\r\nRCPT",
            "a@[",
            "a@[]",
            "a@b..c",
            "a@@b",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn r5321_4_5_5_the_reverse_path_may_be_null() {
        assert_eq!(reverse_path("").as_deref(), Ok(""));
        assert_eq!(reverse_path("<>").as_deref(), Ok(""));
        assert_eq!(reverse_path("<a@b.org>").as_deref(), Ok("a@b.org"));
        assert!(reverse_path("postmaster").is_err());
        assert!(reverse_path("a").is_err());
    }

    #[test]
    fn names_for_ehlo_are_full_or_literals() {
        for good in ["mail.example.org", "[192.0.2.1]", "[IPv6:::1]"] {
            assert!(greeting_name(good).is_ok(), "{good}");
        }
        for bad in ["printer", "192.0.2.1", "[printer]", "a b.c", ""] {
            assert!(greeting_name(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn checks_never_panic(text in ".{0,60}") {
            let _ = (check(&text), reverse_path(&text), greeting_name(&text));
        }
    }
}
