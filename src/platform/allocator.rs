//! How the allocator (mimalloc, which `main` chooses) gives memory back to the system.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// How often a worker looks for what others have freed of its memory, at most.
const COLLECT_EVERY: Duration = Duration::from_secs(1);

/// Gives memory back to the system at once when it is freed, instead of when the thread that freed it comes by again, which
/// an idle one never does. A page of 40,000 files in all four encodings, with the smallest budget: 119 MB at most and 40 MB
/// after, instead of 247 MB and 196 MB (glibc: 200 and 182). It costs no CPU that could be measured.
#[expect(unsafe_code, reason = "mimalloc's options have no safe door; this one takes two integers")]
pub fn return_memory_at_once() {
    /// `mi_option_purge_delay` in mimalloc.h, in milliseconds.
    const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
    // SAFETY: it sets an integer that mimalloc reads; the number is one of its options.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, 0) };
}

/// For a worker that has nothing to do: takes back what other threads have freed of its memory, now and then. A transfer's
/// bytes are read by a worker and freed by the thread that writes them, and mimalloc leaves such memory to the one who took
/// it.
///
/// Measured: `bench/LOG.md`.
#[expect(unsafe_code, reason = "mimalloc's collection has no safe door; it takes a flag")]
pub fn collect_now_and_then() {
    thread_local! {
        static LAST: Cell<Option<Instant>> = const { Cell::new(None) };
    }
    let now = Instant::now();
    if LAST.get().is_none_or(|last| now.duration_since(last) >= COLLECT_EVERY) {
        LAST.set(Some(now));
        // SAFETY: it looks through the memory of the calling thread alone, and frees what is free.
        unsafe { libmimalloc_sys::mi_collect(false) };
    }
}
