//! Addresses of aliases: a local part, or a local part and a domain (RFC 5321 section 4.1.2).

use std::fmt;

use crate::config::names::check_domain;

/// A local part, with a domain or without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Without quotes and backslashes.
    local: String,
    /// As it was written; an address literal has its brackets.
    pub(super) domain: Option<String>,
}

impl Address {
    /// What a person wrote.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        if text.chars().any(char::is_control) {
            return Err("has control characters");
        }
        let address = Self::of(text);
        let quoted = text.starts_with('"');
        let atoms = |local: &str| local.split('.').all(is_atom);
        if address.local.is_empty() || (!quoted && !atoms(&address.local)) {
            return Err(
                "is no mailbox; write local-part or local-part@domain, quoted where needed",
            );
        }
        // RFC 5321 section 4.5.3.1.1
        if address.local.len() > 64 {
            return Err("has more than 64 octets before the @");
        }
        match address.domain.as_deref() {
            None => {}
            Some(literal) if literal.starts_with('[') && literal.ends_with(']') => {}
            Some(domain) => {
                check_domain(domain).map_err(|_| "is no mailbox: the part after @ is no domain")?;
            }
        }
        Ok(address)
    }

    /// A mailbox that was accepted, whatever it is.
    pub fn of(mailbox: &str) -> Self {
        let Some(inner) = mailbox.strip_prefix('"') else {
            return match mailbox.rsplit_once('@') {
                Some((local, domain)) => Self {
                    local: local.to_owned(),
                    domain: Some(domain.to_owned()),
                },
                None => Self {
                    local: mailbox.to_owned(),
                    domain: None,
                },
            };
        };
        let mut local = String::new();
        let mut characters = inner.chars();
        while let Some(character) = characters.next() {
            match character {
                '"' => break,
                '\\' => local.extend(characters.next()),
                other => local.push(other),
            }
        }
        let rest = characters.as_str();
        Self {
            local,
            domain: match rest.strip_prefix('@') {
                Some(domain) => Some(domain.to_owned()),
                None if rest.is_empty() => None,
                // Whatever it is, it is no domain that anything is known of.
                None => Some(rest.to_owned()),
            },
        }
    }

    /// The same for the same mailbox. An alias is looked for in any case, as postmaster must be (RFC
    /// 5321 section 4.5.1), and as everybody expects of the others.
    pub fn key(&self) -> String {
        match &self.domain {
            Some(domain) => format!("{}@{}", self.local.to_lowercase(), domain.to_lowercase()),
            None => self.bare_key(),
        }
    }

    /// The key of the local part alone. No address has it: an `@` of its own is at its end.
    pub(super) fn bare_key(&self) -> String {
        format!("{}@", self.local.to_lowercase())
    }

    /// In this domain if it has none.
    pub(super) fn within(mut self, domain: Option<&str>) -> Self {
        if self.domain.is_none() {
            self.domain = domain.map(str::to_owned);
        }
        self
    }

    /// Whether it has a domain.
    pub fn is_full(&self) -> bool {
        self.domain.is_some()
    }
}

/// With the least quoting, as the envelope has it.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.local.split('.').all(is_atom) {
            f.write_str(&self.local)?;
        } else {
            f.write_str("\"")?;
            for character in self.local.chars() {
                if matches!(character, '"' | '\\') {
                    f.write_str("\\")?;
                }
                write!(f, "{character}")?;
            }
            f.write_str("\"")?;
        }
        match &self.domain {
            Some(domain) => write!(f, "@{domain}"),
            None => Ok(()),
        }
    }
}

/// RFC 5322 section 3.2.3, RFC 6531 section 3.3.
fn is_atom(text: &str) -> bool {
    let good = |c: char| {
        c.is_ascii_alphanumeric()
            || "!#$%&'*+-/=?^_`{|}~".contains(c)
            || (!c.is_ascii() && !c.is_control())
    };
    !text.is_empty() && text.chars().all(good)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_are_read_and_written_with_the_least_quoting() {
        for (written, shown) in [
            ("postmaster", "postmaster"),
            (" Bob@Example.org ", "Bob@Example.org"),
            ("\"bob\"@example.org", "bob@example.org"),
            ("\"john doe\"", "\"john doe\""),
            ("\"a@b\"@example.org", "\"a@b\"@example.org"),
            ("\"a\\\"b\"@example.org", "\"a\\\"b\"@example.org"),
            ("bob@[192.0.2.1]", "bob@[192.0.2.1]"),
            ("grün@bücher.example", "grün@bücher.example"),
        ] {
            let address = Address::parse(written);
            assert_eq!(
                address.map(|one| one.to_string()),
                Ok(shown.to_owned()),
                "{written}"
            );
        }
        for bad in [
            "",
            "@example.org",
            "a b",
            "a..b",
            "a@b@c",
            "a@b_c.example",
            "\"\"@example.org",
            "a\tb",
            "a@",
            ":include:/etc/list",
        ] {
            assert!(Address::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn r5321_4_5_1_case_makes_no_difference_to_an_alias() {
        let key = |text: &str| Address::of(text).key();
        assert_eq!(
            key("POSTMASTER@Example.ORG"),
            key("\"postmaster\"@example.org")
        );
        assert_ne!(key("postmaster"), key("postmaster@example.org"));
        assert_ne!(key("\"a@\"@b"), key("a@b"));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_the_same(local in "[ -~]{1,20}", domain in "[a-z]{1,9}\\.example") {
            let address = Address { local, domain: Some(domain) };
            prop_assert_eq!(Address::of(&address.to_string()), address.clone());
            prop_assert_eq!(Address::parse(&address.to_string()), Ok(address));
        }

        #[test]
        fn nothing_panics(text in ".{0,40}") {
            let _ = Address::parse(&text);
            prop_assert!(!Address::of(&text).key().is_empty());
        }
    }
}
