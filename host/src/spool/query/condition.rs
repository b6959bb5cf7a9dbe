//! What a [`Filter`] asks for, in SQL.
//!
//! The names of columns are the same in the tables that a list joins and in the history.

use rusqlite::types::Value;

use super::super::entry::{Filter, State};
use super::super::sqlite::milliseconds;

/// Conditions that must all hold, with the values of their parameters in order.
#[derive(Default)]
pub(super) struct Conditions {
    sql: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    /// One more.
    pub(super) fn add(&mut self, sql: &str, values: impl IntoIterator<Item = Value>) {
        self.sql.push(format!("({sql})"));
        self.values.extend(values);
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.sql.is_empty()
    }

    /// These after those.
    pub(super) fn and(mut self, others: Self) -> Self {
        self.sql.extend(others.sql);
        self.values.extend(others.values);
        self
    }

    /// What follows WHERE, and the values of its parameters.
    pub(super) fn into_parts(self) -> (String, Vec<Value>) {
        (self.sql.join(" AND "), self.values)
    }
}

/// What the filter asks of a message, times aside.
pub(super) fn of_message(filter: &Filter) -> Conditions {
    let mut all = Conditions::default();
    if let Some(id) = &filter.id {
        all.add("id = ?", [text(id)]);
    }
    if let Some(identity) = &filter.identity {
        all.add("identity = ? COLLATE NOCASE", [text(identity)]);
    }
    if let Some(sender) = &filter.sender {
        match sender.strip_prefix('@') {
            Some(domain) => all.add("reverse_path LIKE ? ESCAPE '\\'", [in_domain(domain)]),
            None => all.add("reverse_path = ? COLLATE NOCASE", [text(sender)]),
        }
    }
    if let Some(part) = &filter.message_id {
        all.add("message_id LIKE ? ESCAPE '\\'", [containing(part)]);
    }
    all
}

/// When the message was accepted.
pub(super) fn of_arrival(filter: &Filter) -> Conditions {
    of_time(filter, "received")
}

/// When the recipient was done.
pub(super) fn of_end(filter: &Filter) -> Conditions {
    of_time(filter, "at")
}

fn of_time(filter: &Filter, column: &str) -> Conditions {
    let mut all = Conditions::default();
    if let Some(before) = filter.before {
        all.add(&format!("{column} < ?"), [milliseconds(before).into()]);
    }
    if let Some(since) = filter.since {
        all.add(&format!("{column} >= ?"), [milliseconds(since).into()]);
    }
    all
}

/// What the filter asks of a recipient, in the queue and in the history.
pub(super) fn of_recipient(filter: &Filter) -> Conditions {
    let mut all = Conditions::default();
    if let Some(mailbox) = &filter.recipient {
        all.add("mailbox = ? COLLATE NOCASE", [text(mailbox)]);
    }
    if let Some(domain) = &filter.domain {
        all.add("mailbox LIKE ? ESCAPE '\\'", [in_domain(domain)]);
    }
    if let Some(part) = &filter.reply {
        all.add("last_reply LIKE ? ESCAPE '\\'", [containing(part)]);
    }
    all
}

/// What the filter asks of a recipient, in the queue only.
pub(super) fn of_queued(filter: &Filter, now: i64) -> Conditions {
    let mut all = Conditions::default();
    if let Some(route) = &filter.route {
        // The route's lane, or one of its lanes: name, space, domain.
        let of = |end| Value::from(format!("{route}{end}"));
        all.add(
            "lane = ? OR (lane >= ? AND lane < ?)",
            [text(route), of(' '), of('!')],
        );
    }
    // A lease that ran out: the attempt is over, whatever became of it.
    let over = "state = 1 AND due <= ?";
    let attempted = "(attempts > 1 OR attempt IS NOT NULL)";
    match filter.state {
        None => {}
        Some(State::Waiting) => all.add(
            &format!("state = 0 OR ({over} AND NOT {attempted})"),
            [now.into()],
        ),
        // A message with an attempt that runs is found by an index: there are few.
        Some(State::Delivering) => all.add(
            "state = 1 AND due > ? AND message IN
               (SELECT message FROM recipient INDEXED BY recipient_due WHERE due > ? AND state = 1)",
            [now.into(), now.into()],
        ),
        Some(State::Deferred) => all.add(
            &format!("state = 2 OR ({over} AND {attempted})"),
            [now.into()],
        ),
        Some(state @ (State::Held | State::Delivered | State::Failed)) => {
            // As a literal: an index is about those.
            all.add(&format!("state = {}", state.code()), []);
        }
    }
    all
}

fn text(text: &str) -> Value {
    Value::from(text.to_owned())
}

/// A pattern for mailboxes in this domain, in any ASCII case.
fn in_domain(domain: &str) -> Value {
    Value::from(format!("%@{}", escaped(domain)))
}

/// A pattern for what has this in it, in any ASCII case.
fn containing(part: &str) -> Value {
    Value::from(format!("%{}%", escaped(part)))
}

/// Text that stands for itself in a LIKE pattern.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}
