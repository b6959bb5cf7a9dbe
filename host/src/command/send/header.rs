//! What `sendmail` reads in a header section and changes there: recipients (`-t`), Bcc, and a From
//! field where there is none (RFC 5322; CL-bcc).

use std::fmt::Write as _;

/// A message whose header section can be told from its body. Lines end with CRLF.
pub(super) struct Message<'a> {
    /// Fields with their continuation lines, octet for octet.
    fields: Vec<&'a [u8]>,
    /// From the empty line on; without one where the header section just stops.
    rest: &'a [u8],
}

impl<'a> Message<'a> {
    /// The header section ends at the empty line, or before the first line that is no field.
    pub(super) fn split(content: &'a [u8]) -> Self {
        let mut fields = Vec::new();
        let mut start = 0;
        let mut end = 0;
        for line in content.split_inclusive(|octet| *octet == b'\n') {
            let continues = matches!(line.first(), Some(b' ' | b'\t')) && end > 0;
            if !continues {
                if end > start {
                    fields.push(&content[start..end]);
                }
                start = end;
                if name(line).is_none() {
                    break;
                }
            }
            end += line.len();
        }
        if end > start {
            fields.push(&content[start..end]);
        }
        Self {
            fields,
            rest: &content[end..],
        }
    }

    /// The recipients of To, Cc and Bcc; of the Resent- fields where there are any (RFC 5322
    /// section 3.6.6).
    pub(super) fn recipients(&self) -> Result<Vec<String>, String> {
        let resent = ["resent-to", "resent-cc", "resent-bcc"];
        let fields = if resent.iter().any(|name| self.has(name)) {
            resent
        } else {
            ["to", "cc", "bcc"]
        };
        let mut recipients: Vec<String> = Vec::new();
        for field in &self.fields {
            let Some(name) = name(field) else { continue };
            if !fields.contains(&name.as_str()) {
                continue;
            }
            let value = std::str::from_utf8(&field[name.len()..])
                .map_err(|_| format!("the {name} field is not UTF-8"))?;
            let value = value.split_once(':').map_or("", |(_, value)| value);
            let found =
                addresses(value).map_err(|what| format!("cannot read the {name} field: {what}"))?;
            for address in found {
                if !recipients.contains(&address) {
                    recipients.push(address);
                }
            }
        }
        Ok(recipients)
    }

    /// The message without Bcc, with a From field of this author if it has none, and with the
    /// empty line that ends a header section.
    pub(super) fn completed(&self, author: &str, without_bcc: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.rest.len() + 512);
        if !self.has("from") && !self.has("resent-from") {
            out.extend_from_slice(format!("From: {author}\r\n").as_bytes());
        }
        for field in &self.fields {
            let hidden = matches!(name(field).as_deref(), Some("bcc" | "resent-bcc"));
            if !(hidden && without_bcc) {
                out.extend_from_slice(field);
            }
        }
        if !self.rest.starts_with(b"\r\n") {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(self.rest);
        out
    }

    fn has(&self, wanted: &str) -> bool {
        self.fields
            .iter()
            .any(|field| name(field).as_deref() == Some(wanted))
    }
}

/// The field's name in lower case (RFC 5322 section 3.6.8; white space before the colon is
/// obsolete, but not part of the name).
fn name(line: &[u8]) -> Option<String> {
    let end = line.iter().position(|octet| *octet == b':')?;
    let name = line[..end].trim_ascii_end();
    if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    Some(String::from_utf8_lossy(name).to_ascii_lowercase())
}

/// The mailboxes of an address list (RFC 5322 section 3.4): names, comments and groups are left
/// out.
fn addresses(text: &str) -> Result<Vec<String>, &'static str> {
    let mut list = Vec::new();
    let mut current = String::new();
    let mut angle = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => quoted(&mut characters, &mut current)?,
            '(' => {
                comment(&mut characters)?;
                current.push(' ');
            }
            '[' => literal(&mut characters, &mut current)?,
            '<' => angle = Some(in_angle(&mut characters)?),
            // What came was the name of a group.
            ':' => current.clear(),
            ',' | ';' => finish(&mut current, &mut angle, &mut list)?,
            _ => current.push(character),
        }
    }
    finish(&mut current, &mut angle, &mut list)?;
    Ok(list)
}

type Characters<'a> = std::str::Chars<'a>;

fn quoted(characters: &mut Characters<'_>, out: &mut String) -> Result<(), &'static str> {
    out.push('"');
    while let Some(character) = characters.next() {
        out.push(character);
        match character {
            '"' => return Ok(()),
            '\\' => out.extend(characters.next()),
            _ => {}
        }
    }
    Err("a quote is not closed")
}

fn comment(characters: &mut Characters<'_>) -> Result<(), &'static str> {
    let mut depth = 1;
    while let Some(character) = characters.next() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            '\\' => {
                characters.next();
            }
            _ => {}
        }
        if depth == 0 {
            return Ok(());
        }
    }
    Err("a comment is not closed")
}

fn literal(characters: &mut Characters<'_>, out: &mut String) -> Result<(), &'static str> {
    out.push('[');
    for character in characters.by_ref() {
        out.push(character);
        if character == ']' {
            return Ok(());
        }
    }
    Err("an address literal is not closed")
}

fn in_angle(characters: &mut Characters<'_>) -> Result<String, &'static str> {
    let mut out = String::new();
    while let Some(character) = characters.next() {
        match character {
            '>' => return Ok(out),
            '"' => quoted(characters, &mut out)?,
            '(' => comment(characters)?,
            _ => out.push(character),
        }
    }
    Err("an angle bracket is not closed")
}

fn finish(
    current: &mut String,
    angle: &mut Option<String>,
    list: &mut Vec<String>,
) -> Result<(), &'static str> {
    let text = std::mem::take(current);
    let mailbox = mailbox(&angle.take().unwrap_or(text))?;
    if !mailbox.is_empty() {
        list.push(mailbox);
    }
    Ok(())
}

/// Without source route (RFC 5322 section 4.4) and without white space around `.` and `@`.
fn mailbox(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    let text = match text.split_once(':') {
        Some((route, mailbox)) if route.starts_with('@') => mailbox,
        _ => text,
    };
    let mut out = String::new();
    let mut in_quotes = false;
    let mut escaped = false;
    let mut space = false;
    for character in text.trim().chars() {
        if !in_quotes && character.is_whitespace() {
            space = true;
            continue;
        }
        if space && !matches!(character, '.' | '@') && !out.ends_with(['.', '@']) {
            return Err("several words without angle brackets");
        }
        space = false;
        match character {
            _ if escaped => escaped = false,
            '\\' if in_quotes => escaped = true,
            '"' => in_quotes = !in_quotes,
            _ => {}
        }
        // A folded line within quotes: the fold is no part of it (RFC 5322 section 2.2.3).
        if !matches!(character, '\r' | '\n') {
            out.push(character);
        }
    }
    Ok(out)
}

/// A mailbox with a name before it, as a From field has them (RFC 5322 section 3.4).
pub(super) fn author(full_name: Option<&str>, mailbox: &str) -> String {
    match full_name.map(str::trim) {
        Some(name) if !name.is_empty() => format!("{} <{mailbox}>", phrase(name)),
        _ => mailbox.to_owned(),
    }
}

fn phrase(name: &str) -> String {
    let is_atom =
        |c: char| c.is_ascii_alphanumeric() || c == ' ' || "!#$%&'*+-/=?^_`{|}~".contains(c);
    if name.chars().all(is_atom) {
        return name.to_owned();
    }
    if name.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
        return format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
    }
    // RFC 2047 section 2: an encoded word has at most 75 characters.
    let mut words = vec![String::new()];
    for character in name.chars().filter(|c| !c.is_control()) {
        let mut encoded = String::new();
        if character.is_ascii_alphanumeric() {
            encoded.push(character);
        } else {
            for octet in character.encode_utf8(&mut [0; 4]).bytes() {
                // Writing to a string cannot fail.
                let _ = write!(encoded, "={octet:02X}");
            }
        }
        match words.last_mut() {
            Some(word) if word.len() + encoded.len() <= 60 => word.push_str(&encoded),
            _ => words.push(encoded),
        }
    }
    let words: Vec<_> = words
        .iter()
        .map(|word| format!("=?utf-8?Q?{word}?="))
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn recipients(content: &str) -> Result<Vec<String>, String> {
        Message::split(content.as_bytes()).recipients()
    }

    #[test]
    fn cl_bcc_recipients_come_from_to_cc_and_bcc() {
        let content = "From: x@example.org\r\nTO: a@example.org, Bob <b@example.org>\r\n\
             Subject: to: nobody@example.org\r\nCc: \"C, D\" <c@example.org>,\r\n \
             d (not e@x) @ example . org\r\nBcc : <@relay.example:e@example.org>\r\n\r\n\
             To: body@example.org\r\n";
        assert_eq!(
            recipients(content).unwrap(),
            [
                "a@example.org",
                "b@example.org",
                "c@example.org",
                "d@example.org",
                "e@example.org"
            ]
        );
    }

    #[test]
    fn r5322_3_4_groups_comments_quotes_and_literals() {
        for (list, expected) in [
            ("undisclosed-recipients:;", vec![]),
            (
                "Team: a@x.org, B <b@x.org>; c@x.org",
                vec!["a@x.org", "b@x.org", "c@x.org"],
            ),
            ("\"a,b\"@x.org", vec!["\"a,b\"@x.org"]),
            ("\"a \\\" b\"@x.org", vec!["\"a \\\" b\"@x.org"]),
            ("a@[IPv6:2001:db8::1], b", vec!["a@[IPv6:2001:db8::1]", "b"]),
            ("(one (two) \\) ,) a@x.org", vec!["a@x.org"]),
            ("a@x.org (Alice), ,", vec!["a@x.org"]),
            (
                "gr\u{fc}n@b\u{fc}cher.example",
                vec!["gr\u{fc}n@b\u{fc}cher.example"],
            ),
        ] {
            assert_eq!(addresses(list).unwrap(), expected, "{list}");
        }
        for list in ["\"a", "a <b@x", "(a", "a@[1", "a b@x.org"] {
            assert!(addresses(list).is_err(), "{list}");
        }
    }

    #[test]
    fn r5322_3_6_6_resent_fields_come_first() {
        let content = "Resent-To: new@x.org\r\nTo: old@x.org\r\n\r\n";
        assert_eq!(recipients(content).unwrap(), ["new@x.org"]);
    }

    #[test]
    fn cl_bcc_is_removed_and_from_is_completed() {
        let content =
            b"To: a@x.org\r\nBcc: b@x.org,\r\n c@x.org\r\nSubject: s\r\n\r\nBcc: text\r\n";
        assert_eq!(
            Message::split(content).completed("me@x.org", true),
            b"From: me@x.org\r\nTo: a@x.org\r\nSubject: s\r\n\r\nBcc: text\r\n"
        );
        let content = b"From: y@x.org\r\nBcc: b@x.org\r\nno field\r\n";
        assert_eq!(
            Message::split(content).completed("me@x.org", false),
            b"From: y@x.org\r\nBcc: b@x.org\r\n\r\nno field\r\n"
        );
        assert_eq!(
            Message::split(b"just text\r\n").completed("me@x.org", false),
            b"From: me@x.org\r\n\r\njust text\r\n"
        );
        assert_eq!(
            Message::split(b"").completed("m@x", false),
            b"From: m@x\r\n\r\n"
        );
    }

    #[test]
    fn an_author_is_a_name_and_a_mailbox() {
        for (name, expected) in [
            (None, "a@x"),
            (Some("Cron Daemon"), "Cron Daemon <a@x>"),
            (Some("J. Doe"), "\"J. Doe\" <a@x>"),
            (Some("Gr\u{fc}n"), "=?utf-8?Q?Gr=C3=BCn?= <a@x>"),
        ] {
            assert_eq!(author(name, "a@x"), expected);
        }
    }

    proptest! {
        #[test]
        fn splitting_loses_nothing(content in "([ -~]{0,9}(\r\n|:| ))*") {
            let message = Message::split(content.as_bytes());
            let mut joined = message.fields.concat();
            joined.extend_from_slice(message.rest);
            prop_assert_eq!(joined, content.as_bytes());
        }

        #[test]
        fn address_lists_never_panic(text in "[ -~\u{e4}\r\n]{0,60}") {
            let _ = addresses(&text);
        }
    }
}
