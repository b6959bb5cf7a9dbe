//! What a component may import, and the limits of the store that it runs in.

use super::v0_1::types;
use super::v0_1::wasi::{clocks::wall_clock, random::random};
use nix::time::{ClockId, clock_gettime};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use wasmtime::{StoreContextMut, StoreLimits, StoreLimitsBuilder, UpdateDeadline};

/// Octets that one call of `get-random-bytes` may ask for.
const MOST_RANDOM: u64 = 4096;

/// The host's side of one instance.
pub struct State {
    pub(crate) limits: StoreLimits,
    slice: Duration,
    /// CPU time of this thread at the first tick of the running call.
    since: Option<Duration>,
}

impl State {
    /// A state whose linear memory ends at `memory` octets and whose calls end after `slice` of
    /// CPU time.
    pub fn new(memory: usize, slice: Duration) -> Self {
        Self {
            limits: StoreLimitsBuilder::new()
                .memory_size(memory)
                .trap_on_grow_failure(true)
                .build(),
            slice,
            since: None,
        }
    }

    /// A call begins: its slice is whole again.
    pub fn begin_call(&mut self) {
        self.since = None;
    }

    /// At each tick of the engine: go on while the thread's CPU clock shows less than the slice.
    /// Wall time would punish innocent sessions on busy cores.
    pub fn tick(mut store: StoreContextMut<'_, Self>) -> wasmtime::Result<UpdateDeadline> {
        let now = thread_cpu_time();
        let state = store.data_mut();
        let since = *state.since.get_or_insert(now);
        if now.saturating_sub(since) < state.slice {
            return Ok(UpdateDeadline::Continue(1));
        }
        Err(wasmtime::format_err!(
            "used more than {:?} of CPU time in one call",
            state.slice
        ))
    }
}

fn thread_cpu_time() -> Duration {
    // The clock exists on every Linux; zero would only lengthen the slice.
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

impl wall_clock::Host for State {
    fn now(&mut self) -> wall_clock::Datetime {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        wall_clock::Datetime {
            seconds: now.as_secs(),
            nanoseconds: now.subsec_nanos(),
        }
    }

    fn resolution(&mut self) -> wall_clock::Datetime {
        wall_clock::Datetime {
            seconds: 0,
            nanoseconds: 1,
        }
    }
}

impl random::Host for State {
    fn get_random_bytes(&mut self, length: u64) -> Vec<u8> {
        use rand::Rng as _;
        // A component that asks for more gets less; its own checks see that. Ours never does.
        let mut octets = vec![0; length.min(MOST_RANDOM) as usize];
        rand::rng().fill_bytes(&mut octets);
        octets
    }

    fn get_random_u64(&mut self) -> u64 {
        use rand::Rng as _;
        rand::rng().next_u64()
    }
}

// Types only: there is nothing to call.
impl types::Host for State {}
