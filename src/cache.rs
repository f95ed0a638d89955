//! Bytes at rest and in motion: memory, files on disk, and files that are still arriving. What users own lies on a shelf
//! of its own, from which nothing is evicted.
//!
//! Enters: a key and somebody's fetch. Leaves: memory bytes, a whole file, or a reader of a growing file.
//! Must not know: who fetches and why, what a project is, users, HTTP.

mod calls;
mod disk;
mod flight;
mod memory;
mod pace;
mod spool;

pub use calls::Calls;
pub use disk::{
    Disk, DiskError, DiskFile, ForeignFile, LockError, Look, ReadThrough, Seen, Shelf, Space, TakenIn, TempFile,
    has_cached, held_open_max, read_through,
};
pub use flight::{Failure, Flight, FlightState, Flights, Follower, Joined, Leader, Progress, Standing, hold_back};
pub use memory::{Memory, Weigh};
pub use pace::Pace;
pub use spool::{Spool, SpoolError};
