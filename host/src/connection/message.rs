//! The message on its way into the spool.

use super::unseen::Unseen;
use super::{Connection, authority};
use crate::dkim::Digesting;
use crate::policy::{self, Opinion};
use crate::sandbox::SandboxError;
use crate::sandbox::v0_1::server::Answer;
use crate::sandbox::v0_1::types::{ContentFacts, Envelope, Reply};
use crate::service::Runtime;
use crate::spool::{self, ContentWriter, NewMessage, NewState, SpoolError};
use crate::users::refusal;
use std::sync::Arc;
use std::time::SystemTime;

/// An envelope whose content is arriving.
pub(super) struct Message {
    envelope: Envelope,
    writer: ContentWriter,
    /// What a signature needs, where there may be one.
    digesting: Option<Digesting>,
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
        if self.failed.is_some() || self.refused.is_some() {
            return;
        }
        if let Some(digesting) = &mut self.digesting {
            digesting.take(octets);
        }
        if let Err(error) = self.writer.write(octets).await {
            self.failed = Some(error);
        }
    }
}

impl Connection {
    /// A session says that content begins: its authority is checked once more.
    pub(super) fn begin_message(&mut self, envelope: Envelope) -> Result<(), SandboxError> {
        let runtime = self.service.runtime();
        if !self
            .authority
            .may_submit(self.facts.as_ref(), self.identity.as_deref())
        {
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
            // R6409-8.5
            digesting: (!runtime.signers.is_empty()
                && self.authority.is_signed(self.identity.as_deref()))
            .then(Digesting::default),
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
        message.unseen.add_to(&mut facts);
        if message.failed.is_none()
            && let Some(answer) = self.judge(&message, &facts).await
        {
            self.session.settled(false);
            return Ok(answer);
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

    /// What the site's policy has against the message (RFC 6409 section 6.3); `None`: nothing.
    async fn judge(&self, message: &Message, facts: &ContentFacts) -> Option<Answer> {
        let runtime = self.service.runtime();
        let id = &message.envelope.id;
        let identity = self.identity.as_deref();
        if let Err(reply) = authority::authors(identity, &*runtime.senders, &facts.authors) {
            tracing::info!(id, session = self.serial, peer = %self.peer.ip(), identity = identity.unwrap_or_default(), authors = ?facts.authors, code = reply.code, "refused: From is not permitted");
            return Some(Answer::Rejected(reply));
        }
        let checker = runtime.checker.as_ref()?;
        let question = policy::Question {
            id,
            reverse_path: &message.envelope.reverse_path,
            recipients: message.envelope.forward_paths.len(),
            identity: identity.unwrap_or_default(),
            peer: self.peer.ip().to_canonical(),
        };
        match checker.ask(&question, &message.writer).await {
            Ok(Opinion::Taken) => None,
            Ok(Opinion::Refused(text)) => {
                tracing::info!(id, session = self.serial, peer = %self.peer.ip(), identity = identity.unwrap_or_default(), reason = text, code = 550, "refused: by the check command");
                // R6409-6.3-c
                let reply = authority::reply(550, (5, 7, 0), &text);
                Some(Answer::Rejected(reply))
            }
            Err(error) => {
                let error = crate::command::chain(&error);
                tracing::error!(
                    id,
                    session = self.serial,
                    error,
                    "cannot check a message; its sender is told to come again"
                );
                Some(Answer::Unavailable)
            }
        }
    }

    /// The signature fields of the message, on a thread that may compute.
    async fn signatures(
        &self,
        runtime: &Runtime,
        id: &str,
        digesting: Option<Digesting>,
        facts: &ContentFacts,
    ) -> String {
        // The domain of the author is what receivers look for (RFC 7489 section 3.1.1).
        let (Some(digesting), Some(author)) = (digesting, facts.authors.first()) else {
            return String::new();
        };
        if runtime.signers.of(author).is_empty() {
            return String::new();
        }
        let Some(digest) = digesting.finish() else {
            tracing::warn!(id, "not signed: the header section is too long");
            return String::new();
        };
        let (signers, author) = (Arc::clone(&runtime.signers), author.clone());
        let sign = move || signers.fields(&author, &digest, SystemTime::now());
        tokio::task::spawn_blocking(sign).await.unwrap_or_default()
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
        let signatures = self
            .signatures(&runtime, &envelope.id, message.digesting, &facts)
            .await;
        let mut spool_facts = convert::facts(&facts);
        // RFC 6376 section 5.3: to convert it would break our own signature, too.
        spool_facts.signed |= !signatures.is_empty();
        let content = message.writer.finish_after(signatures.into_bytes()).await?;
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
            facts: spool_facts,
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
