//! The DKIM-Signature field (RFC 6376 section 3.5) as it is written.

use std::fmt::Write as _;

/// Characters of a line at most (RFC 5322 section 2.1.1), where it can be broken.
const MOST_LINE: usize = 78;

/// A field that grows tag by tag and is folded between words.
#[derive(Debug)]
pub(super) struct Field {
    text: String,
    /// Characters of the line that is being written.
    line: usize,
}

impl Field {
    /// With the version, which is the first tag.
    pub(super) fn new() -> Self {
        let text = "DKIM-Signature: v=1;".to_owned();
        Self {
            line: text.len(),
            text,
        }
    }

    /// Appends `tag=value;`.
    pub(super) fn tag(&mut self, tag: &str, value: &str) -> &mut Self {
        self.word(&format!("{tag}={value};"));
        self
    }

    /// Appends `tag=one:two:three;`, which may be folded after each colon.
    pub(super) fn list(&mut self, tag: &str, values: &[String]) -> &mut Self {
        let last = values.len().saturating_sub(1);
        for (at, value) in values.iter().enumerate() {
            let mut piece = String::new();
            if at == 0 {
                let _ = write!(piece, "{tag}=");
            }
            piece.push_str(value);
            piece.push(if at == last { ';' } else { ':' });
            if at == 0 {
                self.word(&piece);
            } else if self.line + piece.len() > MOST_LINE {
                // White space is allowed around the colons (RFC 6376 section 3.5, `h=`).
                self.fold(&piece);
            } else {
                self.text.push_str(&piece);
                self.line += piece.len();
            }
        }
        self
    }

    /// The field with an empty `b=`, which is what is signed (RFC 6376 section 3.7).
    pub(super) fn unsigned(&mut self) -> &str {
        self.fold("b=");
        &self.text
    }

    /// The field with its signature in base64, and its CRLF.
    pub(super) fn signed(mut self, signature: &str) -> String {
        let mut rest = signature;
        while !rest.is_empty() {
            let room = MOST_LINE.saturating_sub(self.line).max(1);
            let (piece, after) = rest.split_at(room.min(rest.len()));
            self.text.push_str(piece);
            self.line += piece.len();
            rest = after;
            if !rest.is_empty() {
                self.fold("");
            }
        }
        self.text.push_str("\r\n");
        self.text
    }

    fn word(&mut self, word: &str) {
        if self.line + 1 + word.len() > MOST_LINE {
            self.fold(word);
        } else {
            self.text.push(' ');
            self.text.push_str(word);
            self.line += 1 + word.len();
        }
    }

    fn fold(&mut self, word: &str) {
        self.text.push_str("\r\n ");
        self.text.push_str(word);
        self.line = 1 + word.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_folded_and_the_value_is_the_last() {
        let mut field = Field::new();
        let names: Vec<String> = (0..30).map(|n| format!("name{n}")).collect();
        field.tag("d", "example.org").list("h", &names);
        let unsigned = field.unsigned().to_owned();
        assert!(unsigned.ends_with("\r\n b="), "{unsigned}");
        let signed = field.signed(&"x".repeat(300));
        let value = signed.strip_prefix(&unsigned).unwrap();
        assert_eq!(value.replace("\r\n", "").replace(' ', ""), "x".repeat(300));
        for line in signed.strip_suffix("\r\n").unwrap().split("\r\n") {
            assert!(line.len() <= 78 && !line.trim().is_empty(), "{line:?}");
        }
        assert!(signed.contains(" h=name0:name1:"));
        assert!(signed.contains("name29;"));
    }
}
