//! How octets and patterns are written in a transcript.
//!
//! | written | octets |
//! | --- | --- |
//! | `\xNN` | that octet |
//! | `\r` `\n` `\t` `\\` | CR, LF, tab, backslash |
//! | `\{N*text}` | `text`, with its own escapes, N times |
//!
//! In a pattern `<id>` stands for a message identifier and a trailing `...` for anything.

/// The octets that a written line stands for.
///
/// # Errors
///
/// A sentence about the escape that cannot be read.
pub fn octets(written: &str) -> Result<Vec<u8>, String> {
    let mut found = Vec::with_capacity(written.len());
    let mut rest = written;
    while let Some(at) = rest.find('\\') {
        found.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at + 1..];
        let kind = rest.chars().next().ok_or("a backslash ends the line")?;
        rest = &rest[kind.len_utf8()..];
        match kind {
            'r' => found.push(b'\r'),
            'n' => found.push(b'\n'),
            't' => found.push(b'\t'),
            '\\' => found.push(b'\\'),
            'x' => {
                let digits = rest.get(..2).ok_or(r"\x needs two hexadecimal digits")?;
                found.push(
                    u8::from_str_radix(digits, 16)
                        .map_err(|_| format!(r"\x{digits} is not hexadecimal"))?,
                );
                rest = &rest[2..];
            }
            '{' => {
                let (inside, after) = repeated(rest)?;
                found.extend_from_slice(&inside);
                rest = after;
            }
            other => return Err(format!(r"unknown escape \{other}")),
        }
    }
    found.extend_from_slice(rest.as_bytes());
    Ok(found)
}

/// `N*text}` and what follows.
fn repeated(written: &str) -> Result<(Vec<u8>, &str), String> {
    let (count, after) = written
        .split_once('*')
        .ok_or(r"\{ needs a count and a star")?;
    let count: usize = count
        .parse()
        .map_err(|_| format!("{count} is not a count"))?;
    let (text, after) = after.split_once('}').ok_or(r"\{ needs a closing brace")?;
    Ok((octets(text)?.repeat(count), after))
}

/// Octets as a transcript would write them, for messages.
pub fn written(octets: &[u8]) -> String {
    let mut text = String::new();
    for &octet in octets.iter().take(400) {
        match octet {
            b'\r' => text.push_str(r"\r"),
            b'\n' => text.push_str(r"\n"),
            b'\\' => text.push_str(r"\\"),
            0x20..=0x7e => text.push(char::from(octet)),
            _ => text.push_str(&format!(r"\x{octet:02x}")),
        }
    }
    if octets.len() > 400 {
        text.push_str(&format!(" (and {} octets)", octets.len() - 400));
    }
    text
}

/// A line of octets, parts of which may be anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// Octets between the placeholders; never empty.
    pieces: Vec<Vec<u8>>,
    open: bool,
}

impl Pattern {
    /// Reads the written form.
    ///
    /// # Errors
    ///
    /// As [`octets`].
    pub fn read(written: &str) -> Result<Self, String> {
        let (written, open) = match written.strip_suffix("...") {
            Some(start) => (start.trim_end_matches(' '), true),
            None => (written, false),
        };
        let pieces = written
            .split("<id>")
            .map(octets)
            .collect::<Result<_, _>>()?;
        Ok(Self { pieces, open })
    }

    /// Whether it ends in `...`.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Whether it is `...` alone.
    pub fn is_anything(&self) -> bool {
        self.open && self.pieces.len() == 1 && self.pieces[0].is_empty()
    }

    /// Whether it says `CODE-`, so that lines of the same reply follow.
    pub fn goes_on(&self) -> bool {
        self.pieces[0].get(3) == Some(&b'-')
    }

    /// Whether this line, without its end, fits.
    pub fn fits(&self, line: &[u8]) -> bool {
        let Some(mut rest) = line.strip_prefix(self.pieces[0].as_slice()) else {
            return false;
        };
        for piece in &self.pieces[1..] {
            let length = rest
                .iter()
                .take_while(|octet| octet.is_ascii_alphanumeric() || **octet == b'-')
                .count();
            match rest[length..].strip_prefix(piece.as_slice()) {
                Some(after) if length > 0 => rest = after,
                _ => return false,
            }
        }
        self.open || rest.is_empty()
    }
}

/// Whether these lines fit these patterns; `...` alone stands for any number of lines.
pub fn lines_fit(patterns: &[Pattern], lines: &[&[u8]]) -> bool {
    match patterns.split_first() {
        None => lines.is_empty(),
        Some((first, others)) if first.is_anything() => {
            (0..=lines.len()).any(|skipped| lines_fit(others, &lines[skipped..]))
        }
        Some((first, others)) => lines
            .split_first()
            .is_some_and(|(line, rest)| first.fits(line) && lines_fit(others, rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_become_octets() {
        assert_eq!(octets(r"a\x00\r\n\\"), Ok(b"a\0\r\n\\".to_vec()));
        assert_eq!(octets(r"\{3*ab}c"), Ok(b"abababc".to_vec()));
        assert!(octets(r"\q").is_err());
        assert!(octets(r"\x4").is_err());
    }

    #[test]
    fn patterns_fit_what_they_say() -> Result<(), String> {
        let queued = Pattern::read("250 2.6.0 queued as <id>")?;
        assert!(queued.fits(b"250 2.6.0 queued as t1-1"));
        assert!(!queued.fits(b"250 2.6.0 queued as "));
        assert!(Pattern::read("503 5.5.1 ...")?.fits(b"503 5.5.1 MAIL first"));
        assert!(!Pattern::read("503 5.5.1")?.fits(b"503 5.5.1 MAIL first"));
        let content = [Pattern::read("...")?, Pattern::read("Subject: a")?];
        assert!(lines_fit(&content, &[b"Received: x", b"Subject: a"]));
        assert!(!lines_fit(&content, &[b"Subject: a", b"more"]));
        Ok(())
    }
}
