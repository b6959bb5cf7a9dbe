//! The message on its way into the spool.

use super::unseen::Unseen;
use super::{Connection, authority};
use crate::sandbox::SandboxError;
use crate::sandbox::v0_1::server::Answer;
use crate::sandbox::v0_1::types::{ContentFacts, Envelope, Reply};
use crate::spool::{self, ContentWriter, NewMessage, NewState, SpoolError};
use std::time::SystemTime;

/// An envelope whose content is arriving.
pub(super) struct Message {
    envelope: Envelope,
    writer: ContentWriter,
    /// When its content began.
    begun: SystemTime,
    /// What went wrong while content arrived: told when the session asks to store it.
    failed: Option<SpoolError>,
    /// The rules changed since MAIL or RCPT, or the session did not ask: told likewise.
    refused: Option<Reply>,
    unseen: Unseen,
}

impl Message {
    /// More content. A failure is kept for later: the peer is told after the end of data.
    pub(super) async fn write(&mut self, octets: &[u8]) {
        self.unseen.follows(octets);
        self.keep(octets).await;
    }

    /// More content, which no session looks at: what a relay must know of it is gathered here.
    pub(super) async fn write_unseen(&mut self, octets: &[u8]) {
        self.unseen.take(octets);
        self.keep(octets).await;
    }

    async fn keep(&mut self, octets: &[u8]) {
        if self.failed.is_none()
            && self.refused.is_none()
            && let Err(error) = self.writer.write(octets).await
        {
            self.failed = Some(error);
        }
    }
}

impl Connection {
    /// A session says that content begins: its authority is checked once more.
    pub(super) fn begin_message(&mut self, envelope: Envelope) -> Result<(), SandboxError> {
        let runtime = self.service.runtime();
        if !self.authority.may_submit(self.identity.as_deref()) {
            return Err(SandboxError::violation("an envelope without a grant"));
        }
        let parameters = &envelope.parameters;
        // R8689-2
        if parameters.require_tls && self.facts.is_none() {
            return Err(SandboxError::violation("REQUIRETLS without TLS"));
        }
        // R6710-4.1-b
        if parameters.priority > Some(0) && self.identity.is_none() {
            return Err(SandboxError::violation("a priority without an identity"));
        }
        let refused = self
            .authority
            .envelope(
                self.identity.as_deref(),
                &*runtime.senders,
                &runtime.context(&envelope.reverse_path, self.identity.as_deref()),
                &envelope,
            )
            .err();
        self.message = Some(Message {
            writer: self.service.spool.content(&envelope.id),
            envelope,
            begun: SystemTime::now(),
            failed: None,
            refused,
            unseen: Unseen::default(),
        });
        Ok(())
    }

    /// Makes the message durable. Only then is the answer `stored`.
    pub(super) async fn store(&mut self, mut facts: ContentFacts) -> Result<Answer, SandboxError> {
        let Some(mut message) = self.message.take() else {
            return Err(SandboxError::violation("a store without a message"));
        };
        if let Some(reply) = message.refused.take() {
            tracing::info!(id = message.envelope.id, session = self.serial, peer = %self.peer.ip(), identity = self.identity.as_deref().unwrap_or_default(), "refused: sender or recipient is not permitted");
            self.session.settled(false);
            return Ok(Answer::Rejected(reply));
        }
        message.unseen.add_to(&mut facts);
        let id = message.envelope.id.clone();
        let size = facts.size;
        let message_id = facts.message_id.clone();
        let outcome = self.append(message, facts).await;
        self.session.settled(outcome.is_ok());
        Ok(match outcome {
            Ok(waiting) => {
                tracing::info!(
                    id,
                    session = self.serial,
                    peer = %self.peer.ip(),
                    identity = self.identity.as_deref().unwrap_or_default(),
                    size,
                    message_id,
                    "accepted"
                );
                if waiting {
                    self.service.wake.notify_one();
                }
                self.untold = Some(id);
                Answer::Stored
            }
            Err(error) => {
                tracing::error!(id, session = self.serial, %error, "cannot store a message");
                match error {
                    // A full disk: 452, so that the peer tries again later.
                    SpoolError::Full { .. } => Answer::Rejected(authority::reply(
                        452,
                        (4, 3, 1),
                        "insufficient system storage",
                    )),
                    _ => Answer::Unavailable,
                }
            }
        })
    }

    /// Whether any recipient is due at once.
    async fn append(&mut self, message: Message, facts: ContentFacts) -> Result<bool, SpoolError> {
        if let Some(error) = message.failed {
            return Err(error);
        }
        let runtime = self.service.runtime();
        let envelope = message.envelope;
        let wanted = envelope
            .forward_paths
            .iter()
            .map(|forward_path| spool::Recipient {
                mailbox: forward_path.mailbox.clone(),
                notify: forward_path.notify.map(convert::notify),
                orcpt: forward_path.orcpt.clone(),
            })
            .collect();
        let recipients = runtime
            .context(&envelope.reverse_path, self.identity.as_deref())
            .recipients(wanted);
        let waiting = recipients.iter().any(|one| one.state == NewState::Waiting);
        let content = message.writer.finish().await?;
        let received = SystemTime::now();
        let mut parameters = convert::parameters(envelope.parameters);
        if let Some(by) = &mut parameters.deliver_by {
            // RFC 2852 section 4: it counts from MAIL, which came before the content.
            let taken = received.duration_since(message.begun).unwrap_or_default();
            let taken = i64::try_from(taken.as_secs()).unwrap_or(i64::MAX);
            let left = by.seconds.saturating_sub(taken);
            // What is out of time already is overdue in a moment.
            by.seconds = if by.seconds > 0 { left.max(1) } else { left };
        }
        let new = NewMessage {
            id: envelope.id,
            envelope: spool::Envelope {
                reverse_path: envelope.reverse_path,
                parameters,
                protocol: envelope.protocol,
                greeted: envelope.greeted,
            },
            identity: self.identity.clone(),
            peer: self.peer.ip().to_canonical(),
            received,
            message_id: facts.message_id.clone(),
            facts: convert::facts(&facts),
            recipients,
            content,
        };
        self.service.spool.append(new).await?;
        Ok(waiting)
    }
}

mod convert {
    //! The contract's types to the spool's own.

    use crate::sandbox::v0_1::types as wit;
    use crate::spool;

    pub(super) fn notify(notify: wit::Notify) -> spool::Notify {
        spool::Notify {
            never: notify.contains(wit::Notify::NEVER),
            success: notify.contains(wit::Notify::SUCCESS),
            failure: notify.contains(wit::Notify::FAILURE),
            delay: notify.contains(wit::Notify::DELAY),
        }
    }

    pub(super) fn parameters(parameters: wit::ReversePathParameters) -> spool::Parameters {
        spool::Parameters {
            body: match parameters.body {
                wit::BodyType::SevenBit => spool::Body::SevenBit,
                wit::BodyType::EightBitMime => spool::Body::EightBitMime,
                wit::BodyType::BinaryMime => spool::Body::BinaryMime,
            },
            size: parameters.size,
            smtputf8: parameters.smtputf8,
            ret: parameters.ret.map(|ret| match ret {
                wit::DsnReturn::Full => spool::Ret::Full,
                wit::DsnReturn::Headers => spool::Ret::Headers,
            }),
            envid: parameters.envid,
            auth: parameters.auth,
            require_tls: parameters.require_tls,
            hold_for: parameters.hold_for,
            deliver_by: parameters.deliver_by.map(|by| spool::DeliverBy {
                seconds: by.seconds,
                notify: by.notify,
                trace: by.trace,
            }),
            priority: parameters.priority,
        }
    }

    pub(super) fn facts(facts: &wit::ContentFacts) -> spool::ContentFacts {
        spool::ContentFacts {
            header_eight_bit: facts.header_eight_bit,
            body_eight_bit: facts.body_eight_bit,
            binary: facts.binary,
            bare: facts.bare,
            signed: facts.signed,
            tls_waived: facts.tls_waived,
        }
    }
}
