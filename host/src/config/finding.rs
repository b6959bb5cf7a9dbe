//! What is wrong with a file that an administrator wrote, and where.
//!
//! A finding serializes to one object of `pillarbox check --json`.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The file cannot be used.
    Error,
    /// It can, but perhaps not as it was meant.
    Warning,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One thing that is wrong: where, what, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad.
    pub level: Level,
    /// The file, as it was named by whoever asked for it.
    #[serde(serialize_with = "lossy")]
    pub file: PathBuf,
    /// Line, the first is 1; `None` where no line is to blame.
    pub line: Option<usize>,
    /// Path of the key, as in `listener[1].tls` (the first listener is 0); empty for the whole file.
    pub key: String,
    /// For a person.
    pub text: String,
}

impl Finding {
    /// A finding about a whole file or about a key without a line.
    pub fn new(level: Level, file: &Path, key: &str, text: impl Into<String>) -> Self {
        Self {
            level,
            file: file.to_path_buf(),
            line: None,
            key: key.to_owned(),
            text: text.into(),
        }
    }

    /// Whether this one makes the file unusable.
    pub fn is_error(&self) -> bool {
        self.level == Level::Error
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        if !self.key.is_empty() {
            write!(f, " {}:", self.key)?;
        }
        write!(f, " {}", self.text)
    }
}

/// A path is octets, JSON is text: what is no UTF-8 is shown as well as it can be.
fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

    use super::*;

    #[test]
    fn a_finding_reads_file_line_key_text() {
        let mut finding =
            Finding::new(Level::Error, Path::new("p.toml"), "limits.recipients", "no");
        assert_eq!(finding.to_string(), "p.toml: limits.recipients: no");
        finding.line = Some(7);
        assert_eq!(finding.to_string(), "p.toml:7: limits.recipients: no");
        finding.key.clear();
        assert_eq!(finding.to_string(), "p.toml:7: no");
    }

    #[test]
    fn a_finding_serializes_as_the_command_line_contract_says() {
        let mut finding = Finding::new(Level::Warning, Path::new("p.toml"), "tls", "absent");
        assert_eq!(
            serde_json::to_value(&finding).unwrap(),
            serde_json::json!({"level": "warning", "file": "p.toml", "line": null, "key": "tls", "text": "absent"})
        );
        finding.line = Some(3);
        finding.level = Level::Error;
        let value = serde_json::to_value(&finding).unwrap();
        assert_eq!(
            (&value["level"], &value["line"]),
            (&"error".into(), &3.into())
        );
    }
}
