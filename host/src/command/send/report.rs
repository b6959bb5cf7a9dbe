//! Outcomes for people, programs and exit statuses.

use super::hand_over::Order;
use crate::outbound::{OutboundError, Security, spoken, told};
use crate::sandbox::v0_1::client::{Failure, Outcome, Stage, Verdict};
use crate::sandbox::v0_1::types::Notify;
use serde::Serialize;
use std::io::{self, Write as _};

/// sysexits.h: no such user.
const NO_USER: u8 = 67;
/// sysexits.h: a service is unavailable.
const UNAVAILABLE: u8 = 69;
/// sysexits.h: temporary failure.
const TEMPORARY: u8 = 75;

/// Why a session failed as a whole.
pub(super) struct Failing {
    text: String,
    stage: Stage,
    temporary: bool,
}

impl Failing {
    pub(super) fn of_failure(failure: &Failure) -> Self {
        Self {
            text: told(failure),
            stage: failure.stage,
            temporary: failure.temporary,
        }
    }

    pub(super) fn of_error(error: &OutboundError) -> Self {
        Self {
            text: crate::command::chain(error),
            stage: error.stage(),
            temporary: error.is_temporary(),
        }
    }

    /// What to do.
    fn advice(&self, order: &Order) -> &'static str {
        let wants_auth = !order.login.mechanisms.is_empty();
        match self.stage {
            Stage::Connect => "check the server's name and port, and that no firewall is between",
            Stage::Tls if order.target.security == Security::Implicit => {
                "--tls-ca FILE trusts a private authority or the server's own certificate, \
                 --tls-name gives another name; port 587 wants --tls starttls"
            }
            Stage::Tls => {
                "--tls-ca FILE trusts a private authority or the server's own certificate, \
                 --tls-name gives another name; a server without TLS needs --tls off"
            }
            Stage::Authentication if !wants_auth => "give --user and --password-file",
            Stage::Authentication if self.text.contains("need verified TLS") => {
                "use TLS with a certificate that can be verified, or give the password to whoever \
                 listens with --clear-text"
            }
            Stage::Authentication if self.temporary => "try again later",
            Stage::Authentication => "check the user, the password's file and --auth",
            Stage::Envelope | Stage::Content | Stage::Ended if self.temporary => "try again later",
            Stage::Envelope | Stage::Content | Stage::Ended => "--trace shows what the server said",
        }
    }
}

/// What became of a message.
pub(super) struct Report {
    recipients: Vec<(String, Outcome)>,
    failing: Option<Failing>,
}

/// One recipient for programs.
#[derive(Serialize)]
struct Line<'a> {
    mailbox: &'a str,
    /// `accepted`, `deferred`, `failed` or `unknown`.
    verdict: &'static str,
    code: Option<u16>,
    status: Option<String>,
    text: String,
    /// The server will report by itself.
    notifies: bool,
}

impl Report {
    /// Recipients without an outcome were never tried, or have no place in any transaction:
    /// deferred (CL-route).
    pub(super) fn new(
        recipients: &[String],
        outcomes: Vec<Option<Outcome>>,
        failing: Option<Failing>,
    ) -> Self {
        let untried = || Outcome {
            verdict: Verdict::Deferred,
            reply: None,
            said: false,
            notifies: false,
        };
        Self {
            recipients: std::iter::zip(recipients.iter().cloned(), outcomes)
                .map(|(mailbox, outcome)| (mailbox, outcome.unwrap_or_else(untried)))
                .collect(),
            failing,
        }
    }

    /// Whether the server is responsible for all of them.
    pub(super) fn all_accepted(&self) -> bool {
        self.recipients
            .iter()
            .all(|(_, outcome)| outcome.verdict == Verdict::Accepted)
    }

    /// One line, or one JSON object, per recipient on standard output.
    pub(super) fn print(&self, json: bool) -> io::Result<()> {
        let mut out = io::stdout().lock();
        for (mailbox, outcome) in &self.recipients {
            if json {
                let reply = outcome.reply.as_ref();
                let line = Line {
                    mailbox,
                    verdict: word(outcome.verdict),
                    code: reply.map(|reply| reply.code),
                    status: reply
                        .and_then(|reply| reply.status)
                        .map(|(class, subject, detail)| format!("{class}.{subject}.{detail}")),
                    text: reply.map_or_else(|| self.cause(), |reply| reply.lines.join("\n")),
                    notifies: outcome.notifies,
                };
                serde_json::to_writer(&mut out, &line)?;
                writeln!(out)?;
            } else {
                writeln!(
                    out,
                    "{:8}  {mailbox}  {}",
                    word(outcome.verdict),
                    self.words(outcome)
                )?;
            }
        }
        out.flush()
    }

    /// Why, and what to do, on standard error.
    pub(super) fn explain(&self, order: &Order, program: &str) {
        if self.all_accepted() {
            return;
        }
        if let Some(failing) = &self.failing {
            eprintln!(
                "{program}: cannot submit through {} port {}: {}; {}",
                order.target.host,
                order.target.port,
                failing.text,
                failing.advice(order)
            );
        }
        for (mailbox, outcome) in &self.recipients {
            // Who was never tried, was told of by the failure.
            if outcome.reply.is_none() && self.failing.is_some() {
                continue;
            }
            let advice = match outcome.verdict {
                Verdict::Accepted => continue,
                Verdict::Failed => "trying again will not help",
                Verdict::Deferred | Verdict::Again => "try again later",
                Verdict::Unknown => {
                    "the server may have it all the same: trying again may deliver it twice"
                }
            };
            eprintln!(
                "{program}: {mailbox}: {}: {}; {advice}",
                word(outcome.verdict),
                self.words(outcome)
            );
        }
    }

    /// The exit status that callers of `sendmail` understand.
    pub(super) fn sysexit(&self) -> u8 {
        let status = |outcome: &Outcome| match (outcome.verdict, &outcome.reply) {
            (Verdict::Accepted, _) => 0,
            // Codes that speak of the mailbox (RFC 5321 section 4.2.3); others of the message.
            (Verdict::Failed, Some(reply)) if matches!(reply.code, 550 | 551 | 553) => NO_USER,
            (Verdict::Failed, _) => UNAVAILABLE,
            (_, None)
                if self
                    .failing
                    .as_ref()
                    .is_some_and(|failing| !failing.temporary) =>
            {
                UNAVAILABLE
            }
            _ => TEMPORARY,
        };
        let all: Vec<u8> = self
            .recipients
            .iter()
            .map(|(_, outcome)| status(outcome))
            .collect();
        // What will not get better by itself first.
        [NO_USER, UNAVAILABLE, TEMPORARY]
            .into_iter()
            .find(|status| all.contains(status))
            .unwrap_or(0)
    }

    fn words(&self, outcome: &Outcome) -> String {
        match &outcome.reply {
            Some(reply) => spoken(reply),
            None => self.cause(),
        }
    }

    fn cause(&self) -> String {
        match &self.failing {
            Some(failing) => failing.text.clone(),
            None => "the server takes no more recipients".into(),
        }
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accepted => "accepted",
        Verdict::Deferred | Verdict::Again => "deferred",
        Verdict::Failed => "failed",
        Verdict::Unknown => "unknown",
    }
}

/// NOTIFY as people write it (RFC 3461 section 4.1).
pub(super) fn notify(text: &str) -> Result<Notify, String> {
    let mut notify = Notify::empty();
    for word in text.split(',') {
        notify |= match word.trim().to_ascii_lowercase().as_str() {
            "never" => Notify::NEVER,
            "success" => Notify::SUCCESS,
            "failure" => Notify::FAILURE,
            "delay" => Notify::DELAY,
            other => {
                return Err(format!(
                    "\"{other}\" is none of success, failure, delay, never"
                ));
            }
        };
    }
    if notify.contains(Notify::NEVER) && notify != Notify::NEVER {
        return Err("never stands alone".into());
    }
    Ok(notify)
}

/// ENVID in xtext (RFC 3461 sections 4 and 4.4).
pub(super) fn envid(text: &str) -> Result<String, String> {
    if text.is_empty() || !text.bytes().all(|octet| (b' '..=b'~').contains(&octet)) {
        return Err("must be printable ASCII".into());
    }
    let mut out = String::new();
    for character in text.chars() {
        if matches!(character, '+' | '=' | ' ') {
            out.push_str(&format!("+{:02X}", u32::from(character)));
        } else {
            out.push(character);
        }
    }
    if out.len() > 100 {
        return Err("has more than 100 octets".into());
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::v0_1::types::Reply;

    fn outcome(verdict: Verdict, code: Option<u16>) -> Option<Outcome> {
        Some(Outcome {
            verdict,
            reply: code.map(|code| Reply {
                code,
                status: None,
                lines: vec!["x".into()],
            }),
            said: code.is_some(),
            notifies: false,
        })
    }

    fn sysexit(outcomes: Vec<Option<Outcome>>, temporary: Option<bool>) -> u8 {
        let recipients = vec!["a@b".to_owned(); outcomes.len()];
        let failing = temporary.map(|temporary| Failing {
            text: "x".into(),
            stage: Stage::Authentication,
            temporary,
        });
        Report::new(&recipients, outcomes, failing).sysexit()
    }

    #[test]
    fn sendmail_exit_statuses_are_those_of_sysexits_h() {
        let accepted = || outcome(Verdict::Accepted, Some(250));
        let unknown_user = || outcome(Verdict::Failed, Some(550));
        let too_large = || outcome(Verdict::Failed, Some(552));
        let deferred = || outcome(Verdict::Deferred, Some(451));
        assert_eq!(sysexit(vec![accepted()], None), 0);
        assert_eq!(sysexit(vec![accepted(), unknown_user()], None), 67);
        assert_eq!(sysexit(vec![deferred(), too_large()], None), 69);
        assert_eq!(sysexit(vec![accepted(), deferred()], None), 75);
        assert_eq!(
            sysexit(vec![outcome(Verdict::Unknown, Some(451))], None),
            75
        );
        assert_eq!(sysexit(vec![None], Some(true)), 75);
        assert_eq!(sysexit(vec![None], Some(false)), 69);
    }

    #[test]
    fn r3461_4_notify_and_envid_as_they_are_sent() {
        assert_eq!(notify("success,DELAY"), Ok(Notify::SUCCESS | Notify::DELAY));
        assert_eq!(notify("never"), Ok(Notify::NEVER));
        assert!(notify("never,delay").is_err());
        assert!(notify("").is_err());
        assert_eq!(envid("QQ+314=1 a").as_deref(), Ok("QQ+2B314+3D1+20a"));
        assert!(envid("").is_err());
        assert!(envid("a\r\nb").is_err());
        assert!(envid(&"x".repeat(101)).is_err());
        assert!(envid(&"x".repeat(100)).is_ok());
    }
}
