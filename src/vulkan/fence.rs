//! The store fence between a payload and the word that publishes it.
//!
//! A release store orders earlier stores for other *CPU* threads. Stores to write-combined memory
//! are outside that promise on x86: they sit in fill buffers that drain in any order until an
//! `sfence` (Intel SDM volume 1, "Streaming SIMD Extensions, non-temporal stores", and volume 3,
//! "Write Combining memory"). On aarch64 a device is an observer of the *outer* shareable domain,
//! which the inner-shareable barriers of the Rust memory model need not reach.

use std::sync::atomic::{Ordering, fence};

/// Orders every earlier store of this thread before every later one, as the device sees them.
///
/// `write_combined` says whether any of the stores went to write-combined memory
/// ([`Buffer::is_write_combined`](super::Buffer::is_write_combined)). Without it this costs nothing
/// on x86-64. Safe from any thread; orders the calling thread's stores only.
#[inline(always)]
pub fn publish(write_combined: bool) {
    #[cfg(target_arch = "x86_64")]
    if write_combined {
        // SAFETY: `sfence` needs SSE, which every x86-64 processor has. It touches no memory.
        #[allow(unused_unsafe)]
        unsafe {
            core::arch::x86_64::_mm_sfence();
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        // Coherent mappings are outer-shareable whether they are cached or not.
        let _ = write_combined;
        // SAFETY: a barrier instruction; it touches no register or memory. Leaving out `nomem`
        // makes it a compiler barrier as well.
        unsafe {
            core::arch::asm!("dmb oshst", options(nostack, preserves_flags));
        }
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = write_combined;
    // Also keeps the compiler from moving stores across.
    fence(Ordering::Release);
}

/// Asks for the cache line of a word that will be written soon, so that the stores need not wait for the device's
/// cache to give it up.
#[inline]
pub fn will_write(word: &std::sync::atomic::AtomicU32) {
    // SAFETY: a prefetch changes nothing that a program can see, and never faults. LLVM would make one for reading of
    // the intrinsic, unless told that the processor has this one; without it is a no-operation.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::asm!("prefetchw [{}]", in(reg) word.as_ptr(), options(nostack, preserves_flags, readonly));
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        std::arch::asm!("prfm pstl1keep, [{}]", in(reg) word.as_ptr(), options(nostack, preserves_flags, readonly));
    }
}
