//! The format of `/etc/aliases` (aliases(5)), as far as it is about mailboxes:
//!
//! ```text
//! # a comment
//! postmaster: root
//! root:       alice@example.org, "bob smith"
//!             carol@example.net
//! sales@example.org: alice, bob
//! ```
//!
//! A line that begins with white space goes on with the one before it. Programs, files and
//! `:include:` are not mailboxes, and are refused: an alias must not run anything.

use std::path::Path;

use super::address::Address;
use super::{AliasError, Entry};

/// What stands in a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct File {
    /// In the order of the file.
    pub entries: Vec<Entry>,
    /// What is wrong with it: lines, from 1, and texts.
    pub mistakes: Vec<(usize, String)>,
}

/// Reads a file. Blocks on the file system.
///
/// # Errors
/// [`AliasError::Unreadable`].
pub fn load(path: &Path) -> Result<File, AliasError> {
    match std::fs::read(path) {
        Ok(octets) => Ok(match std::str::from_utf8(&octets) {
            Ok(text) => read(text),
            Err(error) => {
                let good = octets.get(..error.valid_up_to()).unwrap_or_default();
                let line = 1 + good.iter().filter(|octet| **octet == b'\n').count();
                File {
                    entries: Vec::new(),
                    mistakes: vec![(line, "must be UTF-8 text".to_owned())],
                }
            }
        }),
        Err(source) => Err(AliasError::Unreadable {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Reads text.
pub fn read(text: &str) -> File {
    let mut file = File::default();
    // The line on which an alias begins, and all of its text.
    let mut open: Option<(usize, String)> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_end();
        if line.trim_start().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        if line.starts_with([' ', '\t']) {
            match &mut open {
                Some((_, text)) => {
                    // Between two addresses the comma may be missing at the line's end.
                    let ends = text.trim_end().ends_with([',', ':']);
                    text.push_str(if ends { " " } else { ", " });
                    text.push_str(line.trim_start().trim_start_matches(','));
                }
                None => file.mistakes.push((
                    number,
                    "begins with white space, and there is no alias before it to go on with"
                        .to_owned(),
                )),
            }
            continue;
        }
        file.close(open.replace((number, line.to_owned())));
    }
    file.close(open);
    file
}

impl File {
    fn close(&mut self, open: Option<(usize, String)>) {
        let Some((line, text)) = open else { return };
        match alias(&text) {
            Ok((name, targets)) => self.entries.push(Entry {
                line,
                name,
                targets,
            }),
            Err(mistakes) => self
                .mistakes
                .extend(mistakes.into_iter().map(|text| (line, text))),
        }
    }
}

fn alias(text: &str) -> Result<(Address, Vec<Address>), Vec<String>> {
    let parts = split(text, ':', 2);
    let [name, targets] = parts.as_slice() else {
        return Err(vec![format!(
            "\"{text}\" has no colon; write name: address, address"
        )]);
    };
    let mut mistakes = Vec::new();
    let mut address = |text: &str| match target(text) {
        Ok(address) => Some(address),
        Err(why) => {
            mistakes.push(why);
            None
        }
    };
    let name = address(name);
    let mut addresses = Vec::new();
    for text in split(targets, ',', usize::MAX) {
        if !text.trim().is_empty() {
            addresses.extend(address(text));
        }
    }
    if addresses.is_empty() && mistakes.is_empty() {
        mistakes.push("stands for nobody; name an address after the colon".to_owned());
    }
    match name {
        Some(name) if mistakes.is_empty() => Ok((name, addresses)),
        _ => Err(mistakes),
    }
}

/// An address that a person wrote.
///
/// # Errors
/// What is wrong with it.
pub fn target(text: &str) -> Result<Address, String> {
    let text = text.trim();
    // `\alice`: alice herself, as sendmail has it; one that names itself is that here.
    let bare = text.strip_prefix('\\').unwrap_or(text);
    if bare.trim_start_matches('"').starts_with('|') {
        return Err(format!(
            "{text} is a program; aliases lead to mailboxes alone: make a [[route]] to where the \
             program gets its mail"
        ));
    }
    if bare.starts_with('/') || bare.starts_with("\"/") {
        return Err(format!(
            "{text} is a file; aliases lead to mailboxes alone: make a [[route]] with deliver = \
             \"maildir:...\""
        ));
    }
    if bare.to_ascii_lowercase().starts_with(":include:") {
        return Err(format!("{text}: write the addresses here instead"));
    }
    Address::parse(bare).map_err(|why| format!("\"{bare}\" {why}"))
}

/// Splits where no quotes are open, into so many parts at most.
fn split(text: &str, at: char, most: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut begin, mut quoted, mut escaped) = (0, false, false);
    for (place, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if character == at && !quoted && parts.len() + 1 < most => {
                parts.push(text.get(begin..place).unwrap_or_default());
                begin = place + character.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(text.get(begin..).unwrap_or_default());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(file: &File) -> Vec<(usize, String, Vec<String>)> {
        let strings = |targets: &[Address]| targets.iter().map(ToString::to_string).collect();
        file.entries
            .iter()
            .map(|one| (one.line, one.name.to_string(), strings(&one.targets)))
            .collect()
    }

    #[test]
    fn an_aliases_file_is_read() {
        let file = read(
            "# comment\n\
             Postmaster: root\n\
             \n\
             root:  alice@example.org, \"bob smith\"\n\
             # between\n\
             \tcarol@example.net,\n\
             \tdave\n\
             sales@example.org:\n\
             \x20 alice,bob ,\n\
             \"odd: name\" : \"a, b\"@example.org\n\
             self: \\self, other\r\n",
        );
        assert_eq!(file.mistakes, []);
        let all = |targets: &[&str]| targets.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            shown(&file),
            [
                (2, "Postmaster".to_owned(), all(&["root"])),
                (
                    4,
                    "root".to_owned(),
                    all(&[
                        "alice@example.org",
                        "\"bob smith\"",
                        "carol@example.net",
                        "dave"
                    ])
                ),
                (8, "sales@example.org".to_owned(), all(&["alice", "bob"])),
                (
                    10,
                    "\"odd: name\"".to_owned(),
                    all(&["\"a, b\"@example.org"])
                ),
                (11, "self".to_owned(), all(&["self", "other"])),
            ]
        );
    }

    #[test]
    fn each_mistake_has_its_line() {
        let file = read(
            "\talice\n\
             no colon\n\
             a: |/usr/bin/vacation a\n\
             b: \"|program\", c\n\
             d: /var/mail/d\n\
             e: :include:/etc/list\n\
             f:\n\
             g: a b, c@-x\n\
             @example.org: x\n",
        );
        assert_eq!(file.entries, []);
        let lines: Vec<usize> = file.mistakes.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 2, 3, 4, 5, 6, 7, 8, 8, 9]);
        for (number, part) in [
            (0, "no alias before it"),
            (1, "has no colon"),
            (2, "is a program"),
            (3, "is a program"),
            (4, "is a file"),
            (5, "write the addresses here"),
            (6, "stands for nobody"),
            (7, "\"a b\" is no mailbox"),
            (8, "\"c@-x\" is no mailbox"),
            (9, "\"@example.org\" is no mailbox"),
        ] {
            let text = &file.mistakes[number].1;
            assert!(text.contains(part), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "[a-z@:,\"\\\\| \t\n#.]{0,200}") {
            let file = read(&text);
            prop_assert!(file.entries.iter().all(|one| !one.targets.is_empty()));
        }
    }
}
