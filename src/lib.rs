//! Sidewheel: the wheel server that rides beside Caddy. ARCHITECTURE.md draws the rooms.

pub mod fresh;
pub mod http;
pub mod names;
