//! The message on its way into the spool.

use super::{Connection, authority};
use crate::route::{Delivery, Query};
use crate::sandbox::SandboxError;
use crate::sandbox::v0_1::server::Answer;
use crate::sandbox::v0_1::types::{ContentFacts, Envelope, Reply};
use crate::spool::{self, ContentWriter, NewMessage, NewRecipient, NewState, SpoolError};
use crate::users::refusal;
use std::time::SystemTime;

/// An envelope whose content is arriving.
pub(super) struct Message {
    envelope: Envelope,
    writer: ContentWriter,
    /// What went wrong while content arrived: told when the session asks to store it.
    failed: Option<SpoolError>,
    /// The rules changed since MAIL or RCPT, or the session did not ask: told likewise.
    refused: Option<Reply>,
}

impl Message {
    /// More content. A failure is kept for later: the peer is told after the end of data.
    pub(super) async fn write(&mut self, octets: &[u8]) {
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
        self.unconfirmed = false;
        if !self
            .authority
            .may_submit(self.facts.as_ref(), self.identity.as_deref())
        {
            return Err(SandboxError::violation("an envelope without a grant"));
        }
        let refused = self
            .authority
            .envelope(
                self.identity.as_deref(),
                &*runtime.senders,
                &runtime.routes,
                &envelope,
            )
            .err();
        self.message = Some(Message {
            writer: self.service.spool.content(&envelope.id),
            envelope,
            failed: None,
            refused,
        });
        Ok(())
    }

    /// Makes the message durable. Only then is the answer `stored`.
    pub(super) async fn store(&mut self, facts: ContentFacts) -> Result<Answer, SandboxError> {
        let Some(mut message) = self.message.take() else {
            return Err(SandboxError::violation("a store without a message"));
        };
        if let Some(reply) = message.refused.take() {
            refusal::note(
                "",
                &format!(
                    "sender or recipient of {} is not permitted any more",
                    message.envelope.id
                ),
            );
            self.session.settled(false);
            return Ok(Answer::Rejected(reply));
        }
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
                refusal::note("", &format!("cannot store {id}"));
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
        let mut waiting = false;
        let recipients = envelope
            .forward_paths
            .iter()
            .map(|forward_path| {
                let route = runtime.routes.find(&Query {
                    reverse_path: &envelope.reverse_path,
                    identity: self.identity.as_deref(),
                    mailbox: &forward_path.mailbox,
                });
                let held = route.is_some_and(|route| matches!(route.delivery, Delivery::Hold));
                waiting |= !held;
                NewRecipient {
                    recipient: spool::Recipient {
                        mailbox: forward_path.mailbox.clone(),
                        notify: forward_path.notify.map(convert::notify),
                        orcpt: forward_path.orcpt.clone(),
                    },
                    state: if held {
                        NewState::Held
                    } else {
                        NewState::Waiting
                    },
                    // Without a route since a moment ago: the relay says so at the first attempt.
                    lane: route.map_or_else(String::new, |route| route.lane(&forward_path.mailbox)),
                }
            })
            .collect();
        let content = message.writer.finish().await?;
        let new = NewMessage {
            id: envelope.id,
            envelope: spool::Envelope {
                reverse_path: envelope.reverse_path,
                parameters: convert::parameters(envelope.parameters),
                protocol: envelope.protocol,
                greeted: envelope.greeted,
            },
            identity: self.identity.clone(),
            peer: self.peer.ip().to_canonical(),
            received: SystemTime::now(),
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
