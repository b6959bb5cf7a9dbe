//! Domains and address literals (RFC 5321 sections 4.1.2 and 4.1.3, RFC 6531 section 3.3).

use alloc::{borrow::ToOwned, format, string::String};
use core::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str,
};
use nom::{
    IResult, Parser,
    branch::alt,
    bytes::complete::{tag, take_while1},
    combinator::map_opt,
    sequence::delimited,
};

/// Octets of a domain at most (RFC 5321 section 4.5.3.1.2).
pub const MOST_OCTETS: usize = 255;
/// Octets of a label at most (RFC 1035 section 2.3.4).
const MOST_LABEL: usize = 63;

/// What stands after the `@` of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Domain {
    /// Labels with dots between them, as they came; U-labels too.
    Name(String),
    /// `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
    Literal(IpAddr),
}

impl Domain {
    /// The whole of `text`.
    pub fn parse(text: &[u8]) -> Option<Self> {
        match domain(text) {
            Ok(([], domain)) => Some(domain),
            _ => None,
        }
    }

    /// Has two labels or more, or is an address literal (R6409-4.2-a).
    pub fn is_qualified(&self) -> bool {
        match self {
            Self::Name(name) => name.contains('.'),
            Self::Literal(_) => true,
        }
    }

    /// R6409-4.2-b: see [`Mailbox::completed`](crate::smtp::mailbox::Mailbox::completed).
    pub fn completed(self, local_domain: &str) -> Self {
        match self {
            Self::Name(label)
                if !local_domain.is_empty()
                    && !label.contains('.')
                    && label.len() + 1 + local_domain.len() <= MOST_OCTETS =>
            {
                Self::Name(format!("{label}.{local_domain}"))
            }
            other => other,
        }
    }

    /// Has no U-label.
    pub fn is_ascii(&self) -> bool {
        match self {
            Self::Name(name) => name.is_ascii(),
            Self::Literal(_) => true,
        }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Literal(IpAddr::V4(address)) => write!(f, "[{address}]"),
            Self::Literal(IpAddr::V6(address)) => write!(f, "[IPv6:{address}]"),
        }
    }
}

/// `Domain / address-literal`, at the front of `input`.
pub(crate) fn domain(input: &[u8]) -> IResult<&[u8], Domain> {
    alt((
        address_literal.map(Domain::Literal),
        name.map(|name| Domain::Name(name.to_owned())),
    ))
    .parse(input)
}

/// `Domain = sub-domain *("." sub-domain)`, at the front of `input`.
pub(crate) fn name(input: &[u8]) -> IResult<&[u8], &str> {
    map_opt(
        take_while1(|octet: u8| {
            octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.') || !octet.is_ascii()
        }),
        |text: &[u8]| {
            let name = str::from_utf8(text).ok()?;
            let sound = text.len() <= MOST_OCTETS && name.split('.').all(is_label);
            sound.then_some(name)
        },
    )
    .parse(input)
}

/// R5321-4.1.2-c: letters, digits, hyphen neither first nor last, not empty. RFC 6531 section 3.3
/// adds U-labels; what can be in none of them (controls, white space, dots that are not `.`: RFC
/// 5892 section 2.6, RFC 5895) would only confuse those who read the domain later.
fn is_label(label: &str) -> bool {
    let may_be_in_u_label = |character: char| {
        !character.is_control()
            && !character.is_whitespace()
            && !matches!(character, '\u{3002}' | '\u{ff0e}' | '\u{ff61}')
    };
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && if label.is_ascii() {
            label.len() <= MOST_LABEL
        } else {
            label.chars().all(may_be_in_u_label)
        }
}

/// R5321-4.1.3: `[d.d.d.d]` or `[IPv6:…]`.
fn address_literal(input: &[u8]) -> IResult<&[u8], IpAddr> {
    delimited(
        tag("["),
        map_opt(take_while1(|octet| octet != b']'), address),
        tag("]"),
    )
    .parse(input)
}

fn address(text: &[u8]) -> Option<IpAddr> {
    match text.split_at_checked(5) {
        Some((head, rest)) if head.eq_ignore_ascii_case(b"IPv6:") => {
            let address: Ipv6Addr = str::from_utf8(rest).ok()?.parse().ok()?;
            Some(address.into())
        }
        _ => dotted_quad(text).map(IpAddr::V4),
    }
}

/// `Snum 3("." Snum)`: decimal whatever zeros lead. (The standard library refuses those zeros.)
fn dotted_quad(text: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut numbers = text.split(|octet| *octet == b'.');
    for octet in &mut octets {
        let number = numbers.next()?;
        if number.is_empty() || number.len() > 3 || !number.iter().all(u8::is_ascii_digit) {
            return None;
        }
        *octet = str::from_utf8(number).ok()?.parse().ok()?;
    }
    numbers.next().is_none().then(|| octets.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{format, string::ToString};

    #[test]
    fn r5321_4_1_2_c_names_have_letters_digits_and_hyphens() {
        for good in [
            "example.org",
            "EXAMPLE.org",
            "a",
            "3com.com",
            "a-b.c--d.e",
            "1.2.3.4",
        ] {
            let parsed = Domain::parse(good.as_bytes());
            assert_eq!(parsed, Some(Domain::Name(good.into())));
        }
        for bad in [
            "", ".", "a.", ".a", "a..b", "a_b.c", "-a.b", "a-.b", "a.-b", "a b", "a,b", "a!b",
        ] {
            assert_eq!(Domain::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn r5321_4_5_3_1_a_a_domain_has_up_to_255_octets() {
        let label = "d".repeat(63);
        let long = format!("{label}.{label}.{label}.{label}");
        assert_eq!(long.len(), 255);
        assert!(Domain::parse(long.as_bytes()).is_some());
        assert_eq!(Domain::parse(format!("a.{long}").as_bytes()), None);
        assert_eq!(Domain::parse(format!("{label}d.org").as_bytes()), None);
    }

    #[test]
    fn r5321_4_1_3_address_literals() {
        for (text, printed) in [
            ("[192.0.2.1]", "[192.0.2.1]"),
            ("[0.0.0.255]", "[0.0.0.255]"),
            ("[192.000.002.010]", "[192.0.2.10]"),
            ("[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]"),
            ("[ipv6:::1]", "[IPv6:::1]"),
            ("[IPv6:::ffff:192.0.2.1]", "[IPv6:::ffff:192.0.2.1]"),
        ] {
            let parsed = Domain::parse(text.as_bytes()).expect("a domain");
            assert_eq!(parsed.to_string(), printed);
        }
        for bad in [
            "[]",
            "[192.0.2]",
            "[192.0.2.1.1]",
            "[192.0.2.256]",
            "[192.0.2.1",
            "192.0.2.1]",
            "[192.0.2.0001]",
            "[192.0.2.]",
            "[+1.2.3.4]",
            "[2001:db8::1]",
            "[IPv6:192.0.2.1]",
            "[IPv6:]",
            "[IPv6:1::2::3]",
            "[IPv6:fe80::1%eth0]",
            "[IPv6:12345::]",
            "[tag:content]",
            "[ 192.0.2.1]",
        ] {
            assert_eq!(Domain::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn r6409_4_2_a_one_label_is_not_qualified() {
        let qualified = |text: &str| {
            Domain::parse(text.as_bytes())
                .expect("a domain")
                .is_qualified()
        };
        assert!(!qualified("localhost"));
        assert!(qualified("example.org"));
        assert!(qualified("[127.0.0.1]"));
        assert!(qualified("[IPv6:::1]"));
    }

    #[test]
    fn r6531_3_2_u_labels_are_labels() {
        let parsed = Domain::parse("b\u{fc}cher.example".as_bytes()).expect("a domain");
        assert!(!parsed.is_ascii());
        for bad in [
            "-\u{fc}.example",
            "\u{fc}-.example",
            "\u{fc}.",
            "a\u{3002}\u{fc}",
            "\u{85}.b",
            "\u{a0}.b",
        ] {
            assert_eq!(Domain::parse(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(Domain::parse(b"b\xfccher.example"), None);
    }

    proptest! {
        #[test]
        fn r5321_4_1_3_what_was_printed_parses_again(octets in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..40),
            "[a-c.\\[\\]:0-9IPv6-]{0,30}".prop_map(String::into_bytes),
            any::<u128>().prop_map(|n| format!("[IPv6:{}]", Ipv6Addr::from(n)).into_bytes()),
            any::<u32>().prop_map(|n| format!("[{}]", Ipv4Addr::from(n)).into_bytes()),
        ]) {
            if let Some(domain) = Domain::parse(&octets) {
                prop_assert_eq!(Domain::parse(domain.to_string().as_bytes()), Some(domain));
            }
        }
    }
}
