//! One line in the log for each command that is refused, which a program such as fail2ban can read:
//! `refused` with `session`, `peer`, `user`, `command`, `reply`, `reason` and, where a path is refused,
//! `mailbox`.
//!
//! What a peer chose stands after what the host knows, in quotes and escaped, on one line and of
//! bounded length, so that nobody can write a line of another.

use super::Connection;
use crate::sandbox::SandboxError;
use crate::sandbox::v0_1::server::{Answer, Question};
use crate::sandbox::v0_1::types::Reply;
use crate::users::refusal;

/// Longest text of a peer in one field, in characters.
const MOST: usize = 320;

/// What is known of a refusal before the session says so.
#[derive(Debug, Default)]
pub(super) struct Tried {
    /// Who the peer says it is, in the exchange that runs.
    user: Option<String>,
    /// Why that was not believed.
    reason: Option<String>,
}

impl Connection {
    /// Answers a question, and remembers who was tried and what was wrong. What the session only
    /// passes on, it does not report: that is logged here.
    pub(super) async fn attend(&mut self, question: Question) -> Result<Answer, SandboxError> {
        let (command, mailbox) = match &question {
            Question::Sender((reverse_path, _)) => ("MAIL", Some(reverse_path.clone())),
            Question::Recipient(forward_path) => ("RCPT", Some(forward_path.mailbox.clone())),
            Question::Store(_) => ("DATA", None),
            _ => ("AUTH", None),
        };
        if let Some(user) = user(&question) {
            self.tried = Tried {
                user: Some(user.to_owned()),
                reason: None,
            };
        }
        let (answer, noted) = refusal::heard(self.answer(question)).await;
        let answer = answer?;
        if let Some(noted) = noted {
            if !noted.user.is_empty() {
                self.tried.user = Some(noted.user);
            }
            self.tried.reason = Some(noted.reason);
        }
        match &answer {
            Answer::Granted(_) => self.tried = Tried::default(),
            Answer::Rejected(reply) => {
                let reason = self.tried.reason.take().unwrap_or_default();
                self.log_refused(command, &line(reply), &reason, mailbox.as_deref());
            }
            _ => {}
        }
        Ok(answer)
    }

    /// The session says that it refused a command: `VERB: reply`.
    pub(super) fn refused(&mut self, report: &str) {
        let (command, reply) = match report.split_once(": ") {
            Some((command, reply)) if command.bytes().all(|o| o.is_ascii_alphanumeric()) => {
                (command, reply)
            }
            _ => ("", report),
        };
        let is_attempt = command.eq_ignore_ascii_case("AUTH");
        let reason = match self.tried.reason.take() {
            Some(reason) if is_attempt => reason,
            _ => String::new(),
        };
        self.log_refused(command, reply, &reason, None);
        if is_attempt {
            self.tried = Tried::default();
        }
    }

    fn log_refused(&self, command: &str, reply: &str, reason: &str, mailbox: Option<&str>) {
        let tried = self.tried.user.as_deref();
        let user = shown(tried.or(self.identity.as_deref()).unwrap_or_default());
        tracing::info!(
            session = self.serial.as_str(),
            peer = self.peer.ip().to_canonical().to_string(),
            user,
            command = shown(command),
            reply = shown(reply),
            reason = shown(reason),
            mailbox = mailbox.map(shown),
            "refused"
        );
    }
}

/// The name that is tried; `None`: the question is about something else, or there is none in it.
fn user(question: &Question) -> Option<&str> {
    match question {
        Question::Password(check) => Some(&check.user),
        Question::CramMd5(check) => Some(&check.user),
        Question::ScramFirst(start) => Some(&start.user),
        Question::Ntlm(response) => Some(&response.user),
        Question::Token(check) if check.user.is_empty() => Some(&check.authorization),
        Question::Token(check) => Some(&check.user),
        Question::External(identity) => Some(identity),
        Question::ScramFinal(_)
        | Question::Sender(_)
        | Question::Recipient(_)
        | Question::Store(_) => None,
    }
}

/// A reply as the peer reads it, in one line.
fn line(reply: &Reply) -> String {
    let mut line = reply.code.to_string();
    if let Some((class, subject, detail)) = reply.status {
        line.push_str(&format!(" {class}.{subject}.{detail}"));
    }
    for text in &reply.lines {
        line.push(' ');
        line.push_str(text);
    }
    line
}

/// A text of a peer: on one line whoever reads it, and not too long. Quotes are the formatter's.
fn shown(text: &str) -> String {
    let visible = |c: char| match c {
        // RFC 5198 section 3, Unicode chapter 5.8: what some readers take for an end of line.
        '\u{2028}' | '\u{2029}' => ' ',
        c if c.is_control() => ' ',
        c => c,
    };
    let mut shown: String = text.chars().take(MOST).map(visible).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push_str("...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_one_line() {
        let reply = Reply {
            code: 550,
            status: Some((5, 7, 1)),
            lines: vec!["not".into(), "permitted".into()],
        };
        assert_eq!(line(&reply), "550 5.7.1 not permitted");
    }

    proptest::proptest! {
        #[test]
        fn what_a_peer_chose_stays_on_its_line(text in ".*") {
            let shown = shown(&text);
            proptest::prop_assert!(!shown.chars().any(char::is_control));
            let ends_a_line = shown.contains(['\u{2028}', '\u{2029}']);
            proptest::prop_assert!(!ends_a_line);
            proptest::prop_assert!(shown.chars().count() <= MOST + 3);
        }
    }
}
