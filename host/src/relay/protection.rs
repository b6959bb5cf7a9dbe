//! What a message demands of the way to its next server (RFC 8689), beyond what the route does.
//!
//! ```text
//! REQUIRETLS           verified TLS, to a server that is proven to be the right one and promises the same
//! TLS-Required: No     whatever way there is, rather than none
//! ```

use std::sync::{Arc, OnceLock};

use crate::outbound::{Dialogue, Security, Trust, Unopened};
use crate::route::NextHop;
use crate::sandbox::v0_1::client::Stage as Reached;
use crate::spool::Message;
use crate::spool::attempt::Status;

/// A kind of connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protection {
    /// As the route says.
    Usual,
    /// REQUIRETLS.
    Demanded,
    /// `TLS-Required: No`.
    Waived,
}

impl Protection {
    /// What this message demands on this way.
    pub(super) fn of(message: &Message, next_hop: &NextHop) -> Self {
        let demanded = message.envelope.parameters.require_tls;
        // RFC 8689 section 5 (R8689-5): a report goes on even to a server that lacks it.
        if demanded && !message.envelope.reverse_path.is_empty() && !next_hop.is_lmtp() {
            return Self::Demanded;
        }
        // R8689-3: not where it is tagged, either. And no header of a sender's opens up the way of a
        // password of ours.
        if message.facts.tls_waived && !demanded && next_hop.login.mechanisms.is_empty() {
            return Self::Waived;
        }
        Self::Usual
    }

    /// What TLS means on such a connection.
    pub(super) fn security(self, usual: Security) -> Security {
        match (self, usual) {
            (Self::Demanded, Security::Off | Security::Opportunistic) => Security::Required,
            (Self::Waived, Security::Required) => Security::Opportunistic,
            (_, usual) => usual,
        }
    }

    /// Whose certificates are good on such a connection. With none a demand cannot be met.
    pub(super) fn trust(self, usual: &Arc<Trust>) -> Arc<Trust> {
        match self {
            Self::Demanded if !usual.verifies() => platform().unwrap_or_else(|| Arc::clone(usual)),
            Self::Waived => Arc::new(Trust::anybody()),
            Self::Usual | Self::Demanded => Arc::clone(usual),
        }
    }

    /// Whether a connection of `own` kind will do for messages of this one.
    pub(super) fn is_met_by(self, own: Self, dialogue: &Dialogue, proven: bool) -> bool {
        match self {
            Self::Demanded => proven && missing(dialogue).is_none(),
            Self::Usual => own != Self::Waived,
            Self::Waived => true,
        }
    }
}

/// What a connection lacks of what REQUIRETLS demands (RFC 8689 section 4.2.1, R8689-4.2.1).
pub(super) fn missing(dialogue: &Dialogue) -> Option<(Status, String)> {
    if !dialogue.tls().is_some_and(|facts| facts.verified) {
        let text = "REQUIRETLS, and the connection has no verified TLS";
        return Some(((5, 7, 10), text.to_owned()));
    }
    let offers = |keyword: &str| {
        let offer = dialogue.offer();
        offer.is_some_and(|offer| offer.extensions.iter().any(|one| one == keyword))
    };
    (!offers("REQUIRETLS")).then(|| {
        let text = "REQUIRETLS, which the server does not offer";
        ((5, 7, 30), text.to_owned())
    })
}

/// Whether a connection failed for want of TLS, which for a message that demands it is the end, unless
/// the server says that it may pass (454, RFC 3207 section 4), or the network or somebody on the way
/// came between.
pub(super) fn lacks_tls(unopened: &Unopened) -> Option<bool> {
    match &unopened.error {
        crate::outbound::OutboundError::Failed(failure) if failure.stage == Reached::Tls => {
            let passes = failure
                .reply
                .as_ref()
                .is_some_and(|said| said.code / 100 == 4);
            Some(!(passes || unopened.interrupted || unopened.injected))
        }
        _ => None,
    }
}

/// The authorities of the system, for routes that trust nobody because they need no TLS.
fn platform() -> Option<Arc<Trust>> {
    static PLATFORM: OnceLock<Option<Arc<Trust>>> = OnceLock::new();
    let load = || Trust::platform().ok().map(Arc::new);
    PLATFORM.get_or_init(load).clone()
}
