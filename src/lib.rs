//! Sidewheel: the wheel server that rides beside Caddy. ARCHITECTURE.md draws the rooms.

pub mod cache;
pub mod clock;
pub mod index;
pub mod metrics;
pub mod names;
pub mod server;
pub mod store;
pub mod upstream;
