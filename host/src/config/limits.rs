//! `[limits]`: what one service, one peer, one session and one message may take.

use std::time::Duration;

use super::reader::{Section, Value};

const MIB: u64 = 1024 * 1024;

/// Memory mappings that Linux gives a process by default (`vm.max_map_count`), less what the rest
/// of the service needs, over three a sandbox.
const MOST_SANDBOXES_BY_DEFAULT: u32 = 20_000;

/// What one service, one peer, one session and one message may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time. Default 20,000: an idle one costs a descriptor and a few kilobytes,
    /// so this is reached long after a server of ordinary size has other worries.
    pub connections: u32,
    /// Connections of one address at a time. Default 100: an office behind one address fits, a
    /// single machine cannot take all there are.
    pub connections_per_peer: u32,
    /// Octets of linear memory of one session's sandbox. Default 8 MiB: a header section of 256 KiB
    /// and a thousand recipients fit many times.
    pub session_memory: u64,
    /// Sandboxes at a time; sessions that wait for their peer are parked and need none. Default
    /// 2,000: more than are ever busy at once, far below the memory mappings that Linux allows.
    pub sandboxes: u32,
    /// CPU time of one uninterrupted run of a sandbox. Default 10 ms: a call takes microseconds, so
    /// only a build that loops meets it.
    pub session_slice: Duration,
    /// Octets of one message, the value of SIZE (RFC 1870 section 4). Default 50 MiB: what scanners
    /// send. A larger message is refused with 552 5.3.4, at MAIL if it was declared.
    pub message_size: u64,
    /// Recipients of one message; the next gets 452 4.5.3. Default 1,000, ten times what RFC 5321
    /// section 4.5.3.1.8 demands, so that lists fit.
    pub recipients: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            connections_per_peer: 100,
            session_memory: 8 * MIB,
            sandboxes: 2_000,
            session_slice: Duration::from_millis(10),
            message_size: 50 * MIB,
            recipients: 1_000,
        }
    }
}

impl Limits {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let default = Self::default();
        let count = |key, most| {
            let number = section.value(key)?.number(1..=most)?;
            u32::try_from(number).ok()
        };
        let limits = Self {
            connections: count("connections", 1_000_000).unwrap_or(default.connections),
            connections_per_peer: count("connections-per-peer", 1_000_000)
                .unwrap_or(default.connections_per_peer),
            session_memory: section
                .value("session-memory")
                .and_then(|value| session_memory(&value))
                .unwrap_or(default.session_memory),
            sandboxes: count("sandboxes", 1_000_000).unwrap_or(default.sandboxes),
            session_slice: section
                .value("session-slice")
                .and_then(|value| {
                    value.duration(Duration::from_millis(1)..=Duration::from_secs(10))
                })
                .unwrap_or(default.session_slice),
            message_size: section
                .value("message-size")
                .and_then(|value| message_size(&value))
                .unwrap_or(default.message_size),
            recipients: section
                .value("recipients")
                .and_then(|value| recipients(&value))
                .unwrap_or(default.recipients),
        };
        if limits.sandboxes > MOST_SANDBOXES_BY_DEFAULT {
            section.warning(
                "sandboxes",
                format!(
                    "{} sandboxes need about {} memory mappings and Linux gives a process 65530; \
                     raise vm.max_map_count, or stay at or below {MOST_SANDBOXES_BY_DEFAULT} \
                     (sessions that wait are parked and need no sandbox)",
                    limits.sandboxes,
                    3 * u64::from(limits.sandboxes),
                ),
            );
        }
        limits
    }
}

fn session_memory(value: &Value<'_>) -> Option<u64> {
    let octets = value.octets()?;
    // Below, a header section and the buffers do not fit; above, 32-bit WebAssembly ends.
    if !(MIB..=4096 * MIB).contains(&octets) {
        value.error(format!(
            "must be from \"1MiB\" to \"4GiB\", is {octets} octets"
        ));
        return None;
    }
    Some(octets)
}

fn message_size(value: &Value<'_>) -> Option<u64> {
    let octets = value.octets()?;
    // RFC 5321 section 4.5.3.1.7 (profile R5321-4.5.3.1-d)
    if octets < 64 * 1024 {
        value.error(format!(
            "{octets} octets: every server must take 64 KiB (RFC 5321 section 4.5.3.1.7); \
             use \"64KiB\" or more"
        ));
        return None;
    }
    Some(octets)
}

fn recipients(value: &Value<'_>) -> Option<u32> {
    let number = value.number(0..=1_000_000)?;
    // RFC 5321 section 4.5.3.1.8 (profile R5321-4.5.3.1-e)
    if number < 100 {
        value.error(format!(
            "{number}: every server must take 100 recipients (RFC 5321 section 4.5.3.1.8); \
             use 100 or more"
        ));
        return None;
    }
    u32::try_from(number).ok()
}
