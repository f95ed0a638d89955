//! Sidewheel: the wheel server that rides beside Caddy. ARCHITECTURE.md draws the rooms.

pub mod names;
pub mod simple;
