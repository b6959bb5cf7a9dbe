//! What std would bring: an allocator, a panic handler, `cabi_realloc`; and the environment of a
//! session, which is the component's two imports.

use core::alloc::{GlobalAlloc, Layout};
use pillarbox_protocol::environment::{Environment, Moment};

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

// memcmp and its like, which the compiler calls: std would link this. Nothing else of it is used.
#[link(name = "c")]
unsafe extern "C" {}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // A panic is a bug; a trap tells the host so and ends this session alone.
    core::arch::wasm32::unreachable()
}

/// The canonical ABI's allocation function. std's runtime supplies it where there is one; the
/// linker looks for it under this name.
///
/// # Safety
///
/// As the canonical ABI demands: `old` is null or was returned from here with `old_length` and
/// `align`, and `align` is a power of two.
#[cfg(target_env = "p2")]
#[unsafe(no_mangle)]
unsafe extern "C" fn cabi_realloc(
    old: *mut u8,
    old_length: usize,
    align: usize,
    new_length: usize,
) -> *mut u8 {
    if new_length == 0 {
        return align as *mut u8;
    }
    // SAFETY: the caller keeps the rules above; sizes and alignments are what the layout was or
    // will be allocated with.
    let octets = unsafe {
        if old_length == 0 {
            ALLOCATOR.alloc(Layout::from_size_align_unchecked(new_length, align))
        } else {
            ALLOCATOR.realloc(
                old,
                Layout::from_size_align_unchecked(old_length, align),
                new_length,
            )
        }
    };
    if octets.is_null() {
        core::arch::wasm32::unreachable()
    }
    octets
}

/// The two imports.
pub(crate) struct Imports;

impl Environment for Imports {
    fn now(&mut self) -> Moment {
        let now = wasi::clocks::wall_clock::now();
        Moment {
            seconds: now.seconds,
            nanoseconds: now.nanoseconds,
        }
    }

    fn random(&mut self, octets: &mut [u8]) {
        let random = wasi::random::random::get_random_bytes(octets.len() as u64);
        octets.copy_from_slice(&random);
    }
}
