//! Names of hosts, domains and NetBIOS domains, as far as a configuration must know them.

/// Whether `name` is a fully qualified host name (RFC 5321 section 2.3.5); else what it is.
pub fn check_host(name: &str) -> Result<(), &'static str> {
    if name.parse::<std::net::IpAddr>().is_ok() || name.starts_with('[') {
        return Err("is an address, not a name");
    }
    if name.ends_with('.') {
        return Err("must not end with a dot");
    }
    if !name.contains('.') {
        return Err("is not fully qualified");
    }
    check_domain(name)?;
    // RFC 3696 section 2: a top-level domain is not all-numeric.
    match name.rsplit('.').next() {
        Some(last) if last.bytes().all(|octet| octet.is_ascii_digit()) => {
            Err("ends in a number, as no domain does")
        }
        _ if !name.is_ascii() => Err("is not ASCII (write its xn-- form)"),
        _ => Ok(()),
    }
}

/// Whether `name` is a domain: labels of letters, digits and inner hyphens (RFC 5321 section
/// 4.1.2), or of U-labels (RFC 6531 section 3.3); else what it is.
pub fn check_domain(name: &str) -> Result<(), &'static str> {
    // RFC 5321 section 4.5.3.1.2
    if name.is_empty() || name.len() > 255 {
        return Err("is no domain: 1 to 255 octets");
    }
    for label in name.split('.') {
        if label.is_empty() || label.len() > 63 {
            return Err("is no domain: a label must have 1 to 63 octets");
        }
        let good =
            |c: char| c.is_ascii_alphanumeric() || c == '-' || (!c.is_ascii() && !c.is_control());
        if !label.chars().all(good) || label.starts_with('-') || label.ends_with('-') {
            return Err("is no domain: labels are letters, digits and inner hyphens");
        }
    }
    Ok(())
}

/// Whether `name` may be a NetBIOS name: 1 to 15 octets without the characters that Windows
/// forbids ([MS-NBTE] section 2.2.1).
pub fn is_netbios(name: &str) -> bool {
    let good = |c: char| c.is_ascii_graphic() && !"\\/:*?\"<>|.".contains(c);
    (1..=15).contains(&name.len()) && name.chars().all(good)
}

/// The NetBIOS name that goes with a host name: first label, upper case, at most 15 octets.
pub fn netbios_of(hostname: &str) -> String {
    let label = hostname.split('.').next().unwrap_or(hostname);
    label
        .chars()
        .take(15)
        .collect::<String>()
        .to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_host_names_are_taken_and_others_refused() {
        for good in [
            "mail.example.org",
            "a.b",
            "xn--bcher-kva.example",
            "9.example",
            "M-1.Example.ORG",
        ] {
            assert_eq!(check_host(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "localhost",
            "mail.example.org.",
            "192.0.2.1",
            "[192.0.2.1]",
            "::1",
            "a..b",
            "-a.b",
            "a-.b",
            "a_b.example",
            "a b.example",
            "bücher.example",
            "mail.example.42",
            &"x".repeat(64),
        ] {
            assert!(check_host(bad).is_err(), "{bad}");
        }
        let long = format!("{}.org", ["a".repeat(63).as_str(); 4].join("."));
        assert!(check_host(&long).is_err());
    }

    #[test]
    fn netbios_names_come_from_the_first_label() {
        assert_eq!(netbios_of("mail.example.org"), "MAIL");
        assert_eq!(
            netbios_of("a-very-long-first-label.example.org"),
            "A-VERY-LONG-FIR"
        );
        assert!(is_netbios("MAIL") && is_netbios("A-VERY-LONG-FIR"));
        assert!(!is_netbios("") && !is_netbios("A.B") && !is_netbios("SIXTEEN-LETTERS-"));
    }
}
