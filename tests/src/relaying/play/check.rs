//! What must be true of a row when all is over.

use super::super::queue::Snapshot;
use super::super::report::{self, Told};
use super::super::row::{Sender, Want, has_words};
use super::{PATIENCE, Play};
use std::time::Duration;
use tokio::time::Instant;

/// A message of text without the fields that conversion added, and decoded (RFC 2045 section 6.7).
fn unconverted(octets: &[u8]) -> Result<Vec<u8>, String> {
    const ADDED: [&[u8]; 3] = [
        b"MIME-Version: 1.0\r\n",
        b"Content-Type: text/plain; charset=unknown-8bit\r\n",
        b"Content-Transfer-Encoding: quoted-printable\r\n",
    ];
    if !octets.is_ascii() {
        return Err("octets above 127".into());
    }
    let mut out = Vec::new();
    let mut added = 0;
    let mut lines = octets.split_inclusive(|octet| *octet == b'\n');
    for line in &mut lines {
        if ADDED.contains(&line) {
            added += 1;
            continue;
        }
        out.extend_from_slice(line);
        if line == b"\r\n" {
            break;
        }
    }
    if added != ADDED.len() {
        return Err(format!("{added} of the fields of a conversion"));
    }
    for line in lines {
        let (line, end) = match line.strip_suffix(b"=\r\n") {
            Some(line) => (line, &b""[..]),
            None => (line.strip_suffix(b"\r\n").unwrap_or(line), &b"\r\n"[..]),
        };
        let mut pieces = line.split(|octet| *octet == b'=');
        out.extend_from_slice(pieces.next().unwrap_or_default());
        for piece in pieces {
            let digits = piece.get(..2).and_then(|two| std::str::from_utf8(two).ok());
            let octet = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
            out.push(octet.ok_or("= and no two digits")?);
            out.extend_from_slice(&piece[2..]);
        }
        out.extend_from_slice(end);
    }
    Ok(out)
}

impl Play<'_> {
    /// What is delivered was taken once, and whatever was sent is what was submitted; sent again it
    /// is the same to the octet.
    pub(super) fn check_contents(&self) -> Result<(), String> {
        let seen = self.seen();
        for recipient in &self.row.recipients {
            let mailbox = self.mailbox(recipient);
            let taken: usize = seen.iter().map(|seen| seen.taken(&mailbox)).sum();
            let offered: usize = seen.iter().map(|seen| seen.offered(&mailbox)).sum();
            let due = match self.row.want(recipient) {
                Want::Deferred(_) if self.row.damage => 0,
                Want::Delivered | Want::Deferred(_) => self.row.messages,
                Want::Failed(..) | Want::Held(_) => 0,
            };
            if taken != due {
                return Err(format!("{recipient} was taken {taken} times, not {due}"));
            }
            if self.row.ambiguous
                && offered <= taken
                && *self.row.want(recipient) != Want::Delivered
            {
                return Err(format!("{recipient} was not sent again: {offered} times"));
            }
        }
        let mut contents: Vec<_> = seen.into_iter().flat_map(|seen| seen.contents).collect();
        if self.row.converted {
            for content in &mut contents {
                content.octets = unconverted(&content.octets)?;
            }
        }
        for (message, submitted) in self.contents.iter().enumerate() {
            let own: Vec<_> = contents
                .iter()
                .filter(|content| content.octets.ends_with(submitted))
                .collect();
            if own.windows(2).any(|two| two[0].octets != two[1].octets) {
                return Err(format!(
                    "message {message} was sent again with other octets"
                ));
            }
        }
        let whole = |content: &Vec<u8>| {
            self.contents
                .iter()
                .any(|submitted| content.ends_with(submitted))
        };
        // R2920-3.1-c: the empty content is the way out of a group whose recipients were refused.
        // A report to a sender behind this server is no message of the row's.
        let foreign = self.row.sender == Sender::There;
        match contents
            .iter()
            .find(|one| !one.octets.is_empty() && !foreign && !whole(&one.octets))
        {
            Some(other) => Err(format!(
                "what came is not what was submitted: {:?}",
                String::from_utf8_lossy(&other.octets)
            )),
            None => Ok(()),
        }
    }

    /// Each failed recipient is reported once, as the row says, and nobody else is.
    pub(super) async fn check_reports(&self) -> Result<(), String> {
        if self.row.sender == Sender::There {
            return self.undeliverable_report().await;
        }
        let failed: Vec<&'static str> = self
            .row
            .recipients
            .iter()
            .copied()
            .filter(|recipient| matches!(self.row.want(recipient), Want::Failed(..)))
            .collect();
        if self.row.unreported || self.row.sender == Sender::Null {
            return self.no_reports().await;
        }
        let told = self.reports("failed", &failed).await?;
        for one in told {
            let recipient = one.recipient.split('@').next().unwrap_or_default();
            let Want::Failed(status, diagnostic) = self.row.want(recipient) else {
                return Err(format!("a report about {one:?}"));
            };
            if !status.split('|').any(|status| one.status == status) {
                return Err(format!("Status is {}, not {status}", one.status));
            }
            if !has_words(&one.diagnostic, diagnostic) {
                return Err(format!(
                    "Diagnostic-Code is {}, not {diagnostic}",
                    one.diagnostic
                ));
            }
            if !diagnostic.is_empty() && !one.diagnostic.starts_with("smtp;") {
                return Err(format!("Diagnostic-Code has no smtp: {}", one.diagnostic));
            }
        }
        Ok(())
    }

    async fn no_reports(&self) -> Result<(), String> {
        let held = |want: &Want| matches!(want, Want::Held(_));
        let all_done = !self.row.wants.iter().any(|(_, want)| held(want));
        self.stage
            .wait("the end", |snapshot| {
                let queued = |id: &String| snapshot.queue.iter().any(|entry| entry["id"] == **id);
                let waits = all_done && self.ids.iter().any(queued);
                waits.then(|| "a message waits as if a report were owed".to_owned())
            })
            .await?;
        let files = self.stage.service(|service| service.mail(self.route));
        match files.len() {
            0 => Ok(()),
            some => Err(format!("{some} reports, though there must be none")),
        }
    }

    /// The report comes back too: it is held, somebody is told, and nobody gets another.
    async fn undeliverable_report(&self) -> Result<(), String> {
        let sender = self.reverse_path();
        self.stage
            .wait("the report", |snapshot| {
                let held = snapshot.queue.iter().any(|entry| {
                    let to = entry["recipients"][0]["mailbox"].as_str();
                    let state = entry["state"].as_str();
                    entry["reverse_path"] == "" && to == Some(&sender) && state == Some("held")
                });
                (!held).then(|| "it is not held".to_owned())
            })
            .await?;
        match self
            .stage
            .service(|service| service.alarms(self.route))
            .len()
        {
            1 => Ok(()),
            number => Err(format!("{number} alarms")),
        }
    }

    /// Waits for what is told with this action; all of it.
    pub(super) async fn reports(&self, action: &str, about: &[&str]) -> Result<Vec<Told>, String> {
        let due = about.len() * self.row.messages;
        let end = Instant::now() + PATIENCE;
        loop {
            let files = self.stage.service(|service| service.mail(self.route));
            let read: Result<Vec<_>, _> = files.iter().map(|file| report::read(file)).collect();
            let mut told = read?.concat();
            let others = told.iter().filter(|one| one.action != action).count();
            told.retain(|one| one.action == action);
            let expected_others = match self.row.delay_note && action != "delayed" {
                true => self.row.recipients.len() * self.row.messages,
                false => 0,
            };
            if told.len() > due || others > expected_others {
                return Err(format!(
                    "{} reports of {action}, {others} others",
                    told.len()
                ));
            }
            if told.len() == due {
                return Ok(told);
            }
            if Instant::now() > end {
                return Err(format!("{} of {due} reports of {action}", told.len()));
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    pub(super) fn check_attempts(&self, snapshot: &Snapshot) -> Result<(), String> {
        for (id, recipient) in self.each() {
            let fate = self.fate(snapshot, id, recipient)?;
            if fate.state != "held" && !self.row.attempts.contains(&fate.attempts) {
                let range = &self.row.attempts;
                return Err(format!(
                    "{recipient}: {} attempts, not {range:?}",
                    fate.attempts
                ));
            }
        }
        Ok(())
    }
}
