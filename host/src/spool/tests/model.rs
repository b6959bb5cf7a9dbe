//! Any sequence of changes leaves what a small model says.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, prop_oneof, proptest};

use super::*;

const LANES: [&str; 3] = ["a", "b x", "b y"];
const KINDS: [NoticeKind; 2] = [NoticeKind::Failed, NoticeKind::Delayed];

#[derive(Debug, Clone)]
enum Step {
    Append {
        recipients: usize,
        held: bool,
    },
    Claim {
        closed: usize,
    },
    Settle {
        message: usize,
        of: Vec<(u32, Ends, bool, usize)>,
    },
    Change {
        message: usize,
        change: Change,
    },
    Reported {
        message: usize,
        first: bool,
        report: bool,
    },
    PutOff {
        message: usize,
        later: bool,
    },
    Restart,
}

#[derive(Debug, Clone, Copy)]
enum Ends {
    Delivered,
    Now,
    Later,
    Failed,
    Held,
}

#[derive(Debug, Clone, PartialEq)]
struct Rcpt {
    state: State,
    due: bool,
    attempts: u32,
    lane: usize,
    told: bool,
    tried: bool,
}

#[derive(Debug, Clone, Default)]
struct Msg {
    recipients: Vec<Rcpt>,
    /// Owed notices; whether they are put off.
    notices: BTreeMap<(u32, NoticeKind), bool>,
}

#[derive(Debug, Default)]
struct Model {
    messages: BTreeMap<String, Msg>,
    past: Vec<(String, String, End)>,
    next: usize,
}

impl Model {
    fn id(&self, number: usize) -> String {
        format!("m-{}", number % self.next.max(1))
    }

    fn sweep(&mut self, id: &str) {
        let done = |one: &Rcpt| matches!(one.state, State::Delivered | State::Failed);
        if self
            .messages
            .get(id)
            .is_some_and(|one| one.notices.is_empty() && one.recipients.iter().all(done))
        {
            self.messages.remove(id);
        }
    }

    fn settle(&mut self, id: &str, of: &[(u32, Ends, bool, usize)]) {
        let Some(message) = self.messages.get_mut(id) else {
            return;
        };
        for (ordinal, ends, counted, kinds) in of {
            let Some(one) = message.recipients.get_mut(*ordinal as usize) else {
                continue;
            };
            if matches!(one.state, State::Delivered | State::Failed) {
                continue;
            }
            let was = one.state;
            let mut tells = true;
            match (was, ends) {
                (_, Ends::Delivered) => (one.state, one.due) = (State::Delivered, false),
                (State::Held, _) => tells = false,
                (_, Ends::Failed) => (one.state, one.due) = (State::Failed, false),
                (_, Ends::Held) => (one.state, one.due) = (State::Held, false),
                (State::Delivering, Ends::Now) => (one.state, one.due) = (State::Deferred, true),
                (State::Delivering, Ends::Later) => (one.state, one.due) = (State::Deferred, false),
                _ => {}
            }
            one.tried = true;
            one.lane = (*ordinal as usize) % LANES.len();
            if !counted {
                one.attempts = one.attempts.saturating_sub(1);
            }
            if tells {
                for kind in &KINDS[..*kinds] {
                    message.notices.entry((*ordinal, *kind)).or_insert(false);
                    one.told |= *kind == NoticeKind::Delayed;
                }
            }
            let end = match one.state {
                State::Delivered => End::Delivered,
                State::Failed => End::Failed,
                _ => continue,
            };
            self.past.push((id.to_owned(), mailbox(*ordinal), end));
        }
        self.sweep(id);
    }

    fn change(&mut self, id: &str, change: Change) {
        let Some(message) = self.messages.get_mut(id) else {
            return;
        };
        let open = |one: &&mut Rcpt| !matches!(one.state, State::Delivered | State::Failed);
        for (ordinal, one) in (0..).zip(message.recipients.iter_mut()) {
            if !open(&&mut *one) {
                continue;
            }
            match (change, one.state) {
                (Change::Hold, _) => (one.state, one.due) = (State::Held, false),
                (Change::Release, State::Held) => (one.state, one.due) = (State::Waiting, true),
                (Change::Retry, State::Waiting | State::Deferred) => one.due = true,
                (Change::Remove, _) => {
                    let end = (id.to_owned(), mailbox(ordinal), End::Removed);
                    self.past.push(end);
                }
                _ => {}
            }
        }
        match change {
            Change::Retry => message.notices.values_mut().for_each(|off| *off = false),
            Change::Remove => {
                self.messages.remove(id);
            }
            _ => {}
        }
    }
}

fn mailbox(ordinal: u32) -> String {
    format!("u{ordinal}@example.net")
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ends = prop_oneof![
        Just(Ends::Delivered),
        Just(Ends::Now),
        Just(Ends::Later),
        Just(Ends::Failed),
        Just(Ends::Held)
    ];
    let change = prop_oneof![
        Just(Change::Hold),
        Just(Change::Release),
        Just(Change::Retry),
        Just(Change::Remove)
    ];
    let one = (0_u32..4, ends, any::<bool>(), 0_usize..3);
    let step = prop_oneof![
        2 => (1_usize..4, any::<bool>())
            .prop_map(|(recipients, held)| Step::Append { recipients, held }),
        3 => (0_usize..6).prop_map(|closed| Step::Claim { closed }),
        4 => (0_usize..8, prop::collection::vec(one, 1..4))
            .prop_map(|(message, of)| Step::Settle { message, of }),
        2 => (0_usize..8, change).prop_map(|(message, change)| Step::Change { message, change }),
        2 => (0_usize..8, any::<bool>(), any::<bool>())
            .prop_map(|(message, first, report)| Step::Reported { message, first, report }),
        1 => (0_usize..8, any::<bool>())
            .prop_map(|(message, later)| Step::PutOff { message, later }),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..40)
}

/// The spool beside the model.
struct Pair {
    state: tempfile::TempDir,
    spool: Option<Sqlite>,
    model: Model,
    reports: usize,
}

impl Pair {
    fn spool(&self) -> &Sqlite {
        self.spool.as_ref().unwrap()
    }

    async fn append(&mut self, recipients: usize, held: bool) {
        let id = format!("m-{}", self.model.next);
        self.model.next += 1;
        let names: Vec<String> = (0..recipients as u32).map(mailbox).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut new = message(self.spool(), &id, &names, b"x").await;
        let mut rows = Vec::new();
        for (number, one) in new.recipients.iter_mut().enumerate() {
            let held = held && number == 0;
            one.lane = LANES[number].to_owned();
            if held {
                one.state = NewState::Held;
            }
            rows.push(Rcpt {
                state: if held { State::Held } else { State::Waiting },
                due: !held,
                attempts: 0,
                lane: number,
                told: false,
                tried: false,
            });
        }
        self.spool().append(new).await.unwrap();
        let row = Msg {
            recipients: rows,
            ..Msg::default()
        };
        self.model.messages.insert(id, row);
    }

    /// Claims all that is due, of all lanes but one.
    async fn claim(&mut self, closed: usize) {
        let mut wanted = super::any(1000);
        if let Some(lane) = LANES.get(closed) {
            wanted.lanes.insert((*lane).to_owned(), 0);
            wanted.after = (*lane).to_owned();
        }
        let now = SystemTime::now();
        let claimed = self.spool().claim(&wanted, LEASE, now).await.unwrap();
        let claimed: BTreeSet<_> = claimed
            .into_iter()
            .map(|one| {
                (
                    one.message.id.clone(),
                    one.ordinal,
                    one.attempts,
                    one.delay_told,
                )
            })
            .collect();
        let mut expected = BTreeSet::new();
        for (id, message) in &mut self.model.messages {
            for (ordinal, one) in (0..).zip(message.recipients.iter_mut()) {
                if one.due && one.lane != closed {
                    one.due = false;
                    one.state = State::Delivering;
                    one.attempts += 1;
                    expected.insert((id.clone(), ordinal, one.attempts, one.told));
                }
            }
        }
        assert_eq!(claimed, expected);
    }

    async fn settle(&mut self, message: usize, of: &[(u32, Ends, bool, usize)]) {
        let id = self.model.id(message);
        let settlements = of
            .iter()
            .map(|(ordinal, ends, counted, kinds)| {
                let now = SystemTime::now();
                let outcome = match ends {
                    Ends::Delivered => Outcome::Delivered,
                    Ends::Now => Outcome::Deferred { next_attempt: now },
                    Ends::Later => deferred(LEASE),
                    Ends::Failed => Outcome::Failed,
                    Ends::Held => Outcome::Held,
                };
                Settlement {
                    counted: *counted,
                    lane: LANES[(*ordinal as usize) % LANES.len()].to_owned(),
                    notices: KINDS[..*kinds].to_vec(),
                    ..settlement(*ordinal, outcome, "finding")
                }
            })
            .collect();
        self.spool().settle(&id, settlements).await.unwrap();
        self.model.settle(&id, of);
    }

    async fn reported(&mut self, message: usize, first: bool, with: bool) {
        let id = self.model.id(message);
        let owed = self.model.messages.get(&id);
        let owed: Vec<_> = owed
            .map(|one| one.notices.keys().copied().collect())
            .unwrap_or_default();
        let pays = if first {
            &owed[..owed.len().min(1)]
        } else {
            &owed[..]
        };
        self.reports += 1;
        let report = format!("r-{}", self.reports);
        let new = match with {
            true => {
                let mut new = message_of(self.spool(), &report).await;
                new.recipients[0].state = NewState::Held;
                Some(new)
            }
            false => None,
        };
        self.spool().reported(&id, pays, new).await.unwrap();
        if with && !pays.is_empty() {
            let row = Msg {
                recipients: vec![Rcpt {
                    state: State::Held,
                    due: false,
                    attempts: 0,
                    lane: 0,
                    told: false,
                    tried: false,
                }],
                ..Msg::default()
            };
            self.model.messages.insert(report, row);
        }
        if let Some(message) = self.model.messages.get_mut(&id) {
            for pay in pays {
                message.notices.remove(pay);
            }
        }
        self.model.sweep(&id);
    }

    async fn step(&mut self, step: &Step) {
        match step {
            Step::Append { recipients, held } => self.append(*recipients, *held).await,
            Step::Claim { closed } => self.claim(*closed).await,
            Step::Settle { message, of } => self.settle(*message, of).await,
            Step::Change { message, change } => {
                let id = self.model.id(*message);
                let missing = self.spool().change(*change, std::slice::from_ref(&id));
                let missing = missing.await.unwrap();
                assert_eq!(missing.is_empty(), self.model.messages.contains_key(&id));
                self.model.change(&id, *change);
            }
            Step::Reported {
                message,
                first,
                report,
            } => {
                self.reported(*message, *first, *report).await;
            }
            Step::PutOff { message, later } => {
                let id = self.model.id(*message);
                let now = SystemTime::now();
                let until = if *later { now + LEASE * 10 } else { now };
                self.spool().put_off(&id, until).await.unwrap();
                if let Some(message) = self.model.messages.get_mut(&id) {
                    message.notices.values_mut().for_each(|off| *off = *later);
                }
            }
            Step::Restart => {
                drop(self.spool.take());
                self.spool = Some(open(self.state.path()));
                let all = self.model.messages.values_mut();
                for one in all.flat_map(|message| &mut message.recipients) {
                    if one.state == State::Delivering {
                        let tried = one.tried || one.attempts > 1;
                        one.state = if tried {
                            State::Deferred
                        } else {
                            State::Waiting
                        };
                        one.due = true;
                    }
                }
            }
        }
    }

    async fn compare(&self) {
        let entries = entries(self.spool()).await;
        let found: BTreeMap<_, Vec<_>> = entries
            .into_iter()
            .map(|entry| {
                let recipients = entry.recipients.into_iter();
                let rows = recipients.map(|one| (one.state, one.attempts, one.lane));
                (entry.id, rows.collect())
            })
            .collect();
        let expected: BTreeMap<_, Vec<_>> = self
            .model
            .messages
            .iter()
            .map(|(id, message)| {
                let rows = message.recipients.iter().map(|one| {
                    let lane = if id.starts_with('r') {
                        "lane"
                    } else {
                        LANES[one.lane]
                    };
                    (one.state, one.attempts, lane.to_owned())
                });
                (id.clone(), rows.collect())
            })
            .collect();
        assert_eq!(found, expected);
        for (after, minutes) in [(Duration::ZERO, 0), (Duration::from_secs(120), 2)] {
            let owed = self.spool().owed(1000, SystemTime::now() + after).await;
            let found: BTreeSet<_> = owed
                .unwrap()
                .into_iter()
                .flat_map(|one| {
                    let id = one.message.id.clone();
                    one.notices
                        .into_iter()
                        .map(move |of| (id.clone(), of.ordinal, of.kind))
                })
                .collect();
            let mut expected = BTreeSet::new();
            for (id, message) in &self.model.messages {
                let running = |one: &Rcpt| one.state == State::Delivering;
                if minutes == 0 && message.recipients.iter().any(running) {
                    continue;
                }
                let due = message.notices.iter().filter(|(_, off)| !**off);
                expected.extend(due.map(|((ordinal, kind), _)| (id.clone(), *ordinal, *kind)));
            }
            assert_eq!(found, expected, "after {minutes} minutes");
        }
        let past = self.spool().history(&Filter::default(), None, 1000).await;
        let mut found: Vec<_> = past
            .unwrap()
            .into_iter()
            .map(|one| (one.id, one.mailbox, one.end))
            .collect();
        found.reverse();
        assert_eq!(found, self.model.past);
    }
}

async fn message_of(spool: &Sqlite, id: &str) -> NewMessage {
    message(spool, id, &["alice@example.org"], b"report").await
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_sequence_of_changes_leaves_what_the_model_says(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let state = tempfile::tempdir().unwrap();
            let mut pair = Pair {
                spool: Some(open(state.path())),
                state,
                model: Model::default(),
                reports: 0,
            };
            for step in &steps {
                pair.step(step).await;
                pair.compare().await;
            }
        });
    }
}
