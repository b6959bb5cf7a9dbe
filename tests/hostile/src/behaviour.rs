//! The ways to break the contract.

/// Chosen by the first label of the hostname.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// `honest`, and any other name: keeps the contract.
    Honest,
    /// `loop`: never comes back from `receive`.
    Loop,
    /// `allocate`: takes memory without end in `receive`.
    Allocate,
    /// `trap`: `unreachable` in `receive`.
    Trap,
    /// `lie-span`: names content outside the buffer.
    Span,
    /// `lie-consumed`: says it used more than it was given.
    Consumed,
    /// `lie-actions`: 65 actions.
    Actions,
    /// `lie-store`: asks for a store without an envelope.
    Store,
    /// `lie-again`: asks for a second store once the first is answered.
    Again,
    /// `lie-grant`: hands over an envelope without any authentication.
    Grant,
    /// `lie-stall`: neither consumes nor asks.
    Stall,
    /// `lie-answer`: waits for an answer without a question.
    Answer,
    /// `lie-reply`: sends octets that are no reply.
    Reply,
    /// `lie-id`: a message identifier without the connection's serial.
    Identifier,
    /// `lie-question`: an envelope with a recipient that was never asked about.
    Question,
    /// `lie-sender`: an envelope with another sender than the one that was asked about.
    Sender,
    /// `lie-insert`: content without an envelope.
    Insert,
    /// `lie-pass`: takes 2^64 - 1 octets unseen.
    Pass,
    /// `lie-close`: an action after `close`.
    Close,
    /// `lie-park`: a parked session of 8,193 octets.
    Park,
    /// `lie-credentials` (client role): asks for a password in clear.
    Credentials,
}

impl Behaviour {
    /// What this hostname stands for.
    pub(crate) fn of(hostname: &str) -> Self {
        match hostname.split('.').next().unwrap_or_default() {
            "loop" => Self::Loop,
            "allocate" => Self::Allocate,
            "trap" => Self::Trap,
            "lie-span" => Self::Span,
            "lie-consumed" => Self::Consumed,
            "lie-actions" => Self::Actions,
            "lie-store" => Self::Store,
            "lie-again" => Self::Again,
            "lie-grant" => Self::Grant,
            "lie-stall" => Self::Stall,
            "lie-answer" => Self::Answer,
            "lie-reply" => Self::Reply,
            "lie-id" => Self::Identifier,
            "lie-question" => Self::Question,
            "lie-sender" => Self::Sender,
            "lie-insert" => Self::Insert,
            "lie-pass" => Self::Pass,
            "lie-close" => Self::Close,
            "lie-park" => Self::Park,
            "lie-credentials" => Self::Credentials,
            _ => Self::Honest,
        }
    }
}
