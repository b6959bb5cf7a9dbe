//! How long a server waits (RFC 5321 section 4.5.3.2, profile section 4). The client role's times
//! are in `outbound`.

use crate::sandbox::v0_1::types::Phase;
use std::time::Duration;

/// TLS handshake (profile section 4; OURS).
pub const HANDSHAKE: Duration = Duration::from_secs(60);
/// Our own answer to any command (RFC 6409 section 5.3: under two minutes).
pub const ANSWER: Duration = Duration::from_secs(100);
/// A write that the peer does not take.
pub const WRITE: Duration = Duration::from_secs(300);
/// All the time that a peer has to become somebody, where it must, however often it says NOOP.
pub const ANONYMOUS: Duration = Duration::from_secs(300);
/// After this long a waiting session gives its sandbox back.
pub const PARK: Duration = Duration::from_millis(500);

/// How long the peer may be silent in this phase. `anonymous`: it must authenticate first and has
/// not (profile section 4; OURS), which a stranger must not stretch.
pub fn wait(phase: Phase, anonymous: bool) -> Duration {
    match phase {
        // RFC 5321 section 4.5.3.2.7: at least five minutes.
        Phase::Content => Duration::from_secs(300),
        _ if anonymous => Duration::from_secs(60),
        _ => Duration::from_secs(300),
    }
}
