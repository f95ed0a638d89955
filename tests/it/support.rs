//! What the tests share: a scripted upstream and a maker of wheels.
#![allow(dead_code, unused_imports, reason = "a tool of several tests is not used whole by each")]

pub mod house;
pub mod upstream;
mod wheel;

pub use wheel::{noise, wheel, wheel_filename};

use sha2::{Digest, Sha256};

/// The SHA-256 of `bytes` in hex.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
