//! The transcript format: a dialogue in a file, one case each.
//!
//! | line | server role | client role |
//! | --- | --- | --- |
//! | `# ID ID; note` | which rows of `docs/profile.md` it shows, and why | the same |
//! | `@ key value` | a setting that is not the default | the same |
//! | `S: line` | what the session must send | what the scripted server sends |
//! | `S*N: line` | the same line N times | - |
//! | `HAS: line` | the last EHLO reply lists exactly this | - |
//! | `LACKS: KEYWORD` | the last EHLO reply lists no such keyword | - |
//! | `C: line` | what the scripted client sends | what the session must send |
//! | `c: octets` | the same, without CRLF | - |
//! | `P: message` | a SCRAM message that is sent in base64, with the challenge's `<nonce>` | - |
//! | `T: text` | - | what a trace shows instead of the last `C:` line |
//! | `Q: question` | what the host is asked | - |
//! | `A: answer` | what the host answers | - |
//! | `E: key value` | the envelope at the `Q: store` that follows | an event: `settled 0 accepted` |
//! | `M: line` | content at the `Q: store` that follows | content of the `SUBMIT` that follows |
//! | `SUBMIT sender -> recipient, …` | - | the caller's next message |
//! | `TLS` | a handshake happens here | the same |
//! | `DISMISS why` | the host ends the session | - |
//! | `LOST how` | - | the connection is gone |
//! | `QUIT` | - | the caller has no more messages |
//! | `CLOSE` | the session closes | the same |
//!
//! CRLF is added to each line. [`crate::escape`] says how octets and patterns are written. After
//! `CODE-text ...` the rest of that reply may be anything. Lines that begin with `//` are comments.

use crate::escape::{Pattern, octets};

/// One line of a transcript that does or expects something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// `S:` as the session's own line (server role).
    Reply(Pattern),
    /// `S:` as octets with CRLF (client role).
    ServerSays(Vec<u8>),
    /// `HAS:`.
    Has(String),
    /// `LACKS:`.
    Lacks(String),
    /// `C:` or `c:` as octets (server role).
    ClientSays(Vec<u8>),
    /// `P:`.
    ClientProves(String),
    /// `C:` as the session's own line (client role).
    Command(Pattern),
    /// `T:`.
    Trace(String),
    /// `Q:`.
    Question(String),
    /// `A:`.
    Answer(String),
    /// `E:`.
    Event(String),
    /// `M:`.
    Content(String),
    /// `SUBMIT`.
    Submit(String),
    /// `TLS`.
    Tls,
    /// `DISMISS`.
    Dismiss(String),
    /// `LOST`.
    Lost(String),
    /// `QUIT`.
    Quit,
    /// `CLOSE`.
    Close,
}

/// Which side the session under test is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `transcripts/server`.
    Server,
    /// `transcripts/client`.
    Client,
}

/// A parsed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcript {
    /// Rows of the profile that it shows.
    pub ids: Vec<String>,
    /// What follows the IDs.
    pub note: String,
    /// `@` lines: line number, key, value.
    pub settings: Vec<(usize, String, String)>,
    /// Line number and step.
    pub steps: Vec<(usize, Step)>,
}

/// What is wrong with a file, or where a dialogue went another way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Line of the file, from 1.
    pub line: usize,
    /// What happened.
    pub text: String,
}

impl Mismatch {
    /// At this line.
    pub fn new(line: usize, text: impl Into<String>) -> Self {
        Self {
            line,
            text: text.into(),
        }
    }
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.text)
    }
}

impl Transcript {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// The first line that is none of the format, or what the whole lacks: an ID, a step that
    /// expects something.
    pub fn parse(text: &str, role: Role) -> Result<Self, Mismatch> {
        let mut transcript = Self {
            ids: Vec::new(),
            note: String::new(),
            settings: Vec::new(),
            steps: Vec::new(),
        };
        for (index, line) in text.lines().enumerate() {
            transcript
                .line(index + 1, line, role)
                .map_err(|text| Mismatch::new(index + 1, text))?;
        }
        if transcript.ids.is_empty() {
            return Err(Mismatch::new(1, "no `# ID; note` line"));
        }
        if !transcript.steps.iter().any(|(_, step)| step.expects()) {
            return Err(Mismatch::new(1, "nothing is expected"));
        }
        Ok(transcript)
    }

    fn line(&mut self, number: usize, line: &str, role: Role) -> Result<(), String> {
        if line.is_empty() || line.starts_with("//") {
            return Ok(());
        }
        if let Some(head) = line.strip_prefix("# ") {
            let (ids, note) = head.split_once(';').unwrap_or((head, ""));
            self.ids.extend(ids.split_whitespace().map(String::from));
            self.note = note.trim().into();
            return Ok(());
        }
        if let Some(setting) = line.strip_prefix("@ ") {
            let (key, value) = setting.split_once(' ').ok_or("a setting needs a value")?;
            self.settings.push((number, key.into(), value.into()));
            return Ok(());
        }
        let (count, step) = step(line, role)?;
        for _ in 0..count {
            self.steps.push((number, step.clone()));
        }
        Ok(())
    }
}

impl Step {
    /// Whether it can fail.
    fn expects(&self) -> bool {
        matches!(
            self,
            Self::Reply(_) | Self::Command(_) | Self::Question(_) | Self::Event(_) | Self::Close
        )
    }
}

/// How often, and what.
fn step(line: &str, role: Role) -> Result<(usize, Step), String> {
    let word = line.split([' ', ':']).next().unwrap_or_default();
    let after = line[word.len()..]
        .trim_start_matches(':')
        .strip_prefix(' ')
        .unwrap_or_default();
    let argument = || {
        if after.is_empty() {
            Err(format!("{word} needs an argument"))
        } else {
            Ok(String::from(after))
        }
    };
    let crlf = |written: &str| octets(written).map(|octets| [octets.as_slice(), b"\r\n"].concat());
    if let Some(count) = word.strip_prefix("S*") {
        let count = count
            .parse()
            .map_err(|_| format!("{count} is not a count"))?;
        return Ok((count, Step::Reply(Pattern::read(after)?)));
    }
    let step = match (word, role) {
        ("S", Role::Server) => Step::Reply(Pattern::read(after)?),
        ("S", Role::Client) => Step::ServerSays(crlf(after)?),
        ("C", Role::Server) => Step::ClientSays(crlf(after)?),
        ("c", Role::Server) => Step::ClientSays(octets(after)?),
        ("P", Role::Server) => Step::ClientProves(argument()?),
        ("s", Role::Client) => Step::ServerSays(octets(after)?),
        ("C", Role::Client) => Step::Command(Pattern::read(after)?),
        ("HAS", Role::Server) => Step::Has(argument()?),
        ("LACKS", Role::Server) => Step::Lacks(argument()?),
        ("Q", Role::Server) => Step::Question(argument()?),
        ("A", Role::Server) => Step::Answer(argument()?),
        ("T", Role::Client) => Step::Trace(argument()?),
        ("E", _) => Step::Event(argument()?),
        ("M", _) => Step::Content(after.into()),
        ("SUBMIT", Role::Client) => Step::Submit(argument()?),
        ("DISMISS", Role::Server) => Step::Dismiss(argument()?),
        ("LOST", Role::Client) => Step::Lost(argument()?),
        ("QUIT", Role::Client) => Step::Quit,
        ("TLS", _) => Step::Tls,
        ("CLOSE", _) => Step::Close,
        _ => return Err(format!("unknown line: {line}")),
    };
    Ok((1, step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_line_by_line() -> Result<(), Mismatch> {
        let text = "# R5321-4.1.1.9 R5321-4.2-a; note\n@ tls absent\nS: 220 ...\nC: NOOP\nCLOSE\n";
        let transcript = Transcript::parse(text, Role::Server)?;
        assert_eq!(transcript.ids, ["R5321-4.1.1.9", "R5321-4.2-a"]);
        assert_eq!(transcript.note, "note");
        assert_eq!(
            transcript.settings,
            [(2, "tls".to_owned(), "absent".to_owned())]
        );
        assert_eq!(
            transcript.steps[1],
            (4, Step::ClientSays(b"NOOP\r\n".to_vec()))
        );
        assert_eq!(transcript.steps[2], (5, Step::Close));
        Ok(())
    }

    #[test]
    fn an_orphan_fails() {
        for text in [
            "S: 220 ...\n",
            "# ID; no expectation\nC: NOOP\n",
            "# ID; unknown line\nX: 1\n",
            "# ID; client step\nSUBMIT a -> b\n",
        ] {
            assert!(Transcript::parse(text, Role::Server).is_err(), "{text}");
        }
    }
}
