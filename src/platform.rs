//! What differs between the systems that we run on.
//!
//! Enters: open files and numbers. Leaves: the same on all systems, as far as they have it.
//! Must not know: what it is done for.

use std::fs::File;

/// Asks the system to forget what it keeps in memory of a part of a file that was read once and is not read again. Where
/// it cannot, it keeps it.
#[cfg(not(target_os = "macos"))]
pub fn forget_pages(file: &File, at: u64, len: u64) {
    let _ = rustix::fs::fadvise(file, at, std::num::NonZeroU64::new(len), rustix::fs::Advice::DontNeed);
}

/// Here it is said of the file as it is open, once and for all that is read by it.
#[cfg(target_os = "macos")]
pub fn forget_pages(file: &File, at: u64, _len: u64) {
    if at == 0 {
        let _ = rustix::fs::fcntl_nocache(file, true);
    }
}
