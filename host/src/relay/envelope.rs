//! The spool's envelope as the client session takes it.

use crate::sandbox::v0_1::types as wit;
use crate::spool;

/// The envelope for these recipients.
pub(super) fn envelope(message: &spool::Message, recipients: &[spool::Claimed]) -> wit::Envelope {
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
            hold_for: None,
            deliver_by: None,
            priority: parameters.priority,
        },
        forward_paths: recipients.iter().map(forward_path).collect(),
        protocol: message.envelope.protocol.clone(),
        greeted: message.envelope.greeted.clone(),
    }
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
