//! Content that has to be converted first (CL-8bit, R3030-3-b): read once to learn whether it can
//! be, a second time to learn its size where the server wants to know that (RFC 1870), and both
//! before MAIL, so that what cannot be sent is not begun.

use super::{
    outcome,
    session::{Session, State},
};
use crate::{
    contract::{
        BodyType, ContentFacts, Envelope, Fault,
        client::{Action, Outcome},
    },
    conversion::{Plan, Rewriter, Survey, Unconvertible},
};
use alloc::{boxed::Box, format, vec::Vec};

/// A message before MAIL.
pub(super) struct Preparation {
    pub(super) envelope: Envelope,
    pub(super) facts: ContentFacts,
    pub(super) reading: Reading,
}

/// Which reading it is.
pub(super) enum Reading {
    /// What has to change.
    Survey(Survey),
    /// How many octets it becomes.
    Measure(Rewriter, Plan, u64),
}

impl Session {
    /// The next octets of a message before MAIL.
    pub(super) fn prepare(
        &mut self,
        mut preparation: Box<Preparation>,
        octets: &[u8],
        last: bool,
        actions: &mut Vec<Action>,
    ) -> Result<(), Fault> {
        let read = match &mut preparation.reading {
            Reading::Survey(survey) => survey.take(octets),
            Reading::Measure(rewriter, _, size) => rewriter.take(octets).map(|converted| {
                *size += converted.len() as u64;
            }),
        };
        if let Err(reason) = read {
            return self.kept(&preparation.envelope, &preparation.facts, reason, actions);
        }
        if !last {
            actions.push(Action::Hungry);
            self.state = State::Preparing(preparation);
            return Ok(());
        }
        let Preparation {
            envelope,
            mut facts,
            reading,
        } = *preparation;
        let plan = match reading {
            Reading::Survey(survey) => survey.finish().map(|plan| (plan, None)),
            Reading::Measure(rewriter, plan, size) => rewriter
                .finish()
                .map(|rest| (plan, Some(size + rest.len() as u64))),
        };
        match plan {
            Ok((plan, None)) if self.capabilities.has("SIZE") => {
                actions.push(Action::Rewind);
                actions.push(Action::Hungry);
                self.state = State::Preparing(Box::new(Preparation {
                    envelope,
                    facts,
                    reading: Reading::Measure(Rewriter::new(plan.clone()), plan, 0),
                }));
                Ok(())
            }
            Ok((plan, size)) => {
                actions.push(Action::Rewind);
                // R1870-6.2: what is sent is what counts. Without SIZE nobody asks.
                facts.size = size.unwrap_or(facts.size);
                self.begin(&envelope, &facts, Some(plan), actions)
            }
            Err(reason) => self.kept(&envelope, &facts, reason, actions),
        }
    }

    /// What cannot be converted goes as it came, if it came by DATA and only its lines are odd
    /// (R5321-4.5.2-c); else it does not go.
    fn kept(
        &mut self,
        envelope: &Envelope,
        facts: &ContentFacts,
        reason: Unconvertible,
        actions: &mut Vec<Action>,
    ) -> Result<(), Fault> {
        let eight_bit = facts.header_eight_bit || facts.body_eight_bit;
        if envelope.parameters.body == BodyType::BinaryMime
            || !facts.binary
            || (eight_bit && !self.capabilities.has("8BITMIME"))
        {
            self.unconvertible(envelope, facts, reason, actions);
            return Ok(());
        }
        actions.push(Action::Rewind);
        let plain = ContentFacts {
            binary: false,
            ..facts.clone()
        };
        self.begin(envelope, &plain, None, actions)
    }

    /// 5.6.1 for content that DATA cannot carry, 5.6.3 for content that needs 8BITMIME (RFC 3463
    /// section 3.7).
    fn unconvertible(
        &mut self,
        envelope: &Envelope,
        facts: &ContentFacts,
        reason: Unconvertible,
        actions: &mut Vec<Action>,
    ) {
        let binary = facts.binary || envelope.parameters.body == BodyType::BinaryMime;
        let (status, lacks) = if binary {
            ((5, 6, 1), "BINARYMIME")
        } else {
            ((5, 6, 3), "8BITMIME")
        };
        let text = format!("not sent: the server lacks {lacks}, and {reason}");
        settle_all(envelope, &outcome::refused(554, status, &text), actions);
        self.ready(actions);
    }
}

/// Before MAIL all recipients share their fate.
pub(super) fn settle_all(envelope: &Envelope, outcome: &Outcome, actions: &mut Vec<Action>) {
    for (index, _) in (0..).zip(&envelope.forward_paths) {
        actions.push(Action::Settled(index, outcome.clone()));
    }
    actions.push(Action::Done);
}
