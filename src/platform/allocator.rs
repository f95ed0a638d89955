//! How the allocators give memory back to the system: mimalloc, which `main` chooses for Rust's code, and the system's own,
//! from which libraries in C take theirs (SQLite, zstd, zlib).

use std::cell::Cell;
use std::time::{Duration, Instant};

/// How often a worker looks for what others have freed of its memory, at most.
const COLLECT_EVERY: Duration = Duration::from_secs(1);

/// Gives memory back to the system at once when it is freed, instead of when the thread that freed it comes by again, which
/// an idle one never does. A page of 40,000 files in all four encodings, with the smallest budget: 119 MB at most and 40 MB
/// after, instead of 247 MB and 196 MB (glibc: 200 and 182). It costs no CPU that could be measured.
///
/// Before the first thread starts: what is set here holds for those that come after.
pub fn return_memory_at_once() {
    tell_mimalloc();
    tell_glibc();
}

/// `mi_option_purge_delay` in mimalloc.h: when freed memory is given back, in milliseconds.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// `mi_option_generic_collect`: after how many allocations for which there is no free block at hand a thread takes back what
/// other threads have freed of its memory. mimalloc looks at every thousandth only, and by itself takes 10,000, which a
/// transfer is long over before.
///
/// Measured: `bench/LOG.md`.
const GENERIC_COLLECT: libmimalloc_sys::mi_option_t = 34;

#[expect(unsafe_code, reason = "mimalloc's options have no safe door; each takes two integers")]
fn tell_mimalloc() {
    for (option, value) in [(PURGE_DELAY, 0), (GENERIC_COLLECT, 1_000)] {
        // SAFETY: it sets an integer that mimalloc reads; the number is one of its options.
        unsafe { libmimalloc_sys::mi_option_set(option, value) };
    }
}

/// glibc maps a large piece of memory by itself and unmaps it when it is freed, but takes the size of each that is freed for
/// the least that it maps from then on, up to 32 MiB, and keeps twice as much at the end of each thread's arena. What it is
/// told is not raised (mallopt(3)).
///
/// Measured: `bench/LOG.md`.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "glibc's options have no safe door; each takes two integers")]
fn tell_glibc() {
    /// The least that is mapped by itself, in bytes: glibc's own default.
    const MAPPED_BYTES_MIN: i32 = 128 * 1024;
    /// SQLite counts what it takes under one lock, and a compressor takes all it needs at once: nobody waits for an arena.
    const ARENAS: i32 = 1;
    // SAFETY: both set an integer that malloc reads, under its own lock. A number that it does not know changes nothing.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES_MIN);
        libc::mallopt(libc::M_ARENA_MAX, ARENAS);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn tell_glibc() {}

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

#[cfg(test)]
mod tests {
    use super::*;

    /// mimalloc.h numbers its options anew now and then: these are known by what they are when nobody sets them.
    #[test]
    #[expect(unsafe_code, reason = "as above; it takes an integer")]
    fn the_options_are_those_that_are_meant() {
        for (option, by_itself) in [(PURGE_DELAY, 1_000), (GENERIC_COLLECT, 10_000)] {
            // SAFETY: it reads an integer; the number is one of mimalloc's options.
            assert_eq!(unsafe { libmimalloc_sys::mi_option_get(option) }, by_itself, "{option}");
        }
    }
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod glibc_tests {
    use std::process::Command;
    use std::sync::Barrier;

    use super::*;
    use crate::platform::machine;

    const THREADS: usize = 4;
    const PAGE_BYTES: usize = 3 * 1024 * 1024;
    /// Stacks, code, and what lies among what is still in use: 2.8 MB; it was 15.6 when glibc kept what it liked.
    const LEFT_BYTES_MAX: u64 = 6 * 1024 * 1024;

    /// Other tests take memory meanwhile: it is run again in a process of its own.
    #[test]
    fn what_a_library_in_c_frees_is_given_back() {
        const OWN_PROCESS: &str = "SIDEWHEEL_TEST_ALLOCATOR";
        if std::env::var_os(OWN_PROCESS).is_none() {
            let mut again = Command::new(std::env::current_exe().unwrap());
            again.args(["--exact", "platform::allocator::glibc_tests::what_a_library_in_c_frees_is_given_back"]);
            let done = again.env(OWN_PROCESS, "1").output().unwrap();
            let said = String::from_utf8_lossy(&done.stdout);
            assert!(done.status.success() && said.contains("1 passed"), "{said}");
            return;
        }
        return_memory_at_once();
        compress(1);
        let before = machine::resident().unwrap();
        let (done, measured) = (Barrier::new(THREADS + 1), Barrier::new(THREADS + 1));
        std::thread::scope(|threads| {
            for _ in 0..THREADS {
                threads.spawn(|| {
                    for level in [1, 6, 12] {
                        compress(level);
                    }
                    done.wait();
                    measured.wait();
                });
            }
            done.wait();
            let left = machine::resident().unwrap().saturating_sub(before);
            measured.wait();
            assert!(left <= LEFT_BYTES_MAX, "{left} bytes are left");
        });
    }

    fn compress(level: i32) {
        let page: Vec<u8> = (0..PAGE_BYTES as u32).map(|byte| (byte.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        assert!(!zstd::bulk::compress(&page, level).expect("memory to compress in").is_empty());
    }
}
