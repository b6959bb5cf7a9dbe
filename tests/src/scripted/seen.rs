//! What a server saw.

use std::fmt::Write as _;

/// Lines of a dialogue that are kept.
const MOST_LINES: usize = 400;
/// Characters of one of them.
const MOST_CHARACTERS: usize = 160;

/// A message that came to its final dot.
#[derive(Debug, Clone)]
pub struct Content {
    /// Number of the connection, from 1.
    pub connection: usize,
    /// MAIL, as it came.
    pub mail: String,
    /// RCPT commands that were answered 2yz, as they came.
    pub recipients: Vec<String>,
    /// Without dot-stuffing and final dot.
    pub octets: Vec<u8>,
    /// For each of the recipients, whether the server's last word was 2yz. SMTP: the same for all.
    pub taken: Vec<bool>,
}

/// All of it.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Connections so far.
    pub connections: usize,
    /// The most that stood at one time.
    pub most_connections: usize,
    /// The dialogue: number of the connection, side, words.
    pub lines: Vec<String>,
    /// Contents that came to their final dot.
    pub contents: Vec<Content>,
    /// Octets of contents that did not.
    pub cut_short: Vec<usize>,
    /// MAIL commands of each connection.
    pub mails: Vec<usize>,
    /// Server name of the last handshake.
    pub server_name: Option<String>,
    /// AUTH commands.
    pub logins: usize,
}

impl Seen {
    /// Notes a line of the dialogue.
    pub fn note(&mut self, connection: usize, side: &str, words: &[u8]) {
        if self.lines.len() > MOST_LINES {
            return;
        }
        if self.lines.len() == MOST_LINES {
            return self.lines.push("(and so on)".into());
        }
        let text = String::from_utf8_lossy(words);
        let mut line = format!("{connection} {side}: ");
        for character in text.trim_end().chars().take(MOST_CHARACTERS) {
            let _ = if character.is_control() {
                write!(line, "{}", character.escape_default())
            } else {
                write!(line, "{character}")
            };
        }
        self.lines.push(line);
    }

    /// How often a recipient's content was taken.
    pub fn taken(&self, mailbox: &str) -> usize {
        self.contents
            .iter()
            .map(|content| content.count(mailbox, true))
            .sum()
    }

    /// How often content for a recipient came to its final dot.
    pub fn offered(&self, mailbox: &str) -> usize {
        self.contents
            .iter()
            .map(|content| content.count(mailbox, false))
            .sum()
    }

    /// Whether a command with these words came.
    pub fn heard(&self, words: &str) -> bool {
        self.lines
            .iter()
            .any(|line| line.contains(" C: ") && line.contains(words))
    }
}

impl Content {
    fn count(&self, mailbox: &str, taken: bool) -> usize {
        let path = format!("<{mailbox}>");
        self.recipients
            .iter()
            .zip(&self.taken)
            .filter(|(command, was)| command.contains(&path) && (**was || !taken))
            .count()
    }
}
