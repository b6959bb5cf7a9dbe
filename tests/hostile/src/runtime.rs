//! What std would bring: an allocator, a panic handler, `cabi_realloc`.

use core::alloc::{GlobalAlloc, Layout};

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

// memcmp and its like, which the compiler calls: std would link this. Nothing else of it is used.
#[link(name = "c")]
unsafe extern "C" {}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
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
