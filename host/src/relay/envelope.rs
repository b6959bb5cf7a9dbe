//! The spool's envelope as the client session takes it.

use crate::sandbox::v0_1::types as wit;
use crate::spool;

use std::time::SystemTime;

/// RFC 2852 section 4: the time has nine digits at most.
const MOST_SECONDS: i64 = 999_999_999;

/// The envelope for these recipients, at this moment.
pub(super) fn envelope(
    message: &spool::Message,
    recipients: &[spool::Claimed],
    now: SystemTime,
) -> wit::Envelope {
    let international = !message.envelope.reverse_path.is_ascii()
        || recipients
            .iter()
            .any(|one| !one.recipient.mailbox.is_ascii());
    let parameters = &message.envelope.parameters;
    wit::Envelope {
        id: message.id.clone(),
        reverse_path: message.envelope.reverse_path.clone(),
        parameters: wit::ReversePathParameters {
            body: match parameters.body {
                spool::Body::SevenBit => wit::BodyType::SevenBit,
                spool::Body::EightBitMime => wit::BodyType::EightBitMime,
                spool::Body::BinaryMime => wit::BodyType::BinaryMime,
            },
            size: Some(message.size),
            smtputf8: parameters.smtputf8 || international,
            ret: parameters.ret.map(|ret| match ret {
                spool::Ret::Full => wit::DsnReturn::Full,
                spool::Ret::Headers => wit::DsnReturn::Headers,
            }),
            envid: parameters.envid.clone(),
            auth: parameters.auth.clone(),
            require_tls: parameters.require_tls,
            // R4865-4: here it was held.
            hold_for: None,
            deliver_by: deliver_by(message, now),
            priority: parameters.priority,
        },
        forward_paths: recipients.iter().map(forward_path).collect(),
        protocol: message.envelope.protocol.clone(),
        greeted: message.envelope.greeted.clone(),
    }
}

/// What is left of the time (RFC 2852 section 4.1.3): of mode R something is, or the message would not
/// go any more.
fn deliver_by(message: &spool::Message, now: SystemTime) -> Option<wit::DeliverBy> {
    let (deadline, by) = message.deliver_by()?;
    let seconds = |span: std::time::Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    let left = match deadline.duration_since(now) {
        Ok(left) => seconds(left),
        Err(late) => -seconds(late.duration()),
    };
    let least = if by.notify { -MOST_SECONDS } else { 1 };
    Some(wit::DeliverBy {
        seconds: left.clamp(least, MOST_SECONDS),
        notify: by.notify,
        trace: by.trace,
    })
}

fn forward_path(claimed: &spool::Claimed) -> wit::ForwardPath {
    wit::ForwardPath {
        mailbox: claimed.recipient.mailbox.clone(),
        notify: claimed.recipient.notify.map(notify),
        orcpt: claimed.recipient.orcpt.clone(),
    }
}

fn notify(notify: spool::Notify) -> wit::Notify {
    [
        (notify.never, wit::Notify::NEVER),
        (notify.success, wit::Notify::SUCCESS),
        (notify.failure, wit::Notify::FAILURE),
        (notify.delay, wit::Notify::DELAY),
    ]
    .into_iter()
    .filter_map(|(given, flag)| given.then_some(flag))
    .fold(wit::Notify::empty(), |flags, flag| flags | flag)
}

/// The facts of the content.
pub(super) fn facts(message: &spool::Message) -> wit::ContentFacts {
    wit::ContentFacts {
        size: message.size,
        message_id: message.message_id.clone(),
        header_eight_bit: message.facts.header_eight_bit,
        body_eight_bit: message.facts.body_eight_bit,
        binary: message.facts.binary,
        bare: message.facts.bare,
        signed: message.facts.signed,
        tls_waived: message.facts.tls_waived,
        // The client session has no use for them.
        authors: Vec::new(),
    }
}
