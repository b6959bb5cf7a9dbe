//! The dialogue: one message over one connection, or over as many as its recipients need.

use super::Ret;
use super::report::{Failing, Report};
use crate::command::cache::user_cache;
use crate::command::component::small_engine;
use crate::command::small_runtime;
use crate::embedded;
use crate::outbound::{Dialogue, Login, Side, Target, Trace};
use crate::sandbox::Build;
use crate::sandbox::client::scan;
use crate::sandbox::v0_1::client::{Outcome, Verdict};
use crate::sandbox::v0_1::types::{
    self, BodyType, ContentFacts, DsnReturn, ForwardPath, Notify, ReversePathParameters,
};
use std::io::Cursor;
use std::sync::Arc;

/// All that is to be done, checked.
pub(super) struct Order {
    pub(super) target: Target,
    pub(super) login: Login,
    pub(super) envelope: Envelope,
    /// Show the dialogue on standard error.
    pub(super) trace: bool,
}

/// From whom and to whom.
pub(super) struct Envelope {
    /// Empty for the null reverse-path.
    pub(super) reverse_path: String,
    pub(super) recipients: Vec<String>,
    pub(super) dsn: Dsn,
    pub(super) wishes: Wishes,
}

/// What else is asked of the server.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Wishes {
    /// REQUIRETLS (RFC 8689).
    pub(super) require_tls: bool,
    /// MT-PRIORITY (RFC 6710).
    pub(super) priority: Option<i8>,
    /// HOLDFOR (RFC 4865), seconds.
    pub(super) hold_for: Option<u32>,
    /// BODY=BINARYMIME (RFC 3030).
    pub(super) binary: bool,
}

/// What the sender wants to hear (RFC 3461).
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Dsn {
    pub(super) notify: Option<Notify>,
    pub(super) ret: Option<Ret>,
    /// In xtext.
    pub(super) envid: Option<String>,
}

/// Submits the content (lines end with CRLF). An error is about this program, not the server.
pub(super) fn hand_over(order: &Order, content: &[u8]) -> Result<Report, String> {
    let runtime = small_runtime().map_err(|error| format!("cannot begin: {error}"))?;
    let engine = small_engine()?;
    let cache = user_cache();
    let build =
        embedded::load(&engine, None, cache.as_deref()).map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let facts = scan(&build, content)
            .await
            .map_err(|error| error.to_string())?;
        Ok(submit(&build, order, &facts, content).await)
    })
}

async fn submit(build: &Arc<Build>, order: &Order, facts: &ContentFacts, content: &[u8]) -> Report {
    let recipients = &order.envelope.recipients;
    let mut outcomes: Vec<Option<Outcome>> = vec![None; recipients.len()];
    let mut failing = None;
    let mut dialogue: Option<Dialogue> = None;
    loop {
        let unsettled: Vec<usize> = (0..recipients.len())
            .filter(|index| outcomes[*index].is_none())
            .collect();
        if unsettled.is_empty() {
            break;
        }
        let mut current = match dialogue.take().filter(Dialogue::is_ready) {
            Some(dialogue) => dialogue,
            None => match open(build, order).await {
                Ok(dialogue) => dialogue,
                Err(failed) => {
                    failing = Some(failed);
                    break;
                }
            },
        };
        let offers_smtputf8 = current
            .offer()
            .is_some_and(|offer| offer.extensions.iter().any(|name| name == "SMTPUTF8"));
        let envelope = envelope(&order.envelope, &unsettled, facts, offers_smtputf8);
        let mut reader = Cursor::new(content);
        let settled = current.submit(&envelope, facts, &mut reader).await;
        let mut progress = false;
        for (index, outcome) in std::iter::zip(unsettled, settled) {
            // RFC 5321 section 4.5.3.1.10: the rest goes in another transaction.
            if outcome.verdict != Verdict::Again {
                progress = true;
                outcomes[index] = Some(outcome);
            }
        }
        if let Some(failure) = current.failure() {
            failing = Some(Failing::of_failure(failure));
        }
        dialogue = Some(current);
        if !progress {
            break;
        }
    }
    if let Some(dialogue) = dialogue {
        dialogue.quit().await;
    }
    Report::new(recipients, outcomes, failing)
}

async fn open(build: &Arc<Build>, order: &Order) -> Result<Dialogue, Failing> {
    let trace: Option<Box<dyn Trace>> = if order.trace {
        Some(Box::new(OnStandardError))
    } else {
        None
    };
    Dialogue::open(build, &order.target, &order.login, trace)
        .await
        .map_err(|unopened| Failing::of_error(&unopened.error))
}

fn envelope(
    envelope: &Envelope,
    unsettled: &[usize],
    facts: &ContentFacts,
    offers_smtputf8: bool,
) -> types::Envelope {
    let recipients = unsettled
        .iter()
        .filter_map(|index| envelope.recipients.get(*index));
    let international = !envelope.reverse_path.is_ascii()
        || recipients.clone().any(|recipient| !recipient.is_ascii());
    let eight_bit = facts.header_eight_bit || facts.body_eight_bit;
    types::Envelope {
        id: "send-1".into(),
        reverse_path: envelope.reverse_path.clone(),
        parameters: ReversePathParameters {
            body: if envelope.wishes.binary {
                BodyType::BinaryMime
            } else if eight_bit {
                BodyType::EightBitMime
            } else {
                BodyType::SevenBit
            },
            size: Some(facts.size),
            // A raw 8-bit header is sent as what it is where the server can take it; elsewhere it
            // goes as 8-bit content, as it always did.
            smtputf8: international || (facts.header_eight_bit && offers_smtputf8),
            ret: envelope.dsn.ret.map(|ret| match ret {
                Ret::Full => DsnReturn::Full,
                Ret::Hdrs => DsnReturn::Headers,
            }),
            envid: envelope.dsn.envid.clone(),
            auth: None,
            require_tls: envelope.wishes.require_tls,
            hold_for: envelope.wishes.hold_for,
            deliver_by: None,
            priority: envelope.wishes.priority,
        },
        forward_paths: recipients
            .map(|recipient| ForwardPath {
                mailbox: recipient.clone(),
                notify: envelope.dsn.notify,
                orcpt: None,
            })
            .collect(),
        protocol: String::new(),
        greeted: String::new(),
    }
}

/// The dialogue for a person.
struct OnStandardError;

impl Trace for OnStandardError {
    fn line(&mut self, side: Side, text: &str) {
        match side {
            Side::Client => eprintln!("C: {text}"),
            Side::Server => eprintln!("S: {text}"),
            Side::Note => eprintln!("*  {text}"),
        }
    }
}
