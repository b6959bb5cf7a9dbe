//! The engine: how components are compiled, where their instances live, and what ticks.

use super::imports::State;
use super::{SandboxError, v0_1::Submission};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::Linker;
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig, Store};

/// Core instances that the pool must hold for one component.
const CORE_INSTANCES: u32 = 4;
/// Address space for linear memories that the pool may reserve: half of what a process has.
const ADDRESS_SPACE: u64 = 1 << 46;
/// What an instance's memory keeps when its slot is given back; the rest goes to the kernel.
/// Stack, data and the heap of an ordinary session fit.
const KEEP_RESIDENT: usize = 512 * 1024;

/// Octets of a call's results, as the host holds them.
const MOST_RESULT: usize = 8 << 20;

/// How much one session and all of them together may have.
#[derive(Debug, Clone)]
pub struct SandboxLimits {
    /// Octets of linear memory of one instance. Default 8 MiB: a header section of 256 KiB with
    /// its repairs, a buffer of 64 KiB and 64 actions fit many times over.
    pub memory: usize,
    /// Instances at a time. Each takes two to four memory mappings, of which Linux gives a
    /// process 65,530.
    pub sandboxes: u32,
    /// CPU time of one uninterrupted run of guest code.
    pub slice: Duration,
}

impl Default for SandboxLimits {
    fn default() -> Self {
        Self {
            memory: 8 << 20,
            sandboxes: 2000,
            slice: Duration::from_millis(10),
        }
    }
}

/// Compiler, instance pool and ticker.
pub struct Engine {
    pub(crate) engine: wasmtime::Engine,
    pub(crate) linker: Linker<State>,
    pub(crate) limits: SandboxLimits,
    slots: Arc<Semaphore>,
    ended: Arc<AtomicBool>,
}

impl Engine {
    /// An engine with a pool of this size.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Engine`] where the kernel does not give the address space.
    pub fn new(limits: SandboxLimits) -> Result<Arc<Self>, SandboxError> {
        let failed = |error: wasmtime::Error| SandboxError::Engine(format!("{error:#}"));
        // Verifiers live beside the sessions.
        let instances = limits.sandboxes + 8;
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(instances)
            .total_core_instances(instances * CORE_INSTANCES)
            .total_memories(instances)
            .total_tables(instances * 2)
            .max_core_instances_per_component(CORE_INSTANCES)
            .max_memories_per_component(1)
            .max_tables_per_component(2)
            .max_memory_size(limits.memory)
            .linear_memory_keep_resident(KEEP_RESIDENT)
            // Where the kernel can tell (Linux 6.7), only what was touched is reset.
            .pagemap_scan(Enabled::Auto)
            .table_keep_resident(4096)
            .max_unused_warm_slots(64);
        let mut config = Config::new();
        config
            .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
            // The largest reservation that lets every slot fit; 4 GiB spare all bounds checks.
            .memory_reservation(reservation(instances, limits.memory))
            .epoch_interruption(true)
            .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(16))
            .wasm_component_model(true);
        let engine = wasmtime::Engine::new(&config).map_err(failed)?;
        let mut linker = Linker::new(&engine);
        // The two imports, and nothing else.
        Submission::add_to_linker::<_, wasmtime::component::HasSelf<State>>(&mut linker, |state| {
            state
        })
        .map_err(failed)?;
        let ended = Arc::new(AtomicBool::new(false));
        let ticker = (engine.weak(), Arc::clone(&ended), limits.slice);
        std::thread::Builder::new()
            .name("ticks".into())
            .spawn(move || {
                let (engine, ended, slice) = ticker;
                // Two ticks a slice: a call may overrun by half of it.
                let pause = (slice / 2).max(Duration::from_millis(1));
                while !ended.load(Ordering::Relaxed) {
                    std::thread::sleep(pause);
                    let Some(engine) = engine.upgrade() else {
                        break;
                    };
                    engine.increment_epoch();
                }
            })
            .map_err(|error| SandboxError::Engine(format!("cannot start a thread: {error}")))?;
        Ok(Arc::new(Self {
            engine,
            linker,
            slots: Arc::new(Semaphore::new(limits.sandboxes as usize)),
            limits,
            ended,
        }))
    }

    /// A place in the pool; waits until one is free.
    ///
    /// # Errors
    ///
    /// Never while the engine lives.
    pub async fn slot(&self) -> Result<OwnedSemaphorePermit, SandboxError> {
        Arc::clone(&self.slots)
            .acquire_owned()
            .await
            .map_err(|_| SandboxError::Engine("the pool is closed".into()))
    }

    /// Whether fewer than an eighth of the places are free.
    pub fn is_short(&self) -> bool {
        self.slots.available_permits() < self.limits.sandboxes as usize / 8
    }

    /// A store with all limits set.
    pub(crate) fn store(&self) -> Store<State> {
        let mut store = Store::new(
            &self.engine,
            State::new(self.limits.memory, self.limits.slice),
        );
        store.limiter(|state| &mut state.limits);
        // What one call may make the host allocate for its results.
        store.set_hostcall_fuel(MOST_RESULT);
        store.epoch_deadline_callback(State::tick);
        store.set_epoch_deadline(1);
        store
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

fn reservation(instances: u32, memory: usize) -> u64 {
    let share = ADDRESS_SPACE / u64::from(instances).max(1);
    // A slot also has a guard region of 32 MiB.
    (share.saturating_sub(64 << 20)).clamp(memory as u64, 4 << 30)
}

/// A call into a store begins: fresh slice, fresh deadline.
pub(crate) fn begin_call(store: &mut Store<State>) {
    store.data_mut().begin_call();
    store.set_epoch_deadline(1);
}
