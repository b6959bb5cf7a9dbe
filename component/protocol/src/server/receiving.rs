//! The content of a transaction on its way to the host, by DATA or by BDAT.
//!
//! Not here: where content ends and what is refused in it (`content`), the Received field
//! (`trace`).

use super::{
    content::{Content, Rules, Taken},
    known::Known,
    output::Output,
    state::Transaction,
    trace,
};
use crate::{
    contract::{BodyType, Envelope, server::Action},
    environment::Environment,
};
use alloc::{string::String, vec::Vec};

/// A transaction whose content is coming in.
#[derive(Debug)]
pub(super) struct Receiving {
    /// Whose content it is.
    pub transaction: Transaction,
    /// How far it has come.
    pub content: Content,
    /// The host was told to drop what it has of it.
    is_abandoned: bool,
}

impl Receiving {
    /// Before the first octet.
    pub fn new(transaction: Transaction, content: Content) -> Self {
        Self {
            transaction,
            content,
            is_abandoned: false,
        }
    }

    /// The next octets of content, which stand at `base` of the call's buffer.
    pub fn take(
        &mut self,
        known: &Known,
        octets: &[u8],
        base: usize,
        env: &mut dyn Environment,
        output: &mut Output,
    ) -> Taken {
        // A call has at most `MOST_OCTETS`.
        let base = u32::try_from(base).unwrap_or(u32::MAX);
        self.give(known, output, |content, actions| {
            content.take(octets, base, env, actions)
        })
    }

    /// The last chunk has come.
    pub fn end(&mut self, known: &Known, env: &mut dyn Environment, output: &mut Output) {
        self.give(known, output, |content, actions| content.end(env, actions));
    }

    /// The host has content of it.
    pub fn is_held(&self) -> bool {
        self.content.began() && !self.is_abandoned
    }

    fn give<T>(
        &mut self,
        known: &Known,
        output: &mut Output,
        give: impl FnOnce(&mut Content, &mut Vec<Action>) -> T,
    ) -> T {
        let content = &mut self.content;
        let had_begun = content.began();
        let (given, is_abandoned) = output.content(|actions| give(content, actions));
        self.is_abandoned |= is_abandoned;
        if !had_begun && content.began() {
            output.begin(envelope(known, &self.transaction));
        }
        given
    }
}

/// What content of this transaction is held to.
pub(super) fn rules(known: &Known, transaction: &Transaction, env: &mut dyn Environment) -> Rules {
    let settings = &known.settings;
    let now = env.now();
    let cipher = known.facts.as_ref().map(|facts| facts.cipher.as_str());
    Rules {
        bare_lf: settings.bare_lf,
        binary: transaction.parameters.body == BodyType::BinaryMime,
        require_tls: transaction.parameters.require_tls,
        max_size: settings.max_message_size,
        add_date: settings.add_date,
        add_message_id: settings.add_message_id,
        add_sender: settings.add_sender,
        check_header_domains: settings.check_header_domains,
        keep_bcc: settings.keep_bcc,
        hostname: settings.hostname.clone(),
        id: transaction.id.clone(),
        identity: known.identity.clone(),
        reverse_path: transaction.reverse_path.clone(),
        // RFC 5321 section 4.4
        received: trace::received(
            greeted(known).as_bytes(),
            &known.peer.address,
            &settings.hostname,
            protocol(known, transaction),
            &transaction.id,
            cipher,
            now,
        ),
        now,
        // R2920-3.1-d
        refused_recipients: transaction.has_refused,
    }
}

fn envelope(known: &Known, transaction: &Transaction) -> Envelope {
    Envelope {
        id: transaction.id.clone(),
        reverse_path: transaction.reverse_path.clone(),
        parameters: transaction.parameters.clone(),
        forward_paths: transaction.forward_paths.clone(),
        protocol: String::from(protocol(known, transaction)),
        greeted: String::from(greeted(known)),
    }
}

/// RFC 3848, RFC 6531 section 4.3 (R3848-2).
fn protocol(known: &Known, transaction: &Transaction) -> &'static str {
    trace::protocol(
        known
            .greeted
            .as_ref()
            .is_some_and(|greeted| greeted.extended),
        known.has_tls(),
        known.identity.is_some(),
        transaction.parameters.smtputf8,
    )
}

fn greeted(known: &Known) -> &str {
    known
        .greeted
        .as_ref()
        .map_or("", |greeted| greeted.name.as_str())
}
