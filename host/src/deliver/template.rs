//! The folder of a mailbox: `/var/mail/{domain}/{local}` with what a stranger wrote in it.
//!
//! `{domain}` and `{local}` are lower-cased and then written with letters, digits and `._+=-` alone;
//! other octets of their UTF-8 become `%` and two hex digits. A dot at the front is written so as
//! well, and an empty name is a single `%`. So a value is never a path separator, `.`, `..`, hidden
//! or empty: it cannot leave its folder, whatever the local-part was. Names over 120 octets are cut
//! and end in their SHA-256. Different values have different names, but for the case of letters.
//!
//! Quotes are syntax: `"john doe"@example.org` is the local-part `john doe` (RFC 5321 section
//! 4.1.2). Local-parts that differ only in case share a Maildir, as everybody expects.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// Most octets of a name; file systems take 255, and a template may put two of them side by side.
const MOST_NAME: usize = 120;

/// A folder with places for a mailbox's parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    base: PathBuf,
    /// Names below the base, each of its pieces.
    names: Vec<Vec<Piece>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Domain,
    Local,
}

/// Why a template cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It would depend on where the service was started.
    #[error("must begin with /")]
    Relative,
    /// Something else in braces, or a brace alone.
    #[error("has {found:?} in it; there are {{domain}} and {{local}}")]
    Placeholder {
        /// From the brace on.
        found: String,
    },
    /// `..`
    #[error("must not have .. in it")]
    Parent,
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        if !text.starts_with('/') {
            return Err(TemplateError::Relative);
        }
        let mut base = PathBuf::from("/");
        let mut names = Vec::new();
        for name in text
            .split('/')
            .filter(|name| !name.is_empty() && *name != ".")
        {
            if name == ".." {
                return Err(TemplateError::Parent);
            }
            match pieces(name)?.as_slice() {
                [Piece::Literal(literal)] if names.is_empty() => base.push(literal),
                pieces => names.push(pieces.to_vec()),
            }
        }
        Ok(Self { base, names })
    }
}

impl Template {
    /// `{domain}/{local}` below this folder, which may have braces in its name.
    pub fn below(base: &Path) -> Self {
        Self {
            base: base.to_owned(),
            names: vec![vec![Piece::Domain], vec![Piece::Local]],
        }
    }

    /// The part before the first name with a place in it.
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// The folder of this mailbox.
    pub fn folder(&self, mailbox: &str) -> PathBuf {
        let (local, domain) = super::split(mailbox);
        let mut folder = self.base.clone();
        for pieces in &self.names {
            let mut name = String::new();
            for piece in pieces {
                match piece {
                    Piece::Literal(literal) => name.push_str(literal),
                    Piece::Domain => name.push_str(&encode(domain)),
                    Piece::Local => name.push_str(&encode(&unquote(local))),
                }
            }
            folder.push(name);
        }
        folder
    }
}

fn pieces(name: &str) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("{domain}") {
            pieces.push(Piece::Domain);
            rest = after;
        } else if let Some(after) = rest.strip_prefix("{local}") {
            pieces.push(Piece::Local);
            rest = after;
        } else if rest.starts_with(['{', '}']) {
            return Err(TemplateError::Placeholder {
                found: rest.to_owned(),
            });
        } else {
            let (literal, after) = rest.split_at(rest.find(['{', '}']).unwrap_or(rest.len()));
            pieces.push(Piece::Literal(literal.to_owned()));
            rest = after;
        }
    }
    Ok(pieces)
}

/// What a local-part means without its quotes (RFC 5321 section 4.1.2).
fn unquote(local: &str) -> String {
    let inner = local
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let Some(inner) = inner else {
        return local.to_owned();
    };
    let mut plain = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => plain.extend(characters.next()),
            other => plain.push(other),
        }
    }
    plain
}

/// A value as a file name that stays in its folder.
fn encode(value: &str) -> String {
    let mut name = String::with_capacity(value.len());
    for octet in value.to_lowercase().bytes() {
        match octet {
            b'.' if name.is_empty() => name.push_str("%2e"),
            b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'+' | b'=' | b'-' => name.push(octet.into()),
            other => hex(&mut name, "%", other),
        }
    }
    if name.is_empty() {
        // No octet is written so.
        return "%".to_owned();
    }
    if name.len() > MOST_NAME {
        let digest = Sha256::digest(name.as_bytes());
        name.truncate(MOST_NAME - 2 - 2 * digest.len());
        // No octet is written so either.
        name.push_str("%~");
        digest.iter().for_each(|octet| hex(&mut name, "", *octet));
    }
    name
}

fn hex(name: &mut String, before: &str, octet: u8) {
    // Writing to a String does not fail.
    let _ = write!(name, "{before}{octet:02x}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn template() -> Template {
        "/var/mail/{domain}/{local}".parse().unwrap()
    }

    #[test]
    fn ordinary_mailboxes_have_ordinary_folders() {
        for (mailbox, folder) in [
            ("alice@example.org", "/var/mail/example.org/alice"),
            (
                "Alice.B+x=1_y-z@Example.ORG",
                "/var/mail/example.org/alice.b+x=1_y-z",
            ),
            (
                "\"john doe\"@example.org",
                "/var/mail/example.org/john%20doe",
            ),
            ("\"a\\\"b\"@example.org", "/var/mail/example.org/a%22b"),
            (
                "j\u{fc}rgen@example.org",
                "/var/mail/example.org/j%c3%bcrgen",
            ),
            (
                "J\u{dc}RGEN@example.org",
                "/var/mail/example.org/j%c3%bcrgen",
            ),
            ("a@[192.0.2.1]", "/var/mail/%5b192.0.2.1%5d/a"),
            ("a@[IPv6:::1]", "/var/mail/%5bipv6%3a%3a%3a1%5d/a"),
        ] {
            assert_eq!(template().folder(mailbox), Path::new(folder), "{mailbox}");
        }
    }

    #[test]
    fn hostile_local_parts_stay_in_their_folder() {
        for (local, name) in [
            ("..", "%2e."),
            (".", "%2e"),
            ("", "%"),
            ("\"\"", "%"),
            ("\"..\"", "%2e."),
            ("\"\\.\\.\"", "%2e."),
            ("\"../../etc/passwd\"", "%2e.%2f..%2fetc%2fpasswd"),
            ("/etc/passwd", "%2fetc%2fpasswd"),
            (".hidden", "%2ehidden"),
            ("a\0b", "a%00b"),
            ("\"", "%22"),
            ("a\\b", "a%5cb"),
            ("%2e%2e", "%252e%252e"),
            ("{domain}", "%7bdomain%7d"),
            ("a\r\nb", "a%0d%0ab"),
            ("new:2,S", "new%3a2%2cs"),
        ] {
            let folder = template().folder(&format!("{local}@example.org"));
            assert_eq!(
                folder,
                Path::new("/var/mail/example.org").join(name),
                "{local:?}"
            );
        }
    }

    #[test]
    fn long_local_parts_are_cut_and_stay_different() {
        let name = |local: &str| encode(local);
        assert_eq!(name(&"a".repeat(64)), "a".repeat(64));
        assert_eq!(name(&"a".repeat(120)), "a".repeat(120));
        let (one, other) = (name(&"a".repeat(121)), name(&"a".repeat(5000)));
        assert_eq!((one.len(), other.len()), (120, 120));
        assert_ne!(one, other);
        assert!(one.starts_with(&"a".repeat(54)) && one[54..].starts_with("%~"));
        // 64 characters of UTF-8 are more than 120 octets when encoded.
        assert_eq!(name(&"\u{fc}".repeat(64)).len(), 120);
    }

    #[test]
    fn templates_that_cannot_be_meant_are_refused() {
        for (text, error) in [
            ("var/mail", TemplateError::Relative),
            ("", TemplateError::Relative),
            ("/var/{local}/../x", TemplateError::Parent),
            (
                "/var/{user}",
                TemplateError::Placeholder {
                    found: "{user}".into(),
                },
            ),
            (
                "/var/{local",
                TemplateError::Placeholder {
                    found: "{local".into(),
                },
            ),
            ("/var/x}", TemplateError::Placeholder { found: "}".into() }),
        ] {
            assert_eq!(text.parse::<Template>(), Err(error), "{text}");
        }
        let one: Template = "/srv//./all/{local}@{domain}/Maildir/".parse().unwrap();
        assert_eq!(one.folder("A@B.org"), Path::new("/srv/all/a@b.org/Maildir"));
        assert_eq!(one.base(), Path::new("/srv/all"));
        let below = Template::below(Path::new("/odd/{x}"));
        assert_eq!(below.folder("a@b"), Path::new("/odd/{x}/b/a"));
    }

    proptest! {
        #[test]
        fn no_mailbox_leaves_its_folder(mailbox in "\\PC*", raw in any::<Vec<u8>>()) {
            for mailbox in [mailbox, String::from_utf8_lossy(&raw).into_owned()] {
                let folder = template().folder(&mailbox);
                let rest = folder.strip_prefix("/var/mail").unwrap();
                let names: Vec<_> = rest.components().collect();
                prop_assert_eq!(names.len(), 2);
                for name in names {
                    let std::path::Component::Normal(name) = name else { panic!("{folder:?}") };
                    let name = name.to_str().unwrap();
                    prop_assert!(!name.is_empty() && !name.starts_with('.') && name.len() <= 120);
                    prop_assert!(name.bytes().all(|one| one.is_ascii_graphic() && one != b'/'));
                }
            }
        }

        #[test]
        fn different_values_have_different_names(one in "[a-z./%\"é ]{0,90}", other in "[a-z./%\"é ]{0,90}") {
            prop_assert_eq!(one == other, encode(&one) == encode(&other));
        }
    }
}
