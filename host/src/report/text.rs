//! The part of a report that people read: what happened to whom, what the server said, and what one
//! can do. Recipients to whom the same happened stand together.

use std::time::{Duration, SystemTime};

use super::compose::Reporter;
use super::field::{FOLD, cut, date, one_line, visible};
use super::original::Attached;
use super::status::{reply_lines, status};
use crate::spool::attempt::Status;
use crate::spool::{Attempt, Notice, NoticeKind, Owed, Stage};

/// Most octets of one server's reply.
const REPLY: usize = 4 * 1024;
/// Most octets of all replies; beyond it only the machine's part has them.
const REPLIES: usize = 64 * 1024;

/// Recipients to whom the same happened.
struct Group<'a> {
    kind: NoticeKind,
    until: Option<SystemTime>,
    status: Status,
    attempt: &'a Attempt,
    mailboxes: Vec<&'a str>,
}

/// The part, in lines that end in CR LF.
pub(super) fn part(
    reporter: &Reporter,
    owed: &Owed,
    until: &[Option<SystemTime>],
    attached: &Attached,
) -> String {
    let mut text = Text::default();
    text.paragraph(&format!(
        "This is the mail service at {}. It writes about your message of {}.",
        reporter.hostname,
        date(owed.message.received)
    ));
    let groups = groups(owed, until);
    let mut left = REPLIES;
    let mut before = None;
    for group in &groups {
        let key = (group.kind, group.until);
        if before != Some(key) {
            text.paragraph(&heading(group));
            before = Some(key);
        }
        for mailbox in &group.mailboxes {
            text.quoted(&visible(mailbox));
        }
        text.end();
        happened(&mut text, group, &mut left);
        if group.kind == NoticeKind::Failed {
            let age = group.attempt.at.duration_since(owed.message.received);
            text.paragraph(&advice(group.status, age.unwrap_or_default()));
        }
    }
    text.paragraph(&match attached {
        Attached::Whole => "Your message is attached.".to_owned(),
        Attached::Header => "The header of your message is attached.".to_owned(),
        Attached::TooLarge => "The header of your message is attached; as a whole it is too large \
                               for a report."
            .to_owned(),
        Attached::Unfit => "The header of your message is attached; the rest has characters or \
                            lines that a report cannot carry."
            .to_owned(),
        Attached::Nothing(why) => {
            format!("Your message cannot be attached: {}.", one_line(why, 200))
        }
    });
    text.paragraph(&format!(
        "If you need help, send this report to {}. The message is known there as {}.",
        visible(&reporter.from),
        owed.message.id
    ));
    text.finish()
}

/// Groups in the order in which people want to know: what needs them first.
fn groups<'a>(owed: &'a Owed, until: &[Option<SystemTime>]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for (number, notice) in owed.notices.iter().enumerate() {
        let delayed = notice.kind == NoticeKind::Delayed;
        let until = until.get(number).copied().flatten().filter(|_| delayed);
        let mailbox = notice.recipient.mailbox.as_str();
        let same = |group: &&mut Group<'_>| {
            group.kind == notice.kind && group.until == until && alike(group.attempt, notice)
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.mailboxes.push(mailbox),
            None => groups.push(Group {
                kind: notice.kind,
                until,
                status: status(notice),
                attempt: &notice.attempt,
                mailboxes: vec![mailbox],
            }),
        }
    }
    groups.sort_by_key(|group| (group.kind, group.until));
    groups
}

fn alike(attempt: &Attempt, notice: &Notice) -> bool {
    let other = &notice.attempt;
    attempt.remote == other.remote
        && attempt.reply == other.reply
        && attempt.status == other.status
        && attempt.text == other.text
}

fn heading(group: &Group<'_>) -> String {
    match (group.kind, group.until) {
        (NoticeKind::Failed, _) => "It was NOT delivered to:".to_owned(),
        (NoticeKind::Delayed, Some(until)) => format!(
            "It has not been delivered so far to the following, but is tried again until {}. You \
             need not do anything: if it fails for good, you get another report.",
            date(until)
        ),
        (NoticeKind::Delayed, None) => "It has not been delivered so far to the following, but is \
                                        tried again. You need not do anything: if it fails for \
                                        good, you get another report."
            .to_owned(),
        (NoticeKind::Delivered, _) => "It was delivered, as you wanted to know, to:".to_owned(),
        (NoticeKind::Relayed, _) => "It was handed on, as you wanted to know, to the next server, \
                                     which sends no such confirmations; so this is the last one \
                                     about:"
            .to_owned(),
        (NoticeKind::Expanded, _) => "It was passed on, as you wanted to know, to the several \
                                      mailboxes that the following address stands for. Delivery \
                                      to each of them is not confirmed; if one fails, you get a \
                                      report of that:"
            .to_owned(),
    }
}

/// What the server said, or what we found.
fn happened(text: &mut Text, group: &Group<'_>, left: &mut usize) {
    let attempt = group.attempt;
    if matches!(
        group.kind,
        NoticeKind::Delivered | NoticeKind::Relayed | NoticeKind::Expanded
    ) {
        return;
    }
    if let Some(reply) = &attempt.reply {
        let server = match attempt.remote.as_deref() {
            Some(remote) => format!("The server {} said:", one_line(remote, 255)),
            None => "The next server said:".to_owned(),
        };
        let budget = REPLY.min(*left);
        if budget == 0 {
            text.paragraph("What the server said is in the part for programs.");
            return;
        }
        text.paragraph(&server);
        for line in reply_lines(reply, budget) {
            *left = left.saturating_sub(line.len());
            text.quoted(&line);
        }
        text.end();
    } else if attempt.stage == Stage::Authentication {
        // The text names accounts and files of this service, which are no business of senders.
        text.paragraph(
            "The reason: this mail service and the next server do not agree on how to log in. Its \
             administrators have to repair that.",
        );
    } else if !attempt.text.is_empty() {
        text.paragraph("The reason:");
        text.quoted(&one_line(&attempt.text, REPLY.min(*left)));
        *left = left.saturating_sub(attempt.text.len());
        text.end();
    }
}

/// What a sender can do about a failure (RFC 3463 section 3).
fn advice((class, subject, detail): Status, age: Duration) -> String {
    let what = match (class, subject, detail) {
        // RFC 2852: the sender's own wish.
        (5, 4, 7) => {
            "it was not to arrive any later, so it comes back. Send it again with more time, or \
             reach the recipient in another way."
        }
        (_, 4, 7) | (4, ..) => {
            let tried = match age.as_secs() {
                0..3600 => String::new(),
                seconds @ 3600..172_800 => format!(" for {} hours", seconds / 3600),
                seconds => format!(" for {} days", seconds / 86_400),
            };
            return format!(
                "It was tried{tried}, and is given up now. What you can do: send the message again \
                 later, or reach the recipient in another way."
            );
        }
        (_, 1, 1 | 3 | 6) => {
            "look for a mistake in the address, ask the recipient for the present one, and send \
             the message again."
        }
        (_, 1, 2 | 10) => {
            "look for a mistake in the part of the address after the @: no mail is taken there."
        }
        (_, 2, 2) => {
            "the mailbox is full. Reach the recipient in another way, and send the message again \
             when there is room."
        }
        (_, 2, 3) | (_, 3, 4) => {
            "the message is too large there. Send it without large attachments, or in parts."
        }
        (_, 6, 7..=10) => {
            "a server on the way takes only ASCII in addresses and subjects. Ask the recipient for \
             an address without other letters."
        }
        (_, 6, _) => {
            "the form of the message is not taken there. Send it as plain text or with the \
             attachments in an archive."
        }
        (_, 7, 10 | 30) => {
            "no server on the way could promise the protection that the message demands. Send it \
             without that demand, or by another way."
        }
        (_, 7, _) => {
            "the other side refused the message by its rules; what it said may tell why. If it does \
             not, ask the recipient, who can ask the people that run it."
        }
        _ => {
            "read what was said above. If it tells you nothing, ask the recipient whether the \
             address is right, or those who run this service."
        }
    };
    format!("What you can do: {what}")
}

/// Lines under construction.
#[derive(Default)]
struct Text(String);

impl Text {
    /// A paragraph, wrapped, and an empty line.
    fn paragraph(&mut self, text: &str) {
        self.wrapped("", "", text);
        self.end();
    }

    /// A line of others, set off; wrapped ones further.
    fn quoted(&mut self, line: &str) {
        self.wrapped("    ", "      ", line);
    }

    /// An empty line.
    fn end(&mut self) {
        self.0.push_str("\r\n");
    }

    fn wrapped(&mut self, first: &str, others: &str, text: &str) {
        let mut line = first.to_owned();
        let mut blank = true;
        for word in text.split(' ') {
            if !blank && line.len() + 1 + word.len() > FOLD {
                self.0.push_str(line.trim_end());
                self.0.push_str("\r\n");
                line = others.to_owned();
                blank = true;
            }
            if !blank {
                line.push(' ');
            }
            line.push_str(word);
            blank = false;
        }
        self.0.push_str(line.trim_end());
        self.0.push_str("\r\n");
    }

    /// All of it, without empty lines at the end.
    fn finish(self) -> String {
        let end = self.0.trim_end().len();
        format!("{}\r\n", cut(&self.0, end))
    }
}
