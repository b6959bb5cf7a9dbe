//! The dialogue as a person may see it: no secrets (CL-secrets), no content, nothing that a
//! terminal would obey.

use crate::sandbox::v0_1::types::Reply;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use zeroize::Zeroizing;

/// Octets of one server line that are shown.
const MOST_SHOWN: usize = 4_096;
/// Confided words that are remembered: an exchange has at most three responses.
const MOST_SECRETS: usize = 32;
/// Shorter words than this are no secret: `=` and `*`.
const LEAST_SECRET: usize = 4;
/// So many octets of a secret in a row are masked wherever they stand: servers repeat a command cut
/// or folded.
const LEAST_PIECE: usize = 8;

/// Who said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// We.
    Client,
    /// The server.
    Server,
    /// Nobody: what happened beside the dialogue.
    Note,
}

/// Whoever looks on.
pub trait Trace: Send {
    /// One line, without its end, printable.
    fn line(&mut self, side: Side, text: &str);
}

/// Writes the trace, and knows what must not be in it.
pub(super) struct Scribe {
    trace: Option<Box<dyn Trace>>,
    /// Of the server's line that has not ended.
    unfinished: Vec<u8>,
    /// Octets of content since the last line.
    content: u64,
    secrets: Vec<Zeroizing<String>>,
}

impl Scribe {
    pub(super) fn new(trace: Option<Box<dyn Trace>>) -> Self {
        Self {
            trace,
            unfinished: Vec::new(),
            content: 0,
            secrets: Vec::new(),
        }
    }

    /// Octets to the server that anybody may see.
    pub(super) fn sent(&mut self, octets: &[u8]) {
        if self.trace.is_some() {
            for line in String::from_utf8_lossy(octets).lines() {
                self.show(Side::Client, line);
            }
        }
    }

    /// Octets to the server that nobody may see; some servers repeat them in their refusal.
    pub(super) fn confided(&mut self, octets: &[u8], shown: &str) {
        // The last word: what precedes it is the command.
        let word = std::str::from_utf8(octets)
            .ok()
            .and_then(|line| line.split_whitespace().next_back());
        if let Some(word) = word {
            // The secret itself, as a server that decoded it may repeat it: LOGIN's whole response,
            // the last part of PLAIN's and of those with a token.
            let decoded = BASE64_STANDARD.decode(word).map(Zeroizing::new).ok();
            let decoded = decoded.as_ref().and_then(|octets| {
                let text = std::str::from_utf8(octets).ok()?;
                text.split(['\0', '\u{1}'])
                    .rfind(|part| !part.is_empty())
                    .map(|part| part.strip_prefix("auth=Bearer ").unwrap_or(part))
            });
            for secret in [Some(word), decoded].into_iter().flatten() {
                if secret.len() >= LEAST_SECRET && self.secrets.len() < MOST_SECRETS {
                    self.secrets.push(Zeroizing::new(secret.to_owned()));
                }
            }
        }
        self.show(Side::Client, shown);
    }

    /// Content to the server.
    pub(super) fn content(&mut self, octets: usize) {
        self.content += octets as u64;
    }

    /// Octets from the server.
    pub(super) fn received(&mut self, octets: &[u8]) {
        if self.trace.is_none() {
            return;
        }
        for &octet in octets {
            if octet == b'\n' {
                self.finish_line();
            } else if self.unfinished.len() < MOST_SHOWN {
                self.unfinished.push(octet);
            }
        }
    }

    /// The server says no more: what it left unfinished is shown too.
    pub(super) fn ended(&mut self) {
        self.show_content();
        if !self.unfinished.is_empty() {
            self.finish_line();
        }
    }

    /// What happened beside the dialogue.
    pub(super) fn note(&mut self, text: &str) {
        self.show(Side::Note, text);
    }

    /// The text without any secret that was confided, or piece of one.
    pub(super) fn masked(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), "***");
            }
            text = without_pieces(&text, secret);
        }
        text
    }

    /// The reply likewise.
    pub(super) fn mask(&self, reply: &mut Reply) {
        for line in &mut reply.lines {
            *line = self.masked(line);
        }
    }

    fn finish_line(&mut self) {
        let line = std::mem::take(&mut self.unfinished);
        let line = String::from_utf8_lossy(&line).into_owned();
        self.show(Side::Server, line.trim_end_matches('\r'));
    }

    fn show_content(&mut self) {
        if self.content > 0 {
            let octets = std::mem::take(&mut self.content);
            self.show(Side::Client, &format!("({octets} octets of content)"));
        }
    }

    fn show(&mut self, side: Side, text: &str) {
        self.show_content();
        let text = printable(&self.masked(text));
        if let Some(trace) = &mut self.trace {
            trace.line(side, &text);
        }
    }
}

/// The text without runs of [`LEAST_PIECE`] octets and more that the secret has too.
fn without_pieces(text: &str, secret: &str) -> String {
    if secret.len() < LEAST_PIECE || text.len() < LEAST_PIECE {
        return text.to_owned();
    }
    let mut masked = String::with_capacity(text.len());
    // The end of the last piece: all before it is done.
    let mut end = 0;
    for (at, _) in text.char_indices() {
        // (No window where it would cut a character in two: pieces of ASCII are what matters.)
        let is_piece = text
            .get(at..at + LEAST_PIECE)
            .is_some_and(|window| secret.contains(window));
        if is_piece {
            if end == 0 || at > end {
                masked.push_str(text.get(end..at).unwrap_or_default());
                masked.push_str("***");
            }
            end = at + LEAST_PIECE;
        }
    }
    masked.push_str(text.get(end..).unwrap_or_default());
    masked
}

/// Controls become escapes: a server must not steer the terminal of who reads its words.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<String>>>);

    impl Trace for Lines {
        fn line(&mut self, side: Side, text: &str) {
            let mark = match side {
                Side::Client => "C",
                Side::Server => "S",
                Side::Note => "N",
            };
            self.0.lock().unwrap().push(format!("{mark}: {text}"));
        }
    }

    impl Lines {
        fn all(&self) -> Vec<String> {
            self.0.lock().unwrap().clone()
        }
    }

    fn scribe() -> (Scribe, Lines) {
        let lines = Lines::default();
        (Scribe::new(Some(Box::new(lines.clone()))), lines)
    }

    #[test]
    fn cl_secrets_never_a_response_even_if_the_server_repeats_it() {
        let (mut scribe, lines) = scribe();
        scribe.confided(b"AUTH PLAIN AHRpbQB0YW5z\r\n", "AUTH PLAIN ***");
        scribe.received(b"500 unknown: AUTH PLAIN AHRpbQB0YW5z\r\n");
        scribe.confided(b"c2VjcmV0\r\n", "***");
        assert_eq!(
            lines.all(),
            [
                "C: AUTH PLAIN ***",
                "S: 500 unknown: AUTH PLAIN ***",
                "C: ***"
            ]
        );
        let mut reply = Reply {
            code: 500,
            status: None,
            lines: vec!["what is c2VjcmV0?".into()],
        };
        scribe.mask(&mut reply);
        assert_eq!(reply.lines, ["what is ***?"]);
    }

    #[test]
    fn cl_secrets_not_in_pieces_and_not_decoded_either() {
        let (mut scribe, lines) = scribe();
        // NUL "tim" NUL "tanstaaftanstaaf" (RFC 4616 section 4).
        let word = "AHRpbQB0YW5zdGFhZnRhbnN0YWFm";
        scribe.confided(
            format!("AUTH PLAIN {word}\r\n").as_bytes(),
            "AUTH PLAIN ***",
        );
        scribe.received(b"500-cut: AUTH PLAIN AHRpbQB0YW5z\r\n");
        scribe.received(b"500-folded: zdGFhZnRhbnN0Y (and more)\r\n");
        scribe.received(b"500-decoded: tim tanstaaftanstaaf\r\n");
        scribe.received(b"500-cut: tanstaaft\r\n");
        scribe.received("500 gr\u{fc}\u{df}e, tanst\r\n".as_bytes());
        assert_eq!(
            lines.all(),
            [
                "C: AUTH PLAIN ***",
                "S: 500-cut: AUTH PLAIN ***",
                "S: 500-folded: *** (and more)",
                "S: 500-decoded: tim ***",
                "S: 500-cut: ***",
                "S: 500 gr\u{fc}\u{df}e, tanst"
            ]
        );
    }

    #[test]
    fn controls_are_escaped_and_content_is_counted() {
        let (mut scribe, lines) = scribe();
        scribe.sent(b"DATA\r\n");
        scribe.received(b"354 go \x1b[2J\x07\r\n");
        scribe.content(1000);
        scribe.content(3);
        scribe.received(b"250 o");
        scribe.ended();
        assert_eq!(
            lines.all(),
            [
                "C: DATA",
                "S: 354 go \\u{1b}[2J\\u{7}",
                "C: (1003 octets of content)",
                "S: 250 o"
            ]
        );
    }

    proptest! {
        #[test]
        fn any_split_of_the_servers_octets_shows_the_same(
            octets in proptest::collection::vec(
                prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..200),
            cut in 0usize..200,
        ) {
            let (mut whole, expected) = scribe();
            whole.received(&octets);
            whole.ended();
            let (mut halves, lines) = scribe();
            let (first, second) = octets.split_at(cut.min(octets.len()));
            halves.received(first);
            halves.received(second);
            halves.ended();
            prop_assert_eq!(lines.all(), expected.all());
        }
    }
}
