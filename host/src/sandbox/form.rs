//! Form: what every answer of a server session must look like, whoever built it.
//!
//! Pure: a [`Form`] follows one session's progress records and says which rule one breaks.
//! Authority (who may do what) is [`crate::connection::authority`]'s.

use super::v0_1::server::{Action, Extensions, Progress, Question, Settings};
use super::v0_1::types::{BodyType, Envelope, Phase, ReversePathParameters};

/// `wit/submission.wit`: at most 64 actions a call.
const MOST_ACTIONS: usize = 64;
/// `wit/submission.wit`: what a session may leave unconsumed without a question.
const MOST_LINE: usize = 12_288;
/// Octets sent in one call: 64 KiB of the shortest commands get less.
const MOST_SENT: usize = 1 << 20;
/// Octets of the session's own in content, in one call: a header section with its repairs.
const MOST_INSERTED: usize = 2 << 20;
/// Reports of one session (profile R6409-5.2: 20), with some for the session's end.
const MOST_REPORTS: u32 = 24;
/// Seconds of DELIVERBY at most, either way (RFC 2852 section 4: nine digits).
const MOST_SECONDS: u64 = 999_999_999;
/// MT-PRIORITY (RFC 6710 section 4.1).
const PRIORITIES: std::ops::RangeInclusive<i8> = -9..=9;

/// What one session's answers have been so far.
#[derive(Debug)]
pub struct Form {
    serial: String,
    extensions: Extensions,
    most_hold: u32,
    least_deliver_by: u32,
    most_content: u64,
    most_recipients: usize,
    /// Number of the last message identifier.
    number: u64,
    /// Content octets of the open envelope.
    content: Option<u64>,
    /// The open envelope is that of BODY=BINARYMIME.
    binary: bool,
    /// The last call had content go by unseen.
    passed: bool,
    storing: bool,
    /// A question is open.
    asked: bool,
    /// What became of the message whose store was answered, until the peer has been told.
    untold: Option<bool>,
    reports: u32,
}

/// The call that a progress record answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// `receive`, with so many octets.
    Receive(usize),
    /// `resume`.
    Resume,
    /// `dismiss`.
    Dismiss,
    /// `open` or `secured`.
    Other,
}

impl Form {
    /// The form of a session with these settings.
    pub fn new(settings: &Settings) -> Self {
        Self {
            serial: settings.serial.clone(),
            extensions: settings.extensions,
            most_hold: settings.max_hold,
            least_deliver_by: settings.min_deliver_by,
            most_content: settings.max_message_size,
            most_recipients: settings.max_recipients as usize,
            number: 0,
            content: None,
            binary: false,
            passed: false,
            storing: false,
            asked: false,
            untold: None,
            reports: 0,
        }
    }

    /// Whether a message is on its way: its envelope is known, its answer is not.
    pub fn in_content(&self) -> bool {
        self.content.is_some()
    }

    /// The host answers the `store` question.
    pub fn settled(&mut self, stored: bool) {
        self.drop_content();
        self.untold = Some(stored);
    }

    fn drop_content(&mut self) {
        self.content = None;
        self.binary = false;
        self.storing = false;
    }

    /// Checks one progress record.
    ///
    /// # Errors
    ///
    /// The rule that it breaks.
    pub fn check(&mut self, call: Call, progress: &Progress) -> Result<(), String> {
        let given = match call {
            Call::Receive(given) => given,
            _ => 0,
        };
        if call == Call::Resume {
            self.asked = false;
            self.verdict(progress)?;
        }
        let consumed = progress.consumed as usize;
        if consumed > given {
            return Err(format!("consumed {consumed} of {given} octets"));
        }
        if progress.actions.len() > MOST_ACTIONS {
            return Err(format!("{} actions in one call", progress.actions.len()));
        }
        let last = progress.actions.last();
        let ends = matches!(last, Some(Action::Close | Action::StartTls));
        let passes = matches!(last, Some(Action::Pass(_)));
        if passes && !(matches!(call, Call::Receive(_)) && progress.waiting_for == Phase::Content) {
            return Err("content unseen, and waits for something else".into());
        }
        if progress.question.is_none() && !ends && !passes && given - consumed > MOST_LINE {
            return Err(format!(
                "left {} octets and neither asks nor ends",
                given - consumed
            ));
        }
        // An envelope beside an open message belongs to the content after its `abandon`.
        let mut envelope = progress.envelope.as_ref();
        if self.content.is_none()
            && let Some(envelope) = envelope.take()
        {
            self.envelope(envelope)?;
        }
        self.actions(consumed, progress, envelope)?;
        match &progress.question {
            Some(_) if ends || passes => return Err("a question after the end".into()),
            Some(_) if self.asked => return Err("a question inside a question".into()),
            // An answer never leads to another question, and octets only to one for each line or
            // run that went by unseen: else a session could ask for ever.
            Some(_) if !matches!(call, Call::Receive(_)) || (consumed == 0 && !self.passed) => {
                return Err("asks without cause".into());
            }
            Some(question) => self.question(question, progress.waiting_for)?,
            // After `dismiss` an open question goes on waiting (RFC 5321 section 3.8).
            None if progress.waiting_for == Phase::Answer && !self.asked => {
                return Err("waits for an answer without a question".into());
            }
            None => {}
        }
        if last.is_some_and(|action| matches!(action, Action::Close))
            != (progress.waiting_for == Phase::Closed)
        {
            return Err("closed and not closed".into());
        }
        // A dismissal in the middle of it changes nothing.
        if call != Call::Dismiss {
            self.passed = passes;
        }
        Ok(())
    }

    /// The peer is told what became of its message before anything else: 250 if and only if it is
    /// durable.
    fn verdict(&mut self, progress: &Progress) -> Result<(), String> {
        let Some(stored) = self.untold.take() else {
            return Ok(());
        };
        let first = progress.actions.iter().find_map(|action| match action {
            Action::Send(octets) => octets.first(),
            _ => None,
        });
        match first {
            Some(b'2') if stored => Ok(()),
            Some(b'4' | b'5') if !stored => Ok(()),
            _ => Err("tells the peer what is not true of its message".into()),
        }
    }

    fn envelope(&mut self, envelope: &Envelope) -> Result<(), String> {
        let number = envelope
            .id
            .strip_prefix(self.serial.as_str())
            .and_then(|rest| rest.strip_prefix('-'))
            .filter(|digits| (1..=10).contains(&digits.len()))
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))
            .and_then(|digits| digits.parse::<u64>().ok())
            .ok_or("a message identifier without the connection's serial")?;
        if number <= self.number {
            return Err("a message identifier that was used before".into());
        }
        self.number = number;
        if envelope.forward_paths.is_empty() {
            return Err("an envelope without recipients".into());
        }
        if envelope.forward_paths.len() > self.most_recipients {
            return Err("more recipients than the settings allow".into());
        }
        text(&envelope.greeted, 255)?;
        text(&envelope.protocol, 32)?;
        self.parameters(&envelope.parameters)?;
        if !envelope.reverse_path.is_empty() {
            mailbox(&envelope.reverse_path)?;
        }
        for forward_path in &envelope.forward_paths {
            mailbox(&forward_path.mailbox)?;
            if let Some((kind, address)) = &forward_path.orcpt {
                text(kind, 64)?;
                text(address, 1024)?;
            }
        }
        self.content = Some(0);
        self.binary = envelope.parameters.body == BodyType::BinaryMime;
        Ok(())
    }

    /// Parameters of extensions that the settings do not enable are not taken from a session, nor
    /// values beyond theirs: a hold of a hundred years would lose the message.
    fn parameters(&self, parameters: &ReversePathParameters) -> Result<(), String> {
        for (is_there, extension) in [
            (
                parameters.body == BodyType::BinaryMime,
                Extensions::BINARYMIME,
            ),
            (parameters.smtputf8, Extensions::SMTPUTF8),
            (parameters.require_tls, Extensions::REQUIRETLS),
            (parameters.hold_for.is_some(), Extensions::FUTURERELEASE),
            (parameters.deliver_by.is_some(), Extensions::DELIVERBY),
            (parameters.priority.is_some(), Extensions::MT_PRIORITY),
        ] {
            if is_there && !self.extensions.contains(extension) {
                return Err("a parameter whose extension was not enabled".into());
            }
        }
        let is_held_too_long = parameters
            .hold_for
            .is_some_and(|seconds| seconds > self.most_hold);
        let is_late = parameters.deliver_by.is_some_and(|by| {
            by.seconds.unsigned_abs() > MOST_SECONDS
                || (!by.notify && by.seconds < i64::from(self.least_deliver_by.max(1)))
        });
        let is_no_priority = parameters
            .priority
            .is_some_and(|priority| !PRIORITIES.contains(&priority));
        if is_held_too_long || is_late || is_no_priority {
            return Err("a parameter with a value that the settings do not allow".into());
        }
        text(parameters.envid.as_deref().unwrap_or_default(), 512)?;
        text(parameters.auth.as_deref().unwrap_or_default(), 1024)
    }

    fn actions(
        &mut self,
        consumed: usize,
        progress: &Progress,
        mut envelope: Option<&Envelope>,
    ) -> Result<(), String> {
        let mut sent = 0;
        let mut inserted = 0;
        let mut content = 0u64;
        let count = progress.actions.len();
        for (index, action) in progress.actions.iter().enumerate() {
            match action {
                Action::Send(octets) => {
                    sent += octets.len();
                    replies(octets)?;
                }
                Action::Content(span) => {
                    let end = span.offset as usize + span.length as usize;
                    if end > consumed {
                        return Err(format!("a span that ends at {end} of {consumed} octets"));
                    }
                    content += u64::from(span.length);
                }
                Action::Insert(octets) => {
                    inserted += octets.len();
                    content += octets.len() as u64;
                }
                Action::Pass(_) if !self.binary => {
                    return Err("content unseen, though it is not of BODY=BINARYMIME".into());
                }
                Action::Pass(length) => {
                    if *length == 0 || index + 1 != count {
                        return Err("content unseen, but not what comes next".into());
                    }
                    content = content.saturating_add(*length);
                }
                Action::Abandon => {
                    if self.content.is_none() {
                        return Err("abandons content that never began".into());
                    }
                    self.drop_content();
                    content = 0;
                    if let Some(envelope) = envelope.take() {
                        self.envelope(envelope)?;
                    }
                }
                Action::Report(_) => {
                    self.reports += 1;
                    if self.reports > MOST_REPORTS {
                        return Err("too many reports".into());
                    }
                }
                Action::StartTls | Action::Close => {
                    if index + 1 != count {
                        return Err("goes on after the end".into());
                    }
                }
            }
            if content > 0 && self.content.is_none() {
                return Err("content without an envelope".into());
            }
        }
        if envelope.is_some() {
            return Err("an envelope inside another message".into());
        }
        if sent > MOST_SENT || inserted > MOST_INSERTED {
            return Err("too many octets in one call".into());
        }
        if let Some(so_far) = &mut self.content {
            *so_far = so_far
                .checked_add(content)
                .ok_or("more content than a number can say")?;
            // Trace and completed fields come on top of what the peer sent.
            if self.most_content > 0 && *so_far > self.most_content + MOST_INSERTED as u64 {
                return Err("more content than the settings allow".into());
            }
        }
        Ok(())
    }

    fn question(&mut self, question: &Question, waiting_for: Phase) -> Result<(), String> {
        if waiting_for != Phase::Answer {
            return Err("asks, but waits for something else".into());
        }
        self.asked = true;
        match question {
            Question::Store(facts) => {
                match self.content {
                    None => return Err("a store without a message".into()),
                    Some(_) if self.storing => return Err("a store out of turn".into()),
                    Some(size) if size != facts.size => {
                        return Err(format!("a size of {} for {size} octets", facts.size));
                    }
                    Some(_) => text(&facts.message_id, 1024)?,
                }
                self.storing = true;
            }
            _ if self.content.is_some() => return Err("a question inside a message".into()),
            _ => {}
        }
        Ok(())
    }
}

/// Text of bounded length without controls: it is stored, logged, and relayed one day.
fn text(text: &str, most: usize) -> Result<(), String> {
    if text.len() > most || text.chars().any(char::is_control) {
        return Err("a text that is too long or has controls".into());
    }
    Ok(())
}

/// A mailbox that the rest of the host can handle: the grammar is the session's business, the
/// absence of controls and white space outside quotes, and a bounded length are ours.
fn mailbox(mailbox: &str) -> Result<(), String> {
    let Some((local_part, domain)) = mailbox.rsplit_once('@') else {
        return Err("a mailbox without a domain".into());
    };
    let bad = |c: char| c.is_control() || matches!(c, '<' | '>' | ' ' | '"' | '\\');
    if local_part.is_empty()
        || domain.is_empty()
        || mailbox.len() > 1024
        || mailbox.chars().any(char::is_control)
        || domain.chars().any(bad)
        || (!local_part.starts_with('"') && local_part.chars().any(bad))
    {
        return Err("a mailbox that is none".into());
    }
    Ok(())
}

/// Complete lines `ddd-text` or `ddd text` of printable ASCII (RFC 5321 section 4.2). A challenge
/// may be as long as a line of an AUTH exchange (RFC 4954 section 4).
fn replies(octets: &[u8]) -> Result<(), String> {
    let wrong = || Err("sends what is no reply".to_owned());
    if octets.is_empty() {
        return wrong();
    }
    let mut rest = octets;
    while !rest.is_empty() {
        let Some(end) = rest.iter().position(|&octet| octet == b'\n') else {
            return wrong();
        };
        let Some(line) = rest[..end].strip_suffix(b"\r") else {
            return wrong();
        };
        rest = &rest[end + 1..];
        let most = if line.starts_with(b"334 ") {
            MOST_LINE
        } else {
            510
        };
        let good = line.len() >= 4
            && line.len() <= most
            && matches!(line[0], b'2'..=b'5')
            && line[1..3].iter().all(u8::is_ascii_digit)
            && matches!(line[3], b' ' | b'-')
            && line.iter().all(|octet| matches!(octet, b' '..=b'~'));
        if !good {
            return wrong();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
