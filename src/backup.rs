//! What cannot be fetched again, kept a second time: taken while a server runs, put back, and read through.
//!
//! Enters: a data directory and a backup's directory. Leaves: a snapshot, a data directory that can be served, or what is
//! damaged, missing and unreadable. Must not know: HTTP, users, what a project is.
//!
//! ```text
//! TARGET/format                       says that this is a backup
//! TARGET/private/ab/cd…               bytes by SHA-256, shared by all snapshots
//! TARGET/files/ab/cd…                 the same of the cache, where it was asked for
//! TARGET/snapshots/2026-11-24T…Z/     private.db, manifest.json, manifest.sha256 and what else there was
//! TARGET/lock, tmp/, quarantine/      as in a data directory
//! ```

mod carry;
mod errors;
mod manifest;
mod restore;
mod take;
mod target;
mod verify;

pub use carry::{Fault, Finding, Step, Told, Totals};
pub use errors::BackupError;
pub use manifest::{Manifest, SnapshotId};
pub use restore::{RestoreWish, Restored, restore};
pub use take::{BackupWish, Taken, take};
pub use target::{Snapshot, is_backup, snapshots};
pub use verify::{Verified, verify_backup, verify_data};

#[cfg(test)]
mod tests;
